"""Statistics of a panel: computed once, then combined over all or resampled days and subnets."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dtao_gym.realism.panel import MIN_RETURNS, Panel

WINSOR = 4.0
"""Bound of standardised excess returns, in root mean squares."""
WINSOR_VOLATILITY = 8.0
"""Bound of absolute standardised excess returns."""
STILL_SD = 0.002
"""Daily sd below which a subnet counts as not traded; logs of sd leave it out."""
MARKET_CUT = 0.5
"""Bound of log returns in the mean over subnets."""
MIN_SUBNETS = 8
"""Minimum number of subnets for a rank correlation."""
_IQR_OF_NORMAL = 1.349
"""Interquartile range of the standard normal distribution."""


class RatioOfSums(NamedTuple):
    """A moment that is a ratio of two sums over days or subnets, by their terms `(n,)`."""

    numerator: np.ndarray
    denominator: np.ndarray

    def over(self, rows: np.ndarray) -> np.ndarray:
        """Return the ratio over resampled rows `(..., n)`; NaN where the denominator is 0."""
        top, bottom = self.numerator[rows].sum(-1), self.denominator[rows].sum(-1)
        return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0.0)


def over_known(statistic: Callable[..., np.ndarray], values: np.ndarray, axis: int) -> np.ndarray:
    """Apply a nan-function of NumPy along an axis; NaN, without a warning, where all values are missing."""
    known = np.isfinite(values).any(axis)
    result = np.full(known.shape, np.nan)
    if known.any():
        chosen = values[:, known] if axis == 0 else values[known]
        result[known] = statistic(chosen, axis=axis)
    return result


def _sd(values: np.ndarray) -> np.ndarray:
    """Standard deviation of each column; NaN with fewer than two values."""
    count = np.isfinite(values).sum(0)
    centred = values - over_known(np.nanmean, values, 0)
    total = np.where(np.isfinite(centred), centred, 0.0)
    return np.sqrt(
        np.divide((total**2).sum(0), count - 1, out=np.full(count.shape, np.nan), where=count > 1)
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of values `(n,)`; ties share their mean rank."""
    ascending = np.sort(values)
    below = np.searchsorted(ascending, values, "left")
    return 0.5 * (below + np.searchsorted(ascending, values, "right"))


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < MIN_SUBNETS:
        return np.nan
    a, b = _ranks(x[known]), _ranks(y[known])
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0.0 else np.nan


def _mean_of_days(values: np.ndarray, days: int) -> RatioOfSums:
    """Mean of a daily series with gaps, padded with zeros to `days`."""
    padded = np.zeros(days)
    counted = np.zeros(days)
    known = np.isfinite(values)
    padded[: values.size] = np.where(known, values, 0.0)
    counted[: values.size] = known
    return RatioOfSums(padded, counted)


