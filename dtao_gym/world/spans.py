"""The coinbase of a span of one world: shares, minting, injection, dividends, moving prices.

Each stage is a short loop over subnets that calls the rules of `protocol/`; short loops are what lets the
compiler work on several subnets at once. Sums are taken in a loop of their own, in the order of the
subnets, so that results do not depend on the machine's vector width. `weights` is None where the TAO weights of all
pools are 1/2: then the general pool formulas disappear from the machine code.
"""

import numpy as np

from dtao_gym.compiling import inlined_rule, rule, stage
from dtao_gym.numerics import row_sum
from dtao_gym.protocol.allocation import (
    USER_RULE,
    Market,
    Rest,
    RuleSettings,
    emission_shares,
    is_sum_rule,
    next_flow_ema,
    rules_reading,
    with_quantile_bar,
)
from dtao_gym.protocol.coinbase import (
    CLAIMABLE,
    DIRECT,
    SOLD,
    EmissionLaw,
    SubnetPool,
    coinbase_span,
    moving_price_rate,
    next_moving_price,
    root_proportion,
    root_sell_open,
    split_alpha_out,
)
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.plugin_calls import NOT_IMPLEMENTED, apply_user_rule
from dtao_gym.protocol.pool import sellable_alpha, spot_price
from dtao_gym.views import array_of
from dtao_gym.world.parameters import ALPHA_PAY, DIRECT_PAY, parameters_of
from dtao_gym.world.rest import rest_of_market, share_of_rest
from dtao_gym.world.state import alpha_row, owed_row, scratch_rows, signal_row, subnet_rows
from dtao_gym.world.trades import grow_scripted_root, scripted_root, sell_rows

BAR_REFRESH_BLOCKS = 360.0
"""Blocks between two measurements of the gate's bar."""
ROOT_PROPORTION_READERS = (*rules_reading("root_proportion"), USER_RULE)
ROUNDING = 1e-9
"""Part of a block's TAO below which a gap in the sum of shares is rounding."""


@rule
def all_root(world, stakers):
    """Root stake of everybody, TAO."""
    total = scripted_root(world)
    for staker in range(stakers.size):
        total += stakers[staker].root
    return total


@stage
def _mint_stage(
    s, t, blocks, block_emission, paid_emission, root_weighted_tao, p, destroyed, sells, weights
):
    law = EmissionLaw(p.injection, p.owner_cut, root_weighted_tao, destroyed, sells, p.min_reserve)
    for i in range(s.tao_reserve.size):
        weight = 0.5 if weights is None else s.pool_tao_weight[i]
        pool = SubnetPool(s.tao_reserve[i], s.alpha_reserve[i], weight, s.alpha_outstanding[i])
        tao = paid_emission * s.emission_share[i]
        span = coinbase_span(blocks, tao, block_emission, s.alpha_emission[i], pool, law)
        s.tao_reserve[i] = span.tao_reserve
        s.alpha_reserve[i] = span.alpha_reserve
        if weights is not None:
            s.pool_tao_weight[i] = span.pool_tao_weight
        t.injected[i] = span.alpha_injected
        t.alpha_bought[i] = span.alpha_bought
        t.root_alpha[i] = span.root_alpha
        t.root_sold[i] = span.root_alpha_to_sell
        t.unused_tao[i] = span.tao_unused


@stage
def _sell_root(s, t, p, late, weights):
    """Sell root's alpha, block by block, so on average to pools that half of the span's injection has reached."""
    for i in range(t.sold.size):
        t.held_tao[i] = late * (s.tao_reserve[i] - t.open_tao[i])
        t.held_alpha[i] = late * (s.alpha_reserve[i] - t.open_alpha[i])
        s.tao_reserve[i] -= t.held_tao[i]
        s.alpha_reserve[i] -= t.held_alpha[i]
    for i in range(t.sold.size):
        weight = 0.5 if weights is None else s.pool_tao_weight[i]
        most = sellable_alpha(s.tao_reserve[i], s.alpha_reserve[i], weight, p.min_reserve)
        t.sold[i] = min(t.root_sold[i], most)
    sell_rows(s, t, weights, None, p.min_reserve)
    for i in range(t.sold.size):
        s.tao_reserve[i] += t.held_tao[i]
        s.alpha_reserve[i] += t.held_alpha[i]
    return row_sum(t.proceeds)


