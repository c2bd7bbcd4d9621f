"""Many worlds as one Gymnasium vector environment: one compiled call for all of them."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from dtao_gym.envs.calls import set_parameter, world_values
from dtao_gym.envs.features import as_float32
from dtao_gym.envs.render import FRAME_SHAPE, checked_render_mode, picture_of
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.seeds import reset_seed
from dtao_gym.envs.worlds import Episodes

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
    render_mode : {"ansi", "rgb_array"}, optional
        What `render` returns of each world: a table, or a picture `(600, 800, 3)` uint8.
    render_worlds : int, optional
        Number of worlds that are drawn, from the first on; all by default. The others are blank, at no cost.

    Raises
    ------
    ConfigError
        For bad parameters.
    ValueError
        For a bad autoreset or render mode, for bad seeds, options and actions, and for steps of a finished world.

    Notes
    -----
    Episodes end after `max_episode_steps` steps, which the worlds count themselves; `spec.max_episode_steps` is None.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  each instance sets its own mode
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 10,
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
        render_mode: str | None = None,
        render_worlds: int | None = None,
        **overrides: Any,
    ):
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError:
            raise ValueError(
                f"autoreset_mode: got {autoreset_mode!r}, allowed are {', '.join(MODES)}"
            ) from None
        self.render_mode = checked_render_mode(render_mode, self.metadata["render_modes"])
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
        drawn = _checked_number(render_worlds, num_envs) if render_mode else 0
        self._pictures = [picture_of(self.episodes.role, world) for world in range(drawn)]
        self._np_random, _ = seeding.np_random(self.episodes.seeds[0])

    @property
    def config(self):
        """Resolved configuration of all worlds, as it was made."""
        return self.episodes.config

    @property
    def max_episode_steps(self) -> int:
        """Steps after which an episode is truncated."""
        return self.episodes.max_steps

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]  as that of SyncVectorEnv
        """Seeds of the worlds, which `reset(seed=...)` takes."""
        return tuple(self.episodes.seeds)

    def reset(self, *, seed: Any = None, options: dict | None = None):
        """Start new episodes; returns observations and infos.

        Parameters
        ----------
        seed : int or sequence of int, optional
            Seeds of the worlds, `seed + k` for world k; None continues with the next episode of a world's seed. The
            first are those of `SingleEnv`: `world_seed` if it is given, else from entropy.
        options : dict, optional
            `reset_mask`: `(num_envs,)` bool, the worlds to reset; all by default.
        """
        mask = _checked_mask(options, self.num_envs)
        seeds = _checked_seeds(seed, self.num_envs)
        super().reset(seed=seeds[0])
        for world in np.flatnonzero(mask):
            self.episodes.reset(int(world), seeds[world])
        self.episodes.reset_done()
        self._done[mask] = False
        for picture in self._pictures:
            if mask[picture.world]:
                picture.start(self.episodes)
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
        self._draw(fresh)
        infos |= self._infos(np.ones(self.num_envs, bool))
        return self.episodes.observe(), reward, terminated, truncated, infos

    def _draw(self, fresh: np.ndarray) -> None:
        """Record the present states for pictures; those of `fresh` worlds are the first of an episode."""
        for picture in self._pictures:
            if fresh[picture.world]:
                picture.start(self.episodes)
            elif self.episodes.numbers[picture.world] >= 0:
                picture.add(self.episodes)

    def render(self):
        """Return a tuple with the table or picture of each world; None with a warning without a render mode.

        Worlds from `render_worlds` on are blank: an empty text, or black.
        """
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode: pass it to gym.make_vec.")
            return None
        frames: list[Any] = [getattr(picture, self.render_mode)() for picture in self._pictures]
        blank = "" if self.render_mode == "ansi" else np.zeros(FRAME_SHAPE, np.uint8)
        return (*frames, *[blank] * (self.num_envs - len(frames)))

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return the results of a method, or an attribute, of each world; see `dtao_gym.envs.calls.world_values`."""
        if name == "render":
            return self.render() or (None,) * self.num_envs
        return world_values(self, name, *args, **kwargs)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of each world."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Change a parameter of the market from the next day on: one value, or a list with one for each world.

        Raises AttributeError for other names, ConfigError for bad values; nothing has changed then.
        """
        given = values if isinstance(values, list | tuple) else [values] * self.num_envs
        set_parameter(self.episodes, name, list(given))

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


def _checked_number(render_worlds: Any, num_envs: int) -> int:
    if render_worlds is None:
        return num_envs
    whole = isinstance(render_worlds, int | np.integer) and not isinstance(render_worlds, bool)
    if not whole or not 1 <= render_worlds <= num_envs:
        raise ValueError(f"render_worlds: got {render_worlds!r}, allowed are 1 to {num_envs}, None")
    return int(render_worlds)


def _checked_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """Seeds of the worlds, one each."""
    if isinstance(seed, list | tuple | range | np.ndarray):
        seeds = [reset_seed(one) for one in seed]
    else:
        first = reset_seed(seed)
        seeds = [None if first is None else first + k for k in range(num_envs)]
    if len(seeds) != num_envs:
        raise ValueError(f"seed: got {len(seeds)} seeds, allowed are {num_envs}, one per world")
    return seeds


def _checked_mask(options: dict | None, num_envs: int) -> np.ndarray:
    if unknown := [str(key) for key in options or {} if key != "reset_mask"]:
        raise ValueError(f"options: got {', '.join(unknown)}, allowed is reset_mask")
    mask = (options or {}).get("reset_mask")
    if mask is None:
        return np.ones(num_envs, bool)
    mask = np.asarray(mask)
    if mask.shape != (num_envs,) or mask.dtype != np.bool_ or not mask.any():
        raise ValueError(
            f"options['reset_mask']: got {mask.dtype} of shape {mask.shape} with {int(np.count_nonzero(mask))} "
            f"true, allowed is bool of shape ({num_envs},) with at least one true"
        )
    return mask
