"""The market of the simulated oracles: the engine without the frictions that closed forms leave out.

Stakers hold as much as they like and reach their target every day; nothing is noisy, shrinks, dies or is paid
outside the institution; all builders are alike and start at the steady state of their policy. One builder deviates.
The value of its stocks at the end of a run is added by the recursion of the stocks alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.nash import NashSettings
from dtao_agents.oracles.table import CAPITALISATION
from dtao_gym.economy.builder_theory import Technology, planners_milestone
from dtao_gym.economy.technology import decay_per_day, discount_per_day
from dtao_gym.economy.valuation import capitalisation, stage_discount
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.state import State

FRICTIONLESS: dict[str, Any] = PREDICTABLE | {
    "genesis": "symmetric",
    "n_subnets": 8,
    "type_sd": 0.0,
    "genesis_stocks": "steady_state",
    "pool_depth": 100.0,
    "pool_fee": 0.0,
    "short_sales": True,
    "trade_speed": 1.0,
    "spans_per_day": 1,
    "opinion_noise_sd": 0.0,
    "signal_noise_sd": 0.0,
    "signal_lag_days": 0,
    "research_luck_sd": 0.0,
    "momentum": 0.0,
    "dilution": False,
    "pruning": False,
    "arrivals_per_slot_year": 0.0,
    "finance": False,
    "moving_price_clipped": False,
    "miner_sale_fraction": 0.0,
    "validator_sale_fraction": 0.0,
    "root_claim_hazard": 0.0,
    "revenue_share": 0.0,
    "purse_rebalance": 0.0,
    "outside_return": 0.0,
    "outside_initial_tao": 1e6,
    "pooled_capitalisation": CAPITALISATION,
}
"""World parameters of the market; each oracle adds its changes."""
DAYS = 6545
"""Length of a run: four times the mean horizon of a discount of 20 % a year."""
SOLVER = NashSettings(
    grid_wide=12, grid_near=9, half_width=1.0, fit="three", max_iterations=6, measure_slope=False
)
SEEDS = (0, 1)
"""World seeds. Nothing is drawn: the seeds differ in the slot that deviates."""

Pay = Callable[[Batch, np.ndarray], np.ndarray]
"""`pay(batch, stocks (worlds, subnets, s)) -> (worlds, s)`: TAO per day for one unit of each stock."""


class StockRecursion:
    """Stocks of a builder as a vector, and their path without further spending.

    The `s = 3 + stages` entries are the short stock, knowledge, the stages of the pipeline, and influence.

    Parameters
    ----------
    config : Config
        Source of half-lives, delay and discount.

    Attributes
    ----------
    discount : float
        Discount factor per day.
    move : ndarray (s, s)
        Stocks of a day from those of the day before.
    worth : ndarray (s, s)
        Discounted sum of all later stocks, today's included.
    """

    def __init__(self, config: Config):
        k = config.delay_stages if config.delay_days > 0.0 else 0
        rate = k / config.delay_days if k else 1.0
        self.discount = discount_per_day(config.builder_discount_per_year)
        move = np.zeros((3 + k, 3 + k))
        move[0, 0] = 1.0 - decay_per_day(config.short_half_life_days)
        move[1, 1] = 1.0 - decay_per_day(config.knowledge_half_life_days)
        move[-1, -1] = 1.0 - decay_per_day(config.influence_half_life_days)
        for j in range(k):
            move[2 + j, 2 + j] = 1.0 - rate
            move[3 + j if j + 1 < k else 1, 2 + j] = rate
        self.move = move
        self.worth = np.linalg.inv(np.eye(3 + k) - self.discount * move)

    def stocks(self, state: State, worlds: np.ndarray) -> np.ndarray:
        """Present stocks in some worlds, `(worlds, subnets, s)`."""
        rows = [state.row("short_stock")[worlds], state.row("knowledge")[worlds]]
        rows += list(state.section("pipeline")[worlds].swapaxes(0, 1))
        return np.stack([*rows, state.row("influence_stock")[worlds]], axis=-1)


def terminal_value(
    config: Config, pay: Pay, same_day: bool = False
) -> Callable[[Batch, np.ndarray, np.ndarray], np.ndarray]:
    """Discounted pay that a builder's stocks still earn after the last day.

    Parameters
    ----------
    config : Config
        The market.
    pay : callable
        Pay per day for one unit of each stock.
    same_day : bool
        Pay follows the stocks of the evening instead of those of the morning.

    Returns
    -------
    callable
        ``(batch, worlds, slots) -> (worlds,)`` TAO, discounted to the first day, for `BuilderGame`.
    """
    recursion = StockRecursion(config)

    def value(batch: Batch, worlds: np.ndarray, slots: np.ndarray) -> np.ndarray:
        stocks = recursion.stocks(batch.state, worlds)
        rates = pay(batch, stocks)
        worth = recursion.worth @ recursion.move if same_day else recursion.worth
        own = stocks[np.arange(worlds.size), slots]
        factor = recursion.discount ** batch.state.worlds["day"][worlds]
        return factor * np.einsum("wi,ij,wj->w", rates, worth, own)

    return value


def unit_rates(
    stocks: np.ndarray, short: float, knowledge: float, influence: float = 0.0
) -> np.ndarray:
    """The same value of one unit of each stock in all worlds, `(worlds, s)`; the pipeline has none."""
    rates = np.zeros((len(stocks), stocks.shape[-1]))
    rates[:, 0], rates[:, 1], rates[:, -1] = short, knowledge, influence
    return rates


def fee_pay(config: Config) -> Pay:
    """Pay of builders whom users pay for their own value."""
    fee = config.fee_per_value
    return lambda batch, stocks: unit_rates(stocks, fee, fee)


def capital_values(config: Config, stocks: np.ndarray) -> np.ndarray:
    """Capital value of one unit of each stock to informed and uninformed stakers together, `(worlds, s)`."""
    discount = discount_per_day(config.valuer_discount_per_year)
    of_knowledge = capitalisation(discount, decay_per_day(config.knowledge_half_life_days))
    of_product = capitalisation(discount, decay_per_day(config.short_half_life_days))
    informed = unit_rates(stocks, of_product, of_knowledge)
    k = stocks.shape[-1] - 3
    if config.pipeline_visible and k:
        q = stage_discount(discount, k / config.delay_days)
        informed[:, 2:-1] = of_knowledge * q ** np.arange(k, 0, -1)
    uninformed = config.pooled_capitalisation * unit_rates(stocks, 1.0 + config.hype, 1.0, 1.0)
    f = config.informed_share_stakers
    return f * informed + (1.0 - f) * uninformed


def alpha_pay(config: Config) -> Pay:
    """Pay of owners in alpha: a day's alpha at the price that a unit of each stock adds."""

    def pay(batch: Batch, stocks: np.ndarray) -> np.ndarray:
        alpha = config.owner_cut * BLOCKS_PER_DAY  # 1 alpha per block
        return alpha * batch.parameters["price_of_capital"][0] * capital_values(config, stocks)

    return pay


