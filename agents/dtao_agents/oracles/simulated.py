"""Oracles of kind S: research shares that are best when the engine plays the market, without its frictions.

In the preset stakers hold as much as they like and reach their target every day, nothing is noisy, nothing
shrinks, dies or is paid on the side, and all builders are alike and start where their ways would have led
them. One builder deviates; what its stocks are worth at the end is added by the recursion of the stocks alone.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.game import share_of
from dtao_agents.equilibrium.inference import best_response
from dtao_agents.equilibrium.nash import NashSettings, solve
from dtao_agents.oracles.table import NUMBERS, Progress, Row, number_row, share_row
from dtao_gym.economy.technology import decay_per_day, discount_per_day, output
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
    "pooled_capitalisation": 473.836,
}
"""The preset `oracle_frictionless`; each row says what it changes."""
DAYS = 6545
"""Four times the mean of what is discounted at 20 % a year."""
SOLVER = NashSettings(
    grid_wide=12, grid_near=9, half_width=1.0, fit="three", max_iterations=6, measure_slope=False
)
CURVATURE = 0.5
DILUTION_A_DAY = 0.001553559
SEEDS = (0, 1)
"""Nothing is drawn: they differ in the slot that deviates."""
RANDOM_ENDS = 64
"""Worlds of the rows about random ends."""
Pay = Callable[[Batch, np.ndarray], np.ndarray]


class Stocks:
    """A builder's stocks in one vector: short-term, knowledge, pipeline, influence; and how they go on by themselves."""

    def __init__(self, config: Config):
        k = config.delay_stages if config.delay_days > 0.0 else 0
        rate = k / config.delay_days if k else 1.0
        self.discount = discount_per_day(config.builder_discount_per_year)
        self.stage = stage_discount(self.discount, rate)
        move = np.zeros((3 + k, 3 + k))
        move[0, 0] = 1.0 - decay_per_day(config.short_half_life_days)
        move[1, 1] = 1.0 - decay_per_day(config.knowledge_half_life_days)
        move[-1, -1] = 1.0 - decay_per_day(config.influence_half_life_days)
        for j in range(k):
            move[2 + j, 2 + j] = 1.0 - rate
            move[3 + j if j + 1 < k else 1, 2 + j] = rate
        self.move = move
        self.worth = np.linalg.inv(np.eye(3 + k) - self.discount * move)

    def of(self, state: State, worlds: np.ndarray) -> np.ndarray:
        """`(worlds, subnets, 3 + stages)`."""
        rows = [state.row("short_stock")[worlds], state.row("knowledge")[worlds]]
        rows += list(state.section("pipeline")[worlds].swapaxes(0, 1))
        return np.stack([*rows, state.row("influence_stock")[worlds]], axis=-1)


def terminal_value(config: Config, pay: Pay, same_day: bool = False):
    """What a builder's stocks will still earn, `pay(batch, stocks) -> (worlds, stocks)` a day for one unit of each.

    `same_day`: pay follows the stocks of the evening, not those of the morning.
    """
    stocks = Stocks(config)

    def value(batch: Batch, worlds: np.ndarray, slots: np.ndarray) -> np.ndarray:
        have = stocks.of(batch.state, worlds)
        rates = pay(batch, have)
        worth = stocks.worth @ stocks.move if same_day else stocks.worth
        mine = have[np.arange(worlds.size), slots]
        later = stocks.discount ** batch.state.worlds["day"][worlds]
        return later * np.einsum("wi,ij,wj->w", rates, worth, mine)

    return value


def _unit(have: np.ndarray, short: float, knowledge: float, influence: float = 0.0) -> np.ndarray:
    rates = np.zeros((len(have), have.shape[-1]))
    rates[:, 0], rates[:, 1], rates[:, -1] = short, knowledge, influence
    return rates


def fee_pay(config: Config) -> Pay:
    """Own value, as users pay for it."""
    fee = config.fee_per_value
    return lambda batch, have: _unit(have, fee, fee)


