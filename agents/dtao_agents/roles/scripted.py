"""Scripted stakers and builders: the baselines that a learned policy is judged against.

Each staker sees what a learner sees: the observation, and the public reserves of the pools. Builders divide their
budget in the same way all the time; two of them know the technology and reckon what pays. A policy is called as
`policy(observation, batch, rngs) -> actions` with one generator per world (`action_generators`), so what it
does on a seed does not depend on the other worlds of the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dtao_gym.economy.technology import decay_per_day, discount_per_day
from dtao_gym.economy.valuation import capitalisation, stage_discount
from dtao_gym.envs.builder.actions import action_size, builder_action
from dtao_gym.envs.staker.observation import GLOBAL_FEATURES, SUBNET_FEATURES
from dtao_gym.envs.staker.role import target_action
from dtao_gym.envs.task import TaskConfig, task_of
from dtao_gym.world.batch import Batch
from dtao_gym.world.shocks import ACTION, generator

Weights = Callable[[np.ndarray, Batch], np.ndarray]


def subnet_feature(observation: np.ndarray, name: str) -> np.ndarray:
    """`(n_worlds, n_subnets)` values of one of `SUBNET_FEATURES`, as observed: within -1 and 1."""
    width = len(SUBNET_FEATURES)
    subnets = observation[:, : observation.shape[1] - len(GLOBAL_FEATURES)]
    return subnets[:, SUBNET_FEATURES.index(name) :: width]


def without_signal(observation: np.ndarray) -> np.ndarray:
    """A copy of stakers' observations `(rows, size)` in which the signal features are 0, as in a replay."""
    seen = observation.copy()
    width, once = len(SUBNET_FEATURES), len(GLOBAL_FEATURES)
    seen[:, SUBNET_FEATURES.index("signal_value") : seen.shape[1] - once : width] = 0.0
    seen[:, seen.shape[1] - once + GLOBAL_FEATURES.index("mean_signal_value")] = 0.0
    return seen


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
        days = task_of(batch).days_per_step
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


# --- builders

MYOPIC_DAYS = 90


@dataclass(frozen=True)
class Division:
    """A builder who divides every budget alike; spending and sales stay as configured.

    Attributes:
        shares: research over research and product, and influence over the budget, from the configuration.
    """

    shares: Callable[[TaskConfig], tuple[float, float]]

    def __call__(
        self, observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Actions `(n_worlds, action_size)` float32."""
        config = task_of(batch)
        return np.tile(builder_action(config, *self.shares(config)), (len(observation), 1))


def constant(research_share: float) -> Division:
    """No influence, and always this research share, 0.002 to 0.998."""
    return Division(lambda config: (research_share, 0.0))


def as_configured(config: TaskConfig) -> tuple[float, float]:
    """The shares of the builders who do not learn."""
    return config.research_share, config.influence_share


def kernel_shares(config: TaskConfig) -> tuple[float, float]:
    """(research share, influence share) that pay most in closed form: of fees, else of prices set by the uninformed.

    A constant price for each unit of the public signal is supposed, without pruning, treasuries and dilution.
    """
    weights = _kernel_weights(config)
    return _best_division(config, *weights)


def kernel_logit(config: TaskConfig) -> float:
    """Log-odds of the research share of `kernel_shares`."""
    short, research, _ = _kernel_weights(config)
    return float(np.log(research / short) / (1.0 - config.curvature))


def _kernel_weights(config: TaskConfig) -> tuple[float, float, float]:
    """Present value of what a unit of product, research and influence pays for ever, times its productivity."""
    discount = discount_per_day(config.builder_discount_per_year)
    worth_of = [
        capitalisation(discount, decay_per_day(half_life))
        for half_life in (
            config.short_half_life_days,
            config.knowledge_half_life_days,
            config.influence_half_life_days,
        )
    ]
    arrival = 1.0
    if config.delay_days > 0.0:
        stage = stage_discount(discount, config.delay_stages / config.delay_days)
        arrival = stage**config.delay_stages
    return _weights(config, worth_of[0], arrival * worth_of[1], worth_of[2])


def myopic_shares(config: TaskConfig, days: int = MYOPIC_DAYS) -> tuple[float, float]:
    """(research share, influence share) that pay most over the next `days` days, as in `kernel_shares`."""
    discount = discount_per_day(config.builder_discount_per_year)
    kept = [
        1.0 - decay_per_day(half_life)
        for half_life in (
            config.short_half_life_days,
            config.knowledge_half_life_days,
            config.influence_half_life_days,
        )
    ]
    pipeline = np.zeros(config.delay_stages if config.delay_days > 0.0 else 0)
    leaves = config.delay_stages / config.delay_days if pipeline.size else 1.0
    knowledge, worth_of = 0.0, np.zeros(3)
    for day in range(days):
        arriving = 1.0 if day == 0 else 0.0  # one unit is put in today
        for k in range(pipeline.size):
            leaving = leaves * pipeline[k]
            pipeline[k] += arriving - leaving
            arriving = leaving
        knowledge = kept[1] * knowledge + arriving
        worth_of += discount**day * np.array([kept[0] ** day, knowledge, kept[2] ** day])
    return _best_division(config, *_weights(config, *worth_of))


def _weights(
    config: TaskConfig, short: float, research: float, courting: float
) -> tuple[float, float, float]:
    fees = config.payment == "fee"
    seen = 1.0 if fees else 1.0 + config.hype
    bought = config.influence_productivity * courting if config.influence and not fees else 0.0
    return (
        config.short_productivity * seen * short,
        config.research_productivity * research,
        bought,
    )


def _best_division(
    config: TaskConfig, short: float, research: float, courting: float
) -> tuple[float, float]:
    """Shares in proportion to weights to the power of 1 / (1 - curvature)."""
    short, research, courting = np.array([short, research, courting]) ** (
        1.0 / (1.0 - config.curvature)
    )
    return float(research / (short + research)), float(courting / (short + research + courting))


def random_division(
    observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Uniform actions of a builder, new ones every step."""
    size = action_size(task_of(batch))
    drawn = [rng.uniform(-1.0, 1.0, size) for rng, _ in zip(rngs, observation, strict=False)]
    return np.stack(drawn).astype(np.float32)


BUILDERS: dict[str, Callable] = {
    "all_short": constant(0.002),
    "all_long": constant(0.998),
    "half": constant(0.5),
    "as_configured": Division(as_configured),
    "myopic": Division(myopic_shares),
    "kernel": Division(kernel_shares),
    "random": random_division,
}
"""The scripted builders by name."""

SCRIPTED = {"staker": STAKERS, "builder": BUILDERS}
"""The baselines of each role."""
