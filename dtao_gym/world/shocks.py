# pyright: reportCallIssue=false
"""All randomness of a world, drawn by key.

A draw is a function of (world_key, episode, day, stream, purpose, counter) alone: not of the batch, the order of calls, an
action or an institution. So two institutions can be compared under the same shocks, and world k of a batch equals a batch
of one. The generator is Philox4x64-10 (Salmon et al., 2011); its words equal those of
`numpy.random.Philox(key=[world_key, episode], counter=[counter, day, stream, purpose])`.
"""

import math

import numpy as np

from dtao_gym.compiling import inlined_rule, rule
from dtao_gym.numerics import fma, log, multiply_high

ECONOMY, ORDER, GENESIS, ACTION, ENTRY, PRUNE, TYPES, FAVOURITES, END, NEWS, GOVERNANCE = range(11)
"""Purposes: luck, opinion and signal of a day; the order of trades in a span; a market at genesis; a scripted
action; founders; the lottery of pruning; types and values at genesis; favourites of voters; the end of an episode;
news; governance's switches of emission."""

EVALUATION_BIT = 1 << 63
"""Bit that is set in the key of every evaluation world and in no other: the two sets of worlds are disjoint."""

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)


@inlined_rule
def philox(key0, key1, counter, day, stream, purpose):
    """Four random unsigned 64-bit words."""
    k0, k1 = np.uint64(key0), np.uint64(key1)
    # one is added because numpy increments its counter before it draws
    c0, c1 = np.uint64(counter) + np.uint64(1), np.uint64(day)
    c2, c3 = np.uint64(stream), np.uint64(purpose)
    for _ in range(10):
        high0, low0 = multiply_high(_MULTIPLIER_0, c0), _MULTIPLIER_0 * c0
        high1, low1 = multiply_high(_MULTIPLIER_1, c2), _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 += _WEYL_0
        k1 += _WEYL_1
    return c0, c1, c2, c3


_ROOT_OF_SIX = math.sqrt(6.0)


@inlined_rule
def uniform(word):
    """Uniform in [0, 1) with 53 bits, like numpy's `Generator.random`."""
    return float(word >> np.uint64(11)) * 2.0**-53


@inlined_rule
def triangular(word):
    """Sum of two uniforms, the halves of a word, with mean 0 and standard deviation 1, within +-2.45."""
    halves = float(word >> np.uint64(32)) + float(word & np.uint64(0xFFFFFFFF)) + 1.0
    return (halves * 2.0**-32 - 1.0) * _ROOT_OF_SIX


@inlined_rule
def open_uniform(word):
    """Uniform in (0, 1) with 52 bits; never 0 or 1."""
    return (float(word >> np.uint64(12)) + 0.5) * 2.0**-52


FAR_TAIL = 1.388794386496402e-11
"""exp(-25): distance from 0 or 1 below which the quantile has a third approximation."""


@inlined_rule
def _is_far(p):
    return min(p, 1.0 - p) < FAR_TAIL


@inlined_rule
def _near_quantile(p):
    """Standard normal quantile (Wichura 1988, AS241) except in the far tails; free of branches."""
    q = p - 0.5
    inner = q * _central(fma(-q, q, 0.180625))
    tail = _tail_near(math.sqrt(-log(p if q < 0.0 else 1.0 - p)) - 1.6)
    return inner if abs(q) <= 0.425 else (-tail if q < 0.0 else tail)


@inlined_rule
def _far_quantile(p):
    """Standard normal quantile in the far tails."""
    tail = _tail_far(math.sqrt(-log(p if p < 0.5 else 1.0 - p)) - 5.0)
    return -tail if p < 0.5 else tail


@inlined_rule
def normal(word):
    """Standard normal by the inverse distribution function, from one word."""
    p = open_uniform(word)
    return _far_quantile(p) if _is_far(p) else _near_quantile(p)


@inlined_rule
def to_normals(row):
    """Turn a row of uniforms in (0, 1) into standard normals, in place: the bits of `normal`, vectorised."""
    far = 0
    for i in range(row.size):
        far += 1 if _is_far(row[i]) else 0
    if far > 0:  # once in 36 billion numbers
        for i in range(row.size):
            row[i] = _far_quantile(row[i]) if _is_far(row[i]) else _near_quantile(row[i])
    else:
        for i in range(row.size):
            row[i] = _near_quantile(row[i])


