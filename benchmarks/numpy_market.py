"""The market in plain NumPy: an independent second implementation of the rules, and a reference for speed.

One object holds W worlds of N subnets that share a configuration; amounts are arrays `(W, N)`, accounts `(W,)`, stakers'
holdings `(W, L, N)`. Nothing here is compiled and no rule of the engine is called: only parameters, starting states and
names of choices are imported. `tests/world/test_reference.py` compares it with the engine. The coinbase is in
`numpy_coinbase.py`, trades in `numpy_trades.py`, root funds in `numpy_funds.py`, builders and founders in
`numpy_builders.py`, rules that need numbers alone in `numpy_rules.py`.
"""

from types import SimpleNamespace

import numpy as np

from benchmarks import numpy_builders as builders
from benchmarks import numpy_coinbase as coinbase
from benchmarks import numpy_funds as funds
from benchmarks import numpy_trades as trades
from benchmarks.numpy_builders import POPULATIONS, SECTIONS
from benchmarks.numpy_rules import (
    Pools,
    divide,
    minted_per_block,
    philox,
    uniforms,
    vote_shares,
)
from dtao_gym.protocol.coinbase import INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.protocol.pool import MAX_INPUT_RATIO
from dtao_gym.world.config import Config
from dtao_gym.world.parameters import PAYMENTS, claim_hazard
from dtao_gym.world.prehistory import parameters_of_world
from dtao_gym.world.shocks import GOVERNANCE, ORDER
from dtao_gym.world.state import FUND_DTYPE, STAKER_DTYPE, WORLD_DTYPE, State, Subnets

