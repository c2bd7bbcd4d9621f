"""The builder: a subnet owner who divides a budget between product, research and influence."""

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from dtao_gym.economy.technology import decay_per_day, discount_per_day
from dtao_gym.economy.valuation import capitalisation, stage_discount
from dtao_gym.envs.features import first_bad, immunity_left, log_ratio, refuse
from dtao_gym.numerics import (
    borrowed,
    compile_kernel,
    exp,
    inlined_rule,
    log,
    row_sum,
    rule,
    source_fingerprint,
    tanh,
)
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.day import run_over_worlds
from dtao_gym.world.parameters import DAYS_PER_YEAR, parameters_of
from dtao_gym.world.registrations import PRUNE_BY_SHARE, registration_cost
from dtao_gym.world.state import subnet_rows

LOGIT_SCALE = 6.212606095751519
"""ln(0.998 / 0.002): the first logit alone takes the research share from 0.002 to 0.998."""
MAX_SPEND_RATE = 0.2
"""Largest part of the treasury that an action spends in a day."""

RIVAL_FEATURES = (
    "price",  # ln spot price over the own one
    "signal",  # ln lagged public signal over that of the own subnet
    "momentum_long",  # ln spot price over that of `momentum_lag_days` ago
    "emission_share",  # share of emission over the mean share of the simulated subnets
    "prune_margin",  # ln of what pruning goes by, over the own
    "immunity",  # part of the immunity period that is left, 2 x - 1
)
OWN_FEATURES = (
    "short_stock",  # tanh(stock / 50): nearly linear, as what stocks are worth is
    "short_stock_log",  # ln stock / 10
    "knowledge",  # tanh(stock / 100)
    "knowledge_log",  # ln stock / 15
    "pipeline_early",  # research under way, in thirds of the stages: tanh(stock / 10)
    "pipeline_middle",
    "pipeline_late",
    "pipeline_log",  # ln of all research under way / 3
    "influence_stock",  # tanh(stock / 10)
    "ability",  # factor on what own spending makes, / 5, cut at 1
    "treasury",  # tanh(TAO / 1000)
    "treasury_log",  # ln TAO / 150
    "budget",  # ln of yesterday's budget / 10 TAO
    "income",  # ln of yesterday's income / 10 TAO
    "price",  # ln spot price over the mean ln spot price of the world
    "momentum_long",
    "momentum_short",  # ln spot price over moving price
    "signal",  # ln lagged public signal over the mean signal of the world
    "emission_share",
    "prune_rank",  # part of the others that stand below in what pruning goes by, 2 x - 1
    "prune_margin",  # ln of what pruning goes by, over the lowest of the others that may be dissolved
    "immunity",
    "issuance",  # ln alpha issuance / 2 million
    "dilution",  # yearly growth of alpha issuance
    "depth",  # ln TAO in the pool / 7,658
    "owner_alpha",  # ln value of the owner's alpha at spot / 1,000 TAO
)
MARKET_FEATURES = (
    "moving_price_sum",  # sum of moving prices less 1
    "mean_price",  # mean ln spot price, over 0.0058 TAO
    "mean_momentum",  # mean of momentum_long
    "mean_signal_value",  # mean ln of the price that signals stand for, over the spot price
    "lock_cost",  # ln of what a registration costs / 500 TAO
    "immune_share",  # part of the subnets that are immune, 2 x - 1
)
TWIN_FEATURES = (
    "lead_short_stock",  # own less the twin's stock: / 20, cut at -1 and 1
    "lead_knowledge",  # / 50
    "lead_pipeline_early",  # / 5
    "lead_pipeline_middle",
    "lead_pipeline_late",
    "lead_influence_stock",  # / 10
)
"""With `twin_world` alone: what a critic needs to know of a reward that is a difference. No policy needs it."""
N_RIVAL, N_OWN, N_MARKET = len(RIVAL_FEATURES), len(OWN_FEATURES), len(MARKET_FEATURES)
N_RAW = 5
_LEAST = 1e-6
"""Stocks and amounts below this look the same."""


