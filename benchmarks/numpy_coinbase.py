"""Coinbase of a span in plain NumPy, for `numpy_market.py`: shares, minting, root's part, dividends, moving prices.

Each function takes the market `m`, as those of `numpy_builders.py` do; n is the number of blocks of the span.
"""

import numpy as np

from benchmarks import numpy_funds as funds
from benchmarks.numpy_rules import (
    GATED,
    RULE,
    Pools,
    divide,
    emission_shares,
    measured_bar,
    minted_per_block,
)
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.world.state import HOLDERS

STAKED = ("owner_alpha", "validator_alpha", "informed_alpha", "uninformed_alpha")


def moving_rate(m, block):
    """Weight of a block in the moving price: base b / (b + h) at age b."""
    p, s = m.p, m.s
    age = np.maximum(block[:, None] - s.start_block, 0)
    maturity = 1.0
    if p.moving_price_halving_blocks > 0:
        maturity = age / (age + p.moving_price_halving_blocks)
    return p.moving_price_base * maturity * s.started


def coinbase(m, n):
    """n blocks: flow averages, shares, minting, injection, purchases of the chain, root's part, dividends, moving prices."""
    p, s, g = m.p, m.s, m.g
    _average_flows(m, n)
    root = m.all_root()
    rest_share = _share_out(m, n, p.tao_weight * root[:, None])
    gate = (g.moving_price_sum > 1) | bool(p.root_gate_open)
    m.net_claims = 0 * s.tao_reserve
    # grants due today come first, spread over the blocks of the day
    promised = s.grant_due.sum(1) / BLOCKS_PER_DAY * (p.milestone_grant_tao > 0)
    grants = n * np.minimum(promised, g.block_emission)
    minted = n * g.block_emission - grants
    m.emission = (minted / n)[:, None] * s.emission_share  # TAO a block
    if m.injection == "direct":
        root_tao, unused = _pay_directly(m, n), 0.0
    else:
        if m.payment == "direct":
            s.income += n * p.owner_cut * m.emission
            m.emission = (1 - p.owner_cut) * m.emission
        root_tao, unused = _mint(m, n, root, gate[:, None])

    g.granted += grants
    g.minted += grants
    g.chain_issuance += grants
    lost = 1 - rest_share - s.emission_share.sum(1)
    unused = unused + minted * np.where(lost > 1e-9, lost, 0)  # below that: rounding
    g.minted += minted
    g.recycled += unused
    g.chain_issuance += minted - unused
    g.aggregate += minted * rest_share
    rest_pays = gate * n * g.rest_root_income
    if m.injection == "direct":
        rest_pays = minted * rest_share * (1 - p.owner_cut) / 2
    from_rest = np.minimum(rest_pays * (1 - p.validator_take), g.aggregate)
    g.aggregate -= from_rest
    if funds.are_paid(m) and m.injection != "direct":
        funds.deposit(m, m.net_claims, from_rest, gate)
        m.net_claims = 0 * m.net_claims
    else:
        _pay_root(m, root, root_tao, from_rest)
    if m.injection != "direct":
        _move_prices(m, n)


def _pay_root(m, root, root_tao, from_rest):
    """TAO of root's sales, after take, and of the frozen subnets goes to all root stake, that of funds included."""
    p, g = m.p, m.g
    income = (1 - p.validator_take) * root_tao + from_rest
    g.root_yield = divide(income, root)
    for name in HOLDERS:
        setattr(g, name, getattr(g, name) * (1 + g.root_yield))
    m.me.root *= 1 + g.root_yield[:, None]
    m.funds.root_slot *= 1 + g.root_yield[:, None]
    g.root_validators += p.validator_take * root_tao + np.where(root > 0, 0, income)


def _average_flows(m, n):
    """Flow averages after the flows since the last coinbase, spread over n blocks."""
    s, kept = m.s, (1 - m.p.flow_ema_base) ** n
    for average, flow in (
        (s.user_flow_ema, m.user_flow),
        (s.protocol_flow_ema, s.protocol_flow),
    ):
        average += s.started * (1 - kept) * (flow / n - average)
        flow[...] = 0.0
    s.flow_mark = s.tao_reserve.copy()


