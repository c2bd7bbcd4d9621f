"""Registrations of a day: founders arrive, subnets are dissolved for them, pools are seeded.

The rules are those of `protocol/lifecycle.py`. The account `outside` pays the lock and the first treasury.

The chain has no bound on the alpha of a new pool: at a tiny median price a lock would buy more than the 21 million that no
alpha passes. Here a pool starts with at most these, and its price is then above the median.
"""

import numpy as np

from dtao_gym.compiling import rule
from dtao_gym.economy.technology import ability
from dtao_gym.numerics import exp
from dtao_gym.protocol.coinbase import DIRECT
from dtao_gym.protocol.institutions import PRUNE_KEYS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.lifecycle import (
    MEDIAN_PRICE,
    alpha_that_is_paid,
    dissolution_payout,
    effective_interval,
    is_immune,
    lock_cost,
    median_price,
    owner_refund,
    seed_pool,
    subnet_to_prune,
)
from dtao_gym.protocol.pool import spot_price
from dtao_gym.world.demand import UNKNOWN, start_news
from dtao_gym.world.funds import sell_holdings
from dtao_gym.world.parameters import parameters_of
from dtao_gym.world.production import note_values
from dtao_gym.world.scratch import candidate_rows
from dtao_gym.world.shocks import ENTRY, GOVERNANCE, PRUNE, normal, philox, uniform
from dtao_gym.world.state import subnet_rows

NEVER = float(2**53)
"""Start block of an empty slot."""
EMPTY = -1.0
"""Registration block of an empty slot."""
NO_DECISION = -1.0
"""Block of a switch of emission that is not due."""
MOST_ARRIVALS = 32
"""Largest number of founders in a day."""
PRUNE_BY_SHARE = PRUNE_KEYS["share"]


@rule
def arrivals_of_day(word, mean):
    """Poisson number from one random word, by inversion."""
    left, chance, count = uniform(word), exp(-mean), 0
    while left >= chance and count < MOST_ARRIVALS:
        left -= chance
        count += 1
        chance *= mean / count
    return count


@rule
def start_subnets(fields, world, parameters):
    """Start subnets whose start delay has passed; governance enables the emission of newcomers."""
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    for i in range(s.started.size):
        if s.started[i] == 0.0 and s.start_block[i] <= world.block:
            s.started[i] = 1.0
            if p.injection != DIRECT:  # with halving, every span computes it
                issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
                s.alpha_emission[i] = emission_per_block(SUPPLY_CAP - issuance)
        newcomer = s.registered_block[i] >= world.genesis_block
        passed = world.block - s.registered_block[i] - p.governance_blocks
        if newcomer and 0.0 <= passed < BLOCKS_PER_DAY:
            s.emission_enabled[i] = 1.0
    _govern(s, world, p)


@rule
def _govern(s, world, p):
    """Switch the emission of subnets off and on: on the days planned, and by chance."""
    for i in range(s.emission_enabled.size):
        if 0.0 <= world.block - s.off_block[i] < BLOCKS_PER_DAY and s.off_block[i] >= 0.0:
            s.emission_enabled[i] = 0.0
        if 0.0 <= world.block - s.on_block[i] < BLOCKS_PER_DAY and s.on_block[i] >= 0.0:
            s.emission_enabled[i] = 1.0
    if p.emission_off_hazard > 0.0 or p.emission_on_hazard > 0.0:
        for i in range(s.emission_enabled.size):
            stream = np.uint64(s.stream_id[i])
            word = philox(world.world_key, world.episode, 0, world.day, stream, GOVERNANCE)[0]
            enabled = s.emission_enabled[i] > 0.0
            chance = p.emission_off_hazard if enabled else p.emission_on_hazard
            if s.registered_block[i] >= 0.0 and uniform(word) < chance:
                s.emission_enabled[i] = 0.0 if enabled else 1.0


