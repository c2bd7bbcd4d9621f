"""Worlds with seeds and episodes, and episodes of one learner per world.

The single, vector and Stable-Baselines3 environments share `Episodes`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded

from dtao_gym.envs.features import MARKET_NUMBERS, MARKET_ROWS, as_float32, without_rounding
from dtao_gym.envs.role import Role
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.seeds import first_seed, reset_seed, world_seed
from dtao_gym.world.config import ConfigError


class SeededWorlds:
    """A batch of worlds, the seeds of their episodes, and the length of these.

    An episode is identified by (seed, number): `reset` with a seed starts its number 0, each later reset without
    one the next number. So the k-th episode of a seed is the same however it is reached.

    Without a seed, world k has the `world_seed` of the configuration plus k where that is given, else one seed
    from entropy plus k. Seeds from 2**63 on are folded (`dtao_gym.envs.seeds`).

    Parameters
    ----------
    config : TaskConfig or ReplayConfig
        Configuration of all worlds.
    batch : Batch or ReplayBatch
        `n_worlds` worlds, or a multiple of it: copies follow one another.
    n_worlds : int
        Worlds that count.
    max_episode_steps : int, optional
        Ends episodes before the horizon.

    Attributes
    ----------
    max_steps : int
        Time limit of an episode, in steps.
    seeds, numbers : list of int
        Seed and number of the present episode of each world.
    steps : `(n_worlds,)` int64
        Steps of the present episodes so far.

    Raises
    ------
    ConfigError
        `max_episode_steps` is no positive integer.
    """

    market_numbers: tuple[str, ...] = MARKET_NUMBERS
    market_rows: tuple[str, ...] = MARKET_ROWS

    def __init__(self, config: Any, batch: Any, n_worlds: int, max_episode_steps: int | None):
        self.config, self.batch, self.n_worlds = config, batch, n_worlds
        fixed = config.horizon == "fixed"
        longest = config.horizon_days if fixed else config.horizon_cap_days
        self.max_steps = -(-longest // config.days_per_step)
        if max_episode_steps is not None:
            if not isinstance(max_episode_steps, int | np.integer) or max_episode_steps < 1:
                raise ConfigError(
                    f"max_episode_steps: got {max_episode_steps!r}, allowed are whole numbers from 1, None"
                )
            self.max_steps = min(self.max_steps, int(max_episode_steps))
        first = first_seed(config)
        self.seeds = [world_seed(first + k) for k in range(n_worlds)]
        self.numbers = [-1] * n_worlds
        self.steps = np.zeros(n_worlds, np.int64)

    def reset(self, world: int, seed: int | None = None) -> None:
        """Start the next episode of one world, or the first of a new seed. Raises ConfigError for a bad seed."""
        given = reset_seed(seed)
        if given is not None:
            self.seeds[world], self.numbers[world] = world_seed(given), -1
        self.numbers[world] += 1
        self.steps[world] = 0
        for place in range(world % self.n_worlds, self.batch.n_worlds, self.n_worlds):
            self.batch.reset(place, self.seeds[world], self.numbers[world])

    def reset_done(self) -> None:
        """Measure rewards from the new start; call after one or more resets."""
        raise NotImplementedError

    def start(self, seeds: Iterable[int | None]) -> None:
        """Reset all worlds, one seed each; None starts the next episode of a world's present seed."""
        for world, seed in zip(range(self.n_worlds), seeds, strict=True):
            self.reset(world, seed)
        self.reset_done()

    def stagger(self) -> None:
        """Let the present episodes end at different steps, so that worlds are on different days.

        Drawn ends differ anyway.
        """
        if self.config.horizon == "fixed":
            self.steps[:] = np.arange(self.n_worlds) * self.max_steps // self.n_worlds

    def check_started(self) -> None:
        """Raise ResetNeeded before the first reset."""
        if self.numbers[0] < 0:
            raise ResetNeeded("step: got a world that was never reset, allowed after reset()")

    def episode_ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (drawn end reached, time limit reached), each `(n_worlds,)` bool.

        A drawn end is a termination: no bootstrap.
        """
        worlds = self.batch.state.worlds[: self.n_worlds]
        ended = worlds["day"] >= worlds["last_day"]
        return ended, self.steps >= self.max_steps

    def market_info(self) -> dict[str, np.ndarray]:
        """Return logged quantities of the market, one row per world.

        day; welfare (sum of true values less costs, TAO a day); emission_hhi and price_sum over the simulated
        subnets; registrations and dissolutions since genesis; and per subnet true_value, spot_price,
        emission_share.
        """
        state = self.batch.state
        numbers = {n: state.worlds[n][: self.n_worlds].copy() for n in self.market_numbers}
        return numbers | {n: state.row(n)[: self.n_worlds].copy() for n in self.market_rows}


class Episodes(SeededWorlds):
    """Worlds with one learner each.

    Where the role asks for two copies of each world (twins), the second half of the batch holds the twins;
    observations, ends and infos are those of the first half, rewards are differences.

    Parameters
    ----------
    config : TaskConfig or ReplayConfig
        From the role's `task`.
    n_worlds : int
    role : str
        Name of the learner's role.
    threads : int
        Threads that share the worlds.
    max_episode_steps : int, optional
        Ends episodes before the horizon.

    Attributes
    ----------
    role : Role
    rivals : callable, optional
        Called as `rivals(batch, role)` before each step to write the decisions of owners who do not learn
        (`dtao_gym.envs.builder.rivals.Rivals`); without it they are those of the configuration.
    reward_baseline : `(batch worlds, ...)`
        What the next rewards are measured from.
    """

    def __init__(
        self,
        config: Any,
        n_worlds: int,
        role: str,
        threads: int = 1,
        max_episode_steps: int | None = None,
    ):
        kind = role_named(role)
        self.copies = kind.copies(config)
        batch = kind.make_batch(config, n_worlds * self.copies, threads)
        super().__init__(config, batch, n_worlds, max_episode_steps)
        self.role: Any = kind(batch)
        self.market_numbers, self.market_rows = kind.market_numbers, kind.market_rows
        self.rivals: Callable[[Any, Role], None] | None = None
        self.reward_baseline = self.role.reward_baseline(batch)
        self._no_orders = no_orders(batch)

    def reset_done(self) -> None:
        """Measure rewards from the new start; call after one or more resets."""
        self.reward_baseline[...] = self.role.reward_baseline(self.batch)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance all worlds.

        Parameters
        ----------
        actions : `(n_worlds, size)`

        Returns
        -------
        reward, terminated, truncated : `(n_worlds,)` float64, bool, bool

        Raises
        ------
        ValueError
            Actions have the wrong shape, are NaN or outside [-1, 1] by more than `ROUNDING`; nothing has changed then.
        """
        self.check_started()
        actions = without_rounding(as_float32(actions))
        expected = (self.n_worlds, *self.role.action_space.shape)
        if actions.shape != expected:
            raise ValueError(f"action: got shape {actions.shape}, allowed is {expected}")
        if self.rivals is not None and (np.abs(actions) <= 1.0).all():
            self.rivals(self.batch, self.role)
        orders = self.role.apply(self.batch, actions)
        self.batch.advance(self._no_orders if orders is None else orders, self.config.days_per_step)
        self.steps += 1
        reward = self._own_part(self.role.reward(self.batch, self.reward_baseline))
        self.reset_done()
        out = self.role.terminated(self.batch)[: self.n_worlds]
        return with_ends(reward, out, self.episode_ends(), self._terminal_value)

    def _terminal_value(self) -> np.ndarray | None:
        value = self.role.terminal_value(self.batch)
        return None if value is None else self._own_part(value)

    def _own_part(self, values: np.ndarray) -> np.ndarray:
        """Values `(batch worlds,)` of the learners, less those of their twins if there are twins."""
        own = values[: self.n_worlds]
        return own - values[self.n_worlds :] if self.copies > 1 else own

    def observe(self) -> np.ndarray:
        """Return fresh float32 observations `(n_worlds, size)`."""
        return self.role.observe(self.batch)[: self.n_worlds]

    def info(self) -> dict[str, np.ndarray]:
        """Return logged quantities, one row per world: `market_info` and the role's `info`."""
        own = {name: rows[: self.n_worlds] for name, rows in self.role.info(self.batch).items()}
        return self.market_info() | own

    def episode_statistics(self) -> dict[str, np.ndarray]:
        """Return the role's extra statistics of finished episodes, one row per world."""
        statistics = self.role.episode_statistics(self.batch)
        return {name: rows[: self.n_worlds] for name, rows in statistics.items()}


def with_ends(
    reward: np.ndarray,
    out: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    terminal_value: Callable[[], np.ndarray | None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return reward, terminated and truncated of a step, one row per learner.

    A learner at the time limit is truncated; if its task has a terminal value, it is paid that and terminates.

    Parameters
    ----------
    reward : `(n,)` float64
        Rewards without terminal values; terminal values are added in place.
    out : `(n,)` bool
        Learners whose own episode is over.
    ends : (`(n,)` bool, `(n,)` bool)
        Drawn end reached, time limit reached.
    terminal_value : callable
        Returns terminal values `(n,)`, or None; called only if a learner is truncated.
    """
    ended, late = ends
    terminated = out | ended
    truncated = late > terminated
    value = terminal_value() if truncated.any() else None
    if value is not None:
        reward += truncated * value
        terminated, truncated = terminated | truncated, np.zeros_like(truncated)
    return reward, terminated, truncated


def no_orders(batch: Any) -> np.ndarray:
    """Return orders that do nothing, `(n_worlds, max(n_stakers, 1), n_subnets)`."""
    return np.zeros((batch.n_worlds, max(batch.layout.n_stakers, 1), batch.layout.n_subnets))
