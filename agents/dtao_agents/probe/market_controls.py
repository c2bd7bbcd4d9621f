"""Controls of the probe's market: demand, dilution, total emission and realism of prices.

They test the population as well as the rules. A population whose demand dies out, or whose prices are predictable,
fails them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.game import adopt_capitalisation, log_odds
from dtao_agents.equilibrium.inference import paired_difference
from dtao_agents.equilibrium.nash import (
    FirstOrderCondition,
    NashSettings,
    first_order_condition,
    solve,
)
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe.checks import Check
from dtao_agents.probe.living_market import demand_checks
from dtao_agents.probe.plan import DEFAULT_CAPITALISATION
from dtao_agents.probe.size import GATE, Changes, Size, world
from dtao_gym.protocol.lifecycle import MAX_SUBNETS
from dtao_gym.realism import realism_gate
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import chosen_subnets

DIRECT: dict[str, Any] = {"payment": "direct", "pruning": False, "arrivals_per_slot_year": 0.0}
"""World parameters: owners are paid in TAO by their emission share; no subnet enters or leaves."""
LIFE_DAYS = 1825
"""Length of NC9, days."""
INERT_ODDS = 0.1
"""Largest effect of dilution under direct pay, and of the number of simulated subnets, in log-odds."""
MANY_SEEDS = 1024
"""Seeds of a paired effect at any size: effects in single seeds are a hundred times the tolerance."""
POT_DAYS = 365
"""Length of POT, days."""
SAME_TOTAL = 1e-9
"""Relative difference of totals that are equal up to the order of summation."""
SIMILAR_TOTAL = 0.05
"""Relative difference of totals after a year, where the news of subnets differs."""
FIRST_GUESS = 0.4
"""Research share at which the search for an equilibrium starts."""
_NEAR = GATE.solver.model_copy(update={"max_iterations": 3})
_CONDITION = NashSettings(logit_step=0.5, resamples=1_000)


def demand_survives(size: Size, changes: Changes) -> list[Check]:
    """NC9: stakers hold alpha and prices follow their valuations, as long as a cell lasts."""
    config = world(size, changes, **DIRECT, horizon="fixed")
    return demand_checks(config, range(2 * size.seeds), LIFE_DAYS)


def dilution_is_inert(size: Size, changes: Changes) -> list[Check]:
    """NC10: dilution moves all prices alike, so that it has no effect where owners are paid by shares."""
    checks = []
    for allocation in ("price", "root_vote"):
        arm = world(size, changes, **DIRECT, allocation=allocation)
        gap = paired_effect(Config.make(arm, dilution=True), Config.make(arm, dilution=False))
        checks.append(no_effect_check("NC10", f"{allocation}, direct: dilution on less off", gap))
    return checks


def one_pot(size: Size, changes: Changes) -> list[Check]:
    """POT: all institutions emit the same total to the simulated subnets.

    Exactly so at genesis; later, only the news of these subnets changes the total.
    """
    gated = ("price_burn_gate", "price_burn_gate_rank")
    rules = ("root_vote", "price", "price_burn", *gated, "uniform")
    checks = []
    for case, more, tolerance in (
        ("at genesis", {}, SAME_TOTAL),
        ("after a year without news", {"news_sd": 0.0}, SAME_TOTAL),
        ("after a year, all subnets alike", {"genesis": "symmetric"}, SIMILAR_TOTAL),
    ):
        days = 1 if case == "at genesis" else POT_DAYS
        totals = np.array(
            [_total_shares(size, changes, days, allocation=rule, **more) for rule in rules]
        )
        gaps = np.abs(totals / totals[0] - 1.0).max(axis=1)
        for rule, gap in zip(rules[1:], gaps[1:], strict=True):
            where = f"{rule} and root_vote, direct, {case}: largest relative difference"
            ok = bool(gap <= tolerance)
            checks.append(Check("POT", where, 0.0, float(gap), ok, tolerance=f"{tolerance:g}"))
    return checks


def realistic_prices(size: Size, changes: Changes) -> list[Check]:
    """REALISM: moments of prices in the probe's world are those of mainnet in the spring of 2026."""
    config = world(size, changes, horizon="fixed", n_stakers=0)
    realism = realism_gate(config, worlds=2 * size.seeds)
    checks = []
    for name, row in realism.moments.items():
        if row.gate is not None:
            tolerance = f"{row.gate[0]:g} to {row.gate[1]:g}"
            ok = bool(row.passed)
            checks.append(Check("REALISM", name, row.real, row.simulated, ok, tolerance=tolerance))
    return checks


