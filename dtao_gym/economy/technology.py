"""What builders make of money: short-term value, knowledge after a delay, influence.

Stocks are in TAO a day of value to users, spending in TAO a day. A stock of the end of a day follows from
those of the end of the day before: whatever is put in today counts from tonight on.
"""

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import exp, power


def decay_per_day(half_life_days: float) -> float:
    """Part of a stock that is lost in a day."""
    return 1.0 - 2.0 ** (-1.0 / half_life_days)


def discount_per_day(discount_per_year: float) -> float:
    """What a day later is worth, for what is lost in a year."""
    return (1.0 - discount_per_year) ** (1.0 / 365.0)


@inlined_rule
def ability(type_sd, normal):
    """Ability of a builder, lognormal with mean one: a factor on short-term work and research alike."""
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
    """What users get from a subnet, TAO a day; a part of the others' knowledge spills over to it."""
    others = (all_knowledge - knowledge) / (n_subnets - 1.0) if n_subnets > 1.0 else 0.0
    return short_stock + knowledge + spillover * others


@inlined_rule
def contributed_value(short_stock, knowledge, spillover):
    """What a subnet gives to all users; over all subnets the same sum as `true_value`."""
    return short_stock + (1.0 + spillover) * knowledge


@inlined_rule
def public_signal(short_stock, knowledge, influence, hype, noise_sd, normal):
    """What everybody is shown of a subnet: short-term work with its hype, knowledge, influence; noise in logs."""
    return ((1.0 + hype) * short_stock + knowledge + influence) * exp(noise_sd * normal)
