"""A batch of worlds: configurations, state, and the compiled day."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtao_gym.protocol.allocation import USER_RULE
from dtao_gym.protocol.plugins import FAULTS, RuleError
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.config_errors import shown
from dtao_gym.world.day import (
    THREADED_FROM,
    advance_equal,
    advance_weighted,
    run_over_worlds,
)
from dtao_gym.world.genesis import genesis, layout_of
from dtao_gym.world.ledger import Audit, audit
from dtao_gym.world.parameters import PARAMETERS_DTYPE
from dtao_gym.world.prehistory import parameters_of_world
from dtao_gym.world.snapshot import is_file
from dtao_gym.world.state import State
from dtao_gym.world.table import OneThread, TableOwner

NO_TRACE = np.zeros((0, 0, 0))
BAR_PARAMETERS = ("allocation", "gate_rank", "gate_quantile")
"""Parameters after whose change the gate's bar is measured at once, as on the chain."""


def checked_seed(seed: Any) -> int:
    """The seed as an int, or a ConfigError."""
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ConfigError(f"seed: got {seed!r}, allowed are whole numbers from 0 to 2**63 - 1")
    return int(seed)


def checked_days(days: Any) -> int:
    """The number of days as an int, or a ValueError."""
    if isinstance(days, bool) or not isinstance(days, int | np.integer) or days < 1:
        raise ValueError(f"days: got {shown(days)}, allowed is 1 or more whole days")
    return int(days)


