"""The rules of the market in plain NumPy, for `numpy_market.py`: numbers, the pool, emission shares, votes, founders.

Written from the description of the chain; of `dtao_gym/protocol/` only names and constants are imported.
Arrays have a row per world and, where they have a second axis, a column per subnet.
"""

import numpy as np
from scipy.special import ndtri, pdtr

from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.issuance import SUPPLY_CAP
from dtao_gym.protocol.pool import MAX_INPUT_RATIO
from dtao_gym.world.shocks import FAVOURITES

# ---------------------------------------------------------------- numbers


def divide(a, b):
    """a / b, and 0 where b is not positive."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(a.shape), where=b > 0)


def rate_per_span(rate, spans):
    """Rate of a span that compounds to `rate` over `spans` spans."""
    return -np.expm1(np.log1p(-rate) / spans) if rate < 1 else 1.0


def minted_per_block(remaining):
    """Tokens of a block: the smallest power of two that is at least remaining / cap, at most 1."""
    mantissa, exponent = np.frexp(np.asarray(remaining) / SUPPLY_CAP)
    power = np.ldexp(1.0, exponent - (mantissa == 0.5))
    return np.where(np.asarray(remaining) > 0, np.minimum(power, 1.0), 0.0)


def philox(key0, key1, *counter):
    """Four words `(4, ...)` of Philox4x64-10 for arrays of keys and counters.

    Equal to `np.random.Philox(key=[key0, key1], counter=counter).random_raw(4)`, which adds 1 to the first
    counter before it draws.
    """
    u, low, half = np.uint64, np.uint64(0xFFFFFFFF), np.uint64(32)

    def product(a, b):
        a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
        middle = a1 * b0 + ((a0 * b0) >> half)
        other = a0 * b1 + (middle & low)
        return a1 * b1 + (middle >> half) + (other >> half), a * b

    k0, k1, c0, c1, c2, c3 = np.broadcast_arrays(
        *(np.asarray(v, u) for v in (key0, key1, *counter))
    )
    with np.errstate(over="ignore"):
        c0 = c0 + u(1)
        for turn in range(10):
            high0, low0 = product(u(0xD2E7470EE14C6C93), c0)
            high1, low1 = product(u(0xCA5A826395121157), c2)
            bump0, bump1 = u(turn) * u(0x9E3779B97F4A7C15), u(turn) * u(0xBB67AE8584CAA73B)
            c0, c1, c2, c3 = high1 ^ c1 ^ (k0 + bump0), low1, high0 ^ c3 ^ (k1 + bump1), low0
    return np.stack([c0, c1, c2, c3])


def uniforms(words):
    """Uniforms in [0, 1) with 53 bits."""
    return (words >> np.uint64(11)) * 2.0**-53


def normals(words):
    """Standard normals by inversion, from the middle of each of 2**52 cells."""
    return ndtri(((words >> np.uint64(12)) + 0.5) * 2.0**-52)


# ---------------------------------------------------------------- the pool


class Pools:
    """TAO y, alpha x and weight w of TAO, for some worlds; trades change y and x and return amounts.

    With `balanced` every weight is 1/2, and powers are left out. What comes out of a trade is at least `before` in the
    pool before it and at least `after` after it.
    """

    def __init__(self, y, x, w, balanced, before, after):
        self.y, self.x, self.w, self.balanced = y, x, w, balanced
        self.before, self.after = before, after

    @property
    def price(self):
        """TAO per alpha."""
        y, x = (self.y, self.x) if self.balanced else ((1 - self.w) * self.y, self.w * self.x)
        return divide(y, x)

    def _swap(self, amount, into, out_of, exponent):
        if self.balanced:
            return out_of * divide(amount, into + amount)
        return -out_of * np.expm1(-exponent * np.log1p(divide(amount, into)))

    def alpha_for(self, tao):
        """Alpha that TAO would buy, without fee."""
        return self._swap(tao, self.y, self.x, 1.0 if self.balanced else self.w / (1 - self.w))

    def tao_for(self, alpha):
        """TAO that a sale of alpha would bring, without fee."""
        return self._swap(alpha, self.x, self.y, 1.0 if self.balanced else (1 - self.w) / self.w)

    def keeps(self, reserve, out):
        """Whether a reserve may pay `out`."""
        return (reserve >= self.before) & (reserve - out >= self.after)

    def buy(self, tao, fee_rate, flat):
        """(alpha bought, TAO paid, fee to the author); the flat fee stays in the pool."""
        fee = (tao - np.minimum(flat, tao)) * fee_rate
        net = tao - np.minimum(flat, tao) - fee
        out = self.alpha_for(net)
        ok = (net > 0) & (net <= MAX_INPUT_RATIO * self.y) & self.keeps(self.x, out)
        out, paid, fee = ok * out, ok * tao, ok * fee
        self.y, self.x = self.y + paid - fee, self.x - out
        return out, paid, fee

    def sell(self, alpha, fee_rate, flat, wanted=True):
        """(TAO received, alpha sold, fee to the author): the fee is deducted in alpha, then sold as well.

        `wanted`, a function of the TAO received, may refuse a quote.
        """
        gross = self.tao_for(alpha)
        net = self.tao_for(alpha * (1 - fee_rate)) if fee_rate > 0 else gross
        ok = (alpha > 0) & (alpha <= MAX_INPUT_RATIO * self.x) & self.keeps(self.y, gross)
        received = np.where(ok, np.maximum(net - flat, 0), 0)
        ok &= True if wanted is True else wanted(received)
        received, sold, fee = ok * received, ok * alpha, ok * (gross - net)
        self.y, self.x = self.y - received - fee, self.x + sold
        return received, sold, fee

    def until_floor(self):
        """Alpha that can be sold in small parts until the TAO reserve is at its limit (a billionth above)."""
        odds = 1.0 if self.balanced else self.w / (1 - self.w)
        times = np.maximum(self.y / (max(self.before, self.after) * (1 + 1e-9)), 1.0)
        return self.x * np.expm1(np.minimum(odds * np.log(times), 600))

    def to_reach(self, target):
        """(TAO to buy with, alpha to sell) that would bring the price to `target`; one of them is 0."""
        price = self.price
        sound = (price > 0) & (target > 0)
        gap = np.log(np.where(sound, target, 1) / np.where(sound, price, 1))
        tao = self.y * np.expm1((1 - self.w) * np.maximum(gap, 0))
        return tao, self.x * np.expm1(self.w * np.maximum(-gap, 0))


# ---------------------------------------------------------------- shares of the TAO

RULE = {number: name for name, number in ALLOCATIONS.items()}
REST = {
    "uniform": "count",
    "price": "moving_price",
    "price_burn": "burn_weighted",
    "price_rootprop": "root_weighted",
}
"""World fields with the frozen subnets' part of the sum, by rule."""
BAR_BLOCKS = 360
GATED = ("price_burn_gate", "price_burn_gate_rank")


