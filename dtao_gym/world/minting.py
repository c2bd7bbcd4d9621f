"""Minting of a span: TAO and alpha into the pools, root's sale, moving prices, dividends and holdings.

Written like `spans.py`, which calls `mint_into_pools`.
"""

from typing import NamedTuple

from dtao_gym.compiling import inlined_rule, rule, stage
from dtao_gym.numerics import row_sum
from dtao_gym.protocol.coinbase import (
    CLAIMABLE,
    SOLD,
    EmissionLaw,
    SubnetPool,
    coinbase_span,
    moving_price_rate,
    next_moving_price,
    split_alpha_out,
)
from dtao_gym.protocol.pool import sellable_alpha, spot_price
from dtao_gym.world.funds import grow_holdings, holders_root, keeps_funds
from dtao_gym.world.parameters import ALPHA_PAY, DIRECT_PAY, parameters_of
from dtao_gym.world.scratch import span_scratch
from dtao_gym.world.state import alpha_row, fund_row, owed_row, subnet_rows
from dtao_gym.world.trades import pool_weight, reserve_limits, scripted_root, sell_rows


class Minting(NamedTuple):
    """Numbers of a span that the stages of minting share."""

    blocks: float
    block_emission: float
    """TAO per block of the whole chain."""
    paid_emission: float
    """Part of it that the subnets share out."""
    root: float
    """Root stake of all holders, TAO."""
    sells: float
    """1 where root's alpha is sold at once, else 0."""
    keeps: float
    """1 where it is kept as claims or for funds, else 0."""
    claimable: float
    """1 where it is kept as claims, else 0."""


@stage
def _mint_stage(s, t, p, span, weighted):
    destroyed, root_weighted_tao = 1.0 if p.bought_destroyed == 1 else 0.0, p.tao_weight * span.root
    law = EmissionLaw(
        p.injection, p.owner_cut, root_weighted_tao, destroyed, span.sells, reserve_limits(p)
    )
    for i in range(s.tao_reserve.size):
        weight = pool_weight(s, i, weighted)
        pool = SubnetPool(s.tao_reserve[i], s.alpha_reserve[i], weight, s.alpha_outstanding[i])
        tao = span.paid_emission * s.emission_share[i]
        minted = coinbase_span(
            span.blocks, tao, span.block_emission, s.alpha_emission[i], pool, law
        )
        s.tao_reserve[i] = minted.tao_reserve
        s.alpha_reserve[i] = minted.alpha_reserve
        if weighted is not None:
            s.pool_tao_weight[i] = minted.pool_tao_weight
        t.injected[i] = minted.alpha_injected
        t.alpha_bought[i] = minted.alpha_bought
        t.root_alpha[i] = minted.root_alpha
        t.root_sold[i] = minted.root_alpha_to_sell
        t.unused_tao[i] = minted.tao_unused


@stage
def _sell_root(s, t, p, late, weighted):
    """Sell root's alpha to pools that have received the part 1 - `late` of the span's injection."""
    for i in range(t.sold.size):
        t.held_tao[i] = late * (s.tao_reserve[i] - t.open_tao[i])
        t.held_alpha[i] = late * (s.alpha_reserve[i] - t.open_alpha[i])
        s.tao_reserve[i] -= t.held_tao[i]
        s.alpha_reserve[i] -= t.held_alpha[i]
    for i in range(t.sold.size):
        weight = pool_weight(s, i, weighted)
        most = sellable_alpha(s.tao_reserve[i], s.alpha_reserve[i], weight, reserve_limits(p))
        t.sold[i] = min(t.root_sold[i], most)
    sell_rows(s, t, weighted, None, reserve_limits(p))
    for i in range(t.sold.size):
        s.tao_reserve[i] += t.held_tao[i]
        s.alpha_reserve[i] += t.held_alpha[i]
    return row_sum(t.proceeds)


@stage
def moving_price_stage(s, p, blocks, block, weighted):
    """Move the moving prices towards the prices after the coinbase of a span that began at `block`."""
    middle = block + 0.5 * (blocks - 1.0)
    for i in range(s.tao_reserve.size):
        weight = pool_weight(s, i, weighted)
        price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], weight)
        age = max(middle - s.start_block[i], 0.0)
        rate = moving_price_rate(p.moving_price_base, age, p.moving_price_halving_blocks)
        rate *= s.started[i]
        # the decay of the day's middle, corrected for the age of this span to second order
        drift = blocks * (rate - s.moving_rate[i]) / (1.0 - s.moving_rate[i])
        decay = s.moving_decay[i] * (1.0 - drift + 0.5 * drift * drift)
        s.moving_price[i] = next_moving_price(s.moving_price[i], price, decay, p.moving_price_cap)


