"""Nash equilibria of builders in constant research shares, by best responses on common random numbers.

`solve` searches from one start: a wide grid of candidates finds the neighbourhood, then grids around the population's
own share give damped best responses on the log-odds until they converge. `first_order_condition` confirms a result on
other seeds. Statistics are in `dtao_agents.equilibrium.inference`; an equilibrium keeps its last payoff curves, so that
two of them can be compared over the same resampled seeds (`paired_difference`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from dtao_agents.equilibrium.game import (
    HIGHEST,
    LOWEST,
    Curve,
    Payoffs,
    ShareGame,
    adopt_capitalisation,
    evaluate,
    grid_of,
    log_odds,
    share_of,
)
from dtao_agents.equilibrium.inference import (
    best_deviation,
    best_response,
    curvature,
    fixed_point,
    identified_set,
    is_flat,
    judge,
    judge_no_effect,
    paired_difference,
    response_slope,
    root_of_pairs,
    widened,
)
from dtao_agents.equilibrium.nash_settings import QUICK, NashSettings
from dtao_agents.evaluation.statistics import Estimate, Resampled, bca_interval

__all__ = [
    "QUICK",
    "Equilibrium",
    "FirstOrderCondition",
    "Iterate",
    "NashSettings",
    "Payoffs",
    "ShareGame",
    "Starts",
    "best_deviation",
    "first_order_condition",
    "identified_set",
    "judge",
    "judge_no_effect",
    "multiple_starts",
    "paired_difference",
    "solve",
]

SETTLED_ITERATES = 3
"""The reported share is the mean of this many last iterates."""

GRID_STEPS = 3
"""Largest number of times that a near grid follows a best response beyond its edge in one iterate."""


class Iterate(NamedTuple):
    """One grid: the population, its best response, and the damped step between, `research_share`."""

    population: float
    best_response: float
    research_share: float
    capitalisation: float | None


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A symmetric equilibrium in constant research shares, or why there is none.

    Attributes
    ----------
    verdict : {"solved", "not converged", "indeterminate"}
        "indeterminate" if the payoff does not depend on the research share: then there is no number.
    research_share : float, optional
        From the mean log-odds of the last three iterates of near grids.
    interval : Estimate, optional
        Log-odds with 95 % BCa bounds over seeds, widened by the last iterates and by the fixed point that the last curve
        itself implies.
    iterates : tuple of Iterate
        Every grid, the wide one first.
    iterate_spread : float, optional
        Largest less smallest log-odds of the last three iterates.
    slope : float, optional
        Slope of the best response in the population's share, angles; None if not measured.
    epsilon : Estimate, optional
        Profit of the best deviation from the last population.
    curvature : float, optional
        -J''/J there, per squared log-odds, for `identified_set`.
    capitalisation : float, optional
        c_bar at the end, days; None where it is fixed.
    settled : tuple of float
        Log-odds of the last iterates.
    fixed_point : Resampled, optional
        The fixed point over resampled seeds.
    curve, shifted : Curve, optional
        Payoffs of the last grid, and of the shifted population if there was one.
    """

    verdict: Literal["solved", "not converged", "indeterminate"]
    research_share: float | None = None
    interval: Estimate | None = None
    iterates: tuple[Iterate, ...] = ()
    iterate_spread: float | None = None
    slope: float | None = None
    epsilon: Estimate | None = None
    curvature: float | None = None
    capitalisation: float | None = None
    settled: tuple[float, ...] = field(default=(), repr=False)
    fixed_point: Resampled | None = field(default=None, repr=False)
    curve: Curve | None = field(default=None, repr=False)
    shifted: Curve | None = field(default=None, repr=False)

    @property
    def converged(self) -> bool:
        """Whether the last iterate moved less than the tolerance."""
        return self.verdict == "solved"


class FirstOrderCondition(NamedTuple):
    """Root of the first-order condition, with its interval and the inputs of a paired difference.

    Attributes
    ----------
    populations : (float, float)
        Shares at which all others played.
    marginal : (float, float)
        Mean of J(logit r + d) - J(logit r - d) at each.
    research_share, interval, fixed_point
        None if the payoff is flat, or its curvature no more than noise.
    settled : tuple of float
        Empty.
    """

    populations: tuple[float, float]
    marginal: tuple[float, float]
    research_share: float | None = None
    interval: Estimate | None = None
    fixed_point: Resampled | None = None
    settled: tuple[float, ...] = ()


