"""One learner of any role in one world, as a Gymnasium environment."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from dtao_gym.envs.episodes import Episodes, config_of_role
from dtao_gym.envs.features import plain
from dtao_gym.envs.fused import FusedStep, fusible
from dtao_gym.envs.pictures import PICTURES


class SingleEnv(gym.Env):
    """The market of a chain state with one learner; everybody else is scripted.

    Args:
        role: `staker`, `builder` or `replay`; see `Staker` in `dtao_gym.envs.roles`, `Builder` in
            `dtao_gym.envs.builder` and `ReplayStaker` in `dtao_gym.envs.replay` for spaces and rewards.
        config: a `Config` (a `ReplayConfig` for `replay`), a dict or a path to a YAML file.
        render_mode: "ansi" (a table), "rgb_array" (a picture, `(600, 800, 3)` uint8) or None.
        max_episode_steps: ends episodes before `horizon_days`.
        **overrides: any parameter of `Config`, such as `n_subnets=16`.

    Ends: `terminated` when the wealth of a staker falls below `ruin_fraction` of its start, when the subnet of a
    builder is dissolved, and at a drawn end (`horizon: geometric`); `truncated` at the horizon of a fixed one.
    `info`: see `SeededWorlds.market_info` and `info` of the role.
    Raises ConfigError for bad parameters, ValueError for bad actions.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 10}

    def __init__(
        self,
        role: str = "staker",
        config: Any = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **overrides: Any,
    ):
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: got {render_mode!r}, allowed are 'ansi', 'rgb_array', None"
            )
        self.render_mode = render_mode
        made = config_of_role(config, overrides, role)
        self.episodes = Episodes(made, 1, role, 1, max_episode_steps)
        self.observation_space = self.episodes.role.observation_space
        self.action_space = self.episodes.role.action_space
        self._picture = PICTURES[role]() if render_mode else None
        self._fusible = render_mode is None and fusible(self.episodes)
        self._fused: FusedStep | None = None

    @property
    def config(self):
        """The resolved configuration."""
        return self.episodes.config

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self.episodes.reset(0, seed)
        self.episodes.reset_done()
        if self._picture is not None:
            self._picture.start(self.episodes)
        return self.episodes.observe()[0], self._info()

    def step(self, action: np.ndarray):
        self.episodes.check_started()
        fused = self._fused_step() if self._fusible else None
        if fused is not None and (found := fused(action)) is not None:
            return found
        action = np.asarray(action)
        if action.shape != self.action_space.shape:
            raise ValueError(
                f"action: got shape {action.shape}, allowed is {self.action_space.shape}"
            )
        reward, terminated, truncated = self.episodes.step(action[None])
        if self._picture is not None:
            self._picture.add(self.episodes)
        obs = self.episodes.observe()[0]
        return obs, float(reward[0]), bool(terminated[0]), bool(truncated[0]), self._info()

    def _fused_step(self) -> FusedStep | None:
        """The step in one call, where others than the learner are scripted by compiled code."""
        if self.episodes.rivals is not None or self.episodes.batch.has_user_rules:
            return None
        if self._fused is None or not self._fused.current():
            self._fused = FusedStep(self.episodes)
        return self._fused

    def _info(self) -> dict[str, Any]:
        found = {name: rows[0] for name, rows in self.episodes.info().items()}
        return {name: plain(value) for name, value in found.items()}

    def __getstate__(self) -> dict[str, Any]:
        """A copy has arrays of its own, and so other addresses."""
        return self.__dict__ | {"_fused": None}

    def render(self):
        if self._picture is None:
            gym.logger.warn(
                "render() was called without a render_mode: pass render_mode to gym.make."
            )
            return None
        return self._picture.ansi() if self.render_mode == "ansi" else self._picture.rgb_array()
