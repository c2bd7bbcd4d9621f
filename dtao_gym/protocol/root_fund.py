"""Validators' funds of root alpha, since August 2026: value of holdings, shares, claims, trades.

Source: subtensor `staking/claim_root.rs`, `staking/basket_flush.rs`, `staking/basket_views.rs`, `staking/basket_trade.rs`.
Root's alpha dividends stay in the fund of the validator that earned them, and root holders get shares of the fund. A
holding counts as the TAO that its sale would fetch now, without fee. Amounts may be in any unit, the same for all of
one call. The chain counts in rao and rounds down at every step; these functions do not, except those of trades.

A simulated fund may stand for several equal ones (`funds`), of which each would sell its part into the whole pool.
"""

from typing import NamedTuple

import numpy as np

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import expm1, log1p
from dtao_gym.protocol.pool import alpha_for_tao, inverse_weight_ratio, tao_for_alpha

DUST_DIVISOR = 100.0
"""A fund without value takes a deposit if its shares are at most this part of the value (`DRAINED_FUND_DUST_DIVISOR`)."""

TRADE_SLIPPAGE = 0.02
"""Part by which the price of a fund's trade may be worse than the strictest reference price."""

TRADE_REFILL_BLOCKS = 7200
"""Blocks in which an empty trade budget is full again."""


# --- value of a holding


@inlined_rule
def realisable_value(tao_reserve, alpha_reserve, tao_weight, alpha, funds):
    """TAO that equal funds, which hold `alpha` together, would fetch: each by a sale of its part, without fee.

    M Q(H/M) with Q(h) = y (1 - (x / (x + h))**((1-w)/w)); 0 for a pool without alpha. `funds` = 1 is the chain's case.
    """
    each = alpha / funds
    if tao_weight == 0.5:
        return tao_reserve * (alpha / (alpha_reserve + each)) if alpha_reserve > 0.0 else 0.0
    step = log1p(each / alpha_reserve) if alpha_reserve > 0.0 else 0.0
    return -funds * tao_reserve * expm1(-inverse_weight_ratio(tao_weight) * step)


@inlined_rule
def value_and_gain(tao_reserve, alpha_reserve, tao_weight, held, credit, funds):
    """(value of `held` alpha, value that `credit` more alpha adds), TAO: `realisable_value` and its difference.

    The gain is computed as what a sale of the credit would fetch after that of the holding, so that tiny credits keep
    their digits. Both amounts of alpha are those of all `funds` together; a pool without alpha makes both 0.
    """
    each, added = held / funds, credit / funds
    after = alpha_reserve + each
    if tao_weight == 0.5:
        value = tao_reserve * (held / after)
        gain = tao_reserve * (alpha_reserve / after) * (credit / (after + added))
        return (value if alpha_reserve > 0.0 else 0.0), (gain if alpha_reserve > 0.0 else 0.0)
    ratio = inverse_weight_ratio(tao_weight)
    step = log1p(each / alpha_reserve) if alpha_reserve > 0.0 else 0.0
    more = log1p(added / after) if alpha_reserve > 0.0 else 0.0
    fetched = -expm1(-ratio * step)
    gain = (1.0 - fetched) * -expm1(-ratio * more)
    return funds * tao_reserve * fetched, funds * tao_reserve * gain


# --- deposits


@inlined_rule
def stakers_part(value, stakers_root, root_slot):
    """Part of a deposit's value for which shares are made: the root stake of holders against that of the fund itself.

    The fund's own root stake earned the rest, which raises the value of all shares. 0 where nobody has root stake.
    """
    total = stakers_root + root_slot
    return value * (stakers_root / total) if total > 0.0 else 0.0


@inlined_rule
def shares_for(value, shares, nav):
    """Shares for a deposit of `value` TAO into a fund of `shares` shares and `nav` TAO before it.

    At par in a fund without shares. Where the shares are worth nothing, at par if they are dust against the deposit,
    else 0: the deposit is refused.
    """
    if shares > 0.0 and nav > 0.0:
        return value * shares / nav
    return value if shares <= value / DUST_DIVISOR else 0.0


