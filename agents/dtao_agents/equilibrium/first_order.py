"""Symmetric equilibria of many builders from the first-order condition, with standard errors and a target width.

`solve_slots` looks for the population at which no builder gains from a small change of its own strategy
(`dtao_agents.equilibrium.slot_design`) and at which readers' c_bar is what the market turns out to be worth. It goes by Newton
steps over pilot worlds that are not used again. In the last pass the centre stays: some blocks are also played at moved
populations, one for each unknown, which gives the slopes on common shocks. Blocks are added where a world narrows the interval
most, at the centre or at the moved populations, until it is as narrow as asked or the budget ends. The root of the linear
system, and of the systems without one block (jackknife), are the result.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from dtao_agents.equilibrium.game import HIGHEST_SHARE, LOWEST_SHARE, angle, log_odds
from dtao_agents.equilibrium.slot_design import SlotGame, residuals
from dtao_agents.equilibrium.slot_records import Parameter, SlotEquilibrium, SlotSettings
from dtao_agents.equilibrium.slot_sampling import Sample, Search
from dtao_agents.evaluation.statistics import COVERAGE, Estimate

FIRST_SLOPE = -0.25
"""Slope of the relative marginal payoff in the angle before it is measured: -eta (1 - eta), see `closed_forms`."""
LONGEST_STEP = 0.6
"""Longest Newton step, angle."""
ANGLES = (float(angle(LOWEST_SHARE)), float(angle(HIGHEST_SHARE)))
"""Range of the angle of a share."""


def solve_slots(
    game: SlotGame,
    start: np.ndarray,
    capitalisation: float | None,
    first_seed: int,
    settings: SlotSettings | None = None,
    on_progress: Callable[[float], Any] = lambda part: None,
) -> SlotEquilibrium:
    """Solve a game of builders for the population at which nobody gains from a small deviation.

    Parameters
    ----------
    game : SlotGame
        The market.
    start : `(classes, decisions)`
        First population.
    capitalisation : float, optional
        First c_bar in days; None where the game needs none.
    first_seed : int
        First world seed of the last pass, below 2**40.
    settings : SlotSettings, optional
        Sizes and budget.
    on_progress : callable
        Called with the finished part of the budget.

    Returns
    -------
    SlotEquilibrium

    Raises
    ------
    ValueError
        A start of another shape or out of bounds, or a c_bar where there must be none or the reverse.
    """
    settings = settings or SlotSettings()
    search = Search(game, settings, first_seed, on_progress)
    began = time.process_time()
    unknowns = _first_unknowns(search, start, capitalisation)
    passes = [unknowns]
    jacobian = _first_jacobian(search)
    for _ in range(settings.pilot_passes):
        here = passes[-1]
        sums = search.sums(
            here, search.steps(here), search.next_pilots(), range(settings.pilot_blocks)
        )
        condition = residuals(sums.sum(0), search.point(here))
        passes.append(search.fix_bounds(_stepped(search, here, condition, jacobian), condition))
    for _ in range(settings.slope_passes):
        here = passes[-1]
        sample = Sample(search, here, search.next_pilots())
        sample.add_slopes(settings.pilot_blocks)
        condition, jacobian = _linear(
            search, here, sample.centre.sum(0), sample.centre, sample.moved
        )
        passes.append(search.fix_bounds(_stepped(search, here, condition, jacobian), condition))
        if np.abs(passes[-1] - here)[: search.n].max() < settings.settled:
            break
    return _last_pass(search, passes, first_seed, began)


def _first_unknowns(search: Search, start: np.ndarray, capitalisation: float | None) -> np.ndarray:
    start = np.asarray(start, float)
    low, high = search.game.bounds
    if start.shape != search.shape or (start < low).any() or (start > high).any():
        raise ValueError(
            f"start: got {start.tolist()}, allowed are {search.shape} numbers within {search.game.bounds.tolist()}"
        )
    if search.game.estimated != (capitalisation is not None):
        allowed = "a number" if search.game.estimated else "None"
        raise ValueError(f"capitalisation: got {capitalisation!r}, allowed is {allowed}")
    return start.ravel() if capitalisation is None else np.append(start, np.log(capitalisation))


def _first_jacobian(search: Search) -> np.ndarray:
    """Slopes before they are measured: each condition falls in its own unknown."""
    diagonal = np.full(search.n + search.game.estimated, FIRST_SLOPE)
    if search.game.estimated:
        diagonal[-1] = -1.0
    return np.diag(diagonal)


def _stepped(
    search: Search, here: np.ndarray, condition: np.ndarray, jacobian: np.ndarray
) -> np.ndarray:
    """Newton's step, of limited length and within bounds; an unknown whose slope does not fall follows the gain."""
    diagonal = np.diag(jacobian)
    safe = jacobian.copy()
    for k in np.flatnonzero(diagonal >= 0.2 * FIRST_SLOPE):
        safe[k] = 0.0
        safe[k, k] = FIRST_SLOPE
    step = np.linalg.solve(safe, -condition)
    return search.bounded(here + np.clip(step, -LONGEST_STEP, LONGEST_STEP))