@inlined_rule
def _scaled_log(x, scale, typical):
    return tanh(scale * log(max(x, _LEAST) / typical))


@inlined_rule
def _public_rows(s, raw, past_price, signal, weak, block, p):
    """Momentum, ln signal, immunity, what signals say of price, what pruning goes by; rows of `raw`."""
    for i in range(s.spot_price.size):
        price = s.spot_price[i]
        issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
        diluted = issuance / s.dilution_alpha[i] if p.dilution and issuance > 0.0 else 1.0
        worth = p.price_of_capital * p.pooled_capitalisation * signal[i] / diluted
        raw[0, i] = log_ratio(price, past_price[i])
        raw[1, i] = log(max(signal[i], _LEAST))
        raw[2, i] = immunity_left(block, s.registered_block[i], p.immunity_blocks)
        raw[3, i] = log_ratio(worth, price)
        raw[4, i] = log(max(weak[i], 1e-12))


@inlined_rule
def _stock_features(s, block, at, me, own):
    """Own stocks; `own` is the part of the observation that starts with `OWN_FEATURES`."""
    own[0] = tanh(s.short_stock[me] / 50.0)
    own[1] = _scaled_log(s.short_stock[me], 0.5, 10.0)
    own[2] = tanh(s.knowledge[me] / 100.0)
    own[3] = _scaled_log(s.knowledge[me], 0.5, 15.0)
    own[4], own[5], own[6] = 0.0, 0.0, 0.0
    under_way = 0.0
    for third in range(3):
        stock = 0.0
        for k in range(at.pipeline_stages):
            if 3 * k // at.pipeline_stages == third:
                stock += block[at.pipeline + k, me]
        own[4 + third] = tanh(stock / 10.0)
        under_way += stock
    own[7] = _scaled_log(under_way, 0.5, 3.0)
    own[8] = tanh(s.influence_stock[me] / 10.0)
    own[9] = min(s.ability[me] / 5.0, 1.0)


@inlined_rule
def _purse_features(s, me, own):
    own[10] = tanh(s.treasury[me] / 1000.0)
    own[11] = _scaled_log(s.treasury[me], 0.5, 150.0)
    own[12] = _scaled_log(s.budget[me], 0.5, 10.0)
    own[13] = _scaled_log(s.income[me], 0.5, 10.0)
    own[25] = _scaled_log(s.owner_alpha[me] * s.spot_price[me], 0.25, 1000.0)


@inlined_rule
def _standing_features(s, raw, me, mean_price, mean_signal, mean_share, own):
    """How the own subnet stands among the others."""
    n = s.spot_price.size
    issuance = s.alpha_reserve[me] + s.alpha_outstanding[me]
    share = s.emission_share[me] / mean_share if mean_share > 0.0 else 1.0
    others, below, lowest = 0.0, 0.0, np.inf
    for i in range(n):
        if i != me and s.registered_block[i] >= 0.0:
            others += 1.0
            below += 1.0 if raw[4, i] < raw[4, me] else 0.0
            if not raw[2, i] > 0.0:
                lowest = min(lowest, raw[4, i])
    own[14] = tanh(0.5 * (log(max(s.spot_price[me], 1e-12)) - mean_price))
    own[15] = tanh(4.0 * raw[0, me])
    own[16] = tanh(10.0 * log_ratio(s.spot_price[me], s.moving_price[me]))
    own[17] = tanh(raw[1, me] - mean_signal)
    own[18] = tanh(share - 1.0)
    own[19] = 2.0 * below / others - 1.0 if others > 0.0 else 1.0
    own[20] = tanh(0.5 * (raw[4, me] - lowest)) if lowest < np.inf else 0.0
    own[21] = 2.0 * raw[2, me] - 1.0
    own[22] = _scaled_log(issuance, 0.5, 2e6)
    own[23] = tanh(s.alpha_emission[me] * (BLOCKS_PER_DAY * DAYS_PER_YEAR) / max(issuance, 1.0))
    own[24] = _scaled_log(s.tao_reserve[me], 0.25, 7658.0)


