"""Stakers and builders of one world as a PettingZoo environment. Install the extra `marl`."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

try:
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise ImportError(
        "parallel_env: got no PettingZoo, which is optional: pip install 'dtao-gym[marl]'"
    ) from error

from dtao_gym.envs.features import plain
from dtao_gym.envs.pictures import PICTURES
from dtao_gym.envs.society import Society, society_config


class MarketParallelEnv(ParallelEnv):
    """One market in which any set of stakers and builders decides at once; everybody else is scripted.

    Agents are `staker_0`, `staker_1`, ... and `builder_3` for the owner of slot 3. Spaces, rewards and what an
    action does are those of `Staker` (dtao_gym.envs.roles) and `Builder` (dtao_gym.envs.builder). With one agent
    every number equals that of the single environment, bit for bit.

    A staker who is ruined and a builder whose subnet is dissolved are `terminated` and leave for good; the new
    owner of the slot is scripted. At the horizon those who are left are `truncated`, at a drawn end `terminated`.

    Args:
        config: a `Config`, a dict or a path to a YAML file.
        stakers: number of learning stakers, each with `wealth_tao` at the start.
        builders: slots whose owners learn, or "all".
        render_mode: "ansi", "rgb_array" or None; shows the market as the first agent has it.
        max_episode_steps: ends episodes before `horizon_days`.
        **overrides: any parameter of `Config`.

    Raises ConfigError for bad parameters, ValueError for bad actions.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "name": "dtao_gym_v0",
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 10,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        config: Any = None,
        *,
        stakers: int = 1,
        builders: Iterable[int] | str = (),
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **overrides: Any,
    ):
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: got {render_mode!r}, allowed are 'ansi', 'rgb_array', None"
            )
        self.render_mode = render_mode
        made = society_config(config, overrides, stakers)
        self.society = Society(made, 1, builders, max_episode_steps=max_episode_steps)
        self._places = {
            f"{role}_{member}": (role, place)
            for role, members in self.society.members.items()
            for place, member in enumerate(members)
        }
        self.possible_agents = list(self._places)
        self.agents: list[str] = []
        roles = self.society.roles
        self.observation_spaces = {
            agent: _own(roles[role].observation_space) for agent, (role, _) in self._places.items()
        }
        self.action_spaces = {
            agent: _own(roles[role].action_space) for agent, (role, _) in self._places.items()
        }
        first = next(iter(roles))
        self._picture = PICTURES[first]() if render_mode else None

    @property
    def config(self):
        """The resolved configuration."""
        return self.society.config

    def observation_space(self, agent: str) -> spaces.Space:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None):
        self.society.reset(0, seed)
        self.society.reset_done()
        self.agents = self.possible_agents[:]
        if self._picture is not None:
            self._picture.start(self._seen())
        return self._observations(self.agents), self._infos(self.agents)

    def step(self, actions: dict[str, np.ndarray]):
        """One step of all live agents: observations, rewards, terminations, truncations, infos, by agent.

        Raises ValueError if an agent is missing, unknown or gone, and for bad actions; nothing has changed then.
        """
        present = self.agents
        if set(actions) != set(present):
            raise ValueError(
                f"actions: got those of {', '.join(map(str, actions)) or 'nobody'}, allowed are those of the live "
                f"agents: {', '.join(present) or 'nobody, call reset()'}"
            )
        outcomes = self.society.step(self._rows(actions))
        if self._picture is not None:
            self._picture.add(self._seen())
        results: tuple[dict, dict, dict] = ({}, {}, {})
        for agent in present:
            role, place = self._places[agent]
            found = outcomes[role]
            results[0][agent] = float(found.reward[place])
            results[1][agent] = bool(found.terminated[place])
            results[2][agent] = bool(found.truncated[place])
        self.agents = [agent for agent in present if not results[1][agent] | results[2][agent]]
        return self._observations(present), *results, self._infos(present)

    def _rows(self, actions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Actions by role, 0 for agents who are gone."""
        rows = {
            name: np.zeros((len(self.society.members[name]), *role.action_space.shape))
            for name, role in self.society.roles.items()
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
        seen = self.society.observe()
        return {agent: seen[role][place].copy() for agent, (role, place) in self._of(agents)}

    def _infos(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        market = {name: plain(rows[0]) for name, rows in self.society.market_info().items()}
        told = {name: role.info(self.society.batch) for name, role in self.society.roles.items()}
        return {
            agent: market | {name: plain(rows[place]) for name, rows in told[role].items()}
            for agent, (role, place) in self._of(agents)
        }

    def _of(self, agents: list[str]) -> list[tuple[str, tuple[str, int]]]:
        return [(agent, self._places[agent]) for agent in agents]

    def _seen(self) -> Any:
        """What pictures are drawn from: the first agent as if it were alone."""
        society = self.society
        role = next(iter(society.roles.values()))
        told = society.market_info() | role.info(society.batch)
        return SimpleNamespace(
            batch=society.batch,
            config=society.config,
            seeds=society.seeds,
            numbers=society.numbers,
            role=role,
            info=lambda: told,
        )

    def render(self):
        if self._picture is None:
            gym.logger.warn("render() was called without a render_mode: pass it to parallel_env.")
            return None
        return self._picture.ansi() if self.render_mode == "ansi" else self._picture.rgb_array()

    def close(self) -> None:
        """Nothing to close."""

    def state(self) -> np.ndarray:
        """Observations of all agents, one after the other, float32: what a central critic may see."""
        seen = self.society.observe()
        return np.concatenate([seen[role][place] for role, place in self._places.values()])


def _own(space: spaces.Space) -> spaces.Space:
    """An equal space with a generator of its own."""
    assert isinstance(space, spaces.Box)
    return spaces.Box(space.low, space.high, space.shape, np.float32)


def parallel_env(config: Any = None, **arguments: Any) -> MarketParallelEnv:
    """A PettingZoo `ParallelEnv` with any set of stakers and builders: see `MarketParallelEnv` for the arguments."""
    return MarketParallelEnv(config, **arguments)
