"""The market in plain NumPy: an independent second writing of the rules, and a yardstick of speed.

One object holds W worlds of N subnets that share a configuration; amounts are arrays `(W, N)`, accounts
`(W,)`, learners' holdings `(W, L, N)`. Nothing here is compiled and no rule of the engine is called: only
parameters, starting states and names of choices are imported. What this file and the engine both say of a
day, they say in different words; `tests/world/test_reference.py` holds them to each other. Builders and founders
are in `numpy_builders.py`, rules that need no more than numbers in `numpy_rules.py`.
"""

from types import SimpleNamespace

import numpy as np

from benchmarks import numpy_builders as builders
from benchmarks.numpy_builders import POPULATIONS, SECTIONS
from benchmarks.numpy_rules import (
    RULE,
    Pools,
    divide,
    emission_shares,
    minted_per_block,
    part_of,
    philox,
    refreshed_bar,
    uniforms,
    vote_shares,
)
from dtao_gym.protocol.coinbase import INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.protocol.pool import MAX_INPUT_RATIO
from dtao_gym.world.config import Config
from dtao_gym.world.parameters import PAYMENTS
from dtao_gym.world.prehistory import parameters_of_world
from dtao_gym.world.shocks import ORDER
from dtao_gym.world.state import STAKER_DTYPE, WORLD_DTYPE, State, Subnets

STAKERS, INSIDERS, CLAIMS, SCRIPTED = range(4)
ROOT_CLASSES = ("root_informed", "root_uninformed", "root_validators")
STAKED = ("owner_alpha", "validator_alpha", "informed_alpha", "uninformed_alpha")
INJECTION = {number: name for name, number in INJECTIONS.items()}
DIVIDEND = {number: name for name, number in ROOT_DIVIDENDS.items()}
PAYMENT = {number: name for name, number in PAYMENTS.items()}


