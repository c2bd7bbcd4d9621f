# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
"""Elementary functions for the compiled engine.

The hot loops call no C library: logarithm and exponential are short polynomials written here, free of
branches, so that the compiler can work on several subnets at once and every platform gets the same bits.
They agree with the correctly rounded result to about 3e-16 relative (tested).
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dtao_gym.compiling import inlined_rule


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
    s = f / (2.0 + f)
    z = s * s
    # 2 artanh(s) - 2 s as a power series in z = s**2 < 0.0295: coefficients 2/(2j+1)
    series = 2.0 / 25.0
    series = series * z + 2.0 / 23.0
    series = series * z + 2.0 / 21.0
    series = series * z + 2.0 / 19.0
    series = series * z + 2.0 / 17.0
    series = series * z + 2.0 / 15.0
    series = series * z + 2.0 / 13.0
    series = series * z + 2.0 / 11.0
    series = series * z + 2.0 / 9.0
    series = series * z + 2.0 / 7.0
    series = series * z + 2.0 / 5.0
    series = series * z + 2.0 / 3.0
    half_square = 0.5 * f * f
    tail = s * (half_square + series * z)
    return k * _LN2_HIGH - ((half_square - (tail + (k * _LN2_LOW + correction))) - f)


@inlined_rule
def log(x):
    """Natural logarithm of a positive, normal number."""
    k, f = _log_parts(x)
    return _log_core(f, 0.0, k)


@inlined_rule
def log1p(x):
    """ln(1 + x) for x > -1, accurate for tiny x."""
    w = 1.0 + x
    # what rounding to w lost, brought back to first order
    lost = (x - (w - 1.0)) if x < 1.0 else (1.0 - (w - x))
    k, f = _log_parts(w)
    return _log_core(f, lost / w, k)


@inlined_rule
def log1p_small(x):
    """ln(1 + x) for |x| <= 0.0102 by its series, to 2e-17 relative: a fee upon an amount."""
    series = 1.0 / 7.0 - x * 0.125
    series = 1.0 / 6.0 - x * series
    series = 0.2 - x * series
    series = 0.25 - x * series
    series = 1.0 / 3.0 - x * series
    series = 0.5 - x * series
    return x * (1.0 - x * series)


@inlined_rule
def _exp_parts(x):
    """A power of two and a fraction with exp(x) = scale (1 + fraction); x is clipped to +-700."""
    x = min(max(x, -700.0), 700.0)
    k = (x * _LOG2_E + _ROUND) - _ROUND
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    series = 1.0 / 87178291200.0  # Taylor, 1/14! downwards, |r| < 0.35
    series = series * r + 1.0 / 6227020800.0
    series = series * r + 1.0 / 479001600.0
    series = series * r + 1.0 / 39916800.0
    series = series * r + 1.0 / 3628800.0
    series = series * r + 1.0 / 362880.0
    series = series * r + 1.0 / 40320.0
    series = series * r + 1.0 / 5040.0
    series = series * r + 1.0 / 720.0
    series = series * r + 1.0 / 120.0
    series = series * r + 1.0 / 24.0
    series = series * r + 1.0 / 6.0
    series = series * r + 0.5
    return _bits_float((np.int64(k) << 52) + _EXPONENT_ONE), r + (r * r) * series


@inlined_rule
def expm1(x):
    """exp(x) - 1, accurate for tiny x; arguments beyond +-700 are clipped."""
    scale, fraction = _exp_parts(x)
    return scale * fraction + (scale - 1.0)


@inlined_rule
def exp(x):
    """exp(x); arguments beyond +-700 are clipped."""
    scale, fraction = _exp_parts(x)
    return scale * (1.0 + fraction)


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
    """The smallest power of two that is at least x, for normal x > 0; the halving curve in one step."""
    return _bits_float(((_float_bits(x) - 1) & ~_MANTISSA) + (_MANTISSA + 1))


@inlined_rule
def row_sum(row):
    """Sum of a row in a fixed order, eight partial sums at a time: equal bits on every machine, and no long chain."""
    a = b = c = d = e = f = g = h = 0.0
    whole = row.size - row.size % 8
    for i in range(0, whole, 8):
        a += row[i]
        b += row[i + 1]
        c += row[i + 2]
        d += row[i + 3]
        e += row[i + 4]
        f += row[i + 5]
        g += row[i + 6]
        h += row[i + 7]
    for i in range(whole, row.size):
        a += row[i]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))
