"""The market in plain NumPy: an independent second writing of the rules, and a yardstick of speed.

One object holds W worlds of N subnets that share a configuration; amounts are arrays `(W, N)`, accounts
`(W,)`, learners' holdings `(W, L, N)`. Nothing here is compiled and no rule of the engine is called: only
parameters, starting states and names of choices are imported. What this file and the engine both say of a
day, they say in different words; `tests/world/test_reference.py` holds them to each other.
"""

from types import SimpleNamespace

import numpy as np
from scipy.special import ndtri

from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.protocol.pool import MAX_INPUT_RATIO, MIN_RESERVE
from dtao_gym.world.config import Config
from dtao_gym.world.parameters import parameters
from dtao_gym.world.shocks import ECONOMY, ORDER
from dtao_gym.world.state import LEARNER_DTYPE, WORLD_DTYPE, State, Subnets

LEARNERS, INSIDERS, CLAIMS, SCRIPTED = range(4)
POPULATIONS = ("informed", "uninformed")
ROOT_CLASSES = ("root_informed", "root_uninformed", "root_validators")


# ---------------------------------------------------------------- numbers


def divide(a, b):
    """a / b, and 0 where b is not positive."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(a.shape), where=b > 0)


def part_of(rate, spans):
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
    c0 = c0 + u(1)
    for turn in range(10):
        high0, low0 = product(u(0xD2E7470EE14C6C93), c0)
        high1, low1 = product(u(0xCA5A826395121157), c2)
        with np.errstate(over="ignore"):
            bump0, bump1 = u(turn) * u(0x9E3779B97F4A7C15), u(turn) * u(0xBB67AE8584CAA73B)
        c0, c1, c2, c3 = high1 ^ c1 ^ (k0 + bump0), low1, high0 ^ c3 ^ (k1 + bump1), low0
    return np.stack([c0, c1, c2, c3])


def uniforms(words):
    """In [0, 1), 53 bits."""
    return (words >> np.uint64(11)) * 2.0**-53


def normals(words):
    """By inversion, from the middle of each of 2**52 cells."""
    return ndtri(((words >> np.uint64(12)) + 0.5) * 2.0**-52)


# ---------------------------------------------------------------- the pool


class Pools:
    """TAO y, alpha x and weight w of TAO, for some worlds; trades change y and x and return amounts.

    `balanced` says that every weight is 1/2: then powers are left out.
    """

    def __init__(self, y, x, w, balanced):
        self.y, self.x, self.w, self.balanced = y, x, w, balanced

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
        """What TAO would buy, without fee."""
        return self._swap(tao, self.y, self.x, 1.0 if self.balanced else self.w / (1 - self.w))

    def tao_for(self, alpha):
        """What alpha would fetch, without fee."""
        return self._swap(alpha, self.x, self.y, 1.0 if self.balanced else (1 - self.w) / self.w)

    def buy(self, tao, fee_rate, flat):
        """(alpha bought, TAO paid, fee to the author); the flat fee stays in the pool."""
        fee = (tao - np.minimum(flat, tao)) * fee_rate
        net = tao - np.minimum(flat, tao) - fee
        out = self.alpha_for(net)
        ok = (net > 0) & (net <= MAX_INPUT_RATIO * self.y) & (self.x - out >= MIN_RESERVE)
        out, paid, fee = ok * out, ok * tao, ok * fee
        self.y, self.x = self.y + paid - fee, self.x - out
        return out, paid, fee

    def sell(self, alpha, fee_rate, flat, wanted=True):
        """(TAO received, alpha sold, fee to the author): the fee is kept back in alpha, then sold as well.

        `wanted` may refuse a quote: a function of the TAO received.
        """
        gross = self.tao_for(alpha)
        net = self.tao_for(alpha * (1 - fee_rate)) if fee_rate > 0 else gross
        ok = (alpha > 0) & (alpha <= MAX_INPUT_RATIO * self.x) & (self.y - gross >= MIN_RESERVE)
        received = np.where(ok, np.maximum(net - flat, 0), 0)
        ok &= True if wanted is True else wanted(received)
        received, sold, fee = ok * received, ok * alpha, ok * (gross - net)
        self.y, self.x = self.y - received - fee, self.x + sold
        return received, sold, fee

    def to_reach(self, target):
        """(TAO to buy with, alpha to sell) that would bring the price to `target`; one of them is 0."""
        price = self.price
        sound = (price > 0) & (target > 0)
        gap = np.log(np.where(sound, target, 1) / np.where(sound, price, 1))
        tao = self.y * np.expm1((1 - self.w) * np.maximum(gap, 0))
        return tao, self.x * np.expm1(self.w * np.maximum(-gap, 0))


# ---------------------------------------------------------------- the market


class NumpyMarket:
    """Worlds that share a configuration, advanced by `step`; `state()` gives their arrays for comparison."""

    def __init__(self, config: Config, state: State):
        p = parameters(config)
        self.p = SimpleNamespace(**{name: p[name].item() for name in p.dtype.names})
        self.layout = state.layout
        self.s = SimpleNamespace(**{name: state.row(name).copy() for name in Subnets._fields})
        self.g = SimpleNamespace(**{name: state.worlds[name].copy() for name in WORLD_DTYPE.names})
        self.me = SimpleNamespace(**{n: state.learners[n].copy() for n in LEARNER_DTYPE.names})
        for name in ("learner_alpha", "learner_claimable", "price_history", "signal_history"):
            setattr(self, name, state.section(name).copy())
        self.claimable = self.p.root_dividend == ROOT_DIVIDENDS["claimable"]
        self.capped = self.p.injection == INJECTIONS["root_proportion"]
        self.everyone = np.arange(len(self.g.day))

    def state(self) -> State:
        """A copy in the engine's arrays."""
        state = State(self.layout, len(self.g.day))
        for name in Subnets._fields:
            state.row(name)[...] = getattr(self.s, name)
        for name in ("learner_alpha", "learner_claimable", "price_history", "signal_history"):
            state.section(name)[...] = getattr(self, name)
        for name in WORLD_DTYPE.names:
            state.worlds[name] = getattr(self.g, name)
        for name in LEARNER_DTYPE.names:
            state.learners[name] = getattr(self.me, name)
        return state

    def step(self, orders=None, days=1):
        """Advance; orders `(W, L, N)`, TAO to stake or minus alpha to unstake, belong to the first day."""
        self.me.traded[...] = 0.0
        for day in range(days):
            self._day(orders if day == 0 else None)

    def _pools(self, who=slice(None)):
        s = self.s
        return Pools(
            s.tao_reserve[who], s.alpha_reserve[who], s.pool_tao_weight[who], self.balanced
        )

    def _keep(self, pools, who=slice(None)):
        self.s.tao_reserve[who], self.s.alpha_reserve[who] = pools.y, pools.x

    def _day(self, orders):
        p, s, g = self.p, self.s, self.g
        self.balanced = bool((s.pool_tao_weight == 0.5).all())
        self._decide()
        for index in range(p.spans_per_day):
            self._span(index, orders)
        s.stake_yield *= p.spans_per_day
        accrued = (self.net_claims * self._pools().price).sum(1)
        g.root_yield = p.spans_per_day * (g.root_yield + divide(accrued, self._all_root()))
        self._produce()
        self._users_pay()
        s.spot_price = self._pools().price
        g.price_sum = s.spot_price.sum(1)
        g.emission_hhi = (s.emission_share**2).sum(1)
        g.welfare = s.true_value.sum(1)
        self._return_money()
        self._value_learners()
        g.day += 1

    def _all_root(self):
        return sum(getattr(self.g, name) for name in ROOT_CLASSES) + self.me.root.sum(1)

    # 1. decisions

    def _population_wealth(self):
        s, g, price = self.s, self.g, self._pools().price
        informed = g.purse_informed + g.root_informed + (price * s.informed_alpha).sum(1)
        return informed, g.purse_uninformed + g.root_uninformed + (price * s.uninformed_alpha).sum(
            1
        )

    def _decide(self):
        p, s, g, all_ = self.p, self.s, self.g, self.everyone
        price = self._pools().price
        oldest = all_, g.day % self.price_history.shape[1]
        signal = self.signal_history[all_, g.day % self.signal_history.shape[1]]
        trend = np.clip(np.log(price / self.price_history[oldest]), -1, 1)
        apy = 365 * s.stake_yield
        taste = p.yield_sensitivity * (apy - apy.mean(1, keepdims=True))
        uninformed_value = signal * np.exp(s.opinion + p.momentum * trend + taste)
        informed = g.informed_weight
        if p.wealth_weights:
            mine, theirs = self._population_wealth()
            informed = mine / (mine + theirs)
        f = informed[:, None]
        s.target_price = p.price_per_value * (f * s.true_value + (1 - f) * uninformed_value)
        if p.dilution:
            s.target_price *= s.alpha_genesis / (s.alpha_reserve + s.alpha_outstanding)
        self.price_history[oldest] = price
        g.outside += (p.spend_rate * s.treasury).sum(1)
        s.treasury *= 1 - p.spend_rate

    # 2. a span

    def _span(self, index, orders):
        p, g = self.p, self.g
        blocks = BLOCKS_PER_DAY / p.spans_per_day
        self._coinbase(blocks)
        words = philox(g.world_key, g.episode, index, g.day, 0, ORDER)
        u = uniforms(words)
        order = np.tile(np.arange(4), (len(g.day), 1))
        for place in range(3):  # Fisher and Yates, from the left
            other = place + (np.floor(u[place] * (4 - place)) if place < 2 else u[2] < 0.5)
            pair = self.everyone, np.stack([np.full_like(g.day, place), other.astype(int)])
            order[pair] = order[pair][::-1]
        part = 0.0
        if orders is not None:
            part = 1 / p.spans_per_day if p.twap else float(index == 0)
        first = (words[3] % np.uint64(max(self.layout.n_learners, 1))).astype(int)
        self.due = SimpleNamespace(outside=0 * g.outside, claimed=0 * g.outside, fees=0 * g.outside)
        self.due.informed, self.due.uninformed = 0 * g.outside, 0 * g.outside
        for place in range(4):
            for group in range(4):
                who = np.flatnonzero(order[:, place] == group)
                if who.size == 0:
                    continue
                if group == LEARNERS and part > 0:
                    for k in range(self.layout.n_learners):
                        self._learner_trades(
                            who, (first[who] + k) % self.layout.n_learners, orders, part
                        )
                elif group == INSIDERS:
                    self._insiders_sell(who, blocks)
                elif group == CLAIMS and self.claimable:
                    self._claim_root(who)
                elif group == SCRIPTED:
                    self._scripted_trade(who)
        g.outside += self.due.outside
        g.authors += self.due.fees
        g.purse_informed += self.due.informed
        g.purse_uninformed += self.due.uninformed
        scripted = sum(getattr(g, name) for name in ROOT_CLASSES)
        for name in ROOT_CLASSES:
            setattr(g, name, getattr(g, name) * (1 + divide(self.due.claimed, scripted)))
        g.root_validators += np.where(scripted > 0, 0, self.due.claimed)
        g.block += blocks

    def _shares(self):
        """Shares of the subnets `(W, N)` and of those not simulated `(W,)`."""
        s, g, rule = self.s, self.g, self.p.allocation
        m = s.moving_price
        demand, rest, rest_enabled = np.ones_like(m), g.rest_count, g.rest_enabled_count
        if rule == ALLOCATIONS["price"]:
            demand, rest, rest_enabled = m, g.rest_moving_price, g.rest_enabled_moving_price
        elif rule == ALLOCATIONS["price_burn"]:
            demand = m * (1 - s.miner_burned)
            rest, rest_enabled = g.rest_burn_weighted, g.rest_enabled_burn_weighted
        nobody = ~(rest + demand.sum(1) > 0)
        demand = np.where(nobody[:, None], m, demand) * s.emission_enabled
        rest_enabled = np.where(nobody, g.rest_enabled_moving_price, rest_enabled)
        total = rest_enabled + demand.sum(1)
        return divide(demand, total[:, None]), divide(rest_enabled, total)

    def _coinbase(self, n):
        p, s, g = self.p, self.s, self.g
        if p.halving:
            g.block_emission = minted_per_block(SUPPLY_CAP - g.chain_issuance)
            s.alpha_emission = minted_per_block(SUPPLY_CAP - s.alpha_reserve - s.alpha_outstanding)
        s.emission_share, rest_share = self._shares()
        g.moving_price_sum = g.rest_moving_price + s.moving_price.sum(1)
        gate = (g.moving_price_sum > 1) | bool(p.root_gate_open)
        root = self._all_root()
        weighted = p.tao_weight * root[:, None]
        issuance, ae = s.alpha_reserve + s.alpha_outstanding, s.alpha_emission
        emission = g.block_emission[:, None] * s.emission_share  # TAO per block
        pools, half = self._pools(), (n - 1) / 2

        # injection and chain buy, from the price and the issuance of the middle block
        price, share = pools.price, weighted / (weighted + issuance)
        cap = share * ae if self.capped else ae
        wanted = np.where(price > 0, divide(emission, price), 0 if self.capped else np.inf)
        alpha_in = np.minimum(wanted, cap)
        excess = np.maximum(emission - price * alpha_in, 0) if self.capped else 0 * emission
        share = weighted / (weighted + issuance + half * (alpha_in + ae))
        sold = 0 if self.claimable else gate[:, None] * share * (1 - p.owner_cut) / 2 * ae
        rise = divide(excess, pools.y * (1 - pools.w))
        fall = divide(sold, pools.x * pools.w)
        if not self.capped:  # not at the pool's own price
            rise, fall = rise + divide(emission, pools.y), fall + divide(alpha_in, pools.x)
        price = price * (1 + half * rise) / (1 + half * fall)
        if self.capped:
            cap = share * ae
            alpha_in = n * np.minimum(divide(emission, price), cap)
            tao_in = alpha_in * price
            excess = np.maximum(n * emission - tao_in, 0)
            if not self.balanced:
                tao_side, alpha_side = (
                    pools.y + tao_in,
                    pools.y * (1 - pools.w) / pools.w + price * alpha_in,
                )
                weight = divide(tao_side, tao_side + alpha_side)
                pools.w = weight
        else:
            alpha_in = n * np.where(price > 0, np.minimum(divide(emission, price), ae), ae)
            tao_in, excess = n * emission, 0 * emission
        there = half / n  # part of the injection that is in the pool when the mean block buys
        met = Pools(pools.y + there * tao_in, pools.x + there * alpha_in, pools.w, self.balanced)
        bought, paid, _ = met.buy(excess, 0.0, 0.0)
        unused, excess = excess - paid, paid
        pools.y, pools.x = pools.y + tao_in + excess, pools.x + alpha_in - bought

        # alpha for the participants; root's part counts the block's own minting
        later = issuance + (half + 1) * (alpha_in / n + ae)
        out = n * ae
        owner = p.owner_cut * out
        miners = (out - owner) / 2
        root_alpha = miners * weighted / (weighted + later)
        claims, sold, sold_tao = 0 * out, 0 * out, 0 * out
        if self.claimable:
            claims = gate[:, None] * root_alpha
        else:  # a pool that cannot take it leaves root's alpha to be recycled
            late_tao, late_alpha = (
                there * (pools.y - s.tao_reserve),
                there * (pools.x - s.alpha_reserve),
            )
            pools.y, pools.x = pools.y - late_tao, pools.x - late_alpha
            sold_tao, sold, _ = pools.sell(gate[:, None] * root_alpha, 0.0, 0.0)
            pools.y, pools.x = pools.y + late_tao, pools.x + late_alpha
        self._keep(pools)
        s.pool_tao_weight = pools.w
        rate = p.moving_price_base
        if p.moving_price_halving_blocks > 0:
            age = g.block[:, None] + half - s.start_block
            rate = rate * age / (age + p.moving_price_halving_blocks)
        old = np.exp(n * np.log1p(-rate))
        s.moving_price = old * s.moving_price + (1 - old) * np.minimum(pools.price, 1)

        # dividends: validators take their part, the rest compounds to all who stake alpha
        dividends = miners - root_alpha
        take = p.validator_take * dividends
        holders = ("owner_alpha", "validator_alpha", "informed_alpha", "uninformed_alpha")
        staked = sum(getattr(s, name) for name in holders) + self.learner_alpha.sum(1)
        gain = divide(dividends - take, staked)
        for name in holders:
            setattr(s, name, getattr(s, name) * (1 + gain))
        self.learner_alpha *= 1 + gain[:, None]
        self.take = take + p.validator_take * claims
        s.owner_alpha += owner
        s.miner_alpha += miners
        s.validator_alpha += self.take + np.where(staked > 0, 0, dividends - take)
        mine = divide(self.me.root, root[:, None])
        net_claims = (1 - p.validator_take) * claims
        self.learner_claimable += mine[:, :, None] * net_claims[:, None]
        scripted = np.where(root > 0, 1 - mine.sum(1), 1)
        s.scripted_claimable += net_claims * scripted[:, None]
        s.protocol_alpha += bought
        s.alpha_outstanding += bought + out - root_alpha + claims
        s.alpha_minted += alpha_in + out
        s.alpha_recycled += root_alpha - claims - sold
        s.stake_yield = gain

        # TAO
        minted = n * g.block_emission
        wasted = np.where(rest_share + s.emission_share.sum(1) > 0, unused.sum(1), minted)
        g.minted += minted
        g.recycled += wasted
        g.chain_issuance += minted - wasted
        g.aggregate += minted * rest_share
        from_rest = np.minimum(gate * n * g.rest_root_income * (1 - p.validator_take), g.aggregate)
        g.aggregate -= from_rest
        sold_tao = sold_tao.sum(1)
        rate = divide((1 - p.validator_take) * sold_tao + from_rest, root)
        for name in ROOT_CLASSES:
            setattr(g, name, getattr(g, name) * (1 + rate))
        self.me.root *= 1 + rate[:, None]
        g.root_validators += p.validator_take * sold_tao
        g.root_yield = rate
        self.net_claims = net_claims

    # 2d. trades, for the worlds whose turn it is

    def _learner_trades(self, who, me, orders, part):
        p, s, g = self.p, self.s, self.g
        pools, orders = self._pools(who), part * orders[who, me]
        held, root = self.learner_alpha[who, me], self.me.root[who, me]
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
        self._keep(pools, who)
        self.learner_alpha[who, me] = held - sold + bought
        s.alpha_outstanding[who] += bought - sold
        g.authors[who] += (fee + more_fee).sum(1)
        self.me.root[who, me] = root - paid.sum(1)
        self.me.traded[who, me] += proceeds + paid.sum(1)

    def _insiders_sell(self, who, n):
        p, s, pools = self.p, self.s, self._pools(who)
        out = n * s.alpha_emission[who]
        owner = p.owner_sale_fraction * p.owner_cut * out
        miners = p.miner_sale_fraction * (1 - p.owner_cut) / 2 * out
        validators = p.validator_sale_fraction * self.take[who]
        wanted = owner + miners + validators
        received, sold, fee = pools.sell(wanted, p.pool_fee, 0.0)
        self._keep(pools, who)
        done = divide(sold, wanted)
        s.owner_alpha[who] -= done * owner
        s.miner_alpha[who] -= done * miners
        s.validator_alpha[who] -= done * validators
        s.alpha_outstanding[who] -= sold
        kept = received * divide(p.reinvest_share * owner, wanted)
        s.treasury[who] += kept
        self.due.outside[who] += (received - kept).sum(1)
        self.due.fees[who] += fee.sum(1)

    def _claim_root(self, who):
        p, s, g, pools = self.p, self.s, self.g, self._pools(who)
        claimed = part_of(p.root_claim_hazard, p.spans_per_day)
        scripted, mine = s.scripted_claimable[who], self.learner_claimable[who]
        offered = p.root_swap_share * claimed * (scripted + mine.sum(1))
        received, sold, _ = pools.sell(offered, 0.0, 0.0)
        self._keep(pools, who)
        s.alpha_outstanding[who] -= sold
        happens = claimed * (
            (sold > 0) | (p.root_swap_share == 0)
        )  # a refused sale stays claimable
        price = p.root_swap_share * divide(received, sold)
        informed = divide(g.root_informed[who], g.root_informed[who] + g.root_uninformed[who])[
            :, None
        ]
        kept = (1 - p.root_swap_share) * happens
        s.scripted_claimable[who] -= happens * scripted
        s.informed_alpha[who] += kept * scripted * informed
        s.uninformed_alpha[who] += kept * scripted * (1 - informed)
        self.due.claimed[who] += (happens * scripted * price).sum(1)
        self.learner_claimable[who] -= happens[:, None] * mine
        self.learner_alpha[who] += kept[:, None] * mine
        self.me.root[who] += ((happens * price)[:, None] * mine).sum(2)

    def _scripted_trade(self, who):
        p, s, g, pools = self.p, self.s, self.g, self._pools(who)
        speed, limit = (part_of(r, p.spans_per_day) for r in (p.trade_speed, p.max_trade_of_pool))
        tao, alpha = pools.to_reach(s.target_price[who])
        tao = np.minimum(speed * tao, limit * pools.y)
        held = {name: getattr(s, f"{name}_alpha")[who] for name in POPULATIONS}
        alpha = np.minimum(np.minimum(speed * alpha, limit * pools.x), sum(held.values()))
        purse = {name: getattr(g, f"purse_{name}")[who] for name in POPULATIONS}
        budget = part_of(p.max_purse_use, p.spans_per_day) * sum(purse.values())
        scale = np.minimum(divide(budget, tao.sum(1)), 1)[:, None]
        bought, paid, fee = pools.buy(scale * tao, p.pool_fee, 0.0)
        received, sold, more_fee = pools.sell(alpha, p.pool_fee, 0.0)
        self._keep(pools, who)
        s.alpha_outstanding[who] += bought - sold
        informed_buys = divide(purse["informed"], sum(purse.values()))[:, None]
        informed_sells = divide(held["informed"], sum(held.values()))
        buys = {"informed": informed_buys, "uninformed": 1 - informed_buys}
        sells = {"informed": informed_sells, "uninformed": 1 - informed_sells}
        for name in POPULATIONS:
            getattr(s, f"{name}_alpha")[who] += bought * buys[name] - sold * sells[name]
            getattr(self.due, name)[who] += (received * sells[name] - paid * buys[name]).sum(1)
        self.due.fees[who] += (fee + more_fee).sum(1)

    # 3. value, and what users pay for it

    def _produce(self):
        p, s, g = self.p, self.s, self.g
        key, episode, day = g.world_key[:, None], g.episode[:, None], g.day[:, None]
        for_value, for_opinion, for_signal = normals(
            philox(key, episode, 0, day, s.stream_id.astype(np.uint64), ECONOMY)[:3]
        )
        drawn = p.value_innovation_sd * for_value
        s.true_value = (
            s.value_anchor * (s.true_value / s.value_anchor) ** p.value_persistence * np.exp(drawn)
        )
        s.opinion = p.opinion_persistence * s.opinion + p.opinion_innovation_sd * for_opinion
        signal = s.true_value * np.exp(p.signal_noise_sd * for_signal)
        self.signal_history[self.everyone, g.day % self.signal_history.shape[1]] = signal

    def _users_pay(self):
        p, s, g, pools = self.p, self.s, self.g, self._pools()
        wish = p.revenue_share * s.true_value
        due = wish.sum(1)
        paid_part = np.minimum(divide(g.outside, due), 1)
        bought, paid, fee = pools.buy(paid_part[:, None] * wish, p.pool_fee, 0.0)
        self._keep(pools)
        s.alpha_recycled += bought
        g.revenue_paid = paid.sum(1)
        g.revenue_rationed = due * (1 - paid_part)
        g.outside -= g.revenue_paid
        g.authors += fee.sum(1)

    # 4. money comes back

    def _return_money(self):
        p, g = self.p, self.g
        wealth = dict(zip(POPULATIONS, self._population_wealth(), strict=True))
        returned = p.outside_return * g.outside
        g.outside -= returned
        for name in POPULATIONS:
            purse = getattr(g, f"purse_{name}") + returned * wealth[name] / sum(wealth.values())
            root = getattr(g, f"root_{name}")
            moved = p.purse_rebalance * (p.purse_share * (purse + root) - purse)
            setattr(g, f"purse_{name}", purse + moved)
            setattr(g, f"root_{name}", root - moved)

    # 5. what learners have

    def _value_learners(self):
        p, pools = self.p, self._pools()
        self.me.wealth = self.me.root.copy()
        for k in range(self.layout.n_learners):
            net = (1 - p.pool_fee) * self.learner_alpha[:, k] + self.learner_claimable[:, k]
            fetched = pools.tao_for(net)
            given = self.learner_alpha[:, k] + self.learner_claimable[:, k]
            ok = (given > 0) & (given <= MAX_INPUT_RATIO * pools.x)
            ok &= pools.y - fetched >= MIN_RESERVE
            self.me.wealth[:, k] += (ok * np.maximum(fetched - p.flat_fee_tao, 0)).sum(1)
        self.me.log_wealth = np.log(np.maximum(self.me.wealth, 1e-12))
