"""What stakers think a token is worth, and what they then trade.

Informed stakers capitalise true value; uninformed ones read the public signal with an error of opinion, with
momentum and, if wanted, a taste for yield. The two do not trade against each other: their opinions, weighted
by purses, pool into one market target per subnet.
"""

from dtao_gym.numerics import exp, inlined_rule, log


@inlined_rule
def uninformed_tilt(opinion, price, past_price, momentum, excess_yield, yield_sensitivity):
    """Factor on the signal: exp(opinion + momentum ln(p / p_past), clipped at +-1, + sensitivity x excess yield)."""
    trend = log(price / past_price) if price > 0.0 and past_price > 0.0 else 0.0
    trend = min(max(trend, -1.0), 1.0)
    return exp(opinion + momentum * trend + yield_sensitivity * excess_yield)


@inlined_rule
def market_target(price_per_value, informed_share, value, uninformed_value, dilution):
    """Price that stakers together think right (TAO per alpha), for values in TAO a day.

    `price_per_value` is users' payments per value, capitalised, over 21 million tokens; `dilution` is the
    alpha issuance over that of genesis.
    """
    pooled = informed_share * value + (1.0 - informed_share) * uninformed_value
    return price_per_value * pooled / dilution