def _linear(
    search: Search,
    here: np.ndarray,
    total: np.ndarray,
    centre: np.ndarray,
    moved: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Conditions from the sums of all blocks, and their slopes in the free unknowns from the blocks of all points.

    The slope of a condition whose unknown is fixed is that of `FIRST_SLOPE`.
    """
    condition = residuals(total, search.point(here))
    at_centre = residuals(centre.sum(axis=0), search.point(here))
    shifts = search.shifts(here)
    jacobian = _first_jacobian(search)
    for sums, k in zip(moved, np.flatnonzero(search.free), strict=True):
        shifted = here.copy()
        shifted[k] += shifts[k]
        change = residuals(sums.sum(axis=0), search.point(shifted)) - at_centre
        jacobian[:, k] = change / shifts[k]
    return condition, jacobian


def _last_pass(
    search: Search, passes: Sequence[np.ndarray], first_seed: int, began: float
) -> SlotEquilibrium:
    """Sampling about the last centre until the slopes are resolved and the interval is narrow enough."""
    settings, here = search.settings, passes[-1]
    sample = Sample(search, here, first_seed)
    sample.add_slopes(settings.slope_blocks)
    sample.add_centre(settings.least_blocks)
    parameters, root = _parameters(search, here, sample)
    while not _resolved(parameters, sample) and sample.slope_blocks < settings.most_slope_blocks:
        sample.add_slopes(settings.slope_blocks)
        parameters, root = _parameters(search, here, sample)
    resolved = _resolved(parameters, sample)
    while resolved and _widest(parameters) > settings.half_width and sample.spent < 1.0:
        search.on_progress(sample.spent)
        sample.add_where_it_helps(_most_uncertain(parameters))
        parameters, root = _parameters(search, here, sample)
        resolved = _resolved(parameters, sample)
    outside = np.abs(search.bounded(root) - root)[: search.n] > 1e-9
    bounded = outside.any() or not search.free.all()
    return SlotEquilibrium(
        ("at a bound" if bounded else "solved") if resolved else "indeterminate",
        "width" if _widest(parameters) <= settings.half_width else "budget",
        search.bounded(root)[: search.n].reshape(search.shape),
        tuple(parameters) if resolved else (),
        tuple(name for name, free in zip(search.names, search.free, strict=False) if not free),
        float(np.exp(root[-1])) if search.game.estimated else None,
        len(sample.centre),
        sample.slope_blocks,
        search.worlds,
        tuple(each[: search.n].reshape(search.shape) for each in passes),
        time.process_time() - began,
    )


def _widest(parameters: Sequence[Parameter]) -> float:
    """Half-width of the widest interval, 0 without any."""
    return max((p.half_width for p in parameters), default=0.0)


def _most_uncertain(parameters: Sequence[Parameter]) -> np.ndarray:
    """Influences of the blocks on the parameter with the widest interval."""
    return max(parameters, key=lambda p: p.half_width).deviations


def _resolved(parameters: Sequence[Parameter], sample: Sample) -> bool:
    """Whether every marginal payoff falls beyond noise."""
    critical = stats.t.ppf(0.5 + 0.5 * COVERAGE, sample.slope_blocks - 1)
    return all(p.slope + critical * p.slope_error < 0.0 for p in parameters)


def _parameters(
    search: Search, here: np.ndarray, sample: Sample
) -> tuple[list[Parameter], np.ndarray]:
    """Roots with their jackknife over blocks."""
    centre, moved = sample.centre, sample.moved
    blocks, slope_blocks = len(centre), sample.slope_blocks
    total = centre.sum(axis=0)

    def root(without: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        kept = np.ones(slope_blocks, bool)
        rest = total
        if without is not None:
            rest = total - centre[without]
            if without < slope_blocks:
                kept[without] = False
        condition, jacobian = _linear(
            search, here, rest, centre[:slope_blocks][kept], moved[:, kept]
        )
        free = search.free
        unknowns = here.copy()
        unknowns[free] += _solution(jacobian[np.ix_(free, free)], -condition[free])
        return unknowns, _readable(search, unknowns), np.diag(jacobian)

    unknowns, value, slopes = root(None)
    parts = [root(b) for b in range(blocks)]
    left_out = np.array([readable for _, readable, _ in parts])
    slopes_left_out = np.array([slope for _, _, slope in parts[:slope_blocks]])
    deviations = (blocks - 1) * (left_out.mean(axis=0) - left_out)
    errors = np.sqrt((deviations**2).mean(axis=0) / (blocks - 1))
    spread = (slopes_left_out - slopes_left_out.mean(axis=0)) ** 2
    slope_errors = np.sqrt((slope_blocks - 1) * spread.mean(axis=0))
    reach = float(stats.t.ppf(0.5 + 0.5 * COVERAGE, blocks - 1))
    parameters = [
        Parameter(
            search.names[k],
            Estimate(
                float(value[k]),
                float(value[k] - reach * errors[k]),
                float(value[k] + reach * errors[k]),
            ),
            float(errors[k]),
            float(slopes[k]),
            float(slope_errors[k]),
            deviations[:, k],
        )
        for k in range(search.n)
        if search.free[k]
    ]
    return parameters, unknowns


def _solution(jacobian: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solution of a linear system, by least squares where it is singular."""
    return np.linalg.lstsq(jacobian, right, rcond=1e-10)[0]


def _readable(search: Search, unknowns: np.ndarray) -> np.ndarray:
    """Log-odds of shares, coefficients as they are, in the order of the population."""
    values = unknowns[: search.n].reshape(search.shape).copy()
    for k, decision in enumerate(search.game.decisions):
        if decision.endswith("share"):
            share = np.sin(0.5 * np.clip(values[:, k], *ANGLES)) ** 2
            values[:, k] = log_odds(share)
    return values.ravel()
