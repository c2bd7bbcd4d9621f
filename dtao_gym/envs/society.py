"""Worlds in which many stakers and builders decide at once: what the PettingZoo view and shared policies have in common."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.envs.builder import Builder
from dtao_gym.envs.episodes import SeededWorlds, as_float32
from dtao_gym.envs.roles import Staker
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError


def society_config(config: Any, overrides: dict[str, Any], stakers: int) -> Config:
    """The configuration of worlds with this many learning stakers. Raises ConfigError."""
    if not isinstance(stakers, int | np.integer) or not 0 <= stakers <= 64:
        raise ConfigError(f"stakers: got {stakers!r}, allowed are whole numbers from 0 to 64")
    made = Config.make(config, **overrides)
    if "n_stakers" in overrides and made.n_stakers != stakers:
        raise ConfigError(f"n_stakers: got {made.n_stakers}, allowed is {stakers}, the stakers")
    if made.twin_world:
        raise ConfigError("twin_world: got True, allowed is False where many learn")
    return Config.make(made, n_stakers=int(stakers))


class Outcome(NamedTuple):
    """What a step brought the members of a role, each `(rows,)`; 0 and False where nobody plays any more."""

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


class Society(SeededWorlds):
    """Worlds with several learners each; all of them decide on the same state.

    Arrays of a role have one row per world and member, world by world.

    Args:
        config: of all worlds, a `society_config`.
        n_worlds: number of worlds.
        builders: slots whose owners learn, or "all".
        heirs: whether somebody new goes on in the row of one who is out: the next owner of the slot; or, for a
            ruined staker, one with as much as that one began with, as far as others can pay it. Else the
            row is over, and a new owner is scripted.
        threads, max_episode_steps: as in `Episodes`.

    Attributes:
        roles: `staker` and `builder`, those that have members.
        members: of each role its members' names: learners' numbers, or slots.
        playing: of each role `(rows,)`, who is still in.
        rivals: as in `Episodes`; writes the decisions of owners who do not learn.
    """

    def __init__(
        self,
        config: Config,
        n_worlds: int,
        builders: Iterable[int] | str = (),
        heirs: bool = False,
        threads: int = 1,
        max_episode_steps: int | None = None,
    ):
        super().__init__(config, n_worlds, threads, max_episode_steps)
        self.heirs = heirs
        self.roles: dict[str, Any] = {}
        self.members: dict[str, tuple[int, ...]] = {}
        if config.n_stakers:
            self.roles["staker"] = Staker(self.batch)
            self.members["staker"] = tuple(range(config.n_stakers))
        slots = self._slots(builders)
        if slots:
            self.roles["builder"] = Builder(self.batch, slots, heirs)
            self.members["builder"] = tuple(int(slot) for slot in slots)
        if not self.roles:
            raise ConfigError("stakers, builders: got none of either, allowed is one agent or more")
        self.rivals: Callable[[Batch, Any], None] | None = None
        self.playing = {name: np.ones(self.rows(name), bool) for name in self.roles}
        self._standing = self._stand()
        self._orders = np.zeros((n_worlds, max(config.n_stakers, 1), self.batch.layout.n_subnets))

    def _slots(self, builders: Iterable[int] | str) -> list[int]:
        if isinstance(builders, str):
            if builders != "all":
                raise ConfigError(f"builders: got {builders!r}, allowed are slots, 'all'")
            return list(range(self.batch.layout.n_subnets - self.config.empty_slots))
        return list(builders)

    def rows(self, role: str) -> int:
        """Rows of a role's arrays."""
        return self.n_worlds * len(self.members[role])

    def by_world(self, role: str, values: np.ndarray) -> np.ndarray:
        """`(rows, ...)` values of one value per world."""
        return np.repeat(values, len(self.members[role]), axis=0)

    def _stand(self) -> dict[str, np.ndarray]:
        return {name: role.standing(self.batch) for name, role in self.roles.items()}

    def reset(self, world: int, seed: int | None = None) -> None:
        """Start the next episode of one world, or the first of a new seed."""
        super().reset(world, seed)
        for name, members in self.members.items():
            self.playing[name][world * len(members) : (world + 1) * len(members)] = True

    def reset_done(self) -> None:
        """Call after one or more resets: rewards count from the new start."""
        self._standing = self._stand()

    def observe(self) -> dict[str, np.ndarray]:
        """Of each role fresh float32 observations `(rows, size)`."""
        return {name: role.observe(self.batch) for name, role in self.roles.items()}

    def step(self, actions: dict[str, Any]) -> dict[str, Outcome]:
        """Advance all worlds by the actions `(rows, size)` of each role.

        Raises ValueError for actions of the wrong shape, NaN or outside [-1, 1]; nothing has changed then.
        """
        self.check_started()
        checked = {name: self._checked(name, actions) for name in self.roles}
        orders = self._orders
        if "staker" in checked:
            playing = self.playing["staker"]
            orders = self.roles["staker"].apply(self.batch, checked["staker"], playing)
        if "builder" in checked:
            builder, playing = self.roles["builder"], self.playing["builder"]
            builder.apply(self.batch, checked["builder"], playing=playing)
            if self.rivals is not None:
                self.rivals(self.batch, builder)
        self.batch.advance(orders, self.config.days_per_step)
        self.steps += 1
        return {name: self._outcome(name) for name in self.roles}

    def _checked(self, name: str, actions: dict[str, Any]) -> np.ndarray:
        if name not in actions:
            raise ValueError(
                f"actions: got those of {', '.join(actions) or 'nobody'}, allowed are those of {', '.join(self.roles)}"
            )
        found = as_float32(actions[name])
        expected = (self.rows(name), *self.roles[name].action_space.shape)
        if found.shape != expected:
            raise ValueError(f"action of {name}s: got shape {found.shape}, allowed is {expected}")
        bad = np.flatnonzero(~(np.abs(found) <= 1.0))
        if bad.size:
            row, entry = divmod(int(bad[0]), expected[1])
            world, member = divmod(row, len(self.members[name]))
            raise ValueError(
                f"action: got {found[row, entry]!s} at world {world}, {name}_{self.members[name][member]}, "
                f"entry {entry}, allowed are numbers from -1 to 1"
            )
        return np.ascontiguousarray(found)

    def _outcome(self, name: str) -> Outcome:
        role, playing, before = self.roles[name], self.playing[name], self._standing[name]
        reward = role.reward(self.batch, before)
        out = role.replaced(self.batch, before) if self.heirs else role.ended(self.batch)
        ended, late = (self.by_world(name, flag) for flag in self.over())
        terminated = out | ended
        truncated = late > terminated
        if name == "builder" and self.config.terminal_value and truncated.any():
            reward += truncated * role.terminal_value(self.batch)
            terminated, truncated = terminated | truncated, np.zeros_like(truncated)
        self._standing[name] = role.standing(self.batch)
        found = Outcome(reward * playing, terminated & playing, truncated & playing)
        if not self.heirs:
            self.playing[name] = playing & ~(terminated | truncated)
        return found

    def go_on(self, outcomes: dict[str, Outcome]) -> None:
        """With heirs: start the next episodes of worlds that are over, and put heirs in the place of who is out."""
        finished = np.logical_or(*self.over())
        for name, found in outcomes.items():
            out = found.terminated & ~self.by_world(name, finished)
            if out.any():
                self.roles[name].replace(self.batch, out)
        for world in np.flatnonzero(finished):
            self.reset(int(world))
        self.reset_done()