class NumpyMarket:
    """Worlds that share a configuration, advanced by `step`; `state()` gives their arrays for comparison."""

    def __init__(self, config: Config, state: State):
        self.configure(config)
        self.layout = state.layout
        self.s = SimpleNamespace(**{name: state.row(name).copy() for name in Subnets._fields})
        self.g = SimpleNamespace(**{name: state.worlds[name].copy() for name in WORLD_DTYPE.names})
        self.me = SimpleNamespace(**{n: state.stakers[n].copy() for n in STAKER_DTYPE.names})
        self.validators = state.validators.copy()
        for name in SECTIONS:
            setattr(self, name, state.section(name).copy())
        # what stakers brought since the averages were last brought up to date; the engine works it out
        self.user_flow = self.s.tao_reserve - self.s.flow_mark - self.s.protocol_flow
        self.everyone = np.arange(len(self.g.day))

    def configure(self, config: Config) -> None:
        """Go on under other rules."""
        p = parameters_of_world(config)
        self.p = SimpleNamespace(**{name: p[name].item() for name in p.dtype.names})
        for name in (
            "flow_ema_base",
            "root_claim_hazard",
            "max_purse_use",
            "max_trade_of_pool",
            "trade_speed",
            "insider_holding_days",
        ):
            setattr(self.p, name, config.era_part(name))
        self.injection, self.dividend = INJECTION[self.p.injection], DIVIDEND[self.p.root_dividend]
        self.payment = PAYMENT[self.p.payment]

    def state(self) -> State:
        """A copy in the engine's arrays."""
        state = State(self.layout, len(self.g.day))
        for name in Subnets._fields:
            state.row(name)[...] = getattr(self.s, name)
        for name in SECTIONS:
            state.section(name)[...] = getattr(self, name)
        for name in WORLD_DTYPE.names:
            state.worlds[name] = getattr(self.g, name)
        for name in STAKER_DTYPE.names:
            state.stakers[name] = getattr(self.me, name)
        state.validators[...] = self.validators
        return state

    def step(self, orders=None, days=1):
        """Advance; orders `(W, L, N)`, TAO to stake or minus alpha to unstake, belong to the first day."""
        self.me.traded[...] = 0.0
        for day in range(days):
            over = np.flatnonzero(self.g.day >= self.g.last_day)
            before = [array[over].copy() for array in self._arrays()]
            self._day(orders if day == 0 else None)
            for array, old in zip(self._arrays(), before, strict=True):
                array[over] = old  # these worlds stand still

    def _arrays(self):
        """All that a day changes, each with an entry per world."""
        sections = [getattr(self, name) for name in SECTIONS]
        records = [a for part in (self.s, self.g, self.me) for a in vars(part).values()]
        return [*sections, *records, self.user_flow]

    def pools(self, who=slice(None)):
        s = self.s
        return Pools(
            s.tao_reserve[who],
            s.alpha_reserve[who],
            s.pool_tao_weight[who],
            self.balanced,
            self.p.min_reserve,
        )

    def keep(self, pools, who=slice(None)):
        self.s.tao_reserve[who], self.s.alpha_reserve[who] = pools.y, pools.x

    def _day(self, orders):
        p, s, g = self.p, self.s, self.g
        self.balanced = bool((s.pool_tao_weight == 0.5).all())
        self._start_subnets()
        self._decide()
        for index in range(p.spans_per_day):
            self._span(index, orders)
        s.stake_yield *= p.spans_per_day
        accrued = (self.net_claims * self.pools().price).sum(1)
        g.root_yield = p.spans_per_day * (g.root_yield + divide(accrued, self._all_root()))
        builders.receive_grants(self)
        builders.produce(self)
        builders.users_pay(self)
        builders.settle(self)
        s.spot_price = self.pools().price
        builders.founders_arrive(self)
        g.price_sum = s.spot_price.sum(1)
        g.emission_hhi = (s.emission_share**2).sum(1)
        self._return_money()
        self._value_stakers()
        g.day += 1

    def _all_root(self):
        return sum(getattr(self.g, name) for name in ROOT_CLASSES) + self.me.root.sum(1)

    # 1. decisions

    def _start_subnets(self):
        p, s, g = self.p, self.s, self.g
        block = g.block[:, None]
        new = (s.started == 0) & (s.start_block <= block)
        s.started[new] = 1.0
        if self.injection != "direct":
            issuance = s.alpha_reserve + s.alpha_outstanding
            s.alpha_emission[new] = minted_per_block(SUPPLY_CAP - issuance)[new]
        ours = s.registered_block >= g.genesis_block[:, None]
        s.emission_enabled[ours & (s.registered_block + p.governance_blocks <= block)] = 1.0

    def _population_wealth(self):
        s, g, price = self.s, self.g, self.pools().price
        informed = g.purse_informed + g.root_informed + (price * s.informed_alpha).sum(1)
        return informed, g.purse_uninformed + g.root_uninformed + (price * s.uninformed_alpha).sum(
            1
        )

    def _decide(self):
        p, s, g, all_ = self.p, self.s, self.g, self.everyone
        price = self.pools().price
        oldest = all_, g.day % self.price_history.shape[1]
        age = g.day + bool(p.readers_ahead)
        signal = self.signal_history[all_, age % self.signal_history.shape[1]]
        s.belief = s.belief + p.signal_gain * (signal - s.belief)
        before = self.price_history[oldest]
        known = (price > 0) & (before > 0)
        trend = np.log(np.where(known, price, 1) / np.where(known, before, 1))
        apy = 365 * s.stake_yield
        taste = p.yield_sensitivity * (apy - apy.mean(1, keepdims=True))
        heard = s.opinion + s.news - p.opinion_bias
        tilt = np.exp(np.clip(heard + p.momentum * np.clip(trend, -1, 1) + taste, -50, 50))
        informed = g.informed_weight
        if p.wealth_weights:
            mine, theirs = self._population_wealth()
            informed = np.where(mine + theirs > 0, divide(mine, mine + theirs), informed)
        f = informed[:, None]
        self._follow_money(price)
        issuance = s.alpha_reserve + s.alpha_outstanding
        dilution = np.ones_like(issuance)
        if p.dilution:
            reference = np.maximum(s.dilution_alpha, p.settled_alpha)
            dilution = np.where(issuance > 0, np.maximum(issuance, p.settled_alpha) / reference, 1)
        # a newcomer's seed price is taken for fair on its first day, less and less afterwards
        worth = p.pooled_capitalisation * tilt
        fair = price * dilution / p.price_of_capital - f * s.informed_value
        fair = np.clip(fair / np.maximum(1 - f, 1e-9) / worth - s.belief, 0, 1e12)
        trusted = np.where(s.prior < 0, fair, s.prior * p.prior_kept)
        s.prior = np.where(s.started > 0, trusted, s.prior)
        credited = s.belief + np.maximum(s.prior, 0)
        capital = f * s.informed_value + (1 - f) * worth * credited
        target = p.price_of_capital * capital / dilution * g.demand_level[:, None]
        s.valuation = target
        s.target_price = self._scarce(target, price) * s.started * (issuance > 0)
        if p.frozen_share:
            uninformed = (
                (1 - f) * p.pooled_capitalisation * credited * np.exp(s.opinion - p.opinion_bias)
            )
            self._follow_rest(price, f * s.informed_value, uninformed)
        if self.layout.n_validators:
            s.vote_share = vote_shares(p, s, g, s.belief * np.exp(heard), self.validators)
        # the moving price's speed is reckoned for the middle of the day
        middle = g.block + (BLOCKS_PER_DAY - 1) / 2
        s.moving_rate = self._moving_rate(middle)
        s.moving_decay = np.exp(BLOCKS_PER_DAY / p.spans_per_day * np.log1p(-s.moving_rate))
        self.price_history[oldest] = price
        builders.open_treasuries(self)

    def _follow_rest(self, price, informed, uninformed):
        """Moving average of all targets together over what they would be if no subnet had news of its own."""
        p, s, g = self.p, self.s, self.g
        common = np.exp(g.common_news)[:, None]
        ratio = divide(informed + uninformed * common, informed + uninformed * np.exp(s.news))
        calm = self._scarce(s.valuation * ratio, price) * (s.target_price > 0)
        excess = np.where(calm.sum(1) > 0, divide(s.target_price.sum(1), calm.sum(1)), 1)
        kept = (1 - p.moving_price_base) ** BLOCKS_PER_DAY
        g.price_excess = np.where(g.rest_share > 0, excess + kept * (g.price_excess - excess), 1)

    def _follow_money(self, price):
        """Valuations move to where stakers hold what wealth and supply make them want."""
        p, s, g = self.p, self.s, self.g
        if not p.portfolio_rate:
            return
        held = (price * (s.informed_alpha + s.uninformed_alpha)).sum(1)
        cash = g.purse_informed + g.root_informed + g.purse_uninformed + g.root_uninformed
        wanted = g.alpha_part_of_wealth * (cash + held)
        wanted *= p.staker_share_of_alpha_out * (price * s.alpha_outstanding).sum(1)
        known = (held > 0) & (wanted > 0)
        gap = np.log(np.where(known, np.sqrt(wanted), 1) / np.where(known, held, 1))
        level = g.demand_level * np.exp(p.portfolio_rate * np.clip(gap, -1, 1))
        g.demand_level = np.where(known, np.clip(level, 1e-4, 1e4), g.demand_level)

    def _scarce(self, target, price):
        """Targets by stakers' part of the alpha, after the trade that they lead to."""
        p, s, e = self.p, self.s, self.p.scarcity_elasticity
        if e == 0:
            return target
        outstanding = np.maximum(s.alpha_outstanding, 1)
        held = np.maximum(s.informed_alpha + s.uninformed_alpha, 1e-3 * outstanding)
        wanted = target * (p.staker_share_of_alpha_out * outstanding / held) ** e
        known = (price > 0) & (wanted > 0)
        start = np.where(known, price, 1)
        moved = s.alpha_reserve * s.pool_tao_weight * np.maximum(1 / held - 1 / outstanding, 0)
        damped = 1 / (1 + e * moved)
        return np.where(known, start * (np.where(known, wanted, 1) / start) ** damped, wanted)

    def _moving_rate(self, block):
        """Weight of a block in the moving price: base b / (b + h) at age b."""
        p, s = self.p, self.s
        age = np.maximum(block[:, None] - s.start_block, 0)
        maturity = 1.0
        if p.moving_price_halving_blocks > 0:
            maturity = age / (age + p.moving_price_halving_blocks)
        return p.moving_price_base * maturity * s.started

    # 2. a span

    def _span(self, index, orders):
        p, g = self.p, self.g
        blocks = BLOCKS_PER_DAY / p.spans_per_day
        self._coinbase(blocks)
        g.block += blocks
        if self.injection == "direct":
            return
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
        first = (words[3] % np.uint64(max(self.layout.n_stakers, 1))).astype(int)
        self.due = SimpleNamespace(outside=0 * g.outside, claimed=0 * g.outside, fees=0 * g.outside)
        self.due.informed, self.due.uninformed = 0 * g.outside, 0 * g.outside
        for place in range(4):
            for group in range(4):
                who = np.flatnonzero(order[:, place] == group)
                if who.size == 0:
                    continue
                if group == STAKERS and part > 0:
                    for k in range(self.layout.n_stakers):
                        self._staker_trades(
                            who, (first[who] + k) % self.layout.n_stakers, orders, part
                        )
                elif group == INSIDERS:
                    self._insiders_sell(who, blocks)
                elif group == CLAIMS and self.dividend == "claimable":
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

    def _coinbase(self, n):
        """n blocks: averages, shares, minting, injection, chain buys, root's part, dividends, moving prices."""
        p, s, g = self.p, self.s, self.g
        self._average_flows(n)
        root = self._all_root()
        rest_share = self._share_out(n, p.tao_weight * root[:, None])
        gate = (g.moving_price_sum > 1) | bool(p.root_gate_open)
        self.net_claims = 0 * s.tao_reserve
        # what is promised for the day comes first, a block at a time
        promised = s.grant_due.sum(1) / BLOCKS_PER_DAY * (p.milestone_grant_tao > 0)
        grants = n * np.minimum(promised, g.block_emission)
        minted = n * g.block_emission - grants
        self.emission = (minted / n)[:, None] * s.emission_share  # TAO a block
        if self.injection == "direct":
            root_tao, unused = self._pay_directly(n), 0.0
        else:
            if self.payment == "direct":
                s.income += n * p.owner_cut * self.emission
                self.emission = (1 - p.owner_cut) * self.emission
            root_tao, unused = self._mint(n, root, gate[:, None])

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
        if self.injection == "direct":
            rest_pays = minted * rest_share * (1 - p.owner_cut) / 2
        from_rest = np.minimum(rest_pays * (1 - p.validator_take), g.aggregate)
        g.aggregate -= from_rest
        income = (1 - p.validator_take) * root_tao + from_rest
        g.root_yield = divide(income, root)
        for name in ROOT_CLASSES:
            setattr(g, name, getattr(g, name) * (1 + g.root_yield))
        self.me.root *= 1 + g.root_yield[:, None]
        g.root_validators += p.validator_take * root_tao + np.where(root > 0, 0, income)

    def _average_flows(self, n):
        """The averages take in what has flowed since the last time, spread over n blocks."""
        s, kept = self.s, (1 - self.p.flow_ema_base) ** n
        for average, flow in (
            (s.user_flow_ema, self.user_flow),
            (s.protocol_flow_ema, s.protocol_flow),
        ):
            average += s.started * (1 - kept) * (flow / n - average)
            flow[...] = 0.0
        s.flow_mark = s.tao_reserve.copy()

    def _share_out(self, n, weighted):
        """Rates of emission and shares of the TAO; returns the share of the subnets that are not simulated."""
        p, s, g = self.p, self.s, self.g
        issuance = s.alpha_reserve + s.alpha_outstanding
        if p.halving:
            g.block_emission = minted_per_block(SUPPLY_CAP - g.chain_issuance)
            alpha = s.started * (self.injection != "direct")
            s.alpha_emission = alpha * minted_per_block(SUPPLY_CAP - issuance)
        g.moving_price_sum = g.rest_price_sum + (s.started * s.moving_price).sum(1)
        if RULE[p.allocation] == "price_burn_gate" and p.gate_from_quantile:
            g.gate_bar = refreshed_bar(p, s, g, n)
        root_share = divide(weighted, weighted + issuance)
        s.emission_share, rest_share = emission_shares(p, s, g, root_share)
        return rest_share

    def _pay_directly(self, n):
        """TAO to owners and miners; returns what is left for all who stake."""
        p, s, g = self.p, self.s, self.g
        tao = n * self.emission
        others = (1 - p.owner_cut) * tao
        s.income += p.owner_cut * tao
        g.outside += (others / 2).sum(1)
        s.stake_yield = 0 * tao
        return (others / 2).sum(1)

    def _terms(self, price, root_share):
        """(alpha, TAO) that enter each pool in a block, and the TAO that buys instead, by the era's rule."""
        be, ae, emission = self.g.block_emission[:, None], self.s.alpha_emission, self.emission
        worth = divide(emission, price)
        if self.injection == "alpha_emission":
            return np.where(price > 0, np.minimum(worth, ae), ae), emission, 0 * emission
        cap = {
            "subsidy": be,
            "alpha_emission_bought": ae,
            "block_emission": np.minimum(ae, be),
            "root_proportion": root_share * ae,
        }[self.injection]
        whole = (worth <= cap) & (price > 0)
        tao = np.where(whole, emission, price * cap)
        return np.where(price > 0, np.minimum(worth, cap), 0), tao, emission - tao

    def _root_sells(self, price, gate):
        """1 where root's part is sold at once: not in a subnet whose price is too low for its emission."""
        sells = gate & (self.dividend == "sold")
        if self.injection == "subsidy":
            sells = sells & ~(price * self.g.block_emission[:, None] < self.emission)
        return sells + 0.0

    def _mint(self, n, root, gate):
        """Root's TAO from sales, and the TAO that pools could not take, both `(W,)`."""
        p, s = self.p, self.s
        weighted = p.tao_weight * root[:, None]
        issuance, ae = s.alpha_reserve + s.alpha_outstanding, s.alpha_emission
        destroyed, over_injects = p.bought_destroyed, self.injection == "alpha_emission"
        half, of_validators = (n - 1) / 2, (1 - p.owner_cut) / 2
        pools = self.pools()

        def proportion(issued):
            return divide(weighted, weighted + issued)

        # the price and the issuance that the middle block will find, from the terms of the first
        price = pools.price
        alpha_in, tao_in, excess = self._terms(price, proportion(issuance))
        growth = alpha_in + ae - destroyed * divide(excess, price)
        share = proportion(issuance + half * growth)
        sold = self._root_sells(price, gate) * share * of_validators * ae
        rise = divide(excess, pools.y * (1 - pools.w))
        fall = divide(sold, pools.x * pools.w)
        if over_injects:  # at another than the pool's price
            rise, fall = rise + divide(tao_in, pools.y), fall + divide(alpha_in, pools.x)
        price = price * (1 + half * rise) / (1 + half * fall)

        alpha_in, tao_in, excess = (n * a for a in self._terms(price, share))
        sells = self._root_sells(price, gate)
        if not (over_injects or self.balanced):
            tao_side = pools.y + tao_in
            alpha_side = pools.y * (1 - pools.w) / pools.w + price * alpha_in
            pools.w = np.where(tao_side > 0, divide(tao_side, tao_side + alpha_side), pools.w)
        there = half / n  # part of a span's changes that has happened when its mean block comes
        met = Pools(
            pools.y + there * tao_in,
            pools.x + there * alpha_in,
            pools.w,
            self.balanced,
            pools.floor,
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
        self.keep(pools)
        s.pool_tao_weight = pools.w
        s.protocol_flow += tao_in + paid - sold_tao
        self._move_prices(n)

        claims = gate * (self.dividend == "claimable") * root_alpha
        self._distribute(n, root, root_alpha, claims)
        # what was to be sold and was not stays outstanding, and is nobody's
        unowned = gate * (self.dividend == "sold") * (root_alpha - sold)
        s.protocol_alpha += kept
        s.burned_alpha += unowned
        # an owner who is paid in TAO gets no alpha
        owners = 0 if self.payment == "alpha" else p.owner_cut * n * ae
        s.alpha_outstanding += n * ae - owners - root_alpha + claims + kept + unowned
        s.alpha_minted += alpha_in + n * ae
        s.alpha_recycled += owners + root_alpha - claims - sold - unowned + bought - kept
        return sold_tao.sum(1), (excess - paid).sum(1)

    def _move_prices(self, n):
        """Moving prices take in the price after injection, for n blocks at the speed of the middle one.

        The weight of the old price is that of the day's middle, carried to this span by a second-order series.
        """
        s = self.s
        rate = self._moving_rate(self.g.block + (n - 1) / 2)
        step = n * (rate - s.moving_rate) / (1 - s.moving_rate)
        old = s.moving_decay * (1 - step + step**2 / 2)
        s.moving_price = old * s.moving_price + (1 - old) * np.minimum(
            self.pools().price, self.p.moving_price_cap
        )

    def _distribute(self, n, root, root_alpha, claims):
        """Owner, miners and validators are paid; dividends compound, claims are noted."""
        p, s = self.p, self.s
        owner = p.owner_cut * n * s.alpha_emission
        miners = (n * s.alpha_emission - owner) / 2
        dividends = miners - root_alpha
        take = p.validator_take * dividends
        staked = sum(getattr(s, name) for name in STAKED) + self.staker_alpha.sum(1)
        gain = divide(dividends - take, staked)
        for name in STAKED:
            setattr(s, name, getattr(s, name) * (1 + gain))
        self.staker_alpha *= 1 + gain[:, None]
        self.take = take + p.validator_take * claims
        s.owner_alpha += owner * (self.payment == "alpha")
        s.miner_alpha += miners
        s.validator_alpha += self.take + np.where(staked > 0, 0, dividends - take)
        mine = divide(self.me.root, root[:, None])
        self.net_claims = (1 - p.validator_take) * claims
        self.staker_claimable += mine[:, :, None] * self.net_claims[:, None]
        scripted = np.where(root > 0, 1 - mine.sum(1), 1)
        s.scripted_claimable += self.net_claims * scripted[:, None]
        s.stake_yield = gain

    # 2d. trades, for the worlds whose turn it is

    def _staker_trades(self, who, me, orders, part):
        p, s, g = self.p, self.s, self.g
        pools, orders = self.pools(who), part * orders[who, me] * s.started[who]
        held, root = self.staker_alpha[who, me], self.me.root[who, me]
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
        self.keep(pools, who)
        self.user_flow[who] += paid - more_fee - received - fee
        self.staker_alpha[who, me] = held - sold + bought
        s.alpha_outstanding[who] += bought - sold
        g.authors[who] += (fee + more_fee).sum(1)
        self.me.root[who, me] = root - paid.sum(1)
        self.me.traded[who, me] += proceeds + paid.sum(1)

    def _insiders_sell(self, who, n):
        p, s, pools = self.p, self.s, self.pools(who)
        out = n * s.alpha_emission[who]
        owner = s.owner_sale_fraction[who] * p.owner_cut * out * (self.payment == "alpha")
        miners = p.miner_sale_fraction * (1 - p.owner_cut) / 2 * out
        validators = p.validator_sale_fraction * self.take[who]
        later = part_of(1 / p.insider_holding_days, p.spans_per_day) * (
            p.insider_holding_days < 1e9
        )
        miners = miners + later * (s.miner_alpha[who] - miners)
        validators = validators + later * (s.validator_alpha[who] - validators)
        wanted = owner + miners + validators
        received, sold, fee = pools.sell(wanted, p.pool_fee, 0.0)
        self.keep(pools, who)
        self.user_flow[who] -= received + fee
        done = divide(sold, wanted)
        s.owner_alpha[who] -= done * owner
        s.miner_alpha[who] -= done * miners
        s.validator_alpha[who] -= done * validators
        s.alpha_outstanding[who] -= sold
        earned = received * divide(owner, wanted)
        s.income[who] += earned
        self.due.outside[who] += (received - earned).sum(1)
        self.due.fees[who] += fee.sum(1)

    def _claim_root(self, who):
        p, s, g, pools = self.p, self.s, self.g, self.pools(who)
        claimed = part_of(p.root_claim_hazard, p.spans_per_day)
        scripted, mine = s.scripted_claimable[who], self.staker_claimable[who]
        offered = p.root_swap_share * claimed * (scripted + mine.sum(1))
        received, sold, _ = pools.sell(offered, 0.0, 0.0)
        self.keep(pools, who)
        s.protocol_flow[who] -= received
        s.alpha_outstanding[who] -= sold
        # a refused sale stays claimable
        happens = claimed * ((sold > 0) | (p.root_swap_share == 0))
        price = p.root_swap_share * divide(received, sold)
        informed = divide(g.root_informed[who], g.root_informed[who] + g.root_uninformed[who])[
            :, None
        ]
        kept = (1 - p.root_swap_share) * happens
        s.scripted_claimable[who] -= happens * scripted
        s.informed_alpha[who] += kept * scripted * informed
        s.uninformed_alpha[who] += kept * scripted * (1 - informed)
        self.due.claimed[who] += (happens * scripted * price).sum(1)
        self.staker_claimable[who] -= happens[:, None] * mine
        self.staker_alpha[who] += kept[:, None] * mine
        self.me.root[who] += ((happens * price)[:, None] * mine).sum(2)

    def _scripted_trade(self, who):
        p, s, g, pools = self.p, self.s, self.g, self.pools(who)
        speed, limit = (part_of(r, p.spans_per_day) for r in (p.trade_speed, p.max_trade_of_pool))
        tao, alpha = pools.to_reach(s.target_price[who])
        tao, alpha = speed * tao, speed * alpha
        held = {name: getattr(s, f"{name}_alpha")[who] for name in POPULATIONS}
        purse = {name: getattr(g, f"purse_{name}")[who] for name in POPULATIONS}
        informed_buys = divide(purse["informed"], sum(purse.values()))[:, None]
        if p.short_sales:  # nothing limits them; buys are divided as opinions are
            informed_buys = g.informed_weight[who][:, None]
        else:
            tao = np.minimum(tao, limit * pools.y)
            alpha = np.minimum(np.minimum(alpha, limit * pools.x), sum(held.values()))
            budget = part_of(p.max_purse_use, p.spans_per_day) * sum(purse.values())
            tao = tao * np.minimum(divide(budget, tao.sum(1)), 1)[:, None]
        bought, paid, fee = pools.buy(tao, p.pool_fee, 0.0)
        received, sold, more_fee = pools.sell(alpha, p.pool_fee, 0.0)
        self.keep(pools, who)
        self.user_flow[who] += paid - fee - received - more_fee
        s.alpha_outstanding[who] += bought - sold
        together = sum(held.values())
        informed_sells = np.where(together > 0, divide(held["informed"], together), informed_buys)
        buys = {"informed": informed_buys, "uninformed": 1 - informed_buys}
        sells = {"informed": informed_sells, "uninformed": 1 - informed_sells}
        for name in POPULATIONS:
            getattr(s, f"{name}_alpha")[who] += bought * buys[name] - sold * sells[name]
            getattr(self.due, name)[who] += (received * sells[name] - paid * buys[name]).sum(1)
        self.due.fees[who] += (fee + more_fee).sum(1)

    # 5. money comes back; 3 and 4 are in `numpy_builders.py`

    def _return_money(self):
        p, g = self.p, self.g
        wealth = dict(zip(POPULATIONS, self._population_wealth(), strict=True))
        returned = p.outside_return * g.outside * (sum(wealth.values()) > 0)
        g.outside -= returned
        for name in POPULATIONS:
            purse = getattr(g, f"purse_{name}") + divide(
                returned * wealth[name], sum(wealth.values())
            )
            root = getattr(g, f"root_{name}")
            moved = p.purse_rebalance * (p.purse_share * (purse + root) - purse)
            setattr(g, f"purse_{name}", purse + moved)
            setattr(g, f"root_{name}", root - moved)

    # 6. what learners have

    def _value_stakers(self):
        p, pools = self.p, self.pools()
        self.me.wealth = self.me.root.copy()
        for k in range(self.layout.n_stakers):
            net = (1 - p.pool_fee) * self.staker_alpha[:, k] + self.staker_claimable[:, k]
            fetched = pools.tao_for(net)
            given = self.staker_alpha[:, k] + self.staker_claimable[:, k]
            ok = (given > 0) & (given <= MAX_INPUT_RATIO * pools.x)
            ok &= pools.y - fetched >= pools.floor
            self.me.wealth[:, k] += (ok * np.maximum(fetched - p.flat_fee_tao, 0)).sum(1)
        self.me.log_wealth = np.log(np.maximum(self.me.wealth, 1e-12))
        self.me.ruined = self.me.wealth < p.ruin_fraction * self.me.first_wealth
