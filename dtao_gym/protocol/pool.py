"""The pool of a subnet: price, swaps, orders with a price limit, injection.

A weighted pool (subtensor `pallets/swap/src/pallet/balancer.rs`): reserves y of TAO and x of alpha, weights
w of TAO and 1 - w of alpha. Constant product, the pool of 2025, is the weight 1/2 and takes a rational
branch that keeps exact halves exact. All functions are without fee unless they say otherwise, and all are
pure: they return the amounts that would be exchanged.
"""

from typing import NamedTuple

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import expm1, log, log1p, log1p_small

MIN_RESERVE = 1e-3
"""Smallest reserve of what comes out of a swap (1,000,000 rao, `MinimumReserve` of the swap pallet).

Tested before the swap, whatever it leaves (`pallets/swap/src/pallet/impls.rs`, `swap_inner`).
"""

MIN_RESERVE_OF_LAUNCH = 1e-2
"""Its counterpart until July 2025 (10,000,000 rao, `DefaultMinimumPoolLiquidity`), tested on what a swap leaves."""

MAX_FEE = 0.01
"""Largest proportional fee; the chain allows 10000/65535, which no subnet is known to use."""

WEIGHT_RANGE = (0.01, 0.99)
"""Smallest and largest TAO weight of a pool (`balancer.rs`)."""

MAX_INPUT_RATIO = 1000.0
"""Largest input of a swap, as a multiple of the reserve it enters (swap pallet)."""


class ReserveLimits(NamedTuple):
    """Smallest reserves (TAO or alpha) of what comes out of a swap; 0 where a rule does not apply."""

    before: float
    """That a swap may meet: since July 2025."""
    after: float
    """That a swap may leave: until then."""


RESERVE_LIMITS = ReserveLimits(MIN_RESERVE, 0.0)
"""The limits since July 2025."""

RESERVE_LIMITS_OF_LAUNCH = ReserveLimits(0.0, MIN_RESERVE_OF_LAUNCH)
"""The limits until July 2025."""


@inlined_rule
def spot_price(tao_reserve, alpha_reserve, tao_weight):
    """TAO per alpha: (1 - w) y / (w x); 0 for a pool without alpha."""
    if tao_weight == 0.5:
        return tao_reserve / alpha_reserve if alpha_reserve > 0.0 else 0.0
    denominator = tao_weight * alpha_reserve
    return (1.0 - tao_weight) * tao_reserve / denominator if denominator > 0.0 else 0.0


@inlined_rule
def _swap(reserve_in, reserve_out, weight_ratio, amount_in):
    """Output of a swap; `weight_ratio` is the weight of the token that comes in over that of the other."""
    if weight_ratio == 1.0:
        total = reserve_in + amount_in
        return reserve_out * (amount_in / total) if total > 0.0 else 0.0
    step = log1p(amount_in / reserve_in) if reserve_in > 0.0 else 0.0
    return -reserve_out * expm1(-weight_ratio * step)


@inlined_rule
def swap_allowed(reserve_in, reserve_out, amount_in, amount_out, limits=RESERVE_LIMITS):
    """Whether the chain would accept this swap: a positive input within the limits above."""
    return (
        amount_in > 0.0
        and amount_in <= MAX_INPUT_RATIO * reserve_in
        and reserve_out >= limits.before
        and reserve_out - amount_out >= limits.after
    )


@inlined_rule
def weight_ratio(tao_weight):
    """Weight of TAO over the weight of alpha, exactly 1 at weight 1/2."""
    return 1.0 if tao_weight == 0.5 else tao_weight / (1.0 - tao_weight)


@inlined_rule
def inverse_weight_ratio(tao_weight):
    """Weight of alpha over the weight of TAO, exactly 1 at weight 1/2."""
    return 1.0 if tao_weight == 0.5 else (1.0 - tao_weight) / tao_weight


@inlined_rule
def alpha_for_tao(tao_reserve, alpha_reserve, tao_weight, tao_in):
    """Alpha that `tao_in` TAO buys: x (1 - (y / (y + dy))**(w/(1-w)))."""
    return _swap(tao_reserve, alpha_reserve, weight_ratio(tao_weight), tao_in)


