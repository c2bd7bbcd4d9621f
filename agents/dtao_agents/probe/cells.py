"""A cell solved: the equilibrium research share of an institution, and what it brings about."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dtao_agents.cache import Store, key_of, source_of_rule
from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.game import adopt_capitalisation, log_odds
from dtao_agents.equilibrium.inference import identified_set
from dtao_agents.equilibrium.nash import Equilibrium, solve
from dtao_agents.evaluation.statistics import Estimate, Resampled
from dtao_agents.probe.plan import Cell, Plan
from dtao_gym.sources import fingerprint

OUTCOMES = ("research_tao", "work_tao", "welfare_tao", "days", "merit", "dissolutions")
"""What is kept of an outcome, one number per seed; see `dtao_agents.equilibrium.builder_game.PopulationOutcome`."""


@dataclass(frozen=True, eq=False)
class Solved:
    """The equilibrium of a cell, as it is kept on disk. `dtao_agents.equilibrium.nash.Equilibrium` says what its attributes mean.

    Attributes:
        iterates: shares after each grid.
        outcomes: by the names in `OUTCOMES`, `(seeds,)`; empty where the cell is indeterminate.
        seconds: that it took to solve.
        cached: whether it was found on disk.
    """

    verdict: str
    research_share: float | None
    interval: Estimate | None
    settled: tuple[float, ...]
    fixed_point: Resampled | None
    epsilon: Estimate | None
    curvature: float | None
    capitalisation: float | None
    slope: float | None
    iterates: tuple[float, ...]
    outcomes: dict[str, np.ndarray]
    seconds: float
    cached: bool = False

    @property
    def identified(self) -> tuple[float, float] | None:
        """Research shares within epsilon of the best payoff, or None where epsilon or the curvature say nothing."""
        if self.research_share is None or self.epsilon is None:
            return None
        curvature = self.curvature if self.curvature is not None and self.curvature > 0.0 else None
        return identified_set(self.research_share, max(self.epsilon.value, 0.0), curvature)


def inputs_of(cell: Cell, plan: Plan) -> dict[str, Any]:
    """All that the result of a cell depends on; not its name, and not how many threads share the work."""
    return {
        "config": cell.config.model_dump(mode="json"),
        "rule": source_of_rule(cell.config.era_part("allocation")),
        "seeds": list(plan.world_seeds),
        "start": plan.start,
        "capitalisation": plan.capitalisation if cell.estimated else None,
        "solver": plan.solver.model_dump(mode="json"),
        "sources": fingerprint(__name__),
    }


def solved(
    cell: Cell, plan: Plan, store: Store, on_progress: Callable[[float], Any] = lambda part: None
) -> Solved:
    """The equilibrium of a cell, from disk or by the engine.

    `on_progress` is told the part of a run of the engine that is done; a cell takes several runs.
    """
    key = key_of(inputs_of(cell, plan))
    kept = store.load(cell.name, key)
    if kept is not None:
        return _from_record(*kept)
    found = _solve(cell, plan, on_progress)
    store.save(cell.name, key, *_to_record(found))
    return found


def _solve(cell: Cell, plan: Plan, on_progress: Callable[[float], Any]) -> Solved:
    started = time.perf_counter()
    game = BuilderGame(
        cell.config,
        plan.world_seeds,
        plan.capitalisation if cell.estimated else None,
        threads=plan.threads,
        on_progress=on_progress,
    )
    # the first guess of c_bar is far off in most cells, and each iterate goes only half of the way
    adopt_capitalisation(game, float(log_odds(plan.start)))
    found = solve(game, plan.start, plan.solver)
    outcomes = {}
    if found.research_share is not None:
        game.payoffs(found.research_share, np.array([found.research_share]))
        outcomes = {name: np.asarray(getattr(game.outcome, name), float) for name in OUTCOMES}
    return _of_equilibrium(found, outcomes, time.perf_counter() - started)


def _of_equilibrium(found: Equilibrium, outcomes: dict[str, np.ndarray], seconds: float) -> Solved:
    return Solved(
        found.verdict,
        found.research_share,
        found.interval,
        found.settled,
        found.fixed_point,
        found.epsilon,
        found.curvature,
        found.capitalisation,
        found.slope,
        tuple(iterate.research_share for iterate in found.iterates),
        outcomes,
        seconds,
    )


def _to_record(found: Solved) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    record = asdict(replace(found, fixed_point=None, outcomes={}))
    arrays = {f"outcome_{name}": values for name, values in found.outcomes.items()}
    if found.fixed_point is not None:
        value, arrays["draws"], arrays["jackknife"] = found.fixed_point
        record["fixed_point"] = value
    return record, arrays


def _from_record(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> Solved:
    fields: dict[str, Any] = record | {"cached": True}
    for name in ("interval", "epsilon"):
        fields[name] = None if record[name] is None else Estimate(*record[name])
    for name in ("settled", "iterates"):
        fields[name] = tuple(record[name])
    if record["fixed_point"] is not None:
        fields["fixed_point"] = Resampled(
            record["fixed_point"], arrays["draws"], arrays["jackknife"]
        )
    fields["outcomes"] = {
        name.removeprefix("outcome_"): values
        for name, values in arrays.items()
        if name.startswith("outcome_")
    }
    return Solved(**fields)
