"""Trades of a span in plain NumPy, for `numpy_market.py`: stakers, insiders, root's claims, scripted stakers.

Each function takes the market `m` and `who`, the worlds whose turn it is. Receipts of accounts are collected in `m.due`.
"""

import numpy as np

from benchmarks.numpy_builders import POPULATIONS
from benchmarks.numpy_rules import divide, rate_per_span
from dtao_gym.world.state import HOLDERS


def staker_trades(m, who, me, orders, part):
    p, s, g = m.p, m.s, m.g
    pools, orders = m.pools(who), part * orders[who, me] * s.started[who]
    held, root = m.staker_alpha[who, me], m.me.root[who, me]
    offered = np.minimum(np.maximum(-orders, 0), held)
    allowed = lambda tao: (tao >= part * p.min_order_tao) | (offered >= held)  # noqa: E731
    received, sold, fee = pools.sell(offered, p.pool_fee, p.flat_fee_tao, allowed)
    proceeds, wanted = received.sum(1), np.maximum(orders, 0)
    root = root + proceeds
    cost = wanted.sum(1)
    spent = np.minimum(root, cost)
    fee_rate = p.pool_fee * (1 - np.minimum(divide(proceeds, spent), 1))
    amount = wanted * divide(spent, cost)[:, None]
    amount = np.where(amount >= part * p.min_order_tao, amount, 0)
    bought, paid, more_fee = pools.buy(amount, fee_rate[:, None], p.flat_fee_tao)
    m.keep(pools, who)
    m.user_flow[who] += paid - more_fee - received - fee
    m.staker_alpha[who, me] = held - sold + bought
    s.alpha_outstanding[who] += bought - sold
    g.authors[who] += (fee + more_fee).sum(1)
    m.me.root[who, me] = root - paid.sum(1)
    m.me.traded[who, me] += proceeds + paid.sum(1)


def insiders_sell(m, who, n):
    p, s, pools = m.p, m.s, m.pools(who)
    out = n * s.alpha_emission[who]
    owner = s.owner_sale_fraction[who] * p.owner_cut * out * (m.payment == "alpha")
    miners = p.miner_sale_fraction * (1 - p.owner_cut) / 2 * out
    validators = p.validator_sale_fraction * m.take[who]
    later = rate_per_span(1 / p.insider_holding_days, p.spans_per_day) * (
        p.insider_holding_days < 1e9
    )
    miners = miners + later * (s.miner_alpha[who] - miners)
    validators = validators + later * (s.validator_alpha[who] - validators)
    wanted = owner + miners + validators
    received, sold, fee = pools.sell(wanted, p.pool_fee, 0.0)
    m.keep(pools, who)
    m.user_flow[who] -= received + fee
    done = divide(sold, wanted)
    s.owner_alpha[who] -= done * owner
    s.miner_alpha[who] -= done * miners
    s.validator_alpha[who] -= done * validators
    s.alpha_outstanding[who] -= sold
    earned = received * divide(owner, wanted)
    s.income[who] += earned
    m.due.outside[who] += (received - earned).sum(1)
    m.due.fees[who] += fee.sum(1)


def claim_root(m, who):
    p, s, g, pools = m.p, m.s, m.g, m.pools(who)
    claimed = rate_per_span(p.root_claim_hazard, p.spans_per_day)
    scripted, mine = s.scripted_claimable[who], m.staker_claimable[who]
    offered = p.root_swap_share * claimed * (scripted + mine.sum(1))
    received, sold, _ = pools.sell(offered, 0.0, 0.0)
    m.keep(pools, who)
    s.protocol_flow[who] -= received
    s.alpha_outstanding[who] -= sold
    # alpha of a refused sale stays claimable
    happens = claimed * ((sold > 0) | (p.root_swap_share == 0))
    price = p.root_swap_share * divide(received, sold)
    informed = divide(g.root_informed[who], g.root_informed[who] + g.root_uninformed[who])[:, None]
    kept = (1 - p.root_swap_share) * happens
    s.scripted_claimable[who] -= happens * scripted
    s.informed_alpha[who] += kept * scripted * informed
    s.uninformed_alpha[who] += kept * scripted * (1 - informed)
    _pay_scripted_root(g, who, (happens * scripted * price).sum(1))
    m.staker_claimable[who] -= happens[:, None] * mine
    m.staker_alpha[who] += kept[:, None] * mine
    m.me.root[who] += ((happens * price)[:, None] * mine).sum(2)


def _pay_scripted_root(g, who, tao):
    """Divide TAO among the scripted holders of root stake, in proportion to it; validators get it where there is none."""
    scripted = sum(getattr(g, name)[who] for name in HOLDERS)
    for name in HOLDERS:
        getattr(g, name)[who] *= 1 + divide(tao, scripted)
    g.root_validators[who] += np.where(scripted > 0, 0, tao)


def scripted_trade(m, who):
    p, s, g, pools = m.p, m.s, m.g, m.pools(who)
    speed, limit = (rate_per_span(r, p.spans_per_day) for r in (p.trade_speed, p.max_trade_of_pool))
    tao, alpha = pools.to_reach(s.target_price[who])
    tao, alpha = speed * tao, speed * alpha
    held = {name: getattr(s, f"{name}_alpha")[who] for name in POPULATIONS}
    purse = {name: getattr(g, f"purse_{name}")[who] for name in POPULATIONS}
    informed_buys = np.clip(divide(purse["informed"], sum(purse.values())), 0, 1)[:, None]
    if p.short_sales:  # no limits; buys are divided by the weights of opinions
        informed_buys = g.informed_weight[who][:, None]
    else:
        tao = np.minimum(tao, limit * pools.y)
        alpha = np.minimum(np.minimum(alpha, limit * pools.x), sum(held.values()))
        budget = rate_per_span(p.max_purse_use, p.spans_per_day) * sum(purse.values())
        tao = tao * np.minimum(divide(budget, tao.sum(1)), 1)[:, None]
    bought, paid, fee = pools.buy(tao, p.pool_fee, 0.0)
    received, sold, more_fee = pools.sell(alpha, p.pool_fee, 0.0)
    m.keep(pools, who)
    m.user_flow[who] += paid - fee - received - more_fee
    s.alpha_outstanding[who] += bought - sold
    together = sum(held.values())
    informed_sells = np.where(together > 0, divide(held["informed"], together), informed_buys)
    buys = {"informed": informed_buys, "uninformed": 1 - informed_buys}
    sells = {"informed": informed_sells, "uninformed": 1 - informed_sells}
    for name in POPULATIONS:
        now = held[name] + bought * buys[name] - sold * sells[name]
        getattr(s, f"{name}_alpha")[who] = now if p.short_sales else np.maximum(now, 0)
        getattr(m.due, name)[who] += (received * sells[name] - paid * buys[name]).sum(1)
    m.due.fees[who] += (fee + more_fee).sum(1)
