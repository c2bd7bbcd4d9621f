"""Oracles of kind S: best research shares in the frictionless market of the engine, by search."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.game import share_of
from dtao_agents.equilibrium.inference import best_response
from dtao_agents.equilibrium.nash import Equilibrium, solve
from dtao_agents.oracles.frictionless import (
    DAYS,
    FRICTIONLESS,
    SEEDS,
    SOLVER,
    StockRecursion,
    frictionless_game,
    planners_grant,
    unit_rates,
)
from dtao_agents.oracles.table import (
    MEDIAN_DILUTION_PER_DAY,
    NUMBERS,
    OracleCheck,
    Progress,
    number_check,
    share_check,
)
from dtao_gym.economy.technology import output
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.state import State

CURVATURE = 0.5
"""Exponent of spending in O22."""
RANDOM_ENDS = 64
"""Worlds of the oracles with random ends."""
WELFARE_TOLERANCE = 0.005
"""Relative tolerance of O23."""

Simulation = Callable[[], float]
_simulations: dict[str, Callable[[], list[Simulation | None]]] = {}


def simulation(id: str) -> Callable[[Callable], Callable]:
    """Decorator for a function that lists the simulations of an oracle.

    The list follows the order of the expected numbers and may be shorter; None where a number has no simulation.
    """
    return lambda function: _simulations.setdefault(id, function)


# --- equilibria, best responses and the planner's choice


def equilibrium(start: float, estimate_capitalisation: bool = False, **changes: Any) -> Equilibrium:
    """Equilibrium of the frictionless game.

    Parameters
    ----------
    start : float
        Research share at which the search starts.
    estimate_capitalisation : bool
        Estimate the capitalisation of uninformed stakers along with the share; else it stays as configured.
    **changes
        World parameters.
    """
    game = frictionless_game(**changes)
    if estimate_capitalisation:
        game.capitalisation = game.config.pooled_capitalisation
    return solve(game, start, SOLVER)


def research(start: float = 0.3, **changes: Any) -> float:
    """Equilibrium research share; NaN if there is none."""
    share = equilibrium(start, **changes).research_share
    return float("nan") if share is None else share


def best_share(
    heights: Callable[[float, np.ndarray], np.ndarray], start: float = 0.0, width: float = 3.0
) -> float:
    """Share at which an objective peaks, on three successively narrower grids of log-odds.

    Parameters
    ----------
    heights : callable
        ``heights(centre, candidates (9,)) -> (9,)``, shares to objective.
    start, width : float
        Centre and half-width of the first grid, log-odds.
    """
    place = start
    for _ in range(3):
        candidates = share_of(np.linspace(place - width, place + width, 9))
        values = heights(float(share_of(place)), candidates)
        place = best_response(candidates, values, "three").log_odds
        width /= 3.0
    return float(share_of(place))


def influence(research_share: float, **changes: Any) -> float:
    """Best share of influence in the budget, for a research share that does not depend on it."""
    game = frictionless_game(influence=True, research_share=research_share, **changes)

    def payoffs(centre: float, candidates: np.ndarray) -> np.ndarray:
        return game.influence_payoffs(centre, candidates).values.mean(axis=0)

    return best_share(payoffs, start=-2.0)


def welfare(research_share: float, **changes: Any) -> float:
    """Present value to users, to infinity, when all builders start without stocks and play one share."""
    config = Config.make(FRICTIONLESS, research_share=research_share, **changes)
    batch = Batch(Config.make(config, n_stakers=0))
    _clear_stocks(batch.state)
    batch.step(days=DAYS)
    recursion = StockRecursion(config)
    stocks = recursion.stocks(batch.state, np.arange(1))
    rates = unit_rates(stocks, 1.0, 1.0 + config.spillover)[0]
    later = rates @ recursion.move @ recursion.worth @ stocks[0].sum(axis=0)
    return float(batch.state.worlds["welfare_sum"][0] + recursion.discount**DAYS * later)


def planner(**changes: Any) -> float:
    """Research share at which welfare is largest."""
    return best_share(
        lambda _, candidates: np.array([welfare(float(r), **changes) for r in candidates])
    )


def _clear_stocks(state: State) -> None:
    for name in ("short_stock", "knowledge", "informed_value"):
        state.row(name)[...] = 0.0
    state.section("pipeline")[...] = 0.0
    state.section("signal_history")[...] = 0.0


def from_nothing(days: int | None, seeds: int = len(SEEDS), **changes: Any) -> float:
    """Best constant share of a builder without stocks; only income within the run counts.

    Parameters
    ----------
    days : int or None
        Length of the run; None where the horizon is random.
    seeds : int
        Worlds.
    **changes
        World parameters.
    """
    config = Config.make(FRICTIONLESS, **changes)
    game = BuilderGame(config, range(seeds), days=days, prepare=_clear_stocks)

    def payoffs(centre: float, candidates: np.ndarray) -> np.ndarray:
        return game.payoffs(centre, candidates).values.mean(axis=0)

    return best_share(payoffs, start=-1.0)


def unequal_subnets() -> list[float]:
    """The planner's budgets and shares for subnets of weights (1, 1) and (1, 2), by search; see O22."""

    def value(budget: float, share: float, weight: float) -> float:
        product = output(1.0, 1.0, (1.0 - share) * budget, CURVATURE)
        return product + output(1.0, weight, share * budget, CURVATURE)

    shares = [
        best_share(lambda _, tried, w=w: np.array([value(1.0, float(r), w) for r in tried]))
        for w in (1.0, 2.0)
    ]

    def total(second: float) -> float:
        return value(1.0 - second, shares[0], 1.0) + value(second, shares[1], 2.0)

    second = best_share(lambda _, tried: np.array([total(float(b)) for b in tried]))
    both = (1.0 - second) * shares[0] + second * shares[1]
    return [1.0 - second, second, *shares, both, total(second), total(0.5)]