class Starts(NamedTuple):
    """Equilibria by start, and the distinct shares among those that were solved.

    Attributes
    ----------
    equilibria : tuple of Equilibrium
        In the order of the starts.
    distinct : tuple of float
        Distinct shares, increasing.
    multiple : bool
        Whether there is more than one. Equilibria that repel best responses are not found.
    """

    equilibria: tuple[Equilibrium, ...]
    distinct: tuple[float, ...]
    multiple: bool


def solve(game: ShareGame, start: float, settings: NashSettings | None = None) -> Equilibrium:
    """Return the equilibrium that damped best responses reach from `start`, a share.

    The wide grid only finds the neighbourhood: its population is arbitrary, so the step from it is not damped and
    c_bar stays. Every later grid lies around the population's share, moves the population by `damping` of the way to
    the best response, and c_bar half of the way to its estimate. It is solved if neither the last step nor that of
    ln c_bar exceeds the tolerance, and stops once three iterates lie within it, so that their mean has no transient.
    The game keeps the last c_bar.

    Raises
    ------
    ValueError
        A start outside 0..1, or payoffs that are not finite.
    """
    settings = settings or NashSettings()
    if not 0.0 < start < 1.0:
        raise ValueError(f"start: got {start}, allowed is between 0 and 1")
    place = float(np.clip(log_odds(start), LOWEST, HIGHEST))
    iterates: list[Iterate] = []
    if settings.grid_wide:
        grid = np.linspace(settings.wide_low, settings.wide_high, settings.grid_wide)
        curve, _ = evaluate(game, place, grid_of(grid))
        if is_flat(curve.values):
            return Equilibrium("indeterminate", capitalisation=game.capitalisation)
        best = best_response(curve.candidates, curve.values.mean(axis=0), "three").log_odds
        iterates.append(_iterate(place, best, best, game.capitalisation))
        place = best

    path: list[float] = []
    while True:
        curve, best, estimate = _near(game, place, settings)
        if not iterates and is_flat(curve.values):
            return Equilibrium("indeterminate", capitalisation=game.capitalisation)
        following = place + settings.damping * (best - place)
        used, game.capitalisation = game.capitalisation, _halfway(game.capitalisation, estimate)
        iterates.append(_iterate(place, best, following, used))
        path.append(following)
        change = max(abs(following - place), _log_change(used, game.capitalisation))
        converged = change < settings.tolerance
        place = following
        last = path[-SETTLED_ITERATES:]
        settled = converged and len(last) == SETTLED_ITERATES and np.ptp(last) < settings.tolerance
        if settled or len(iterates) >= settings.max_iterations:
            return _close(game, settings, curve, iterates, path, converged)


def multiple_starts(
    game: ShareGame, settings: NashSettings | None = None, starts: Sequence[float] | None = None
) -> Starts:
    """Run `solve` from each start, by default `settings.starts`, each with the present c_bar.

    Solved shares further apart than `settings.distinct` in log-odds count as distinct. The game keeps the c_bar of the
    last start.
    """
    settings = settings or NashSettings()
    capitalisation = game.capitalisation
    equilibria = []
    for start in settings.starts if starts is None else starts:
        game.capitalisation = capitalisation
        equilibria.append(solve(game, start, settings))
    solved = sorted(e.research_share for e in equilibria if e.converged)
    distinct: list[float] = []
    for share in solved:
        if not distinct or log_odds(share) - log_odds(distinct[-1]) > settings.distinct:
            distinct.append(share)
    return Starts(tuple(equilibria), tuple(distinct), len(distinct) > 1)


