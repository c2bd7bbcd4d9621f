"""Production of builders: short-term value, knowledge after a delay, influence.

Stocks are in TAO a day of value to users, spending in TAO a day. Stocks at the end of a day follow from those at the end
of the day before: today's input counts from tonight on.
"""

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import exp, power

DAYS_PER_YEAR = 365.0


def kept_per_day(half_life_days: float) -> float:
    """Part of a stock with this half-life that is left after a day; 1 for an infinite half-life."""
    return 2.0 ** (-1.0 / half_life_days)


def decay_per_day(half_life_days: float) -> float:
    """Part of a stock with this half-life that is lost in a day; 0 for an infinite half-life."""
    return 1.0 - kept_per_day(half_life_days)


def discount_per_day(discount_per_year: float) -> float:
    """Discount factor of a day, for the part (0 to 1) of a value that a year of waiting takes away."""
    return (1.0 - discount_per_year) ** (1.0 / DAYS_PER_YEAR)


def stage_rate(delay_days: float, stages: int) -> float:
    """Part of a pipeline stage that moves on in a day, for a mean delay over all stages; 1 without delay."""
    return stages / delay_days if delay_days > 0.0 else 1.0


@inlined_rule
def ability(type_sd, normal):
    """Ability of a builder, lognormal with mean one: a factor on the output of work and research."""
    return exp(type_sd * normal - 0.5 * type_sd * type_sd)


@inlined_rule
def output(builder_ability, productivity, spending, curvature):
    """Addition to a stock by a day's spending."""
    return builder_ability * productivity * power(spending, curvature)


@inlined_rule
def next_stock(stock, decay, inflow):
    """A stock after a day."""
    return (1.0 - decay) * stock + inflow


@inlined_rule
def luck(luck_sd, normal):
    """Factor with mean one on the knowledge that arrives."""
    return exp(luck_sd * normal - 0.5 * luck_sd * luck_sd)


@inlined_rule
def true_value(short_stock, knowledge, all_knowledge, n_subnets, spillover):
    """Value of a subnet to its users, TAO a day; a part of the knowledge of all others spills over to it."""
    others = (all_knowledge - knowledge) / (n_subnets - 1.0) if n_subnets > 1.0 else 0.0
    return short_stock + knowledge + spillover * others


@inlined_rule
def contributed_value(short_stock, knowledge, spillover):
    """Value of a subnet to all users, TAO a day; summed over subnets it equals the sum of `true_value`."""
    return short_stock + (1.0 + spillover) * knowledge


@inlined_rule
def public_signal(short_stock, knowledge, influence, hype, noise_sd, normal):
    """Public signal, TAO a day: short-term work with hype, knowledge, influence; lognormal noise."""
    return ((1.0 + hype) * short_stock + knowledge + influence) * exp(noise_sd * normal)
