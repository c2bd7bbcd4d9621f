"""Symmetric equilibria of many builders from the first-order condition, with standard errors and a target width.

`solve_slots` looks for the population at which no builder gains from a small change of its own strategy
(`dtao_agents.equilibrium.slot_design`) and at which readers' c_bar is what the market turns out to be worth. It goes by Newton
steps over pilot worlds that are not used again. In the last pass the centre stays: some blocks are also played at moved
populations, one for each unknown, which gives the slopes on common shocks, and blocks are added at the centre until the interval
is as narrow as asked or the budget ends. The root of the linear system, and of the systems without one block (jackknife),
are the result.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from dtao_agents.equilibrium.game import HIGHEST_SHARE, LOWEST_SHARE, angle, log_odds
from dtao_agents.equilibrium.slot_design import Point, SlotGame, block_sums, residuals
from dtao_agents.equilibrium.slot_records import Parameter, SlotEquilibrium, SlotSettings
from dtao_agents.evaluation.statistics import COVERAGE, Estimate

FIRST_SLOPE = -0.25
"""Slope of the relative marginal payoff in the angle before it is measured: -eta (1 - eta), see `closed_forms`."""
LONGEST_STEP = 0.6
"""Longest Newton step, angle."""
PILOT_SEEDS = 2**41
"""Distance of the seeds of pilot passes from each other and from those of the last pass, which lie below 2**40."""
NEAR_BOUND = 0.03
"""Distance from a bound at which an unknown may be fixed on it."""
ANGLES = (float(angle(LOWEST_SHARE)), float(angle(HIGHEST_SHARE)))
"""Range of the angle of a share."""


class _Search:
    """The state of one solution: what is unknown, where the search is, and what it has cost."""

    def __init__(
        self,
        game: SlotGame,
        settings: SlotSettings,
        first_seed: int,
        on_progress: Callable[[float], Any],
    ):
        self.game, self.settings, self.on_progress = game, settings, on_progress
        self.shape = len(game.classes), len(game.decisions)
        self.n = self.shape[0] * self.shape[1]
        self.worlds = 0
        self.pilot_seed = first_seed
        self.free = np.ones(self.n + game.estimated, bool)
        """Unknowns that are solved for; the others are at a bound and stay there."""
        self.names = [f"{c}, {d}" if c else d for c in game.classes for d in game.decisions]

    def point(self, unknowns: np.ndarray) -> Point:
        """Population and c_bar of a vector of unknowns."""
        population = unknowns[: self.n].reshape(self.shape)
        return Point(population, float(np.exp(unknowns[-1])) if self.game.estimated else None)

    def steps(self, unknowns: np.ndarray) -> np.ndarray:
        """Deviations that keep all classes within their bounds."""
        population = unknowns[: self.n].reshape(self.shape)
        low, high = self.game.bounds
        room = np.minimum(population - low, high - population).min(axis=0)
        return np.clip(0.9 * room, 0.02, self.settings.deviation)

    def shifts(self, unknowns: np.ndarray) -> np.ndarray:
        """Shifts of each unknown for the slopes, toward the middle of its range."""
        middle = np.broadcast_to(self.game.bounds.mean(axis=0), self.shape).ravel()
        toward = np.where(unknowns[: self.n] < middle, 1.0, -1.0) * self.settings.population_step
        if not self.game.estimated:
            return toward
        return np.append(toward, self.settings.capitalisation_step)

    def sums(self, unknowns: np.ndarray, steps: np.ndarray, first_seed: int, numbers) -> np.ndarray:
        """Sums of blocks at a point."""
        found = block_sums(self.game, self.point(unknowns), steps, first_seed, list(numbers))
        pairs = 1 << (self.game.slots * len(self.game.decisions) - 1).bit_length()
        self.worlds += 2 * pairs * len(found)
        return found

    def fix_bounds(self, here: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """Put the unknowns that payoffs push against a bound onto it, and keep them there."""
        low, high = (np.broadcast_to(b, self.shape).ravel() for b in self.game.bounds)
        place, gain = here[: self.n], condition[: self.n]
        at_low, at_high = (
            (place - low < NEAR_BOUND) & (gain < 0.0),
            (high - place < NEAR_BOUND) & (gain > 0.0),
        )
        self.free[: self.n] = ~(at_low | at_high)
        fixed = here.copy()
        fixed[: self.n] = np.where(at_low, low, np.where(at_high, high, place))
        return fixed

    def bounded(self, unknowns: np.ndarray) -> np.ndarray:
        """Unknowns within the bounds of their decisions."""
        low, high = (np.broadcast_to(b, self.shape).ravel() for b in self.game.bounds)
        inside = unknowns.copy()
        inside[: self.n] = np.clip(unknowns[: self.n], low, high)
        return inside

    def next_pilots(self) -> int:
        """First seed of pilot worlds that have not been used."""
        self.pilot_seed += PILOT_SEEDS
        return self.pilot_seed


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
    search = _Search(game, settings, first_seed, on_progress)
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
        centre, moved = _all_points(search, here, search.next_pilots(), settings.pilot_blocks)
        condition, jacobian = _linear(search, here, centre.sum(0), centre, moved)
        passes.append(search.fix_bounds(_stepped(search, here, condition, jacobian), condition))
        if np.abs(passes[-1] - here)[: search.n].max() < settings.settled:
            break
    return _last_pass(search, passes, first_seed, began)


def _first_unknowns(search: _Search, start: np.ndarray, capitalisation: float | None) -> np.ndarray:
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


def _first_jacobian(search: _Search) -> np.ndarray:
    """Slopes before they are measured: each condition falls in its own unknown."""
    diagonal = np.full(search.n + search.game.estimated, FIRST_SLOPE)
    if search.game.estimated:
        diagonal[-1] = -1.0
    return np.diag(diagonal)


def _stepped(
    search: _Search, here: np.ndarray, condition: np.ndarray, jacobian: np.ndarray
) -> np.ndarray:
    """Newton's step, of limited length and within bounds; an unknown whose slope does not fall follows the gain."""
    diagonal = np.diag(jacobian)
    safe = jacobian.copy()
    for k in np.flatnonzero(diagonal >= 0.2 * FIRST_SLOPE):
        safe[k] = 0.0
        safe[k, k] = FIRST_SLOPE
    step = np.linalg.solve(safe, -condition)
    return search.bounded(here + np.clip(step, -LONGEST_STEP, LONGEST_STEP))


