"""Scripted stakers: the baselines that a learned policy is judged against.

Each sees what a learner sees: the observation, and the public reserves of the pools. A policy is called as
`policy(observation, batch, rngs) -> actions` with one generator per world (`action_generators`), so what it
does on a seed does not depend on the other worlds of the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dtao_gym.envs.roles import GLOBAL_FEATURES, SUBNET_FEATURES, target_action
from dtao_gym.world.batch import Batch
from dtao_gym.world.shocks import ACTION, generator

Weights = Callable[[np.ndarray, Batch], np.ndarray]


def subnet_feature(observation: np.ndarray, name: str) -> np.ndarray:
    """`(n_worlds, n_subnets)` values of one of `SUBNET_FEATURES`, as observed: within -1 and 1."""
    width = len(SUBNET_FEATURES)
    subnets = observation[:, : observation.shape[1] - len(GLOBAL_FEATURES)]
    return subnets[:, SUBNET_FEATURES.index(name) :: width]


def action_generators(batch: Batch) -> list[np.random.Generator]:
    """One generator per world, keyed by the world and its episode."""
    worlds = batch.state.worlds
    keys = zip(worlds["world_key"], worlds["episode"], strict=True)
    return [generator(key, episode, ACTION) for key, episode in keys]


@dataclass(frozen=True)
class Follower:
    """Trades a fixed share of the way to its target weights every day.

    Attributes:
        weights: target weights `(n_worlds, n_subnets + 1)`, root first, from observation and batch.
        daily_share: share of the gap that is closed in a day, 0 to 1.
    """

    weights: Weights
    daily_share: float

    def __call__(
        self, observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Actions `(n_worlds, n_subnets + 2)` float32."""
        days = batch.configs[0].days_per_step
        return target_action(
            self.weights(observation, batch), 1.0 - (1.0 - self.daily_share) ** days
        )


def random(
    observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Uniform actions: new random weights every step, on average half of the way at once."""
    size = batch.layout.n_subnets + 2
    return np.stack([rng.uniform(-1.0, 1.0, size) for rng in rngs]).astype(np.float32)


def in_proportion(scores: np.ndarray) -> np.ndarray:
    """Weights in proportion to scores of subnets `(n_worlds, n_subnets)`, all root where none is positive."""
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
    """In proportion to the rise of price over the last weeks, where it rose."""
    return in_proportion(subnet_feature(observation, "momentum_long"))


def value_weights(observation: np.ndarray, batch: Batch) -> np.ndarray:
    """In proportion to how far the public signal stands above the price, where it does."""
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


STAKERS: dict[str, Callable] = {
    "all_root": Follower(all_root_weights, 0.0),  # does nothing: every staker starts in root
    "equal_weight": Follower(equal_weights, 0.1),  # in over three weeks, then back to equal parts
    "market_weight": Follower(
        market_weights, 0.1
    ),  # in over three weeks, then moves with the pools
    "momentum": Follower(momentum_weights, 0.1),  # the signal is a 20-day change: as slow as that
    "value": Follower(value_weights, 0.1),  # prices close a gap to value in about 20 days
    "yield_chaser": Follower(yield_weights, 0.1),  # yields change slowly
    "random": random,
}
"""The scripted stakers by name."""
