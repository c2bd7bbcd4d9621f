"""The coinbase of a span of one world: shares, minting, injection, dividends, moving prices.

Each stage is a short loop over subnets that calls the rules of `protocol/`; short loops are what lets the
compiler work on several subnets at once. Sums are taken in a loop of their own, in the order of the
subnets, so that results do not depend on the machine's vector width. `weights` are the TAO weights of the
pools, or None where all are 1/2: then the general pool formulas disappear from the machine code.
"""

from dtao_gym.numerics import inlined_rule, row_sum, rule
from dtao_gym.protocol.allocation import (
    PRICE,
    PRICE_BURN,
    Rest,
    emission_shares,
)
from dtao_gym.protocol.coinbase import (
    CLAIMABLE,
    SOLD,
    coinbase_span,
    moving_price_rate,
    next_moving_price,
    root_sell_open,
    split_alpha_out,
)
from dtao_gym.protocol.issuance import SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.pool import spot_price
from dtao_gym.world.config import parameters_of
from dtao_gym.world.state import scratch_rows, subnet_rows
from dtao_gym.world.trades import sell_rows


@rule
def rest_of_market(world, allocation):
    """The frozen subnets as the allocation rule sees them."""
    demand, enabled = world.rest_count, world.rest_enabled_count
    if allocation == PRICE:
        demand, enabled = world.rest_moving_price, world.rest_enabled_moving_price
    elif allocation == PRICE_BURN:
        demand, enabled = world.rest_burn_weighted, world.rest_enabled_burn_weighted
    return Rest(world.rest_moving_price, demand, world.rest_enabled_moving_price, enabled)


@rule
def all_root(world, learners):
    """Root stake of everybody, TAO."""
    total = world.root_informed + world.root_uninformed + world.root_validators
    for learner in range(learners.size):
        total += learners[learner].root
    return total


@inlined_rule
def _mint_stage(s, t, blocks, block_emission, root_weighted_tao, p, sells, weights):
    for i in range(s.tao_reserve.size):
        weight = 0.5 if weights is None else weights[i]
        span = coinbase_span(
            blocks,
            block_emission * s.emission_share[i],
            s.alpha_emission[i],
            s.tao_reserve[i],
            s.alpha_reserve[i],
            weight,
            s.alpha_outstanding[i],
            root_weighted_tao,
            p.owner_cut,
            p.injection,
            sells,
        )
        s.tao_reserve[i] = span.tao_reserve
        s.alpha_reserve[i] = span.alpha_reserve
        if weights is not None:
            weights[i] = span.pool_tao_weight
        s.protocol_alpha[i] += span.alpha_bought
        s.alpha_outstanding[i] += span.alpha_bought + blocks * s.alpha_emission[i]
        t.injected[i] = span.alpha_injected
        t.root_alpha[i] = span.root_alpha
        t.unused_tao[i] = span.tao_unused


@inlined_rule
def _sell_root(s, t, late, weights):
    """Sell root's alpha, block by block, so on average to pools that half of the span's injection has reached."""
    for i in range(t.sold.size):
        t.sold[i] = t.root_alpha[i]
        t.held_tao[i] = late * (s.tao_reserve[i] - t.open_tao[i])
        t.held_alpha[i] = late * (s.alpha_reserve[i] - t.open_alpha[i])
        s.tao_reserve[i] -= t.held_tao[i]
        s.alpha_reserve[i] -= t.held_alpha[i]
    sell_rows(s, t, weights, None)
    for i in range(t.sold.size):
        s.tao_reserve[i] += t.held_tao[i]
        s.alpha_reserve[i] += t.held_alpha[i]
    return row_sum(t.proceeds)


@inlined_rule
def _moving_price_stage(s, blocks, block, p, weights):
    middle = block + 0.5 * (blocks - 1.0)
    for i in range(s.tao_reserve.size):
        weight = 0.5 if weights is None else weights[i]
        price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], weight)
        rate = moving_price_rate(
            p.moving_price_base, middle - s.start_block[i], p.moving_price_halving_blocks
        )
        # the decay of the day's middle, corrected for the age of this span to second order
        drift = blocks * (rate - s.moving_rate[i]) / (1.0 - s.moving_rate[i])
        decay = s.moving_decay[i] * (1.0 - drift + 0.5 * drift * drift)
        s.moving_price[i] = next_moving_price(s.moving_price[i], price, decay)


@inlined_rule
def _insiders_share_stage(s, t, blocks, p, kept_part):
    for i in range(s.tao_reserve.size):
        out = blocks * s.alpha_emission[i]
        owner, miners, validators, _ = split_alpha_out(out, p.owner_cut, 0.0)
        validators -= t.root_alpha[i]
        take = validators * p.validator_take
        dividend = validators - take
        staked = s.owner_alpha[i] + s.validator_alpha[i] + s.informed_alpha[i]
        staked += s.uninformed_alpha[i] + t.staked_by_learners[i]
        gain = dividend / staked if staked > 0.0 else 0.0
        take += kept_part * t.root_alpha[i] * p.validator_take
        unclaimed = 0.0 if staked > 0.0 else dividend
        s.owner_alpha[i] = s.owner_alpha[i] * (1.0 + gain) + owner
        s.miner_alpha[i] += miners
        s.validator_alpha[i] = s.validator_alpha[i] * (1.0 + gain) + take + unclaimed
        t.gain[i] = gain
        t.take[i] = take


@inlined_rule
def _stakers_share_stage(s, t, root_part):
    for i in range(s.tao_reserve.size):
        s.informed_alpha[i] *= 1.0 + t.gain[i]
        s.uninformed_alpha[i] *= 1.0 + t.gain[i]
        s.scripted_claimable[i] += root_part * t.root_alpha[i]


