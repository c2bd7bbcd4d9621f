"""What stakers think a subnet and its token are worth.

Informed stakers capitalise the stocks, those of the pipeline too; uninformed ones read the public signal with
an error of opinion, with momentum and, if wanted, a taste for yield. The two do not trade against each other:
their opinions, weighted by purses, pool into one market target per subnet.
"""

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import exp, log


def capitalisation(discount: float, decay: float) -> float:
    """Present value of a stock of 1 that decays, its first payment now: days."""
    return 1.0 / (1.0 - discount * (1.0 - decay))


def stage_discount(discount: float, stage_rate: float) -> float:
    """Present value of 1 that leaves a pipeline's stage with the daily chance `stage_rate`, tomorrow at the earliest."""
    return stage_rate * discount / (1.0 - discount * (1.0 - stage_rate))


@inlined_rule
def value_of_stocks(short_stock, knowledge, pipeline, worth_of_short, worth_of_knowledge):
    """Capital value of a subnet's own stocks, TAO; `pipeline` is research under way, discounted to its arrival."""
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
"""Largest absolute log of a tilt: a pool of a few TAO may yield more than its stake in a day."""


@inlined_rule
def uninformed_tilt(opinion, price_trend, momentum, excess_yield, yield_sensitivity):
    """Factor on the signal: exp(opinion + momentum x trend + sensitivity x excess yield), within e**+-50."""
    tilt = opinion + momentum * price_trend + yield_sensitivity * excess_yield
    return exp(min(max(tilt, -LARGEST_TILT), LARGEST_TILT))


@inlined_rule
def next_belief(belief, gain, signal):
    """What readers think the signal is after one more reading, of weight `gain`; with a gain of 1 what they read."""
    return signal if gain == 1.0 else belief + gain * (signal - belief)


LARGEST_PRIOR = 1e12
"""Most that anybody is credited with, TAO a day: where all are informed nothing that is believed would move the price."""


@inlined_rule
def fair_prior(capital_value, informed_share, informed_value, worth_of_signal, belief):
    """What to add to the belief so that the pooled value is `capital_value`; from 0 to `LARGEST_PRIOR`.

    `worth_of_signal` is what the uninformed pay for a unit of what they believe.
    """
    needed = (capital_value - informed_share * informed_value) / max(1.0 - informed_share, 1e-9)
    return min(max(needed / worth_of_signal - belief, 0.0), LARGEST_PRIOR)


@inlined_rule
def market_target(price_of_capital, informed_share, informed_value, uninformed_value, dilution):
    """Price that stakers together think right (TAO per alpha), for two opinions of the capital value in TAO.

    `price_of_capital` is users' payments per value times the hope of genesis, over 21 million tokens;
    `dilution` is the alpha issuance over that of genesis.
    """
    pooled = informed_share * informed_value + (1.0 - informed_share) * uninformed_value
    return price_of_capital * pooled / dilution


SMALLEST_SHARE = 1e-3
"""Scarcity counts no further below this part of a subnet's alpha."""


@inlined_rule
def scarce_target(target, price, staker_alpha, outstanding, reserve, normal_share, elasticity):
    """Target price where stakers hold another part of the alpha than the normal one, after their own trade.

    Opinions differ: the fewer hold a token, the more its marginal holder thinks it is worth (Miller 1977). Wanted is
    target (normal share / share)**elasticity at the share that stakers have once they have traded to it; `reserve`,
    the pool's alpha times its weight of TAO, says how much alpha a change of the price takes (to first order). What is
    taken from a pool adds to their holding and to what is outstanding.
    """
    everything = max(outstanding, 1.0)
    held = max(staker_alpha, SMALLEST_SHARE * everything)
    start = price if price > 0.0 else 1.0
    gap = log((target if target > 0.0 else 1.0) / start)
    gap += elasticity * log(normal_share * everything / held)
    # alpha bought leaves the pool: stakers' holding and all outstanding alpha both grow by it
    both = held * everything
    moved = reserve * max(everything - held, 0.0) if price > 0.0 else 0.0
    found = start * exp(gap * (both / (both + elasticity * moved)))
    return found if target > 0.0 else 0.0


@inlined_rule
def next_demand(level, rate, held, wanted_by_wealth, wanted_by_supply):
    """Factor on all valuations after a day: it moves to where stakers hold as much alpha as they want.

    All amounts are TAO at spot: what they hold; what they would by a fixed part of wealth; and what they would by a
    fixed part of all alpha. They want the geometric mean of the two, so that more money raises prices, and nobody
    sells out of all subnets at once.
    """
    if not (held > 0.0 and wanted_by_wealth > 0.0 and wanted_by_supply > 0.0):
        return level
    gap = 0.5 * log(wanted_by_wealth * wanted_by_supply / (held * held))
    return min(max(level * exp(rate * min(max(gap, -1.0), 1.0)), 1e-4), 1e4)
