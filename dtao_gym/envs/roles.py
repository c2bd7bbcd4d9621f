"""Roles: how a learner observes, how its action becomes orders, what it is rewarded for."""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from dtao_gym.numerics import compile_kernel, exp, inlined_rule, log, rule, source_fingerprint, tanh
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.pool import spot_price, tao_for_alpha
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import parameters_of
from dtao_gym.world.day import DAYS_PER_YEAR, run_over_worlds
from dtao_gym.world.state import subnet_rows

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
)
GLOBAL_FEATURES = (
    "root_weight",  # part of liquidation wealth in root, 2 w - 1
    "wealth",  # ln liquidation wealth over wealth at the start
    "claimable",  # unclaimed root dividends over liquidation wealth
    "moving_price_sum",  # sum of moving prices less 1: root is paid while positive
    "root_yield",  # yearly root dividends per TAO
    "mean_signal_value",  # mean over the subnets of signal_value
)


class Quote(NamedTuple):
    """One subnet as a staker sees it."""

    price: float
    signal_value: float
    momentum_long: float
    momentum_short: float
    dilution: float


@inlined_rule
def _log_ratio(a, b):
    return log(a / b) if a > 0.0 and b > 0.0 else 0.0


@inlined_rule
def _quote(s, i, past_price, signal, p):
    price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i])
    issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
    diluted = issuance / s.alpha_genesis[i] if p.dilution else 1.0
    growth = (
        s.alpha_emission[i] * BLOCKS_PER_DAY * DAYS_PER_YEAR / issuance if issuance > 0.0 else 0.0
    )
    return Quote(
        price,
        _log_ratio(p.price_per_value * signal[i] / diluted, price),
        _log_ratio(price, past_price[i]),
        _log_ratio(price, s.moving_price[i]),
        growth,
    )


@rule
def _observe_staker(block, world, me, learner, parameters, at, first_wealth, obs):
    s = subnet_rows(block)
    p = parameters_of(parameters)
    n = s.tao_reserve.size
    width = 10
    # what stakers will read at the next decision, no younger
    past_price = block[at.price_history + world.day % at.price_days]
    signal = block[at.signal_history + world.day % at.signal_days]
    alpha = block[at.learner_alpha + learner]
    owed = block[at.learner_claimable + learner]
    root = p.tao_weight * (
        world.root_informed + world.root_uninformed + world.root_validators + me.root
    )
    wealth = max(me.wealth, 1e-9)
    mean_price = mean_signal = mean_share = claimable = 0.0
    for i in range(n):
        q = _quote(s, i, past_price, signal, p)
        mean_price += (log(q.price) if q.price > 0.0 else 0.0) / n
        mean_signal += q.signal_value / n
        mean_share += s.emission_share[i] / n
        claimable += owed[i] * q.price
    for i in range(n):
        q = _quote(s, i, past_price, signal, p)
        net = alpha[i] * (1.0 - p.pool_fee)
        held = tao_for_alpha(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i], net)
        issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
        row = obs[i * width : (i + 1) * width]
        row[0] = 2.0 * min(held / wealth, 1.0) - 1.0
        row[1] = tanh(2.0 * q.signal_value)
        row[2] = tanh(4.0 * q.momentum_long)
        row[3] = tanh(10.0 * q.momentum_short)
        row[4] = tanh(s.stake_yield[i] * DAYS_PER_YEAR)
        row[5] = tanh(q.dilution)
        row[6] = tanh(s.emission_share[i] / mean_share - 1.0) if mean_share > 0.0 else 0.0
        row[7] = tanh(0.5 * ((log(q.price) if q.price > 0.0 else -20.0) - mean_price))
        row[8] = tanh(0.25 * _log_ratio(s.tao_reserve[i], wealth))
        row[9] = 2.0 * root / (root + issuance) - 1.0 if root + issuance > 0.0 else 0.0
    tail = obs[n * width :]
    tail[0] = 2.0 * min(me.root / wealth, 1.0) - 1.0
    tail[1] = tanh(_log_ratio(wealth, first_wealth))
    tail[2] = tanh(100.0 * claimable / wealth)
    tail[3] = tanh(2.0 * (world.moving_price_sum - 1.0))
    tail[4] = tanh(5.0 * world.root_yield * DAYS_PER_YEAR)
    tail[5] = tanh(2.0 * mean_signal)


