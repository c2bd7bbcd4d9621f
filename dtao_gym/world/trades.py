"""Trades of a span: insiders, root's claims, scripted stakers, stakers with orders.

Written like `spans.py`: short loops over subnets that call the rules of `protocol/`, sums in loops of their own,
`weighted` is None where every pool has weight 1/2.
"""

import numpy as np

from dtao_gym.compiling import inlined_rule, rule, stage
from dtao_gym.numerics import row_sum
from dtao_gym.protocol.coinbase import CLAIMABLE, split_alpha_out
from dtao_gym.protocol.pool import (
    ReserveLimits,
    buy,
    sell,
    spot_price,
    trade,
    trade_to_reach,
)
from dtao_gym.world.parameters import ALPHA_PAY, parameters_of
from dtao_gym.world.scratch import claims_of, population_trade, span_scratch
from dtao_gym.world.state import alpha_row, owed_row, subnet_rows


@stage
def pool_weight(s, i, weighted):
    """TAO weight of a pool; the constant 1/2 where `weighted` is None, that is where all pools have it."""
    return 0.5 if weighted is None else s.pool_tao_weight[i]


@inlined_rule
def reserve_limits(p):
    """Limits of the reserves that a swap may meet or leave, `ReserveLimits`."""
    return ReserveLimits(p.min_reserve_before, p.min_reserve_after)


@stage
def sell_rows(s, t, weighted, fee_rate, limits):
    """Sell `t.sold` alpha to each pool; afterwards it is the alpha taken, and `t.proceeds` the TAO paid.

    A row is many orders of many people: the flat fee of the launch pool, charged per order, is paid by `staker_trades`
    alone.
    """
    for i in range(s.tao_reserve.size):
        weight = pool_weight(s, i, weighted)
        out, taken, fee, tao, alpha = sell(
            s.tao_reserve[i], s.alpha_reserve[i], weight, t.sold[i], fee_rate, 0.0, limits
        )
        s.tao_reserve[i] = tao
        s.alpha_reserve[i] = alpha
        t.sold[i] = taken
        t.proceeds[i] = out
        t.fee[i] = fee


@stage
def buy_rows(s, t, weighted, fee_rate, limits):
    """Spend `t.spent` TAO in each pool; afterwards it is the TAO taken, and `t.bought` the alpha received."""
    for i in range(s.tao_reserve.size):
        weight = pool_weight(s, i, weighted)
        out, taken, fee, tao, alpha = buy(
            s.tao_reserve[i], s.alpha_reserve[i], weight, t.spent[i], fee_rate, 0.0, limits
        )
        s.tao_reserve[i] = tao
        s.alpha_reserve[i] = alpha
        t.spent[i] = taken
        t.bought[i] = out
        t.fee[i] = fee


@inlined_rule
def scripted_root(world):
    """Root stake of the scripted classes, TAO."""
    return world.root_informed + world.root_uninformed + world.root_validators


@inlined_rule
def grow_scripted_root(world, rate):
    """Let the root stake of the scripted classes grow by the part `rate`."""
    world.root_informed += world.root_informed * rate
    world.root_uninformed += world.root_uninformed * rate
    world.root_validators += world.root_validators * rate


@inlined_rule
def insiders_sell(fields, scratch, world, blocks, parameters, weighted):
    """Sell the parts that owners, miners and validators sell of their alpha of the span, in one order.

    Miners and validators also sell a part of the alpha that they have kept.
    """
    s, t = subnet_rows(fields), span_scratch(scratch)
    p = parameters_of(parameters)
    owner_part, miner_part, _, _ = split_alpha_out(blocks, p.owner_cut, 0.0)
    owner_part *= 1.0 if p.payment == ALPHA_PAY else 0.0
    miner_part *= p.miner_sale_fraction
    for i in range(t.sold.size):
        at_once = s.alpha_emission[i] * miner_part + t.take[i] * p.validator_sale_fraction
        kept = s.miner_alpha[i] + s.validator_alpha[i] - at_once
        t.sold[i] = s.alpha_emission[i] * owner_part * s.owner_sale_fraction[i] + at_once
        t.sold[i] += p.insider_sale_per_span * kept
    sell_rows(s, t, weighted, p.pool_fee, reserve_limits(p))
    _insiders_ledger(s, t, p, owner_part, miner_part)
    world.outside += row_sum(t.proceeds)
    world.authors += row_sum(t.fee)


