"""Estimates of statistics over worlds, which are the independent units of every interval."""

from collections.abc import Callable

import numpy as np

from dtao_agents.evaluation.statistics import (
    COVERAGE,
    RESAMPLES,
    Estimate,
    bca_interval,
    resample_means,
)

DECIMALS = 12
"""Decimals that count: rounding errors around 0 would get a verdict."""


def first_mean(means: np.ndarray) -> np.ndarray:
    """Return the first of column means `(..., k)`."""
    return means[..., 0]


def estimate(
    rows: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray] = first_mean,
    resamples: int = RESAMPLES,
    bounded: bool = False,
) -> Estimate:
    """Return a statistic of means over worlds with its 95 % interval.

    Parameters
    ----------
    rows : `(worlds,)` or `(worlds, k)`
        Finite numbers, one row per world; at least two.
    statistic : callable
        Maps column means `(..., k)` to `(...)`; by default the first mean itself.
    resamples : int
        Number of bootstrap samples of worlds.
    bounded : bool
        Whether the statistic is cut off at bounds. Many draws at a bound look like bias, so that the correction of BCa would
        be wrong: the interval is then of percentiles, which a cut leaves in order.

    Raises
    ------
    ValueError
        Fewer than two rows, or values that are not finite.
    """
    rows = np.round(np.asarray(rows, float), DECIMALS)
    resampled = resample_means(rows.reshape(len(rows), -1), statistic, resamples)
    if not bounded:
        return bca_interval(resampled)
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(resampled.draws, [tail, 1.0 - tail])
    return Estimate(resampled.value, float(low), float(high))
