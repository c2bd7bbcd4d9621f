"""Many worlds as one Gymnasium vector environment: one compiled call for all of them."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from dtao_gym.envs.features import as_float32
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.worlds import Episodes
from dtao_gym.world.batch import checked_seed

MODES = tuple(mode.value for mode in AutoresetMode)


class MarketVectorEnv(VectorEnv):
    """`num_envs` worlds with one agent each; bit-identical to the same number of single environments.

    Parameters
    ----------
    num_envs : int
        Number of worlds.
    role, config, max_episode_steps, **overrides
        As in `SingleEnv`.
    autoreset_mode : {"NextStep", "SameStep", "Disabled"}
        Start of the episode after a finished one. "NextStep": the next call of `step` starts it and ignores the world's
        action. "SameStep": it starts at once; the last observation and info are in `final_obs` and `final_info`. "Disabled":
        `reset` with `options={"reset_mask": mask}` starts it, and stepping a finished world is an error.
    threads : int
        Threads that share the worlds.
    render_mode : None
        Only single environments can be rendered.

    Raises
    ------
    ConfigError
        For bad parameters.
    ValueError
        For a bad autoreset or render mode, for bad seeds, masks and actions, and for steps of a finished world.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  each instance sets its own mode
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        role: str = "staker",
        config: Any = None,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        render_mode: None = None,
        **overrides: Any,
    ):
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError:
            raise ValueError(
                f"autoreset_mode: got {autoreset_mode!r}, allowed are {', '.join(MODES)}"
            ) from None
        if render_mode is not None:
            raise ValueError(
                f"render_mode: got {render_mode!r}, allowed is None; render a single environment"
            )
        self.metadata = self.metadata | {"autoreset_mode": self.autoreset_mode}
        self.num_envs = num_envs
        self.episodes = Episodes(
            role_named(role).task(config, **overrides),
            num_envs,
            role,
            threads,
            None
            if max_episode_steps == -1
            else max_episode_steps,  # -1: gym.make's value for no limit
        )
        self.single_observation_space = self.episodes.role.observation_space
        self.single_action_space = self.episodes.role.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._done = np.zeros(num_envs, bool)

    def reset(self, *, seed: int | list[int | None] | None = None, options: dict | None = None):
        """Start new episodes; returns observations and infos.

        Parameters
        ----------
        seed : int or list, optional
            Seeds of the worlds, `seed + k` for world k; None continues with the next episode of a world's seed.
        options : dict, optional
            `reset_mask`: `(num_envs,)` bool, the worlds to reset; all by default.
        """
        mask = _checked_mask((options or {}).get("reset_mask"), self.num_envs)
        if seed is None or isinstance(seed, int | np.integer):
            seeds = [None if seed is None else int(seed) + k for k in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(
                f"seed: got {len(seeds)} seeds, allowed are {self.num_envs}, one per world"
            )
        for world in np.flatnonzero(mask):
            if seeds[world] is not None:
                checked_seed(seeds[world])
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
        for world in np.flatnonzero(mask):
            self.episodes.reset(int(world), seeds[world])
        self.episodes.reset_done()
        self._done[mask] = False
        return self.episodes.observe(), self._infos(mask)

    def step(self, actions: np.ndarray):
        """Advance all worlds; returns observations, rewards, terminated, truncated and infos."""
        if self.autoreset_mode == AutoresetMode.DISABLED and self._done.any():
            world = int(np.flatnonzero(self._done)[0])
            raise ValueError(
                f"world {world} has finished its episode: reset it with options={{'reset_mask': mask}} first"
            )
        restarted = (
            self._done
            if self.autoreset_mode == AutoresetMode.NEXT_STEP
            else np.zeros_like(self._done)
        )
        actions = as_float32(actions)
        if restarted.any() and len(actions) == self.num_envs:
            actions = np.where(
                restarted[:, None], np.float32(0.0), actions
            )  # ignored, even if invalid
        reward, terminated, truncated = self.episodes.step(actions)
        for ended in (terminated, truncated):
            ended[restarted] = False
        reward[restarted] = 0.0
        done = terminated | truncated
        infos: dict[str, Any] = {}
        fresh = restarted
        if self.autoreset_mode == AutoresetMode.SAME_STEP and done.any():
            infos = self._final(done)
            fresh = done
        for world in np.flatnonzero(fresh):
            self.episodes.reset(int(world))
        if fresh.any():
            self.episodes.reset_done()
        self._done = np.zeros_like(done) if self.autoreset_mode == AutoresetMode.SAME_STEP else done
        infos |= self._infos(np.ones(self.num_envs, bool))
        return self.episodes.observe(), reward, terminated, truncated, infos

    def _infos(self, mask: np.ndarray) -> dict[str, Any]:
        """Infos as arrays, each with a mask `_key` of the worlds that have it; zero elsewhere."""
        infos: dict[str, Any] = {}
        for name, rows in self.episodes.info().items():
            rows[~mask] = 0
            infos[name], infos[f"_{name}"] = rows, mask.copy()
        return infos

    def _final(self, done: np.ndarray) -> dict[str, Any]:
        """Last observations and infos of finished worlds."""
        last = self.episodes.observe()
        final_obs = np.full(self.num_envs, None, dtype=object)
        for world in np.flatnonzero(done):
            final_obs[world] = last[world]
        final = self._infos(done)
        return {
            "final_obs": final_obs,
            "_final_obs": done.copy(),
            "final_info": final,
            "_final_info": done.copy(),
        }


def _checked_mask(mask: Any, num_envs: int) -> np.ndarray:
    if mask is None:
        return np.ones(num_envs, bool)
    mask = np.asarray(mask)
    if mask.shape != (num_envs,) or mask.dtype != np.bool_ or not mask.any():
        raise ValueError(
            f"options['reset_mask']: got {mask.dtype} of shape {mask.shape} with {int(np.count_nonzero(mask))} "
            f"true, allowed is bool of shape ({num_envs},) with at least one true"
        )
    return mask
