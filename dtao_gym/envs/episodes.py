"""Episodes of one learner per world: what the single, vector and Stable-Baselines3 views share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded

from dtao_gym.envs.features import MARKET_NUMBERS, MARKET_ROWS
from dtao_gym.envs.replay import ReplayStaker
from dtao_gym.envs.roles import ROLES
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.worlds import ReplayBatch
from dtao_gym.world.batch import Batch, checked_seed
from dtao_gym.world.config import Config, ConfigError

SINGLE_ROLES = ROLES | {ReplayStaker.name: ReplayStaker}
"""Roles of which one learns in each world."""


def role_named(role: Any) -> type:
    """The class of a role, or a ConfigError."""
    if role not in SINGLE_ROLES:
        raise ConfigError(f"role: got {role!r}, allowed are {', '.join(SINGLE_ROLES)}")
    return SINGLE_ROLES[role]


def config_of_role(
    config: Any, overrides: dict[str, Any], role: str = "staker"
) -> Config | ReplayConfig:
    """The configuration of an environment with one learner of a role per world, of a replay if that is the role."""
    if role == ReplayStaker.name:
        return ReplayConfig.make(config, **overrides)
    return checked_config(config, overrides, role)


def checked_config(config: Any, overrides: dict[str, Any], role: str = "staker") -> Config:
    """The configuration of simulated worlds with one learner of a role in each."""
    made, wanted = Config.make(config, **overrides), role_named(role).n_stakers
    if "n_stakers" not in made.model_fields_set:
        made = Config.make(made, n_stakers=wanted)
    if made.n_stakers != wanted:
        raise ConfigError(
            f"n_stakers: got {made.n_stakers}, allowed is {wanted} in this environment"
        )
    if role == "staker":
        for name in ("terminal_value", "reward_noise", "twin_world"):
            if getattr(made, name):
                raise ConfigError(f"{name}: got True, allowed is False where a staker learns")
    return made


def as_float32(actions: Any) -> np.ndarray:
    """Actions as float32 that kernels know: contiguous and writable; infinite where float32 cannot hold them.

    Raises ValueError for what is not real numbers.
    """
    actions = np.asarray(actions)
    if actions.dtype == np.float32 and actions.flags.carray:
        return actions
    if actions.dtype.kind not in "biuf":
        raise ValueError(
            f"action: got {actions.dtype} numbers, allowed are real ones, best float32"
        )
    with np.errstate(over="ignore"):
        return np.require(actions.astype(np.float32), requirements=["C", "A", "W"])


class SeededWorlds:
    """A batch of worlds, the seeds of their episodes, and how long these last.

    An episode is known by (seed, number): `reset` with a seed starts its number 0, each later reset without
    one the next number. So the k-th episode of a seed is the same however it is reached.

    Args:
        copies: times that the batch holds each world.
    """

    market_numbers: tuple[str, ...] = MARKET_NUMBERS
    market_rows: tuple[str, ...] = MARKET_ROWS

    def __init__(
        self,
        config: Config | ReplayConfig,
        n_worlds: int,
        threads: int = 1,
        max_episode_steps: int | None = None,
        copies: int = 1,
    ):
        self.config: Any = config
        self.n_worlds = n_worlds
        made: Any = ReplayBatch if isinstance(config, ReplayConfig) else Batch
        self.batch = made(config, n_worlds * copies, threads=threads)
        fixed = self.config.horizon == "fixed"
        longest = self.config.horizon_days if fixed else self.config.horizon_cap_days
        self.max_steps = -(-longest // self.config.days_per_step)
        if max_episode_steps is not None:
            if not isinstance(max_episode_steps, int | np.integer) or max_episode_steps < 1:
                raise ConfigError(
                    f"max_episode_steps: got {max_episode_steps!r}, allowed are whole numbers from 1, None"
                )
            self.max_steps = min(self.max_steps, int(max_episode_steps))
        self.seeds = [config.world_seed + k for k in range(n_worlds)]
        self.numbers = [-1] * n_worlds
        self.steps = np.zeros(n_worlds, np.int64)

    def reset(self, world: int, seed: int | None = None) -> None:
        """Start the next episode of one world, or the first of a new seed."""
        if seed is not None:
            self.seeds[world], self.numbers[world] = checked_seed(seed), -1
        self.numbers[world] += 1
        self.steps[world] = 0
        for place in range(world % self.n_worlds, self.batch.n_worlds, self.n_worlds):
            self.batch.reset(place, self.seeds[world], self.numbers[world])

    def stagger(self) -> None:
        """Let the present episodes end at different steps, else all worlds are on the same day; not where ends are drawn."""
        if self.config.horizon == "fixed":
            self.steps[:] = np.arange(self.n_worlds) * self.max_steps // self.n_worlds

    def check_started(self) -> None:
        """Raise ResetNeeded before the first reset."""
        if self.numbers[0] < 0:
            raise ResetNeeded("step: got a world that was never reset, allowed after reset()")

    def over(self) -> tuple[np.ndarray, np.ndarray]:
        """(at its drawn end, at its time limit), each `(n_worlds,)`; after a drawn end nothing comes."""
        worlds = self.batch.state.worlds[: self.n_worlds]
        ended = worlds["day"] >= worlds["last_day"]
        return ended, self.steps >= self.max_steps

    def market_info(self) -> dict[str, np.ndarray]:
        """What a researcher logs of the market, one row per world.

        day; welfare (sum of true values less costs, TAO a day); emission_hhi and price_sum over the simulated
        subnets; registrations and dissolutions since genesis; and per subnet true_value, spot_price,
        emission_share.
        """
        state, found = self.batch.state, {}
        for name in self.market_numbers:
            found[name] = state.worlds[name][: self.n_worlds].copy()
        for name in self.market_rows:
            found[name] = state.row(name)[: self.n_worlds].copy()
        return found


class Episodes(SeededWorlds):
    """Worlds with one learner each, and the ends of its episodes.

    With `twin_world` the batch holds each world twice, the twins in its second half, where the builder is
    scripted; observations, rewards, ends and infos are of the first half.

    Attributes:
        rivals: called as `rivals(batch, role)` before each step, to write decisions of owners who do not learn
            into the state (`dtao_gym.envs.builder.Rivals`); None: they are those of the configuration.
        standing: what rewards count from, see `dtao_gym.envs.roles`; `(batch worlds, ...)`.
    """

    def __init__(
        self,
        config: Config | ReplayConfig,
        n_worlds: int,
        role: str,
        threads: int = 1,
        max_episode_steps: int | None = None,
    ):
        made = role_named(role)
        super().__init__(config, n_worlds, threads, max_episode_steps, 1 + config.twin_world)
        self.role = made(self.batch)
        self.market_numbers = getattr(made, "market_numbers", MARKET_NUMBERS)
        self.market_rows = getattr(made, "market_rows", MARKET_ROWS)
        self.rivals: Callable[[Batch, Any], None] | None = None
        self.standing = self.role.standing(self.batch)

    def reset_done(self) -> None:
        """Call after one or more resets: rewards count from the new start."""
        self.standing[...] = self.role.standing(self.batch)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance all worlds: (reward float64, terminated, truncated), each `(n_worlds,)`.

        Raises ValueError for actions of the wrong shape, NaN or outside [-1, 1]; nothing has changed then.
        """
        self.check_started()
        actions = as_float32(actions)
        expected = (self.n_worlds, *self.role.action_space.shape)
        if actions.shape != expected:
            raise ValueError(f"action: got shape {actions.shape}, allowed is {expected}")
        if self.rivals is not None and (np.abs(actions) <= 1.0).all():
            self.rivals(self.batch, self.role)
        orders = self.role.apply(self.batch, actions)
        self.batch.advance(orders, self.config.days_per_step)
        self.steps += 1
        reward = self._own_part(self.role.reward(self.batch, self.standing))
        self.standing[...] = self.role.standing(self.batch)
        ended, late = self.over()
        terminated = self.role.ended(self.batch)[: self.n_worlds] | ended
        truncated = late > terminated
        if self.config.terminal_value and truncated.any():
            reward += truncated * self._own_part(self.role.terminal_value(self.batch))
            terminated, truncated = terminated | truncated, np.zeros_like(truncated)
        return reward, terminated, truncated

    def _own_part(self, values: np.ndarray) -> np.ndarray:
        """Values `(batch worlds,)` of the learners, less those of their twins if there are twins."""
        own = values[: self.n_worlds]
        return own - values[self.n_worlds :] if self.config.twin_world else own

    def observe(self) -> np.ndarray:
        """Fresh float32 observations `(n_worlds, size)`."""
        return self.role.observe(self.batch)[: self.n_worlds]

    def info(self) -> dict[str, np.ndarray]:
        """What a researcher logs, one row per world: `market_info`, and what the role's `info` tells."""
        mine = {name: rows[: self.n_worlds] for name, rows in self.role.info(self.batch).items()}
        return self.market_info() | mine

    def final(self) -> dict[str, np.ndarray]:
        """What is told of finished episodes beside their returns, one row per world."""
        return {name: rows[: self.n_worlds] for name, rows in self.role.final(self.batch).items()}
