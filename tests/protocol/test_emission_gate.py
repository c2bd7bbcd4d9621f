"""The gate of emission: the bar by rank and by mass, and what passes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dtao_gym.protocol.gate import bar_of_mass, bar_of_rank, pass_gate

fractions = st.just(0.0) | st.just(1.0) | st.floats(1e-6, 1.0)
demands = arrays(float, st.integers(0, 40), elements=st.just(0.0) | st.floats(1e-6, 1.0))


def passing(shares, bar, exponent=3.0) -> np.ndarray:
    passed = np.array(shares, float)
    pass_gate(passed, bar, exponent)
    return passed


@given(fractions, fractions, st.sampled_from([1.0, 2.5, 3.0, 8.0]))
def test_half_of_a_demand_share_at_the_bar_passes(share, bar, exponent):
    assert 0.0 <= passing([share], bar, exponent)[0] <= share
    assert passing([share], 0.0, exponent)[0] == share
    if bar > 0.0:
        assert passing([bar], bar, exponent)[0] == pytest.approx(0.5 * bar, rel=1e-14)


def test_part_that_passes_at_fractions_of_the_bar():
    parts = passing(np.array([1, 1 / 2, 1 / 3, 1 / 5]) * 0.01, 0.01) / [
        0.01,
        0.005,
        0.01 / 3,
        0.002,
    ]
    assert parts == pytest.approx([1 / 2, 1 / 9, 1 / 28, 1 / 126], rel=1e-12)  # 50, 11, 3.6, 0.8 %


def test_elasticity_of_the_passing_share_to_demand_at_the_bar_is_two_and_a_half():
    step = 1e-6
    low, high = passing(0.01 * np.exp([-step, step]), 0.01)
    assert np.log(high / low) / (2 * step) == pytest.approx(2.5, rel=1e-6)


def split(shares, part, n):
    """Demand shares of the first n subnets, and the others as a list and its part of the whole."""
    whole = shares.sum() or 1.0
    own, others = shares[:n] / whole, np.sort(shares[n:])[::-1]
    total = others.sum()
    listed = others / total if total > 0.0 else np.zeros(others.size)
    return own, np.ascontiguousarray(listed), total / whole


@given(
    demands, st.integers(0, 40), st.integers(1, 50), st.sampled_from([0.0, 0.5, 0.9, 1.0, 1.2, 3.0])
)
def test_bar_by_rank_is_the_share_of_that_rank_whatever_is_simulated_and_guessed(
    shares, simulated, rank, guess
):
    own, listed, part = split(shares, 1.0, simulated)
    positive = np.sort(shares[shares > 0.0])[::-1] / (shares.sum() or 1.0)
    expected = positive[min(rank, positive.size) - 1] if positive.size else 0.0
    bar = bar_of_rank(own, listed, part, rank, guess * expected, np.empty(own.size))
    assert bar == pytest.approx(expected, rel=1e-12)


@given(demands, st.integers(0, 40), st.floats(0.05, 0.95))
def test_bar_by_mass_is_the_share_at_which_the_largest_pass_a_quantile(shares, simulated, quantile):
    own, listed, part = split(shares, 1.0, simulated)
    bar = bar_of_mass(own, listed, part, quantile, np.empty(own.size))
    ordered = np.sort(shares)[::-1] / (shares.sum() or 1.0)
    reached = np.cumsum(ordered)
    if not ordered.any():
        assert bar == 0.0
        return
    allowed = ordered[[np.searchsorted(reached, quantile * (1 + e)) for e in (-1e-12, 1e-12)]]
    assert allowed.min() * (1 - 1e-12) <= bar <= allowed.max() * (1 + 1e-12)


def test_bar_of_equal_demands_is_that_demand():
    equal = np.full(12, 1 / 12)
    for rank in (1, 5, 12, 32):
        assert bar_of_rank(equal, np.empty(0), 0.0, rank, 0.0, np.empty(12)) == 1 / 12
