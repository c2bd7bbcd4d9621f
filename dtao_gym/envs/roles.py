"""Roles: how a learner observes, what its action does, what it is rewarded for.

A role is made for a batch and has `observation_space`, `action_space` and these methods, whose arrays have one
row per world and learner of the role, world by world: `observe(batch)`; `apply(batch, actions)`, which checks actions,
writes decisions into the state and returns stakers' orders; `standing(batch)`, what rewards count from, and
`reward(batch, before)` since then; `ended(batch)`, whether the learner is out; `info(batch)`, and `final(batch)`,
what is told of a finished episode. Where somebody new learns on in the place of one who is out, `replaced(batch,
before)` tells where, and `replace(batch, rows)` makes room. `n_stakers` is the number of stakers per world that
learn by default. This file has the staker and the list of roles.
"""

import numpy as np
from gymnasium import spaces

from dtao_gym.compiling import inlined_rule, kernel, rule
from dtao_gym.envs.builder import Builder
from dtao_gym.envs.features import (
    FIRST_OWN_NUMBER,
    end_of_step,
    first_bad,
    immunity_left,
    log_ratio,
    refusal,
    refuse,
    squash,
    write_market,
)
from dtao_gym.numerics import exp, log, row_sum, tanh
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.pool import tao_for_alpha
from dtao_gym.views import call_address
from dtao_gym.world.batch import Batch
from dtao_gym.world.day import run_over_worlds
from dtao_gym.world.ledger import refill
from dtao_gym.world.parameters import DAYS_PER_YEAR, parameters_of
from dtao_gym.world.state import alpha_row, owed_row, price_row, signal_row, subnet_rows
from dtao_gym.world.table import arrays_of

LOGIT_SCALE = 10.0
"""Target weights are softmax(10 a): weights may differ by a factor of e**20."""

SUBNET_FEATURES = (
    "own_weight",  # part of liquidation wealth held here, 2 w - 1
    "signal_value",  # ln of the price that the lagged public signal stands for, over the spot price
    "momentum_long",  # ln spot price over that of `momentum_lag_days` ago
    "momentum_short",  # ln spot price over moving price
    "stake_yield",  # yearly alpha dividends per staked alpha
    "dilution",  # yearly growth of alpha issuance
    "emission_share",  # share of emission over the mean share of the simulated subnets
    "price",  # ln spot price over the mean ln spot price of the world
    "depth",  # ln TAO in the pool over own wealth
    "root_proportion",  # part of validators' dividends that root takes, 2 x - 1
    "immunity",  # part of the immunity period that is left, 2 x - 1
    "prune_margin",  # ln moving price over the lowest of the subnets that may be dissolved
)
GLOBAL_FEATURES = (
    "root_weight",  # part of liquidation wealth in root, 2 w - 1
    "wealth",  # ln liquidation wealth over wealth at the start
    "claimable",  # unclaimed root dividends over liquidation wealth
    "moving_price_sum",  # sum of moving prices less 1: root is paid while positive
    "root_yield",  # yearly root dividends per TAO
    "mean_signal_value",  # mean over the subnets of signal_value
)


N_SUBNET, N_GLOBAL = len(SUBNET_FEATURES), len(GLOBAL_FEATURES)


@inlined_rule
def _market_features(s, raw, past_price, signal, root, p):
    """The features that need no sum over subnets, before any tanh; rows of `raw` are features."""
    for i in range(s.spot_price.size):
        price = s.spot_price[i]
        issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
        diluted = issuance / s.dilution_alpha[i] if p.dilution and issuance > 0.0 else 1.0
        raw[1, i] = log_ratio(
            p.price_of_capital * p.pooled_capitalisation * signal[i] / diluted, price
        )
        raw[2, i] = log_ratio(price, past_price[i])
        raw[3, i] = log_ratio(price, s.moving_price[i])
        raw[4, i] = s.stake_yield[i] * DAYS_PER_YEAR
        raw[5, i] = s.alpha_emission[i] * (BLOCKS_PER_DAY * DAYS_PER_YEAR) / max(issuance, 1.0)
        raw[7, i] = log(max(price, 1e-12))
        raw[9, i] = root / max(root + issuance, 1.0)


