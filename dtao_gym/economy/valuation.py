"""Stakers' valuation of a subnet and its token.

Informed stakers capitalise the stocks, the pipeline included; uninformed ones read the public signal with an error of
opinion, with momentum and, optionally, a taste for yield. The two do not trade against each other: their opinions,
weighted by purses, are pooled into one target price per subnet.
"""

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import exp, log


def capitalisation(discount: float, decay: float) -> float:
    """Present value (days) of the payments of a decaying stock of 1, the first one now."""
    return 1.0 / (1.0 - discount * (1.0 - decay))


def stage_discount(discount: float, stage_rate: float) -> float:
    """Present value of 1 that leaves a stage with the daily chance `stage_rate`, from tomorrow on."""
    return stage_rate * discount / (1.0 - discount * (1.0 - stage_rate))


@inlined_rule
def value_of_stocks(short_stock, knowledge, pipeline, worth_of_short, worth_of_knowledge):
    """Capital value of a subnet's stocks, TAO; `pipeline` is research discounted to its arrival."""
    return worth_of_short * short_stock + worth_of_knowledge * (knowledge + pipeline)


@inlined_rule
def next_opinion(opinion, persistence, innovation_sd, normal):
    """Opinion error of uninformed readers about a subnet, in logs: a stationary Ornstein-Uhlenbeck step."""
    return persistence * opinion + innovation_sd * normal


@inlined_rule
def trend(price, past_price):
    """ln(p / p_past), clipped at +-1; 0 where there is no price."""
    change = log(price / past_price) if price > 0.0 and past_price > 0.0 else 0.0
    return min(max(change, -1.0), 1.0)


LARGEST_TILT = 50.0
"""Largest absolute log of a tilt, since a pool of a few TAO may yield more than its stake in a day."""


@inlined_rule
def uninformed_tilt(opinion, price_trend, momentum, excess_yield, yield_sensitivity):
    """Factor on the signal: exp(opinion + momentum x trend + sensitivity x excess yield), within e**+-50."""
    tilt = opinion + momentum * price_trend + yield_sensitivity * excess_yield
    return exp(min(max(tilt, -LARGEST_TILT), LARGEST_TILT))


@inlined_rule
def next_belief(belief, gain, signal):
    """Readers' estimate of the signal after one more reading of weight `gain`."""
    return signal if gain == 1.0 else belief + gain * (signal - belief)


LARGEST_PRIOR = 1e12
"""Largest prior, TAO a day: where all stakers are informed, no belief of the uninformed would move the price."""


@inlined_rule
def fair_prior(capital_value, informed_share, informed_value, worth_of_signal, belief):
    """Addition to the belief at which the pooled value is `capital_value`; 0 to `LARGEST_PRIOR`.

    `worth_of_signal` is the capital value that the uninformed set on a unit of their belief.
    """
    needed = (capital_value - informed_share * informed_value) / max(1.0 - informed_share, 1e-9)
    return min(max(needed / worth_of_signal - belief, 0.0), LARGEST_PRIOR)


@inlined_rule
def market_target(price_of_capital, informed_share, informed_value, uninformed_value, dilution):
    """Pooled target price (TAO per alpha) for two opinions of the capital value in TAO.

    `price_of_capital` is users' payments per unit of value times the price multiple of genesis, over 21 million tokens;
    `dilution` is the alpha issuance over that of genesis.
    """
    pooled = informed_share * informed_value + (1.0 - informed_share) * uninformed_value
    return price_of_capital * pooled / dilution


SMALLEST_SHARE = 1e-3
"""Part of a subnet's alpha below which scarcity rises no further."""


@inlined_rule
def scarce_target(target, price, staker_alpha, outstanding, reserve, normal_share, elasticity):
    """Target price where stakers hold another than the normal part of the alpha, after their trade.

    Opinions differ: the fewer hold a token, the higher its marginal holder values it (Miller 1977). The solution is
    target (normal share / share)**elasticity at the share that stakers have once they have traded to it, to first order;
    `reserve`, the pool's alpha times its TAO weight, is the alpha that a unit change of the log price takes. Alpha taken
    from the pool adds to stakers' holding and to the outstanding alpha.
    """
    everything = max(outstanding, 1.0)
    held = max(staker_alpha, SMALLEST_SHARE * everything)
    start = price if price > 0.0 else 1.0
    gap = log((target if target > 0.0 else 1.0) / start)
    gap += elasticity * log(normal_share * everything / held)
    both = held * everything
    moved = reserve * max(everything - held, 0.0) if price > 0.0 else 0.0
    reached = start * exp(gap * (both / (both + elasticity * moved)))
    return reached if target > 0.0 else 0.0


@inlined_rule
def next_demand(level, rate, held, wanted_by_wealth, wanted_by_supply):
    """Factor on all valuations, moved by a day towards the level at which stakers hold what they want.

    Amounts are TAO at spot: stakers' alpha, a fixed part of their wealth, and a fixed part of all alpha. They want the
    geometric mean of the last two, so that more money raises prices, and stakers never sell out of all subnets at once.
    """
    if not (held > 0.0 and wanted_by_wealth > 0.0 and wanted_by_supply > 0.0):
        return level
    gap = 0.5 * log(wanted_by_wealth * wanted_by_supply / (held * held))
    return min(max(level * exp(rate * min(max(gap, -1.0), 1.0)), 1e-4), 1e4)