def _share_out(m, n, weighted):
    """Emission rates and shares of the TAO; returns the share of the frozen subnets."""
    p, s, g = m.p, m.s, m.g
    issuance = s.alpha_reserve + s.alpha_outstanding
    if p.halving:
        g.block_emission = minted_per_block(SUPPLY_CAP - g.chain_issuance)
        alpha = s.started * (m.injection != "direct")
        s.alpha_emission = alpha * minted_per_block(SUPPLY_CAP - issuance)
    g.moving_price_sum = g.rest_price_sum + (s.started * s.moving_price).sum(1)
    known = np.arange(m.frozen.shape[2]) < g.rest_count[:, None]
    frozen = m.frozen[:, 0] * known, m.frozen[:, 1] * known
    if RULE[p.allocation] in GATED and p.gate_measured:
        g.gate_bar = measured_bar(p, s, g, n, frozen[0])
    root_share = divide(weighted, weighted + issuance)
    s.emission_share, rest_share = emission_shares(p, s, g, root_share, frozen)
    return rest_share


def _pay_directly(m, n):
    """Pay TAO to owners and miners; returns the rest, which goes to all stake."""
    p, s, g = m.p, m.s, m.g
    tao = n * m.emission
    others = (1 - p.owner_cut) * tao
    s.income += p.owner_cut * tao
    g.outside += (others / 2).sum(1)
    s.stake_yield = 0 * tao
    return (others / 2).sum(1)


def _terms(m, price, root_share):
    """(alpha, TAO) that enter each pool in a block, and the excess TAO that buys alpha, by the era's rule."""
    be, ae, emission = m.g.block_emission[:, None], m.s.alpha_emission, m.emission
    worth = divide(emission, price)
    if m.injection == "alpha_emission":
        return np.where(price > 0, np.minimum(worth, ae), ae), emission, 0 * emission
    cap = {
        # the 21 million end the subsidy with the alpha emission
        "subsidy": np.minimum(be, 21e6 / (4 * 7200) * ae),
        "alpha_emission_bought": ae,
        "block_emission": np.minimum(ae, be),
        "root_proportion": root_share * ae,
    }[m.injection]
    whole = (worth <= cap) & (price > 0)  # a pool without a price takes nothing
    tao = np.where(whole, emission, price * cap)
    return np.where(price > 0, np.minimum(worth, cap), 0), tao, emission - tao


def _root_sells(m, price, gate):
    """1 where root's part is sold at once, which excludes subsidised subnets, whose price is too low for their emission."""
    sells = gate & (m.dividend == "sold")
    if m.injection == "subsidy":
        sells = sells & ~(price * m.g.block_emission[:, None] < m.emission)
    return sells + 0.0


