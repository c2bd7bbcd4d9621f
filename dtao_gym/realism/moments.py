"""Moments of a panel of daily closes, and their sampling error.

`moments` is one function for real and simulated panels. Excess returns are daily log returns less the median of the
cross-section. For sums over products they are divided by their root mean square and cut at four of them, so that no
single jump decides. Subnets with fewer than `MIN_RETURNS` returns are left out.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dtao_gym.realism.panel import MIN_RETURNS, Panel

WINSOR = 4.0
"""Standardised returns are cut there."""
WINSOR_VOLATILITY = 8.0
"""The same for absolute returns."""
STILL_SD = 0.002
"""Below this daily sd a subnet has no market; it does not count where logs of sd are taken."""
MARKET_CUT = 0.5
"""Log returns are cut there in the mean over subnets."""
MIN_SUBNETS = 8
"""Subnets that a rank correlation needs."""
BLOCK_DAYS = 10
"""Days of a block of the bootstrap; moments of longer horizons take their horizon."""

DAYS, SUBNETS, BOTH = "days", "subnets", "both"


class Moment(NamedTuple):
    """A moment: its heading, how it is written, and what its sampling error comes from."""

    heading: str
    form: str
    error: str
    """`days`: blocks of days are drawn anew. `subnets`: subnets are. `both`: the two variances add."""
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


class Estimate(NamedTuple):
    """Moments with their sampling error.

    Attributes:
        value: `(k,)` in the order of `MOMENTS`; NaN where a panel says nothing.
        covariance: `(k, k)` joint covariance of the sampling error; NaN in rows and columns of a missing moment.
    """

    value: np.ndarray
    covariance: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """Standard errors, `(k,)`."""
        return np.sqrt(np.diag(self.covariance))


class _Ratio(NamedTuple):
    """A moment as a ratio of two sums, over days or subnets."""

    numerator: np.ndarray
    denominator: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The ratio over drawn rows `(..., n)`."""
        top, bottom = self.numerator[rows].sum(-1), self.denominator[rows].sum(-1)
        return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0.0)


def _masked(values: np.ndarray, how: Callable[..., np.ndarray], axis: int) -> np.ndarray:
    """A nan-function of NumPy over an axis, NaN without a warning where nothing is known."""
    known = np.isfinite(values).any(axis)
    found = np.full(known.shape, np.nan)
    if known.any():
        chosen = values[:, known] if axis == 0 else values[known]
        found[known] = how(chosen, axis=axis)
    return found


