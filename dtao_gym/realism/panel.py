"""Panels of daily closes, real and simulated.

A close is the spot price at the end of a day, TAO per alpha; NaN where the subnet is not traded. The first closes of a new
subnet are left out: the price of a pool of a few TAO is not informative about volatility.
"""

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.cross_section import PRICE_LIMIT, YOUNG_DAYS

NEWCOMER_DAYS = 60
"""Horizon of the return of a new subnet."""
MIN_RETURNS = 20
"""Minimum number of daily returns of a subnet."""
MIN_DAYS = 22
"""Minimum number of closes of a simulated panel."""


class PricePeriod(NamedTuple):
    """A window of the chain's history with packaged closes."""

    first: date
    """Day of the first close; the first return is that of the next day."""
    last: date
    file: str
    """Name of the packaged table."""
    label: str
    """Dates in words."""

    @property
    def days(self) -> int:
        """Number of closes."""
        return (self.last - self.first).days + 1


PERIODS = {
    "spring-2026": PricePeriod(
        date(2026, 3, 9), date(2026, 5, 3), "closes_2026", "9 March to 3 May 2026"
    ),
    "summer-2025": PricePeriod(
        date(2025, 5, 31), date(2025, 8, 30), "closes_2025", "June to August 2025"
    ),
    "spring-2025": PricePeriod(
        date(2025, 2, 22), date(2025, 5, 30), "closes_2025", "22 February to 30 May 2025"
    ),
}
"""Periods by name, the default first. They must not be pooled: emission rule and volatility changed between them."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Daily closes of subnets, one column per subnet.

    Attributes
    ----------
    price : `(days, subnets)`
        TAO per alpha; NaN where a close is missing or left out.
    tao : `(days, subnets)`, optional
        TAO in the pools; NaN likewise.
    newcomers : `(n,)`, optional
        Log returns of new subnets over `NEWCOMER_DAYS` from their first close that is not left out.
    """

    price: np.ndarray
    tao: np.ndarray | None = None
    newcomers: np.ndarray | None = None


def without_young_closes(price: np.ndarray, young: int = YOUNG_DAYS) -> np.ndarray:
    """Replace implausible prices and the first closes of new subnets by NaN.

    Parameters
    ----------
    price : `(days, subnets)`
        TAO per alpha, NaN where unknown.
    young : int
        Number of closes to leave out of each column that starts after the first row.

    Returns
    -------
    `(days, subnets)`
        Prices in (0, `PRICE_LIMIT`] of established subnets, else NaN.
    """
    kept = np.where((price > 0.0) & (price <= PRICE_LIMIT), price, np.nan)
    seen = np.isfinite(kept)
    new = ~seen[0]
    kept[:, new] = np.where(seen[:, new].cumsum(0) > young, kept[:, new], np.nan)
    return kept


def newcomer_returns(price: np.ndarray) -> np.ndarray:
    """Return log returns over `NEWCOMER_DAYS`, `(n,)`, of columns that start after the first row."""
    seen = np.isfinite(price)
    first = seen.argmax(0)
    columns = np.flatnonzero(seen.any(0) & (first > 0) & (first + NEWCOMER_DAYS < len(price)))
    start = price[first[columns], columns]
    change = np.log(price[first[columns] + NEWCOMER_DAYS, columns] / start)
    return change[np.isfinite(change)]


@cache
def _packaged(name: str) -> tuple[tuple[date, ...], np.ndarray, tuple[str, ...]]:
    """Dates, values `(dates, netuids)` and netuids of a packaged table."""
    path = resources.files("dtao_gym") / "data" / "closes" / f"{name}.csv"
    header, *rows = csv.reader(path.read_text("utf-8").splitlines())
    values = np.array([[float(text or "nan") for text in row[1:]] for row in rows])
    return tuple(date.fromisoformat(row[0]) for row in rows), values, tuple(header[1:])


def period(name: str) -> PricePeriod:
    """Return the period of a name. Raises ConfigError for an unknown one."""
    if name not in PERIODS:
        raise ConfigError(f"period: got {name!r}, allowed are {', '.join(PERIODS)}")
    return PERIODS[name]


