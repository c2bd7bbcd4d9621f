"""Levels beside the composition: how much is spent on research, welfare, merit. Intervals are over seeds."""

from collections.abc import Callable

import numpy as np

from dtao_agents.evaluation.statistics import Estimate, bca_interval, resample_means
from dtao_agents.probe.cells import Solved

RESAMPLES = 2_000


def _estimate(columns: list[np.ndarray], statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    return bca_interval(resample_means(np.column_stack(columns), statistic, RESAMPLES))


def _ratio(means: np.ndarray) -> np.ndarray:
    return means[..., 0] / means[..., 1]


def research_spending(found: Solved) -> Estimate:
    """Research in all spending on research and product (E1)."""
    return _estimate([found.outcomes["research_tao"], found.outcomes["work_tao"]], _ratio)


def research_shortfall(found: Solved, reference: Solved) -> Estimate:
    """One less TAO spent on research over that of the reference (E5), on the same seeds."""
    columns = [found.outcomes["research_tao"], reference.outcomes["research_tao"]]
    return _estimate(columns, lambda means: 1.0 - _ratio(means))


def welfare_per_day(found: Solved) -> Estimate:
    """Value to users less costs, TAO a day, all subnets of a world together; budgets as they are (E6, raw)."""
    return _estimate([found.outcomes["welfare_tao"], found.outcomes["days"]], _ratio)


def spending_per_day(found: Solved) -> Estimate:
    """TAO spent on research and product a day, all subnets of a world together."""
    return _estimate([found.outcomes["work_tao"], found.outcomes["days"]], _ratio)


def merit(found: Solved) -> Estimate | None:
    """Mean rank correlation of emission share and contributed value (E7); None where shares never differ."""
    values = found.outcomes["merit"]
    values = values[np.isfinite(values)]
    return None if values.size < 2 else _estimate([values], lambda means: means[..., 0])