@stage
def _moving_price_stage(s, blocks, block, p, weights):
    middle = block + 0.5 * (blocks - 1.0)
    for i in range(s.tao_reserve.size):
        weight = 0.5 if weights is None else s.pool_tao_weight[i]
        price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], weight)
        age = max(middle - s.start_block[i], 0.0)
        rate = moving_price_rate(p.moving_price_base, age, p.moving_price_halving_blocks)
        rate *= s.started[i]
        # the decay of the day's middle, corrected for the age of this span to second order
        drift = blocks * (rate - s.moving_rate[i]) / (1.0 - s.moving_rate[i])
        decay = s.moving_decay[i] * (1.0 - drift + 0.5 * drift * drift)
        s.moving_price[i] = next_moving_price(s.moving_price[i], price, decay, p.moving_price_cap)


@stage
def _ledger_stage(s, t, blocks, p, destroyed, kept_part, sold_part, owner_part, scripted_share):
    """Divide what was minted.

    Owners, miners and validators get their parts, and whoever stakes in the subnet the dividends. Alpha that the
    chain bought is destroyed or kept. Root's alpha is kept as claims, or was up for sale, or is recycled; what was up
    for sale and was not sold stays outstanding and belongs to nobody.
    """
    root_part = kept_part * (1.0 - p.validator_take) * scripted_share
    owner_recycled = p.owner_cut * (1.0 - owner_part)
    for i in range(s.tao_reserve.size):
        minted = blocks * s.alpha_emission[i]
        owner, miners, validators, _ = split_alpha_out(minted, p.owner_cut, 0.0)
        validators -= t.root_alpha[i]
        take = validators * p.validator_take
        dividend = validators - take
        staked = s.owner_alpha[i] + s.validator_alpha[i] + s.informed_alpha[i]
        staked += s.uninformed_alpha[i] + t.alpha_of_stakers[i]
        gain = dividend / staked if staked > 0.0 else 0.0
        take += kept_part * t.root_alpha[i] * p.validator_take
        unclaimed = 0.0 if staked > 0.0 else dividend
        # an owner who is paid in TAO gets no alpha: it is recycled
        s.owner_alpha[i] = s.owner_alpha[i] * (1.0 + gain) + owner * owner_part
        s.miner_alpha[i] += miners
        s.validator_alpha[i] = s.validator_alpha[i] * (1.0 + gain) + take + unclaimed
        s.informed_alpha[i] *= 1.0 + gain
        s.uninformed_alpha[i] *= 1.0 + gain
        s.scripted_claimable[i] += root_part * t.root_alpha[i]
        t.gain[i] = gain
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


@stage
def _flow_stage(s, blocks, decay):
    """Bring the flow averages up to date with what has happened since the last time.

    What a reserve gained beyond the protocol's own part is what stakers brought, net of fees.
    """
    per_block = 1.0 / blocks
    for i in range(s.tao_reserve.size):
        users = s.tao_reserve[i] - s.flow_mark[i] - s.protocol_flow[i]
        averaged = decay if s.started[i] > 0.0 else 1.0
        s.user_flow_ema[i] = next_flow_ema(s.user_flow_ema[i], users * per_block, averaged)
        s.protocol_flow_ema[i] = next_flow_ema(
            s.protocol_flow_ema[i], s.protocol_flow[i] * per_block, averaged
        )
        s.flow_mark[i] = s.tao_reserve[i]


@stage
def _flow_mark_stage(s):
    for i in range(s.tao_reserve.size):
        s.protocol_flow[i] = s.tao_reserve[i] - s.flow_mark[i]


@rule
def _sum_alpha_of_stakers(fields, scratch, at):
    """Add up learners' alpha before dividends."""
    t = scratch_rows(scratch)
    for i in range(t.gain.size):
        t.alpha_of_stakers[i] = 0.0
    for staker in range(at.n_stakers):
        alpha = alpha_row(fields, at.staker_alpha + staker)
        for i in range(alpha.size):
            t.alpha_of_stakers[i] += alpha[i]


@rule
def _pay_dividends_to_stakers(fields, scratch, at, stakers, root, parameters, kept_part):
    p = parameters_of(parameters)
    t = scratch_rows(scratch)
    for staker in range(at.n_stakers):
        alpha = alpha_row(fields, at.staker_alpha + staker)
        owed = owed_row(fields, at.staker_claimable + staker)
        part = kept_part * (1.0 - p.validator_take)
        part *= stakers[staker].root / root if root > 0.0 else 0.0
        for i in range(alpha.size):
            alpha[i] *= 1.0 + t.gain[i]
            owed[i] += part * t.root_alpha[i]


@rule
def _pay_root(world, stakers, amount, root):
    """Divide TAO among root stakers in proportion to stake."""
    if not root > 0.0:
        world.root_validators += amount
        return
    rate = amount / root
    grow_scripted_root(world, rate)
    for staker in range(stakers.size):
        stakers[staker].root += stakers[staker].root * rate


