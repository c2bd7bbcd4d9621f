"""The arrays of a batch as kernels get them: one record with the addresses and sizes of all of them.

A kernel call with a dozen arrays takes longer than a day of a small world; one with an address does not. A table keeps its
arrays alive; after one of them has been replaced, a new table has to be made.
"""

import copy
import threading
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.compiling import inlined_rule
from dtao_gym.protocol.lifecycle import MAX_SUBNETS
from dtao_gym.views import address_of_array, array_at, constants_at
from dtao_gym.world.parameters import PARAMETERS_DTYPE
from dtao_gym.world.scratch import N_SCRATCH
from dtao_gym.world.state import (
    FUND_DTYPE,
    OFFSETS_DTYPE,
    STAKER_DTYPE,
    VALIDATOR_DTYPE,
    WORLD_DTYPE,
    Frozen,
    State,
    offsets,
)
from dtao_gym.world.voting import N_COUNTS

_SIZES = ("n_worlds", "n_rows", "n_subnets", "n_holders", "n_ballots")
_WORKING = ("orders", "scratch", "ballots", "trace", "trace_spans", "trace_rows")
TABLE_DTYPE = np.dtype(
    [(name, np.int64) for name in (*State.ARRAYS, "parameters", *_SIZES, *_WORKING)]
    + [(name, np.int64) for name in OFFSETS_DTYPE.names or ()]
)
"""Addresses, sizes, and the offsets of the layout."""


class Arrays(NamedTuple):
    """The arrays behind a table, and as `at` the table itself, which has the offsets of the layout."""

    fields: np.ndarray
    worlds: np.ndarray
    stakers: np.ndarray
    validators: np.ndarray
    funds: np.ndarray
    fund_owed: np.ndarray
    frozen: np.ndarray
    parameters: np.ndarray
    orders: np.ndarray
    scratch: np.ndarray
    ballots: np.ndarray
    trace: np.ndarray
    at: Any


class WorldArrays(NamedTuple):
    """The arrays of one world; `world`, `at` and `parameters` are records.

    A compiled function can take such a tuple but not return it, since Numba returns no tuples of records.
    """

    fields: np.ndarray
    world: Any
    stakers: np.ndarray
    validators: np.ndarray
    funds: np.ndarray
    fund_owed: np.ndarray
    frozen: np.ndarray
    parameters: Any
    orders: np.ndarray
    scratch: np.ndarray
    ballots: np.ndarray
    at: Any


_table_at = constants_at(TABLE_DTYPE)
_matrix, _cube = array_at(np.float64, 2), array_at(np.float64, 3)
_worlds, _stakers = array_at(WORLD_DTYPE, 1), array_at(STAKER_DTYPE, 2)
_validators, _parameters = array_at(VALIDATOR_DTYPE, 2), array_at(PARAMETERS_DTYPE, 1)
_funds = array_at(FUND_DTYPE, 2)
_N_FROZEN_ROWS = len(Frozen._fields)


@inlined_rule
def arrays_of(address):
    """The arrays of the table at an address."""
    t = _table_at(address)
    return Arrays(
        _cube(t.fields, (t.n_worlds, t.n_rows, t.n_subnets)),
        _worlds(t.worlds, (t.n_worlds,)),
        _stakers(t.stakers, (t.n_worlds, t.n_stakers)),
        _validators(t.validators, (t.n_worlds, t.n_validators)),
        _funds(t.funds, (t.n_worlds, t.n_funds)),
        _cube(t.fund_owed, (t.n_worlds, t.n_funds, t.n_holders)),
        _cube(t.frozen, (t.n_worlds, _N_FROZEN_ROWS, MAX_SUBNETS)),
        _parameters(t.parameters, (t.n_worlds,)),
        _cube(t.orders, (t.n_worlds, max(t.n_stakers, 1), t.n_subnets)),
        _matrix(t.scratch, (N_SCRATCH, t.n_subnets)),
        _matrix(t.ballots, (t.n_ballots, 1 + t.n_subnets)),
        _cube(t.trace, (t.trace_spans, t.trace_rows, t.n_subnets)),
        t,
    )


