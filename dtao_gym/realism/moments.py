"""Moments of a panel of daily closes, and their sampling error.

The same function, `moments`, serves real and simulated panels. Excess returns are daily log returns less the median of the
cross-section. In sums over products they are divided by their root mean square and winsorised at four, so that no single
jump dominates. Subnets with fewer than `MIN_RETURNS` returns are left out.
"""

from typing import NamedTuple

import numpy as np

from dtao_gym.realism.panel import Panel
from dtao_gym.realism.panel_statistics import PanelStatistics, over_known

BLOCK_DAYS = 10
"""Block length of the bootstrap in days; moments with a longer horizon use their horizon."""
DAYS, SUBNETS, BOTH = "days", "subnets", "both"


class Moment(NamedTuple):
    """Definition of a moment: its heading, its number format, and the source of its sampling error."""

    heading: str
    form: str
    error: str
    """`days`: blocks of days are resampled. `subnets`: subnets are. `both`: the two variances add."""
    horizon: int = 1
    """Days that one of its terms spans."""
    fitted: bool = True
    """Whether it counts in the J statistic."""


MOMENTS = {
    "daily_sd": Moment("sd of daily returns, median subnet", ".3f", BOTH),
    "sd_spread": Moment("spread of that sd, sd of ln", ".2f", SUBNETS),
    "weekly_sd": Moment("sd of 7-day returns, median subnet", ".3f", BOTH, 15),
    "autocorrelation_1": Moment("autocorrelation of excess returns, lag 1", "+.3f", DAYS),
    "autocorrelation_2": Moment("the same, lag 2", "+.3f", DAYS),
    "variance_ratio_5": Moment("variance ratio, 5 days", ".2f", DAYS),
    "variance_ratio_20": Moment("variance ratio, 20 days", ".2f", BOTH, 20),
    "ic_1_1": Moment("rank IC, past 1 d on next 1 d", "+.3f", DAYS),
    "ic_1_7": Moment("rank IC, past 1 d on next 7 d", "+.3f", DAYS),
    "ic_7_1": Moment("rank IC, past 7 d on next 1 d", "+.3f", DAYS),
    "ic_7_7": Moment("rank IC, past 7 d on next 7 d", "+.3f", DAYS, 14),
    "abs_autocorrelation_1": Moment("autocorrelation of absolute returns, lag 1", "+.3f", DAYS),
    "abs_autocorrelation_5": Moment("the same, lag 5", "+.3f", DAYS),
    "kurtosis": Moment("kurtosis, median subnet", ".1f", SUBNETS),
    "skew": Moment("skew, median subnet", "+.2f", SUBNETS),
    "market_sd": Moment("sd of the market's daily return", ".4f", DAYS),
    "pair_correlation": Moment("mean correlation of two subnets", "+.3f", DAYS),
    "size_slope": Moment("slope of ln sd on ln pool", "+.3f", SUBNETS),
    "dispersion_20": Moment("dispersion of 20-day returns", ".3f", BOTH, 20),
    "still_share": Moment("share of subnets that hardly move", ".3f", SUBNETS, fitted=False),
    "newcomers_60": Moment("60-day return of new subnets, median", "+.2f", SUBNETS, fitted=False),
}
"""All moments by name, in the order of the tables."""
FITTED = tuple(name for name, moment in MOMENTS.items() if moment.fitted)


class MomentEstimate(NamedTuple):
    """Moments with their sampling error.

    Attributes
    ----------
    value : `(k,)`
        Moments in the order of `MOMENTS`; NaN where a panel does not determine one.
    covariance : `(k, k)`
        Joint covariance of the sampling error; NaN in rows and columns of a missing moment.
    """

    value: np.ndarray
    covariance: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """Standard errors, `(k,)`."""
        return np.sqrt(np.diag(self.covariance))


def moments(panel: Panel) -> dict[str, float]:
    """Compute every moment of `MOMENTS`; NaN where the panel is too short or too narrow for one."""
    return dict(zip(MOMENTS, map(float, _point(PanelStatistics(panel))), strict=True))


def estimate(panel: Panel, draws: int = 400, seed: int = 0) -> MomentEstimate:
    """Estimate moments and the joint covariance of their sampling error, by bootstrap.

    Two sources of error add. Circular blocks of days are resampled with the same starts for all moments (Künsch 1989;
    Politis and Romano 1992), and subnets are resampled one by one. Terms that span several days are computed once and
    resampled whole, so that no term crosses the border of two blocks.

    Parameters
    ----------
    panel : Panel
        Real or simulated closes.
    draws : int
        Number of bootstrap resamples.
    seed : int
        Seed of the resamples.

    Raises
    ------
    ValueError
        Fewer than two draws.
    """
    if draws < 2:
        raise ValueError(f"draws: got {draws}, allowed is 2 or more")
    statistics = PanelStatistics(panel)
    value = _point(statistics)
    k = len(MOMENTS)
    if statistics.subnets == 0:
        return MomentEstimate(value, np.full((k, k), np.nan))
    rng = np.random.default_rng(seed)
    lengths = {_block_days(name) for name in MOMENTS}
    by_days, by_subnets = np.empty((draws, k)), np.empty((draws, k))
    t, n, m = statistics.days, statistics.subnets, statistics.newcomers.size
    for draw in range(draws):
        starts = rng.integers(0, t, -(-t // BLOCK_DAYS))
        rows = {
            length: ((starts[: -(-t // length), None] + np.arange(length)) % t).ravel()[:t]
            for length in lengths
        }
        by_days[draw] = _vector(
            statistics.over_days({name: rows[_block_days(name)] for name in MOMENTS})
        )
        chosen = statistics.newcomers[rng.integers(0, m, m)] if m else statistics.newcomers
        by_subnets[draw] = _vector(statistics.over_subnets(rng.integers(0, n, n), chosen))
    covariance = _covariance(by_days, (DAYS, BOTH)) + _covariance(by_subnets, (SUBNETS, BOTH))
    missing = ~np.isfinite(value)
    covariance[missing] = np.nan
    covariance[:, missing] = np.nan
    return MomentEstimate(value, covariance)


def _covariance(draws: np.ndarray, sources: tuple[str, ...]) -> np.ndarray:
    """Covariance of resampled moments `(draws, k)`; 0 for moments whose error has another source."""
    counted = np.array([moment.error in sources for moment in MOMENTS.values()])
    centred = draws - over_known(np.nanmean, draws, 0)
    centred[:, ~counted] = 0.0
    centred[~np.isfinite(centred)] = 0.0
    return centred.T @ centred / (len(draws) - 1)


def _block_days(name: str) -> int:
    """Block length of a moment's bootstrap."""
    return max(BLOCK_DAYS, MOMENTS[name].horizon)


def _vector(values: dict[str, float]) -> np.ndarray:
    """Values in the order of `MOMENTS`, NaN where missing."""
    return np.array([values.get(name, np.nan) for name in MOMENTS])


def _point(statistics: PanelStatistics) -> np.ndarray:
    """Moments of the panel itself, `(k,)`."""
    if statistics.subnets == 0:
        return np.full(len(MOMENTS), np.nan)
    every_day: np.ndarray = np.arange(statistics.days)
    by_days = statistics.over_days(dict.fromkeys(MOMENTS, every_day))
    every_subnet = np.arange(statistics.subnets)
    return _vector(by_days | statistics.over_subnets(every_subnet, statistics.newcomers))
