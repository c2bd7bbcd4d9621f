"""One learner of any role in one world, as a Gymnasium environment."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding

from dtao_gym.envs.features import plain
from dtao_gym.envs.fused_step import FusedStep, fusible
from dtao_gym.envs.render import checked_render_mode, picture_of
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.seeds import reset_seed
from dtao_gym.envs.window import Shown, Window
from dtao_gym.envs.worlds import Episodes


class SingleEnv(Shown, gym.Env):
    """The market of a chain state with one learner; everybody else is scripted.

    Parameters
    ----------
    role : str
        `staker`, `builder`, `replay` or a registered role; the classes `Staker` (`dtao_gym.envs.staker.role`),
        `Builder` (`dtao_gym.envs.builder.role`) and `ReplayStaker` (`dtao_gym.envs.staker.replay`) document spaces,
        rewards and terminations.
    config : TaskConfig, ReplayConfig, dict, path or None
        Parameters, a YAML file of them, or defaults.
    render_mode : {"ansi", "rgb_array", "human"}, optional
        A table, a picture `(600, 800, 3)` uint8, or a window that shows the picture after each step.
    max_episode_steps : int, optional
        Ends episodes before `horizon_days`.
    **overrides
        Any parameter of the configuration, such as `n_subnets=16`.

    Raises
    ------
    ConfigError
        For bad parameters.
    ValueError
        For bad actions, from `step`.

    Notes
    -----
    `terminated` at the role's own end, and at a drawn end (`horizon: geometric`); `truncated` at the horizon of a
    fixed one: the environment counts its steps itself, `max_episode_steps` of them, and needs no `TimeLimit`, so that
    `spec.max_episode_steps` is None. `info` holds `SeededWorlds.market_info` and the role's `info`.

    The first `reset` without a seed starts with the `world_seed` of the configuration where one is given, else
    with one from entropy; `np_random_seed` tells it, and ``reset(seed=env.np_random_seed)`` starts the same episode again.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": ["ansi", "rgb_array", "human"],
        "render_fps": 10,
    }

    def __init__(
        self,
        role: str = "staker",
        config: Any = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **overrides: Any,
    ):
        self.render_mode = checked_render_mode(render_mode, self.metadata["render_modes"])
        kind = role_named(role)
        task = kind.task(config, **overrides)
        self._picture = picture_of(kind) if render_mode else None
        self._window = Window() if render_mode == "human" else None
        self.episodes = Episodes(task, 1, role, 1, max_episode_steps)
        self.observation_space = self.episodes.role.observation_space
        self.action_space = self.episodes.role.action_space
        self._fusible = render_mode is None and fusible(self.episodes)
        self._fused: FusedStep | None = None
        self._np_random, self._np_random_seed = seeding.np_random(self.episodes.seeds[0])

    @property
    def config(self):
        """Resolved configuration."""
        return self.episodes.config

    @property
    def max_episode_steps(self) -> int:
        """Steps after which an episode is truncated."""
        return self.episodes.max_steps

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Start the next episode, or the first of a seed; return observation and info.

        Raises ConfigError for a bad seed, ValueError for options: there are none.
        """
        seed = reset_seed(seed)
        if options:
            raise ValueError(f"options: got {', '.join(map(str, options))}, allowed are none")
        super().reset(seed=seed)
        self.episodes.reset(0, seed)
        self.episodes.reset_done()
        if self._picture is not None:
            self._picture.start(self.episodes)
        self._show()
        return self.episodes.observe()[0], self._info()

    def step(self, action: np.ndarray):
        """Advance by one decision; return observation, reward, terminated, truncated, info."""
        self.episodes.check_started()
        fused = self._fused_step() if self._fusible else None
        if fused is not None and (results := fused(action)) is not None:
            return results
        action = np.asarray(action)
        if action.shape != self.action_space.shape:
            raise ValueError(
                f"action: got shape {action.shape}, allowed is {self.action_space.shape}"
            )
        reward, terminated, truncated = self.episodes.step(action[None])
        if self._picture is not None:
            self._picture.add(self.episodes)
        self._show()
        obs = self.episodes.observe()[0]
        return obs, float(reward[0]), bool(terminated[0]), bool(truncated[0]), self._info()

    def _fused_step(self) -> FusedStep | None:
        """The step in one call, where all but the learner are scripted by compiled code."""
        if self.episodes.rivals is not None or self.episodes.batch.has_user_rules:
            return None
        if self._fused is None or not self._fused.current():
            self._fused = FusedStep(self.episodes)
        return self._fused

    def _info(self) -> dict[str, Any]:
        return {name: plain(rows[0]) for name, rows in self.episodes.info().items()}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out addresses: a copy has arrays of its own."""
        return self.__dict__ | {"_fused": None}

    def render(self):
        """Return a table or a picture of the episode, by the render mode; None with a warning without one.

        None where a window shows the picture.
        """
        if self._picture is None:
            gym.logger.warn(
                "render() was called without a render_mode: pass render_mode to gym.make."
            )
            return None
        return self._rendered()
