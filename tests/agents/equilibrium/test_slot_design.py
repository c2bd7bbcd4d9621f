"""Designed deviations: orthogonal signs, the same worlds for all games, and effects that are separated exactly."""

import numpy as np
import pytest
from analytic_games import KernelSlots
from dtao_agents.equilibrium.slot_design import Point, block_of, block_sums, hadamard, residuals


@pytest.mark.parametrize("columns", [1, 2, 3, 8, 24, 128])
def test_the_columns_of_the_design_are_orthogonal(columns):
    signs = hadamard(columns)
    assert len(signs) >= columns > len(signs) // 2 or columns == 1
    np.testing.assert_array_equal(signs.T @ signs, len(signs) * np.eye(columns))


def test_no_columns_are_refused():
    with pytest.raises(ValueError, match="columns: got 0, allowed is 1 or more"):
        hadamard(0)


def test_a_block_is_balanced():
    """Each world has its mirror on the same shocks and the same length of life; lengths are stratified."""
    block = block_of(KernelSlots(1.0), first_seed=100, number=3)
    np.testing.assert_array_equal(block.signs[::2], -block.signs[1::2])
    np.testing.assert_array_equal(block.seeds[::2], block.seeds[1::2])
    np.testing.assert_array_equal(block.seeds[::2], 100 + 3 * 8 + np.arange(8))
    np.testing.assert_array_equal(np.sort((block.quantiles[::2] * 8).astype(int)), np.arange(8))


def test_blocks_share_no_seed():
    game = KernelSlots(1.0)
    seeds = np.concatenate([np.unique(block_of(game, 0, number).seeds) for number in range(5)])
    assert np.unique(seeds).size == seeds.size


def test_the_marginal_payoff_of_the_own_strategy_is_exact():
    """In worlds that are alike the effects of rivals cancel but for the third order, (rivalry x step)^3 = 1e-6.

    Pay is cos(u/2) + sin(u/2): a central difference of size d is its derivative times sin(d/2)/(d/2), and its mean
    is cos(d/2) times its value.
    """
    game = KernelSlots(1.0, rivalry=0.03, noise=0.0, spread=0.0)
    step = 0.4
    for angle in (0.8, np.pi / 2, 2.0):
        point = Point(np.array([[angle]]), None)
        sums = block_sums(game, point, np.array([step]), 0, range(4)).sum(axis=0)
        u = angle / 2
        slope = 0.5 * (np.cos(u) - np.sin(u)) / (np.cos(u) + np.sin(u))
        expected = slope * np.sinc(step / 2 / np.pi) / np.cos(step / 2)
        assert residuals(sums, point)[0] == pytest.approx(expected, abs=1e-4)


def test_payoffs_that_are_not_finite_are_refused():
    game = KernelSlots(np.nan)
    with pytest.raises(ValueError, match="payoffs: got numbers that are not finite"):
        block_sums(game, Point(np.array([[1.0]]), None), np.array([0.4]), 0, range(2))
