"""News about a subnet: information of its readers that the public signal does not show.

The level of news, in logs, is a factor on readers' valuation of a subnet. It fades with a half-life and moves by steps:
normal ones whose size clusters and is larger for small pools, jumps, and a part common to all subnets (Kyle 1985;
Chiarella 1992; Lux and Marchesi 2000; Franke and Westerhoff 2012). The factor has mean one on every day after the first,
whatever its variance has become, so that no market shrinks or grows by news alone. Steps of mean one would not suffice:
fading takes the mean of their sum below one, to exp(-variance / 2) in the end.
"""

import math

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import exp, log

REFERENCE_POOL_TAO = 20_000.0
"""Pool depth, TAO, at which news has the configured size."""
SMALLEST_POOL_TAO = 1_000.0
"""Pool depth, TAO, below which the size of news grows no further."""
WIDEST = 8.0
"""Largest absolute level of news, in logs."""
LARGEST_SD, LARGEST_CHANCE = 0.5, 0.3
"""Upper limits of the daily standard deviation and of the daily chance of a jump, for small pools."""


def mean_of_jumps(up_share: float, up: float, down: float) -> float:
    """Mean of exp(J) - 1 for a log jump J: with chance `up_share` mean `up` < 1, else mean -`down`."""
    return up_share / (1.0 - up) + (1.0 - up_share) / (1.0 + down) - 1.0


def square_of_jumps(up_share: float, up: float, down: float) -> float:
    """Mean of J**2 for a jump J as in `mean_of_jumps`: exponentials have twice the square of their mean."""
    return 2.0 * (up_share * up**2 + (1.0 - up_share) * down**2)


@inlined_rule
def next_log_volatility(level, persistence, sd, innovation):
    """Log of the volatility of news after a day: a stationary AR(1) with standard deviation `sd`."""
    return persistence * level + math.sqrt(1.0 - persistence * persistence) * sd * innovation


@inlined_rule
def scale_of_news(character, tao_reserve, size_exponent):
    """Size of a subnet's news over the configured one: its own `character`, less for a large pool."""
    pool = max(tao_reserve, SMALLEST_POOL_TAO) * (1.0 / REFERENCE_POOL_TAO)
    return character * exp(-size_exponent * log(pool))


@inlined_rule
def jump(which, size, chance, up_share, up, down):
    """A jump in logs, 0 on most days; `which` (chance and direction) and `size` are uniform in [0, 1)."""
    drawn = -log(1.0 - size)
    moved = up * drawn if which < chance * up_share else -down * drawn
    return moved if which < chance else 0.0


@inlined_rule
def _log1p_of_chance(x):
    """ln(1 + x) for a chance times a mean jump, small on most days: to x**4 / 4."""
    return x * (1.0 - x * (0.5 - x * (1.0 / 3.0)))


@inlined_rule
def faded(level, variance, persistence):
    """A normal level after a day of fading, corrected so that its factor still has mean one."""
    return persistence * level - 0.5 * persistence * (persistence - 1.0) * variance


@inlined_rule
def next_news(level, common, sd, normal, jumped, chance, mean_jump):
    """Level of news after a day's step of mean one, from the faded level and `mean_of_jumps`."""
    level += common + sd * normal - 0.5 * sd * sd
    level += jumped - _log1p_of_chance(chance * mean_jump)
    return min(max(level, -WIDEST), WIDEST)


@inlined_rule
def next_variance(variance, persistence, common_sd, sd, chance, jump_square):
    """Variance of the level of news after a day; jumps count as normal steps of variance `jump_square`."""
    kept = persistence * persistence * variance
    return kept + common_sd * common_sd + sd * sd + chance * jump_square