def near_equilibrium(game: BuilderGame) -> float:
    """Research share near the equilibrium of a game, which keeps the estimated capitalisation."""
    adopt_capitalisation(game, float(log_odds(FIRST_GUESS)))
    share = solve(game, FIRST_GUESS, _NEAR).research_share
    return FIRST_GUESS if share is None else share


def local_equilibrium(
    config: Config, seeds: Sequence[int], near: float, slots: Sequence[int] | None = None
) -> FirstOrderCondition:
    """Equilibrium from the first-order condition, with resampled seeds for paired differences.

    Parameters
    ----------
    config : Config
        The world.
    seeds : sequence of int
        World seeds.
    near : float
        Research share close to the equilibrium.
    slots : sequence of int, optional
        Slot of the builder who deviates in each seed; default: seed j deviates in slot j, cyclically.
    """
    game = BuilderGame(config, seeds, DEFAULT_CAPITALISATION, slots=slots)
    adopt_capitalisation(game, float(log_odds(near)))
    return first_order_condition(game, near, _CONDITION)


def paired_effect(one: Config, other: Config) -> Estimate:
    """Equilibrium of one world less that of another, under the same shocks, log-odds."""
    seeds = range(MANY_SEEDS)
    near = near_equilibrium(BuilderGame(one, seeds, DEFAULT_CAPITALISATION))
    return paired_difference(
        local_equilibrium(one, seeds, near), local_equilibrium(other, seeds, near)
    )


def slots_of_sample(config: Config, seeds: Iterable[int]) -> list[int]:
    """Snapshot row of the deviating builder in each seed, where `config` simulates a sample of rows."""
    seeds = list(seeds)
    chosen = [chosen_subnets(config, seed, 0) for seed in seeds]
    return [int(rows[j % rows.size]) for j, rows in enumerate(chosen)]


def effect_of_subnets(
    config: Config, seeds: range, wide: int = MAX_SUBNETS
) -> tuple[FirstOrderCondition, FirstOrderCondition, Estimate]:
    """Compare the equilibria of a world of few subnets and a world of many.

    If the second world simulates all subnets, the same builder deviates under the same news in both.

    Parameters
    ----------
    config : Config
        World of few subnets.
    seeds : range
        World seeds.
    wide : int
        Number of subnets of the second world.

    Returns
    -------
    few, many : FirstOrderCondition
        Both equilibria.
    gap : Estimate
        First less second, log-odds.
    """
    near = near_equilibrium(BuilderGame(config, seeds, DEFAULT_CAPITALISATION))
    few = local_equilibrium(config, seeds, near)
    slots = slots_of_sample(config, seeds) if wide == MAX_SUBNETS else None
    many = local_equilibrium(Config.make(config, n_subnets=wide), seeds, near, slots)
    return few, many, paired_difference(few, many)


def _total_shares(size: Size, changes: Changes, days: int, **more: Any) -> np.ndarray:
    """Sum of the emission shares of the simulated subnets, `(worlds,)`."""
    config = world(size, changes, **DIRECT | more, horizon="fixed", n_stakers=0)
    batch = Batch(config, size.seeds)
    batch.step(days=days)
    return batch.state.row("emission_share").sum(axis=1)


def no_effect_check(id: str, where: str, gap: Estimate) -> Check:
    """Check of an effect that must be zero within `INERT_ODDS`."""
    ok = abs(gap.value) <= INERT_ODDS
    return Check(id, where, 0.0, gap.value, ok, gap.low, gap.high, f"{INERT_ODDS:g} log-odds")