@inlined_rule
def _rival_features(s, raw, me, mean_share, obs):
    first = 0
    for i in range(s.spot_price.size):
        if i == me:
            continue
        share = s.emission_share[i] / mean_share if mean_share > 0.0 else 1.0
        obs[first] = tanh(0.5 * log_ratio(s.spot_price[i], s.spot_price[me]))
        obs[first + 1] = tanh(raw[1, i] - raw[1, me])
        obs[first + 2] = tanh(4.0 * raw[0, i])
        obs[first + 3] = tanh(share - 1.0)
        obs[first + 4] = tanh(0.5 * (raw[4, i] - raw[4, me]))
        obs[first + 5] = 2.0 * raw[2, i] - 1.0
        first += N_RIVAL


@rule
def _observe_builder(block, world, me, parameters, at, raw, obs):
    s = subnet_rows(block)
    p = parameters_of(parameters)
    n = s.spot_price.size
    # what everybody will read at the next decision, no younger
    past_price = block[at.price_history + world.day % at.price_days]
    signal = block[at.signal_history + world.day % at.signal_days]
    weak = s.emission_share if p.prune_key == PRUNE_BY_SHARE else s.moving_price
    _public_rows(s, raw, past_price, signal, weak, world.block, p)
    mean_price, immune = 0.0, 0.0
    for i in range(n):
        mean_price += log(max(s.spot_price[i], 1e-12)) / n
        immune += (1.0 if raw[2, i] > 0.0 else 0.0) / n
    mean_share = row_sum(s.emission_share) / n
    own = obs[N_RIVAL * (n - 1) :]
    _rival_features(s, raw, me, mean_share, obs)
    _stock_features(s, block, at, me, own)
    _purse_features(s, me, own)
    _standing_features(s, raw, me, mean_price, row_sum(raw[1]) / n, mean_share, own)
    own[N_OWN] = tanh(2.0 * (world.moving_price_sum - 1.0))
    own[N_OWN + 1] = tanh(0.5 * (mean_price - log(0.0058)))
    own[N_OWN + 2] = tanh(4.0 * row_sum(raw[0]) / n)
    own[N_OWN + 3] = tanh(row_sum(raw[3]) / n)
    own[N_OWN + 4] = _scaled_log(registration_cost(world, parameters), 0.5, 500.0)
    own[N_OWN + 5] = 2.0 * immune - 1.0


@rule
def _decide(block, slot, action, composition, influence):
    """Write the decisions that an action stands for into the rows of one slot."""
    s = subnet_rows(block)
    first = 0
    if not composition:
        s.spend_rate[slot] = 0.5 * MAX_SPEND_RATE * (action[0] + 1.0)
        s.owner_sale_fraction[slot] = 0.5 * (action[3] + 1.0)
        first = 1
    research = exp(LOGIT_SCALE * action[first])
    courting = exp(LOGIT_SCALE * action[first + 1]) if influence else 0.0
    s.research_share[slot] = research / (1.0 + research)
    s.influence_share[slot] = courting / (1.0 + research + courting)


@rule
def _reward(block, world, before, slot, parameters, noisy):
    """What the first owner has consumed since `before`, TAO."""
    s = subnet_rows(block)
    p = parameters_of(parameters)
    if before[2] > 0.0:
        return 0.0
    if s.owner_number[slot] > 0.0:  # dissolved on the way, and the heir has consumed as well
        paid = s.first_owner_payoff[slot] - before[1]
        return paid * exp(-p.payoff_log_discount * before[3])
    paid = s.consumed[slot] - before[0]
    if noisy:
        grown = exp(2.0 * world.day * log(p.opinion_persistence))
        variance = p.opinion_innovation_sd**2 * (1.0 - grown) / (1.0 - p.opinion_persistence**2)
        paid *= exp(s.opinion[slot] - 0.5 * variance)
    return paid