def _sd(values: np.ndarray) -> np.ndarray:
    """Standard deviation of each column; NaN where fewer than two values are known."""
    count = np.isfinite(values).sum(0)
    centred = values - _masked(values, np.nanmean, 0)
    total = np.where(np.isfinite(centred), centred, 0.0)
    return np.sqrt(
        np.divide((total**2).sum(0), count - 1, out=np.full(count.shape, np.nan), where=count > 1)
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of the values of a row; ties share their mean rank."""
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


def _mean_of_days(values: np.ndarray, days: int) -> _Ratio:
    """The mean of a series of daily values with gaps, on the grid of `days`."""
    padded = np.zeros(days)
    counted = np.zeros(days)
    known = np.isfinite(values)
    padded[: values.size] = np.where(known, values, 0.0)
    counted[: values.size] = known
    return _Ratio(padded, counted)


class _Statistics:
    """What the moments of a panel are computed from: once for the panel, and again for drawn days or subnets."""

    def __init__(self, panel: Panel):
        log_price = np.log(panel.price)
        returns = np.diff(log_price, axis=0)
        enough = np.isfinite(returns).sum(0) >= MIN_RETURNS
        self.log_price, self.returns = log_price[:, enough], returns[:, enough]
        self.days, self.subnets = self.returns.shape
        self.newcomers = np.empty(0) if panel.newcomers is None else panel.newcomers
        if self.subnets == 0:
            return
        excess = self.returns - _masked(self.returns, np.nanmedian, 1)[:, None]
        square = _masked(excess**2, np.nanmean, 0)
        scale = np.sqrt(np.where(square > 0.0, square, np.nan))
        self.standard = excess / scale
        self.sd = _sd(self.returns)
        self.week = self.log_price[7:] - self.log_price[:-7]
        self.kurtosis = _masked(self.standard**4, np.nanmean, 0)
        self.skew = _masked(self.standard**3, np.nanmean, 0)
        if panel.tao is None:
            self.size = np.full(self.subnets, np.nan)
        else:
            self.size = _masked(np.log(panel.tao[:, enough]), np.nanmean, 0)
        cut = np.clip(self.returns, -MARKET_CUT, MARKET_CUT)
        self.market = _masked(cut, np.nanmean, 1)
        complete = np.isfinite(self.returns).all(0) & (self.sd > 0.0)
        self.complete = np.clip(self.returns[:, complete] / self.sd[complete], -WINSOR, WINSOR)
        self.ratios = self._ratios()

    def _ratios(self) -> dict[str, _Ratio]:
        known = np.isfinite(self.standard)
        z = np.where(known, np.clip(self.standard, -WINSOR, WINSOR), 0.0)
        size = np.clip(np.abs(self.standard), 0.0, WINSOR_VOLATILITY)
        size = np.where(known, size - _masked(size, np.nanmean, 0), 0.0)
        found = {}
        for lag in (1, 2):
            found[f"autocorrelation_{lag}"] = self._lagged(z, lag, z[lag:])
        for lag in (1, 5):
            whole = (size**2).sum(1) * (self.days - lag) / self.days
            pairs = self._lagged(size, lag, size[lag:]).numerator
            found[f"abs_autocorrelation_{lag}"] = _Ratio(pairs, whole)
        for days in (5, 20):
            found[f"variance_ratio_{days}"] = self._variance_ratio(z, known, days)
        self.long_variance = np.zeros((2, self.subnets))
        if self.days > 21:
            self.long_variance = np.array([v.sum(0) for v in self._variance_sums(z, known, 20)])
        for past in (1, 7):
            for ahead in (1, 7):
                found[f"ic_{past}_{ahead}"] = self._information(past, ahead)
        found["dispersion_20"] = self._dispersion(20, np.arange(self.subnets))
        return found

    def _lagged(self, values: np.ndarray, lag: int, base: np.ndarray) -> _Ratio:
        numerator, denominator = np.zeros(self.days), np.zeros(self.days)
        numerator[lag:] = (values[lag:] * values[:-lag]).sum(1)
        denominator[lag:] = (base**2).sum(1)
        return _Ratio(numerator, denominator)

    def _variance_sums(
        self, z: np.ndarray, known: np.ndarray, days: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Squares of sums over `days`, and sums of squares, `(rows, subnets)`; 0 where a day is missing."""

        def total(values: np.ndarray) -> np.ndarray:
            summed = np.cumsum(values, axis=0)
            return summed[days:] - summed[:-days]

        full = total(known.astype(float)) == days
        return np.where(full, total(z) ** 2, 0.0), np.where(full, total(z**2), 0.0)

    def _variance_ratio(self, z: np.ndarray, known: np.ndarray, days: int) -> _Ratio:
        numerator, denominator = np.zeros(self.days), np.zeros(self.days)
        if self.days > days + 1:
            squares, sums = self._variance_sums(z, known, days)
            numerator[days:], denominator[days:] = squares.sum(1), sums.sum(1)
        return _Ratio(numerator, denominator)

    def _information(self, past: int, ahead: int) -> _Ratio:
        p = self.log_price
        rows = range(past, len(p) - ahead)
        each = [_rank_correlation(p[t] - p[t - past], p[t + ahead] - p[t]) for t in rows]
        return _mean_of_days(np.array(each), self.days)

    def _dispersion(self, days: int, columns: np.ndarray) -> _Ratio:
        """Quartile range of returns over `days`, as a standard deviation, in the mean over days."""
        if len(self.log_price) <= days:
            return _mean_of_days(np.empty(0), self.days)
        log_price = self.log_price[:, columns]
        low, high = _quartiles(log_price[days:] - log_price[:-days])
        return _mean_of_days((high - low) / 1.349, self.days)

    def over_days(self, rows: dict[int, np.ndarray]) -> dict[str, float]:
        """The moments whose error comes from days, over the drawn days for each block length."""
        found = {name: float(ratio.of(rows[_block(name)])) for name, ratio in self.ratios.items()}
        day = rows[_block("daily_sd")]
        found["daily_sd"] = _median(_sd(self.returns[day]))
        week = rows[_block("weekly_sd")]
        found["weekly_sd"] = _median(_sd(self.week[week[week < len(self.week)]]))
        market = self.market[day]
        found["market_sd"] = float(np.std(market[np.isfinite(market)]))
        found["pair_correlation"] = _pair_correlation(self.complete[day])
        return found

    def over_subnets(self, columns: np.ndarray, newcomers: np.ndarray) -> dict[str, float]:
        """The moments whose error comes from subnets, over the drawn ones."""
        sd = self.sd[columns]
        moved = sd > STILL_SD
        size = self.size[columns]
        return {
            "daily_sd": _median(sd),
            "weekly_sd": _median(self.week_sd[columns]),
            "sd_spread": float(np.log(sd[moved]).std()) if moved.any() else np.nan,
            "still_share": float(np.mean(~moved)),
            "kurtosis": _median(self.kurtosis[columns]),
            "skew": _median(self.skew[columns]),
            "variance_ratio_20": float(_Ratio(*self.long_variance).of(columns)),
            "dispersion_20": float(self._dispersion(20, columns).of(np.arange(self.days))),
            "size_slope": _slope(size[moved], np.log(sd[moved])),
            "newcomers_60": _median(newcomers),
        }

    @property
    def week_sd(self) -> np.ndarray:
        return _sd(self.week)


def _quartiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper quartile of each row, linear between neighbours; NaN where nothing is known."""
    ascending = np.sort(values, axis=1)  # NaN last
    last = np.isfinite(values).sum(1) - 1
    found = []
    for part in (0.25, 0.75):
        place = part * np.maximum(last, 0)
        below = place.astype(int)
        low = np.take_along_axis(ascending, below[:, None], 1)[:, 0]
        above = np.minimum(below + 1, np.maximum(last, 0))
        high = np.take_along_axis(ascending, above[:, None], 1)[:, 0]
        found.append(low + (place - below) * (high - low))
    return found[0], found[1]


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


def _block(name: str) -> int:
    return max(BLOCK_DAYS, MOMENTS[name].horizon)


def _vector(found: dict[str, float]) -> np.ndarray:
    return np.array([found.get(name, np.nan) for name in MOMENTS])


def _point(statistics: _Statistics) -> np.ndarray:
    if statistics.subnets == 0:
        return np.full(len(MOMENTS), np.nan)
    every = np.arange(statistics.days)
    blocks = {_block(name): every for name in MOMENTS}
    columns = np.arange(statistics.subnets)
    found = statistics.over_days(blocks)
    return _vector(found | statistics.over_subnets(columns, statistics.newcomers))


def moments(panel: Panel) -> dict[str, float]:
    """Every moment of `MOMENTS`; NaN where the panel is too short or too narrow for one."""
    return dict(zip(MOMENTS, map(float, _point(_Statistics(panel))), strict=True))


def estimate(panel: Panel, draws: int = 400, seed: int = 0) -> Estimate:
    """Moments and the joint covariance of their sampling error, by bootstrap.

    Two sources of error add. Circular blocks of days are drawn with the same starts for all moments (Künsch 1989; Politis
    and Romano 1992), and subnets are drawn one by one. Terms that span several days are computed once and drawn whole, so
    that no term runs across the border of two blocks.

    Raises:
        ValueError: fewer than two draws.
    """
    if draws < 2:
        raise ValueError(f"draws: got {draws}, allowed is 2 or more")
    statistics = _Statistics(panel)
    value = _point(statistics)
    k = len(MOMENTS)
    if statistics.subnets == 0:
        return Estimate(value, np.full((k, k), np.nan))
    rng = np.random.default_rng(seed)
    lengths = {_block(name) for name in MOMENTS}
    by_days, by_subnets = np.empty((draws, k)), np.empty((draws, k))
    t, n, m = statistics.days, statistics.subnets, statistics.newcomers.size
    for draw in range(draws):
        starts = rng.integers(0, t, -(-t // BLOCK_DAYS))
        rows = {
            length: ((starts[: -(-t // length), None] + np.arange(length)) % t).ravel()[:t]
            for length in lengths
        }
        by_days[draw] = _vector(statistics.over_days(rows))
        chosen = statistics.newcomers[rng.integers(0, m, m)] if m else statistics.newcomers
        by_subnets[draw] = _vector(statistics.over_subnets(rng.integers(0, n, n), chosen))
    covariance = np.zeros((k, k))
    for drawn, sources in ((by_days, (DAYS, BOTH)), (by_subnets, (SUBNETS, BOTH))):
        counted = np.array([moment.error in sources for moment in MOMENTS.values()])
        centred = drawn - _masked(drawn, np.nanmean, 0)
        centred[:, ~counted] = 0.0
        centred[~np.isfinite(centred)] = 0.0
        covariance += centred.T @ centred / (draws - 1)
    missing = ~np.isfinite(value)
    covariance[missing] = np.nan
    covariance[:, missing] = np.nan
    return Estimate(value, covariance)