@inlined_rule
def _prune_features(s, raw, block, immunity_blocks):
    lowest = np.inf
    for i in range(s.spot_price.size):
        raw[10, i] = immunity_left(block, s.registered_block[i], immunity_blocks)
        if s.registered_block[i] >= 0.0 and not raw[10, i] > 0.0:
            lowest = min(lowest, s.moving_price[i])
    for i in range(s.spot_price.size):
        raw[11, i] = log_ratio(s.moving_price[i], lowest) if lowest < np.inf else 0.0


@inlined_rule
def _market_of_stakers(s, raw, past_price, signal, root, world, p):
    """The features that are the same for all stakers, ready to be seen; returns the mean of `signal_value`."""
    n = s.spot_price.size
    _market_features(s, raw, past_price, signal, root, p)
    _prune_features(s, raw, world.block, p.immunity_blocks)
    mean_signal = row_sum(raw[1]) / n
    mean_share = row_sum(s.emission_share) / n
    for i in range(n):
        raw[6, i] = s.emission_share[i] / mean_share if mean_share > 0.0 else 1.0
    squash(1, 2.0, 0.0, raw)
    squash(2, 4.0, 0.0, raw)
    squash(3, 10.0, 0.0, raw)
    squash(4, 1.0, 0.0, raw)
    squash(5, 1.0, 0.0, raw)
    squash(6, 1.0, 1.0, raw)
    squash(7, 0.5, row_sum(raw[7]) / n, raw)
    squash(11, 0.5, 0.0, raw)
    for i in range(n):
        raw[9, i] = 2.0 * raw[9, i] - 1.0
        raw[10, i] = 2.0 * raw[10, i] - 1.0
    return mean_signal


@inlined_rule
def _own_features(s, raw, alpha, owed, wealth, p):
    """Own weight and depth; `raw` has a row more, for the value of claims."""
    for i in range(s.spot_price.size):
        net = alpha[i] * (1.0 - p.pool_fee)
        held = tao_for_alpha(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i], net)
        raw[0, i] = 2.0 * min(held / wealth, 1.0) - 1.0
        raw[8, i] = log_ratio(s.tao_reserve[i], wealth)
        raw[N_SUBNET, i] = owed[i] * s.spot_price[i]
    squash(8, 0.25, 0.0, raw)


@rule
def _observe_stakers(fields, world, stakers, parameters, at, raw, obs):
    """Rows of `obs` for the learners of a world; what all of them see is reckoned once."""
    s = subnet_rows(fields)
    p = parameters_of(parameters)
    n = s.spot_price.size
    # as scripted stakers will read it at the next decision; with `readers_ahead` they have read it already
    past_price = price_row(fields, at.price_history + world.day % at.price_days)
    signal = signal_row(fields, at.signal_history + world.day % at.signal_days)
    root = world.root_informed + world.root_uninformed + world.root_validators
    for staker in range(stakers.size):
        root += stakers[staker].root
    mean_signal = _market_of_stakers(s, raw, past_price, signal, p.tao_weight * root, world, p)
    price_sum = tanh(2.0 * (world.moving_price_sum - 1.0))
    root_yield = tanh(5.0 * world.root_yield * DAYS_PER_YEAR)
    for staker in range(stakers.size):
        me, seen = stakers[staker], obs[staker]
        alpha = alpha_row(fields, at.staker_alpha + staker)
        owed = owed_row(fields, at.staker_claimable + staker)
        wealth = max(me.wealth, 1e-9)
        _own_features(s, raw, alpha, owed, wealth, p)
        for i in range(n):
            for k in range(N_SUBNET):
                seen[i * N_SUBNET + k] = raw[k, i]
        tail = n * N_SUBNET
        seen[tail] = 2.0 * min(me.root / wealth, 1.0) - 1.0
        seen[tail + 1] = tanh(log_ratio(wealth, me.first_wealth))
        seen[tail + 2] = tanh(100.0 * row_sum(raw[N_SUBNET]) / wealth)
        seen[tail + 3] = price_sum
        seen[tail + 4] = root_yield
        seen[tail + 5] = tanh(2.0 * mean_signal)


