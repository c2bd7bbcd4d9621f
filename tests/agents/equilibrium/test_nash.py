"""Equilibria of games whose answer is known: the kernel, votes, coordination, a payoff that is flat."""

from itertools import pairwise

import numpy as np
import pytest
from dtao_agents.equilibrium.game import log_odds, share_of
from dtao_agents.equilibrium.nash import (
    QUICK,
    NashSettings,
    first_order_condition,
    judge,
    multiple_starts,
    paired_difference,
    solve,
)

from tests.agents.equilibrium.analytic_games import (
    Capitalised,
    Flat,
    Kernel,
    Noise,
    fixed_point,
    ratio,
    share,
    votes,
)


def gap(result, r):
    """Log-odds of a result less those of a share."""
    return float(result.interval.value - log_odds(r))


@pytest.mark.parametrize("fit", ["all", "three"])
@pytest.mark.parametrize("r", [0.004, 0.03, 0.2, 0.5, 0.8, 0.97, 0.995])
def test_kernel_without_noise(r, fit):
    found = solve(Kernel(ratio(r), noise=0.0, world=0.0), 0.3, NashSettings(fit=fit))
    assert found.verdict == "solved"
    assert gap(found, r) == pytest.approx(0.0, abs=0.02)
    assert found.interval == pytest.approx((found.interval.value,) * 3, abs=0.02)
    assert found.slope == pytest.approx(0.0, abs=0.06)


@pytest.mark.parametrize("eta", [0.3, 0.8])
@pytest.mark.parametrize("r", [0.05, 0.3, 0.6])
def test_other_curvatures_stay_within_the_bias_that_is_stated(r, eta):
    weight = (r / (1.0 - r)) ** (1.0 - eta)
    for fit, bias in (("all", 0.07), ("three", 0.03)):
        game = Kernel(weight, noise=0.0, eta=eta)
        assert gap(solve(game, 0.3, NashSettings(fit=fit)), r) == pytest.approx(0.0, abs=bias)
    found = first_order_condition(Kernel(weight, noise=0.0, eta=eta), r)
    assert gap(found, r) == pytest.approx(0.0, abs=0.03)


# as the specification of the vote's closed form has them
@pytest.mark.parametrize(
    ("informed", "r"), [(0.0, 0.307692), (0.3, 0.414112), (0.5, 0.489231), (1.0, 0.692308)]
)
def test_votes_are_a_fixed_point(informed, r):
    assert fixed_point(lambda x: share(votes(informed)(x))) == pytest.approx(r, abs=1e-6)
    game = Kernel(votes(informed), noise=0.0)
    assert gap(solve(game, 0.1), r) == pytest.approx(0.0, abs=0.01)
    assert gap(first_order_condition(game, r), r) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("slope", [-0.6, -0.2, 0.5])
def test_slope_of_the_best_response_enters_the_interval(slope):
    # logit BR = 0.4 + slope * logit r: the fixed point is 0.4 / (1 - slope)
    def answer(r):
        return np.exp(0.5 * (0.4 + slope * log_odds(r)))

    truth = 0.4 / (1.0 - slope)
    sure = solve(Kernel(answer, noise=0.0), 0.3)
    assert sure.verdict == "solved"
    assert sure.slope == pytest.approx(slope, abs=0.05)
    assert sure.interval.value == pytest.approx(truth, abs=0.05)
    # the last curve and its shifted twin give the fixed point itself, wherever the iterates stopped
    assert sure.fixed_point.value == pytest.approx(truth, abs=0.03)
    widths = []
    for measured in (False, True):
        settings = NashSettings(measure_slope=measured, tolerance=1e-3, max_iterations=20)
        found = solve(Kernel(answer, seeds=256), 0.3, settings)
        widths.append(found.interval.high - found.interval.low)
    assert widths[1] / widths[0] == pytest.approx(1.0 / (1.0 - slope), rel=0.12)
    wide = first_order_condition(Kernel(answer, seeds=256), float(share_of(truth))).interval
    assert (wide.high - wide.low) == pytest.approx(widths[1], rel=0.15)


