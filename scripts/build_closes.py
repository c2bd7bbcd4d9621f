"""Build the packaged daily closes of real subnets: `dtao_gym/data/closes/*.csv`.

    python scripts/build_closes.py SOURCE_DIR [--output FOLDER]

SOURCE_DIR holds the captures `HOURLY_2025`, `DAILY_2026`, `APRIL_SNAPSHOT` and `REGISTRATIONS` of `scripts/captures.py`. A
close is the price at 24:00 UTC of its date. A second table for each year has the TAO in the same pools, inferred from
prices. `closes_provenance.json` lists everything that is left out.
"""

import csv
import gzip
import json
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.protocol.issuance import BLOCKS_PER_DAY  # noqa: E402
from dtao_gym.replay.prices import FILL_HOURS  # noqa: E402
from dtao_gym.replay.reserves import MOVING_PRICE_HALVING_BLOCKS  # noqa: E402
from dtao_gym.world.cross_section import PRICE_LIMIT  # noqa: E402
from dtao_gym.world.parameters import MOVING_PRICE_BASE  # noqa: E402
from scripts.captures import (  # noqa: E402
    APRIL_SNAPSHOT,
    DAILY_2026,
    HOURLY_2025,
    PACKAGE_DATA,
    REGISTRATIONS,
    options,
    read_rows,
    sha256,
    write_rows,
)

HOUR = timedelta(hours=1)
BLOCKS_PER_HOUR = BLOCKS_PER_DAY // 24
LAUNCH = datetime(2025, 2, 13, 12)
"""Assumed time of the first pools, of 1 TAO and 1 alpha; the packaged tables are built with it (the chain: 20:15 UTC)."""
SNAPSHOT_DAY = date(2026, 4, 11)
FRESH_DAYS_2026 = 14
"""Days after a registration that are left out: start call, seeding and first trades."""
PROVENANCE = {
    "source": (
        "2025: hourly samples of an archive node, alexlange1/backtesting at 96b6444. 2026: the daily table of prices "
        "in stevewoz1234567890/Bittensor-Discussion, subnets/NNN-*.md, every second subnet that has one; closes at "
        "23:59:48 UTC. Reserves of 2026-04-11: sudoHayato/bittensor-research, data/subnets_snapshot_2026-04-11.json."
    ),
    "licence": "Facts computed from public chain data. The two repositories of prices state no licence; the snapshot's is MIT.",
    "closes_2025": (
        "Price of the sample at 00:00 UTC of the next day, six significant digits; the first close is that of "
        f"2025-02-15. Prices above {PRICE_LIMIT} TAO are left out: subnets that were registered but not started."
    ),
    "closes_2026": (
        "Prices of 50 subnets as published. Where a netuid was registered again in the window, the closes of the former "
        f"subnet are left out. So are those of a subnet's first {FRESH_DAYS_2026} days after its registration: start "
        "call, seeding and first trades."
    ),
    "closes_2025_tao": (
        "TAO in the pool, inferred: on a constant-product pool trades leave L = sqrt(TAO alpha) alone, and injection "
        "of e TAO raises it by e / sqrt(price). Injection is 7,200 TAO a day by share of the moving price. Five digits."
    ),
    "closes_2026_tao": "TAO of 2026-04-11 times the root of the price over that of 2026-04-11: the same rule without injection.",
}

Table = tuple[list[date], list[int], np.ndarray]
"""Dates, netuids and values `(dates, netuids)`."""


