"""The arrays of a batch as kernels get them: one record with the addresses and sizes of all of them.

A call with a dozen arrays takes longer than a day of a small world; an address does not. Whoever makes a table keeps
the arrays alive, and makes a new one where an array is replaced.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.compiling import inlined_rule
from dtao_gym.views import address_of_array, array_at, constants_at
from dtao_gym.world.parameters import PARAMETERS_DTYPE
from dtao_gym.world.state import (
    LEARNER_DTYPE,
    OFFSETS_DTYPE,
    VALIDATOR_DTYPE,
    WORLD_DTYPE,
    Scratch,
    State,
    offsets,
)
from dtao_gym.world.voting import N_COUNTS

N_SCRATCH = len(Scratch._fields)
_SIZES = ("n_worlds", "n_rows", "n_subnets", "n_ballots", "trace_spans", "trace_rows")
_WORKING = ("orders", "scratch", "ballots", "trace")
TABLE_DTYPE = np.dtype(
    [(name, np.int64) for name in (*State.ARRAYS, "parameters", *_WORKING, *_SIZES)]
    + [(name, np.int64) for name in OFFSETS_DTYPE.names]
)
"""Addresses, sizes, and the offsets of the layout."""


class Arrays(NamedTuple):
    """The arrays behind a table, and the table itself, which has the layout's offsets."""

    block: np.ndarray
    worlds: np.ndarray
    learners: np.ndarray
    validators: np.ndarray
    parameters: np.ndarray
    orders: np.ndarray
    scratch: np.ndarray
    ballots: np.ndarray
    trace: np.ndarray
    at: Any


_table_at = constants_at(TABLE_DTYPE)
_matrix, _cube = array_at(np.float64, 2), array_at(np.float64, 3)
_worlds, _learners = array_at(WORLD_DTYPE, 1), array_at(LEARNER_DTYPE, 2)
_validators, _parameters = array_at(VALIDATOR_DTYPE, 2), array_at(PARAMETERS_DTYPE, 1)


@inlined_rule
def arrays_of(address):
    """The arrays of the table at an address."""
    t = _table_at(address)
    return Arrays(
        _cube(t.block, (t.n_worlds, t.n_rows, t.n_subnets)),
        _worlds(t.worlds, (t.n_worlds,)),
        _learners(t.learners, (t.n_worlds, t.n_learners)),
        _validators(t.validators, (t.n_worlds, t.n_validators)),
        _parameters(t.parameters, (t.n_worlds,)),
        _cube(t.orders, (t.n_worlds, max(t.n_learners, 1), t.n_subnets)),
        _matrix(t.scratch, (N_SCRATCH, t.n_subnets)),
        _matrix(t.ballots, (t.n_ballots, 1 + t.n_subnets)),
        _cube(t.trace, (t.trace_spans, t.trace_rows, t.n_subnets)),
        t,
    )


def table_of(state: State, parameters: np.ndarray) -> np.ndarray:
    """The table `(1,)` of a state's arrays and `(n_worlds,)` parameters; its working space is still to be set."""
    table = np.zeros(1, TABLE_DTYPE)
    for name in State.ARRAYS:
        table[name] = address_of_array(getattr(state, name))
    table["parameters"] = address_of_array(parameters)
    layout = offsets(state.layout)
    for name in OFFSETS_DTYPE.names:
        table[name] = layout[name]
    table["n_worlds"], table["n_rows"], table["n_subnets"] = state.block.shape
    table["n_ballots"] = N_COUNTS + state.layout.n_validators
    return table


def set_working_space(table: np.ndarray) -> np.ndarray:
    """Scratch rows and ballots for one thread, named in a table; the caller keeps the returned array alive."""
    n = int(table["n_subnets"][0])
    space = np.zeros(N_SCRATCH * n + int(table["n_ballots"][0]) * (1 + n))
    table["scratch"] = address_of_array(space)
    table["ballots"] = address_of_array(space[N_SCRATCH * n :])
    return space


def with_table(
    kernel: Callable[..., Any],
    state: State,
    parameters: np.ndarray,
    *args: int,
    **arrays: np.ndarray,
) -> Any:
    """Call `kernel(table, *args)` on a state, with working space of its own.

    Args:
        arrays: `orders` `(n_worlds, max(n_learners, 1), n_subnets)`, `trace` `(spans, rows, n_subnets)`, where the
            kernel reads them.
    """
    table = table_of(state, parameters)
    space = set_working_space(table)
    for name, array in arrays.items():
        table[name] = address_of_array(array)
    if "trace" in arrays:
        table["trace_spans"], table["trace_rows"], _ = arrays["trace"].shape
    found = kernel(address_of_array(table), *args)
    del space  # until here its memory must not be freed
    return found