class PanelStatistics:
    """Terms of all moments of a panel, to be summed over all or resampled days and subnets.

    Parameters
    ----------
    panel : Panel
        Real or simulated closes.

    Attributes
    ----------
    days, subnets : int
        Number of daily returns, and of subnets with at least `MIN_RETURNS` of them.
    newcomers : `(n,)`
        Log returns of new subnets.
    """

    def __init__(self, panel: Panel):
        log_price = np.log(panel.price)
        returns = np.diff(log_price, axis=0)
        enough = np.isfinite(returns).sum(0) >= MIN_RETURNS
        self.log_price, self.returns = log_price[:, enough], returns[:, enough]
        self.days, self.subnets = self.returns.shape
        self.newcomers = np.empty(0) if panel.newcomers is None else panel.newcomers
        if self.subnets == 0:
            return
        excess = self.returns - over_known(np.nanmedian, self.returns, 1)[:, None]
        square = over_known(np.nanmean, excess**2, 0)
        scale = np.sqrt(np.where(square > 0.0, square, np.nan))
        self.standard = excess / scale
        self.sd = _sd(self.returns)
        self.week = self.log_price[7:] - self.log_price[:-7]
        self.kurtosis = over_known(np.nanmean, self.standard**4, 0)
        self.skew = over_known(np.nanmean, self.standard**3, 0)
        if panel.tao is None:
            self.log_size = np.full(self.subnets, np.nan)
        else:
            self.log_size = over_known(np.nanmean, np.log(panel.tao[:, enough]), 0)
        cut = np.clip(self.returns, -MARKET_CUT, MARKET_CUT)
        self.market = over_known(np.nanmean, cut, 1)
        complete = np.isfinite(self.returns).all(0) & (self.sd > 0.0)
        self.complete = np.clip(self.returns[:, complete] / self.sd[complete], -WINSOR, WINSOR)
        self.ratios = self._ratios()

    def _ratios(self) -> dict[str, RatioOfSums]:
        """Terms of the moments that are ratios of sums over days, by name."""
        known = np.isfinite(self.standard)
        z = np.where(known, np.clip(self.standard, -WINSOR, WINSOR), 0.0)
        magnitude = np.clip(np.abs(self.standard), 0.0, WINSOR_VOLATILITY)
        magnitude = np.where(known, magnitude - over_known(np.nanmean, magnitude, 0), 0.0)
        ratios = {}
        for lag in (1, 2):
            ratios[f"autocorrelation_{lag}"] = self._lagged(z, lag, z[lag:])
        for lag in (1, 5):
            variance = (magnitude**2).sum(1) * (self.days - lag) / self.days
            pairs = self._lagged(magnitude, lag, magnitude[lag:]).numerator
            ratios[f"abs_autocorrelation_{lag}"] = RatioOfSums(pairs, variance)
        for days in (5, 20):
            ratios[f"variance_ratio_{days}"] = self._variance_ratio(z, known, days)
        self.long_variance = np.zeros((2, self.subnets))
        if self.days > 21:
            self.long_variance = np.array([v.sum(0) for v in self._variance_sums(z, known, 20)])
        for past in (1, 7):
            for ahead in (1, 7):
                ratios[f"ic_{past}_{ahead}"] = self._information(past, ahead)
        ratios["dispersion_20"] = self._dispersion(20, np.arange(self.subnets))
        return ratios

    def _lagged(self, values: np.ndarray, lag: int, base: np.ndarray) -> RatioOfSums:
        """Products with the values `lag` days before, over the squares of `base`."""
        numerator, denominator = np.zeros(self.days), np.zeros(self.days)
        numerator[lag:] = (values[lag:] * values[:-lag]).sum(1)
        denominator[lag:] = (base**2).sum(1)
        return RatioOfSums(numerator, denominator)

    def _variance_sums(
        self, z: np.ndarray, known: np.ndarray, days: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Squares of sums and sums of squares over `days`, `(rows, subnets)` each; 0 where a day is missing."""

        def total(values: np.ndarray) -> np.ndarray:
            summed = np.cumsum(values, axis=0)
            return summed[days:] - summed[:-days]

        full = total(known.astype(float)) == days
        return np.where(full, total(z) ** 2, 0.0), np.where(full, total(z**2), 0.0)

    def _variance_ratio(self, z: np.ndarray, known: np.ndarray, days: int) -> RatioOfSums:
        numerator, denominator = np.zeros(self.days), np.zeros(self.days)
        if self.days > days + 1:
            squares, sums = self._variance_sums(z, known, days)
            numerator[days:], denominator[days:] = squares.sum(1), sums.sum(1)
        return RatioOfSums(numerator, denominator)

    def _information(self, past: int, ahead: int) -> RatioOfSums:
        """Rank correlation of past and next returns of each day, as a mean over days."""
        p = self.log_price
        rows = range(past, len(p) - ahead)
        daily = [_rank_correlation(p[t] - p[t - past], p[t + ahead] - p[t]) for t in rows]
        return _mean_of_days(np.array(daily), self.days)

    def _dispersion(self, days: int, columns: np.ndarray) -> RatioOfSums:
        """Interquartile range of returns over `days`, scaled to a standard deviation, as a mean over days."""
        if len(self.log_price) <= days:
            return _mean_of_days(np.empty(0), self.days)
        log_price = self.log_price[:, columns]
        low, high = _quartiles(log_price[days:] - log_price[:-days])
        return _mean_of_days((high - low) / _IQR_OF_NORMAL, self.days)

    def over_days(self, rows: dict[str, np.ndarray]) -> dict[str, float]:
        """Compute the moments whose sampling error comes from days.

        Parameters
        ----------
        rows : dict of `(n,)` int
            Days to sum over, for each moment.
        """
        values = {name: float(ratio.over(rows[name])) for name, ratio in self.ratios.items()}
        values["daily_sd"] = _median(_sd(self.returns[rows["daily_sd"]]))
        week = rows["weekly_sd"]
        values["weekly_sd"] = _median(_sd(self.week[week[week < len(self.week)]]))
        market = self.market[rows["market_sd"]]
        values["market_sd"] = float(np.std(market[np.isfinite(market)]))
        values["pair_correlation"] = _pair_correlation(self.complete[rows["pair_correlation"]])
        return values

    def over_subnets(self, columns: np.ndarray, newcomers: np.ndarray) -> dict[str, float]:
        """Compute the moments whose sampling error comes from subnets.

        Parameters
        ----------
        columns : `(n,)` int
            Subnets to use.
        newcomers : `(m,)`
            Returns of new subnets to use.
        """
        sd = self.sd[columns]
        moved = sd > STILL_SD
        log_size = self.log_size[columns]
        return {
            "daily_sd": _median(sd),
            "weekly_sd": _median(self.week_sd[columns]),
            "sd_spread": float(np.log(sd[moved]).std()) if moved.any() else np.nan,
            "still_share": float(np.mean(~moved)),
            "kurtosis": _median(self.kurtosis[columns]),
            "skew": _median(self.skew[columns]),
            "variance_ratio_20": float(RatioOfSums(*self.long_variance).over(columns)),
            "dispersion_20": float(self._dispersion(20, columns).over(np.arange(self.days))),
            "size_slope": _slope(log_size[moved], np.log(sd[moved])),
            "newcomers_60": _median(newcomers),
        }

    @property
    def week_sd(self) -> np.ndarray:
        """Standard deviation of 7-day returns, `(subnets,)`."""
        return _sd(self.week)


def _quartiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper quartile of each row, linear between neighbours; NaN where all values are missing."""
    ascending = np.sort(values, axis=1)  # NaN last
    last = np.isfinite(values).sum(1) - 1
    quartiles = []
    for part in (0.25, 0.75):
        place = part * np.maximum(last, 0)
        below = place.astype(int)
        low = np.take_along_axis(ascending, below[:, None], 1)[:, 0]
        above = np.minimum(below + 1, np.maximum(last, 0))
        high = np.take_along_axis(ascending, above[:, None], 1)[:, 0]
        quartiles.append(low + (place - below) * (high - low))
    return quartiles[0], quartiles[1]


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3:
        return np.nan
    x, y = x[known] - x[known].mean(), y[known]
    return float(x @ y / (x @ x)) if x @ x > 0.0 else np.nan


def _pair_correlation(standard: np.ndarray) -> float:
    """Mean correlation over all pairs of columns."""
    n = standard.shape[1]
    if n < 2:
        return np.nan
    centred = standard - standard.mean(0)
    length = np.sqrt((centred**2).sum(0))
    if not (length > 0.0).all():
        centred, length = centred[:, length > 0.0], length[length > 0.0]
        n = length.size
        if n < 2:
            return np.nan
    total = float((((centred / length).sum(1)) ** 2).sum())
    return (total - n) / (n * (n - 1))
