"""Statistics of an evaluation: means, interquartile means, bootstrap intervals."""

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
COVERAGE = 0.95
CHUNK = 1_000
"""Resamples drawn at a time: bounds the memory of `resample_means`."""


class Estimate(NamedTuple):
    """A statistic and its interval."""

    value: float
    low: float
    high: float


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half along the last axis.

    A quarter, rounded down, is cut off at each end.
    """
    ordered = np.sort(values, axis=-1)
    cut = values.shape[-1] // 4
    return ordered[..., cut : values.shape[-1] - cut].mean(axis=-1)


def mean(values: np.ndarray) -> np.ndarray:
    """Return the mean along the last axis."""
    return values.mean(axis=-1)


def bootstrap(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray] = mean,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return a statistic with its 95 % percentile bootstrap interval.

    Arrays of equal length are resampled in the same way, so that a paired difference and its parts agree.

    Parameters
    ----------
    values : `(n,)`
        Two or more finite numbers.
    statistic : callable
        Maps `(..., n)` to `(...)`.
    resamples, seed : int
        Number of bootstrap samples, and the seed of their draws.

    Raises
    ------
    ValueError
        Fewer than two values, or values that are not finite.
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


class Resampled(NamedTuple):
    """A statistic of column means, with the resampled statistics that an interval needs.

    Attributes
    ----------
    value : float
        The statistic of the sample.
    draws : `(resamples,)`
        That of bootstrap samples; draw b picks the same rows for every sample of this size.
    jackknife : `(n,)`
        That of the sample without row i.
    """

    value: float
    draws: np.ndarray
    jackknife: np.ndarray

    def minus(self, other: "Resampled") -> "Resampled":
        """Return the paired difference: same rows on both sides. Raises ValueError for unequal sizes."""
        if self.draws.shape != other.draws.shape or self.jackknife.shape != other.jackknife.shape:
            got = [(len(s.jackknife), len(s.draws)) for s in (self, other)]
            raise ValueError(f"(rows, resamples): got {got}, allowed are equal pairs")
        return Resampled(
            self.value - other.value, self.draws - other.draws, self.jackknife - other.jackknife
        )


def resample_means(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """Return a statistic of column means, over whole rows drawn with replacement.

    Samples of one size and seed are resampled in the same way.

    Parameters
    ----------
    values : `(n, k)`
        Two or more rows of finite numbers.
    statistic : callable
        Maps means `(..., k)` to `(...)`.
    resamples, seed : int
        Number of bootstrap samples, and the seed of their draws.

    Raises
    ------
    ValueError
        Fewer than two rows, or values that are not finite.
    """
    values = np.ascontiguousarray(values, float)
    if values.ndim != 2 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"values: got shape {values.shape}, allowed are two or more rows of finite numbers"
        )
    n = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    for first in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - first)
        picks = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(picks.ravel(), minlength=rows * n).reshape(rows, n)
        means[first : first + rows] = counts.astype(float) @ values / n
    total = values.sum(axis=0)
    return Resampled(
        float(statistic(total / n)), statistic(means), statistic((total - values) / (n - 1))
    )


def span(estimate: Estimate, form: str) -> str:
    """Return value and interval as text; `form` is a format specification."""
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def bca_interval(resampled: Resampled) -> Estimate:
    """Return the 95 % bias-corrected and accelerated interval (Efron 1987).

    Draws may be bounded or tied; a statistic that is the same in every draw has an interval without width.
    """
    value, draws, jackknife = resampled
    if np.ptp(draws) == 0.0:
        return Estimate(value, float(draws[0]), float(draws[0]))
    normal = NormalDist()
    below = (np.sum(draws < value) + 0.5 * np.sum(draws == value)) / len(draws)
    edge = 0.5 / len(draws)
    bias = normal.inv_cdf(float(np.clip(below, edge, 1.0 - edge)))
    influence = jackknife.mean() - jackknife
    spread = np.sum(influence**2)
    acceleration = np.sum(influence**3) / (6.0 * spread**1.5) if spread > 0.0 else 0.0
    tail = (1.0 - COVERAGE) / 2.0
    levels = []
    for z in (normal.inv_cdf(tail), normal.inv_cdf(1.0 - tail)):
        shrink = 1.0 - acceleration * (bias + z)
        # past the pole of the acceleration the correction asks for the outermost draw
        levels.append(
            normal.cdf(bias + (bias + z) / shrink) if shrink > 0.0 else float(bias + z > 0.0)
        )
    low, high = np.quantile(draws, levels)
    return Estimate(value, float(low), float(high))
