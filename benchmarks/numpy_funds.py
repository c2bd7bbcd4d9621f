"""Root funds in plain NumPy, for `numpy_market.py`: deposits, claims, their worth, the change from claimable alpha.

Each function takes the market `m`: figures of funds `m.funds` `(W, F)`, their holdings `m.fund_alpha` `(W, F, N)`, and
the shares that holders may claim `m.fund_owed` `(W, F, H)`. Written from the description of the chain; of
`dtao_gym/protocol/root_fund.py` and `dtao_gym/world/funds.py` nothing is used.
"""

import numpy as np

from benchmarks.numpy_rules import divide, rate_per_span
from dtao_gym.protocol.pool import MAX_INPUT_RATIO
from dtao_gym.world.state import HOLDERS


def are_paid(m):
    """Whether root's dividends go to funds."""
    return m.dividend.startswith("fund")


def root_of_holders(m):
    """Root stake of each holder `(W, H)`: scripted classes, then stakers; without what funds have on root."""
    scripted = np.stack([getattr(m.g, name) for name in HOLDERS], axis=1)
    return np.concatenate([scripted, m.me.root], axis=1)


def fetched(m, pools, alpha):
    """TAO `(W, N)` that a sale would fetch, without fee, for equal funds each of which has the pool to itself."""
    return m.p.equal_funds * pools.tao_for(alpha / m.p.equal_funds)


def net_value(m, pools, k, who=slice(None)):
    """TAO `(W,)` that a sale of everything in fund k would fetch."""
    return fetched(m, pools, m.fund_alpha[who, k]).sum(1) + m.funds.root_slot[who, k]


# ---------------------------------------------------------------- deposits


def deposit(m, credits, tao, gate):
    """Put root's alpha `(W, N)` and TAO `(W,)` of a span into the funds where root's gate is open, for new shares."""
    f, g = m.funds, m.g
    roots = root_of_holders(m)
    holders = roots.sum(1)
    parts = f.part * holders[:, None] + f.root_slot
    parts = divide(parts, (holders + f.root_slot.sum(1))[:, None])
    g.aggregate += np.where(parts.any(1), 0, tao)  # nobody has root stake
    income = 0 * holders
    for k in range(f.part.shape[1]):
        curated = k > 0 and m.dividend == "fund_curated"
        put_in = _sell_and_buy if curated else _keep
        added = put_in(m, k, parts[:, [k]] * credits, parts[:, k] * tao, roots)
        income += added
    g.has_funds |= gate
    g.root_yield = divide(income, holders)


def _keep(m, k, credits, tao, roots):
    """Deposit in place; returns the value that enters for holders, 0 where the deposit is refused."""
    f, s, g, pools = m.funds, m.s, m.g, m.pools()
    held = m.fund_alpha[:, k]
    before = net_value(m, pools, k)
    value = (fetched(m, pools, held + credits) - fetched(m, pools, held)).sum(1) + tao
    done, mine = _grant(m, k, value, before, f.root_slot[:, k], roots)
    m.fund_alpha[:, k] += done[:, None] * credits
    f.root_slot[:, k] += done * tao
    refused = ~done[:, None] * credits
    s.alpha_outstanding -= refused
    s.alpha_recycled += refused
    g.aggregate += ~done * tao
    return mine


def _sell_and_buy(m, k, credits, tao, roots):
    """Deposit of a curated fund: everything is sold, then spent by the fund's weights; returns as `_keep` does."""
    f, s, pools = m.funds, m.s, m.pools()
    received, sold, _ = pools.sell(credits, 0.0, 0.0)
    before = net_value(m, pools, k)
    tao = tao + received.sum(1)
    bought, paid, _ = pools.buy(tao[:, None] * m.fund_weight[:, k], 0.0, 0.0)
    m.keep(pools)
    s.protocol_flow += paid - received
    s.alpha_outstanding += bought - credits
    s.alpha_recycled += credits - sold
    m.fund_alpha[:, k] += bought
    f.root_slot[:, k] += tao - paid.sum(1)
    value = net_value(m, pools, k) - before
    return _grant(m, k, value, before, f.root_slot[:, k], roots)[1]


def _grant(m, k, value, before, slot, roots):
    """Shares of fund k for added value; returns whether any were granted, and the part of the value that is holders'."""
    f = m.funds
    holders = roots.sum(1)
    with_fund = f.part[:, k] * holders
    shares = f.shares[:, k]
    mine = value * divide(with_fund, with_fund + slot)
    worthless = np.where(shares <= mine / 100, mine, 0)  # old shares of nothing are diluted away
    new = np.where(before > 0, divide(mine * shares, before), worthless)
    new = np.where(shares > 0, new, mine)
    done = new > 0
    new = np.where(done, new, 0)
    f.shares[:, k] += new
    f.rate[:, k] += divide(new, with_fund)
    f.deposited[:, k] += done * value
    m.fund_owed[:, k] += divide(new, holders)[:, None] * roots
    _rescale(m, k)
    return done, done * mine


