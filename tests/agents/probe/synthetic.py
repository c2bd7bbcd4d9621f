"""Solutions with chosen research shares, so that contrasts and sentences have known answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from dtao_agents.claims.finding import Finding
from dtao_agents.equilibrium.game import angle, share_of
from dtao_agents.equilibrium.slot_records import Parameter
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe.analysis import Analysis, analyse
from dtao_agents.probe.cells import Cell, all_cells, identity
from dtao_agents.probe.evidence import Evidence
from dtao_agents.probe.plan import Plan
from dtao_agents.probe.solutions import Solution
from scipy import stats

BLOCKS = 64
"""Replicate blocks of a solution."""
LOWEST = "lowest"
"""Stands for builders at the lowest research share."""


def parameter(
    value: float, deviations: np.ndarray | Sequence[float], name: str = "research share"
) -> Parameter:
    """An estimate with the given influence of each block, which are centred first."""
    influence = np.asarray(deviations, float) - np.mean(deviations)
    degrees = influence.size - 1
    error = float(np.sqrt((influence**2).mean() / degrees))
    reach = float(stats.t.ppf(0.975, degrees)) * error
    estimate = Estimate(value, value - reach, value + reach)
    return Parameter(name, estimate, error, -0.25, 0.01, influence)


def noise(seed: int, blocks: int = BLOCKS) -> np.ndarray:
    """Standard normal influence of each block."""
    return np.random.default_rng(seed).normal(size=blocks)


def solution(
    cell: Cell, log_odds: float | str | None, deviations: np.ndarray, columns: int = 8
) -> Solution:
    """Solution of a cell: log-odds of its research share, None if indeterminate, or `LOWEST`."""
    verdict, bound = "solved", ()
    parameters: tuple[Parameter, ...] = ()
    population = np.full((1, 1), 1.0)
    if log_odds is None:
        verdict = "indeterminate"
    elif isinstance(log_odds, str):
        verdict, bound, population = "at a bound", ("research share",), np.full((1, 1), 0.09)
    else:
        parameters = (parameter(log_odds, deviations),)
        population = np.full((1, 1), float(angle(float(share_of(log_odds)))))
    return Solution(
        name=cell.name,
        institution=cell.institution,
        block=cell.block,
        verdict=verdict,
        stopped="width",
        at_bound=bound,
        population=population,
        parameters=parameters,
        capitalisation=400.0 if cell.estimated else None,
        blocks=deviations.size,
        slope_blocks=16,
        worlds=1000,
        columns=columns,
        seconds=1.0,
        engine="0" * 64,
    )


def solve(
    plan: Plan, log_odds: Callable[[Cell], float | str | None], sd: float = 0.0
) -> dict[tuple[Any, ...], Solution]:
    """Solutions of all cells of a plan; the noise of each is its own."""
    return {
        identity(cell): solution(cell, log_odds(cell), sd * noise(k))
        for k, cell in enumerate(all_cells(plan))
    }


def analysis_of(
    plan: Plan,
    log_odds: Callable[[Cell], float | str | None],
    sd: float = 0.0,
    failed: Sequence[str] = (),
) -> Analysis:
    """All contrasts of chosen research shares."""
    return analyse(plan, solve(plan, log_odds, sd), failed)


def evidence_of(
    plan: Plan,
    log_odds: Callable[[Cell], float | str | None],
    sd: float = 0.0,
    failed: Sequence[str] = (),
    findings: Mapping[str, Sequence[Finding]] | None = None,
) -> Evidence:
    """Evidence of chosen research shares."""
    analysis = analysis_of(plan, log_odds, sd, failed)
    return Evidence(plan, analysis, findings or {}, {}, {"written": "today"})