class CuratedDeposit(NamedTuple):
    """Pools and purchases of a `curated_deposit`."""

    tao_reserves_sold: np.ndarray
    """(n,) TAO after the sales, when the value of the fund before the deposit is read."""
    alpha_reserves_sold: np.ndarray
    """(n,) Alpha then."""
    tao_reserves: np.ndarray
    """(n,) TAO after the purchases."""
    alpha_reserves: np.ndarray
    """(n,) Alpha then."""
    alpha_bought: np.ndarray
    """(n,) Alpha that the fund gets."""
    root_added: float
    """TAO that becomes root stake of the fund."""


def curated_deposit(tao_reserves, alpha_reserves, tao_weights, credits, weights):
    """Sell root alpha and buy what a validator's root weights say, without fees (August and September 2026).

    Parameters
    ----------
    tao_reserves, alpha_reserves, tao_weights, credits : (n,) array_like
        The pools, and the root alpha of each subnet.
    weights : (n + 1,) array_like
        Weight of each subnet, then of the fund's root stake; at least one is positive.

    Returns
    -------
    CuratedDeposit
    """
    tao, alpha = np.array(tao_reserves, float), np.array(alpha_reserves, float)
    weights = np.asarray(weights, float)
    pools = range(tao.size)
    fetched = np.array(
        [tao_for_alpha(tao[i], alpha[i], tao_weights[i], float(credits[i])) for i in pools]
    )
    tao, alpha = tao - fetched, alpha + credits
    sold = tao.copy(), alpha.copy()
    spent = fetched.sum() * weights / weights.sum()
    bought = np.array([alpha_for_tao(tao[i], alpha[i], tao_weights[i], spent[i]) for i in pools])
    return CuratedDeposit(*sold, tao + spent[:-1], alpha - bought, bought, spent[-1])


# --- shares of a holder, and claims


@inlined_rule
def owed_shares(rate, root_stake, claimed):
    """Shares that a holder may claim: those granted to its root stake so far, less the watermark; never negative.

    `rate` is the sum of shares granted per TAO of root stake, `claimed` the signed watermark.
    """
    return max(rate * root_stake - claimed, 0.0)


@inlined_rule
def watermark_after_change(claimed, rate, change):
    """Watermark after root stake has changed by `change`, up or down; what is owed stays the same."""
    return claimed + rate * change


@inlined_rule
def claim_payment(proceeds, part_of_nav):
    """TAO paid for claimed shares, given the TAO that their part of the holdings fetched and their part of the value.

    A part of a position sells better than the whole; the excess stays in the fund. So by October 2026; in August the
    holder was paid the proceeds.
    """
    return min(proceeds, part_of_nav)


# --- trades of a validator between holdings


def trade_budget(nav, turnover_cap):
    """TAO that may pass through a fund's trades at once, given the value of the fund and the cap as part of it."""
    return nav * turnover_cap


def trade_allowance(budget, level, blocks):
    """TAO that may pass now: the level left by the last trade `blocks` ago, refilled; None is a fund that never traded."""
    return budget if level is None else min(level + budget * blocks / TRADE_REFILL_BLOCKS, budget)


def trade_limit(buys, spot_price, *moving_prices):
    """(worst price of a fund's trade, whether the spot price is within it), TAO per alpha.

    2 % above the lowest of spot and moving prices for a buy, 2 % below the highest for a sale; refused where a moving
    price is 0.
    """
    strictest = min(spot_price, *moving_prices) if buys else max(spot_price, *moving_prices)
    limit = strictest * (1.0 + (TRADE_SLIPPAGE if buys else -TRADE_SLIPPAGE))
    within = spot_price <= limit if buys else spot_price >= limit
    return limit, within and min(moving_prices) > 0.0