def demand(name, p, s, root_share):
    """Claims `(W, N)` of started subnets before normalisation."""
    if name == "uniform":
        return s.started + 0.0
    price = s.started * s.moving_price**p.share_exponent
    if name == "price":
        return price
    burned = price * (1 - s.miner_burned)
    return burned * root_share if name == "price_rootprop" else burned


def demand_shares(p, s, g, listed):
    """Shares of demand, disabled subnets included: simulated ones `(W, N)`, listed frozen ones `(W, K)`.

    Demand is the burn-weighted price, where everything is burned the price. `listed` holds the frozen subnets' parts of
    their sum, which is their demand at genesis or, in one pot, their share.
    """
    claim, rest = demand("price_burn", p, s, None), g.rest_burn_weighted * (not p.frozen_share)
    nothing = ~(claim.sum(1) + rest > 0)
    claim = np.where(nothing[:, None], demand("price", p, s, None), claim)
    if p.frozen_share:
        part = share_of_rest("price_burn", p, g)[:, None]
        return (1 - part) * divide(claim, claim.sum(1)[:, None]), part * listed
    rest = np.where(nothing, g.rest_moving_price, rest)
    total = (claim.sum(1) + rest)[:, None]
    return divide(claim, total), divide(rest[:, None] * listed, total)


