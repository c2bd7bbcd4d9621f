# pyright: reportCallIssue=false
"""The compiled side of users' rules: how one is turned into a C function, called by address, and checked."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from dtao_gym.compiling import rule
from dtao_gym.numerics import row_sum
from dtao_gym.protocol.allocation import Market

SUM_TOLERANCE = 1e-9
"""How far from 1 the shares of a user's rule may add up."""

FINE, NEGATIVE, NOT_FINITE, WRONG_SUM, WRONG_LENGTH, RAISED = range(6)
FAULTS = {
    NEGATIVE: "returned a negative share",
    NOT_FINITE: "returned a share that is not a finite number",
    WRONG_SUM: "returned shares that add up to neither 1 nor, all being 0, 0",
    WRONG_LENGTH: "returned an array that has not one share per subnet",
    RAISED: "raised an exception",
}
"""What the codes of `apply_user_rule` other than `FINE` say about a rule."""


@intrinsic
def _read_only(typingctx, array):
    """The same array, typed so that numba refuses to compile whatever would write to it."""

    def build(context, builder, signature, args):
        context.nrt.incref(builder, signature.return_type, args[0])
        return args[0]

    return array.copy(readonly=True)(array), build


@intrinsic
def _call_address(typingctx, address, length, columns, out):
    def build(context, builder, signature, args):
        words = [
            args[1],
            *(builder.extract_value(args[2], k) for k in range(columns.count)),
            args[3],
        ]
        function = ir.FunctionType(ir.IntType(64), [ir.IntType(64)] * len(words))
        return builder.call(builder.inttoptr(args[0], function.as_pointer()), words)

    return types.int64(types.int64, types.int64, columns, types.int64), build


@rule
def call_rule(address, market, shares):
    """Call the rule at an address; `shares` holds what it returned. The code is FINE, WRONG_LENGTH or RAISED.

    The columns of the market and `shares` must be contiguous float64 arrays of one length.
    """
    columns = (
        market.moving_price.ctypes.data,
        market.spot_price.ctypes.data,
        market.miner_burned.ctypes.data,
        market.emission_enabled.ctypes.data,
        market.user_flow_ema.ctypes.data,
        market.protocol_flow_ema.ctypes.data,
        market.root_proportion.ctypes.data,
        market.signal.ctypes.data,
        market.votes.ctypes.data,
        market.age_days.ctypes.data,
        market.knowledge_disclosed.ctypes.data,
    )
    # a rule that raises returns 0
    returned = _call_address(np.int64(address), shares.size, columns, shares.ctypes.data)
    return RAISED if returned == 0 else (FINE if returned == 1 else WRONG_LENGTH)


@rule
def shares_fault(shares):
    """FINE, or the code of what is wrong with the shares of a user's rule."""
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
    """Write the shares under a user's rule into `shares`; returns FINE or a code of `FAULTS`.

    As under the chain's rules, subnets with emission disabled then get nothing and the others are scaled up,
    to 1 less the share of the subnets that are not simulated, `rest.share`. With a fault the shares are as
    the rule left them.
    """
    code = call_rule(address, market, shares)
    if code == FINE:
        code = shares_fault(shares)
    if code != FINE:
        return code
    for i in range(shares.size):
        shares[i] *= market.emission_enabled[i]
    total = row_sum(shares)
    scale = (1.0 - rest.share) / total if total > 0.0 else 0.0
    for i in range(shares.size):
        shares[i] *= scale
    return FINE


_COLUMN = types.Array(types.float64, 1, "C", readonly=True)
MARKET_TYPE = types.NamedUniTuple(_COLUMN, len(Market._fields), Market)
_ENTRY = types.int64(types.int64, *[types.CPointer(types.float64)] * (len(Market._fields) + 1))


def c_function(compiled: Any) -> Any:
    """The compiled rule as a C function: 1, 2 where the length is wrong, 0 where it raised."""

    @cfunc(_ENTRY, error_model="numpy")
    def entry(
        n, price, spot, burned, enabled, flow, protocol, root, signal, votes, age, known, out
    ):
        market = Market(
            _read_only(carray(price, n)),
            _read_only(carray(spot, n)),
            _read_only(carray(burned, n)),
            _read_only(carray(enabled, n)),
            _read_only(carray(flow, n)),
            _read_only(carray(protocol, n)),
            _read_only(carray(root, n)),
            _read_only(carray(signal, n)),
            _read_only(carray(votes, n)),
            _read_only(carray(age, n)),
            _read_only(carray(known, n)),
        )
        shares = compiled(market)
        if shares.size != n:
            return 2
        for i in range(n):
            out[i] = shares[i]
        return 1

    return entry
