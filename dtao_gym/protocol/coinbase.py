"""The coinbase: effect of a run of blocks on one subnet, before any trade.

Source: subtensor `coinbase/run_coinbase.rs` and `staking/stake_utils.rs`. With `blocks = 1` the span below
is one block of the chain, in the chain's order; with more it takes the price and the issuance at the middle
of the span, which makes the error of long spans second order.
"""

from typing import NamedTuple

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import exp, log1p
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.protocol.pool import (
    RESERVE_LIMITS,
    ReserveLimits,
    alpha_for_tao,
    spot_price,
    swap_allowed,
    weight_after_injection,
)

INJECTIONS = {
    "alpha_emission": 0,
    "subsidy": 1,
    "alpha_emission_bought": 2,
    "block_emission": 3,
    "root_proportion": 4,
    "direct": 5,
}
"""Injection of a block's TAO into a pool: the cap on the alpha that enters with it, and the use of TAO above the cap.

* `alpha_emission`: alpha up to the alpha emission, all TAO: lifts the price of capped subnets (February 2025).
* `subsidy`: alpha up to the TAO emission of the block where the price is below the share; the TAO above the
  pool's price buys alpha (August 2025).
* `alpha_emission_bought`: alpha up to the alpha emission, the TAO above buys (November 2025).
* `block_emission`: the same, and no more alpha than the block's TAO emission (December 2025).
* `root_proportion`: root proportion times the alpha emission, the TAO above buys (June 2026).
* `direct`: there are no pools, people are paid in TAO (before February 2025).
"""
CHAIN_BOUGHT = {"destroyed": 0, "protocol": 1}
"""Alpha that the chain buys with TAO above the cap: `destroyed` (until June 2026), or kept as `protocol` alpha."""
ROOT_DIVIDENDS = {"sold": 0, "claimable": 1, "tao": 2, "fund_in_place": 3, "fund_curated": 4}
"""Use of root's alpha.

* `sold` into the pool every block, except where subsidised (2025).
* `claimable` by root holders (from November 2025).
* `tao`: there is no alpha, all stake earns TAO.
* `fund_in_place`: kept in a fund of which root holders get shares (from August 2026); see `root_fund.py`.
* `fund_curated`: the same, but the funds of some validators sell it and buy by weights (August to September 2026).
"""

(
    ALPHA_EMISSION_CAP,
    SUBSIDY,
    ALPHA_EMISSION_BOUGHT,
    BLOCK_EMISSION_CAP,
    ROOT_PROPORTION_CAP,
    DIRECT,
) = INJECTIONS.values()
SUBSIDY_PER_EMISSION = SUPPLY_CAP / (4 * BLOCKS_PER_DAY)
"""Most alpha that the subsidy injects, times the alpha emission: a quarter of the supply cap in a day at that rate."""
DESTROYED, PROTOCOL = CHAIN_BOUGHT.values()
SOLD, CLAIMABLE, IN_TAO, FUND_IN_PLACE, FUND_CURATED = ROOT_DIVIDENDS.values()
FUNDS = ("fund_in_place", "fund_curated")
"""Root dividends that are kept in funds."""


TAO_WEIGHT = 0.18
"""Weight of TAO on root against alpha in root's part of dividends."""


class SubnetPool(NamedTuple):
    """A subnet's pool before a span, and its alpha outside of the pool (TAO, alpha)."""

    tao_reserve: float
    alpha_reserve: float
    pool_tao_weight: float
    alpha_outstanding: float


class EmissionLaw(NamedTuple):
    """Rules and numbers of the coinbase that are common to all subnets."""

    injection: int
    """Id of `INJECTIONS`."""
    owner_cut: float
    root_weighted_tao: float
    """TAO weight times the stake on root."""
    destroyed_part: float
    """1 where alpha that the chain buys is destroyed, else 0."""
    sold_part: float
    """1 where root's alpha is about to be sold, else 0."""
    limits: ReserveLimits = RESERVE_LIMITS