def constant_dilution(rate_per_day: float) -> dict[str, Any]:
    """World parameters of a constant growth of the alpha supply: small injections into deep pools."""
    emitted, injected, price = BLOCKS_PER_DAY, 0.01, 0.02
    pool = 1_000_000.0
    outstanding = (emitted + injected * emitted) / rate_per_day - pool
    return {
        "dilution": True,
        "pool_depth": 1.0,
        "genesis_price_median": price,
        "genesis_pool_median": pool * price,
        "genesis_alpha_out_median": outstanding,
        "emission_per_subnet_tao": injected * emitted * price,
    }


# --- the oracles

PRICE_SHARES: dict[str, Any] = {"allocation": "price", "payment": "direct"}
VOTE_SHARES: dict[str, Any] = {"allocation": "root_vote", "payment": "direct"}
UNINFORMED: dict[str, Any] = {"informed_share_stakers": 0.0}
INFORMED: dict[str, Any] = {"informed_share_stakers": 1.0}


@simulation("O1")
def _planner() -> list[Simulation | None]:
    return [lambda: planner(spillover=0.0), planner]


@simulation("O2")
def _uninformed() -> list[Simulation | None]:
    return [lambda: research(hype=0.0, **UNINFORMED), lambda: research(**UNINFORMED)]


@simulation("O2b")
def _informed() -> list[Simulation | None]:
    impatient = INFORMED | {"valuer_discount_per_year": 1.0 - 0.98**365}
    return [
        lambda: research(0.9, **INFORMED),
        lambda: research(0.8, **impatient),
        lambda: research(0.9, pipeline_visible=False, **INFORMED),
    ]


@simulation("O2c")
def _mixture() -> list[Simulation | None]:
    return [lambda: research(0.5, informed_share_stakers=0.1, hype=0.0)]


@simulation("O3")
def _moving_average() -> list[Simulation | None]:
    slow: dict[str, Any] = {
        "moving_price_base": 1.0 - 0.995 ** (1 / BLOCKS_PER_DAY),
        "moving_price_halving_blocks": 0.0,
    }
    return [
        lambda: research(0.5, hype=0.0, **UNINFORMED, **PRICE_SHARES),
        None,
        lambda: research(0.5, hype=0.0, **UNINFORMED, **PRICE_SHARES, **slow),
    ]


@simulation("O20")
def _milestone() -> list[Simulation | None]:
    return [None, lambda: research(0.6, milestone_grant_tao=planners_grant(), **UNINFORMED)]


@simulation("O24")
def _influence() -> list[Simulation | None]:
    uninformed = 4 / 13
    return [
        lambda: influence(uninformed, **UNINFORMED),
        lambda: influence(uninformed, influence_half_life_days=90.0, **UNINFORMED),
        lambda: influence(0.5, hype=0.0, **UNINFORMED),
        lambda: influence(uninformed, influence_productivity=0.1, **UNINFORMED),
    ]


@simulation("O25")
def _votes() -> list[Simulation | None]:
    return [
        lambda f=f: research(0.4, informed_share_voters=f, **VOTE_SHARES)
        for f in (0.0, 0.3, 0.5, 1.0)
    ]


@simulation("O27b")
def _constant_policy_diluted() -> list[Simulation | None]:
    diluted = UNINFORMED | constant_dilution(MEDIAN_DILUTION_PER_DAY)
    return [lambda: from_nothing(DAYS, hype=0.0, **diluted)]


@simulation("O29")
def _windows() -> list[Simulation | None]:
    fees: dict[str, Any] = {"payment": "fee"}
    random_end = fees | {"horizon": "geometric"}
    return [
        *(
            lambda days=days: from_nothing(days, builder_discount_per_year=0.20, **fees)
            for days in (720, 1440, 2160, 4000, 4908, 6000)
        ),
        *(
            lambda cap=cap: from_nothing(None, RANDOM_ENDS, horizon_cap_days=cap, **random_end)
            for cap in (4000, 8000)
        ),
    ]


def _capitalisation_checks(progress: Progress) -> Iterator[OracleCheck]:
    """O2g: equilibrium share and capitalisation, both estimated."""
    for informed, numbers in ((0.3, NUMBERS["O2g"][:2]), (0.5, NUMBERS["O2g"][2:])):
        progress(f"O2g, run: {informed} informed")
        solution = equilibrium(0.5, True, informed_share_stakers=informed)
        share, factor = numbers
        measured = solution.research_share or np.nan
        yield share_check("O2g", f"{share.setting}, run", "S", share.number, measured)
        measured = solution.capitalisation or np.nan
        yield number_check("O2g", f"{factor.setting}, run", "S", factor.number, measured)


def checks(progress: Progress) -> Iterator[OracleCheck]:
    """All checks of this module; `progress` is called with each simulation."""
    for id, simulations in _simulations.items():
        for run, expected in zip(simulations(), NUMBERS[id], strict=False):
            if run is not None:
                progress(f"{id}, run: {expected.case}")
                yield share_check(id, f"{expected.setting}, run", "S", expected.number, run())
    yield from _capitalisation_checks(progress)
    for expected, measured in zip(NUMBERS["O22"], unequal_subnets(), strict=True):
        yield number_check("O22", f"{expected.setting}, tried", "S", expected.number, measured)
    progress("O23, run")
    best = welfare(NUMBERS["O1"][1].number)
    for expected in NUMBERS["O23"]:
        measured = welfare(float(expected.case)) / best
        setting = f"{expected.setting}, run"
        yield number_check("O23", setting, "S", expected.number, measured, WELFARE_TOLERANCE)
