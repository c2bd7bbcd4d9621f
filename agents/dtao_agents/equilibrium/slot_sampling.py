"""Sampling of a game of builders: unknowns and their bounds, pilot worlds, and the blocks of a pass."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dtao_agents.equilibrium.slot_design import Point, SlotGame, block_sums
from dtao_agents.equilibrium.slot_records import SlotSettings

PILOT_SEEDS = 2**41
"""Distance of the seeds of pilot passes from each other and from those of the last pass, which lie below 2**40."""
NEAR_BOUND = 0.03
"""Distance from a bound at which an unknown may be fixed on it."""


class Search:
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
        low, high = (np.broadcast_to(bound, self.shape).ravel() for bound in game.bounds)
        self.low, self.high, self.middle = low, high, 0.5 * (low + high)
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
        sign = np.where(unknowns[: self.n] < self.middle, 1.0, -1.0)
        toward = sign * self.settings.population_step
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
        place, gain = here[: self.n], condition[: self.n]
        at_low = (place - self.low < NEAR_BOUND) & (gain < 0.0)
        at_high = (self.high - place < NEAR_BOUND) & (gain > 0.0)
        self.free[: self.n] = ~(at_low | at_high)
        fixed = here.copy()
        fixed[: self.n] = np.where(at_low, self.low, np.where(at_high, self.high, place))
        return fixed

    def bounded(self, unknowns: np.ndarray) -> np.ndarray:
        """Unknowns within the bounds of their decisions."""
        inside = unknowns.copy()
        inside[: self.n] = np.clip(unknowns[: self.n], self.low, self.high)
        return inside

    def next_pilots(self) -> int:
        """First seed of pilot worlds that have not been used."""
        self.pilot_seed += PILOT_SEEDS
        return self.pilot_seed


class Sample:
    """Sums of a pass: of blocks at the centre, and of the first of them at the moved points too."""

    def __init__(self, search: Search, here: np.ndarray, first_seed: int):
        self.search, self.here, self.first_seed = search, here, first_seed
        self.steps = search.steps(here)
        columns = 2 * search.n + 2
        self.centre = np.empty((0, columns))
        self.moved = np.empty((int(search.free.sum()), 0, columns))

    @property
    def slope_blocks(self) -> int:
        """Blocks at all points."""
        return self.moved.shape[1]

    @property
    def spent(self) -> float:
        """Part of the budget that is used: blocks at any point beyond those that the slopes need at least."""
        settings = self.search.settings
        extra = len(self.moved) * (self.slope_blocks - settings.slope_blocks)
        return (len(self.centre) + max(extra, 0)) / settings.most_blocks

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

    def add_where_it_helps(self, deviations: np.ndarray) -> None:
        """Play more blocks at the centre, or at the moved points where those narrow the interval more per world.

        The variance of the root is a / blocks + b / slope blocks. `deviations`, the influence of each block on it, give
        both parts: blocks at the centre alone have an influence of variance a.
        """
        settings = self.search.settings
        blocks, slope_blocks = len(self.centre), self.slope_blocks
        left = round((1.0 - self.spent) * settings.most_blocks)
        more = min(settings.blocks_at_once, left)
        own = deviations[slope_blocks:]
        of_centre = np.mean(own**2) / blocks if own.size >= settings.blocks_at_once else 0.0
        of_slopes = max(np.mean(deviations**2) / blocks - of_centre, 0.0)
        points = len(self.moved)
        per_world = of_slopes / (slope_blocks * points), of_centre / blocks
        if of_centre > 0.0 and per_world[0] > per_world[1] and left >= points * more:
            self.add_slopes(more)
        else:
            self.add_centre(blocks + more)
