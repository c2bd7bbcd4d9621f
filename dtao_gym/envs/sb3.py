"""Many worlds as Stable-Baselines3 VecEnvs. Imports Stable-Baselines3: install the extra `train`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from dtao_gym.envs.multi_agent import (
    MultiAgentWorlds,
    Transition,
    multi_agent_config,
    wanted_members,
)
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.worlds import Episodes
from dtao_gym.world.config import ConfigError


class _BatchVecEnv(VecEnv):
    """Methods of both environments; `_shared` names the attribute that holds their worlds."""

    _shared: str
    _actions: np.ndarray | None = None
    render_mode = None

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute of the shared worlds, or of this environment, for each index."""
        worlds = getattr(self, self._shared)
        owner = worlds if hasattr(worlds, attr_name) else self
        return [getattr(owner, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError(
            f"{attr_name}: worlds share their attributes; use {self._shared}.batch.set_parameters"
        )

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """True for `Monitor`, whose `episode` infos this environment gives by itself."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        return [None] * self.num_envs


class MarketVecEnv(_BatchVecEnv):
    """`num_envs` worlds with one learner each, over the same batch as the Gymnasium vector environment.

    Finished worlds start their next episode at once. At an end `infos` hold `terminal_observation`,
    `TimeLimit.truncated` and `episode` with return `r`, length `l` and the role's statistics: the final `wealth` of a
    staker, the total `consumed` of a builder.

    Parameters
    ----------
    num_envs : int
        Number of worlds.
    role, config, max_episode_steps, **overrides
        As in `SingleEnv`.
    threads : int
        Threads that share the worlds.
    """

    _shared = "episodes"

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
            role_named(role).task(config, **overrides), num_envs, role, threads, max_episode_steps
        )
        super().__init__(
            num_envs, self.episodes.role.observation_space, self.episodes.role.action_space
        )
        self._returns = np.zeros(num_envs)

    def reset(self) -> np.ndarray:
        """Start the next episode of each world, or the first of its seed; return observations `(num_envs, size)`."""
        self.episodes.start(self._seeds)
        self._returns[:] = 0.0
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = [{} for _ in range(self.num_envs)]
        return self.episodes.observe()

    def step_wait(self):
        """Advance all worlds by the actions of `step_async`; return observations, rewards, dones, infos."""
        reward, terminated, truncated = self.episodes.step(self._actions)
        self._returns += reward
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self.episodes.observe()
            more = self.episodes.episode_statistics()
            for world in np.flatnonzero(done):
                statistics = {name: float(rows[world]) for name, rows in more.items()}
                infos[world] = {
                    "terminal_observation": last[world],
                    "TimeLimit.truncated": bool(truncated[world]),
                    "episode": {
                        "r": float(self._returns[world]),
                        "l": int(self.episodes.steps[world]),
                        **statistics,
                    },
                }
                self.episodes.reset(int(world))
            self.episodes.reset_done()
            self._returns[done] = 0.0
        return self.episodes.observe(), reward.astype(np.float32), done, infos

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of `episodes`: `reset` for each index, any other once, of whose result each index gets its row."""
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


Companion = Callable[[np.ndarray, Any, Any], np.ndarray]
"""`companion(observation, batch, rngs) -> actions`, scripted or learned."""


class SharedVecEnv(_BatchVecEnv):
    """One policy for all members of a role in many worlds: an environment per world and member.

    Row `world * members + k` is the k-th member of a world. A row whose subnet is dissolved, or whose staker is
    ruined, is done and continues with the successor while its world runs on; at the end of the world all of its
    rows are done. `infos` are as in `MarketVecEnv`; the `terminal_observation` of a dissolved subnet is the first
    observation of its successor.

    Parameters
    ----------
    num_worlds : int
    role : str
        The role that learns.
    config, max_episode_steps, **overrides
        As in `MarketVecEnv`.
    stakers : int, optional
        Learning stakers of each world; 1 where stakers learn, else none.
    builders : iterable of int or "all", optional
        Slots whose owners act; all where builders learn, else none.
    members : mapping, optional
        Members of other registered roles, as their `members_of` takes them.
    companion : callable, optional
        Decides for the members of the other roles, if there are any.
    learner : int, optional
        The one member of the role that learns, a staker's number or a builder's slot; all if not given.
    peers : callable, optional
        Decides for the other members of the role then.
    threads : int
        Threads that share the worlds.

    Raises
    ------
    ConfigError
        For bad parameters.
    ValueError
        For bad actions, from `step`.
    """

    _shared = "worlds"

    def __init__(
        self,
        num_worlds: int,
        role: str = "builder",
        config: Any = None,
        *,
        stakers: int | None = None,
        builders: Iterable[int] | str | None = None,
        companion: Companion | None = None,
        learner: int | None = None,
        peers: Companion | None = None,
        max_episode_steps: int | None = None,
        threads: int = 1,
        members: Mapping[str, Any] | None = None,
        **overrides: Any,
    ):
        wanted = wanted_members(stakers, builders, members)
        wanted.setdefault(role, role_named(role).default_members)
        task = multi_agent_config(config, overrides, wanted)
        self.worlds = MultiAgentWorlds(
            task,
            num_worlds,
            wanted,
            respawn=True,
            threads=threads,
            max_episode_steps=max_episode_steps,
        )
        roles = self.worlds.roles
        if role not in roles:
            raise ConfigError(
                f"role: got {role!r}, allowed are those with members: {', '.join(roles)}"
            )
        if (companion is None) != (len(roles) == 1):
            raise ConfigError(
                f"companion: got {companion}, allowed is a policy where other roles have members, else None"
            )
        self.role = role
        self._companions = {name: companion for name in roles if name != role and companion}
        acting = roles[role].members
        if (peers is None) != (learner is None):
            raise ConfigError(
                f"peers: got {peers} with learner {learner}, allowed are both or none"
            )
        if learner is not None and learner not in acting:
            raise ConfigError(f"learner: got {learner!r}, allowed is one of {acting}")
        self._peers = peers
        places = range(len(acting)) if learner is None else [acting.index(learner)]
        rows = np.arange(self.worlds.rows(role)).reshape(-1, len(acting))
        self._mine = rows[:, list(places)].ravel()
        super().__init__(self._mine.size, roles[role].observation_space, roles[role].action_space)
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)

    def reset(self) -> np.ndarray:
        """Start the next episode of each world, or the first of its seed; return observations `(num_envs, size)`."""
        self.worlds.start(self._seeds[: self.worlds.n_worlds])
        self._returns[:], self._lengths[:] = 0.0, 0
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = [{} for _ in range(self.num_envs)]
        self._observations = self.worlds.observe()
        return self._own(self._observations[self.role])

    def _own(self, rows: np.ndarray) -> np.ndarray:
        """The rows of the learners."""
        return rows if self._peers is None else rows[self._mine]

    def _all_actions(self) -> np.ndarray:
        """Actions of the learners, and of their peers where these do not learn."""
        if self._peers is None:
            assert self._actions is not None
            return self._actions
        actions = self._peers(self._observations[self.role], self.worlds.batch, ()).copy()
        actions[self._mine] = self._actions
        return actions

    def step_wait(self):
        """Advance all worlds by the actions of `step_async`; return observations, rewards, dones, infos."""
        worlds, batch = self.worlds, self.worlds.batch
        actions: dict[str, Any] = {self.role: self._all_actions()}
        for name, companion in self._companions.items():
            actions[name] = companion(self._observations[name], batch, ())
        transitions = worlds.step(actions)
        mine = Transition(*map(self._own, transitions[self.role]))
        self._returns += mine.reward
        self._lengths += 1
        done = mine.terminated | mine.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self._own(worlds.observe()[self.role])
            more = worlds.roles[self.role].episode_statistics(batch)
            for row in np.flatnonzero(done):
                infos[row] = {
                    "terminal_observation": last[row],
                    "TimeLimit.truncated": bool(mine.truncated[row]),
                    "episode": {
                        "r": float(self._returns[row]),
                        "l": int(self._lengths[row]),
                        **{name: float(self._own(rows)[row]) for name, rows in more.items()},
                    },
                }
            self._returns[done], self._lengths[done] = 0.0, 0
        worlds.autoreset(transitions)
        self._observations = worlds.observe()
        return self._own(self._observations[self.role]), mine.reward.astype(np.float32), done, infos

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of `worlds`; each index gets its row of the result for the role."""
        result = getattr(self.worlds, method_name)(*args, **kwargs)
        mine = result.get(self.role) if isinstance(result, dict) else result
        if mine is None:
            return [None for _ in self._get_indices(indices)]
        return [self._own(mine)[row] for row in self._get_indices(indices)]
