"""Emission shares: what must hold of every rule that divides the block's TAO."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dtao_gym.protocol.allocation import ALLOCATIONS, Rest, emission_shares

NOBODY = Rest(0.0, 0.0, 0.0, 0.0)
RULES = sorted(ALLOCATIONS)

prices = st.just(0.0) | st.floats(1e-6, 1.0)
burns = st.just(0.0) | st.just(1.0) | st.floats(0.0, 1.0)


@st.composite
def markets(draw):
    """(moving prices, miner burn, emission enabled) of a few subnets."""
    n = draw(st.integers(1, 12))
    return (
        draw(arrays(float, n, elements=prices)),
        draw(arrays(float, n, elements=burns)),
        draw(arrays(float, n, elements=st.sampled_from([0.0, 1.0]))),
    )


def shares_of(rule: str, market, rest: Rest = NOBODY):
    """(shares, share of the rest)."""
    shares = np.full(market[0].size, np.nan)
    of_rest = emission_shares(ALLOCATIONS[rule], *market, rest, shares)
    return shares, of_rest


def rest_of(rule: str, market) -> Rest:
    """The sums that stand for subnets which are not simulated."""
    moving, burned, enabled = market
    demand = {"uniform": np.ones(moving.size), "price": moving}
    claim = demand.get(rule, moving * (1 - burned))
    return Rest(moving.sum(), claim.sum(), moving @ enabled, claim @ enabled)


@pytest.mark.parametrize("rule", RULES)
@given(markets())
def test_shares_add_to_one_or_are_all_zero(rule, market):
    shares, of_rest = shares_of(rule, market)
    assert of_rest == 0.0
    assert (shares >= 0.0).all()
    assert shares.sum() == pytest.approx(1.0, rel=1e-14) or not shares.any()
    someone = market[2].any() if rule == "uniform" else (market[0] * market[2]).any()
    if not someone:
        assert not shares.any()


@pytest.mark.parametrize("rule", RULES)
@given(markets())
def test_a_subnet_with_emission_disabled_gets_nothing(rule, market):
    shares, _ = shares_of(rule, market)
    assert not shares[market[2] == 0.0].any()


@pytest.mark.parametrize("rule", RULES)
@given(markets())
def test_what_the_disabled_would_get_goes_to_the_others_in_proportion(rule, market):
    moving, burned, enabled = market
    everybody, _ = shares_of(rule, (moving, burned, np.ones(moving.size)))
    shares, _ = shares_of(rule, market)
    kept = everybody * enabled
    if kept.any():
        assert shares == pytest.approx(kept / kept.sum(), rel=1e-13)
    else:
        assert not shares.any()


@pytest.mark.parametrize("rule", RULES)
@given(markets(), st.randoms(use_true_random=False))
def test_order_of_the_subnets_does_not_matter(rule, market, random):
    order = list(range(market[0].size))
    random.shuffle(order)
    shares, _ = shares_of(rule, market)
    shuffled, _ = shares_of(rule, tuple(column[order] for column in market))
    assert shuffled == pytest.approx(shares[order], rel=1e-14)


@pytest.mark.parametrize("rule", RULES)
@given(markets(), st.integers(1, 12))
def test_the_aggregate_stands_for_the_subnets_that_it_sums(rule, market, kept):
    whole, _ = shares_of(rule, market)
    shares, of_rest = shares_of(
        rule,
        tuple(column[:kept] for column in market),
        rest_of(rule, tuple(column[kept:] for column in market)),
    )
    assert shares == pytest.approx(whole[:kept], rel=1e-13)
    assert of_rest == pytest.approx(whole[kept:].sum(), rel=1e-13, abs=1e-300)


@given(markets())
def test_the_scale_of_prices_does_not_matter(market):
    moving, burned, enabled = market
    for rule in ("price", "price_burn"):
        shares, _ = shares_of(rule, market)
        halved, _ = shares_of(rule, (moving / 2, burned, enabled))
        assert halved == pytest.approx(shares, rel=1e-14)


@given(markets())
def test_where_all_incentive_is_burned_moving_prices_decide(market):
    moving, _, enabled = market
    burned, _ = shares_of("price_burn", (moving, np.ones(moving.size), enabled))
    by_price, _ = shares_of("price", market)
    assert np.array_equal(burned, by_price)


@given(markets())
def test_without_burn_the_rule_of_2026_is_that_of_2025(market):
    moving, _, enabled = market
    without = (moving, np.zeros(moving.size), enabled)
    assert np.array_equal(shares_of("price_burn", without)[0], shares_of("price", without)[0])


def test_burning_costs_share_and_price_brings_it():
    moving, on = np.array([0.02, 0.02, 0.06]), np.ones(3)
    shares, _ = shares_of("price_burn", (moving, np.array([0.0, 0.5, 0.0]), on))
    assert shares == pytest.approx([0.02 / 0.09, 0.01 / 0.09, 0.06 / 0.09], rel=1e-15)
    shares, _ = shares_of("uniform", (moving, np.array([0.0, 0.5, 0.0]), on))
    assert shares == pytest.approx([1 / 3] * 3, rel=1e-15)
