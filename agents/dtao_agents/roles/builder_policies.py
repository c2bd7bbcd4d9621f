"""Policies of builders: the baselines that a learned policy is compared with, and exploits.

Baselines divide their budget in the same way all the time; two of them know the technology and compute the best
division. Exploits try to earn without contributing anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dtao_agents.roles.policies import Policy, uniform_actions
from dtao_gym.economy.technology import decay_per_day, discount_per_day
from dtao_gym.economy.valuation import capitalisation, stage_discount
from dtao_gym.envs.builder.actions import HIGHEST_SHARE, LOWEST_SHARE, action_size, builder_action
from dtao_gym.envs.task import TaskConfig, task_of
from dtao_gym.world.batch import Batch

MYOPIC_DAYS = 90
"""Horizon of the myopic builder."""


@dataclass(frozen=True)
class BudgetSplit:
    """Divides every budget alike; spending and sales stay as configured.

    Attributes
    ----------
    shares : callable
        Research over research and product, and influence over the budget, from the configuration.
    """

    shares: Callable[[TaskConfig], tuple[float, float]]

    def __call__(
        self, observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Return actions `(n_worlds, action_size)` float32."""
        config = task_of(batch)
        return np.tile(builder_action(config, *self.shares(config)), (len(observation), 1))


def constant(research_share: float) -> BudgetSplit:
    """Return the policy without influence and with this research share, 0.002 to 0.998."""
    return BudgetSplit(lambda config: (research_share, 0.0))


def as_configured(config: TaskConfig) -> tuple[float, float]:
    """Return (research share, influence share) of the builders who do not learn."""
    return config.research_share, config.influence_share


def closed_form_shares(config: TaskConfig) -> tuple[float, float]:
    """Return the optimal (research share, influence share) in closed form.

    The pay is that of fees, else that of prices set by uninformed stakers: a constant price for each unit of the public
    signal, without pruning, treasuries and dilution.
    """
    return _best_split(config, *_lasting_values(config))


def closed_form_logit(config: TaskConfig) -> float:
    """Return the log-odds of the research share of `closed_form_shares`."""
    short, research, _ = _lasting_values(config)
    return float(np.log(research / short) / (1.0 - config.curvature))


def _lasting_values(config: TaskConfig) -> tuple[float, float, float]:
    """Present values of perpetual pay for a unit of spending on product, research and influence."""
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
    return _productive_values(config, worth_of[0], arrival * worth_of[1], worth_of[2])


def myopic_shares(config: TaskConfig, days: int = MYOPIC_DAYS) -> tuple[float, float]:
    """Return the optimal (research share, influence share) for the pay of the next `days` days only.

    Assumptions as in `closed_form_shares`.
    """
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
    return _best_split(config, *_productive_values(config, *worth_of))


def _productive_values(
    config: TaskConfig, short: float, research: float, influence: float
) -> tuple[float, float, float]:
    """Values of a unit of spending on product, research and influence, from those of their stocks."""
    fees = config.payment == "fee"
    visible = 1.0 if fees else 1.0 + config.hype
    bought = config.influence_productivity * influence if config.influence and not fees else 0.0
    return (
        config.short_productivity * visible * short,
        config.research_productivity * research,
        bought,
    )


def _best_split(
    config: TaskConfig, short: float, research: float, influence: float
) -> tuple[float, float]:
    """Shares in proportion to values to the power of 1 / (1 - curvature)."""
    short, research, influence = np.array([short, research, influence]) ** (
        1.0 / (1.0 - config.curvature)
    )
    return float(research / (short + research)), float(influence / (short + research + influence))


def random(
    observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Uniform actions, new ones at every step."""
    return uniform_actions(action_size(task_of(batch)), observation, rngs)


SCRIPTED: dict[str, Policy] = {
    "all_short": constant(LOWEST_SHARE),
    "all_long": constant(HIGHEST_SHARE),
    "half": constant(0.5),
    "as_configured": BudgetSplit(as_configured),
    "myopic": BudgetSplit(myopic_shares),
    "closed_form": BudgetSplit(closed_form_shares),
    "random": random,
}
"""Baselines by name."""


# ------------------------------------------------------------ exploits


@dataclass(frozen=True)
class ConstantAction:
    """Always takes the same decisions; the division of the budget stays as configured.

    Attributes
    ----------
    spend_rate : float
        Part of the treasury that is spent in a day, 0 to 0.2.
    owner_sale_fraction : float
        Part of the owner's daily alpha that is sold, 0 to 1.
    """

    spend_rate: float
    owner_sale_fraction: float

    def __call__(
        self, observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Return actions `(n_worlds, action_size)` float32."""
        action = builder_action(
            task_of(batch),
            spend_rate=self.spend_rate,
            owner_sale_fraction=self.owner_sale_fraction,
        )
        return np.tile(action, (len(observation), 1))


register_to_be_dissolved = ConstantAction(spend_rate=0.0, owner_sale_fraction=1.0)
"""Spends nothing, sells every alpha on the day it is paid and lets the subnet die, to live on emission while it lasts
and to be refunded at the end. Without product the price falls, and emission with it; at the end the treasury is lost,
and the refund of the lock, for subnets registered before September 2025 only, is less than the owner's cut so far."""

do_nothing = ConstantAction(spend_rate=0.0, owner_sale_fraction=0.0)
"""Spends nothing and sells nothing. Paid in alpha it consumes nothing at all; paid in TAO it hopes for pay without work,
as `register_to_be_dissolved` does. Where a builder decides on the division of a given budget alone, that stays as
configured."""

EXPLOITS: dict[str, Policy] = {
    "do_nothing": do_nothing,
    "register_to_be_dissolved": register_to_be_dissolved,
}
"""Exploits by name."""