@stage
def _market(s, t, signal, root_weighted_tao, world, allocation):
    """Inputs of an allocation rule at the beginning of a span; columns that it does not read may be out of date."""
    for i in range(s.tao_reserve.size):
        t.paid[i] = s.emission_enabled[i] * s.started[i]
    if allocation in ROOT_PROPORTION_READERS:
        for i in range(s.tao_reserve.size):
            issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
            t.root_share[i] = root_proportion(1.0, root_weighted_tao, issuance)
    if allocation == USER_RULE:
        for i in range(s.tao_reserve.size):
            t.age_days[i] = (world.block - s.start_block[i]) / BLOCKS_PER_DAY
            s.spot_price[i] = spot_price(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i])
    return Market(
        moving_price=array_of(s.moving_price),
        spot_price=array_of(s.spot_price),
        miner_burned=array_of(s.miner_burned),
        emission_enabled=array_of(t.paid),
        user_flow_ema=array_of(s.user_flow_ema),
        protocol_flow_ema=array_of(s.protocol_flow_ema),
        root_proportion=array_of(t.root_share),
        signal=array_of(signal),
        votes=array_of(s.vote_share),
        age_days=array_of(t.age_days),
        knowledge_disclosed=array_of(s.knowledge_disclosed),
    )


@inlined_rule
def share_out(fields, scratch, at, world, parameters, root, blocks):
    """Write emission rates and, from the state before the span, emission shares; return the share of the frozen subnets.

    A fault of the rule is noted in `world.rule_error`.
    """
    p = parameters_of(parameters)
    s, t = subnet_rows(fields), scratch_rows(scratch)
    if p.halving:
        world.block_emission = emission_per_block(SUPPLY_CAP - world.chain_issuance)
        pools = 0.0 if p.injection == DIRECT else 1.0
        for i in range(s.tao_reserve.size):
            issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
            rate = emission_per_block(SUPPLY_CAP - issuance)
            s.alpha_emission[i] = rate * s.started[i] * pools
    rest = rest_of_market(world, p.allocation)
    if p.frozen_share:
        rest = Rest(0.0, 0.0, 0.0, 0.0, share_of_rest(world, p.allocation))
    world.moving_price_sum = world.rest_price_sum + row_sum(s.moving_price)
    signal = signal_row(fields, at.signal_history + world.day % at.signal_days)
    market = _market(s, t, signal, p.tao_weight * root, world, p.allocation)
    if p.allocation == USER_RULE:
        error = apply_user_rule(p.rule_address, market, rest, s.emission_share)
        world.rule_error = max(world.rule_error, error)
        return rest.share
    bar = world.gate_bar if p.gate_from_quantile == 1 else p.gate_bar
    settings = RuleSettings(p.share_exponent, bar, p.flow_cutoff, p.norm_exponent)
    due = bar == 0.0 or world.block % BAR_REFRESH_BLOCKS < blocks
    if p.gate_from_quantile == 1 and due:
        settings = with_quantile_bar(
            p.allocation, market, settings, rest, p.gate_quantile, s.emission_share, t.gain
        )
        world.gate_bar = settings.gate_bar
    rest_share = emission_shares(p.allocation, market, settings, rest, s.emission_share)
    if np.isnan(rest_share):
        world.rule_error = NOT_IMPLEMENTED
    if p.frozen_share and is_sum_rule(p.allocation):
        for i in range(s.emission_share.size):
            s.emission_share[i] *= 1.0 - rest.share
        rest_share = rest.share
    return rest_share


@rule
def pay_directly(fields, scratch, world, parameters, blocks, paid_emission):
    """Before there were pools: owners and miners are paid the block's TAO; returns what all stake earns."""
    p = parameters_of(parameters)
    s, t = subnet_rows(fields), scratch_rows(scratch)
    for i in range(t.sold.size):
        tao = blocks * paid_emission * s.emission_share[i]
        owner, miners, validators, _ = split_alpha_out(tao, p.owner_cut, 0.0)
        s.income[i] += owner
        s.stake_yield[i] = 0.0
        t.proceeds[i] = miners
        t.gain[i] = validators
        t.root_alpha[i] = 0.0
    world.outside += row_sum(t.proceeds)
    return row_sum(t.gain)