def views(config: Config, have: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Capital value of one unit of each stock to the informed and to the uninformed, `(worlds, stocks)` each."""
    discount = discount_per_day(config.valuer_discount_per_year)
    worth_of_knowledge = capitalisation(discount, decay_per_day(config.knowledge_half_life_days))
    informed = _unit(
        have,
        capitalisation(discount, decay_per_day(config.short_half_life_days)),
        worth_of_knowledge,
    )
    k = have.shape[-1] - 3
    if config.pipeline_visible and k:
        q = stage_discount(discount, k / config.delay_days)
        informed[:, 2:-1] = worth_of_knowledge * q ** np.arange(k, 0, -1)
    return informed, config.pooled_capitalisation * _unit(have, 1.0 + config.hype, 1.0, 1.0)


def market_rates(config: Config, have: np.ndarray) -> np.ndarray:
    """Capital value of one unit of each stock to the market."""
    informed, uninformed = views(config, have)
    f = config.informed_share_stakers
    return f * informed + (1.0 - f) * uninformed


def alpha_pay(config: Config) -> Pay:
    """The owner's alpha of a day at the price that a unit of each stock makes."""

    def pay(batch: Batch, have: np.ndarray) -> np.ndarray:
        alpha = config.owner_cut * BLOCKS_PER_DAY  # 1 alpha a block
        return alpha * batch.parameters["price_of_capital"][0] * market_rates(config, have)

    return pay


def share_pay(config: Config) -> Pay:
    """The owner's part of the emission: a share of prices, or of votes."""

    def pay(batch: Batch, have: np.ndarray) -> np.ndarray:
        pot = config.owner_cut * config.emission_per_subnet_tao * have.shape[1]
        if config.allocation != "root_vote":
            rates = market_rates(config, have)
            return pot * rates / np.einsum("wi,wni->w", rates, have)[:, None]
        spillover = config.voter_spillover_weight * config.spillover
        graded = _unit(have, 1.0, 1.0 + spillover)
        shown = _unit(have, 1.0 + config.hype, 1.0, 1.0)
        f = config.informed_share_voters
        parts = [
            part * rates / np.einsum("wi,wni->w", rates, have)[:, None]
            for part, rates in ((f, graded), (1.0 - f, shown))
        ]
        return pot * (parts[0] + parts[1])

    return pay


def game(**changes: Any) -> BuilderGame:
    """The frictionless game, with what a row changes."""
    config = Config.make(FRICTIONLESS, **changes)
    kinds = {"alpha": alpha_pay, "direct": share_pay, "fee": fee_pay}
    value = terminal_value(config, kinds[config.payment](config), config.payment == "fee")
    return BuilderGame(config, SEEDS, days=DAYS, terminal=value)


def research(start: float = 0.3, capitalised: bool = False, **changes: Any) -> float:
    """The equilibrium research share; `capitalised`: the pooled capitalisation is estimated too."""
    played = game(**changes)
    if capitalised:
        played.capitalisation = played.config.pooled_capitalisation
    found = solve(played, start, SOLVER)
    return float("nan") if found.research_share is None else found.research_share


def best_share(
    heights: Callable[[float, np.ndarray], np.ndarray], start: float = 0.0, width: float = 3.0
) -> float:
    """The share at which `heights(centre, candidates)` peak, on grids of log-odds that close in on it."""
    place = start
    for _ in range(3):
        candidates = share_of(np.linspace(place - width, place + width, 9))
        found = heights(float(share_of(place)), candidates)
        place = best_response(candidates, found, "three").log_odds
        width /= 3.0
    return float(share_of(place))


def influence(research_share: float, **changes: Any) -> float:
    """The best share of influence in the budget, for a research share that does not depend on it."""
    played = game(influence=True, research_share=research_share, **changes)

    def payoffs(centre: float, candidates: np.ndarray) -> np.ndarray:
        return played.influence_payoffs(centre, candidates).values.mean(axis=0)

    return best_share(payoffs, start=-2.0)


def welfare(research_share: float, **changes: Any) -> float:
    """Present value of what users get when everybody starts from nothing and plays a share, to the end of all stocks."""
    config = Config.make(FRICTIONLESS, research_share=research_share, **changes)
    batch = Batch(Config.make(config, n_stakers=0))
    _from_nothing(batch.state)
    batch.step(days=DAYS)
    stocks = Stocks(config)
    have = stocks.of(batch.state, np.arange(1))
    rates = _unit(have, 1.0, 1.0 + config.spillover)[0]
    later = stocks.discount**DAYS * (rates @ stocks.move @ stocks.worth @ have[0].sum(axis=0))
    return float(batch.state.worlds["welfare_sum"][0] + later)


def planner(**changes: Any) -> float:
    """The share at which welfare is largest."""
    return best_share(
        lambda _, candidates: np.array([welfare(float(r), **changes) for r in candidates])
    )


def unequal_subnets() -> list[float]:
    """The planner's budgets and shares for weights (1, 1) and (1, 2), found by trying: see O22."""

    def value(budget: float, share: float, weight: float) -> float:
        made = output(1.0, 1.0, (1.0 - share) * budget, CURVATURE)
        return made + output(1.0, weight, share * budget, CURVATURE)

    shares = [
        best_share(lambda _, tried, w=w: np.array([value(1.0, float(r), w) for r in tried]))
        for w in (1.0, 2.0)
    ]

    def total(second: float) -> float:
        return value(1.0 - second, shares[0], 1.0) + value(second, shares[1], 2.0)

    second = best_share(lambda _, tried: np.array([total(float(b)) for b in tried]))
    both = (1.0 - second) * shares[0] + second * shares[1]
    return [1.0 - second, second, *shares, both, total(second), total(0.5)]


def _from_nothing(state: State) -> None:
    for name in ("short_stock", "knowledge", "informed_value"):
        state.row(name)[...] = 0.0
    state.section("pipeline")[...] = 0.0
    state.section("signal_history")[...] = 0.0


def from_nothing(days: int | None, seeds: int = len(SEEDS), **changes: Any) -> float:
    """The best constant share for a builder without stocks, income counted until the end and nothing after."""
    config = Config.make(FRICTIONLESS, **changes)
    played = BuilderGame(config, range(seeds), days=days, prepare=_from_nothing)

    def payoffs(centre: float, candidates: np.ndarray) -> np.ndarray:
        return played.payoffs(centre, candidates).values.mean(axis=0)

    return best_share(payoffs, start=-1.0)


def issuance_for(rate_a_day: float) -> dict[str, Any]:
    """A market whose alpha grows by a part of itself a day: little is injected, and pools are not deepened."""
    emitted, injected, price = BLOCKS_PER_DAY, 0.01, 0.02
    pool = 1_000_000.0
    outstanding = (emitted + injected * emitted) / rate_a_day - pool
    return {
        "dilution": True,
        "pool_depth": 1.0,
        "genesis_price_median": price,
        "genesis_pool_median": pool * price,
        "genesis_alpha_out_median": outstanding,
        "emission_per_subnet_tao": injected * emitted * price,
    }


Simulation = tuple[str, Callable[[], float]]


def _shares() -> dict[str, list[Simulation]]:
    """What is run for each id, in the order of its expected numbers; the setting ends in the case."""
    by_price: dict[str, Any] = {"allocation": "price", "payment": "direct"}
    by_vote: dict[str, Any] = {"allocation": "root_vote", "payment": "direct"}
    fees: dict[str, Any] = {"payment": "fee"}
    daily_98 = 1.0 - 0.98**365
    grant: dict[str, Any] = {"informed_share_stakers": 0.0, "milestone_grant_tao": _grant()}
    slow: dict[str, Any] = {
        "moving_price_base": 1.0 - 0.995 ** (1 / 7200),
        "moving_price_halving_blocks": 0.0,
    }
    blind: dict[str, Any] = {"informed_share_stakers": 0.0}
    return {
        "O1": [
            ("0", lambda: planner(spillover=0.0)),
            (".5", planner),
        ],
        "O2": [
            ("0", lambda: research(hype=0.0, **blind)),
            (".5", lambda: research(**blind)),
        ],
        "O2b": [
            ("patient", lambda: research(0.9, informed_share_stakers=1.0)),
            (
                "discount .98 a day",
                lambda: research(
                    0.8, informed_share_stakers=1.0, valuer_discount_per_year=daily_98
                ),
            ),
            (
                "pipeline unseen",
                lambda: research(0.9, informed_share_stakers=1.0, pipeline_visible=False),
            ),
        ],
        "O2c": [("hype 0", lambda: research(0.5, informed_share_stakers=0.1, hype=0.0))],
        "O3": [("1", lambda: research(0.5, hype=0.0, **blind, **by_price)), (".1", lambda: np.nan),
               (".005", lambda: research(0.5, hype=0.0, **blind, **by_price, **slow))],
        "O20": [("grant", lambda: np.nan), ("r", lambda: research(0.6, **grant))],
        "O24": [
            ("hype .5", lambda: influence(4 / 13, **blind)),
            ("half-life 90 d", lambda: influence(4 / 13, influence_half_life_days=90.0, **blind)),
            ("hype 0", lambda: influence(0.5, hype=0.0, **blind)),
            ("productivity .1", lambda: influence(4 / 13, influence_productivity=0.1, **blind)),
        ],
        "O25": [
            (str(f), lambda f=f: research(0.4, informed_share_voters=f, **by_vote))
            for f in (0.0, 0.3, 0.5, 1.0)
        ],
        "O27b": [("hype 0", lambda: from_nothing(DAYS, hype=0.0, **blind, **issuance_for(DILUTION_A_DAY)))],
        "O29": [
            *((f"{days} d", lambda days=days: from_nothing(days, builder_discount_per_year=0.20, **fees))
              for days in (720, 1440, 2160, 4000, 4908, 6000)),
            *((f"cap {cap} d", lambda cap=cap: from_nothing(None, RANDOM_ENDS, horizon="geometric", horizon_cap_days=cap, **fees))
              for cap in (4000, 8000)),
        ],
    }  # fmt: skip


def _grant() -> float:
    """The milestone grant that pays for what the uninformed market does not, per unit of knowledge."""
    config = Config.make(FRICTIONLESS, informed_share_stakers=0.0)
    batch = Batch(Config.make(config, n_stakers=0))
    per_signal = alpha_pay(config)(batch, np.zeros((1, 1, 6)))[0, 1]
    knowledge = capitalisation(
        discount_per_day(config.builder_discount_per_year),
        decay_per_day(config.knowledge_half_life_days),
    )
    return ((1.0 + config.hype) * (1.0 + config.spillover) - 1.0) * knowledge * per_signal


def rows(progress: Progress) -> Iterator[Row]:
    """All rows; `progress` is told what is being run."""
    for id, simulations in _shares().items():
        for (case, run), expected in zip(simulations, NUMBERS[id], strict=False):
            progress(f"{id}, run: {case}")
            got = run()
            if not np.isnan(got):
                setting = f"{expected.setting}, run"
                yield share_row(id, setting, "S", expected.number, got)
    for informed, numbers in ((0.3, NUMBERS["O2g"][:2]), (0.5, NUMBERS["O2g"][2:])):
        progress(f"O2g, run: {informed} informed")
        played = game(informed_share_stakers=informed)
        played.capitalisation = played.config.pooled_capitalisation
        found = solve(played, 0.5, SOLVER)
        share, capitalised = numbers
        yield share_row(
            "O2g", f"{share.setting}, run", "S", share.number, found.research_share or np.nan
        )
        yield number_row("O2g", f"{capitalised.setting}, run", "S", capitalised.number, found.capitalisation or np.nan)  # fmt: skip
    for expected, got in zip(NUMBERS["O22"], unequal_subnets(), strict=True):
        yield number_row("O22", f"{expected.setting}, tried", "S", expected.number, got)
    progress("O23, run")
    best = welfare(NUMBERS["O1"][1].number)
    for expected, r in zip(NUMBERS["O23"], (0.1, 0.152, 0.307692, 0.4, 0.566, 0.95), strict=True):
        yield number_row("O23", f"{expected.setting}, run", "S", expected.number, welfare(r) / best, 0.005)  # fmt: skip