def first_order_condition(
    game: ShareGame, research_share: float, settings: NashSettings | None = None
) -> FirstOrderCondition:
    """Return the root of the first-order condition near a known research share.

    The root of D = J(logit r + d) - J(logit r - d) in the population's r, with d = `logit_step`.
    Two passes: D, over the level of pay, at `research_share` and at `population_step` from it on the side of the root.
    The root of the line through both is resampled over seeds, so the slope of D, which includes the reaction of the best
    response to the population, is resampled with it. No iterate enters. Points so close suffice at 2,048 seeds; at 64,
    where single seeds jump, the interval of `solve` is narrower and covers better. The skew of the payoff in log-odds
    moves the root by up to 0.02 away from a half.
    Where c_bar is estimated, the second pass runs at that of its own population, found by one run more; the first
    takes the c_bar that the game has, and the game keeps it.
    """
    settings = settings or NashSettings()
    step = settings.logit_step
    place = float(np.clip(log_odds(research_share), LOWEST + step, HIGHEST - step))
    kept = game.capitalisation
    first = _pair(game, place, step)
    below, above = first.mean(axis=0)
    toward = 1.0 if above >= below else -1.0
    other = float(np.clip(place + toward * settings.population_step, LOWEST + step, HIGHEST - step))
    if other == place:  # at the end of the range: look back
        other = place - toward * settings.population_step
    adopt_capitalisation(game, other)
    second = _pair(game, other, step)
    game.capitalisation = kept

    populations = float(share_of(place)), float(share_of(other))
    marginal = float(above - below), float(np.diff(second.mean(axis=0))[0])
    resampled = root_of_pairs((first, second), place, other, settings.resamples)
    if resampled is None:
        return FirstOrderCondition(populations, marginal)
    share = float(share_of(resampled.value))
    return FirstOrderCondition(populations, marginal, share, bca_interval(resampled), resampled)


def _near(game: ShareGame, place: float, settings: NashSettings) -> tuple[Curve, float, float]:
    """Last curve around a population, its best response in log-odds, and the c_bar of the run."""
    offsets = np.linspace(-settings.half_width, settings.half_width, settings.grid_near)
    centre = place
    for _ in range(GRID_STEPS + 1):
        curve, estimate = evaluate(game, place, grid_of(centre + offsets))
        best, edge = best_response(curve.candidates, curve.values.mean(axis=0), settings.fit)
        if edge == 0 or best - LOWEST < 1e-6 or HIGHEST - best < 1e-6:
            break
        centre = best
    return curve, best, estimate


def _close(
    game: ShareGame,
    settings: NashSettings,
    curve: Curve,
    iterates: list[Iterate],
    path: list[float],
    converged: bool,
) -> Equilibrium:
    """The equilibrium of a finished search: slope, interval, best deviation."""
    shifted = _shifted(game, curve, settings) if settings.measure_slope else None
    resampled = fixed_point(curve, shifted, settings.resamples)
    settled = tuple(path[-SETTLED_ITERATES:])
    value = float(np.mean(settled))
    bounds = widened(value, bca_interval(resampled), settled)
    own = np.isclose(curve.candidates, curve.population, rtol=0.0, atol=1e-9).any()
    return Equilibrium(
        "solved" if converged else "not converged",
        float(share_of(value)),
        Estimate(value, *np.clip(bounds[1:], LOWEST, HIGHEST).tolist()),
        tuple(iterates),
        float(np.ptp(settled)),
        None if shifted is None else response_slope(curve, shifted),
        # a grid that followed a best response far away may have left the population behind
        best_deviation(
            Payoffs(curve.values, 0.0), curve.candidates, curve.population, settings.resamples
        )
        if own
        else None,
        curvature(curve),
        game.capitalisation,
        settled,
        resampled,
        curve,
        shifted,
    )


def _shifted(game: ShareGame, curve: Curve, settings: NashSettings) -> Curve:
    """Every second candidate of a curve again, the population nearer to a half and with its own c_bar."""
    here = float(log_odds(curve.population))
    place = here + (settings.population_step if here < 0.0 else -settings.population_step)
    kept = game.capitalisation
    adopt_capitalisation(game, place)
    every = 2 if len(curve.candidates) >= 5 else 1
    shifted, _ = evaluate(game, place, curve.candidates[::every])
    game.capitalisation = kept
    return shifted


def _pair(game: ShareGame, place: float, step: float) -> np.ndarray:
    """Payoffs a step below and a step above the population's log-odds, `(seeds, 2)`."""
    return evaluate(game, place, share_of(np.array([place - step, place + step])))[0].values


def _iterate(place: float, best: float, following: float, used: float | None) -> Iterate:
    """An iterate from log-odds."""
    return Iterate(float(share_of(place)), float(share_of(best)), float(share_of(following)), used)


def _halfway(used: float | None, estimate: float) -> float | None:
    """c_bar of the next iterate: the average of old and new; None stays."""
    return None if used is None else 0.5 * (used + estimate)


def _log_change(used: float | None, following: float | None) -> float:
    """Change of ln c_bar; 0 where it is fixed."""
    return 0.0 if used is None or following is None else abs(float(np.log(following / used)))
