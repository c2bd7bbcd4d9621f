# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
"""Elementary functions for the compiled engine.

The hot loops call no C library: logarithm and exponential are short polynomials without branches, so that the compiler
can vectorise over subnets and every platform computes the same bits (a fused multiply-add is requested by name, and
never formed by the compiler). They agree with the correctly rounded result to about 3e-16 relative (tested).
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from dtao_gym.compiling import inlined_rule

LEAST_DIVISOR = 1e-300
"""Sums and gaps that are no larger count as 0: those below 6e-309 have no finite inverse."""


@intrinsic
def _float_bits(typingctx, x):
    def build(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), build


@intrinsic
def _bits_float(typingctx, bits):
    def build(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), build


@intrinsic
def multiply_high(typingctx, a, b):
    """Upper 64 bits of the 128-bit product of two unsigned 64-bit numbers."""

    def build(context, builder, signature, args):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), build


@intrinsic
def fma(typingctx, a, b, c):
    """Fused multiply-add: a b + c with one rounding, a single instruction on processors since 2013."""

    def build(context, builder, signature, args):
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), build


_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 in two parts, the first with trailing zeros
_LN2_LOW = 1.90821492927058770002e-10
_LOG2_E = 1.4426950408889634
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_EXPONENT_ONE = 0x3FF0000000000000
_MANTISSA = 0x000FFFFFFFFFFFFF
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding and subtracting it rounds to an integer


@inlined_rule
def _log_parts(x):
    """Exponent k and f with x = 2**k (1 + f), 1 + f in [sqrt(1/2), sqrt(2))."""
    bits = _float_bits(x)
    k = (bits - _SQRT_HALF_BITS) >> 52
    return float(k), _bits_float(bits - (k << 52)) - 1.0


@inlined_rule
def _log_core(f, correction, k):
    """k ln 2 + ln(1 + f) + correction, as fdlibm's e_log.c; coefficients: scripts/polynomials.py."""
    s = f / (2.0 + f)
    z = s * s
    series = fma(0.14616449685043406, z, 0.15331721600556042)
    series = fma(series, z, 0.18182889125261723)
    series = fma(series, z, 0.2222221113479508)
    series = fma(series, z, 0.28571428625975487)
    series = fma(series, z, 0.39999999999899505)
    series = fma(series, z, 0.666666666666667)
    half_square = 0.5 * f * f
    tail = s * fma(series, z, half_square)
    return fma(k, _LN2_HIGH, f - (half_square - (tail + fma(k, _LN2_LOW, correction))))


@inlined_rule
def log(x):
    """Natural logarithm of a positive, normal number."""
    k, f = _log_parts(x)
    return _log_core(f, 0.0, k)


@inlined_rule
def log1p(x):
    """ln(1 + x) for x > -1, accurate for tiny x."""
    w = 1.0 + x
    # rounding error of w, restored to first order
    lost = (x - (w - 1.0)) if x < 1.0 else (1.0 - (w - x))
    k, f = _log_parts(w)
    return _log_core(f, lost / w, k)


@inlined_rule
def log1p_small(x):
    """ln(1 + x) for |x| <= 0.0102 by its series, to 2e-17 relative; used for fees on an amount."""
    series = fma(-0.125, x, 1.0 / 7.0)
    series = fma(-series, x, 1.0 / 6.0)
    series = fma(-series, x, 0.2)
    series = fma(-series, x, 0.25)
    series = fma(-series, x, 1.0 / 3.0)
    series = fma(-series, x, 0.5)
    return fma(-series * x, x, x)


@inlined_rule
def _exp_parts(x):
    """A power of two and a fraction with exp(x) = scale (1 + fraction); x is clipped to +-700."""
    x = min(max(x, -700.0), 700.0)
    k = fma(x, _LOG2_E, _ROUND) - _ROUND
    r = fma(-k, _LN2_LOW, fma(-k, _LN2_HIGH, x))
    # (exp(r) - 1 - r) / r**2 for |r| <= ln(2) / 2, by scripts/polynomials.py
    series = fma(2.5100375832561234e-08, r, 2.7620075879983367e-07)
    series = fma(series, r, 2.7557268480310024e-06)
    series = fma(series, r, 2.4801521322368692e-05)
    series = fma(series, r, 0.00019841269863040545)
    series = fma(series, r, 0.0013888888917196719)
    series = fma(series, r, 0.008333333333330065)
    series = fma(series, r, 0.041666666666624164)
    series = fma(series, r, 0.16666666666666669)
    series = fma(series, r, 0.5)
    return _bits_float((np.int64(k) << 52) + _EXPONENT_ONE), fma(r * r, series, r)


@inlined_rule
def expm1(x):
    """exp(x) - 1, accurate for tiny x; arguments beyond +-700 are clipped."""
    scale, fraction = _exp_parts(x)
    return fma(scale, fraction, scale - 1.0)


@inlined_rule
def exp(x):
    """exp(x); arguments beyond +-700 are clipped."""
    scale, fraction = _exp_parts(x)
    return fma(scale, fraction, scale)


@inlined_rule
def power(base, exponent):
    """base**exponent for base >= 0, exact at exponent 1 and for square roots."""
    if exponent == 1.0:
        return base
    if exponent == 0.5:
        return base**0.5
    return exp(exponent * log(base)) if base > 0.0 else 0.0


@inlined_rule
def tanh(x):
    """Hyperbolic tangent."""
    m = expm1(-2.0 * abs(x))
    t = -m / (2.0 + m)
    return t if x >= 0.0 else -t


@inlined_rule
def next_power_of_two(x):
    """Smallest power of two that is at least x, for normal x > 0; used for the halving curve."""
    return _bits_float(((_float_bits(x) - 1) & ~_MANTISSA) + (_MANTISSA + 1))


@intrinsic
def _eight_sums(typingctx, row, count):
    """Eight strided sums of `count` numbers, a multiple of eight, in one vector register."""
    if not (isinstance(row, types.Array) and row.layout == "C" and row.dtype == types.float64):
        return None  # Numba reports a wrong type

    def build(context, builder, signature, args):
        vector, word = ir.VectorType(ir.DoubleType(), 8), ir.IntType(64)
        array = context.make_array(signature.args[0])(context, builder, args[0])
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * 8))
        with cgutils.for_range(builder, builder.udiv(args[1], ir.Constant(word, 8))) as loop:
            first = builder.gep(array.data, [builder.mul(loop.index, ir.Constant(word, 8))])
            eight = builder.load(builder.bitcast(first, vector.as_pointer()), align=8)
            builder.store(builder.fadd(builder.load(total), eight), total)
        sums = builder.load(total)
        parts = [builder.extract_element(sums, ir.Constant(ir.IntType(32), k)) for k in range(8)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(types.float64, 8)(row, types.intp), build


@inlined_rule
def row_sum(row):
    """Sum of a row by eight partial sums in a fixed order: fast, and equal bits on every machine."""
    whole = row.size - row.size % 8
    a, b, c, d, e, f, g, h = _eight_sums(row, whole)
    for i in range(whole, row.size):
        a += row[i]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))
