"""Levels of outcomes: spending on research, welfare, merit. Intervals are over seeds."""

from collections.abc import Callable

import numpy as np

from dtao_agents.evaluation.statistics import Estimate, bca_interval, resample_means
from dtao_agents.probe.cells import CellSolution

RESAMPLES = 2_000


def _estimate(columns: list[np.ndarray], statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    return bca_interval(resample_means(np.column_stack(columns), statistic, RESAMPLES))


def _ratio(means: np.ndarray) -> np.ndarray:
    return means[..., 0] / means[..., 1]


def research_spending(solution: CellSolution) -> Estimate:
    """Share of research in the spending on research and product (E1)."""
    return _estimate([solution.outcomes["research_tao"], solution.outcomes["work_tao"]], _ratio)


def research_shortfall(solution: CellSolution, reference: CellSolution) -> Estimate:
    """One minus the ratio of TAO spent on research to that of the reference, on the same seeds (E5)."""
    columns = [solution.outcomes["research_tao"], reference.outcomes["research_tao"]]
    return _estimate(columns, lambda means: 1.0 - _ratio(means))


def welfare_per_day(solution: CellSolution) -> Estimate:
    """Value to users less costs, TAO per day and world; budgets are not equalised (E6, raw)."""
    return _estimate([solution.outcomes["welfare_tao"], solution.outcomes["days"]], _ratio)


def spending_per_day(solution: CellSolution) -> Estimate:
    """Spending on research and product, TAO per day and world."""
    return _estimate([solution.outcomes["work_tao"], solution.outcomes["days"]], _ratio)


def merit(solution: CellSolution) -> Estimate | None:
    """Mean rank correlation of emission share and contributed value (E7); None where shares never differ."""
    values = solution.outcomes["merit"]
    values = values[np.isfinite(values)]
    return None if values.size < 2 else _estimate([values], lambda means: means[..., 0])
