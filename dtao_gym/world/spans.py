"""Coinbase of a span of one world: shares, payments, and TAO of root.

Each stage is a short loop over subnets that calls the rules of `protocol/`, so that the compiler can work on several
subnets at once. Sums are taken in a loop of their own, in the order of the subnets, so that results do not depend on the
machine's vector width. `weighted` is None where the TAO weights of all pools are 1/2: the compiler then drops the general
pool formulas. Minting into pools is in `minting.py`.
"""

from dtao_gym.compiling import inlined_rule, rule, stage
from dtao_gym.numerics import row_sum
from dtao_gym.protocol.allocation import (
    GATED_RULES,
    USER_RULE,
    Market,
    RuleSettings,
    emission_shares,
    is_sum_rule,
    rules_reading,
    with_measured_bar,
)
from dtao_gym.protocol.coinbase import (
    CLAIMABLE,
    DIRECT,
    root_proportion,
    root_sell_open,
    split_alpha_out,
)
from dtao_gym.protocol.flows import next_flow_ema
from dtao_gym.protocol.gate import BAR_REFRESH_BLOCKS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.plugin_calls import apply_user_rule
from dtao_gym.protocol.pool import spot_price
from dtao_gym.views import array_of
from dtao_gym.world.funds import all_root, deposit, holders_root, keeps_funds
from dtao_gym.world.minting import mint_into_pools, moving_price_stage
from dtao_gym.world.parameters import parameters_of
from dtao_gym.world.rest import rest_of_market
from dtao_gym.world.scratch import direct_pay, span_scratch
from dtao_gym.world.state import signal_row, subnet_rows
from dtao_gym.world.trades import grow_scripted_root

ROOT_PROPORTION_READERS = (*rules_reading("root_proportion"), USER_RULE)
ROUNDING = 1e-9
"""Part of a block's TAO below which a gap in the sum of shares is rounding."""