def _all_points(
    search: _Search, here: np.ndarray, first_seed: int, blocks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums at the centre `(blocks, columns)`, and with each free unknown shifted `(free, blocks, columns)`."""
    steps = search.steps(here)
    centre = search.sums(here, steps, first_seed, range(blocks))
    moved = [
        search.sums(here + shift, steps, first_seed, range(blocks))
        for shift in np.diag(search.shifts(here))[search.free]
    ]
    return centre, np.array(moved).reshape(-1, *centre.shape)


def _linear(
    search: _Search,
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
    search: _Search, passes: Sequence[np.ndarray], first_seed: int, began: float
) -> SlotEquilibrium:
    """Sampling about the last centre until the slopes are resolved and the interval is narrow enough."""
    settings, here = search.settings, passes[-1]
    sample = _Sample(search, here, first_seed)
    sample.add_slopes(settings.slope_blocks)
    sample.add_centre(settings.least_blocks)
    parameters, root = _parameters(search, here, sample)
    while not _resolved(parameters, sample) and sample.slope_blocks < settings.most_slope_blocks:
        sample.add_slopes(settings.slope_blocks)
        parameters, root = _parameters(search, here, sample)
    while True:
        widths = [0.5 * (p.estimate.high - p.estimate.low) for p in parameters]
        widest = max(widths, default=0.0)
        search.on_progress(len(sample.centre) / settings.most_blocks)
        enough = widest <= settings.half_width or not _resolved(parameters, sample)
        if enough or len(sample.centre) >= settings.most_blocks:
            break
        sample.add_centre(min(len(sample.centre) + settings.blocks_at_once, settings.most_blocks))
        parameters, root = _parameters(search, here, sample)
    resolved = _resolved(parameters, sample)
    outside = np.abs(search.bounded(root) - root)[: search.n] > 1e-9
    bounded = outside.any() or not search.free.all()
    return SlotEquilibrium(
        ("at a bound" if bounded else "solved") if resolved else "indeterminate",
        "width" if widest <= settings.half_width else "budget",
        search.bounded(root)[: search.n].reshape(search.shape),
        tuple(parameters) if resolved else (),
        tuple(name for name, free in zip(search.names, search.free, strict=False) if not free),
        float(np.exp(root[-1])) if search.game.estimated else None,
        len(sample.centre),
        search.worlds,
        tuple(each[: search.n].reshape(search.shape) for each in passes),
        time.process_time() - began,
    )


class _Sample:
    """Sums of the last pass: of blocks at the centre, and of the first of them at the moved points too."""

    def __init__(self, search: _Search, here: np.ndarray, first_seed: int):
        self.search, self.here, self.first_seed = search, here, first_seed
        self.steps = search.steps(here)
        columns = 2 * search.n + 2
        self.centre = np.empty((0, columns))
        self.moved = np.empty((int(search.free.sum()), 0, columns))

    @property
    def slope_blocks(self) -> int:
        """Blocks at all points."""
        return self.moved.shape[1]

    def add_centre(self, blocks: int) -> None:
        """Play blocks at the centre until there are so many."""
        if blocks > len(self.centre):
            numbers = range(len(self.centre), blocks)
            more = self.search.sums(self.here, self.steps, self.first_seed, numbers)
            self.centre = np.vstack([self.centre, more])

    def add_slopes(self, blocks: int) -> None:
        """Play more blocks at all points."""
        numbers = range(self.slope_blocks, self.slope_blocks + blocks)
        self.add_centre(numbers.stop)
        shifts = np.diag(self.search.shifts(self.here))[self.search.free]
        more = [
            self.search.sums(self.here + shift, self.steps, self.first_seed, numbers)
            for shift in shifts
        ]
        shape = len(shifts), blocks, self.centre.shape[1]
        self.moved = np.concatenate([self.moved, np.reshape(more, shape)], axis=1)


def _resolved(parameters: Sequence[Parameter], sample: _Sample) -> bool:
    """Whether every marginal payoff falls beyond noise."""
    critical = stats.t.ppf(0.5 + 0.5 * COVERAGE, sample.slope_blocks - 1)
    return all(p.slope + critical * p.slope_error < 0.0 for p in parameters)


def _parameters(
    search: _Search, here: np.ndarray, sample: _Sample
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


def _readable(search: _Search, unknowns: np.ndarray) -> np.ndarray:
    """Log-odds of shares, coefficients as they are, in the order of the population."""
    values = unknowns[: search.n].reshape(search.shape).copy()
    for k, decision in enumerate(search.game.decisions):
        if decision.endswith("share"):
            share = np.sin(0.5 * np.clip(values[:, k], *ANGLES)) ** 2
            values[:, k] = log_odds(share)
    return values.ravel()
