"""Policies of stakers: the baselines that a learned policy is compared with, and exploits.

Baselines observe what a learner observes, and the public reserves of the pools. Exploits try to earn without
contributing anything; they keep no memory: their actions follow from the day, from the observation, and from the public
reserves of the pools.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dtao_agents.roles.policies import Policy, uniform_actions
from dtao_gym.envs.staker.observation import GLOBAL_FEATURES, SUBNET_FEATURES
from dtao_gym.envs.staker.role import target_action
from dtao_gym.envs.task import task_of
from dtao_gym.world.batch import Batch

Weights = Callable[[np.ndarray, Batch], np.ndarray]
Scores = Callable[[np.ndarray, Batch], np.ndarray]


def subnet_feature(observation: np.ndarray, name: str) -> np.ndarray:
    """Return `(n_worlds, n_subnets)` values of one of `SUBNET_FEATURES`, as observed: within -1 and 1."""
    width = len(SUBNET_FEATURES)
    subnets = observation[:, : observation.shape[1] - len(GLOBAL_FEATURES)]
    return subnets[:, SUBNET_FEATURES.index(name) :: width]


def without_signal(observation: np.ndarray) -> np.ndarray:
    """Return a copy of observations `(rows, size)` in which signal features are 0, as in a replay."""
    seen = observation.copy()
    width, n_global = len(SUBNET_FEATURES), len(GLOBAL_FEATURES)
    seen[:, SUBNET_FEATURES.index("signal_value") : seen.shape[1] - n_global : width] = 0.0
    seen[:, seen.shape[1] - n_global + GLOBAL_FEATURES.index("mean_signal_value")] = 0.0
    return seen


# ------------------------------------------------------------ portfolios


@dataclass(frozen=True)
class TargetWeights:
    """Trades a fixed share of the way to target weights every day.

    Attributes
    ----------
    weights : callable
        Target weights `(n_worlds, n_subnets + 1)`, root first, from observation and batch.
    daily_share : float
        Share of the gap to the target that is closed in a day, 0 to 1.
    """

    weights: Weights
    daily_share: float

    def __call__(
        self, observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Return actions `(n_worlds, n_subnets + 2)` float32."""
        days = task_of(batch).days_per_step
        share = 1.0 - (1.0 - self.daily_share) ** days
        return target_action(self.weights(observation, batch), share)


