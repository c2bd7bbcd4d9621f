"""Worlds in which several agents of any roles decide at once.

The PettingZoo environment and environments of shared policies are views of `MultiAgentWorlds`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.envs.features import as_float32, without_rounding
from dtao_gym.envs.role import Role
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.worlds import SeededWorlds, no_orders, with_ends
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import ConfigError


def wanted_members(
    stakers: int | None, builders: Any | None, members: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the members of each role from the keywords of an environment; None names none."""
    wanted = {"staker": stakers, "builder": builders, **(members or {})}
    return {name: its for name, its in wanted.items() if its is not None}


def multi_agent_config(
    config: Any, overrides: Mapping[str, Any], members: Mapping[str, Any]
) -> TaskConfig:
    """Return the configuration of worlds of many agents, with the staker accounts that their roles use.

    Parameters
    ----------
    config : TaskConfig, dict, path or None
    overrides : mapping
        Parameters that replace those of `config`.
    members : mapping
        Members of each role, as `Role.members_of` takes them.

    Raises
    ------
    ConfigError
    """
    made = TaskConfig.make(config, **overrides)
    roles = {name: role_named(name) for name in members}
    accounts = {
        name: role.n_stakers * len(role.members_of(made, members[name]))
        for name, role in roles.items()
        if role.n_stakers
    }
    used = [name for name, number in accounts.items() if number]
    if len(used) > 1:
        raise ConfigError(f"{', '.join(used)}: allowed is one role that uses staker accounts")
    n_stakers = sum(accounts.values())
    if "n_stakers" in overrides and made.n_stakers != n_stakers:
        raise ConfigError(f"n_stakers: got {made.n_stakers}, allowed is {n_stakers}, the stakers")
    for role in roles.values():
        if role.copies(made) > 1:
            raise ConfigError("twin_world: got True, allowed is False where many learn")
    return TaskConfig.make(made, n_stakers=n_stakers)


class Transition(NamedTuple):
    """Results of a step for the members of a role, each `(rows,)`; 0 and False in rows that have left."""

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


