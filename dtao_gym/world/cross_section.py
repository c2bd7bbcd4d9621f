"""Cross-section and volatility of subnet prices: the same measures for chain and simulation.

Prices are TAO per alpha. A price that is NaN (no such subnet, or not started) or above `PRICE_LIMIT` is left out: before a
subnet was started in 2025, its pool of a few TAO had a price from 1 TAO to thousands.
"""

import csv
from collections.abc import Iterator
from datetime import date
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np

PRICE_LIMIT = 0.9
"""Price, TAO per alpha, above which a pool is taken to have no market."""
YOUNG_DAYS = 7
"""Days of prices at the beginning of a window, or of a subnet, that are left out of volatilities."""
MIN_CHANGES = 14
"""Smallest number of daily changes for a volatility."""

VOLATILITY_WINDOWS = (
    (date(2025, 2, 16), date(2025, 3, 31)),
    (date(2025, 4, 1), date(2025, 5, 31)),
    (date(2025, 6, 1), date(2025, 6, 30)),
    (date(2025, 6, 1), date(2025, 8, 31)),
    (date(2025, 7, 1), date(2025, 8, 31)),
)
"""First and last day of the windows of the packaged data."""


class CrossSection(NamedTuple):
    """Prices of one day over all subnets."""

    subnets: float
    """Number of subnets that count."""
    price_sum: float
    """TAO per alpha."""
    median_price: float
    """TAO per alpha."""
    sd_log_price: float
    """Standard deviation of the natural logarithm."""
    top1_share: float
    """Share of the highest price in the sum of prices, 0 to 1."""
    top5_share: float
    """Share of the five highest prices."""
    hhi: float
    """Herfindahl-Hirschman index of the shares in the sum of prices, 1/n to 1."""


class Observed(NamedTuple):
    """A day of the chain, from the packaged data."""

    date: date
    cross_section: CrossSection
    root_share: float
    """TAO in root over TAO in root and pools; NaN where unknown."""


class Volatility(NamedTuple):
    """Daily volatility over a window, from the packaged data."""

    first: date
    last: date
    subnets: int
    median_sd: float
    """Median over the subnets of the standard deviation of the daily change of the log price."""
    median_sd_of_week: float
    """The same for changes over seven days; of daily means of a random walk it would be three times the daily one."""


def cross_section(prices: np.ndarray) -> CrossSection:
    """Measures of the prices `(n_subnets,)` of a day; NaN where no price counts."""
    prices = np.asarray(prices, float)
    counted = prices[(prices > 0.0) & (prices <= PRICE_LIMIT)]  # a NaN is neither
    if counted.size == 0:
        return CrossSection(0.0, *[np.nan] * (len(CrossSection._fields) - 1))
    share = -np.sort(-counted / counted.sum())
    return CrossSection(
        subnets=float(counted.size),
        price_sum=float(counted.sum()),
        median_price=float(np.median(counted)),
        sd_log_price=float(np.log(counted).std()),
        top1_share=float(share[0]),
        top5_share=float(share[:5].sum()),
        hhi=float((share**2).sum()),
    )


def volatilities(prices: np.ndarray, days: int = 1) -> np.ndarray:
    """Standard deviation of the change of the log of mean prices, one for each subnet with enough changes.

    A subnet's first `YOUNG_DAYS` prices within the window are left out: the price of a pool of a few TAO falls by a factor
    of ten in a day whatever its subnet is worth.

    Parameters
    ----------
    prices : np.ndarray
        `(days, n_subnets)`, TAO per alpha.
    days : int
        Length of a change; changes overlap where it is more than 1.
    """
    prices = np.asarray(prices, float)
    log_price = np.full(prices.shape, np.nan)
    counted = (prices > 0.0) & (prices <= PRICE_LIMIT)
    log_price[counted] = np.log(prices[counted])
    log_price[counted.cumsum(0) <= YOUNG_DAYS] = np.nan
    change = log_price[days:] - log_price[:-days]
    enough = np.isfinite(change).sum(0) >= MIN_CHANGES
    return np.nanstd(change[:, enough], axis=0, ddof=1) if enough.any() else np.empty(0)


def median_volatility(prices: np.ndarray, days: int = 1) -> float:
    """Median of `volatilities`; NaN where no subnet has enough days."""
    sds = volatilities(prices, days)
    return float(np.median(sds)) if sds.size else np.nan


@cache
def observed() -> tuple[Observed, ...]:
    """Cross-sections of the chain: daily from 2025-02-14 to 2025-08-31, and the snapshots of 2026."""
    return tuple(
        Observed(
            date.fromisoformat(row["date"]),
            CrossSection(*(float(row[name]) for name in CrossSection._fields)),
            float(row["root_share"] or "nan"),
        )
        for row in _table("cross_section")
    )


@cache
def observed_volatility() -> tuple[Volatility, ...]:
    """Volatility of the chain over `VOLATILITY_WINDOWS`."""
    return tuple(
        Volatility(
            date.fromisoformat(row["first"]),
            date.fromisoformat(row["last"]),
            int(row["subnets"]),
            float(row["median_sd"]),
            float(row["median_sd_of_week"]),
        )
        for row in _table("volatility")
    )


def _table(name: str) -> Iterator[dict[str, str]]:
    path = resources.files("dtao_gym") / "data" / "history" / f"{name}.csv"
    return csv.DictReader(path.read_text("utf-8").splitlines())