@rule
def _decode_staker(fields, me, staker, at, action, orders):
    """Orders towards softmax(10 a): positive TAO to stake, negative alpha to unstake."""
    s = subnet_rows(fields)
    n = s.spot_price.size
    alpha = alpha_row(fields, at.staker_alpha + staker)
    go = 0.5 * (action[n + 1] + 1.0)
    top = action[0]
    for i in range(n):
        top = max(top, action[i + 1])
    for i in range(n):
        orders[i] = exp(LOGIT_SCALE * (action[i + 1] - top))
    weights = exp(LOGIT_SCALE * (action[0] - top)) + row_sum(orders)
    total = me.root
    for i in range(n):
        total += alpha[i] * s.spot_price[i]
    for i in range(n):
        gap = go * (orders[i] / weights * total - alpha[i] * s.spot_price[i])
        orders[i] = gap if gap >= 0.0 or s.spot_price[i] <= 0.0 else gap / s.spot_price[i]


@kernel
def _observe_kernel(table, raw, obs, first, last):
    """Observations of stakers: `obs[world, learner]` of the worlds first to last - 1; `raw` is working space."""
    a = arrays_of(table)
    for w in range(first, last):
        _observe_stakers(a.fields[w], a.worlds[w], a.stakers[w], a.parameters[w], a.at, raw, obs[w])


@kernel
def _decode_kernel(table, actions, playing, orders):
    """Orders of stakers: all of them, or none. Returns -1, or where the first bad action stands before any order is made."""
    a = arrays_of(table)
    for row in range(actions.shape[0]):
        bad = first_bad(actions[row])
        if bad >= 0:
            return row * actions.shape[1] + bad
    for w in range(a.stakers.shape[0]):
        for staker in range(a.stakers.shape[1]):
            row = w * a.stakers.shape[1] + staker
            mine = orders[w, staker]
            mine[:] = 0.0
            if playing[row]:
                _decode_staker(a.fields[w], a.stakers[w, staker], staker, a.at, actions[row], mine)
    return -1


_NUMBERS = ("wealth", "root_tao", "traded_tao")


@kernel
def _step_kernel(table, kernels, days, action, raw, obs, facts, steps, max_steps, standing):
    """The step of a staker: decode, advance, observe, reward, info. See `dtao_gym.envs.fused`."""
    a = arrays_of(table)
    world, me, zero = a.worlds[0], a.stakers[0, 0], np.int64(0)
    advance = kernels[0] if world.equal_weights else kernels[1]
    refused = refusal(action, advance)
    if refused != 0:
        return refused
    _decode_staker(a.fields[0], me, 0, a.at, action, a.orders[0, 0])
    call_address(advance, (table, days, zero, zero + 1))
    _observe_stakers(a.fields[0], world, a.stakers[0], a.parameters[0], a.at, raw, obs)
    write_market(subnet_rows(a.fields[0]), world, me.log_wealth - standing[0], 3, facts)
    facts[FIRST_OWN_NUMBER] = me.wealth
    facts[FIRST_OWN_NUMBER + 1], facts[FIRST_OWN_NUMBER + 2] = me.root, me.traded
    standing[0] = me.log_wealth
    return end_of_step(world, me.ruined, steps, max_steps)


