"""Build the packaged daily closes of real subnets: `dtao_gym/data/closes/*.csv`.

    python scripts/build_closes.py SOURCE_DIR [--output FOLDER]

SOURCE_DIR holds `hourly_alpha_price_2025-02-16_2025-08-31.csv.gz`, `daily_alpha_price_2026-03-09_2026-05-03.csv`,
`subnet_snapshot_2026-04-11.csv` and `subnet_registrations_2026-05-03.csv`. A close is the price at 24:00 UTC of its
date. Beside each table of closes goes a table of the TAO in the same pools, inferred from prices. Everything that
is left out is listed in `closes_provenance.json`.
"""

import argparse
import csv
import gzip
import hashlib
import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from dtao_gym.world.cross_section import PRICE_LIMIT

DATA = Path(__file__).resolve().parent.parent / "dtao_gym" / "data" / "closes"
HOURLY = "hourly_alpha_price_2025-02-16_2025-08-31.csv.gz"
DAILY = "daily_alpha_price_2026-03-09_2026-05-03.csv"
SNAPSHOT = "subnet_snapshot_2026-04-11.csv"
REGISTRATIONS = "subnet_registrations_2026-05-03.csv"

HOUR = timedelta(hours=1)
BLOCKS_PER_HOUR = 300
LAUNCH = datetime(2025, 2, 13, 12)  # pools of 1 TAO and 1 alpha
MOVING_ALPHA = 1.0 - 2.0 ** (-1.0 / 3000.0)  # of the moving price, per block
MOVING_DELAY_BLOCKS = 201_600  # age at which that rate is halved
GAP_HOURS = 3  # missing samples that are bridged when reserves are inferred
FRESH_DAYS_2026 = 14  # start call and first trades after a registration
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
    """First hour, netuids and prices `(hours, netuids)` on an unbroken grid of hours; NaN where none counts."""
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    times = [datetime.fromisoformat(row[0]) for row in rows]
    prices = np.full(((times[-1] - times[0]) // HOUR + 1, len(header) - 1), np.nan)
    for time, row in zip(times, rows, strict=True):
        prices[(time - times[0]) // HOUR] = [float(text or "nan") for text in row[1:]]
    prices[~((prices > 0.0) & (prices <= PRICE_LIMIT))] = np.nan
    return times[0], [int(text) for text in header[1:]], prices


def bridged(prices: np.ndarray) -> np.ndarray:
    """Prices with gaps of up to `GAP_HOURS` filled by the last one before."""
    filled = prices.copy()
    for _ in range(GAP_HOURS):
        filled[1:] = np.where(np.isfinite(filled[1:]), filled[1:], filled[:-1])
    return filled


def inferred_tao(first: datetime, prices: np.ndarray) -> np.ndarray:
    """TAO in the pools by hour, from prices alone."""
    n = prices.shape[1]
    tao = np.full(prices.shape, np.nan)
    age, moving, liquidity = np.full(n, np.nan), np.zeros(n), np.zeros(n)
    for hour, price in enumerate(prices):
        live = np.isfinite(price)
        price = np.where(live, price, 1.0)
        new = live & np.isnan(age)
        if hour == 0:  # pools of the launch have had injections, by today's prices
            days = (first - LAUNCH) / timedelta(days=1)
            age[new], moving[new] = days * 24 * BLOCKS_PER_HOUR, price[new]
            liquidity[new] = 1.0 + 7200.0 * days * np.sqrt(price[new]) / price[new].sum()
        else:
            age[new], moving[new], liquidity[new] = 0.0, 0.0, 1.0
        age[~live] = np.nan
        moving[~live] = 0.0
        blocks = np.where(live, age, 0.0)
        rate = (
            1.0 - (1.0 - MOVING_ALPHA * blocks / (blocks + MOVING_DELAY_BLOCKS)) ** BLOCKS_PER_HOUR
        )
        moving += rate * (price - moving) * live
        liquidity += BLOCKS_PER_HOUR * moving / (moving.sum() * np.sqrt(price))
        age += BLOCKS_PER_HOUR
        tao[hour] = np.where(live, liquidity * np.sqrt(price), np.nan)
    return tao


def year_2025(folder: Path) -> tuple[Table, Table]:
    """Closes and TAO in pools."""
    first, netuids, prices = hourly_prices(folder / HOURLY)
    tao = inferred_tao(first, bridged(prices))
    midnights = range(-first.hour % 24, len(prices), 24)
    days = [(first + k * HOUR - timedelta(days=1)).date() for k in midnights]
    return (days, netuids, prices[midnights]), (days, netuids, tao[midnights])


def year_2026(folder: Path) -> tuple[Table, Table]:
    """Closes and TAO in pools."""
    with (folder / DAILY).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (folder / REGISTRATIONS).open(newline="", encoding="utf-8") as file:
        registered = {
            int(row["netuid"]): date.fromisoformat(row["registered_time_utc"][:10])
            for row in csv.DictReader(file)
            if row["registered_time_utc"]
        }
    with (folder / SNAPSHOT).open(newline="", encoding="utf-8") as file:
        snapshot = {int(row["netuid"]): row for row in csv.DictReader(file)}
    days = sorted({date.fromisoformat(row["date"]) for row in rows})
    netuids = sorted({int(row["netuid"]) for row in rows})
    prices = np.full((len(days), len(netuids)), np.nan)
    for row in rows:
        day, netuid = date.fromisoformat(row["date"]), int(row["netuid"])
        if day > registered[netuid] + timedelta(days=FRESH_DAYS_2026):
            prices[days.index(day), netuids.index(netuid)] = float(row["price_tao_per_alpha"])
    tao = np.full(prices.shape, np.nan)
    snapshot_day = date(2026, 4, 11)
    for k, netuid in enumerate(netuids):
        if registered[netuid] < snapshot_day:
            then = float(snapshot[netuid]["price_tao"])
            tao[:, k] = float(snapshot[netuid]["tao_in"]) * np.sqrt(prices[:, k] / then)
    return (days, netuids, prices), (days, netuids, tao)


def write(path: Path, table: Table, digits: int) -> None:
    days, netuids, values = table
    kept = np.isfinite(values).any(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["date", *(n for n, k in zip(netuids, kept, strict=True) if k)])
        for day, row in zip(days, values[:, kept], strict=True):
            writer.writerow([day, *("" if np.isnan(v) else f"{v:.{digits}g}" for v in row)])
    print(f"{path.name}: {len(days)} days, {kept.sum()} subnets")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source_dir", type=Path, help="folder of the raw captures")
    parser.add_argument("--output", type=Path, default=DATA, help="default: the package's data")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for year, (closes, tao) in (
        (2025, year_2025(options.source_dir)),
        (2026, year_2026(options.source_dir)),
    ):
        write(options.output / f"closes_{year}.csv", closes, 6)
        write(options.output / f"closes_{year}_tao.csv", tao, 5)
    hashes = {
        name: hashlib.sha256((options.source_dir / name).read_bytes()).hexdigest()
        for name in (HOURLY, DAILY, SNAPSHOT, REGISTRATIONS)
    }
    facts = json.dumps(PROVENANCE | {"sha256": hashes}, indent=2) + "\n"
    (options.output / "closes_provenance.json").write_text(facts, encoding="utf-8")


if __name__ == "__main__":
    main()
