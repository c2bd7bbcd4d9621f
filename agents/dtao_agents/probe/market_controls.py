"""Controls of the market that the probe asks: it lives, dilution is inert where it must be, institutions divide one pot, and
prices move as real ones do.

They are about the population as well as the rules, and fail where another population is forced upon them that dies or that
everybody can predict.
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
from dtao_agents.probe.living_market import market_is_alive
from dtao_agents.probe.size import GATE, Changes, Size, world
from dtao_gym.realism import realism_gate
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import chosen_subnets
from dtao_gym.world.snapshot import MAX_SUBNETS

DIRECT: dict[str, Any] = {"payment": "direct", "pruning": False, "arrivals_per_slot_year": 0.0}
"""Owners are paid by their share, and nobody comes or goes."""
LIFE_DAYS = 1825
INERT_ODDS = 0.1
"""Largest effect of dilution under direct pay, and of the number of simulated subnets, in log-odds."""
MANY_SEEDS = 1024
"""For a paired effect, whatever the size: effects in single seeds are a hundred times as large as what is looked for."""
POT_DAYS = 365
SAME_POT = 1e-9
"""Relative difference of pots that are equal but for the order of sums."""
SYMMETRIC_POT = 0.05
_NEAR = GATE.solver.model_copy(update={"max_iterations": 3})
_CONDITION = NashSettings(logit_step=0.5, resamples=1_000)


def lives(size: Size, changes: Changes) -> list[Check]:
    """NC9: stakers hold alpha and prices follow what they think of it, for as long as a cell lasts."""
    config = world(size, changes, **DIRECT, horizon="fixed")
    return market_is_alive(config, range(2 * size.seeds), LIFE_DAYS)


def dilution_is_inert(size: Size, changes: Changes) -> list[Check]:
    """NC10: dilution moves all prices alike, so that it is no reason to choose otherwise where owners are paid by shares."""
    checks = []
    for allocation in ("price", "root_vote"):
        arm = world(size, changes, **DIRECT, allocation=allocation)
        gap = paired_effect(Config.make(arm, dilution=True), Config.make(arm, dilution=False))
        checks.append(of_gap("NC10", f"{allocation}, direct: dilution on less off", gap))
    return checks


def one_pot(size: Size, changes: Changes) -> list[Check]:
    """POT: under every institution the simulated subnets are paid the same at genesis, and later what their own news makes of it."""
    rules = ("root_vote", "price", "price_burn", "price_burn_gate", "uniform")
    checks = []
    for what, more, tolerance in (
        ("at genesis", {}, SAME_POT),
        ("after a year without news", {"news_sd": 0.0}, SAME_POT),
        ("after a year, all subnets alike", {"genesis": "symmetric"}, SYMMETRIC_POT),
    ):
        days = 1 if what == "at genesis" else POT_DAYS
        issued = np.array([_issued(size, changes, days, allocation=rule, **more) for rule in rules])
        gaps = np.abs(issued / issued[0] - 1.0).max(axis=1)
        for rule, gap in zip(rules[1:], gaps[1:], strict=True):
            where = f"{rule} and root_vote, direct, {what}: largest relative difference"
            ok = bool(gap <= tolerance)
            checks.append(Check("POT", where, 0.0, float(gap), ok, tolerance=f"{tolerance:g}"))
    return checks


def moves_as_real_ones_do(size: Size, changes: Changes) -> list[Check]:
    """REALISM: prices of the probe's world move as mainnet's did in the spring of 2026."""
    config = world(size, changes, horizon="fixed", n_stakers=0)
    found = realism_gate(config, worlds=2 * size.seeds)
    checks = []
    for name, row in found.moments.items():
        if row.gate is not None:
            tolerance = f"{row.gate[0]:g} to {row.gate[1]:g}"
            ok = bool(row.passed)
            checks.append(Check("REALISM", name, row.real, row.simulated, ok, tolerance=tolerance))
    return checks


_ANY = Config.make().pooled_capitalisation
"""Where the estimate of the uninformed's capitalisation begins."""


def near_equilibrium(game: BuilderGame) -> float:
    """A research share near the equilibrium of a game; its capitalisation is estimated on the way."""
    adopt_capitalisation(game, float(log_odds(0.4)))
    found = solve(game, 0.4, _NEAR).research_share
    return 0.4 if found is None else found


def condition(
    config: Config, seeds: Sequence[int], place: float, slots: Sequence[int] | None = None
) -> FirstOrderCondition:
    """The equilibrium near a share by its first-order condition, with its resampled seeds for paired differences."""
    game = BuilderGame(config, seeds, _ANY, slots=slots)
    adopt_capitalisation(game, float(log_odds(place)))
    return first_order_condition(game, place, _CONDITION)


def paired_effect(one: Config, other: Config) -> Estimate:
    """Equilibrium of one world less that of another, under the same shocks, in log-odds."""
    seeds = range(MANY_SEEDS)
    place = near_equilibrium(BuilderGame(one, seeds, _ANY))
    return paired_difference(condition(one, seeds, place), condition(other, seeds, place))


def slots_of_sample(config: Config, seeds: Iterable[int]) -> list[int]:
    """Rows of the snapshot of the builders who deviate, where `config` simulates a sample of it."""
    seeds = list(seeds)
    chosen = [chosen_subnets(config, seed, 0) for seed in seeds]
    return [int(rows[j % rows.size]) for j, rows in enumerate(chosen)]


def effect_of_subnets(
    config: Config, seeds: range, wide: int = MAX_SUBNETS
) -> tuple[FirstOrderCondition, FirstOrderCondition, Estimate]:
    """Equilibria of a world of few subnets and of one of `wide`, and the first less the second in log-odds.

    The same builder deviates under the same news in both, if the second simulates all subnets.
    """
    place = near_equilibrium(BuilderGame(config, seeds, _ANY))
    few = condition(config, seeds, place)
    slots = slots_of_sample(config, seeds) if wide == MAX_SUBNETS else None
    many = condition(Config.make(config, n_subnets=wide), seeds, place, slots)
    return few, many, paired_difference(few, many)


def _issued(size: Size, changes: Changes, days: int, **more: Any) -> np.ndarray:
    """Emission shares of the simulated subnets together, of each world."""
    config = world(size, changes, **DIRECT | more, horizon="fixed", n_stakers=0)
    batch = Batch(config, size.seeds)
    batch.step(days=days)
    return batch.state.row("emission_share").sum(axis=1)


def of_gap(id: str, where: str, gap: Estimate) -> Check:
    """The check of an effect that must be none."""
    ok = abs(gap.value) <= INERT_ODDS
    return Check(id, where, 0.0, gap.value, ok, gap.low, gap.high, f"{INERT_ODDS:g} log-odds")
