"""Episodes of one learner per world: what the single, vector and Stable-Baselines3 views share."""

from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded

from dtao_gym.envs.roles import ROLES
from dtao_gym.world.batch import Batch, checked_seed
from dtao_gym.world.config import Config, ConfigError


def checked_config(config: Any, overrides: dict[str, Any]) -> Config:
    """The configuration of an environment with one learner per world."""
    made = Config.make(config, **overrides)
    if made.n_learners != 1:
        raise ConfigError(f"n_learners: got {made.n_learners}, allowed is 1 in this environment")
    return made


def as_float32(actions: Any) -> np.ndarray:
    """Actions as float32, infinite where float32 cannot hold them; ValueError for what is not real numbers."""
    actions = np.asarray(actions)
    if actions.dtype == np.float32:
        return actions
    if actions.dtype.kind not in "biuf":
        raise ValueError(
            f"action: got {actions.dtype} numbers, allowed are real ones, best float32"
        )
    with np.errstate(over="ignore"):
        return actions.astype(np.float32)


class Episodes:
    """A batch of worlds with one learner each, its seeds, and the ends of its episodes.

    An episode is known by (seed, number): `reset` with a seed starts its number 0, each later reset without
    one the next number. So the k-th episode of a seed is the same however it is reached.
    """

    def __init__(
        self,
        config: Config,
        n_worlds: int,
        role: str,
        threads: int = 1,
        max_episode_steps: int | None = None,
    ):
        if role not in ROLES:
            raise ConfigError(f"role: got {role!r}, allowed are {', '.join(ROLES)}")
        self.config = config
        self.batch = Batch(config, n_worlds, threads=threads)
        self.role = ROLES[role](self.batch)
        self.max_steps = -(-config.horizon_days // config.days_per_step)
        if max_episode_steps is not None:
            if not isinstance(max_episode_steps, int | np.integer) or max_episode_steps < 1:
                raise ConfigError(
                    f"max_episode_steps: got {max_episode_steps!r}, allowed are whole numbers from 1, None"
                )
            self.max_steps = min(self.max_steps, int(max_episode_steps))
        self.seeds = [config.world_seed + k for k in range(n_worlds)]
        self.numbers = [-1] * n_worlds
        self.steps = np.zeros(n_worlds, np.int64)
        self._standing = self.role.standing(self.batch)

    @property
    def n_worlds(self) -> int:
        return self.batch.n_worlds

    def reset(self, world: int, seed: int | None = None) -> None:
        """Start the next episode of one world, or the first of a new seed."""
        if seed is not None:
            self.seeds[world], self.numbers[world] = checked_seed(seed), -1
        self.numbers[world] += 1
        self.steps[world] = 0
        self.batch.reset(world, self.seeds[world], self.numbers[world])

    def reset_done(self) -> None:
        """Call after one or more resets: rewards count from the wealth of the new start."""
        self._standing = self.role.standing(self.batch)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance all worlds: (reward float64, terminated, truncated), each `(n_worlds,)`.

        Raises ValueError for actions of the wrong shape, NaN or outside [-1, 1]; nothing has changed then.
        """
        if self.numbers[0] < 0:
            raise ResetNeeded("step: got a world that was never reset, allowed after reset()")
        actions = as_float32(actions)
        expected = (self.n_worlds, *self.role.action_space.shape)
        if actions.shape != expected:
            raise ValueError(f"action: got shape {actions.shape}, allowed is {expected}")
        self.batch.advance(self.role.orders(self.batch, actions), self.config.days_per_step)
        self.steps += 1
        standing = self.role.standing(self.batch)
        reward = standing - self._standing
        self._standing = standing
        terminated = self.role.ruined(self.batch)
        truncated = (self.steps >= self.max_steps) > terminated  # at the horizon and not ruined
        return reward, terminated, truncated

    def observe(self) -> np.ndarray:
        """Fresh float32 observations `(n_worlds, size)`."""
        return self.role.observe(self.batch)

    def info(self) -> dict[str, np.ndarray]:
        """What a researcher logs, one row per world.

        day; wealth (liquidation, TAO); root_tao; traded_tao (exchanged with pools by this step);
        welfare (sum of true values, TAO a day); emission_hhi and price_sum over the simulated subnets;
        registrations and dissolutions since genesis; and per subnet true_value, spot_price, emission_share.
        """
        state = self.batch.state
        worlds, mine = state.worlds, state.learners[:, 0]
        return {
            "day": worlds["day"].copy(),
            "wealth": mine["wealth"].copy(),
            "root_tao": mine["root"].copy(),
            "traded_tao": mine["traded"].copy(),
            "welfare": worlds["welfare"].copy(),
            "emission_hhi": worlds["emission_hhi"].copy(),
            "price_sum": worlds["price_sum"].copy(),
            "registrations": worlds["registrations"].copy(),
            "dissolutions": worlds["dissolutions"].copy(),
            "true_value": state.row("true_value").copy(),
            "spot_price": state.row("spot_price").copy(),
            "emission_share": state.row("emission_share").copy(),
        }