@inlined_rule
def _mint_ledger_stage(s, t, blocks, kept_part, sold_part):
    """Root's alpha is kept as claims, or has been sold; the rest of it is recycled."""
    for i in range(s.tao_reserve.size):
        s.alpha_minted[i] += t.injected[i] + blocks * s.alpha_emission[i]
        left = t.root_alpha[i] * (1.0 - kept_part)
        s.alpha_outstanding[i] -= left
        s.alpha_recycled[i] += left - t.sold[i] * sold_part
        s.stake_yield[i] = t.gain[i]


@rule
def _learners_stake(block, scratch, at):
    """Add up learners' alpha before dividends."""
    t = scratch_rows(scratch)
    for i in range(t.gain.size):
        t.staked_by_learners[i] = 0.0
    for learner in range(at.n_learners):
        alpha = block[at.learner_alpha + learner]
        for i in range(alpha.size):
            t.staked_by_learners[i] += alpha[i]


@rule
def _learners_dividends(block, scratch, at, learners, root, parameters, kept_part):
    p = parameters_of(parameters)
    t = scratch_rows(scratch)
    for learner in range(at.n_learners):
        alpha = block[at.learner_alpha + learner]
        owed = block[at.learner_claimable + learner]
        part = kept_part * (1.0 - p.validator_take)
        part *= learners[learner].root / root if root > 0.0 else 0.0
        for i in range(alpha.size):
            alpha[i] *= 1.0 + t.gain[i]
            owed[i] += part * t.root_alpha[i]


@rule
def _pay_root(world, learners, amount, root):
    """Divide TAO among root stakers in proportion to stake."""
    if not root > 0.0:
        return
    rate = amount / root
    world.root_informed += world.root_informed * rate
    world.root_uninformed += world.root_uninformed * rate
    world.root_validators += world.root_validators * rate
    for learner in range(learners.size):
        learners[learner].root += learners[learner].root * rate


@rule
def share_out(block, world, parameters):
    """Emission shares from the stored moving prices; returns the share of the frozen subnets."""
    p = parameters_of(parameters)
    s = subnet_rows(block)
    if p.halving:
        world.block_emission = emission_per_block(SUPPLY_CAP - world.chain_issuance)
        for i in range(s.tao_reserve.size):
            issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
            s.alpha_emission[i] = emission_per_block(SUPPLY_CAP - issuance)
    rest = rest_of_market(world, p.allocation)
    world.moving_price_sum = rest.moving_price + row_sum(s.moving_price)
    return emission_shares(
        p.allocation, s.moving_price, s.miner_burned, s.emission_enabled, rest, s.emission_share
    )


@rule
def coinbase(block, scratch, at, world, learners, parameters, blocks, weights):
    """Shares, minting, injection, dividends and moving prices of a span."""
    p = parameters_of(parameters)
    s, t = subnet_rows(block), scratch_rows(scratch)
    rest_share = share_out(block, world, parameters)
    root_open = root_sell_open(p.root_gate_open == 1, world.moving_price_sum)
    sells = 1.0 if root_open and p.root_dividend == SOLD else 0.0
    keeps = 1.0 if root_open and p.root_dividend == CLAIMABLE else 0.0
    root = all_root(world, learners)
    scripted_root = world.root_informed + world.root_uninformed + world.root_validators
    scripted_share = scripted_root / root if root > 0.0 else 1.0

    if sells > 0.0:
        for i in range(t.open_tao.size):
            t.open_tao[i] = s.tao_reserve[i]
            t.open_alpha[i] = s.alpha_reserve[i]
    _mint_stage(s, t, blocks, world.block_emission, p.tao_weight * root, p, sells, weights)
    root_tao = 0.0
    if sells > 0.0:
        # on average, what is still to come of a span is this part of it
        root_tao = _sell_root(s, t, 0.5 * (blocks - 1.0) / blocks, weights)
    _moving_price_stage(s, blocks, world.block, p, weights)
    _learners_stake(block, scratch, at)
    _insiders_share_stage(s, t, blocks, p, keeps)
    _stakers_share_stage(s, t, keeps * (1.0 - p.validator_take) * scripted_share)
    _mint_ledger_stage(s, t, blocks, keeps, sells)
    _learners_dividends(block, scratch, at, learners, root, parameters, keeps)

    minted = blocks * world.block_emission
    unused = row_sum(t.unused_tao)
    if not row_sum(s.emission_share) + rest_share > 0.0:
        unused = minted
    world.minted += minted
    world.recycled += unused
    world.chain_issuance += minted - unused
    world.aggregate += minted * rest_share

    rest_income = blocks * world.rest_root_income if root_open else 0.0
    rest_income = min(rest_income * (1.0 - p.validator_take), world.aggregate)
    world.aggregate -= rest_income
    take = root_tao * p.validator_take
    _pay_root(world, learners, root_tao - take + rest_income, root)
    world.root_validators += take
    world.root_yield = (root_tao - take + rest_income) / root if root > 0.0 else 0.0


@rule
def accrued_root_yield(block, scratch, world, learners, parameters):
    """Root dividends of the last span that are kept as claims, at spot, per TAO of root."""
    s, t = subnet_rows(block), scratch_rows(scratch)
    p = parameters_of(parameters)
    root_open = root_sell_open(p.root_gate_open == 1, world.moving_price_sum)
    root = all_root(world, learners)
    if p.root_dividend != CLAIMABLE or not root_open or not root > 0.0:
        return 0.0
    value = 0.0
    for i in range(t.root_alpha.size):
        price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i])
        value += t.root_alpha[i] * price
    return value * (1.0 - p.validator_take) / root
