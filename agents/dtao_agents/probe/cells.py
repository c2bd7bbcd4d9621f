"""Solutions of cells: the equilibrium research share of an institution and the outcomes it leads to."""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dtao_agents.cache import Store, key_of, source_of_rule
from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.game import adopt_capitalisation, log_odds
from dtao_agents.equilibrium.inference import identified_set
from dtao_agents.equilibrium.nash import solve
from dtao_agents.evaluation.statistics import Estimate, Resampled
from dtao_agents.probe.plan import Cell, Plan
from dtao_gym.sources import fingerprint

OUTCOMES = ("research_tao", "work_tao", "welfare_tao", "days", "merit", "dissolutions")
"""Outcomes that are kept, one number per seed; see `dtao_agents.equilibrium.builder_game.PopulationOutcome`."""


@dataclass(frozen=True, eq=False)
class CellSolution:
    """Equilibrium of a cell, as stored on disk.

    Attributes not listed here are those of `dtao_agents.equilibrium.nash.Equilibrium`.

    Attributes
    ----------
    iterates : tuple of float
        Research share after each grid.
    outcomes : dict of str to ndarray (seeds,)
        By the names in `OUTCOMES`; empty where the cell is indeterminate.
    seconds : float
        Duration of the solution.
    cached : bool
        Whether it was read from disk.
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
        """Bounds of the research shares within epsilon of the best payoff; None without an epsilon."""
        if self.research_share is None or self.epsilon is None:
            return None
        curvature = self.curvature if self.curvature is not None and self.curvature > 0.0 else None
        return identified_set(self.research_share, max(self.epsilon.value, 0.0), curvature)


def inputs_of(cell: Cell, plan: Plan) -> dict[str, Any]:
    """Everything that the solution of a cell depends on; neither its name nor the number of threads."""
    return {
        "config": cell.config.model_dump(mode="json"),
        "rule": source_of_rule(cell.config.era_part("allocation")),
        "seeds": list(plan.world_seeds),
        "start": plan.start,
        "capitalisation": plan.capitalisation if cell.estimated else None,
        "solver": plan.solver.model_dump(mode="json"),
        "sources": fingerprint(__name__),
    }


def solve_cell(cell: Cell, plan: Plan, store: Store) -> CellSolution:
    """Solve a cell, or read its solution from disk.

    Parameters
    ----------
    cell : Cell
        Institution and setting.
    plan : Plan
        Seeds, start and solver.
    store : Store
        Where solutions are kept, by the hash of `inputs_of`.
    """
    key = key_of(inputs_of(cell, plan))
    stored = store.load(cell.name, key)
    if stored is not None:
        return _from_record(*stored)
    solution = _solve(cell, plan)
    store.save(cell.name, key, *_to_record(solution))
    return solution


def _solve(cell: Cell, plan: Plan) -> CellSolution:
    started = time.perf_counter()
    game = BuilderGame(
        cell.config,
        plan.world_seeds,
        plan.capitalisation if cell.estimated else None,
        threads=plan.threads,
    )
    # the initial c_bar is far from the estimate in most cells, and an iterate moves it only half of the way
    adopt_capitalisation(game, float(log_odds(plan.start)))
    equilibrium = solve(game, plan.start, plan.solver)
    share = equilibrium.research_share
    outcomes = {}
    if share is not None:
        game.payoffs(share, np.array([share]))
        outcomes = {name: np.asarray(getattr(game.outcome, name), float) for name in OUTCOMES}
    return CellSolution(
        equilibrium.verdict,
        share,
        equilibrium.interval,
        equilibrium.settled,
        equilibrium.fixed_point,
        equilibrium.epsilon,
        equilibrium.curvature,
        equilibrium.capitalisation,
        equilibrium.slope,
        tuple(iterate.research_share for iterate in equilibrium.iterates),
        outcomes,
        time.perf_counter() - started,
    )


def _to_record(solution: CellSolution) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    record = asdict(replace(solution, fixed_point=None, outcomes={}))
    arrays = {f"outcome_{name}": values for name, values in solution.outcomes.items()}
    if solution.fixed_point is not None:
        value, arrays["draws"], arrays["jackknife"] = solution.fixed_point
        record["fixed_point"] = value
    return record, arrays


def _from_record(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> CellSolution:
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
    return CellSolution(**fields)
