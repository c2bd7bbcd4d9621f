# pyright: reportCallIssue=false
"""The compiled side of users' rules: how one becomes a C function, is called by address, and is checked.

The columns of a market cross the C interface as a table of addresses in the order of `Market`, so that this module
names none of them.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from dtao_gym.compiling import rule
from dtao_gym.numerics import row_sum
from dtao_gym.protocol.allocation import Market, scale_enabled

SUM_TOLERANCE = 1e-9
"""Largest difference from 1 of the sum of a user's shares."""

FINE, NEGATIVE, NOT_FINITE, WRONG_SUM, WRONG_LENGTH, RAISED, NOT_IMPLEMENTED = range(7)
FAULTS = {
    NEGATIVE: "returned a negative share",
    NOT_FINITE: "returned a share that is not a finite number",
    WRONG_SUM: "returned shares that add up to neither 1 nor, all being 0, 0",
    WRONG_LENGTH: "returned an array that has not one share per subnet",
    RAISED: "raised an exception",
    NOT_IMPLEMENTED: "is not implemented: emission_shares has no branch for its id",
}
"""Messages for the codes of `apply_user_rule` other than `FINE`, and for a rule of the chain without code."""

_N_COLUMNS = len(Market._fields)
_WORD = ir.IntType(64)
_COLUMN = types.Array(types.float64, 1, "C", readonly=True)
MARKET_TYPE = types.NamedUniTuple(_COLUMN, _N_COLUMNS, Market)
"""Type of the market that a rule gets: Numba refuses to compile a rule that writes to it."""


@intrinsic
def _call_address(typingctx, address, market, shares):
    """Call the C function at an address with a length, the addresses of the columns, and that of `shares`."""

    def build(context, builder, signature, args):
        columns, out = cgutils.unpack_tuple(builder, args[1], _N_COLUMNS), args[2]
        table = cgutils.alloca_once(builder, ir.ArrayType(_WORD, _N_COLUMNS))
        for k, (kind, column) in enumerate(zip(signature.args[1], columns, strict=True)):
            data = make_array(kind)(context, builder, column).data
            place = cgutils.gep_inbounds(builder, table, 0, k)
            builder.store(builder.ptrtoint(data, _WORD), place)
        written = make_array(signature.args[2])(context, builder, out)
        words = [
            cgutils.unpack_tuple(builder, written.shape, 1)[0],
            builder.ptrtoint(table, _WORD),
            builder.ptrtoint(written.data, _WORD),
        ]
        function = ir.FunctionType(_WORD, [_WORD] * len(words))
        return builder.call(builder.inttoptr(args[0], function.as_pointer()), words)

    return types.int64(types.int64, market, shares), build


@intrinsic
def _market_at(typingctx, addresses, n):
    """The read-only market of `n` subnets whose columns lie at the addresses."""

    def build(context, builder, signature, args):
        item, columns = context.get_constant(types.intp, 8), []
        for k in range(_N_COLUMNS):
            word = builder.load(builder.gep(args[0], [ir.Constant(_WORD, k)]))
            column = make_array(_COLUMN)(context, builder)
            data = builder.inttoptr(word, context.get_data_type(types.float64).as_pointer())
            populate_array(column, data, [args[1]], [item], item, None)
            columns.append(column._getvalue())
        return context.make_tuple(builder, MARKET_TYPE, columns)

    return MARKET_TYPE(types.CPointer(types.int64), types.int64), build


@rule
def call_rule(address, market, shares):
    """Write into `shares` the result of the rule at an address; return FINE, WRONG_LENGTH or RAISED.

    The columns of the market and `shares` must be contiguous float64 arrays of one length.
    """
    returned = _call_address(np.int64(address), market, shares)
    # Numba makes a C function that raises return 0
    return RAISED if returned == 0 else (FINE if returned == 1 else WRONG_LENGTH)


@rule
def shares_fault(shares):
    """Code of the fault in the shares of a user's rule, or FINE."""
    for i in range(shares.size):
        if not np.isfinite(shares[i]):
            return NOT_FINITE
    for i in range(shares.size):
        if shares[i] < 0.0:
            return NEGATIVE
    total = row_sum(shares)
    return FINE if total == 0.0 or abs(total - 1.0) <= SUM_TOLERANCE else WRONG_SUM


@rule
def apply_user_rule(address, market, rest, shares):
    """Write the shares under a user's rule into `shares`; return FINE or a code of `FAULTS`.

    As under the chain's rules, subnets with emission disabled then get nothing and the others are scaled up to 1 less
    the share of the subnets that are not simulated, `rest.share`. After a fault, `shares` holds the result of the rule.
    """
    code = call_rule(address, market, shares)
    if code == FINE:
        code = shares_fault(shares)
    if code != FINE:
        return code
    scale_enabled(shares, market.emission_enabled, 1.0 - rest.share)
    return FINE


_ENTRY = types.int64(types.int64, types.CPointer(types.int64), types.CPointer(types.float64))


def c_function(compiled: Any) -> Any:
    """The compiled rule as a C function of length, addresses of columns, and result.

    It returns 1, 2 if the result has another length, and 0 if the rule raised.
    """

    @cfunc(_ENTRY, error_model="numpy")
    def entry(n, addresses, out):
        shares = compiled(_market_at(addresses, n))
        if shares.size != n:
            return 2
        for i in range(n):
            out[i] = shares[i]
        return 1

    return entry