@stage
def _flow_stage(s, blocks, decay):
    """Bring the flow averages up to date with the trades since the last coinbase.

    The growth of a reserve beyond the protocol's own part is the TAO that stakers brought, net of fees.
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
def _pay_root(world, stakers, funds, amount, root):
    """Divide TAO among root stakers and funds in proportion to stake."""
    if not root > 0.0:
        world.root_validators += amount
        return
    rate = amount / root
    grow_scripted_root(world, rate)
    for staker in range(stakers.size):
        stakers[staker].root += stakers[staker].root * rate
    if world.has_funds:
        for k in range(funds.size):
            funds[k].root_slot += funds[k].root_slot * rate


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
def _rule_settings(world, p, market, rest, shares, work, blocks):
    """Settings of the chain's rules; measures the gate's bar where it is due in this span."""
    bar = world.gate_bar if p.gate_measured == 1 else p.gate_bar
    settings = RuleSettings(p.share_exponent, bar, p.gate_exponent, p.flow_cutoff, p.norm_exponent)
    if p.allocation in GATED_RULES and p.gate_measured == 1:
        if bar == 0.0 or world.block % BAR_REFRESH_BLOCKS < blocks:
            settings = with_measured_bar(
                p.allocation, market, settings, rest, p.gate_rank, p.gate_quantile, shares, work
            )
            world.gate_bar = settings.gate_bar
    return settings


@inlined_rule
def share_out(w, root, blocks):
    """Write emission rates and, from the state before the span, emission shares; return the share of the frozen subnets.

    A fault of a user's rule is noted in `world.rule_error`; an id without a rule gives NaN.
    """
    world, p = w.world, parameters_of(w.parameters)
    s, t = subnet_rows(w.fields), span_scratch(w.scratch)
    if p.halving:
        world.block_emission = emission_per_block(SUPPLY_CAP - world.chain_issuance)
        pools = 0.0 if p.injection == DIRECT else 1.0
        for i in range(s.tao_reserve.size):
            issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
            rate = emission_per_block(SUPPLY_CAP - issuance)
            s.alpha_emission[i] = rate * s.started[i] * pools
    rest = rest_of_market(world, w.frozen, p.allocation, p.frozen_share == 1)
    world.moving_price_sum = world.rest_price_sum + row_sum(s.moving_price)
    signal = signal_row(w.fields, w.at.signal_history + world.day % w.at.signal_days)
    market = _market(s, t, signal, p.tao_weight * root, world, p.allocation)
    if p.allocation == USER_RULE:
        error = apply_user_rule(p.rule_address, market, rest, s.emission_share)
        world.rule_error = max(world.rule_error, error)
        return rest.share
    shares = s.emission_share
    settings = _rule_settings(world, p, market, rest, shares, t.bar_shares, blocks)
    rest_share = emission_shares(p.allocation, market, settings, rest, shares)
    if p.frozen_share and is_sum_rule(p.allocation):
        for i in range(s.emission_share.size):
            s.emission_share[i] *= 1.0 - rest.share
        rest_share = rest.share
    return rest_share


@rule
def pay_directly(w, blocks, paid_emission):
    """Pay owners and miners the TAO of the blocks of a span without pools; returns the TAO of all stake."""
    p = parameters_of(w.parameters)
    s, t, pay = subnet_rows(w.fields), span_scratch(w.scratch), direct_pay(w.scratch)
    for i in range(s.income.size):
        tao = blocks * paid_emission * s.emission_share[i]
        owner, miners, validators, _ = split_alpha_out(tao, p.owner_cut, 0.0)
        s.income[i] += owner
        s.stake_yield[i] = 0.0
        pay.miners[i] = miners
        pay.validators[i] = validators
        t.root_alpha[i] = 0.0
    w.world.outside += row_sum(pay.miners)
    return row_sum(pay.validators)


@inlined_rule
def coinbase(w, blocks, weighted):
    """Run the coinbase of a span: shares, minting, injection, dividends and moving prices."""
    world, p, s = w.world, parameters_of(w.parameters), subnet_rows(w.fields)
    root = all_root(world, w.stakers, w.funds)
    _flow_stage(s, blocks, p.flow_ema_kept)
    rest_share = share_out(w, root, blocks)
    root_open = root_sell_open(p.root_gate_open == 1, world.moving_price_sum)
    granted_part = 0.0
    if p.milestone_grant_tao > 0.0 and world.block_emission > 0.0:
        due = row_sum(s.grant_due)
        granted_part = min(due / (BLOCKS_PER_DAY * world.block_emission), 1.0)
    paid_emission = world.block_emission * (1.0 - granted_part)
    if p.injection == DIRECT:
        root_tao = pay_directly(w, blocks, paid_emission)
        unused = 0.0
    else:
        root_tao, unused = mint_into_pools(w, blocks, paid_emission, root, root_open, weighted)
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
    pools = p.injection != DIRECT
    if not pools:
        rest_income = split_alpha_out(minted * rest_share, p.owner_cut, 0.0)[2]
    rest_income = min(rest_income * (1.0 - p.validator_take), world.aggregate)
    world.aggregate -= rest_income
    if keeps_funds(p) and pools:
        world.root_yield = deposit(w, rest_income, weighted) if root_open else 0.0
    else:
        take = root_tao * p.validator_take
        _pay_root(world, w.stakers, w.funds, root_tao - take + rest_income, root)
        world.root_validators += take
        world.root_yield = (root_tao - take + rest_income) / root if root > 0.0 else 0.0
    if pools:
        moving_price_stage(s, p, blocks, world.block, weighted)
    _flow_mark_stage(s)


@rule
def accrued_root_yield(w):
    """Root dividends of the last span that are kept as claims, at spot, per TAO of root."""
    s, t, p = subnet_rows(w.fields), span_scratch(w.scratch), parameters_of(w.parameters)
    root_open = root_sell_open(p.root_gate_open == 1, w.world.moving_price_sum)
    root = holders_root(w.world, w.stakers)
    if p.root_dividend != CLAIMABLE or not root_open or not root > 0.0:
        return 0.0
    value = 0.0
    for i in range(t.root_alpha.size):
        price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i])
        value += t.root_alpha[i] * price
    return value * (1.0 - p.validator_take) / root