@cache
def observed_panel(name: str = "spring-2026") -> Panel:
    """Return the chain's closes in a period.

    New subnets are those of 2025 in every period: only these were observed for `NEWCOMER_DAYS`. Raises ConfigError for an
    unknown period.
    """
    chosen = period(name)
    days, price, netuids = _packaged(chosen.file)
    # closes_2026 has no closes soon after a registration: a late start there is not a new subnet
    price = without_young_closes(price, 0 if chosen.file == "closes_2026" else YOUNG_DAYS)
    _, tao, pools = _packaged(f"{chosen.file}_tao")
    aligned = np.full(price.shape, np.nan)
    aligned[:, [netuids.index(netuid) for netuid in pools]] = tao
    window = slice(days.index(chosen.first), days.index(chosen.last) + 1)
    newcomers = newcomer_returns(without_young_closes(_packaged("closes_2025")[1]))
    price, aligned = price[window], aligned[window]
    kept = np.isfinite(np.diff(np.log(price), axis=0)).sum(0) >= MIN_RETURNS
    aligned[np.isnan(price)] = np.nan
    return Panel(price[:, kept], aligned[:, kept], newcomers)


def simulated_panels(
    config: Config,
    days: int,
    *,
    n_worlds: int = 16,
    seed: int | None = None,
    burn_in: int = 90,
    threads: int = 1,
) -> list[Panel]:
    """Simulate worlds with scripted participants only, and record their closes.

    Parameters
    ----------
    config : Config
        Configuration of the worlds; its staker accounts are left out.
    days : int
        Number of closes, as in `PricePeriod.days`.
    n_worlds : int
        Number of worlds.
    seed : int, optional
        Seed of the first world; that of the configuration by default.
    burn_in : int
        Days simulated before the first close. New subnets count from the start of the burn-in.
    threads : int
        Threads that share the worlds.

    Returns
    -------
    list of Panel
        One per world.

    Raises
    ------
    ConfigError
        A number that is too small, or an era without pools.
    """
    for name, value, minimum in (
        ("days", days, MIN_DAYS),
        ("worlds", n_worlds, 1),
        ("burn_in", burn_in, 0),
    ):
        if value < minimum:
            raise ConfigError(f"{name}: got {value}, allowed is {minimum} or more")
    if config.era_part("injection") == "direct":
        raise ConfigError(
            f"era: got {config.era!r}, allowed are eras with pools, which have prices"
        )
    config = Config.make(config, n_stakers=0)
    first = config.world_seed if seed is None else seed
    batch = Batch(config, n_worlds, seeds=range(first, first + n_worlds), threads=threads)
    closes = _closes(batch, burn_in + days)
    traded = closes["started"] > 0.0
    price = np.where(traded, closes["spot_price"], np.nan)
    tao = np.where(traded, closes["tao_reserve"], np.nan)
    return [
        _panel_of_world(price[:, w], tao[:, w], closes["registered_block"][:, w], burn_in)
        for w in range(n_worlds)
    ]


def _closes(batch: Batch, days: int) -> dict[str, np.ndarray]:
    """Rows of the state at the present and the following closes, `(days, n_worlds, n_slots)` each."""
    names = ("spot_price", "tao_reserve", "registered_block", "started")
    closes = {name: np.empty((days, *batch.state.row(name).shape)) for name in names}
    for k in range(days):
        if k:
            batch.step()
        for name, values in closes.items():
            values[k] = batch.state.row(name)
    return closes


def _panel_of_world(
    price: np.ndarray, tao: np.ndarray, registered: np.ndarray, burn_in: int
) -> Panel:
    """Panel with one column per subnet; a slot may hold several subnets one after the other."""
    columns, pools = [], []
    for slot in range(price.shape[1]):
        for block in np.unique(registered[:, slot]):
            own = registered[:, slot] == block
            columns.append(np.where(own, price[:, slot], np.nan))
            pools.append(np.where(own, tao[:, slot], np.nan))
    prices = without_young_closes(np.array(columns).T)
    reserves = np.where(np.isfinite(prices), np.array(pools).T, np.nan)
    return Panel(prices[burn_in:], reserves[burn_in:], newcomer_returns(prices))