class Batch(TableOwner):
    """`n_worlds` worlds that advance together; world k is bit-identical to a batch of one.

    Parameters
    ----------
    config : Config or sequence of Config
        One configuration for all worlds, or one for each. Worlds may differ in everything but the sizes of arrays: number
        of subnets and stakers, lags of price and signal.
    n_worlds : int
        Number of worlds; ignored where there are several configurations.
    seeds : sequence of int, optional
        World seeds, by default `config.world_seed + k` for world k.
    threads : int
        Threads that share large batches; results do not depend on it.

    Raises
    ------
    ConfigError
        For no worlds, worlds with different sizes of arrays, a wrong number of seeds, or a bad seed.
    """

    def __init__(
        self,
        config: Config | Sequence[Config],
        n_worlds: int = 1,
        *,
        seeds: Sequence[int] | None = None,
        threads: int = 1,
    ):
        self.configs = [config] * n_worlds if isinstance(config, Config) else list(config)
        if not self.configs:
            raise ConfigError("n_worlds: got 0, allowed is 1 or more")
        if not isinstance(threads, int) or threads < 1:
            raise ConfigError(f"threads: got {threads!r}, allowed is 1 or more whole days")
        self.layout = layout_of(self.configs[0])
        for k, other in enumerate(self.configs):
            if other is not self.configs[0] and layout_of(other) != self.layout:
                raise ConfigError(
                    f"config of world {k}: got {layout_of(other)}, allowed is {self.layout} as in world 0"
                )
        self.threads = threads
        self.one_thread = OneThread()
        self.state = State(self.layout, len(self.configs))
        self.parameters = np.array([parameters_of_world(c) for c in self.configs], PARAMETERS_DTYPE)
        self.has_user_rules = bool((self.parameters["allocation"] == USER_RULE).any())
        self._no_orders = np.zeros(
            (self.n_worlds, max(self.layout.n_stakers, 1), self.layout.n_subnets)
        )
        seeds = [c.world_seed + k for k, c in enumerate(self.configs)] if seeds is None else seeds
        if len(seeds) != self.n_worlds:
            raise ConfigError(
                f"seeds: got {len(seeds)}, allowed are {self.n_worlds}, one per world"
            )
        for world, seed in enumerate(seeds):
            self.reset(world, seed, 0)
        self._compile()

    @property
    def n_worlds(self) -> int:
        """Number of worlds."""
        return len(self.configs)

    def reset(self, world: int, seed: int, episode: int) -> None:
        """Put one world at the start of an episode; the draws depend on (seed, episode) alone.

        A snapshot file of yours is read again; ConfigError where it now needs arrays of other sizes.
        """
        config = self.configs[world]
        if is_file(config.genesis):
            self._check_layout(world, config)
            self.parameters[world] = parameters_of_world(config)
        self.state.set(world, genesis(config, checked_seed(seed), episode))

    def _check_layout(self, world: int, config: Config) -> None:
        if (needed := layout_of(config)) != self.layout:
            raise ConfigError(
                f"config of world {world}: got {needed}, allowed is {self.layout}: "
                "sizes of arrays are fixed when a batch is made"
            )

    def step(self, orders: np.ndarray | None = None, days: int = 1) -> None:
        """Advance all worlds by `days` days.

        Parameters
        ----------
        orders : np.ndarray, optional
            `(n_worlds, n_stakers, n_subnets)` float64, executed on the first day: TAO to stake where positive, alpha to
            unstake where negative. None: no orders. Sales are cut to the holding, buys to the root stake at hand.
        days : int
            Days to advance, at least 1.

        Raises
        ------
        ValueError
            For orders of another shape or not finite, and days that are no whole number from 1; the state is then
            unchanged.
        RuleError
            For bad shares from a user's allocation rule; the state is then unchanged.
        RuntimeError
            While another thread steps this batch.
        """
        days = checked_days(days)
        if orders is None:
            orders = self._no_orders
        else:
            orders = np.ascontiguousarray(orders, np.float64)
            expected = (self.n_worlds, self.layout.n_stakers, self.layout.n_subnets)
            if orders.shape != expected:
                raise ValueError(f"orders: got shape {orders.shape}, allowed is {expected}")
            if not np.isfinite(orders).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(orders))[0])
                raise ValueError(
                    f"orders: got {orders[where]} at world {where[0]}, staker {where[1]}, "
                    f"subnet {where[2]}, allowed are finite numbers"
                )
        self.advance(orders, days)

    def advance(self, orders: np.ndarray, days: int, trace: np.ndarray = NO_TRACE) -> None:
        """`step` without the checks of orders.

        `trace` `(spans, rows, n_subnets)` is filled with the rows of `Subnets` after each span of the last day; for a
        batch of one world.
        """
        with self.one_thread:
            if self.has_user_rules:
                self._advance_checked(orders, days, trace)
            else:
                self._run(orders, days, trace)

    def _advance_checked(self, orders: np.ndarray, days: int, trace: np.ndarray) -> None:
        """Advance under users' rules; after a bad share the state is put back."""
        saved = self.state.copy()
        self._run(orders, days, trace)
        if (wrong := self.state.worlds["rule_error"]).any():
            world = int(wrong.argmax())
            code, day = int(wrong[world]), int(saved.worlds["day"][world])
            self.state.restore(saved)
            rule = self.configs[world].era_part("allocation")
            raise RuleError(
                f"allocation rule {rule!r}: {FAULTS[code]} in world {world}, day {day}; allowed are "
                "shares from 0 that add to 1, or are all 0"
            )

    def _run(self, orders: np.ndarray, days: int, trace: np.ndarray) -> None:
        for kernel in self._kernels():
            if self.n_worlds < THREADED_FROM:
                self._call(kernel, orders, days, trace, 0, self.n_worlds)
            else:
                task = functools.partial(self._call, kernel, orders, days, trace)
                run_over_worlds(self.n_worlds, self.threads, task)

    def _kernels(self) -> tuple:
        """The kernels that these worlds need: for equal pool weights, for any, or both."""
        n_equal = np.count_nonzero(self.state.worlds["equal_weights"])
        if n_equal == 0:
            return (advance_weighted,)
        return (advance_equal,) if n_equal == self.n_worlds else (advance_equal, advance_weighted)

    def _call(self, kernel, orders, days, trace, first: int, last: int) -> None:
        table = self.table.working(orders=orders, trace=trace)
        kernel(table.address, days, first, last)

    def _compile(self) -> None:
        """Compile the kernels of these worlds now, by a call for no world."""
        for kernel in self._kernels():
            self._call(kernel, self._no_orders, 0, NO_TRACE, 0, 0)

    def set_parameters(self, worlds: Sequence[int] | None = None, **changes: Any) -> None:
        """Change era, institution or other parameters of some worlds (None: all) from the next day on.

        Raises `ConfigError`, with nothing changed, for unknown or bad values and for changes of array sizes.
        """
        chosen = range(self.n_worlds) if worlds is None else worlds
        changed = {w: Config.make(self.configs[w], **changes) for w in chosen}
        for world, config in changed.items():
            self._check_layout(world, config)
        for world, config in changed.items():
            before, after = self.parameters[world].copy(), parameters_of_world(config)
            self.configs[world], self.parameters[world] = config, after
            if any(before[name] != after[name] for name in BAR_PARAMETERS):
                self.state.worlds["gate_bar"][world] = 0.0
        self.has_user_rules = bool((self.parameters["allocation"] == USER_RULE).any())

    def audit(self, tolerance: float = 1e-9) -> Audit:
        """Whether TAO and alpha are conserved, and capped where emission halves; see `ledger.audit`."""
        halving, short = self.parameters["halving"] == 1, self.parameters["short_sales"] == 1
        return audit(self.state, tolerance, halving, bool(short.any()))
