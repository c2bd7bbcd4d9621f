"""Valuation of subnets: by hand, and against sums over future days."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtao_gym.economy.technology import decay_per_day, discount_per_day
from dtao_gym.economy.valuation import (
    capitalisation,
    market_target,
    next_opinion,
    stage_discount,
    trend,
    uninformed_tilt,
    value_of_stocks,
)

SOCIAL = discount_per_day(0.2)


@pytest.mark.parametrize("half_life", [30.0, 720.0])
def test_capitalisation_is_the_sum_of_what_a_stock_pays(half_life):
    decay = decay_per_day(half_life)
    days = np.arange(60_000)
    summed = (SOCIAL**days * (1 - decay) ** days).sum()
    assert capitalisation(SOCIAL, decay) == pytest.approx(summed, rel=1e-10)


def test_capitalisation_at_the_defaults():
    assert capitalisation(SOCIAL, decay_per_day(30.0)) == pytest.approx(42.6669, rel=1e-3)
    assert capitalisation(SOCIAL, decay_per_day(720.0)) == pytest.approx(635.801, rel=1e-4)
    assert capitalisation(0.5, 0.0) == 2.0


@pytest.mark.parametrize("rate", [1.0, 0.5, 3 / 180])
def test_the_discount_of_a_stage_is_the_mean_over_its_waits(rate):
    waits = np.arange(1, 20_000)
    chance = rate * (1 - rate) ** (waits - 1.0)
    assert stage_discount(SOCIAL, rate) == pytest.approx((chance * SOCIAL**waits).sum(), rel=1e-11)


def test_a_wait_is_a_day_at_least():
    assert stage_discount(0.9, 1.0) == pytest.approx(0.9, rel=1e-15)


def test_research_under_way_is_worth_what_it_will_be_worth_on_arrival():
    assert value_of_stocks(2.0, 3.0, 0.5, 40.0, 600.0) == 2.0 * 40.0 + 3.5 * 600.0
    # a unit in the first of three stages, followed to its arrival
    rate, decay = 0.1, decay_per_day(720.0)
    stage, paid, knowledge = np.array([1.0, 0.0, 0.0]), 0.0, 0.0
    for day in range(30_000):
        paid += SOCIAL**day * knowledge
        leaving = rate * stage
        stage = stage - leaving + np.array([0.0, leaving[0], leaving[1]])
        knowledge = (1 - decay) * knowledge + leaving[2]
    pipeline = stage_discount(SOCIAL, rate) ** 3
    expected = value_of_stocks(0.0, 0.0, pipeline, 0.0, capitalisation(SOCIAL, decay))
    assert paid == pytest.approx(expected, rel=1e-9)


def test_opinions_are_stationary():
    persistence, sd = 2 ** (-1 / 20), 0.3
    innovation = sd * (1 - persistence**2) ** 0.5
    random = np.random.default_rng(0).standard_normal(200_000)
    opinion, opinions = 0.0, []
    for n in random:
        opinion = next_opinion(opinion, persistence, innovation, n)
        opinions.append(opinion)
    opinions = np.array(opinions[1000:])
    assert opinions.std() == pytest.approx(sd, rel=0.03)
    later = np.corrcoef(opinions[:-20], opinions[20:])[0, 1]
    assert later == pytest.approx(0.5, abs=0.03)


def test_tilt_by_hand():
    assert uninformed_tilt(0.0, 0.7, 0.0, 9.0, 0.0) == 1.0
    assert uninformed_tilt(0.3, trend(2.0, 1.0), 0.1, 0.0, 0.0) == pytest.approx(
        math.exp(0.3) * 2**0.1
    )
    assert uninformed_tilt(0.0, 0.0, 0.1, 0.25, 2.0) == pytest.approx(math.exp(0.5))
    assert uninformed_tilt(0.0, 0.0, 0.0, 1e6, 2.0) == pytest.approx(math.exp(50.0))


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.floats(0.0, 1.0))
def test_momentum_follows_changes_up_to_a_factor_e(price, past, momentum):
    change = min(max(math.log(price / past), -1.0), 1.0)
    tilt = uninformed_tilt(0.0, trend(price, past), momentum, 0.0, 0.0)
    assert tilt == pytest.approx(math.exp(momentum * change), rel=1e-12)


def test_without_a_price_there_is_no_trend():
    assert trend(0.0, 1.0) == 0.0
    assert trend(1.0, 0.0) == 0.0


def test_the_target_pools_opinions_and_falls_with_dilution():
    assert market_target(2e-6, 0.25, 100.0, 200.0, 1.0) == pytest.approx(2e-6 * 175.0)
    assert market_target(2e-6, 1.0, 100.0, 9e9, 1.25) == pytest.approx(2e-6 * 80.0)
    assert market_target(2e-6, 0.0, 9e9, 200.0, 1.0) == pytest.approx(4e-4)