class Span(NamedTuple):
    """A subnet after the coinbase of a span, and the amounts handed out (TAO, alpha)."""

    tao_reserve: float
    alpha_reserve: float
    pool_tao_weight: float
    alpha_injected: float
    alpha_bought: float
    """Bought by the chain with the TAO above the cap."""
    root_alpha: float
    """Root's part of the alpha minted to participants."""
    root_alpha_to_sell: float
    """Part of `root_alpha` that is sold now: nothing where the subnet is subsidised."""
    tao_unused: float
    """Emission above the cap that the pool could not take; not issued."""


@inlined_rule
def root_proportion(tao_weight, root_stake_tao, alpha_issuance):
    """Root's weight against a subnet's alpha: w R / (w R + I)."""
    root = tao_weight * root_stake_tao
    total = root + alpha_issuance
    return root / total if total > 0.0 else 0.0


@inlined_rule
def root_sell_open(always, moving_price_sum):
    """Whether root is paid: always, or while the moving prices of all subnets sum to more than 1."""
    return always or moving_price_sum > 1.0


@inlined_rule
def subsidised(injection, tao_emission, price, block_emission):
    """Whether a subnet's price lies below its share of the block's TAO in the era that then withholds root's sale."""
    return injection == SUBSIDY and price * block_emission < tao_emission


@inlined_rule
def subnet_terms(injection, tao_emission, price, alpha_emission, root_share, block_emission):
    """(tao_in, alpha_in, excess) of a block: amounts that enter the pool, and TAO that buys alpha instead.

    `tao_emission` is the subnet's TAO, `block_emission` that of all, `root_share` its root proportion.
    """
    wanted = tao_emission / price if price > 0.0 else 0.0
    if injection == ALPHA_EMISSION_CAP:
        alpha_in = min(wanted, alpha_emission) if price > 0.0 else alpha_emission
        return tao_emission, alpha_in, 0.0
    cap = alpha_emission
    if injection == SUBSIDY:
        # the chain set no bound; of what remains of the 21 million (over half the cap times the alpha emission)
        # less than half enters in a day
        cap = min(block_emission, SUBSIDY_PER_EMISSION * alpha_emission)
    elif injection == BLOCK_EMISSION_CAP:
        cap = min(alpha_emission, block_emission)
    elif injection == ROOT_PROPORTION_CAP:
        cap = root_share * alpha_emission
    # without a price nothing is wanted, so that the cap binds under the subsidy alone
    if wanted <= cap and not subsidised(injection, tao_emission, price, block_emission):
        return tao_emission, wanted, 0.0
    tao_in = cap * price
    return tao_in, cap, tao_emission - tao_in


@inlined_rule
def split_alpha_out(alpha_out, owner_cut, root_share):
    """(owner, miners, validators, root): owner cut first, half of the rest to miners, root's part from the other half."""
    owner = alpha_out * owner_cut
    rest = alpha_out - owner
    miners = 0.5 * rest
    root = miners * root_share
    return owner, miners, miners - root, root


@inlined_rule
def moving_price_rate(base, blocks_since_start, halving_blocks):
    """Weight of today's price in the moving price of one block: base b / (b + h), or base where h = 0."""
    return (
        base * blocks_since_start / (blocks_since_start + halving_blocks)
        if halving_blocks > 0.0
        else base
    )


@inlined_rule
def moving_price_decay(rate, blocks):
    """Weight of the old moving price after `blocks` blocks at a constant rate."""
    return exp(blocks * log1p(-rate))


@inlined_rule
def next_moving_price(moving_price, price, decay, highest=1.0):
    """Moving price after a span with a constant price; prices above `highest`, 1 TAO on the chain, count as that."""
    clipped = min(price, highest)
    return clipped + (moving_price - clipped) * decay


