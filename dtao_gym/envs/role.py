"""The interface of a role.

A role is how an agent observes, what its actions do and what it is rewarded for. Everything that distinguishes one
role from another is one object of this kind: environments ask the object and never look at its name. A new role is a
subclass of `Role` in a module of its own, made known by `dtao_gym.envs.roles.register_role`.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from gymnasium import spaces

from dtao_gym.envs.features import MARKET_NUMBERS, MARKET_ROWS
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import ConfigError


class Role(Protocol):
    """Interface between a role and the environments. Methods with a body here are defaults.

    An object is made for a batch of worlds. Its arrays have one row per world and member of the role, world by world:
    row ``world * len(members) + k`` is member ``members[k]``.

    Parameters
    ----------
    batch : Batch
        The worlds.
    members : sequence of int, optional
        Who acts in each world, from `members_of`; the one member of the task if not given.
    respawn : bool
        Whether a successor goes on in the row of a member whose episode has ended.

    Attributes
    ----------
    name : str
        Unique name, also the prefix of agents' names in environments of many agents.
    n_stakers : int
        Staker accounts of the world that one member uses: 1 or 0. At most one role of a world may use them.
    default_members
        Members of worlds in which the role learns and nothing else is asked for, as `members_of` takes them.
    picture : type, optional
        Subclass of `dtao_gym.envs.render.MarketPicture`; None: episodes cannot be rendered.
    market_numbers, market_rows : tuple of str
        Names of world numbers and subnet rows that infos report.
    observation_space, action_space : gymnasium.spaces.Box
        Spaces of one member, float32.
    members : tuple of int
        Who acts in each world.
    slots : (k,) int64
        Slots of the members where these are subnet owners, else empty.
    """

    name: ClassVar[str]
    n_stakers: ClassVar[int] = 0
    default_members: ClassVar[Any] = None
    picture: ClassVar[type | None] = None
    market_numbers: ClassVar[tuple[str, ...]] = MARKET_NUMBERS
    market_rows: ClassVar[tuple[str, ...]] = MARKET_ROWS

    observation_space: spaces.Box
    action_space: spaces.Box
    members: tuple[int, ...]
    slots: np.ndarray = np.zeros(0, np.int64)

    # ------------------------------------------------------------ before there is a batch

    def __init__(
        self, batch: Batch, members: Sequence[int] | None = None, respawn: bool = False
    ): ...

    @classmethod
    def task(cls, config: Any = None, **overrides: Any) -> Any:
        """Return the checked configuration of environments with one member per world. Raises ConfigError."""
        return TaskConfig.make(config, **overrides).with_stakers(cls.n_stakers)

    @classmethod
    def make_batch(cls, config: Any, n_worlds: int, threads: int) -> Any:
        """Make the worlds of a task."""
        return Batch(config, n_worlds, threads=threads)

    @classmethod
    def copies(cls, config: Any) -> int:
        """Number of worlds per episode; where there is a second one, rewards are differences to it."""
        return 1

    @classmethod
    def members_of(cls, config: Any, wanted: Any) -> tuple[int, ...]:
        """Members of each world of many agents, from what a user asks for. Raises ConfigError."""
        raise ConfigError(f"{cls.name}: got {wanted!r}, allowed is one member per world")

    # ------------------------------------------------------------ a step

    def observe(self, batch: Batch) -> np.ndarray:
        """Return fresh observations `(rows, size)` float32 of the present state."""
        ...

    def apply(
        self, batch: Batch, actions: np.ndarray, playing: np.ndarray | None = None
    ) -> np.ndarray | None:
        """Write the decisions of float32 actions `(rows, size)` into the state.

        Parameters
        ----------
        playing : `(rows,)` bool, optional
            False where an action is ignored.

        Returns
        -------
        `(n_worlds, n_stakers, n_subnets)` float64 or None
            Orders of staker accounts (TAO to stake where positive, alpha to unstake where negative); None: no orders.

        Raises
        ------
        ValueError
            An action is NaN or outside [-1, 1]; names world, entry and value. Nothing has changed then.
        """
        ...

    def reward_baseline(self, batch: Batch) -> np.ndarray:
        """Return the quantities `(rows, ...)` that the rewards of the next step are measured from."""
        ...

    def reward(self, batch: Batch, baseline: np.ndarray) -> np.ndarray:
        """Return rewards `(rows,)` float64 since the state of `baseline`, a `reward_baseline`."""
        ...

    def terminal_value(self, batch: Batch) -> np.ndarray | None:
        """Return values `(rows,)` to add where a time limit ends an episode, which then counts as terminated.

        None: time limits truncate.
        """
        return None

    def terminated(self, batch: Batch) -> np.ndarray:
        """Return `(rows,)` bool: the first member of the row is out."""
        ...

    # ------------------------------------------------------------ successors

    def replaceable(self, batch: Batch, baseline: np.ndarray) -> np.ndarray:
        """Return `(rows,)` bool: the member that acted at `baseline` is out, so that a successor takes the row."""
        return self.terminated(batch)

    def respawn(self, batch: Batch, rows: np.ndarray) -> None:
        """Put successors in `(rows,)` bool rows; nothing to do where the engine does it."""

    # ------------------------------------------------------------ reports

    def info(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return logged quantities of the members, each `(rows, ...)`."""
        return {}

    def episode_statistics(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return extra statistics of finished episodes, each `(rows,)`, for logs of training."""
        return {}

    # ------------------------------------------------------------ a step in one compiled call, see fused_step.py

    step_kernel: ClassVar[Callable[..., int] | None] = None
    n_scratch_rows: ClassVar[int] = 0
    info_numbers: ClassVar[tuple[str, ...]] = ()
    info_flags: ClassVar[tuple[str, ...]] = ()

    def step_arguments(self, batch: Batch) -> tuple | None:
        """Return the last arguments of `step_kernel`; None where a step is more than the kernel does."""
        return None