def hourly_prices(path: Path) -> tuple[datetime, list[int], np.ndarray]:
    """Read the first hour, netuids, and prices `(hours, netuids)` by the hour; NaN without a market."""
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    times = [datetime.fromisoformat(row[0]) for row in rows]
    prices = np.full(((times[-1] - times[0]) // HOUR + 1, len(header) - 1), np.nan)
    for time, row in zip(times, rows, strict=True):
        prices[(time - times[0]) // HOUR] = [float(text or "nan") for text in row[1:]]
    prices[~((prices > 0.0) & (prices <= PRICE_LIMIT))] = np.nan
    return times[0], [int(text) for text in header[1:]], prices


def bridged(prices: np.ndarray) -> np.ndarray:
    """Fill gaps of up to `FILL_HOURS` with the last price."""
    filled = prices.copy()
    for _ in range(FILL_HOURS):
        filled[1:] = np.where(np.isfinite(filled[1:]), filled[1:], filled[:-1])
    return filled


def inferred_tao(first: datetime, prices: np.ndarray) -> np.ndarray:
    """Infer the TAO in the pools by hour from prices alone."""
    n = prices.shape[1]
    tao = np.full(prices.shape, np.nan)
    age, moving, liquidity = np.full(n, np.nan), np.zeros(n), np.zeros(n)
    for hour, price in enumerate(prices):
        live = np.isfinite(price)
        price = np.where(live, price, 1.0)
        new = live & np.isnan(age)
        if hour == 0:  # injection since the launch, by the shares of the first prices
            days = (first - LAUNCH) / timedelta(days=1)
            age[new], moving[new] = days * 24 * BLOCKS_PER_HOUR, price[new]
            liquidity[new] = 1.0 + BLOCKS_PER_DAY * days * np.sqrt(price[new]) / price[new].sum()
        else:
            age[new], moving[new], liquidity[new] = 0.0, 0.0, 1.0
        age[~live] = np.nan
        moving[~live] = 0.0
        blocks = np.where(live, age, 0.0)
        per_block = MOVING_PRICE_BASE["fast"] * blocks / (blocks + MOVING_PRICE_HALVING_BLOCKS)
        rate = 1.0 - (1.0 - per_block) ** BLOCKS_PER_HOUR
        moving += rate * (price - moving) * live
        liquidity += BLOCKS_PER_HOUR * moving / (moving.sum() * np.sqrt(price))
        age += BLOCKS_PER_HOUR
        tao[hour] = np.where(live, liquidity * np.sqrt(price), np.nan)
    return tao


def year_2025(folder: Path) -> tuple[Table, Table]:
    """Build the closes and the TAO in pools of 2025."""
    first, netuids, prices = hourly_prices(folder / HOURLY_2025)
    tao = inferred_tao(first, bridged(prices))
    midnights = range(-first.hour % 24, len(prices), 24)
    days = [(first + k * HOUR - timedelta(days=1)).date() for k in midnights]
    return (days, netuids, prices[midnights]), (days, netuids, tao[midnights])


def year_2026(folder: Path) -> tuple[Table, Table]:
    """Build the closes and the TAO in pools of 2026."""
    rows = read_rows(folder / DAILY_2026)
    registered = {
        int(row["netuid"]): date.fromisoformat(row["registered_time_utc"][:10])
        for row in read_rows(folder / REGISTRATIONS)
        if row["registered_time_utc"]
    }
    snapshot = {int(row["netuid"]): row for row in read_rows(folder / APRIL_SNAPSHOT)}
    days = sorted({date.fromisoformat(row["date"]) for row in rows})
    netuids = sorted({int(row["netuid"]) for row in rows})
    prices = np.full((len(days), len(netuids)), np.nan)
    for row in rows:
        day, netuid = date.fromisoformat(row["date"]), int(row["netuid"])
        if day > registered[netuid] + timedelta(days=FRESH_DAYS_2026):
            prices[days.index(day), netuids.index(netuid)] = float(row["price_tao_per_alpha"])
    tao = np.full(prices.shape, np.nan)
    for k, netuid in enumerate(netuids):
        if registered[netuid] < SNAPSHOT_DAY:
            captured_price = float(snapshot[netuid]["price_tao"])
            captured_tao = float(snapshot[netuid]["tao_in"])
            tao[:, k] = captured_tao * np.sqrt(prices[:, k] / captured_price)
    return (days, netuids, prices), (days, netuids, tao)


def write(path: Path, table: Table, digits: int) -> None:
    """Write the columns of a table that have any value, rounded to significant digits."""
    days, netuids, values = table
    kept = np.isfinite(values).any(0)
    rows = (
        [day, *("" if np.isnan(v) else f"{v:.{digits}g}" for v in row)]
        for day, row in zip(days, values[:, kept], strict=True)
    )
    write_rows(path, ["date", *(n for n, k in zip(netuids, kept, strict=True) if k)], rows)
    print(f"{path.name}: {len(days)} days, {kept.sum()} subnets")


def main() -> None:
    given = options(__doc__, PACKAGE_DATA / "closes")
    for year, (closes, tao) in (
        (2025, year_2025(given.source_dir)),
        (2026, year_2026(given.source_dir)),
    ):
        write(given.output / f"closes_{year}.csv", closes, 6)
        write(given.output / f"closes_{year}_tao.csv", tao, 5)
    hashes = {
        name: sha256(given.source_dir / name)
        for name in (HOURLY_2025, DAILY_2026, APRIL_SNAPSHOT, REGISTRATIONS)
    }
    facts = json.dumps(PROVENANCE | {"sha256": hashes}, indent=2) + "\n"
    (given.output / "closes_provenance.json").write_text(facts, encoding="utf-8")


if __name__ == "__main__":
    main()