def measured_bar(p, s, g, n, listed):
    """The gate's bar, measured where it is 0 or a multiple of 360 blocks has passed since the last span of n blocks."""
    shares = np.concatenate(demand_shares(p, s, g, listed), axis=1)
    largest_first = -np.sort(-shares, axis=1)
    if RULE[p.allocation] == "price_burn_gate":
        place = (np.cumsum(largest_first, axis=1) >= p.gate_quantile).argmax(1)
    else:
        place = np.minimum(p.gate_rank, (shares > 0).sum(1)) - 1
    bar = largest_first[np.arange(len(place)), place]
    due = np.floor(g.block / BAR_BLOCKS) > np.floor((g.block - n) / BAR_BLOCKS)
    return np.where((due | (g.gate_bar == 0)) & (shares > 0).any(1), bar, g.gate_bar)


def gated_shares(p, s, g, enabled, listed, listed_enabled):
    """Shares through the Hill gate: of the simulated subnets `(W, N)` and of the frozen ones together `(W,)`."""
    bar = (g.gate_bar if p.gate_measured else p.gate_bar + 0 * g.gate_bar)[:, None]
    n = enabled.shape[1]
    share = np.concatenate(demand_shares(p, s, g, listed), axis=1)
    # w w^h / (w^h + bar^h) by the ratio of the two, which has no underflow
    passed = np.where(share > 0, share / (1 + divide(bar, share) ** p.gate_exponent), 0)
    passed = passed * np.concatenate([enabled, listed_enabled], axis=1)
    if p.frozen_share:  # the frozen ones keep theirs
        rest_share, passed = share_of_rest("price_burn", p, g), passed[:, :n]
        return (1 - rest_share)[:, None] * divide(passed, passed.sum(1)[:, None]), rest_share
    passed = divide(passed, passed.sum(1)[:, None])
    return passed[:, :n], passed[:, n:].sum(1)


def flow_weights(name, p, s):
    """Weights from flow averages: the part above the cutoff, or above the worst outflow if that is higher."""
    flow = s.user_flow_ema.copy()
    if name == "net_flow":
        cost = s.protocol_flow_ema
        factor = divide(np.maximum(flow, 0).sum(1), np.maximum(cost, 0).sum(1))
        flow -= np.where(cost > 0, np.minimum(factor, 1)[:, None] * cost, cost)
    floor = np.maximum(p.flow_cutoff, np.minimum(flow.min(1), 0))[:, None]
    above = np.where(flow > floor, flow - floor, 0)
    largest = above.max(1)[:, None]
    return divide(above, largest) ** p.norm_exponent * (above > 0)


def share_of_rest(name, p, g):
    """Share `(W,)` of the frozen subnets, under rules whose shares are not weights over a sum."""
    part = np.ones_like(g.rest_share)
    if p.frozen_share and name.startswith("price"):
        part = g.price_excess / ((1 - g.rest_share) * g.price_excess + g.rest_share)
    elif p.frozen_share and name == "root_vote":
        part = g.vote_part
    return 1 - part * (1 - g.rest_share)


def emission_shares(p, s, g, root_share, frozen):
    """Shares of the subnets `(W, N)` and of the frozen ones `(W,)`; `frozen` lists demand and flags of the latter."""
    name, enabled = RULE[p.allocation], s.emission_enabled * s.started
    if name in GATED:
        return gated_shares(p, s, g, enabled, *frozen)
    rest_share = share_of_rest(name, p, g)
    if name in REST:
        claim = demand(name, p, s, root_share)
        rest, rest_enabled = (getattr(g, f"rest_{e}{REST[name]}") for e in ("", "enabled_"))
        if p.frozen_share:
            rest = rest_enabled = np.zeros_like(rest)
        nobody = ~(rest + claim.sum(1) > 0)
        claim = np.where(nobody[:, None], demand("price", p, s, None), claim) * enabled
        if p.frozen_share:
            return (1 - rest_share)[:, None] * divide(claim, claim.sum(1)[:, None]), rest_share
        rest_enabled = np.where(nobody, g.rest_enabled_moving_price, rest_enabled)
        total = rest_enabled + claim.sum(1)
        return divide(claim, total[:, None]), divide(rest_enabled, total)
    simulated = (1 - rest_share)[:, None]
    if name == "root_vote":  # a vote for a disabled subnet is lost
        return simulated * s.vote_share * enabled, rest_share
    claim = flow_weights(name, p, s) * enabled
    return simulated * divide(claim, claim.sum(1)[:, None]), rest_share