def _build(fingerprint):
    def observe(block, worlds, slot, parameters, at, obs, first, last):
        _ = fingerprint  # part of the cache's key
        scratch = np.empty((N_RAW, block.shape[2]))
        raw = borrowed(scratch)
        for w in range(first, last):
            _observe_builder(borrowed(block[w]), worlds[w], slot, parameters[w], at, raw, obs[w])
        scratch[0, 0] = 0.0  # a last use: until here its memory must not be freed

    def decide(block, slot, parameters, composition, actions):
        """Write decisions; returns -1, or where the first bad action stands before anything is written."""
        _ = fingerprint
        for w in range(actions.shape[0]):
            bad = first_bad(actions[w])
            if bad >= 0:
                return w * actions.shape[1] + bad
        for w in range(actions.shape[0]):
            _decide(borrowed(block[w]), slot, actions[w], composition, parameters[w].influence > 0)
        return -1

    def reward(block, worlds, before, slot, parameters, noisy, rewards):
        _ = fingerprint
        for w in range(rewards.size):
            rows = borrowed(block[w])
            rewards[w] = _reward(rows, worlds[w], before[w], slot, parameters[w], noisy)

    return tuple(map(compile_kernel, (observe, decide, reward)))


_observe_kernel, _decide_kernel, _reward_kernel = _build(source_fingerprint())