@rule
def registration_cost(world, parameters):
    """Present cost of a registration, TAO."""
    p = parameters_of(parameters)
    interval = effective_interval(p.lock_interval_blocks, world.block_emission)
    return lock_cost(world.last_lock, p.min_lock_tao, world.last_lock_block, world.block, interval)


@rule
def register(fields, scratch, at, world, stakers, funds, parameters):
    """Let founders arrive and register where a slot is worth more to them than it costs."""
    p = parameters_of(parameters)
    n = subnet_rows(fields).tao_reserve.size
    key, episode, day = world.world_key, world.episode, world.day
    word = philox(key, episode, 0, day, 0, ENTRY)[0]
    for k in range(arrivals_of_day(word, p.arrivals_per_day * n)):
        worth, kind, _, _ = philox(key, episode, 1 + k, day, 0, ENTRY)
        cost = registration_cost(world, parameters)
        if p.entry_value_tao * exp(p.entry_value_sd * normal(worth)) < cost:
            continue
        if world.outside < cost + p.initial_treasury_tao:
            continue
        slot = _slot_for_newcomer(fields, scratch, world, parameters)
        if slot < 0:
            continue
        salvaged = p.salvage * subnet_rows(fields).knowledge[slot]
        if subnet_rows(fields).registered_block[slot] >= 0.0:
            if world.has_funds:
                sell_holdings(fields, at, funds, slot)
            dissolve(fields, at, world, stakers, parameters, slot)
        clear(fields, slot)  # opinions of empty slots move as well
        create_subnet(fields, at, world, parameters, slot, cost, normal(kind), salvaged)
        note_values(fields, at, parameters)


@rule
def _slot_for_newcomer(fields, scratch, world, parameters):
    """An empty slot, or that of the subnet to be dissolved; -1 if there is neither."""
    p = parameters_of(parameters)
    s, candidates = subnet_rows(fields), candidate_rows(scratch)
    for i in range(s.registered_block.size):
        if s.registered_block[i] < 0.0:
            return i
    if p.pruning == 0:
        return -1
    for i in range(s.registered_block.size):
        by_share = p.prune_key == PRUNE_BY_SHARE
        candidates.pruning_key[i] = s.emission_share[i] if by_share else s.moving_price[i]
        if p.prune_lottery_sd > 0.0:
            stream = np.uint64(s.stream_id[i])
            word = philox(world.world_key, world.episode, 0, world.day, stream, PRUNE)[0]
            candidates.pruning_key[i] *= exp(p.prune_lottery_sd * normal(word))
        immune = is_immune(s.registered_block[i], world.block, p.immunity_blocks)
        candidates.immune[i] = 1.0 if immune else 0.0
    return subnet_to_prune(candidates.pruning_key, s.registered_block, candidates.immune)


@rule
def dissolve(fields, at, world, stakers, parameters, slot):
    """Pay out a subnet that holds no alpha of funds: TAO to holders of its alpha; the part of protocol and pool is recycled.

    Scripted stakers are paid into purses, stakers into root, all other holders into `outside`. Claims and burned alpha
    get nothing.
    """
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    pot = s.tao_reserve[slot]
    others = s.owner_alpha[slot] + s.miner_alpha[slot] + s.validator_alpha[slot]
    others += s.idle_alpha[slot]
    staked = others + s.informed_alpha[slot] + s.uninformed_alpha[slot]
    for staker in range(at.n_stakers):
        staked += fields[at.staker_alpha + staker, slot]
    total = alpha_that_is_paid(
        staked, s.protocol_alpha[slot], s.alpha_reserve[slot], s.reserve_counts[slot] > 0.0
    )
    left = pot
    if p.injection == DIRECT and s.alpha_reserve[slot] == 0.0:
        others, total = 1.0, 1.0  # without a pool the pot is the owner's lock
    for staker in range(at.n_stakers):
        paid = dissolution_payout(pot, fields[at.staker_alpha + staker, slot], total)
        stakers[staker].root += paid
        left -= paid
    informed = dissolution_payout(pot, s.informed_alpha[slot], total)
    uninformed = dissolution_payout(pot, s.uninformed_alpha[slot], total)
    rest = min(dissolution_payout(pot, others, total), max(left - informed - uninformed, 0.0))
    world.purse_informed += informed
    world.purse_uninformed += uninformed
    world.outside += rest
    left -= informed + uninformed + rest
    world.recycled += left
    world.chain_issuance -= left

    issuance = s.alpha_reserve[slot] + s.alpha_outstanding[slot]
    refund = owner_refund(
        s.lock_tao[slot], p.owner_cut, issuance, s.spot_price[slot], s.legacy[slot] > 0.0
    )
    refund = min(refund, world.burned)  # where the lock went
    world.burned -= refund
    world.outside += refund + s.treasury[slot]
    world.dissolutions += 1
    s.owner_number[slot] += 1.0
    s.consumed_by_predecessors[slot] = s.consumed[slot]