def grades(score, registered, p):
    """A vote in proportion to a power of the score, 0 below a part of the mean score."""
    mean = divide(score.sum(1), registered.sum(1))[:, None]
    grade = np.where(score >= p.vote_cut * mean, score, 0) ** p.vote_power * (score > 0)
    return divide(grade, grade.sum(1)[:, None])


def favoured(p, s, g, ballot, stake):
    """Ballots `(W, V, N)` after the five largest voters have moved a part of their votes to favourites.

    Favourites are the subnets with the lowest tickets; colluding voters use the tickets of the shared set.
    """
    largest = np.argsort(-stake, axis=1, kind="stable")[:, :5]
    key, episode = g.world_key[:, None], g.episode[:, None]
    colludes = uniforms(philox(key, episode, largest, 0, 0, FAVOURITES)[0]) < p.collusion
    tickets_of = np.where(colludes, 0, 1 + largest)[:, :, None]
    stream = s.stream_id.astype(np.uint64)[:, None]
    tickets = uniforms(philox(key[:, None], episode[:, None], tickets_of, 1, stream, FAVOURITES)[0])
    registered = (s.registered_block >= 0)[:, None]
    place = np.where(registered, tickets, 2).argsort(axis=2).argsort(axis=2)
    number = np.floor(p.favourites * registered.sum(2, keepdims=True) + 0.5)
    chosen = registered & (place < np.maximum(number, 1))
    mine = np.take_along_axis(ballot, largest[:, :, None], 1)
    gift = p.favourite_share * mine.sum(2, keepdims=True)
    mine = (1 - p.favourite_share) * mine + gift * divide(chosen, chosen.sum(2, keepdims=True))
    np.put_along_axis(ballot, largest[:, :, None], mine, 1)
    return ballot


def vote_shares(p, s, g, read, validators):
    """Share of every subnet `(W, N)` after one epoch of the root network."""
    registered = s.registered_block >= 0
    voters, part = p.informed_share_voters, np.ones(len(registered))
    if p.frozen_share:  # the many frozen subnets have common news only
        calm = (s.belief * registered).sum(1) * np.exp(g.common_news)
        seen = (s.belief * registered * np.exp(s.news)).sum(1)
        excess = np.where(calm > 0, divide(seen, calm), 1)
        part = excess / ((1 - g.rest_share) * excess + g.rest_share)
    g.vote_part = voters + (1 - voters) * part
    voters = (voters / g.vote_part)[:, None]
    contributed = s.short_stock + (1 + p.voter_spillover_weight * p.spillover) * s.knowledge
    vote = voters * grades(contributed, registered, p)
    vote += (1 - voters) * grades(read * registered, registered, p)
    for_root = validators["root_share"][:, :, None]  # column 0 of a ballot (W, V, 1 + N)
    for_subnets = (1 - for_root) * vote[:, None]
    if p.favourite_share > 0:
        for_subnets = favoured(p, s, g, for_subnets, validators["stake"])
    ballot = np.concatenate([for_root, for_subnets], axis=2)
    ballot = divide(ballot, ballot.sum(2, keepdims=True))
    stake = divide(validators["stake"], validators["stake"].sum(1, keepdims=True))[:, :, None]
    trust = (stake * (ballot > 0)).sum(1)
    consensus = 1 / (1 + np.exp(-p.consensus_slope * (trust - p.consensus_midpoint)))
    weight = (stake * ballot).sum(1) * consensus
    return divide(weight, weight.sum(1, keepdims=True))[:, 1:]


# ---------------------------------------------------------------- founders


def arrivals(uniform, mean, most=32):
    """Poisson numbers by inversion, at most `most`."""
    return (uniform[:, None] >= pdtr(np.arange(most), mean)).sum(1)


def registration_cost(p, g):
    """Twice the last lock, less one lock for every interval since; the interval shrinks with the TAO emission."""
    locks_fallen = divide(g.block - g.last_lock_block, p.lock_interval_blocks * g.block_emission)
    times = np.where(g.last_lock_block == 0, 1, 2) - np.maximum(locks_fallen, 0)
    return np.maximum(g.last_lock * times, p.min_lock_tao)
