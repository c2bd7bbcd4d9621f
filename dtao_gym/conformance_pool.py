"""Adapters from chain vectors to the rules: pools and prices."""

import math
from typing import Any

from dtao_gym.conformance_vectors import U16, Inputs, floor_rao, floors, tokens
from dtao_gym.protocol import coinbase, lifecycle, pool


def price(inputs: Inputs, era: str) -> dict[str, Any]:
    """Spot price of a pool or of a fixed-price subnet; median price."""
    if "subnet_prices_excluding_root" in inputs:
        prices = inputs.numbers("subnet_prices_excluding_root")
        return {"median_price": lifecycle.median_price(prices)}
    in_pool = inputs.rao("mechanism", 1) > 0
    nothing = None if in_pool else 0.0
    reserves = inputs.number("tao_reserve", nothing), inputs.number("alpha_reserve", nothing)
    spot = pool.spot_price(*reserves, inputs.between_0_and_1("quote_weight", 0.5))
    # mechanism 0 trades one to one whatever lies in its pool
    return {"price": spot if in_pool else 1.0}


def swap_balancer(inputs: Inputs, era: str) -> dict[str, Any]:
    """The weighted pool: orders, limits, injection."""
    weight = inputs.between_0_and_1("quote_weight", 0.5)
    if "delta_in_rao" in inputs:  # the curve alone: these pools are smaller than `MIN_RESERVE`
        reserves = float(inputs.rao("tao_reserve_rao")), float(inputs.rao("alpha_reserve_rao"))
        rate = inputs.rao("fee_u16", 0) / U16
        amount = inputs.rao("delta_in_rao")
        amount -= math.floor(amount * rate)
        return {
            "sell_out_rao": math.floor(pool.tao_for_alpha(*reserves, weight, float(amount))),
            "buy_out_rao": math.floor(pool.alpha_for_tao(*reserves, weight, float(amount))),
        }
    if (
        "exponent" in inputs
    ):  # (r / (r + d))**(w1 / w2) of a TAO is left after a sale, **(w2 / w1) of alpha after a buy
        buys = inputs.text("exponent", ("base/quote", "quote/base")) == "quote/base"
        reserve, added = inputs.number("reserve"), inputs.number("delta")
        if buys:
            return {"ratio_power": 1.0 - pool.alpha_for_tao(reserve, 1.0, weight, added)}
        return {"ratio_power": 1.0 - pool.tao_for_alpha(1.0, reserve, weight, added)}
    if "price_limit" in inputs:
        return _limit_order(inputs, weight)
    tao, alpha = inputs.tokens("tao_reserve_rao"), inputs.tokens("alpha_reserve_rao")
    before = pool.spot_price(tao, alpha, weight)
    if "tao_injected_rao" in inputs or "alpha_injected_rao" in inputs:
        tao_in, alpha_in = (
            inputs.tokens("tao_injected_rao", 0),
            inputs.tokens("alpha_injected_rao", 0),
        )
        after = pool.weight_after_injection(tao, alpha, weight, tao_in, alpha_in, before)
        if not pool.injection_fits(tao, weight, tao_in, alpha_in, before):
            tao_in, alpha_in = 0.0, 0.0
        spot = pool.spot_price(tao + tao_in, alpha + alpha_in, after)
        return {"quote_weight_after": after, "price_before": before, "price_after": spot}
    buys = inputs.text("side", ("buy", "sell")) == "buy"
    order = pool.buy if buys else pool.sell
    amount, rate = inputs.tokens("amount_rao"), inputs.rao("fee_u16", 33) / U16
    fee = tokens(
        floor_rao(order(tao, alpha, weight, amount, rate, 0.0)[2] if buys else amount * rate)
    )
    # the chain rounds the fee to whole rao, which changes the rate of orders of a few rao
    rate = fee / amount if amount > 0.0 else 0.0
    out, taken, fee_tao, tao, alpha = order(tao, alpha, weight, amount, rate, 0.0)
    fee = fee if taken > 0.0 else 0.0
    if not buys:  # the chain reports the price before the author sells the fee
        tao, alpha = tao + fee_tao, alpha - fee
    after = pool.spot_price(tao, alpha, weight)
    return floors({"fee": fee, "amount_out": out}) | {"price_before": before, "price_after": after}


def _limit_order(inputs: Inputs, weight: float) -> dict[str, Any]:
    buys = inputs.text("side", ("buy", "sell")) == "buy"
    tao, alpha = inputs.tokens("tao_reserve_rao", 0), inputs.tokens("alpha_reserve_rao", 0)
    now = inputs.number("price_now", pool.spot_price(tao, alpha, weight))
    tao_in, alpha_in = pool.trade_to_reach(tao, alpha, weight, now, inputs.number("price_limit"))
    return floors({"tao_in": tao_in if buys else 0.0, "alpha_in": 0.0 if buys else alpha_in})


def swap_constant_product(inputs: Inputs, era: str) -> dict[str, Any]:
    """The pool of the launch."""
    tao, alpha = inputs.tokens("tao_reserve_rao"), inputs.tokens("alpha_reserve_rao")
    before = pool.spot_price(tao, alpha, 0.5)
    order = pool.buy if inputs.text("side", ("stake", "unstake")) == "stake" else pool.sell
    amount, flat_fee = inputs.tokens("amount_rao"), inputs.tokens("flat_fee_rao", 50_000)
    limits = pool.RESERVE_LIMITS_OF_LAUNCH
    out, _, _, tao, alpha = order(tao, alpha, 0.5, amount, 0.0, flat_fee, limits)
    results = {"alpha_out": out, "tao_out": out}
    results |= {"tao_reserve_after": tao, "alpha_reserve_after": alpha}
    after = pool.spot_price(tao, alpha, 0.5)
    return floors(results) | {"price_before": before, "price_after": after}


def moving_price(inputs: Inputs, era: str) -> dict[str, Any]:
    """Moving price after some blocks."""
    moving, spot = inputs.number("moving_price"), inputs.number("spot_price")
    age, halving = (
        inputs.number_or_null("blocks_since_start"),
        inputs.number_or_null("halving_blocks"),
    )
    base, updates = inputs.number("base_alpha"), inputs.count("updates", 1)
    grows = inputs.flag("age_grows", False)
    # at a constant rate one update equals all
    for _ in range(updates if grows else 1):
        rate = coinbase.moving_price_rate(base, age, halving)
        decay = coinbase.moving_price_decay(rate, 1.0 if grows else float(updates))
        moving = coinbase.next_moving_price(moving, spot, decay)
        age += 1.0
    return {"moving_price": moving}


ADAPTERS = {
    adapter.__name__: adapter
    for adapter in (price, swap_balancer, swap_constant_product, moving_price)
}
"""Adapters by category."""