STAKERS, INSIDERS, CLAIMS, SCRIPTED = range(4)
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
        self.funds = SimpleNamespace(**{n: state.funds[n].copy() for n in FUND_DTYPE.names})
        self.fund_owed, self.frozen = state.fund_owed.copy(), state.frozen.copy()
        for name in SECTIONS:
            setattr(self, name, state.section(name).copy())
        # net TAO of stakers since the flow averages were updated; the engine derives it from reserves
        self.user_flow = self.s.tao_reserve - self.s.flow_mark - self.s.protocol_flow
        self.everyone = np.arange(len(self.g.day))

    def configure(self, config: Config) -> None:
        """Change the configuration from the next day on."""
        p, before = parameters_of_world(config), getattr(self, "p", None)
        self.p = SimpleNamespace(**{name: p[name].item() for name in p.dtype.names})
        if before is not None:  # a new rule of the bar is applied at once
            ways = [(m.allocation, m.gate_rank, m.gate_quantile) for m in (before, self.p)]
            self.g.gate_bar[:] = np.where(ways[0] == ways[1], self.g.gate_bar, 0)
        for name in (
            "flow_ema_base",
            "max_purse_use",
            "max_trade_of_pool",
            "trade_speed",
            "insider_holding_days",
        ):
            setattr(self.p, name, config.era_part(name))
        self.p.root_claim_hazard = claim_hazard(config)
        self.injection, self.dividend = INJECTION[self.p.injection], DIVIDEND[self.p.root_dividend]
        self.payment = PAYMENT[self.p.payment]

    def state(self) -> State:
        """A copy of the state in the engine's arrays."""
        state = State(self.layout, len(self.g.day))
        for name in Subnets._fields:
            state.row(name)[...] = getattr(self.s, name)
        for name in SECTIONS:
            state.section(name)[...] = getattr(self, name)
        for name in WORLD_DTYPE.names:
            state.worlds[name] = getattr(self.g, name)
        for name in STAKER_DTYPE.names:
            state.stakers[name] = getattr(self.me, name)
        for name in FUND_DTYPE.names:
            state.funds[name] = getattr(self.funds, name)
        state.validators[...] = self.validators
        state.fund_owed[...], state.frozen[...] = self.fund_owed, self.frozen
        return state

    def step(self, orders=None, days=1):
        """Advance by `days`; orders `(W, L, N)`, TAO to stake or minus alpha to unstake, are executed on the first day."""
        self.me.traded[...] = 0.0
        for day in range(days):
            ended = np.flatnonzero(self.g.day >= self.g.last_day)
            before = [array[ended].copy() for array in self._arrays()]
            self._day(orders if day == 0 else None)
            for array, old in zip(self._arrays(), before, strict=True):
                array[ended] = old  # these worlds do not change

    def _arrays(self):
        """All arrays that a day changes, each with an entry per world."""
        sections = [getattr(self, name) for name in SECTIONS]
        parts = (self.s, self.g, self.me, self.funds)
        records = [a for part in parts for a in vars(part).values()]
        return [*sections, *records, self.user_flow, self.fund_owed]

    def pools(self, who=slice(None)):
        """Pools of some worlds."""
        s = self.s
        return Pools(
            s.tao_reserve[who],
            s.alpha_reserve[who],
            s.pool_tao_weight[who],
            self.balanced,
            self.p.min_reserve_before,
            self.p.min_reserve_after,
        )

    def keep(self, pools, who=slice(None)):
        """Take over the reserves of pools after trades."""
        self.s.tao_reserve[who], self.s.alpha_reserve[who] = pools.y, pools.x

    def _day(self, orders):
        p, s, g = self.p, self.s, self.g
        self.balanced = bool((s.pool_tao_weight == 0.5).all())
        self._start_subnets()
        self._switch_emissions()
        funds.open_funds(self)
        self._decide()
        for index in range(p.spans_per_day):
            self._span(index, orders)
        s.stake_yield *= p.spans_per_day
        accrued = (self.net_claims * self.pools().price).sum(1)
        holders = funds.root_of_holders(self).sum(1)
        g.root_yield = p.spans_per_day * (g.root_yield + divide(accrued, holders))
        builders.receive_grants(self)
        builders.produce(self)
        builders.users_pay(self)
        builders.settle(self)
        s.spot_price = self.pools().price
        builders.founders_arrive(self)
        g.price_sum = s.spot_price.sum(1)
        g.emission_hhi = (s.emission_share**2).sum(1)
        self._return_money()
        funds.appraise_funds(self)
        self._value_stakers()
        g.day += 1

    def all_root(self):
        """Root stake of all holders and funds, `(W,)`, TAO."""
        return funds.root_of_holders(self).sum(1) + self.funds.root_slot.sum(1)

    # 1. decisions

    def _start_subnets(self):
        s, g = self.s, self.g
        block = g.block[:, None]
        new = (s.started == 0) & (s.start_block <= block)
        s.started[new] = 1.0
        if self.injection != "direct":
            issuance = s.alpha_reserve + s.alpha_outstanding
            s.alpha_emission[new] = minted_per_block(SUPPLY_CAP - issuance)[new]

    def _switch_emissions(self):
        """Governance enables newcomers on the day they are old enough, then acts as planned, then by chance."""
        p, s, g = self.p, self.s, self.g
        block, ours = g.block[:, None], s.registered_block >= g.genesis_block[:, None]

        def today(when):
            return (when <= block) & (block < when + BLOCKS_PER_DAY)

        s.emission_enabled[ours & today(s.registered_block + p.governance_blocks)] = 1.0
        s.emission_enabled[(s.off_block >= 0) & today(s.off_block)] = 0.0
        s.emission_enabled[(s.on_block >= 0) & today(s.on_block)] = 1.0
        if p.emission_off_hazard > 0 or p.emission_on_hazard > 0:
            key, episode, day = (a[:, None] for a in (g.world_key, g.episode, g.day))
            stream = s.stream_id.astype(np.uint64)
            u = uniforms(philox(key, episode, 0, day, stream, GOVERNANCE)[0])
            on = s.emission_enabled > 0
            hazard = np.where(on, p.emission_off_hazard, p.emission_on_hazard)
            switched = (u < hazard) & (s.registered_block >= 0)
            s.emission_enabled = np.where(switched, 1.0 - on, s.emission_enabled)

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
        # a newcomer's seed price is taken as fair on its first day, with a weight that falls afterwards
        worth = p.pooled_capitalisation * tilt
        fair = price * dilution / p.price_of_capital - f * s.informed_value
        fair = np.clip(fair / np.maximum(1 - f, 1e-9) / worth - s.belief, 0, 1e12)
        fair = fair * (p.prior_kept > 0)
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
        # the moving price's speed is that of the middle of the day
        middle = g.block + (BLOCKS_PER_DAY - 1) / 2
        s.moving_rate = coinbase.moving_rate(self, middle)
        s.moving_decay = np.exp(BLOCKS_PER_DAY / p.spans_per_day * np.log1p(-s.moving_rate))
        self.price_history[oldest] = price
        builders.open_treasuries(self)

    def _follow_rest(self, price, informed, uninformed):
        """Moving average of the sum of targets over the sum that they would have without news of single subnets."""
        p, s, g = self.p, self.s, self.g
        common = np.exp(g.common_news)[:, None]
        ratio = divide(informed + uninformed * common, informed + uninformed * np.exp(s.news))
        calm = self._scarce(s.valuation * ratio, price) * (s.target_price > 0)
        excess = np.where(calm.sum(1) > 0, divide(s.target_price.sum(1), calm.sum(1)), 1)
        kept = (1 - p.moving_price_base) ** BLOCKS_PER_DAY
        g.price_excess = np.where(g.rest_share > 0, excess + kept * (g.price_excess - excess), 1)

    def _follow_money(self, price):
        """Move the level of valuations to where stakers hold the alpha that wealth and supply make them want."""
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
        """Targets by stakers' part of the alpha, after the trade that the targets cause."""
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

    # 2. a span

    def _span(self, index, orders):
        p, g = self.p, self.g
        blocks = BLOCKS_PER_DAY / p.spans_per_day
        coinbase.coinbase(self, blocks)
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
        self.due = SimpleNamespace(outside=0 * g.outside, fees=0 * g.outside)
        self.due.informed, self.due.uninformed = 0 * g.outside, 0 * g.outside
        for place in range(4):
            for group in range(4):
                who = np.flatnonzero(order[:, place] == group)
                if who.size == 0:
                    continue
                if group == STAKERS and part > 0:
                    for k in range(self.layout.n_stakers):
                        trades.staker_trades(
                            self, who, (first[who] + k) % self.layout.n_stakers, orders, part
                        )
                elif group == INSIDERS:
                    trades.insiders_sell(self, who, blocks)
                elif group == CLAIMS:
                    if self.dividend == "claimable":
                        trades.claim_root(self, who)
                    funds.claim(self, who)
                elif group == SCRIPTED:
                    trades.scripted_trade(self, who)
        g.outside += self.due.outside
        g.authors += self.due.fees
        g.purse_informed += self.due.informed
        g.purse_uninformed += self.due.uninformed

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

    # 6. wealth of stakers

    def _value_stakers(self):
        p, pools = self.p, self.pools()
        self.me.wealth = self.me.root + self.me.fund_claim
        for k in range(self.layout.n_stakers):
            net = (1 - p.pool_fee) * self.staker_alpha[:, k] + self.staker_claimable[:, k]
            fetched = pools.tao_for(net)
            given = self.staker_alpha[:, k] + self.staker_claimable[:, k]
            ok = (given > 0) & (given <= MAX_INPUT_RATIO * pools.x)
            ok &= pools.keeps(pools.y, fetched)
            self.me.wealth[:, k] += (ok * np.maximum(fetched - p.flat_fee_tao, 0)).sum(1)
        self.me.log_wealth = np.log(np.maximum(self.me.wealth, 1e-12))
        self.me.ruined = self.me.wealth < p.ruin_fraction * self.me.first_wealth