class Builder:
    """A subnet owner: divides the budget of its team, is paid in TAO that it consumes.

    Action, `Box(-1, 1, (4,), float32)`: the part of the treasury spent in a day, 0 at -1 and 0.2 at 1; two
    logits of the division of what is spent, product : research : influence = softmax(0, 6.21 a, 6.21 b), without
    influence where the configuration has none; the part of the owner's daily alpha that is sold, 0 at -1 and
    all at 1. With `builder_decides: composition` it is the logit of research alone, and that of influence if
    there is influence: `Box(-1, 1, (1 or 2,))`. Decisions hold from the next day until the next step.

    Observation, `Box(-1, 1, (6 n_subnets + 26,), float32)`: `RIVAL_FEATURES` of each other slot in order, then
    `OWN_FEATURES` and `MARKET_FEATURES`; unbounded quantities through a tanh. Of rivals it holds what is public,
    and the public signal is as old as it is for everybody. It has no clock. With `twin_world` it ends with
    `TWIN_FEATURES`.

    Reward: what the owner has consumed since the last step over `consumption_scale_tao`; of a step in which the
    subnet is dissolved, discounted to its first day where the horizon is fixed. With `terminal_value` the last
    reward of an episode holds what the stocks would pay from then on; with `reward_noise` rewards are multiplied
    by noise of mean one; with `twin_world` the reward of a scripted builder in the same world is taken off.
    """

    name = "builder"
    n_learners = 0

    def __init__(self, batch: Batch):
        config, n = batch.configs[0], batch.layout.n_subnets
        taken = n - config.empty_slots
        if config.builder_slot >= taken:
            raise ConfigError(
                f"builder_slot: got {config.builder_slot}, allowed are 0 to {taken - 1} in this world"
            )
        self.slot = config.builder_slot
        self.composition = config.builder_decides == "composition"
        self.twins = config.twin_world
        self._size = (n - 1) * N_RIVAL + N_OWN + N_MARKET
        size = self._size + self.twins * len(TWIN_FEATURES)
        self.observation_space = spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (action_size(config),), np.float32)
        self._orders = np.zeros((batch.n_worlds, 1, n))

    def observe(self, batch: Batch, slot: int | None = None) -> np.ndarray:
        """Fresh `(n_worlds, features)` float32 observations; of the owner of another slot, if one is given.

        An owner of another slot has no twin.
        """
        obs = np.empty((batch.n_worlds, self._size), np.float32)
        state, me = batch.state, self.slot if slot is None else slot

        def task(first, last):
            _observe_kernel(
                state.block, state.worlds, me, batch.parameters, batch.offsets, obs, first, last
            )

        run_over_worlds(batch.n_worlds, batch.threads, task)
        if self.twins and slot is None:
            return np.concatenate([obs, self._lead(batch)], axis=1)
        return obs

    def _lead(self, batch: Batch) -> np.ndarray:
        """`TWIN_FEATURES` of all worlds, 0 of the twins, which are the second half of the batch."""
        state, n = batch.state, batch.n_worlds // 2
        lead = np.zeros((batch.n_worlds, len(TWIN_FEATURES)), np.float32)

        def gap(stock: np.ndarray, scale: float) -> np.ndarray:
            return np.clip((stock[:n] - stock[n:]) / scale, -1.0, 1.0)

        for k, name, scale in ((0, "short_stock", 20.0), (1, "knowledge", 50.0)):
            lead[:n, k] = gap(state.row(name)[:, self.slot], scale)
        stages = batch.layout.pipeline_stages
        under_way = np.zeros((3, batch.n_worlds))
        for k in range(stages):
            under_way[3 * k // stages] += state.section("pipeline")[:, k, self.slot]
        for third in range(3):
            lead[:n, 2 + third] = gap(under_way[third], 5.0)
        lead[:n, 5] = gap(state.row("influence_stock")[:, self.slot], 10.0)
        return lead

    def apply(self, batch: Batch, actions: np.ndarray, slot: int | None = None) -> np.ndarray:
        """Write the decisions of float32 actions of the first worlds; returns the orders of no staker.

        Raises ValueError naming world, entry and value for an action that is NaN or outside [-1, 1]; nothing
        has changed then.
        """
        me, actions = self.slot if slot is None else slot, self.checked(batch, actions)
        _decide_kernel(batch.state.block, me, batch.parameters, self.composition, actions)
        return self._orders

    def checked(self, batch: Batch, actions: np.ndarray) -> np.ndarray:
        """The actions as float32, or the ValueError that `apply` raises."""
        actions = np.ascontiguousarray(actions, np.float32)
        size = self.action_space.shape[0]
        if actions.ndim != 2 or actions.shape[1] != size or len(actions) > batch.n_worlds:
            raise ValueError(
                f"action: got shape {actions.shape}, allowed is (worlds, {size}), at most {batch.n_worlds} worlds"
            )
        bad = np.flatnonzero(~(np.abs(actions) <= 1.0))
        refuse(actions, int(bad[0]) if bad.size else -1)
        return actions

    def standing(self, batch: Batch) -> np.ndarray:
        """`(n_worlds, 4)`: consumption, payoff of the first owner, number of the owner, day."""
        names = ("consumed", "first_owner_payoff", "owner_number")
        rows = [batch.state.row(name)[:, self.slot] for name in names]
        return np.stack([*rows, batch.state.worlds["day"]], axis=1)

    def reward(self, batch: Batch, before: np.ndarray) -> np.ndarray:
        """`(n_worlds,)` scaled consumption since `before`, a `standing`."""
        config, state = batch.configs[0], batch.state
        rewards = np.empty(batch.n_worlds)
        _reward_kernel(
            state.block,
            state.worlds,
            before,
            self.slot,
            batch.parameters,
            config.reward_noise,
            rewards,
        )
        return rewards / config.consumption_scale_tao

    def terminal_value(self, batch: Batch) -> np.ndarray:
        """`(n_worlds,)` scaled present value of the fees that the own stocks will pay from tomorrow on."""
        config, state = batch.configs[0], batch.state
        discount = discount_per_day(config.builder_discount_per_year)
        # the stocks of this evening have paid today
        short = capitalisation(discount, decay_per_day(config.short_half_life_days)) - 1.0
        known = capitalisation(discount, decay_per_day(config.knowledge_half_life_days))
        leaving = 1.0
        if config.delay_days > 0.0:
            leaving = stage_discount(discount, config.delay_stages / config.delay_days)
        arriving = np.zeros(batch.n_worlds)
        for stage in range(batch.layout.pipeline_stages):
            arriving = (arriving + state.section("pipeline")[:, stage, self.slot]) * leaving
        value = short * state.row("short_stock")[:, self.slot]
        value += (known - 1.0) * state.row("knowledge")[:, self.slot] + known * arriving
        paid = config.fee_per_value * config.income_factor * value
        return np.where(self.ended(batch), 0.0, paid) / config.consumption_scale_tao

    def ended(self, batch: Batch) -> np.ndarray:
        """`(n_worlds,)` whether the first owner's subnet has been dissolved."""
        return batch.state.row("owner_number")[:, self.slot] > 0.0

    def info(self, batch: Batch) -> dict[str, np.ndarray]:
        """What a researcher logs of the builder's slot, one row per world.

        treasury; budget, income (TAO of the last day); consumed (TAO since genesis); spend_rate, research_share,
        influence_share, owner_sale_fraction (in force); short_stock, knowledge, pipeline, influence_stock
        (TAO a day; research under way in all stages); ability; own_price, own_moving_price, own_emission_share;
        pruned.
        """
        state, names = batch.state, ("treasury", "budget", "income", "consumed", "spend_rate")
        names += ("research_share", "influence_share", "owner_sale_fraction", "short_stock")
        names += ("knowledge", "influence_stock", "ability")
        found = {name: state.row(name)[:, self.slot].copy() for name in names}
        found["pipeline"] = state.section("pipeline")[:, :, self.slot].sum(1)
        found["own_price"] = state.row("spot_price")[:, self.slot].copy()
        found["own_moving_price"] = state.row("moving_price")[:, self.slot].copy()
        found["own_emission_share"] = state.row("emission_share")[:, self.slot].copy()
        found["pruned"] = self.ended(batch)
        return found

    def final(self, batch: Batch) -> dict[str, np.ndarray]:
        """What is told of a finished episode beside its return: consumed."""
        return {"consumed": batch.state.row("consumed")[:, self.slot].copy()}


class Rivals:
    """The owners of all other slots, who follow one policy: `episodes.rivals = Rivals(policy)`.

    Without it they keep the shares of the configuration.

    Args:
        policy: `policy(observation, batch, rngs) -> actions`, scripted or learned; it gets no generators.
    """

    def __init__(self, policy: Callable[..., np.ndarray]):
        self.policy = policy

    def __call__(self, batch: Batch, role: Builder) -> None:
        """Write the decisions of the day; all of them are taken on the same state."""
        others = [slot for slot in range(batch.layout.n_subnets) if slot != role.slot]
        decided = [self.policy(role.observe(batch, slot), batch, ()) for slot in others]
        decided = [role.checked(batch, actions) for actions in decided]
        for slot, actions in zip(others, decided, strict=True):
            role.apply(batch, actions, slot)


def action_size(config: Config) -> int:
    """Entries of an action."""
    return 4 if config.builder_decides == "all" else 1 + config.influence


def builder_action(
    config: Config,
    research_share: Any = None,
    influence_share: Any = None,
    spend_rate: float | None = None,
    owner_sale_fraction: float | None = None,
) -> np.ndarray:
    """The action, `(..., action_size)` float32, for some decisions; None means what the configuration says.

    Research shares are cut to 0.002 and 0.998, and so is influence over what is spent on product.
    """
    research = config.research_share if research_share is None else research_share
    courting = config.influence_share if influence_share is None else influence_share
    research = np.clip(research, 0.002, 0.998)
    research, courting = np.broadcast_arrays(research, np.asarray(courting, float))
    with np.errstate(divide="ignore"):
        logit = np.log(research) - np.log1p(-research)
        # influence over product is z / ((1 - z)(1 - r))
        court = np.log(courting) - np.log1p(-courting) - np.log1p(-research)
    split = np.clip(np.stack([logit, court], axis=-1) / LOGIT_SCALE, -1.0, 1.0)
    if config.builder_decides == "composition":
        return split[..., : action_size(config)].astype(np.float32)
    spend = config.spend_rate if spend_rate is None else spend_rate
    sale = config.owner_sale_fraction if owner_sale_fraction is None else owner_sale_fraction
    ends = np.broadcast_to([2.0 * spend / MAX_SPEND_RATE - 1.0, 2.0 * sale - 1.0], split.shape)
    return np.concatenate([ends[..., :1], split, ends[..., 1:]], axis=-1).astype(np.float32)