@stage
def _insiders_ledger(s, t, p, owner_part, miner_part):
    """Book the insiders' sale; the owner's part of the proceeds is income, the rest stays in `t.proceeds`."""
    for i in range(t.sold.size):
        done = 1.0 if t.sold[i] > 0.0 else 0.0
        owner = s.alpha_emission[i] * owner_part * s.owner_sale_fraction[i] * done
        s.owner_alpha[i] -= owner
        kept = 1.0 - p.insider_sale_per_span * done
        miners = s.miner_alpha[i] - s.alpha_emission[i] * miner_part * done
        validators = s.validator_alpha[i] - t.take[i] * p.validator_sale_fraction * done
        s.miner_alpha[i], s.validator_alpha[i] = miners * kept, validators * kept
        s.alpha_outstanding[i] -= t.sold[i]
        earned = t.proceeds[i] * owner / max(t.sold[i], 1e-300)
        s.income[i] += earned
        t.proceeds[i] -= earned


@inlined_rule
def claim_root(fields, scratch, at, world, stakers, parameters, weighted):
    """Claim a part of the root dividends due; `root_swap_share` of it is sold, the rest is kept as alpha."""
    p = parameters_of(parameters)
    if p.root_dividend != CLAIMABLE:
        return
    s, t, c = subnet_rows(fields), span_scratch(scratch), claims_of(scratch)
    claimed = p.claimed_per_span
    swap = claimed * p.root_swap_share
    for i in range(t.sold.size):
        t.sold[i] = swap * s.scripted_claimable[i]
    for staker in range(at.n_stakers):
        owed = owed_row(fields, at.staker_claimable + staker)
        for i in range(t.sold.size):
            t.sold[i] += swap * owed[i]
    sell_rows(s, t, weighted, None, reserve_limits(p))
    for i in range(t.sold.size):
        s.alpha_outstanding[i] -= t.sold[i]
        s.protocol_flow[i] -= t.proceeds[i]
        # alpha that a pool refuses stays claimable
        c.claimed_part[i] = claimed if t.sold[i] > 0.0 or swap == 0.0 else 0.0
        c.tao_per_alpha[i] = t.proceeds[i] * p.root_swap_share / max(t.sold[i], 1e-300)

    populations = world.root_informed + world.root_uninformed
    informed = world.root_informed / populations if populations > 0.0 else 0.0
    keep = 1.0 - p.root_swap_share
    for i in range(t.sold.size):
        amount = s.scripted_claimable[i] * c.claimed_part[i]
        s.scripted_claimable[i] -= amount
        s.informed_alpha[i] += amount * keep * informed
        s.uninformed_alpha[i] += amount * keep * (1.0 - informed)
        c.received[i] = amount * c.tao_per_alpha[i]
    gained, scripted = row_sum(c.received), scripted_root(world)
    if scripted > 0.0:
        grow_scripted_root(world, gained / scripted)
    else:
        world.root_validators += gained
    for staker in range(at.n_stakers):
        owed = owed_row(fields, at.staker_claimable + staker)
        alpha = alpha_row(fields, at.staker_alpha + staker)
        for i in range(t.sold.size):
            amount = owed[i] * c.claimed_part[i]
            owed[i] -= amount
            alpha[i] += amount * keep
            c.received[i] = amount * c.tao_per_alpha[i]
        stakers[staker].root += row_sum(c.received)


@stage
def _wish_stage(s, t, speed, pool_limit, short_sales, weighted):
    for i in range(s.tao_reserve.size):
        weight = pool_weight(s, i, weighted)
        price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], weight)
        tao_in, alpha_in = trade_to_reach(
            s.tao_reserve[i], s.alpha_reserve[i], weight, price, s.target_price[i]
        )
        held = s.informed_alpha[i] + s.uninformed_alpha[i]
        limited = min(speed * alpha_in, pool_limit * s.alpha_reserve[i], held)
        t.sold[i] = speed * alpha_in if short_sales else limited
        limited = min(speed * tao_in, pool_limit * s.tao_reserve[i])
        t.spent[i] = speed * tao_in if short_sales else limited


@stage
def _trade_rows(s, t, weighted, fee_rate, limits):
    """Spend `t.spent` TAO or sell `t.sold` alpha in each pool; both are cut to the amounts taken.

    Afterwards `t.bought` and `t.proceeds` are the amounts received, `t.fee` the fees in TAO.
    """
    for i in range(s.tao_reserve.size):
        weight = pool_weight(s, i, weighted)
        buying = t.spent[i] > 0.0
        out, taken, fee, tao, alpha = trade(
            s.tao_reserve[i],
            s.alpha_reserve[i],
            weight,
            t.spent[i],
            t.sold[i],
            fee_rate,
            limits,
        )
        s.tao_reserve[i] = tao
        s.alpha_reserve[i] = alpha
        t.spent[i] = taken if buying else 0.0
        t.bought[i] = out if buying else 0.0
        t.sold[i] = 0.0 if buying else taken
        t.proceeds[i] = 0.0 if buying else out
        t.fee[i] = fee