@rule
def clear(fields, slot):
    """Empty a slot; it keeps its key of random numbers and its counts since genesis."""
    s = subnet_rows(fields)
    stream, owner, consumed = s.stream_id[slot], s.owner_number[slot], s.consumed[slot]
    payoff, predecessors = s.first_owner_payoff[slot], s.consumed_by_predecessors[slot]
    for row in range(fields.shape[0]):
        fields[row, slot] = 0.0
    s.stream_id[slot], s.owner_number[slot], s.consumed[slot] = stream, owner, consumed
    s.first_owner_payoff[slot], s.consumed_by_predecessors[slot] = payoff, predecessors
    s.registered_block[slot] = EMPTY
    s.off_block[slot] = s.on_block[slot] = NO_DECISION
    s.start_block[slot] = NEVER
    s.pool_tao_weight[slot] = 0.5
    s.alpha_genesis[slot] = 0.0
    s.dilution_alpha[slot] = 1.0


@rule
def create_subnet(fields, at, world, parameters, slot, cost, kind, salvaged):
    """Create a subnet in a cleared slot, from a standard normal `kind` and `salvaged` knowledge."""
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    world.outside -= cost + p.initial_treasury_tao
    tao, alpha, burned = cost, 0.0, 0.0  # without pools the lock is kept for the owner
    if p.injection != DIRECT:
        median = median_price(s.spot_price)
        tao, alpha, burned = seed_pool(p.seeding, cost, p.min_lock_tao, median)
        alpha = min(alpha, SUPPLY_CAP)
    world.burned += burned
    world.chain_issuance -= burned
    s.tao_reserve[slot] = tao
    s.alpha_reserve[slot] = alpha
    s.alpha_genesis[slot] = alpha
    s.flow_mark[slot] = tao
    s.dilution_alpha[slot] = p.dilution_reference_alpha
    s.spot_price[slot] = spot_price(tao, alpha, 0.5)
    s.lock_tao[slot] = cost
    s.legacy[slot] = 1.0 - p.pruning
    s.reserve_counts[slot] = 1.0 if p.seeding == MEDIAN_PRICE and p.bought_destroyed == 0 else 0.0
    s.registered_block[slot] = world.block
    s.start_block[slot] = world.block + BLOCKS_PER_DAY * p.start_delay_days
    s.emission_enabled[slot] = p.entrants_enabled
    s.treasury[slot] = p.initial_treasury_tao
    s.ability[slot] = ability(p.type_sd, kind)
    s.knowledge[slot] = salvaged
    s.spend_rate[slot] = p.spend_rate
    s.research_share[slot] = p.research_share
    s.influence_share[slot] = p.influence_share
    s.owner_sale_fraction[slot] = p.owner_sale_fraction
    for k in range(at.price_days):
        fields[at.price_history + k, slot] = s.spot_price[slot]
    for k in range(at.signal_days):
        fields[at.signal_history + k, slot] = salvaged
    s.belief[slot] = salvaged
    s.prior[slot] = UNKNOWN if p.prior_kept > 0.0 else 0.0
    start_news(fields, world, parameters, slot)
    world.last_lock = cost
    world.last_lock_block = world.block
    world.registrations += 1