def random(
    observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Uniform actions: new random weights at every step, on average half of the gap traded at once."""
    return uniform_actions(batch.layout.n_subnets + 2, observation, rngs)


def in_proportion(scores: np.ndarray) -> np.ndarray:
    """Return weights in proportion to scores `(n_worlds, n_subnets)`, all root where none is positive."""
    positive = np.maximum(scores.astype(float), 0.0)
    total = positive.sum(axis=1, keepdims=True)
    return np.concatenate([total == 0.0, positive / np.where(total > 0.0, total, 1.0)], axis=1)


def all_root_weights(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """Everything in root."""
    return in_proportion(np.zeros((batch.n_worlds, batch.layout.n_subnets)))


def equal_weights(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """The same in every subnet."""
    return in_proportion(np.ones((batch.n_worlds, batch.layout.n_subnets)))


def market_weights(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """In proportion to the TAO in the pools."""
    return in_proportion(batch.state.row("tao_reserve"))


def momentum_weights(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """In proportion to the rise of the price over the last weeks, where it rose."""
    return in_proportion(subnet_feature(observation, "momentum_long"))


def value_weights(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """In proportion to the value that the public signal implies over the price, where it is higher."""
    return in_proportion(subnet_feature(observation, "signal_value"))


def yield_weights(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """Equal weights in the quarter of the subnets with the highest stake yield."""
    stake_yield = subnet_feature(observation, "stake_yield")
    chosen = max(1, stake_yield.shape[1] // 4)
    # a stable sort: among equals the first slots are taken, on every machine
    best = np.argsort(-stake_yield, axis=1, kind="stable")[:, :chosen]
    scores = np.zeros(stake_yield.shape)
    np.put_along_axis(scores, best, 1.0, axis=1)
    return in_proportion(scores)


def buy_and_hold(
    observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Buy the weights of the market on the first day, all at once, and never trade again."""
    actions = target_action(market_weights(observation, batch))
    actions[:, -1] = np.where(batch.state.worlds["day"] == 0, 1.0, -1.0)
    return actions


SCRIPTED: dict[str, Policy] = {
    "all_root": TargetWeights(all_root_weights, 0.0),  # no trade: every staker starts in root
    "equal_weight": TargetWeights(equal_weights, 0.1),  # invested in three weeks, then rebalanced
    "market_weight": TargetWeights(market_weights, 0.1),  # likewise, then follows the pools
    "momentum": TargetWeights(momentum_weights, 0.1),  # as slow as its signal, a 20-day change
    "value": TargetWeights(value_weights, 0.1),  # prices close a gap to value in about 20 days
    "yield_chaser": TargetWeights(yield_weights, 0.1),  # yields change slowly
    "random": random,
}
"""Baselines by name."""


# ------------------------------------------------------------ exploits


@dataclass(frozen=True)
class RoundTrip:
    """Invests everything in one subnet, holds, sells all of it, waits, and repeats.

    Attributes
    ----------
    scores : callable
        `(n_worlds, n_subnets)` from observation and batch; the subnet with the highest score is bought.
    days_held, days_out : int
        Days between purchase and sale, and between sale and purchase, each rounded up to whole steps.
    pool_over_wealth : float
        Least TAO in an eligible pool over the own wealth; where no pool is eligible, the deepest is bought.
    """

    scores: Scores
    days_held: int
    days_out: int
    pool_over_wealth: float = 0.0

    def __call__(
        self, observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Return actions `(n_worlds, n_subnets + 2)` float32."""
        per_step = task_of(batch).days_per_step
        held, out = -(-self.days_held // per_step), -(-self.days_out // per_step)
        phase = batch.state.worlds["day"] // per_step % (held + out)
        buying = phase == 0
        weights = np.zeros((batch.n_worlds, batch.layout.n_subnets + 1))
        chosen = np.where(buying, 1 + self._chosen(observation, batch), 0)
        weights[np.arange(batch.n_worlds), chosen] = 1.0
        actions = target_action(weights)
        actions[:, -1] = np.where(buying | (phase == held), 1.0, -1.0)
        return actions

    def _chosen(self, observation: np.ndarray, batch: Batch) -> np.ndarray:
        pools = depth(observation, batch)
        enough = self.pool_over_wealth * batch.state.stakers["wealth"][:, :1]
        able = (pools >= enough) & (batch.state.row("spot_price") > 0.0)
        scores = np.where(able, self.scores(observation, batch), -np.inf)
        return np.where(able.any(axis=1), scores.argmax(axis=1), pools.argmax(axis=1))


def depth(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """TAO in the pools."""
    return batch.state.row("tao_reserve")


def shallowness(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """Highest for the pool with the least TAO, whose price is the cheapest to move."""
    return -batch.state.row("tao_reserve")


def stake_yield(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """Alpha dividends per staked alpha, as observed."""
    return subnet_feature(observation, "stake_yield")


do_nothing = TargetWeights(all_root_weights, 0.0)
"""Leaves everything in root, where it starts, and lives on root's dividends: the bar that every trade has to clear."""

wash_trading = RoundTrip(depth, days_held=1, days_out=1)
"""Buys and sells the same subnet, the deepest, at every step, to have volume taken for demand and paid with emission.
Prices and net flows do not depend on volume: a round trip leaves them where they were. It costs two fees on all that
is traded and, where the pool is small, the own price impact that others trade away before the sale."""

pump = RoundTrip(shallowness, days_held=3, days_out=7, pool_over_wealth=1.0)
"""Invests everything in the shallowest pool that can take it, holds while the moving price catches up and emission
follows, then sells into what the chain and other stakers have added. Its own price impact prevents a profit: the pool
returns no more than was put in, less fees, and others, who know what the subnet is worth, sell to it."""

in_and_out = RoundTrip(stake_yield, days_held=1, days_out=6, pool_over_wealth=100.0)
"""Stakes for one step a week in the subnet with the highest yield, of those with deep pools, to collect dividends and
avoid price risk. Dividends are paid by the time for which one is staked: of a yield of 40 % a year a day brings 0.1 %,
as much as the two fees. With a TAO or two it can pay in young pools, whose yields are above 100 %; larger stakes do not
fit into such pools."""

EXPLOITS: dict[str, Policy] = {
    "do_nothing": do_nothing,
    "wash_trading": wash_trading,
    "pump": pump,
    "in_and_out": in_and_out,
}
"""Exploits by name."""