@inlined_rule
def _central(r):
    top = 2.5090809287301226727e3
    top = fma(top, r, 3.3430575583588128105e4)
    top = fma(top, r, 6.7265770927008700853e4)
    top = fma(top, r, 4.5921953931549871457e4)
    top = fma(top, r, 1.3731693765509461125e4)
    top = fma(top, r, 1.9715909503065514427e3)
    top = fma(top, r, 1.3314166789178437745e2)
    top = fma(top, r, 3.3871328727963666080e0)
    bottom = 5.2264952788528545610e3
    bottom = fma(bottom, r, 2.8729085735721942674e4)
    bottom = fma(bottom, r, 3.9307895800092710610e4)
    bottom = fma(bottom, r, 2.1213794301586595867e4)
    bottom = fma(bottom, r, 5.3941960214247511077e3)
    bottom = fma(bottom, r, 6.8718700749205790830e2)
    bottom = fma(bottom, r, 4.2313330701600911252e1)
    return top / fma(bottom, r, 1.0)


@inlined_rule
def _tail_near(r):
    top = 7.74545014278341407640e-4
    top = fma(top, r, 2.27238449892691845833e-2)
    top = fma(top, r, 2.41780725177450611770e-1)
    top = fma(top, r, 1.27045825245236838258e0)
    top = fma(top, r, 3.64784832476320460504e0)
    top = fma(top, r, 5.76949722146069140550e0)
    top = fma(top, r, 4.63033784615654529590e0)
    top = fma(top, r, 1.42343711074968357734e0)
    bottom = 1.05075007164441684324e-9
    bottom = fma(bottom, r, 5.47593808499534494600e-4)
    bottom = fma(bottom, r, 1.51986665636164571966e-2)
    bottom = fma(bottom, r, 1.48103976427480074590e-1)
    bottom = fma(bottom, r, 6.89767334985100004550e-1)
    bottom = fma(bottom, r, 1.67638483018380384940e0)
    bottom = fma(bottom, r, 2.05319162663775882187e0)
    return top / fma(bottom, r, 1.0)


@inlined_rule
def _tail_far(r):
    top = 2.01033439929228813265e-7
    top = fma(top, r, 2.71155556874348757815e-5)
    top = fma(top, r, 1.24266094738807843860e-3)
    top = fma(top, r, 2.65321895265761230930e-2)
    top = fma(top, r, 2.96560571828504891230e-1)
    top = fma(top, r, 1.78482653991729133580e0)
    top = fma(top, r, 5.46378491116411436990e0)
    top = fma(top, r, 6.65790464350110377720e0)
    bottom = 2.04426310338993978564e-15
    bottom = fma(bottom, r, 1.42151175831644588870e-7)
    bottom = fma(bottom, r, 1.84631831751005468180e-5)
    bottom = fma(bottom, r, 7.86869131145613259100e-4)
    bottom = fma(bottom, r, 1.48753612908506148525e-2)
    bottom = fma(bottom, r, 1.36929880922735805310e-1)
    bottom = fma(bottom, r, 5.99832206555887937690e-1)
    return top / fma(bottom, r, 1.0)


@rule
def permutation_of_four(word0, word1, word2):
    """A permutation of 0..3, each of the 24 equally likely, as four integers."""
    a, b, c, d = 0, 1, 2, 3
    pick = int(uniform(word0) * 4.0)
    a, b, c, d = _swapped(a, b, c, d, pick)
    rest = int(uniform(word1) * 3.0)
    if rest == 1:
        b, c = c, b
    elif rest == 2:
        b, d = d, b
    if uniform(word2) < 0.5:
        c, d = d, c
    return a, b, c, d


@rule
def _swapped(a, b, c, d, pick):
    if pick == 1:
        return b, a, c, d
    if pick == 2:
        return c, b, a, d
    if pick == 3:
        return d, b, c, a
    return a, b, c, d


def generator(world_key: int, episode: int, purpose: int) -> np.random.Generator:
    """A numpy generator with the same keys, for draws made once an episode (genesis, scripted actions)."""
    key, counter = np.array([[world_key, episode, 0, 0], [0, 0, 0, purpose]], np.uint64)
    return np.random.Generator(np.random.Philox(key=key[:2], counter=counter))
