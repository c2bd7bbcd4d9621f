"""Stakers and builders of one world as a PettingZoo environment. Install the extra `marl`."""

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding

try:
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise ImportError(
        "parallel_env: got no PettingZoo, which is optional: pip install 'dtao-gym[marl]'"
    ) from error

from dtao_gym.envs.features import plain
from dtao_gym.envs.multi_agent import MultiAgentWorlds, multi_agent_config, wanted_members
from dtao_gym.envs.render import checked_render_mode, picture_of
from dtao_gym.envs.seeds import reset_seed
from dtao_gym.envs.window import Shown, Window


class MarketParallelEnv(Shown, ParallelEnv):
    """One market in which any set of stakers and builders decides at once; everybody else is scripted.

    Agents are `staker_0`, `staker_1`, ... and `builder_3` for the owner of slot 3. Spaces, rewards and actions are
    those of `Staker` (`dtao_gym.envs.staker.role`) and `Builder` (`dtao_gym.envs.builder.role`). With one agent
    every number equals that of the single environment, bit for bit.

    A ruined staker and a builder whose subnet is dissolved are `terminated` and leave for good; the new
    owner of the slot is scripted. At the horizon the remaining agents are `truncated`, at a drawn end `terminated`.

    Parameters
    ----------
    config : TaskConfig, dict, path or None
        Parameters, a YAML file of them, or defaults.
    stakers : int
        Number of learning stakers, each with `wealth_tao` at the start.
    builders : iterable of int or "all"
        Slots whose owners learn.
    members : mapping, optional
        Members of other registered roles, as their `members_of` takes them.
    render_mode : {"ansi", "rgb_array", "human"}, optional
        Draws the market as the first agent sees it: a table, a picture, or a window that follows the episode.
    max_episode_steps : int, optional
        Ends episodes before `horizon_days`.
    **overrides
        Any parameter of the configuration.

    Raises
    ------
    ConfigError
        For bad parameters.
    ValueError
        For bad actions, from `step`.

    Attributes
    ----------
    state_space : gymnasium.spaces.Box
        Space of `state`.
    np_random, np_random_seed
        Generator and number of the present seed, as in Gymnasium; ``reset(seed=env.np_random_seed)`` starts its first
        episode again. Without a seed the first reset takes `world_seed` if the configuration gives one, else one from entropy.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "name": "dtao_gym_v0",
        "render_modes": ["ansi", "rgb_array", "human"],
        "render_fps": 10,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        config: Any = None,
        *,
        stakers: int = 1,
        builders: Iterable[int] | str = (),
        members: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **overrides: Any,
    ):
        self.render_mode = checked_render_mode(render_mode, self.metadata["render_modes"])
        wanted = wanted_members(stakers, builders, members)
        task = multi_agent_config(config, overrides, wanted)
        self.worlds = MultiAgentWorlds(task, 1, wanted, max_episode_steps=max_episode_steps)
        roles = self.worlds.roles
        self._places = {
            f"{name}_{member}": (name, place)
            for name, role in roles.items()
            for place, member in enumerate(role.members)
        }
        self.possible_agents = list(self._places)
        self.agents: list[str] = []
        self.observation_spaces = {
            agent: _own(roles[role].observation_space) for agent, (role, _) in self._places.items()
        }
        self.action_spaces = {
            agent: _own(roles[role].action_space) for agent, (role, _) in self._places.items()
        }
        size = sum(roles[role].observation_space.shape[0] for role, _ in self._places.values())
        self.state_space = spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.np_random, self.np_random_seed = seeding.np_random(self.worlds.seeds[0])
        self._picture = picture_of(next(iter(roles.values()))) if render_mode else None
        self._window = Window() if render_mode == "human" else None

    @property
    def config(self):
        """Resolved configuration."""
        return self.worlds.config

    def observation_space(self, agent: str) -> spaces.Space:
        """Return the observation space of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """Return the action space of an agent."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None):
        """Start the next episode, or the first of a seed; return observations and infos by agent.

        Options are ignored: PettingZoo's checks pass some to every environment.
        """
        seed = reset_seed(seed)
        if seed is not None:
            self.np_random, self.np_random_seed = seeding.np_random(seed)
        self.worlds.reset(0, seed)
        self.worlds.reset_done()
        self.agents = self.possible_agents[:]
        if self._picture is not None:
            self._picture.start(self._episodes_of_first())
            self._show()
        return self._observations(self.agents), self._infos(self.agents)

    def step(self, actions: dict[str, np.ndarray]):
        """Advance by one step; return observations, rewards, terminations, truncations, infos, by agent.

        Actions of agents that have left are ignored, whatever they are. Raises ValueError if an agent is missing or
        unknown, and for bad actions; nothing has changed then.
        """
        present = self.agents
        if not present or not set(present) <= set(actions) <= set(self.possible_agents):
            raise ValueError(
                f"actions: got those of {', '.join(map(str, actions)) or 'nobody'}, allowed are those of the live "
                f"agents: {', '.join(present) or 'nobody, call reset()'}"
            )
        transitions = self.worlds.step(self._rows({agent: actions[agent] for agent in present}))
        if self._picture is not None:
            self._picture.add(self._episodes_of_first())
            self._show()
        results: tuple[dict, dict, dict] = ({}, {}, {})
        for agent in present:
            role, place = self._places[agent]
            transition = transitions[role]
            results[0][agent] = float(transition.reward[place])
            results[1][agent] = bool(transition.terminated[place])
            results[2][agent] = bool(transition.truncated[place])
        self.agents = [agent for agent in present if not results[1][agent] | results[2][agent]]
        return self._observations(present), *results, self._infos(present)

    def _rows(self, actions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Actions by role, 0 for agents that have left."""
        rows = {
            name: np.zeros((len(role.members), *role.action_space.shape))
            for name, role in self.worlds.roles.items()
        }
        for agent, action in actions.items():
            role, place = self._places[agent]
            action = np.asarray(action)
            if action.shape != rows[role].shape[1:]:
                raise ValueError(
                    f"action of {agent}: got shape {action.shape}, allowed is {rows[role].shape[1:]}"
                )
            rows[role][place] = action
        return rows

    def _observations(self, agents: list[str]) -> dict[str, np.ndarray]:
        rows = self.worlds.observe()
        return {agent: rows[role][place].copy() for agent, (role, place) in self._located(agents)}

    def _infos(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        market = {name: plain(rows[0]) for name, rows in self.worlds.market_info().items()}
        own = {name: role.info(self.worlds.batch) for name, role in self.worlds.roles.items()}
        return {
            agent: market | {name: plain(rows[place]) for name, rows in own[role].items()}
            for agent, (role, place) in self._located(agents)
        }

    def _located(self, agents: list[str]) -> list[tuple[str, tuple[str, int]]]:
        return [(agent, self._places[agent]) for agent in agents]

    def _episodes_of_first(self) -> Any:
        """The first agent's episodes as if it were alone, for its picture."""
        worlds = self.worlds
        role = next(iter(worlds.roles.values()))
        info = worlds.market_info() | role.info(worlds.batch)
        return SimpleNamespace(
            batch=worlds.batch,
            config=worlds.config,
            seeds=worlds.seeds,
            numbers=worlds.numbers,
            role=role,
            info=lambda: info,
        )

    def render(self):
        """Return a table or a picture of the market as the first agent sees it, by the render mode.

        None where a window shows it.
        """
        if self._picture is None:
            gym.logger.warn("render() was called without a render_mode: pass it to parallel_env.")
            return None
        return self._rendered()

    def state(self) -> np.ndarray:
        """Return the observations of all agents in one float32 vector, for central critics."""
        rows = self.worlds.observe()
        return np.concatenate([rows[role][place] for role, place in self._places.values()])


def _own(space: spaces.Space) -> spaces.Space:
    """An equal space with its own random generator."""
    assert isinstance(space, spaces.Box)
    return spaces.Box(space.low, space.high, space.shape, np.float32)


def parallel_env(config: Any = None, **arguments: Any) -> MarketParallelEnv:
    """Return a PettingZoo `ParallelEnv` with any set of stakers and builders; for arguments see `MarketParallelEnv`."""
    return MarketParallelEnv(config, **arguments)