@inlined_rule
def tao_for_alpha(tao_reserve, alpha_reserve, tao_weight, alpha_in):
    """TAO that `alpha_in` alpha sells for: y (1 - (x / (x + dx))**((1-w)/w))."""
    return _swap(alpha_reserve, tao_reserve, inverse_weight_ratio(tao_weight), alpha_in)


@inlined_rule
def buy(
    tao_reserve, alpha_reserve, tao_weight, tao_in, fee_rate, flat_fee_tao, limits=RESERVE_LIMITS
):
    """Stake `tao_in` TAO, fees included.

    Returns (alpha_out, tao_taken, fee_tao, tao_reserve, alpha_reserve): the proportional fee leaves the
    pool for the block author, the flat fee of the launch pool stays in it. An order that the chain would
    reject (a reserve of alpha outside `limits`, input above 1,000 reserves) takes nothing.
    """
    flat = min(flat_fee_tao, tao_in)
    fee = (tao_in - flat) * fee_rate
    net = tao_in - flat - fee
    out = alpha_for_tao(tao_reserve, alpha_reserve, tao_weight, net)
    ok = swap_allowed(tao_reserve, alpha_reserve, net, out, limits)
    out = out if ok else 0.0
    taken = tao_in if ok else 0.0
    fee = fee if ok else 0.0
    return out, taken, fee, tao_reserve + (taken - fee), alpha_reserve - out


@inlined_rule
def sell(
    tao_reserve, alpha_reserve, tao_weight, alpha_in, fee_rate, flat_fee_tao, limits=RESERVE_LIMITS
):
    """Unstake `alpha_in` alpha, fees included.

    Returns (tao_out, alpha_taken, fee_tao, tao_reserve, alpha_reserve). The proportional fee is kept back in
    alpha and then sold to TAO for the block author, so that all of `alpha_in` enters the pool; the flat fee
    of the launch pool is taken from the proceeds and stays in the pool. Orders that the chain would reject
    take nothing. `fee_rate` is at most `MAX_FEE`, or None where there is no fee at all.
    """
    ratio = inverse_weight_ratio(tao_weight)
    out, total = _net_and_gross(alpha_reserve, tao_reserve, ratio, alpha_in, fee_rate)
    ok = swap_allowed(alpha_reserve, tao_reserve, alpha_in, total, limits)
    fee = total - out if ok else 0.0
    out = max(out - flat_fee_tao, 0.0) if ok else 0.0
    taken = alpha_in if ok else 0.0
    # rounding of the sum must not pass all that there was
    return out, taken, fee, max(tao_reserve - (out + fee), 0.0), alpha_reserve + taken


@inlined_rule
def _net_and_gross(reserve_in, reserve_out, ratio, amount_in, fee_rate):
    """Output of `amount_in` less its fee, and of all of it; one logarithm serves both."""
    if fee_rate is None:
        gross = _swap(reserve_in, reserve_out, ratio, amount_in)
        return gross, gross
    net = amount_in * (1.0 - fee_rate)
    if ratio == 1.0:
        gross = _swap(reserve_in, reserve_out, 1.0, amount_in)
        return _swap(reserve_in, reserve_out, 1.0, net), gross
    step = log1p(net / reserve_in) if reserve_in > 0.0 else 0.0
    after = reserve_in + net
    step_gross = step + (log1p_small((amount_in - net) / after) if after > 0.0 else 0.0)
    return -reserve_out * expm1(-ratio * step), -reserve_out * expm1(-ratio * step_gross)