def _rescale(m, k):
    """Reset the shares of fund k to one where they exceed 1e100, and to none where they are below 1e-100."""
    f = m.funds
    shares = f.shares[:, k]
    factor = np.where(shares > 1e100, divide(np.ones_like(shares), shares), shares >= 1e-100)
    m.fund_owed[:, k] *= factor[:, None]
    f.rate[:, k] *= factor
    f.shares[:, k] *= factor


# ---------------------------------------------------------------- claims


def claim(m, who):
    """A part of what funds owe is claimed: that part of the holdings is sold, and paid at most by net value."""
    f, s, g = m.funds, m.s, m.g
    x = rate_per_span(m.p.root_claim_hazard, m.p.spans_per_day)
    for k in range(f.part.shape[1]):
        pools, owed = m.pools(who), m.fund_owed[who, k]
        exists = f.shares[who, k] > 0
        worth = net_value(m, pools, k, who)
        received, sold, _ = pools.sell(x * exists[:, None] * m.fund_alpha[who, k], 0.0, 0.0)
        m.keep(pools, who)
        s.protocol_flow[who] -= received
        s.alpha_outstanding[who] -= sold
        m.fund_alpha[who, k] -= sold
        slot = f.root_slot[who, k]
        got = exists * (received.sum(1) + x * slot)
        paid = np.minimum(got, exists * x * worth)
        f.root_slot[who, k] = np.where(exists, (1 - x) * slot + (got - paid), slot)
        f.redeemed[who, k] += paid
        m.fund_owed[who, k] = (1 - x) * owed
        f.shares[who, k] = m.fund_owed[who, k].sum(1)  # every share is owed to somebody
        gains = paid[:, None] * divide(owed, owed.sum(1)[:, None])
        for holder, name in enumerate(HOLDERS):
            getattr(g, name)[who] += gains[:, holder]
        m.me.root[who] += gains[:, len(HOLDERS) :]


def appraise_funds(m):
    """Worth of the funds at the end of the day, and of what they owe to stakers."""
    f, pools, first = m.funds, m.pools(), len(HOLDERS)
    some = m.g.has_funds
    m.me.fund_claim = 0 * m.me.wealth
    for k in range(f.part.shape[1]):
        worth = net_value(m, pools, k)
        f.value[:, k] = np.where(some, worth, f.value[:, k])
        for j in range(m.layout.n_stakers):
            part = divide(m.fund_owed[:, k, first + j], f.shares[:, k])
            offered = part[:, None] * m.fund_alpha[:, k]
            tao = pools.tao_for(offered)
            ok = (offered <= MAX_INPUT_RATIO * pools.x) & pools.keeps(pools.y, tao)
            got = (ok * tao).sum(1) + part * f.root_slot[:, k]
            m.me.fund_claim[:, j] += some * np.minimum(got, part * worth)


# ---------------------------------------------------------------- changes


def open_funds(m):
    """On the first day of funds all claimable alpha becomes holdings, and its claims shares, by value."""
    f, s, g, pools = m.funds, m.s, m.g, m.pools()
    opens = are_paid(m) & ~g.funds_open
    g.funds_open = np.full_like(g.funds_open, are_paid(m))
    if not opens.any():
        return
    roots = root_of_holders(m)[:, : len(HOLDERS)]
    among = divide(roots, roots.sum(1)[:, None])
    among[roots.sum(1) <= 0] = [name == "root_validators" for name in HOLDERS]
    claims = np.concatenate([s.scripted_claimable[:, None], m.staker_claimable], axis=1)
    claims = claims * opens[:, None, None]
    together = claims.sum(1)
    for k in range(f.part.shape[1]):
        before, held = net_value(m, pools, k), m.fund_alpha[:, k]
        more = held + f.part[:, [k]] * together
        value = fetched(m, pools, more) - fetched(m, pools, held)
        per_tao = np.where(f.shares[:, k] > 0, divide(f.shares[:, k], before), 1)
        shares = per_tao[:, None] * (value[:, None] * divide(claims, together[:, None])).sum(2)
        m.fund_alpha[:, k] = more
        f.shares[:, k] += shares.sum(1)
        m.fund_owed[:, k, : len(HOLDERS)] += shares[:, :1] * among
        m.fund_owed[:, k, len(HOLDERS) :] += shares[:, 1:]
    s.scripted_claimable[opens] = 0.0
    m.staker_claimable[opens] = 0.0
    g.has_funds |= (together > 0).any(1)


def leave_subnet(m, w, i):
    """Before a subnet is dissolved every fund sells its holding into the pool, without fee or limit."""
    s = m.s
    for k in range(m.fund_alpha.shape[1]):
        pools = m.pools(np.array([w]))
        held = m.fund_alpha[w, k, i]
        tao = pools.tao_for(held)[0, i]
        s.tao_reserve[w, i] -= tao
        s.alpha_reserve[w, i] += held
        s.alpha_outstanding[w, i] -= held
        m.funds.root_slot[w, k] += tao
        m.fund_alpha[w, k, i] = 0.0