def test_capitalisation_follows_the_iterates():
    def answer(r):
        return share(1.5 * np.sqrt(500.0 / Capitalised.estimate(r)))

    truth = fixed_point(answer)
    game = Capitalised(noise=0.0)
    found = solve(game, 0.5, NashSettings(max_iterations=12, tolerance=0.01))
    assert found.verdict == "solved"
    assert gap(found, truth) == pytest.approx(0.0, abs=0.02)
    assert found.capitalisation == game.capitalisation
    assert found.capitalisation == pytest.approx(Capitalised.estimate(truth), rel=0.01)
    near = found.iterates[1:]
    for before, after in pairwise(near):
        estimate = Capitalised.estimate(before.population)
        assert after.capitalisation == pytest.approx(0.5 * (before.capitalisation + estimate))
    # c_bar moves with the population when the slope is measured, and is put back
    step = 1e-4
    ends = [float(log_odds(answer(share_of(log_odds(truth) + s)))) for s in (-step, step)]
    assert found.slope == pytest.approx((ends[1] - ends[0]) / (2.0 * step), abs=0.04)
    root = first_order_condition(game, truth)
    assert gap(root, truth) == pytest.approx(0.0, abs=0.01)
    assert game.capitalisation == found.capitalisation


@pytest.mark.parametrize("noise", [0.0, 1e-13, 0.2])
def test_flat_payoff_is_indeterminate(noise):
    for settings in (NashSettings(), NashSettings(grid_wide=0)):
        found = solve(Flat(noise), 0.3, settings)
        assert found.verdict == "indeterminate"
        assert found.research_share is None
        assert found.interval is None
        assert found.iterates == ()
    with pytest.raises(ValueError, match="indeterminate"):
        paired_difference(found, found)
    assert multiple_starts(Flat(noise)).distinct == ()
    condition = first_order_condition(Flat(noise), 0.3)
    assert condition.research_share is None
    with pytest.raises(ValueError, match="indeterminate"):
        paired_difference(condition, condition)


@pytest.mark.parametrize(("seeds", "jumps"), [(64, 0.0), (64, 0.2), (256, 0.05)])
def test_interval_covers_the_truth(seeds, jumps):
    # pay as unequal as e^normal(0.8): 200 replications have a standard error of 1.5 points
    truth = log_odds(0.3)
    settings = QUICK.model_copy(update={"resamples": 600})
    inside = np.zeros(2)
    for replication in range(200):
        game = Kernel(ratio(0.3), seeds=seeds, jumps=jumps, seed=replication)
        results = [solve(game, 0.25, settings)]
        if seeds > 64 or not jumps:  # else too few seeds jump between two points so close
            results.append(first_order_condition(game, 0.3, settings))
        for kind, found in enumerate(results):
            inside[kind] += found.interval.low <= truth <= found.interval.high
    assert np.all(inside[: len(results)] >= 180)
    assert np.all(inside <= 199)


def test_noise_has_no_first_order_condition():
    answers = [first_order_condition(Noise(seed), 0.3) for seed in range(100)]
    assert sum(answer.research_share is not None for answer in answers) <= 7


def test_jumps_widen_and_seeds_narrow():
    def width(**options):
        interval = solve(Kernel(1.0, **options), 0.5, QUICK).interval
        return interval.high - interval.low

    assert width(jumps=0.5, seeds=1024) > 1.3 * width(seeds=1024)
    assert width() > 2.0 * width(seeds=1024)


def test_interval_includes_iterates():
    game = Kernel(lambda r: np.exp(0.5 * 0.85 * log_odds(r)), noise=0.02, seeds=400)
    found = solve(game, 0.1, NashSettings(max_iterations=5))
    assert found.verdict == "not converged"
    assert not found.converged
    settled = log_odds([iterate.research_share for iterate in found.iterates[-3:]])
    assert found.interval.value == pytest.approx(settled.mean())
    assert found.iterate_spread == pytest.approx(np.ptp(settled))
    assert found.interval.low <= settled.min()
    assert found.interval.high >= settled.max()
    # the last curve knows better than the iterates, and the interval knows that
    assert found.fixed_point.value == pytest.approx(0.0, abs=0.4)
    assert found.interval.high >= found.fixed_point.value


