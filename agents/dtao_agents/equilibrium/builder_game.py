"""The game of builders in research shares, played by the engine: payoffs of one builder that deviates.

All other builders, newcomers too, play the population's share. In every seed one builder of genesis deviates, a
different slot from seed to seed; all candidates face the same shocks, since no draw depends on decisions.
Episodes end on drawn days, one quantile of the geometric distribution per seed and the same for all institutions,
and payoffs are undiscounted; with a fixed horizon they are discounted, and a terminal value may be added.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtao_agents.equilibrium.game import Payoffs
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import end_of_life
from dtao_gym.world.state import State

DAYS_PER_CALL = 500
"""Days between two reports of progress."""


class BuilderGame:
    """Payoffs of constant policies in a configuration, for `dtao_agents.equilibrium.nash`.

    Parameters
    ----------
    config : Config
        The institution and all else; `research_share` is replaced by the population's.
    seeds : sequence of int
        World seeds; the j-th world ends at the (j + 1/2) / n quantile where the horizon is geometric.
    capitalisation : float, optional
        First value of a unit of daily signal to uninformed stakers, days; by default the configuration's, which then
        stays as it is.
    days : int, optional
        Length of a run where the horizon is fixed.
    terminal : callable, optional
        Value of the stocks at the end, added to payoffs: ``(batch, world, slot) -> TAO``.
    prepare : callable, optional
        Changes the state of the worlds before they start.
    threads : int
        Threads that share the worlds.
    slots : sequence of int, optional
        Slot of the builder that deviates in each seed; by default slot j modulo their number in the j-th seed.
    on_progress : callable
        Called with the finished part of a run, now and then.
    """

    def __init__(
        self,
        config: Config,
        seeds: Sequence[int],
        capitalisation: float | None = None,
        days: int | None = None,
        terminal: Callable[[Batch, np.ndarray, np.ndarray], np.ndarray] | None = None,
        prepare: Callable[[State], None] | None = None,
        threads: int = 2,
        slots: Sequence[int] | None = None,
        on_progress: Callable[[float], Any] = lambda part: None,
    ):
        if (config.horizon == "fixed") != (days is not None):
            raise ValueError(
                f"days: got {days!r} with horizon {config.horizon!r}, allowed are days with a fixed one, else None"
            )
        self.config = Config.make(config, n_stakers=0)
        self.seeds = list(seeds)
        self.capitalisation = capitalisation
        self.days, self.terminal, self.threads = days, terminal, threads
        self.prepare = prepare
        self.slots = slots
        self.on_progress = on_progress

    def configured(self, research_share: float) -> Config:
        """Return the configuration in which all builders play a share."""
        changes: dict[str, float] = {"research_share": research_share}
        if self.capitalisation is not None:
            changes["pooled_capitalisation"] = self.capitalisation
        return Config.make(self.config, **changes)

    def payoffs(self, research_share: float, candidates: np.ndarray) -> Payoffs:
        """Return payoffs `(seeds, candidates)` of the deviating builder when the others play `research_share`."""
        return self._play(research_share, np.asarray(candidates, float), "research_share")

    def influence_payoffs(self, influence_share: float, candidates: np.ndarray) -> Payoffs:
        """Return the same for shares of influence in the budget; research shares are as configured."""
        config = Config.make(self.config, influence_share=influence_share)
        game = BuilderGame(
            config,
            self.seeds,
            self.capitalisation,
            self.days,
            self.terminal,
            self.prepare,
            self.threads,
            self.slots,
            self.on_progress,
        )
        return game._play(config.research_share, np.asarray(candidates, float), "influence_share")

    def _play(self, research_share: float, candidates: np.ndarray, decision: str) -> Payoffs:
        config = self.configured(research_share)
        n, columns = len(self.seeds), candidates.size + 1  # the last column is the population
        seeds = np.repeat(self.seeds, columns)
        batch = Batch(config, len(seeds), seeds=[int(seed) for seed in seeds], threads=self.threads)
        slots = np.arange(n) % batch.layout.n_subnets
        if self.slots is not None:
            slots = np.asarray(self.slots)
        worlds = np.arange(n * columns).reshape(n, columns)
        state = batch.state
        own = [*candidates, getattr(config, decision)]
        state.row(decision)[worlds, slots[:, None]] = own
        if self.prepare is not None:
            self.prepare(state)
        last = self._last_days(config, n)
        state.worlds["last_day"] = np.repeat(last, columns)
        self._run(batch, int(last.max()))
        values = state.row("first_owner_payoff")[worlds, slots[:, None]]
        if self.terminal is not None:
            world, slot = worlds.ravel(), np.repeat(slots, columns)
            values = values + self.terminal(batch, world, slot).reshape(n, columns)
        ours = state.worlds[worlds[:, -1]]
        estimate = float(ours["informed_value_sum"].sum() / ours["plain_value_sum"].sum())
        return Payoffs(values[:, :-1], estimate)

    def _last_days(self, config: Config, n: int) -> np.ndarray:
        if self.days is not None:
            return np.full(n, self.days)
        return np.array([end_of_life(config, (j + 0.5) / n) for j in range(n)])

    def _run(self, batch: Batch, days: int) -> None:
        nothing = np.zeros((batch.n_worlds, 1, batch.layout.n_subnets))
        for done in range(0, days, DAYS_PER_CALL):
            batch.advance(nothing, min(DAYS_PER_CALL, days - done))
            self.on_progress(min(done + DAYS_PER_CALL, days) / days)