@stage
def _populations_ledger(s, t, gain, informed_purse, least):
    """Divide the populations' trades: buys by purse, sales by holding; `gain` is a `PopulationTrade`.

    No holding is below `least`: rounding below 0 would be multiplied where nobody else earns the dividends.
    """
    for i in range(t.sold.size):
        held = s.informed_alpha[i] + s.uninformed_alpha[i]
        part = s.informed_alpha[i] / held if held > 0.0 else informed_purse
        mine = t.bought[i] * informed_purse - t.sold[i] * part
        theirs = t.bought[i] * (1.0 - informed_purse) - t.sold[i] * (1.0 - part)
        s.informed_alpha[i] = max(s.informed_alpha[i] + mine, least)
        s.uninformed_alpha[i] = max(s.uninformed_alpha[i] + theirs, least)
        s.alpha_outstanding[i] += t.bought[i] - t.sold[i]
        gain.informed_gain[i] = t.proceeds[i] * part - t.spent[i] * informed_purse


@inlined_rule
def scripted_stakers_trade(fields, scratch, world, parameters, weighted):
    """Trade the two populations of scripted stakers towards the target, within purses and holdings."""
    s, t = subnet_rows(fields), span_scratch(scratch)
    p = parameters_of(parameters)
    _wish_stage(
        s, t, p.trade_speed_per_span, p.trade_of_pool_per_span, p.short_sales == 1, weighted
    )
    wanted = row_sum(t.spent)
    purses = world.purse_informed + world.purse_uninformed
    # a purse that is spent may be below 0 by rounding
    informed = min(max(world.purse_informed / purses, 0.0), 1.0) if purses > 0.0 else 0.0
    if p.short_sales == 1:
        informed = world.informed_weight
    else:
        scale = min(p.purse_use_per_span * purses / wanted, 1.0) if wanted > 0.0 else 0.0
        for i in range(t.spent.size):
            t.spent[i] *= scale
    _trade_rows(s, t, weighted, p.pool_fee, reserve_limits(p))
    gain = population_trade(scratch)
    least = -np.inf if p.short_sales == 1 else 0.0
    _populations_ledger(s, t, gain, informed, least)
    gained, gained_informed = row_sum(t.proceeds) - row_sum(t.spent), row_sum(gain.informed_gain)
    world.authors += row_sum(t.fee)
    # a population without money would owe what is lost by rounding, and the debt would earn interest
    world.purse_informed = max(world.purse_informed + gained_informed, least)
    world.purse_uninformed = max(world.purse_uninformed + gained - gained_informed, least)


@rule
def staker_trades(fields, alpha, world, me, orders, part, parameters):
    """Execute a part of one staker's orders `(subnet,)`: sales in alpha (negative), then buys in TAO.

    Buys are cut to the root stake at hand. Buys paid from the proceeds of the same moment's sales are moves of stake, on
    which the chain takes one fee, that of the sale. Subnets that are not started take no orders.
    """
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    proceeds = 0.0
    wanted = 0.0
    for i in range(alpha.size):
        amount = min(max(-orders[i] * part, 0.0), alpha[i])
        if not s.started[i] > 0.0:
            continue
        wanted += max(orders[i] * part, 0.0)
        if amount > 0.0:
            out, taken, fee, tao_reserve, alpha_reserve = sell(
                s.tao_reserve[i],
                s.alpha_reserve[i],
                s.pool_tao_weight[i],
                amount,
                p.pool_fee,
                p.flat_fee_tao,
                reserve_limits(p),
            )
            if out < p.min_order_tao * part and amount < alpha[i]:
                continue
            s.tao_reserve[i], s.alpha_reserve[i] = tao_reserve, alpha_reserve
            alpha[i] -= taken
            s.alpha_outstanding[i] -= taken
            world.authors += fee
            proceeds += out
    me.root += proceeds
    me.traded += proceeds
    if not wanted > 0.0:
        return
    scale = min(me.root / wanted, 1.0)
    moved = min(proceeds / (wanted * scale), 1.0) if scale > 0.0 else 0.0
    fee_rate = p.pool_fee * (1.0 - moved)
    for i in range(alpha.size):
        amount = min(max(orders[i] * part, 0.0) * scale, me.root)
        if amount >= p.min_order_tao * part and amount > 0.0 and s.started[i] > 0.0:
            out, taken, fee, s.tao_reserve[i], s.alpha_reserve[i] = buy(
                s.tao_reserve[i],
                s.alpha_reserve[i],
                s.pool_tao_weight[i],
                amount,
                fee_rate,
                p.flat_fee_tao,
                reserve_limits(p),
            )
            alpha[i] += out
            s.alpha_outstanding[i] += out
            world.authors += fee
            me.root -= taken
            me.traded += taken