def _mint(m, n, root, gate):
    """Mint into the pools; returns root's TAO from sales and the TAO that pools could not take, both `(W,)`."""
    p, s = m.p, m.s
    weighted = p.tao_weight * root[:, None]
    issuance, ae = s.alpha_reserve + s.alpha_outstanding, s.alpha_emission
    destroyed, over_injects = p.bought_destroyed, m.injection == "alpha_emission"
    half, of_validators = (n - 1) / 2, (1 - p.owner_cut) / 2
    pools = m.pools()

    def proportion(issued):
        return divide(weighted, weighted + issued)

    # the price and the issuance that the middle block will find, from the terms of the first
    price = pools.price
    alpha_in, tao_in, excess = _terms(m, price, proportion(issuance))
    growth = alpha_in + ae - destroyed * divide(excess, price)
    share = proportion(issuance + half * growth)
    sold = _root_sells(m, price, gate) * share * of_validators * ae
    rise = divide(excess, pools.y * (1 - pools.w))
    fall = divide(sold, pools.x * pools.w)
    if over_injects:  # at another than the pool's price
        rise, fall = rise + divide(tao_in, pools.y), fall + divide(alpha_in, pools.x)
    price = price * (1 + half * rise) / (1 + half * fall)

    alpha_in, tao_in, excess = (n * a for a in _terms(m, price, share))
    sells = _root_sells(m, price, gate)
    if not (over_injects or m.balanced):
        tao_side = pools.y + tao_in
        alpha_side = pools.y * (1 - pools.w) / pools.w + price * alpha_in
        pools.w = np.where(tao_side > 0, divide(tao_side, tao_side + alpha_side), pools.w)
    there = half / n  # part of the span's changes before its mean block
    met = Pools(
        pools.y + there * tao_in,
        pools.x + there * alpha_in,
        pools.w,
        m.balanced,
        pools.before,
        max(pools.before, pools.after) if n > 1 else pools.after,
    )
    bought, paid, _ = met.buy(excess, 0.0, 0.0)
    pools.y, pools.x = pools.y + tao_in + paid, pools.x + alpha_in - bought
    kept = (1 - destroyed) * bought

    # root's part, by the issuance after the minting of the mean block
    growth = alpha_in + n * ae - (bought - kept)
    root_alpha = n * ae * of_validators * proportion(issuance + (there + 1 / n) * growth)
    late_tao = there * (pools.y - s.tao_reserve)
    late_alpha = there * (pools.x - s.alpha_reserve)
    pools.y, pools.x = pools.y - late_tao, pools.x - late_alpha
    to_sell = np.minimum(sells * root_alpha, pools.until_floor())
    sold_tao, sold, _ = pools.sell(to_sell, 0.0, 0.0)
    pools.y, pools.x = pools.y + late_tao, pools.x + late_alpha
    m.keep(pools)
    s.pool_tao_weight = pools.w
    s.protocol_flow += tao_in + paid - sold_tao

    claims = gate * (m.dividend == "claimable" or funds.are_paid(m)) * root_alpha
    _distribute(m, n, root_alpha, claims)
    # the unsold part stays outstanding and belongs to nobody
    unowned = gate * (m.dividend == "sold") * (root_alpha - sold)
    s.protocol_alpha += kept
    s.burned_alpha += unowned
    # an owner who is paid in TAO gets no alpha
    owners = 0 if m.payment == "alpha" else p.owner_cut * n * ae
    s.alpha_outstanding += n * ae - owners - root_alpha + claims + kept + unowned
    s.alpha_minted += alpha_in + n * ae
    s.alpha_recycled += owners + root_alpha - claims - sold - unowned + bought - kept
    return sold_tao.sum(1), (excess - paid).sum(1)


def _move_prices(m, n):
    """Moving prices after n blocks of the price after injection, at the speed of the middle block.

    The weight of the old price is that of the day's middle, corrected for this span by a second-order series.
    """
    s = m.s
    rate = moving_rate(m, m.g.block + (n - 1) / 2)
    step = n * (rate - s.moving_rate) / (1 - s.moving_rate)
    old = s.moving_decay * (1 - step + step**2 / 2)
    s.moving_price = old * s.moving_price + (1 - old) * np.minimum(
        m.pools().price, m.p.moving_price_cap
    )


def _distribute(m, n, root_alpha, claims):
    """Pay owner, miners and validators; compound dividends, and record claims, which funds take over where they are paid."""
    p, s = m.p, m.s
    owner = p.owner_cut * n * s.alpha_emission
    miners = (n * s.alpha_emission - owner) / 2
    dividends = miners - root_alpha
    take = p.validator_take * dividends
    staked = sum(getattr(s, name) for name in STAKED)
    staked = staked + m.staker_alpha.sum(1) + m.fund_alpha.sum(1)
    gain = divide(dividends - take, staked)
    for name in STAKED:
        setattr(s, name, getattr(s, name) * (1 + gain))
    m.staker_alpha *= 1 + gain[:, None]
    m.fund_alpha *= 1 + gain[:, None]
    m.take = take + p.validator_take * claims
    s.owner_alpha += owner * (m.payment == "alpha")
    s.miner_alpha += miners
    s.validator_alpha += m.take + np.where(staked > 0, 0, dividends - take)
    m.net_claims = (1 - p.validator_take) * claims
    s.stake_yield = gain
    if funds.are_paid(m):
        return
    holders = funds.root_of_holders(m).sum(1)
    mine = divide(m.me.root, holders[:, None])
    m.staker_claimable += mine[:, :, None] * m.net_claims[:, None]
    scripted = np.where(holders > 0, 1 - mine.sum(1), 1)
    s.scripted_claimable += m.net_claims * scripted[:, None]