class Staker:
    """A TAO holder: chooses a portfolio over root and the subnets, is paid in growth of liquidation wealth.

    Action, `Box(-1, 1, (n_subnets + 2,), float32)`: logits of the target weights of root and of each subnet,
    weights = softmax(10 a); last the share of the way to go, 0 at -1 and all of it at 1. What is not staked
    in a subnet is staked in root.

    Observation, `Box(-1, 1, (12 n_subnets + 6,), float32)`: `SUBNET_FEATURES` of the first subnet, of the
    second and so on, then `GLOBAL_FEATURES`; unbounded quantities through a tanh. All of it is public or the
    staker's own. The public signal is as old as it is for everybody.

    Reward: change of the log of liquidation wealth, that is of root plus what all alpha and claims would
    fetch now, fees and own impact included; rewards of an episode add up to its log growth.
    """

    name = "staker"
    n_stakers = 1
    n_raw = N_SUBNET + 1
    info_numbers = _NUMBERS
    info_flags = ()
    step_kernel = staticmethod(_step_kernel)

    def __init__(self, batch: Batch):
        n = batch.layout.n_subnets
        self.observation_space = spaces.Box(-1.0, 1.0, (n * N_SUBNET + N_GLOBAL,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (n + 2,), np.float32)

    def observe(self, batch: Batch) -> np.ndarray:
        """Fresh `(rows, features)` float32 observations of the present state."""
        state = batch.state
        obs = np.empty((*state.stakers.shape, *self.observation_space.shape), np.float32)

        table = batch.table
        n = batch.layout.n_subnets

        def task(first, last):
            raw = np.empty((self.n_raw, n))
            _observe_kernel(table.address, raw, obs, first, last)

        run_over_worlds(batch.n_worlds, batch.threads, task)
        return obs.reshape(-1, obs.shape[2])

    def apply(
        self, batch: Batch, actions: np.ndarray, playing: np.ndarray | None = None
    ) -> np.ndarray:
        """Orders `(n_worlds, n_stakers, n_subnets)` for float32 actions `(rows, n_subnets + 2)`.

        Args:
            playing: `(rows,)`, False where an action is ignored and nothing is ordered; None: nowhere.

        Raises ValueError naming world, entry and value for an action that is NaN or outside [-1, 1].
        """
        state = batch.state
        if playing is None:
            playing = np.ones(len(actions), bool)
        orders = np.empty((*state.stakers.shape, batch.layout.n_subnets))
        table = batch.table
        bad = _decode_kernel(table.address, actions, playing, orders)
        refuse(actions, bad)
        return orders

    def standing(self, batch: Batch) -> np.ndarray:
        """`(rows,)` log of liquidation wealth."""
        return self._of(batch, "log_wealth")

    def _of(self, batch: Batch, name: str) -> np.ndarray:
        """`(rows,)` a field of the learners, fresh."""
        return batch.state.stakers[name].flatten()

    def reward(self, batch: Batch, before: np.ndarray) -> np.ndarray:
        """`(rows,)` growth of log wealth since `before`, a `standing`."""
        return self._of(batch, "log_wealth") - before

    def ended(self, batch: Batch) -> np.ndarray:
        """`(rows,)` whether the learner has lost nearly everything."""
        return self._of(batch, "ruined")

    def replaced(self, batch: Batch, before: np.ndarray) -> np.ndarray:
        """`(rows,)` whether the learner has to be replaced, since it is ruined."""
        return self.ended(batch)

    def replace(self, batch: Batch, rows: np.ndarray) -> None:
        """A new staker takes over what ruined ones have left, with what they began with, if others can pay that."""
        refill(batch.state, rows)

    def info(self, batch: Batch) -> dict[str, np.ndarray]:
        """What a researcher logs of the learner.

        wealth (liquidation, TAO); root_tao; traded_tao (exchanged with pools by this step).
        """
        fields = ("wealth", "root", "traded")
        return {n: self._of(batch, f) for n, f in zip(_NUMBERS, fields, strict=True)}

    def step_arguments(self, batch: Batch) -> tuple:
        """Last arguments of `step_kernel`."""
        return ()

    def final(self, batch: Batch) -> dict[str, np.ndarray]:
        """What is told of a finished episode beside its return: wealth."""
        return {"wealth": self._of(batch, "wealth")}


ROLES = {role.name: role for role in (Staker, Builder)}


def target_action(weights: np.ndarray, go: float = 1.0) -> np.ndarray:
    """The staker action whose softmax is `weights` (root first), to within e**-20 of the largest.

    Args:
        weights: `(..., n_subnets + 1)`, not negative, with a positive sum.
        go: share of the way to go, 0 to 1.
    """
    weights = np.asarray(weights, float)
    relative = np.maximum(weights / weights.max(axis=-1, keepdims=True), np.exp(-2 * LOGIT_SCALE))
    logits = 1.0 + np.log(relative) / LOGIT_SCALE
    last = np.full((*weights.shape[:-1], 1), 2.0 * go - 1.0)
    return np.concatenate([logits, last], axis=-1).astype(np.float32)