@stage
def _ledger_stage(s, t, p, span, scripted_share):
    """Divide the alpha that was minted.

    Owners, miners and validators get their parts, and all who stake in the subnet the dividends. Alpha that the chain
    bought is destroyed or kept. Root's alpha is kept as claims, or for a fund to take over, offered for sale, or recycled;
    the part offered and not sold stays outstanding and belongs to nobody.
    """
    blocks, kept_part, sold_part = span.blocks, span.keeps, span.sells
    destroyed = 1.0 if p.bought_destroyed == 1 else 0.0
    owner_part = 1.0 if p.payment == ALPHA_PAY else 0.0
    root_part = span.claimable * (1.0 - p.validator_take) * scripted_share
    owner_recycled = p.owner_cut * (1.0 - owner_part)
    for i in range(s.tao_reserve.size):
        minted = blocks * s.alpha_emission[i]
        owner, miners, validators, _ = split_alpha_out(minted, p.owner_cut, 0.0)
        validators -= t.root_alpha[i]
        take = validators * p.validator_take
        dividends = validators - take
        staked = s.owner_alpha[i] + s.validator_alpha[i] + s.informed_alpha[i]
        staked += s.uninformed_alpha[i] + t.alpha_of_stakers[i]
        gain = dividends / staked if staked > 0.0 else 0.0
        take += kept_part * t.root_alpha[i] * p.validator_take
        unclaimed = 0.0 if staked > 0.0 else dividends
        # an owner who is paid in TAO gets no alpha: it is recycled
        s.owner_alpha[i] = s.owner_alpha[i] * (1.0 + gain) + owner * owner_part
        s.miner_alpha[i] += miners
        s.validator_alpha[i] = s.validator_alpha[i] * (1.0 + gain) + take + unclaimed
        s.informed_alpha[i] *= 1.0 + gain
        s.uninformed_alpha[i] *= 1.0 + gain
        s.scripted_claimable[i] += root_part * t.root_alpha[i]
        t.dividend[i] = gain
        t.take[i] = take
        s.stake_yield[i] = gain

        kept = t.alpha_bought[i] * (1.0 - destroyed)
        unsold = sold_part * (t.root_alpha[i] - t.sold[i])
        left = t.root_alpha[i] * (1.0 - kept_part) - unsold + owner_recycled * minted
        s.protocol_alpha[i] += kept
        s.burned_alpha[i] += unsold
        s.alpha_minted[i] += t.injected[i] + minted
        s.alpha_outstanding[i] += minted - left + kept
        s.alpha_recycled[i] += left - t.sold[i] * sold_part + t.alpha_bought[i] - kept


@rule
def _sum_alpha_of_stakers(fields, scratch, at, has_funds):
    """Add up stakers' and funds' alpha before dividends."""
    t = span_scratch(scratch)
    for i in range(t.alpha_of_stakers.size):
        t.alpha_of_stakers[i] = 0.0
    for staker in range(at.n_stakers):
        alpha = alpha_row(fields, at.staker_alpha + staker)
        for i in range(alpha.size):
            t.alpha_of_stakers[i] += alpha[i]
    if has_funds:
        for k in range(at.n_funds):
            held = fund_row(fields, at.fund_alpha + k)
            for i in range(held.size):
                t.alpha_of_stakers[i] += held[i]


@rule
def _pay_dividends_to_stakers(w, root, kept_part):
    p, t = parameters_of(w.parameters), span_scratch(w.scratch)
    for staker in range(w.at.n_stakers):
        alpha = alpha_row(w.fields, w.at.staker_alpha + staker)
        owed = owed_row(w.fields, w.at.staker_claimable + staker)
        part = kept_part * (1.0 - p.validator_take)
        part *= w.stakers[staker].root / root if root > 0.0 else 0.0
        for i in range(alpha.size):
            alpha[i] *= 1.0 + t.dividend[i]
            owed[i] += part * t.root_alpha[i]


@inlined_rule
def mint_into_pools(w, blocks, paid_emission, root, root_open, weighted):
    """Mint, inject, pay dividends; returns root's TAO and the TAO that pools could not take."""
    world, p = w.world, parameters_of(w.parameters)
    s, t = subnet_rows(w.fields), span_scratch(w.scratch)
    sells = 1.0 if root_open and p.root_dividend == SOLD else 0.0
    claimable = 1.0 if root_open and p.root_dividend == CLAIMABLE else 0.0
    keeps = 1.0 if root_open and keeps_funds(p) else claimable
    holders = holders_root(world, w.stakers)
    scripted_share = scripted_root(world) / holders if holders > 0.0 else 1.0

    if sells > 0.0:
        for i in range(t.open_tao.size):
            t.open_tao[i] = s.tao_reserve[i]
            t.open_alpha[i] = s.alpha_reserve[i]
    if p.payment == DIRECT_PAY:
        owner_tao = p.owner_cut * paid_emission
        for i in range(t.open_tao.size):
            s.income[i] += blocks * owner_tao * s.emission_share[i]
        paid_emission -= owner_tao
    span = Minting(blocks, world.block_emission, paid_emission, root, sells, keeps, claimable)
    _mint_stage(s, t, p, span, weighted)
    root_tao = 0.0
    if sells > 0.0:
        # average part of the span's injection that comes after the sale
        root_tao = _sell_root(s, t, p, 0.5 * (blocks - 1.0) / blocks, weighted)
    _sum_alpha_of_stakers(w.fields, w.scratch, w.at, world.has_funds)
    _ledger_stage(s, t, p, span, scripted_share)
    _pay_dividends_to_stakers(w, holders, claimable)
    if world.has_funds:
        grow_holdings(w)
    return root_tao, row_sum(t.unused_tao)