@inlined_rule
def coinbase_span(blocks, tao_emission, block_emission, alpha_emission, before, law):
    """Minting, injection and chain buy of `blocks` blocks.

    Parameters
    ----------
    blocks : float
        Length of the span.
    tao_emission, block_emission, alpha_emission : float
        Per block: the subnet's TAO, that of all subnets, and the subnet's alpha.
    before : SubnetPool
    law : EmissionLaw

    Returns
    -------
    Span
    """
    tao_reserve, alpha_reserve, pool_tao_weight, alpha_outstanding = before
    injection, owner_cut, root_weighted_tao, destroyed_part, sold_part, limits = law
    half_span = 0.5 * (blocks - 1.0)
    issuance = alpha_reserve + alpha_outstanding
    share = root_proportion(1.0, root_weighted_tao, issuance)
    price = spot_price(tao_reserve, alpha_reserve, pool_tao_weight)

    # price and issuance of the middle block, predicted from the terms of the first
    tao_in, alpha_in, excess = subnet_terms(
        injection, tao_emission, price, alpha_emission, share, block_emission
    )
    growth = alpha_in + alpha_emission
    if injection != ALPHA_EMISSION_CAP:  # the excess buys alpha, which is destroyed
        growth -= destroyed_part * (tao_emission / price - alpha_in) if price > 0.0 else 0.0
    share = root_proportion(1.0, root_weighted_tao, issuance + half_span * growth)
    if tao_reserve > 0.0 and alpha_reserve > 0.0:
        # TAO and alpha that move the price in a block, as if one side of the pool were all of it
        tao_side, alpha_side = (
            tao_reserve * (1.0 - pool_tao_weight),
            alpha_reserve * pool_tao_weight,
        )
        withheld = subsidised(injection, tao_emission, price, block_emission)
        rise, fall = excess, 0.0 if withheld else sold_part
        fall *= split_alpha_out(alpha_emission, owner_cut, share)[3]
        if injection == ALPHA_EMISSION_CAP:  # injects at other than the pool's price
            rise += tao_in * (1.0 - pool_tao_weight)
            fall += alpha_in * pool_tao_weight
        risen, fallen = tao_side + half_span * rise, alpha_side + half_span * fall
        price *= risen * alpha_side / (tao_side * fallen)
    tao_in, alpha_in, excess = subnet_terms(
        injection, tao_emission, price, alpha_emission, share, block_emission
    )
    if injection != ALPHA_EMISSION_CAP:  # a pool without a price takes nothing
        tao_in = tao_in if price > 0.0 else 0.0
        alpha_in = alpha_in if price > 0.0 else 0.0
        excess = excess if price > 0.0 else tao_emission
    sold_part = 0.0 if subsidised(injection, tao_emission, price, block_emission) else sold_part
    growth = blocks * (alpha_in + alpha_emission)

    tao_in, alpha_in, excess = blocks * tao_in, blocks * alpha_in, blocks * excess
    weight = pool_tao_weight
    # at weight 1/2 an injection at the pool's own price leaves the weight where it is
    if injection != ALPHA_EMISSION_CAP and pool_tao_weight != 0.5:
        weight = weight_after_injection(
            tao_reserve, alpha_reserve, pool_tao_weight, tao_in, alpha_in, price
        )
    # the chain buys against the reserves before injection; in a long span half of it has already arrived
    early = half_span / blocks
    met_tao, met_alpha = tao_reserve + early * tao_in, alpha_reserve + early * alpha_in
    bought = alpha_for_tao(met_tao, met_alpha, weight, excess)
    # of a long span's buys, each block's own, the chain refuses those that meet too little
    after = max(limits.before, limits.after) if blocks > 1.0 else limits.after
    possible = swap_allowed(met_tao, met_alpha, excess, bought, ReserveLimits(limits.before, after))
    bought = bought if possible else 0.0
    unused = 0.0 if possible else excess
    excess -= unused
    # root's part is measured after the block's own minting and buying
    growth -= destroyed_part * bought
    share = root_proportion(1.0, root_weighted_tao, issuance + (early + 1.0 / blocks) * growth)
    root_alpha = split_alpha_out(blocks * alpha_emission, owner_cut, share)[3]
    return Span(
        tao_reserve + tao_in + excess,
        alpha_reserve + alpha_in - bought,
        weight,
        alpha_in,
        bought,
        root_alpha,
        sold_part * root_alpha,
        unused,
    )