class Table:
    """The record of a state's arrays and `(n_worlds,)` parameters.

    Attributes
    ----------
    address : int
        Address of the record, the argument of kernels; valid while this object lives.
    """

    def __init__(self, state: State, parameters: np.ndarray):
        self._state, self._arrays = state, (*_arrays(state), parameters)
        self._kept: tuple[np.ndarray, ...] = ()  # an address keeps nothing alive
        self._record = np.zeros(1, TABLE_DTYPE)
        for name, array in zip((*State.ARRAYS, "parameters"), self._arrays, strict=True):
            self._record[name] = address_of_array(array)
        layout = state.layout
        rows = offsets(layout)
        for name in OFFSETS_DTYPE.names or ():
            self._record[name] = rows[name]
        sizes = (*state.fields.shape, layout.n_holders, N_COUNTS + layout.n_validators)
        for name, size in zip(_SIZES, sizes, strict=True):
            self._record[name] = size
        self.address = address_of_array(self._record)

    def current(self, state: State, parameters: np.ndarray) -> bool:
        """Whether the table still points to the arrays of this state and to these parameters."""
        fields, worlds, stakers, validators, funds, owed, frozen, known = self._arrays
        return (  # written out, because every step of a single environment asks
            state is self._state
            and state.fields is fields
            and state.worlds is worlds
            and state.stakers is stakers
            and state.validators is validators
            and state.funds is funds
            and state.fund_owed is owed
            and state.frozen is frozen
            and parameters is known
        )

    def working(self, **arrays: np.ndarray) -> "Table":
        """A copy for one thread, with its own scratch rows and ballots.

        Parameters
        ----------
        **arrays : np.ndarray
            Other arrays of kernels, contiguous float64: `orders` `(n_worlds, max(n_stakers, 1), n_subnets)`, `trace`
            `(spans, rows, n_subnets)`.
        """
        made = copy.copy(self)
        made._record = record = self._record.copy()
        made.address = address_of_array(record)
        n, n_ballots = self._state.layout.n_subnets, int(record["n_ballots"][0])
        space = np.zeros(N_SCRATCH * n + n_ballots * (1 + n))
        record["scratch"] = address_of_array(space)
        record["ballots"] = address_of_array(space[N_SCRATCH * n :])
        for name, array in arrays.items():
            record[name] = address_of_array(array)
        if "trace" in arrays:
            record["trace_spans"], record["trace_rows"], _ = arrays["trace"].shape
        made._kept = (space, *arrays.values())
        return made


class OneThread:
    """A context for one thread at a time; a second one gets an error instead of waiting."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(False):
            raise RuntimeError(
                "batch: got a step while another thread steps it, allowed is one thread at a time"
            )

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class TableOwner:
    """Owner of a state, of `(n_worlds,)` parameters, and of the table of both for kernels."""

    state: State
    parameters: np.ndarray
    one_thread: OneThread
    """Held by a step."""
    _table: Table | None = None

    @property
    def table(self) -> Table:
        """Table of the present arrays; made again after one of them has been replaced."""
        if self._table is None or not self._table.current(self.state, self.parameters):
            self._table = Table(self.state, self.parameters)
        return self._table

    def __getstate__(self) -> dict[str, Any]:
        """Content to copy or pickle, without the table: the copy's arrays have other addresses."""
        return self.__dict__ | {"_table": None, "one_thread": None}

    def __setstate__(self, content: dict[str, Any]) -> None:
        self.__dict__.update(content, one_thread=OneThread())


def _arrays(state: State) -> tuple[np.ndarray, ...]:
    return tuple(getattr(state, name) for name in State.ARRAYS)