@inlined_rule
def trade(
    tao_reserve, alpha_reserve, tao_weight, tao_in, alpha_in, fee_rate, limits=RESERVE_LIMITS
):
    """A buy of `tao_in` TAO or, where that is 0, a sale of `alpha_in` alpha: `buy` and `sell` in one formula.

    Returns (out, taken, fee_tao, tao_reserve, alpha_reserve), `out` in alpha for a buy and in TAO for a sale,
    `taken` the other way round. For loops in which either may happen, at the cost of one.
    """
    buying = tao_in > 0.0
    ratio = weight_ratio(tao_weight if buying else 1.0 - tao_weight)
    reserve_in = tao_reserve if buying else alpha_reserve
    reserve_out = alpha_reserve if buying else tao_reserve
    amount = tao_in if buying else alpha_in
    out, gross = _net_and_gross(reserve_in, reserve_out, ratio, amount, fee_rate)
    entering = amount * (1.0 - fee_rate) if buying else amount
    ok = swap_allowed(reserve_in, reserve_out, entering, out if buying else gross, limits)
    out = out if ok else 0.0
    taken = amount if ok else 0.0
    # the fee of a buy stays out of the pool; that of a sale goes in and is sold for TAO
    fee = (taken * fee_rate if buying else gross - out) if ok else 0.0
    tao = taken - fee if buying else -(out + fee)
    alpha = -out if buying else taken
    return out, taken, fee, max(tao_reserve + tao, 0.0), alpha_reserve + alpha


@inlined_rule
def sellable_alpha(tao_reserve, alpha_reserve, tao_weight, limits):
    """Alpha that can be sold in small orders before the pool is down to the larger of `limits`, which is positive."""
    least = max(limits.before, limits.after)
    if not (tao_reserve > least and alpha_reserve > 0.0):
        return 0.0
    # slightly less, so that rounding does not make the chain reject the last order
    left = tao_reserve / (least * (1.0 + 1e-9))
    if tao_weight == 0.5:
        return alpha_reserve * max(left - 1.0, 0.0)
    return alpha_reserve * max(expm1(weight_ratio(tao_weight) * log(left)), 0.0)


@inlined_rule
def trade_to_reach(tao_reserve, alpha_reserve, tao_weight, price, target_price):
    """(tao_in, alpha_in) that moves the price to `target_price`; one of the two is 0.

    A buy of y ((p'/p)**(1-w) - 1) TAO if the target is above the price, else a sale of x ((p/p')**w - 1)
    alpha; nothing if price or target is not positive.
    """
    if not (price > 0.0 and target_price > 0.0):
        return 0.0, 0.0
    rising = target_price >= price
    ratio = max(target_price, price) / min(target_price, price)
    exponent = 1.0 - tao_weight if rising else tao_weight
    step = ratio**0.5 - 1.0 if tao_weight == 0.5 else expm1(exponent * log(ratio))
    return (tao_reserve * step if rising else 0.0), (0.0 if rising else alpha_reserve * step)


@inlined_rule
def _neutral_weight(tao_reserve, tao_weight, tao_in, alpha_in, price):
    """(y + dy) / (p (x + dx) + y + dy), with p x written as y (1-w)/w so that exact halves stay exact."""
    alpha_side = tao_reserve * inverse_weight_ratio(tao_weight) + price * alpha_in
    tao_side = tao_reserve + tao_in
    total = alpha_side + tao_side
    return tao_side / total if total > 0.0 else tao_weight


@inlined_rule
def injection_fits(tao_reserve, tao_weight, tao_in, alpha_in, price):
    """Whether the weight that leaves the price at `price` is within 1 % to 99 %; else the chain puts nothing in."""
    weight = _neutral_weight(tao_reserve, tao_weight, tao_in, alpha_in, price)
    return WEIGHT_RANGE[0] <= weight <= WEIGHT_RANGE[1]


@inlined_rule
def weight_after_injection(tao_reserve, alpha_reserve, tao_weight, tao_in, alpha_in, price):
    """TAO weight that leaves the price at `price` when both amounts are added; the old one if it would leave its range.

    An injection at the pool's own price moves the weight towards 1/2, so that it fits wherever the pool did.
    """
    weight = _neutral_weight(tao_reserve, tao_weight, tao_in, alpha_in, price)
    return weight if WEIGHT_RANGE[0] <= weight <= WEIGHT_RANGE[1] else tao_weight
