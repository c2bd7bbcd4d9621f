"""Panels of daily closes, real and simulated.

A close is the spot price at the end of a day, TAO per alpha; NaN where no subnet is traded. A subnet's first closes
after it appears are not part of a panel: the price of a pool of a few TAO says nothing of volatility.
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
"""Days over which the return of a new subnet is taken."""
MIN_RETURNS = 20
"""Daily returns that a subnet needs."""


class Period(NamedTuple):
    """A window of the chain's history whose closes are packaged."""

    first: date
    """Day of the first close; the first return is that of the next day."""
    last: date
    file: str
    """Name of the packaged table."""
    label: str

    @property
    def days(self) -> int:
        """Number of closes."""
        return (self.last - self.first).days + 1


PERIODS = {
    "spring-2026": Period(
        date(2026, 3, 9), date(2026, 5, 3), "closes_2026", "9 March to 3 May 2026"
    ),
    "summer-2025": Period(
        date(2025, 5, 31), date(2025, 8, 30), "closes_2025", "June to August 2025"
    ),
    "spring-2025": Period(
        date(2025, 2, 22), date(2025, 5, 30), "closes_2025", "22 February to 30 May 2025"
    ),
}
"""The first is the default. Never pool them: the emission rule changed, and so did volatility."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Daily closes of subnets, one column for each subnet.

    Attributes:
        price: `(days, subnets)`, NaN where a close is missing or does not count.
        tao: TAO in the pools, likewise, or None.
        newcomers: log returns of new subnets in `NEWCOMER_DAYS` from their first close that counts, `(n,)`.
    """

    price: np.ndarray
    tao: np.ndarray | None = None
    newcomers: np.ndarray | None = None


def settled(price: np.ndarray, young: int = YOUNG_DAYS) -> np.ndarray:
    """The prices `(days, subnets)` without the first `young` closes of each column that starts after the first row."""
    kept = np.where((price > 0.0) & (price <= PRICE_LIMIT), price, np.nan)
    seen = np.isfinite(kept)
    new = ~seen[0]
    kept[:, new] = np.where(seen[:, new].cumsum(0) > young, kept[:, new], np.nan)
    return kept


def newcomer_returns(price: np.ndarray) -> np.ndarray:
    """Log return over `NEWCOMER_DAYS` of each column that starts after the first row, from its first close."""
    seen = np.isfinite(price)
    first = seen.argmax(0)
    columns = np.flatnonzero(seen.any(0) & (first > 0) & (first + NEWCOMER_DAYS < len(price)))
    start = price[first[columns], columns]
    change = np.log(price[first[columns] + NEWCOMER_DAYS, columns] / start)
    return change[np.isfinite(change)]


@cache
def _packaged(name: str) -> tuple[tuple[date, ...], np.ndarray, tuple[str, ...]]:
    path = resources.files("dtao_gym") / "data" / "closes" / f"{name}.csv"
    header, *rows = csv.reader(path.read_text("utf-8").splitlines())
    values = np.array([[float(text or "nan") for text in row[1:]] for row in rows])
    return tuple(date.fromisoformat(row[0]) for row in rows), values, tuple(header[1:])


def period(name: str) -> Period:
    """The period of that name, or a ConfigError."""
    if name not in PERIODS:
        raise ConfigError(f"period: got {name!r}, allowed are {', '.join(PERIODS)}")
    return PERIODS[name]


@cache
def observed_panel(name: str = "spring-2026") -> Panel:
    """The chain's closes in a period; new subnets are those of 2025, the only ones that were seen for long."""
    chosen = period(name)
    days, price, netuids = _packaged(chosen.file)
    # closes_2026 holds none of the days after a registration: there a late start is no young price
    price = settled(price, 0 if chosen.file == "closes_2026" else YOUNG_DAYS)
    _, tao, pools = _packaged(f"{chosen.file}_tao")
    aligned = np.full(price.shape, np.nan)
    aligned[:, [netuids.index(netuid) for netuid in pools]] = tao
    window = slice(days.index(chosen.first), days.index(chosen.last) + 1)
    newcomers = newcomer_returns(settled(_packaged("closes_2025")[1]))
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
    """Panels of closes of worlds that nobody but the scripted people plays in.

    Args:
        config: the world; its learners are left out.
        days: number of closes, as in `Period.days`.
        n_worlds: number of worlds.
        seed: seed of the first world; None: that of the configuration.
        burn_in: days that are played before the first close.
        threads: threads that share the worlds.

    New subnets are counted from the start of the burn-in on.

    Raises:
        ConfigError: a bad number, or a world without pools.
    """
    for name, value, least in (
        ("days", days, 22),
        ("worlds", n_worlds, 1),
        ("burn_in", burn_in, 0),
    ):
        if value < least:
            raise ConfigError(f"{name}: got {value}, allowed is {least} or more")
    if config.era_part("injection") == "direct":
        raise ConfigError(f"era: got {config.era!r}, allowed are eras with pools: it has no prices")
    config = Config.make(config, n_stakers=0)
    first = config.world_seed if seed is None else seed
    batch = Batch(config, n_worlds, seeds=range(first, first + n_worlds), threads=threads)
    rows = burn_in + days
    names = ("spot_price", "tao_reserve", "registered_block", "started")
    recorded = {name: np.empty((rows, *batch.state.row(name).shape)) for name in names}
    for k in range(rows):
        if k:
            batch.step()
        for name, values in recorded.items():
            values[k] = batch.state.row(name)
    traded = recorded["started"] > 0.0
    price = np.where(traded, recorded["spot_price"], np.nan)
    tao = np.where(traded, recorded["tao_reserve"], np.nan)
    return [
        _panel_of_world(price[:, w], tao[:, w], recorded["registered_block"][:, w], burn_in)
        for w in range(n_worlds)
    ]


def _panel_of_world(
    price: np.ndarray, tao: np.ndarray, registered: np.ndarray, burn_in: int
) -> Panel:
    """A panel with a column for each subnet, although a slot may hold several, one after the other."""
    columns, pools = [], []
    for slot in range(price.shape[1]):
        for block in np.unique(registered[:, slot]):
            own = registered[:, slot] == block
            columns.append(np.where(own, price[:, slot], np.nan))
            pools.append(np.where(own, tao[:, slot], np.nan))
    whole = settled(np.array(columns).T)
    held = np.where(np.isfinite(whole), np.array(pools).T, np.nan)
    return Panel(whole[burn_in:], held[burn_in:], newcomer_returns(whole))