class MultiAgentWorlds(SeededWorlds):
    """Worlds with several learners each; all of them decide on the same state.

    Arrays of a role have one row per world and member, world by world.

    Parameters
    ----------
    config : TaskConfig
        Configuration of all worlds, from `multi_agent_config` with the same members.
    n_worlds : int
    members : mapping
        Members of each role, as `Role.members_of` takes them; roles without members are left out.
    respawn : bool
        Whether a successor goes on in the row of a member that is out: the next owner of the slot, or a staker with
        the same initial wealth. Otherwise the row has left, and the next owner is scripted.
    threads : int
        Threads that share the worlds.
    max_episode_steps : int, optional
        Ends episodes before the horizon.

    Attributes
    ----------
    roles : dict of str to Role
        The roles that have members.
    playing : dict of str to `(rows,)` bool
        Members that have not left.
    rivals : callable, optional
        Called as `rivals(batch, role)` before each step, for each role whose members are subnet owners.
    """

    def __init__(
        self,
        config: TaskConfig,
        n_worlds: int,
        members: Mapping[str, Any],
        respawn: bool = False,
        threads: int = 1,
        max_episode_steps: int | None = None,
    ):
        batch = Batch(config, n_worlds, threads=threads)
        super().__init__(config, batch, n_worlds, max_episode_steps)
        self.respawns = respawn
        self.roles: dict[str, Any] = {}
        for name, wanted in members.items():
            chosen = role_named(name).members_of(config, wanted)
            if chosen:
                self.roles[name] = role_named(name)(batch, chosen, respawn)
        if not self.roles:
            raise ConfigError("stakers, builders: got none of either, allowed is one agent or more")
        owned = np.concatenate([role.slots for role in self.roles.values()])
        if np.unique(owned).size < owned.size:
            raise ConfigError(f"members: got slots {owned.tolist()}, allowed is one owner per slot")
        self.rivals: Callable[[Batch, Role], None] | None = None
        self.playing = {name: np.ones(self.rows(name), bool) for name in self.roles}
        self._no_orders = no_orders(batch)
        self.reset_done()

    @property
    def members(self) -> dict[str, tuple[int, ...]]:
        """Members of each role in a world: staker accounts, or slots."""
        return {name: role.members for name, role in self.roles.items()}

    def rows(self, role: str) -> int:
        """Return the number of rows of a role's arrays."""
        return self.n_worlds * len(self.roles[role].members)

    def by_world(self, role: str, values: np.ndarray) -> np.ndarray:
        """Return `(rows, ...)` values from one value per world."""
        return np.repeat(values, len(self.roles[role].members), axis=0)

    def reset(self, world: int, seed: int | None = None) -> None:
        """Start the next episode of one world, or the first of a new seed."""
        super().reset(world, seed)
        for name, role in self.roles.items():
            n = len(role.members)
            self.playing[name][world * n : (world + 1) * n] = True

    def reset_done(self) -> None:
        """Measure rewards from the new start; call after one or more resets."""
        self._baselines = {n: role.reward_baseline(self.batch) for n, role in self.roles.items()}

    def observe(self) -> dict[str, np.ndarray]:
        """Return fresh float32 observations `(rows, size)` of each role."""
        return {name: role.observe(self.batch) for name, role in self.roles.items()}

    def step(self, actions: Mapping[str, Any]) -> dict[str, Transition]:
        """Advance all worlds by the actions `(rows, size)` of each role.

        Raises ValueError for actions of the wrong shape, NaN or outside [-1, 1]; nothing has changed then.
        """
        self.check_started()
        checked = {name: self._checked(name, actions) for name in self.roles}
        orders = self._no_orders
        for name, role in self.roles.items():
            given = role.apply(self.batch, checked[name], self.playing[name])
            orders = orders if given is None else given
            if self.rivals is not None and role.slots.size:
                self.rivals(self.batch, role)
        self.batch.advance(orders, self.config.days_per_step)
        self.steps += 1
        return {name: self._transition(name) for name in self.roles}

    def _checked(self, name: str, actions: Mapping[str, Any]) -> np.ndarray:
        if name not in actions:
            raise ValueError(
                f"actions: got those of {', '.join(actions) or 'nobody'}, allowed are those of {', '.join(self.roles)}"
            )
        mine, role = without_rounding(as_float32(actions[name])), self.roles[name]
        expected = (self.rows(name), *role.action_space.shape)
        if mine.shape != expected:
            raise ValueError(f"action of {name}s: got shape {mine.shape}, allowed is {expected}")
        bad = np.flatnonzero(~(np.abs(mine) <= 1.0))
        if bad.size:
            row, entry = divmod(int(bad[0]), expected[1])
            world, member = divmod(row, len(role.members))
            raise ValueError(
                f"action: got {mine[row, entry]!s} at world {world}, {name}_{role.members[member]}, "
                f"entry {entry}, allowed are numbers from -1 to 1"
            )
        return np.ascontiguousarray(mine)

    def _transition(self, name: str) -> Transition:
        role, playing, baseline = self.roles[name], self.playing[name], self._baselines[name]
        reward = role.reward(self.batch, baseline)
        out = role.terminated(self.batch)
        if self.respawns:
            out = role.replaceable(self.batch, baseline)
        ended, late = (self.by_world(name, flag) for flag in self.episode_ends())
        reward, terminated, truncated = with_ends(
            reward, out, (ended, late), lambda: role.terminal_value(self.batch)
        )
        self._baselines[name] = role.reward_baseline(self.batch)
        transition = Transition(reward * playing, terminated & playing, truncated & playing)
        if not self.respawns:
            self.playing[name] = playing & ~(terminated | truncated)
        return transition

    def autoreset(self, transitions: Mapping[str, Transition]) -> None:
        """Start the next episodes of finished worlds, and replace terminated members of the others by successors."""
        finished = np.logical_or(*self.episode_ends())
        for name, transition in transitions.items():
            out = transition.terminated & ~self.by_world(name, finished)
            if out.any():
                self.roles[name].respawn(self.batch, out)
        for world in np.flatnonzero(finished):
            self.reset(int(world))
        self.reset_done()
