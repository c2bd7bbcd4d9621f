"""The compiled day: decisions, spans, production, valuation. The order of events is the contract.

0. Observations are the state at the end of the day before.
1. All decisions are taken at once: targets of scripted stakers, spending of treasuries, stakers' orders.
2. Spans of blocks. In each: shares, minting, injection, dividends, moving prices (`spans.coinbase`); then the trades, in
   an order of groups drawn by key for each span.
3. Budgets are spent: stocks, opinions and signals move; users pay for value; owners save or consume their income.
4. Founders register; subnets are dissolved for them.
5. A part of `outside` returns to purses; purses and root rebalance.
6. Stakers' positions are valued at the proceeds of a sale.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dtao_gym.compiling import inlined_rule, kernel, rule, stage
from dtao_gym.numerics import log, row_sum
from dtao_gym.protocol.coinbase import DIRECT, moving_price_decay, moving_price_rate
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.pool import spot_price, swap_allowed, tao_for_alpha
from dtao_gym.world import demand, funds, production, registrations, spans, trades, voting
from dtao_gym.world.parameters import parameters_of
from dtao_gym.world.scratch import quote_rows, target_scratch
from dtao_gym.world.shocks import ORDER, permutation_of_four, philox
from dtao_gym.world.state import alpha_row, owed_row, price_row, signal_row, subnet_rows
from dtao_gym.world.table import WorldArrays, arrays_of

STAKERS, INSIDERS, CLAIMS, SCRIPTED = range(4)


@stage
def _moving_rate_stage(s, block, blocks, p):
    middle = block + 0.5 * (BLOCKS_PER_DAY - 1.0)
    for i in range(s.tao_reserve.size):
        age = max(middle - s.start_block[i], 0.0)
        rate = moving_price_rate(p.moving_price_base, age, p.moving_price_halving_blocks)
        rate *= s.started[i]
        s.moving_rate[i] = rate
        s.moving_decay[i] = moving_price_decay(rate, blocks)


@rule
def decide(w, blocks):
    """Scripted decisions of the day, from the state at the end of the day before."""
    fields, world, at, p = w.fields, w.world, w.at, parameters_of(w.parameters)
    s = subnet_rows(fields)
    registrations.start_subnets(fields, world, w.parameters)
    funds.follow_era(w)
    n = s.tao_reserve.size
    informed = world.informed_weight
    if p.wealth_weights:
        mine, theirs = demand.population_wealth(fields, world)
        informed = mine / (mine + theirs) if mine + theirs > 0.0 else informed
    past_price = price_row(fields, at.price_history + world.day % at.price_days)
    # the oldest signal is as agents see it; readers may have the next
    age = world.day + (1 if p.readers_ahead else 0)
    demand.read_signal(s, signal_row(fields, at.signal_history + age % at.signal_days), p)
    if at.n_validators > 0:
        voting.vote(fields, w.scratch, w.ballots, world, w.validators, w.parameters)
    if p.portfolio_rate > 0.0:
        demand.follow_money(fields, world, w.parameters)
    t = target_scratch(w.scratch)
    demand.set_targets(s, past_price, t, p, informed, world.demand_level)
    if p.frozen_share and world.rest_share > 0.0:
        excess = demand.excess_of_news(s, p, informed, world.common_news)
        # moving prices of old subnets are as slow
        kept = moving_price_decay(p.moving_price_base, BLOCKS_PER_DAY)
        world.price_excess = excess + kept * (world.price_excess - excess)
    _moving_rate_stage(s, world.block, blocks, p)
    # today's price takes the place of the oldest, which has just been read
    for i in range(n):
        past_price[i] = s.spot_price[i]
    production.spend(fields, world, w.parameters)


@stage
def span(w, blocks, index, order_part, weighted):
    """One span: coinbase, then the four groups of trades in their drawn order, if there are pools.

    `order_part` is the part of stakers' orders that is executed in this span.
    """
    fields, world, parameters = w.fields, w.world, w.parameters
    spans.coinbase(w, blocks, weighted)
    world.block += blocks
    if parameters.injection == DIRECT:
        return
    words = philox(world.world_key, world.episode, index, world.day, 0, ORDER)
    for group in permutation_of_four(words[0], words[1], words[2]):
        if group == STAKERS:
            if order_part > 0.0:
                first = int(words[3] % np.uint64(w.at.n_stakers))
                for k in range(w.at.n_stakers):
                    me = (first + k) % w.at.n_stakers
                    alpha, mine = alpha_row(fields, w.at.staker_alpha + me), w.stakers[me]
                    trades.staker_trades(
                        fields, alpha, world, mine, w.orders[me], order_part, parameters
                    )
        elif group == INSIDERS:
            trades.insiders_sell(fields, w.scratch, world, blocks, parameters, weighted)
        elif group == CLAIMS:
            trades.claim_root(fields, w.scratch, w.at, world, w.stakers, parameters, weighted)
            if world.has_funds:
                funds.claim(w, weighted)
        else:
            trades.scripted_stakers_trade(fields, w.scratch, world, parameters, weighted)


@rule
def note_prices(fields):
    """Write the spot prices."""
    s = subnet_rows(fields)
    for i in range(s.spot_price.size):
        s.spot_price[i] = spot_price(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i])


@rule
def note_market(fields, world):
    """Write the statistics of the market that are logged."""
    s = subnet_rows(fields)
    hhi = 0.0
    for i in range(s.emission_share.size):
        hhi += s.emission_share[i] * s.emission_share[i]
    world.price_sum = row_sum(s.spot_price)
    world.emission_hhi = hhi


@rule
def return_money(fields, world, parameters):
    """Return a part of `outside` to purses by wealth; each population moves towards its liquid share."""
    p = parameters_of(parameters)
    informed, uninformed = demand.population_wealth(fields, world)
    total = informed + uninformed
    if total > 0.0:
        returned = p.outside_return * world.outside
        world.outside -= returned
        world.purse_informed += returned * (informed / total)
        world.purse_uninformed += returned * (uninformed / total)
    gap = p.purse_share * (world.purse_informed + world.root_informed) - world.purse_informed
    world.purse_informed += p.purse_rebalance * gap
    world.root_informed -= p.purse_rebalance * gap
    gap = p.purse_share * (world.purse_uninformed + world.root_uninformed) - world.purse_uninformed
    world.purse_uninformed += p.purse_rebalance * gap
    world.root_uninformed -= p.purse_rebalance * gap


@stage
def _quote_stage(s, quotes, alpha, owed, p, weighted):
    limits = trades.reserve_limits(p)
    for i in range(s.tao_reserve.size):
        weight = trades.pool_weight(s, i, weighted)
        net = alpha[i] * (1.0 - p.pool_fee) + owed[i]
        out = tao_for_alpha(s.tao_reserve[i], s.alpha_reserve[i], weight, net)
        amount = alpha[i] + owed[i]
        sellable = swap_allowed(s.alpha_reserve[i], s.tao_reserve[i], amount, out, limits)
        quotes.proceeds[i] = max(out - p.flat_fee_tao, 0.0) if sellable else 0.0


@rule
def value_stakers(fields, scratch, at, stakers, parameters, weighted):
    """Write the liquidation wealth of each staker: root, claims on funds, and proceeds of alpha and claims after costs."""
    p = parameters_of(parameters)
    s, quotes = subnet_rows(fields), quote_rows(scratch)
    for staker in range(at.n_stakers):
        alpha = alpha_row(fields, at.staker_alpha + staker)
        owed = owed_row(fields, at.staker_claimable + staker)
        _quote_stage(s, quotes, alpha, owed, p, weighted)
        wealth = stakers[staker].root + stakers[staker].fund_claim + row_sum(quotes.proceeds)
        stakers[staker].wealth = wealth
        stakers[staker].log_wealth = log(max(wealth, 1e-12))
        stakers[staker].ruined = wealth < p.ruin_fraction * stakers[staker].first_wealth


@stage
def day(w, trading, trace, weighted):
    """One day of one world.

    `w` is a `WorldArrays`; `trading` says whether stakers' orders are executed today; `trace`
    `(spans, rows, n_subnets)` takes the named rows after each of the first spans.
    """
    fields, scratch, world, parameters = w.fields, w.scratch, w.world, w.parameters
    p = parameters_of(parameters)
    spans_per_day = p.spans_per_day
    blocks = BLOCKS_PER_DAY / spans_per_day
    decide(w, blocks)
    for index in range(spans_per_day):
        part = 0.0
        if trading:
            part = 1.0 / spans_per_day if p.twap else (1.0 if index == 0 else 0.0)
        span(w, blocks, index, part, weighted)
        if index < trace.shape[0]:
            note_prices(fields)
            copy_rows(fields, trace[index])
    stake_yield = subnet_rows(fields).stake_yield
    for i in range(stake_yield.size):
        stake_yield[i] *= spans_per_day
    world.root_yield = (world.root_yield + spans.accrued_root_yield(w)) * spans_per_day
    production.pay_grants(fields, world)
    production.produce(fields, scratch, w.at, world, parameters)
    demand.bring_news(fields, scratch, world, parameters)
    production.users_pay(fields, scratch, world, parameters, weighted)
    production.settle(fields, scratch, world, parameters)
    note_prices(fields)
    registrations.register(fields, scratch, w.at, world, w.stakers, w.funds, parameters)
    note_market(fields, world)
    return_money(fields, world, parameters)
    if world.has_funds:
        funds.value_funds(w, weighted)
    value_stakers(fields, scratch, w.at, w.stakers, parameters, weighted)
    world.day += 1


@rule
def copy_rows(fields, copy):
    """Copy the named rows of every subnet after a span, for a trace."""
    for row in range(copy.shape[0]):
        for i in range(copy.shape[1]):
            copy[row, i] = fields[row, i]


@inlined_rule
def advance_worlds(arrays, days, first, last, weighted):
    """Advance those worlds of a range whose pools have equal weights, or those whose pools do not.

    Stakers' orders are executed on the first day. `weighted` is None in the kernel of equal weights, so that the compiler
    can drop the general formulas of pools.
    """
    for k in range(first, last):
        world = arrays.worlds[k]
        if world.equal_weights == (weighted is not None):
            continue
        for staker in range(arrays.at.n_stakers):
            arrays.stakers[k, staker].traded = 0.0
        w = WorldArrays(
            arrays.fields[k],
            world,
            arrays.stakers[k],
            arrays.validators[k],
            arrays.funds[k],
            arrays.fund_owed[k],
            arrays.frozen[k],
            arrays.parameters[k],
            arrays.orders[k],
            arrays.scratch,
            arrays.ballots,
            arrays.at,
        )
        for passed in range(days):
            if world.day >= world.last_day:
                break
            day(w, passed == 0, arrays.trace, weighted)


@kernel
def advance_equal(table, days, first, last):
    """The day, with pools of weight 1/2. Arguments as those of `advance_weighted`."""
    advance_worlds(arrays_of(table), days, first, last, None)
    return 0


@kernel
def advance_weighted(table, days, first, last):
    """The day, with pools of any weight: advance the worlds first to last - 1 of a table by some days.

    There are two kernels so that the first is free of the general formulas of pools, and a user waits for one.
    """
    advance_worlds(arrays_of(table), days, first, last, True)
    return 0


THREADED_FROM = 16
"""Smallest batch, in worlds, that is worth a second thread."""
PIECES_PER_THREAD = 8
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def run_over_worlds(n_worlds: int, threads: int, task) -> None:
    """Call `task(first, last)` for ranges that cover all worlds, on several threads where that pays.

    The pool belongs to the process that made it: a forked child gets its own.
    """
    threads = min(threads, n_worlds // (THREADED_FROM // 2)) if n_worlds >= THREADED_FROM else 1
    if threads <= 1:
        task(0, n_worlds)
        return
    key = (os.getpid(), threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads - 1, thread_name_prefix="dtao_gym")
    # worlds may end on different days: small pieces, of which each thread takes the next
    pieces = min(PIECES_PER_THREAD * threads, n_worlds // (THREADED_FROM // 2))
    edges = [round(k * n_worlds / pieces) for k in range(pieces + 1)]
    ranges = iter(list(zip(edges[:-1], edges[1:], strict=True)))

    def work():
        for first, last in ranges:
            task(first, last)

    waiting = [_pools[key].submit(work) for _ in range(threads - 1)]
    work()
    for future in waiting:
        future.result()
