"""Best responses, deviations, sets and verdicts against values by hand."""

import numpy as np
import pytest
from dtao_agents.equilibrium.game import Curve, Payoffs, log_odds, share_of
from dtao_agents.equilibrium.inference import (
    best_deviation,
    best_response,
    curvature,
    identified_set,
    is_flat,
    judge,
    judge_no_effect,
)
from dtao_agents.evaluation.statistics import Estimate

from tests.agents.equilibrium.analytic_games import Kernel, ratio


def test_noise_is_rarely_taken_for_an_effect_and_an_effect_for_noise():
    rng = np.random.default_rng(3)
    samples = rng.normal(1.0, 1.0, (500, 64, 1)) + rng.normal(0.0, 0.1, (500, 64, 12))
    assert sum(not is_flat(sample) for sample in samples) <= 15
    assert not is_flat(Kernel(0.3).payoffs(0.5, np.linspace(0.01, 0.99, 12)).values)
    tiny = np.ones((4, 1)) * np.array([1.0, 1.0 + 1e-8, 1.0])
    assert not is_flat(tiny)


def test_edges_of_a_best_response():
    candidates = share_of(np.linspace(-1.0, 1.0, 7))
    for fit in ("all", "three"):
        for r, edge in ((0.05, -1), (0.5, 0), (0.95, 1)):
            means = np.sqrt(1.0 - candidates) + ratio(r) * np.sqrt(candidates)
            assert best_response(candidates, means, fit).edge == edge
        valley = best_response(candidates, -np.sqrt(candidates * (1.0 - candidates)), fit)
        assert abs(valley.log_odds) == pytest.approx(1.0)


def test_epsilon_of_a_deviation():
    candidates = share_of(np.linspace(-3.0, 3.0, 13))
    game = Kernel(1.0, noise=0.0)
    at_best = best_deviation(game.payoffs(0.5, candidates), candidates, 0.5)
    assert at_best == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    # kernel: playing r where a half is best earns (sqrt(1-r) + sqrt(r)) / sqrt(2) of the best
    r = float(candidates[4])
    truth = np.sqrt(2.0) / (np.sqrt(1.0 - r) + np.sqrt(r)) - 1.0
    assert best_deviation(game.payoffs(r, candidates), candidates, r) == pytest.approx(
        (truth,) * 3, rel=1e-6
    )
    noisy = best_deviation(Kernel(1.0).payoffs(r, candidates), candidates, r)
    assert noisy.low < truth < noisy.high
    assert noisy.low >= 0.0
    with pytest.raises(ValueError, match="research_share: got"):
        best_deviation(game.payoffs(0.5, candidates), candidates, 0.4)
    with pytest.raises(ValueError, match="positive mean"):
        best_deviation(Payoffs(np.zeros((8, 13)), 0.0), candidates, 0.5)


@pytest.mark.parametrize(
    ("r", "epsilon", "low", "high"),
    [
        (0.5, 0.001, 0.4553, 0.5447),
        (0.5, 0.02, 0.3050, 0.6950),
        (0.1, 0.001, 0.0748, 0.1284),
        (0.1, 0.02, 0.0147, 0.2487),
    ],
)
def test_identified_set(r, epsilon, low, high):
    assert identified_set(r, epsilon) == pytest.approx((low, high), abs=6e-5)
    # with the curvature of the kernel, to second order
    bend = 0.25 * r * (1.0 - r)
    assert identified_set(r, epsilon, bend) == pytest.approx((low, high), abs=6e-4)
    wide = identified_set(r, epsilon, 0.5 * bend)
    assert wide[0] < low
    assert wide[1] > high


def test_identified_set_elsewhere():
    assert identified_set(0.5, 0.5) == (0.0, 1.0)
    assert identified_set(0.3, 0.0) == pytest.approx((0.3, 0.3))
    small = identified_set(0.3, 1e-6, eta=0.8)
    reach = np.sqrt(2e-6 / (0.8 * 0.2 * 0.3 * 0.7))
    np.testing.assert_allclose(
        log_odds(small), log_odds(0.3) + np.array([-reach, reach]), rtol=1e-3
    )
    for wrong in ((0.0, 0.1), (0.5, -0.1), (0.5, 0.1, 0.0)):
        with pytest.raises(ValueError, match="got"):
            identified_set(*wrong)


def test_curvature_of_the_kernel():
    candidates = share_of(log_odds(0.2) + np.linspace(-1.8, 1.8, 9))
    curve = Curve(0.2, candidates, Kernel(ratio(0.2), noise=0.0).payoffs(0.2, candidates).values)
    assert curvature(curve) == pytest.approx(0.25 * 0.2 * 0.8, rel=0.05)


@pytest.mark.parametrize(
    ("low", "high", "effect", "none"),
    [
        (0.25, 0.5, "supported", "refuted"),
        (0.1, 0.5, "undecided", "undecided"),
        (-0.1, 0.1, "refuted", "supported"),
        (-0.5, -0.3, "refuted", "refuted"),
        (-0.5, 0.1, "refuted", "undecided"),
        (-np.inf, np.inf, "undecided", "undecided"),
    ],
)
def test_verdicts(low, high, effect, none):
    interval = Estimate(0.5 * (low + high) if np.isfinite(low) else 0.0, low, high)
    assert judge(interval) == effect
    assert judge_no_effect(interval) == none
    assert judge(interval, 10.0) == ("refuted" if np.isfinite(high) else "undecided")
