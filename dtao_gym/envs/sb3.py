"""Many worlds as a Stable-Baselines3 VecEnv. Imports Stable-Baselines3: install the extra `train`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from dtao_gym.envs.episodes import Episodes, checked_config


class MarketVecEnv(VecEnv):
    """`num_envs` worlds with one learner each, over the same batch as the Gymnasium vector environment.

    Finished worlds start their next episode at once; `infos` carry `terminal_observation`,
    `TimeLimit.truncated` and, at an end, `episode` with return `r`, length `l` and what the role tells of it:
    a staker's final `wealth`, what a builder has `consumed`.

    Args:
        num_envs: number of worlds.
        role, config, max_episode_steps, **overrides: as in `SingleEnv`.
        threads: threads that share the worlds.
    """

    def __init__(
        self,
        num_envs: int,
        role: str = "staker",
        config: Any = None,
        max_episode_steps: int | None = None,
        threads: int = 1,
        **overrides: Any,
    ):
        self.episodes = Episodes(
            checked_config(config, overrides, role), num_envs, role, threads, max_episode_steps
        )
        self.render_mode = None
        super().__init__(
            num_envs, self.episodes.role.observation_space, self.episodes.role.action_space
        )
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(num_envs)

    def reset(self) -> np.ndarray:
        for world in range(self.num_envs):
            self.episodes.reset(world, self._seeds[world])
        self.episodes.reset_done()
        self._returns[:] = 0.0
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = [{} for _ in range(self.num_envs)]
        return self.episodes.observe()

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self):
        reward, terminated, truncated = self.episodes.step(self._actions)
        self._returns += reward
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self.episodes.observe()
            final = self.episodes.final()
            for world in np.flatnonzero(done):
                infos[world] = {
                    "terminal_observation": last[world],
                    "TimeLimit.truncated": bool(truncated[world]),
                    "episode": {
                        "r": float(self._returns[world]),
                        "l": int(self.episodes.steps[world]),
                        **{name: float(rows[world]) for name, rows in final.items()},
                    },
                }
                self.episodes.reset(int(world))
            self.episodes.reset_done()
            self._returns[done] = 0.0
        return self.episodes.observe(), reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute of the shared batch, or of this environment, for each index."""
        owner = self.episodes if hasattr(self.episodes, attr_name) else self
        return [getattr(owner, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError(
            f"{attr_name}: worlds share their attributes; use episodes.batch.set_parameters"
        )

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """`reset` starts the next episode of each index; of other methods each gets its row of the result."""
        worlds = self._get_indices(indices)
        method = getattr(self.episodes, method_name)
        if method_name == "reset":
            done = [method(world, *args, **kwargs) for world in worlds]
            self.episodes.reset_done()
            return done
        result = method(*args, **kwargs)
        if isinstance(result, dict):
            return [{name: rows[world] for name, rows in result.items()} for world in worlds]
        return [None if result is None else result[world] for world in worlds]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """True for `Monitor`, whose `episode` infos this environment gives by itself."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        return [None] * self.num_envs