def test_coordination_has_two_equilibria():
    game = Kernel(lambda r: np.exp(1.5 * np.tanh(log_odds(r))))
    found = multiple_starts(game, QUICK)
    assert found.multiple
    truth = fixed_point(lambda r: share_of(3.0 * np.tanh(log_odds(r))) if r > 0.5 else 1.0)
    sure = multiple_starts(Kernel(game.ratio, noise=0.0)).distinct
    assert sure == pytest.approx((1.0 - truth, truth), abs=0.002)
    assert len(found.equilibria) == 4


def test_one_equilibrium_from_four_starts():
    found = multiple_starts(Kernel(votes(0.3)))
    assert not found.multiple
    assert len(found.distinct) == 1
    assert [e.verdict for e in found.equilibria] == ["solved"] * 4
    places = [e.interval.value for e in found.equilibria]
    assert np.ptp(places) < 0.03


@pytest.mark.parametrize(("weight", "end"), [(1e-4, 0.002), (1e4, 0.998)])
def test_corner(weight, end):
    game = Kernel(weight)
    found = solve(game, 0.5)
    assert found.verdict == "solved"
    assert found.research_share == pytest.approx(end, abs=1e-4)
    assert found.interval.low >= log_odds(0.002) - 1e-9
    assert found.interval.high <= log_odds(0.998) + 1e-9
    for population, candidates in game.asked:
        assert 0.002 <= population <= 0.998
        assert np.all(np.diff(candidates) > 0.0)
        assert candidates[0] >= 0.002
        assert candidates[-1] <= 0.998


def test_grid_steps_after_a_best_response_beyond_its_edge():
    game = Kernel(ratio(0.97), noise=0.0)
    found = solve(game, 0.03, NashSettings(grid_wide=0, max_iterations=10))
    assert found.verdict == "solved"
    assert gap(found, 0.97) == pytest.approx(0.0, abs=0.02)
    # the first population met several grids, the last within reach of the best response
    assert found.iterates[0].population == pytest.approx(0.03)
    assert found.iterates[0].best_response == pytest.approx(0.97, abs=0.01)


def test_the_same_run_twice_differs_by_nothing():
    for jumps in (0.0, 0.3):
        first, second = (solve(Kernel(votes(0.3), jumps=jumps), 0.2, QUICK) for _ in range(2))
        assert paired_difference(first, second) == (0.0, 0.0, 0.0)
        conditions = [first_order_condition(Kernel(1.2, 1024, jumps=jumps), 0.6) for _ in range(2)]
        assert paired_difference(*conditions) == (0.0, 0.0, 0.0)


def test_pairing_removes_common_noise():
    one, other = (solve(Kernel(w, noise=0.6, seeds=128), 0.4) for w in (1.0, 1.25))
    difference = paired_difference(other, one)
    assert difference.value == pytest.approx(2.0 * np.log(1.25), abs=0.02)
    assert difference.low <= 2.0 * np.log(1.25) <= difference.high
    alone = one.interval.high - one.interval.low
    assert difference.high - difference.low < 0.3 * alone
    back = paired_difference(one, other)
    assert back.value == -difference.value
    assert judge(difference) == "supported"
    with pytest.raises(ValueError, match="allowed are equal pairs"):
        paired_difference(one, solve(Kernel(1.0, seeds=64), 0.4))


def test_quick_plan_keeps_its_budget():
    game = Kernel(1.0)
    found = solve(game, 0.4, QUICK)
    assert len(found.iterates) == 4
    assert game.runs == 12 + 3 * 7 + 4
    game = Kernel(1.0)
    solve(game, 0.4, QUICK.model_copy(update={"grid_wide": 0, "measure_slope": False}))
    assert game.runs <= 4 * 7


def test_refusals():
    with pytest.raises(ValueError, match="start: got"):
        solve(Kernel(1.0), 1.0)
    broken = Kernel(1.0)
    broken.scale[3] = np.nan
    with pytest.raises(ValueError, match="payoffs: got shape"):
        solve(broken, 0.5)
    for wrong in ({"grid_near": 8}, {"grid_wide": 2}, {"wide_low": 5.0}, {"damping": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            NashSettings(**wrong)