@rule
def _decode_staker(block, me, learner, at, action, orders):
    """Orders towards softmax(10 a): positive TAO to stake, negative alpha to unstake."""
    s = subnet_rows(block)
    n = s.tao_reserve.size
    alpha = block[at.learner_alpha + learner]
    go = 0.5 * (action[n + 1] + 1.0)
    top = action[0]
    for i in range(n):
        top = max(top, action[i + 1])
    weights = exp(LOGIT_SCALE * (action[0] - top))
    total = me.root
    for i in range(n):
        weights += exp(LOGIT_SCALE * (action[i + 1] - top))
        total += alpha[i] * spot_price(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i])
    for i in range(n):
        price = spot_price(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i])
        target = exp(LOGIT_SCALE * (action[i + 1] - top)) / weights * total
        gap = go * (target - alpha[i] * price)
        orders[i] = gap if gap >= 0.0 else (gap / price if price > 0.0 else 0.0)


def _build(fingerprint):
    def observe(block, worlds, learners, parameters, at, first_wealth, obs, first, last):
        fingerprint  # noqa: B018  part of the cache's key
        for w in range(first, last):
            _observe_staker(
                block[w], worlds[w], learners[w, 0], 0, parameters[w], at, first_wealth[w], obs[w]
            )

    def decode(block, learners, at, actions, orders, first, last):
        fingerprint  # noqa: B018
        for w in range(first, last):
            _decode_staker(block[w], learners[w, 0], 0, at, actions[w], orders[w, 0])

    return compile_kernel(observe), compile_kernel(decode)


_observe_kernel, _decode_kernel = _build(source_fingerprint())


class Staker:
    """A TAO holder: chooses a portfolio over root and the subnets, is paid in growth of liquidation wealth.

    Action, `Box(-1, 1, (n_subnets + 2,), float32)`: logits of the target weights of root and of each subnet,
    weights = softmax(10 a); last the share of the way to go, 0 at -1 and all of it at 1. What is not staked
    in a subnet is staked in root.

    Observation, `Box(-1, 1, (10 n_subnets + 6,), float32)`: `SUBNET_FEATURES` of the first subnet, of the
    second and so on, then `GLOBAL_FEATURES`; unbounded quantities through a tanh. All of it is public or the
    staker's own. The public signal is as old as it is for everybody.

    Reward: change of the log of liquidation wealth, that is of root plus what all alpha and claims would
    fetch now, fees and own impact included; rewards of an episode add up to its log growth.
    """

    name = "staker"

    def __init__(self, batch: Batch):
        n = batch.layout.n_subnets
        self.first_wealth = np.array([c.wealth_tao for c in batch.configs])
        self.observation_space = spaces.Box(
            -1.0, 1.0, (n * len(SUBNET_FEATURES) + len(GLOBAL_FEATURES),), np.float32
        )
        self.action_space = spaces.Box(-1.0, 1.0, (n + 2,), np.float32)

    def observe(self, batch: Batch) -> np.ndarray:
        """Fresh `(n_worlds, features)` float32 observations of the present state."""
        obs = np.empty((batch.n_worlds, *self.observation_space.shape), np.float32)
        state = batch.state

        def task(first, last):
            _observe_kernel(
                state.block,
                state.worlds,
                state.learners,
                batch.parameters,
                batch.offsets,
                self.first_wealth,
                obs,
                first,
                last,
            )

        run_over_worlds(batch.n_worlds, batch.threads, task)
        return obs

    def orders(self, batch: Batch, actions: np.ndarray) -> np.ndarray:
        """Orders `(n_worlds, 1, n_subnets)` for checked actions `(n_worlds, n_subnets + 2)`."""
        orders = np.empty((batch.n_worlds, 1, batch.layout.n_subnets))
        _decode_kernel(
            batch.state.block,
            batch.state.learners,
            batch.offsets,
            actions,
            orders,
            0,
            batch.n_worlds,
        )
        return orders

    def standing(self, batch: Batch) -> np.ndarray:
        """`(n_worlds,)` log of liquidation wealth; rewards are its differences."""
        return np.log(np.maximum(batch.state.learners["wealth"][:, 0], 1e-12))

    def ruined(self, batch: Batch) -> np.ndarray:
        """`(n_worlds,)` whether the learner has lost nearly everything."""
        floor = self.first_wealth * np.array([c.ruin_fraction for c in batch.configs])
        return batch.state.learners["wealth"][:, 0] < floor


ROLES = {Staker.name: Staker}


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