def direct_pay(config: Config) -> Pay:
    """Pay of owners in TAO: their cut of the emission, shared by prices or by votes."""

    def pay(batch: Batch, stocks: np.ndarray) -> np.ndarray:
        budget = config.owner_cut * config.emission_per_subnet_tao * stocks.shape[1]
        if config.allocation != "root_vote":
            rates = capital_values(config, stocks)
            return budget * rates / np.einsum("wi,wni->w", rates, stocks)[:, None]
        spillover = config.voter_spillover_weight * config.spillover
        informed = unit_rates(stocks, 1.0, 1.0 + spillover)
        uninformed = unit_rates(stocks, 1.0 + config.hype, 1.0, 1.0)
        f = config.informed_share_voters
        parts = [
            part * rates / np.einsum("wi,wni->w", rates, stocks)[:, None]
            for part, rates in ((f, informed), (1.0 - f, uninformed))
        ]
        return budget * (parts[0] + parts[1])

    return pay


PAYS: dict[str, Callable[[Config], Pay]] = {
    "alpha": alpha_pay,
    "direct": direct_pay,
    "fee": fee_pay,
}


def frictionless_game(**changes: Any) -> BuilderGame:
    """The game of builders in this market; `changes` are world parameters."""
    config = Config.make(FRICTIONLESS, **changes)
    value = terminal_value(config, PAYS[config.payment](config), config.payment == "fee")
    return BuilderGame(config, SEEDS, days=DAYS, terminal=value)


def planners_grant() -> float:
    """Milestone grant, TAO per unit of knowledge, that gives an uninformed market the planner's share.

    The closed form `planners_milestone` is in units of the signal; pay in alpha per unit of the signal converts it.
    """
    config = Config.make(FRICTIONLESS, informed_share_stakers=0.0)
    batch = Batch(Config.make(config, n_stakers=0))
    one_of_each = np.zeros((1, 1, 3 + batch.layout.pipeline_stages))
    pay_of_knowledge = float(alpha_pay(config)(batch, one_of_each)[0, 1])
    return planners_milestone(Technology()) * pay_of_knowledge
