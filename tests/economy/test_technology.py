"""Rules of builders' stocks: by hand, and the same constants in the engine and in the closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from dtao_gym.economy import builder_theory
from dtao_gym.economy.technology import (
    ability,
    contributed_value,
    decay_per_day,
    discount_per_day,
    luck,
    next_stock,
    output,
    public_signal,
    true_value,
)
from dtao_gym.world.config import Config
from dtao_gym.world.parameters import parameters

GRID = (np.arange(20_000) + 0.5) / 20_000
"""Quantiles of a distribution, evenly."""
stocks = st.lists(st.tuples(st.floats(0.0, 1e4), st.floats(0.0, 1e4)), min_size=2, max_size=12).map(
    np.array
)


def normals() -> np.ndarray:
    """Standard normal numbers at the quantiles of the grid."""
    return ndtri(GRID)


def test_rates_by_hand():
    assert decay_per_day(1.0) == 0.5
    assert (1 - decay_per_day(30.0)) ** 30 == pytest.approx(0.5, rel=1e-13)
    assert decay_per_day(30.0) == pytest.approx(0.0228400316, rel=1e-8)
    assert decay_per_day(720.0) == pytest.approx(0.0009622412, rel=1e-6)
    assert discount_per_day(0.2) == pytest.approx(0.9993888346, rel=1e-10)
    assert discount_per_day(0.2) ** 365 == pytest.approx(0.8, rel=1e-13)


def test_output_and_stocks_by_hand():
    assert output(2.0, 0.1, 9.0, 0.5) == pytest.approx(0.6, rel=1e-15)
    assert output(1.0, 0.1, 4.0, 0.75) == pytest.approx(0.1 * 4**0.75, rel=1e-14)
    assert output(1.0, 0.1, 0.0, 0.5) == output(1.0, 0.1, 0.0, 0.3) == 0.0
    assert next_stock(10.0, 0.25, 1.5) == 9.0


def test_the_signal_shows_hype_and_influence_and_no_pipeline():
    assert public_signal(2.0, 3.0, 0.5, 0.5, 0.1, 0.0) == pytest.approx(6.5, rel=1e-15)
    assert public_signal(2.0, 3.0, 0.5, 0.0, 0.0, 9.0) == pytest.approx(5.5, rel=1e-15)
    noisy = public_signal(2.0, 3.0, 0.5, 0.5, 0.1, -2.0)
    assert noisy == pytest.approx(6.5 * math.exp(-0.2), rel=1e-13)


@pytest.mark.parametrize("sd", [0.0, 0.5, 0.8, 1.5])
@pytest.mark.parametrize("factor", [ability, luck])
def test_ability_and_luck_are_lognormal_with_mean_one(factor, sd):
    factors = np.array([factor(sd, n) for n in normals()])
    assert np.log(factors).std() == pytest.approx(sd, rel=1e-3)
    # the grid cuts the last tail
    assert factors.mean() == pytest.approx(1.0, rel=2e-3)


@given(stocks, st.floats(0.0, 2.0))
def test_what_all_contribute_is_what_all_get(stocks, spillover):
    short, knowledge = stocks.T
    n, total = len(stocks), knowledge.sum()
    got = [true_value(s, k, total, n, spillover) for s, k in stocks]
    given_ = [contributed_value(s, k, spillover) for s, k in stocks]
    assert sum(got) == pytest.approx(sum(given_), rel=1e-12, abs=1e-9)
    assert sum(got) == pytest.approx(short.sum() + (1 + spillover) * total, rel=1e-12, abs=1e-9)


def test_knowledge_of_others_spills_over():
    # three subnets with 1, 2 and 6 units: the first gets a quarter of the mean of the others
    assert true_value(5.0, 1.0, 9.0, 3.0, 0.25) == pytest.approx(5.0 + 1.0 + 0.25 * 8.0 / 2.0)
    assert true_value(5.0, 1.0, 1.0, 1.0, 0.25) == 6.0


CHANGES = (
    {},
    {"delay_days": 0.0},
    {"delay_days": 40.0, "delay_stages": 5, "short_half_life_days": 9.0},
    {"knowledge_half_life_days": 200.0, "influence_half_life_days": 100.0, "curvature": 0.7},
)


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("per_year", [0.05, 0.2, 0.98])
def test_the_engine_and_the_closed_forms_have_the_same_constants(changes, per_year):
    record = parameters(Config.make(changes, valuer_discount_per_year=per_year))
    technology = builder_theory.Technology(**changes)
    discount = discount_per_day(per_year)
    worth = builder_theory.informed_values(technology, discount)
    same = {
        "short_decay": technology.short_decay,
        "knowledge_decay": technology.knowledge_decay,
        "influence_decay": technology.influence_decay,
        "stage_rate": technology.stage_rate,
        "worth_of_short": worth.short,
        "worth_of_knowledge": worth.knowledge,
    }
    same |= {
        name: getattr(technology, name)
        for name in (
            *("short_productivity", "research_productivity", "influence_productivity"),
            *("curvature", "spillover", "hype"),
        )
    }
    for name, expected in same.items():
        assert record[name] == pytest.approx(expected, rel=1e-14), name
    passing = float(record["stage_discount"])
    if technology.stages:
        assert passing == pytest.approx(
            builder_theory.pipeline_discount(technology, discount), rel=1e-14
        )
    for place, value in enumerate(reversed(worth.pipeline)):
        expected = passing ** (place + 1) * record["worth_of_knowledge"]
        assert value == pytest.approx(expected, rel=1e-13)


def test_welfare_and_payoffs_are_discounted_unless_episodes_end_by_chance():
    fixed = parameters(Config(builder_discount_per_year=0.4))
    assert math.exp(fixed["welfare_log_discount"]) == pytest.approx(builder_theory.SOCIAL_DISCOUNT)
    assert math.exp(fixed["payoff_log_discount"]) == pytest.approx(discount_per_day(0.4))
    chance = parameters(Config(horizon="geometric", builder_discount_per_year=0.4))
    assert chance["welfare_log_discount"] == 0.0
    rest = discount_per_day(0.4) / builder_theory.SOCIAL_DISCOUNT
    assert math.exp(chance["payoff_log_discount"]) == pytest.approx(rest, rel=1e-14)


def test_spending_weighs_on_welfare_where_builders_pay_it_themselves():
    assert parameters(Config())["cost_weight"] == 1.0
    assert parameters(Config(finance=False))["cost_weight"] == 0.0
    assert parameters(Config(finance=False, cost_weight=0.4))["cost_weight"] == 0.4