@inlined_rule
def mint_into_pools(
    fields, scratch, at, world, stakers, parameters, blocks, paid_emission, weights, root, root_open
):
    """Minting, injection, dividends and moving prices; returns root's TAO, and TAO that pools could not take."""
    p = parameters_of(parameters)
    s, t = subnet_rows(fields), scratch_rows(scratch)
    sells = 1.0 if root_open and p.root_dividend == SOLD else 0.0
    keeps = 1.0 if root_open and p.root_dividend == CLAIMABLE else 0.0
    destroyed = 1.0 if p.bought_destroyed == 1 else 0.0
    scripted_share = scripted_root(world) / root if root > 0.0 else 1.0

    if sells > 0.0:
        for i in range(t.open_tao.size):
            t.open_tao[i] = s.tao_reserve[i]
            t.open_alpha[i] = s.alpha_reserve[i]
    owner_part = 1.0 if p.payment == ALPHA_PAY else 0.0
    if p.payment == DIRECT_PAY:
        owner_tao = p.owner_cut * paid_emission
        for i in range(t.open_tao.size):
            s.income[i] += blocks * owner_tao * s.emission_share[i]
        paid_emission -= owner_tao
    _mint_stage(
        s,
        t,
        blocks,
        world.block_emission,
        paid_emission,
        p.tao_weight * root,
        p,
        destroyed,
        sells,
        weights,
    )
    root_tao = 0.0
    if sells > 0.0:
        # on average, what is still to come of a span is this part of it
        root_tao = _sell_root(s, t, p, 0.5 * (blocks - 1.0) / blocks, weights)
    _moving_price_stage(s, blocks, world.block, p, weights)
    _sum_alpha_of_stakers(fields, scratch, at)
    _ledger_stage(s, t, blocks, p, destroyed, keeps, sells, owner_part, scripted_share)
    _pay_dividends_to_stakers(fields, scratch, at, stakers, root, parameters, keeps)
    return root_tao, row_sum(t.unused_tao)


@inlined_rule
def coinbase(fields, scratch, at, world, stakers, parameters, blocks, weights):
    """Shares, minting, injection, dividends and moving prices of a span."""
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    root = all_root(world, stakers)
    _flow_stage(s, blocks, p.flow_ema_kept)
    rest_share = share_out(fields, scratch, at, world, parameters, root, blocks)
    root_open = root_sell_open(p.root_gate_open == 1, world.moving_price_sum)
    granted_part = 0.0
    if p.milestone_grant_tao > 0.0 and world.block_emission > 0.0:
        due = row_sum(s.grant_due)
        granted_part = min(due / (BLOCKS_PER_DAY * world.block_emission), 1.0)
    paid_emission = world.block_emission * (1.0 - granted_part)
    if p.injection == DIRECT:
        root_tao = pay_directly(fields, scratch, world, parameters, blocks, paid_emission)
        unused = 0.0
    else:
        root_tao, unused = mint_into_pools(
            fields,
            scratch,
            at,
            world,
            stakers,
            parameters,
            blocks,
            paid_emission,
            weights,
            root,
            root_open,
        )
    _flow_mark_stage(s)
    granted = blocks * world.block_emission * granted_part
    world.granted += granted
    world.minted += granted
    world.chain_issuance += granted
    minted = blocks * world.block_emission - granted
    unclaimed = 1.0 - rest_share - row_sum(s.emission_share)
    unused += minted * unclaimed if unclaimed > ROUNDING else 0.0
    world.minted += minted
    world.recycled += unused
    world.chain_issuance += minted - unused
    world.aggregate += minted * rest_share

    rest_income = blocks * world.rest_root_income if root_open else 0.0
    if p.injection == DIRECT:
        rest_income = split_alpha_out(minted * rest_share, p.owner_cut, 0.0)[2]
    rest_income = min(rest_income * (1.0 - p.validator_take), world.aggregate)
    world.aggregate -= rest_income
    take = root_tao * p.validator_take
    _pay_root(world, stakers, root_tao - take + rest_income, root)
    world.root_validators += take
    world.root_yield = (root_tao - take + rest_income) / root if root > 0.0 else 0.0


@rule
def accrued_root_yield(fields, scratch, world, stakers, parameters):
    """Root dividends of the last span that are kept as claims, at spot, per TAO of root."""
    s, t = subnet_rows(fields), scratch_rows(scratch)
    p = parameters_of(parameters)
    root_open = root_sell_open(p.root_gate_open == 1, world.moving_price_sum)
    root = all_root(world, stakers)
    if p.root_dividend != CLAIMABLE or not root_open or not root > 0.0:
        return 0.0
    value = 0.0
    for i in range(t.root_alpha.size):
        price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i])
        value += t.root_alpha[i] * price
    return value * (1.0 - p.validator_take) / root
