"""Statistics of a judgement: means, interquartile means, bootstrap intervals."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
COVERAGE = 0.95


class Estimate(NamedTuple):
    """A statistic and its interval."""

    value: float
    low: float
    high: float


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the middle half along the last axis: a quarter, rounded down, is cut off at each end."""
    ordered = np.sort(values, axis=-1)
    cut = values.shape[-1] // 4
    return ordered[..., cut : values.shape[-1] - cut].mean(axis=-1)


def mean(values: np.ndarray) -> np.ndarray:
    """Mean along the last axis."""
    return values.mean(axis=-1)


def bootstrap(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray] = mean,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """A statistic of `(n,)` values with its 95 % percentile bootstrap interval.

    Arrays of equal length are resampled in the same way, so that a paired difference and its parts agree.
    Raises ValueError for fewer than two values and for values that are not finite.
    """
    values = np.asarray(values, float)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"values: got shape {values.shape}, allowed are two or more finite numbers"
        )
    picks = np.random.default_rng(seed).integers(0, values.size, (resamples, values.size))
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(statistic(values[picks]), [tail, 1.0 - tail])
    return Estimate(float(statistic(values)), float(low), float(high))
