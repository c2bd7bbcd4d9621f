"""Build what the package knows of the chain's prices by date: `dtao_gym/data/history/`.

    python scripts/build_cross_section.py SOURCE_DIR [--output FOLDER]

SOURCE_DIR holds `alpha_price_2025-02-14_block4925837.csv` and `daily_alpha_price_2025-02-16_2025-08-31.csv`
(means of hourly samples, UTC days); the snapshots of 2026 come with the package. Prices above 0.9 TAO are left
out, as those of subnets that were not started. The measures are those of `dtao_gym.world.cross_section`, which
the simulation is measured with, too.
"""

import argparse
import csv
import json
from datetime import date
from pathlib import Path

import numpy as np

from dtao_gym.world.cross_section import (
    MIN_CHANGES,
    PRICE_LIMIT,
    VOLATILITY_WINDOWS,
    YOUNG_DAYS,
    CrossSection,
    cross_section,
    volatilities,
)
from dtao_gym.world.snapshot import MAX_SUBNETS, Snapshot

DATA = Path(__file__).resolve().parent.parent / "dtao_gym" / "data" / "history"
DAY_ONE = "alpha_price_2025-02-14_block4925837.csv"
DAILY = "daily_alpha_price_2025-02-16_2025-08-31.csv"
SNAPSHOTS = ("mainnet-2026-04-11", "mainnet-2026-06-14")
PROVENANCE = {
    "source": (
        "Prices of 2025: alexlange1/backtesting, emissions_v2/emissions_v2_20250214.json and "
        "daily_subnet.csv (96b6444), means of hourly samples from 2025-02-16 on. 2026: the packaged snapshots."
    ),
    "licence": "Facts computed from public chain data; the repository that published the prices states no licence.",
    "cleaning": (
        f"Prices above {PRICE_LIMIT} TAO are left out: subnets that were registered but not started. "
        f"Volatility leaves out a subnet's first {YOUNG_DAYS} days in the window and needs {MIN_CHANGES} changes."
    ),
}


def prices_of_2025(folder: Path) -> dict[date, np.ndarray]:
    """Price of each netuid `(MAX_SUBNETS,)` by date, NaN where there is none."""
    found: dict[date, np.ndarray] = {}
    with (folder / DAY_ONE).open(newline="", encoding="utf-8") as file:
        first = [
            (date(2025, 2, 14), r["netuid"], r["price_tao_per_alpha"]) for r in csv.DictReader(file)
        ]
    with (folder / DAILY).open(newline="", encoding="utf-8") as file:
        daily = [
            (date.fromisoformat(r["date"]), r["netuid"], r["mean_price_tao"])
            for r in csv.DictReader(file)
        ]
    for day, netuid, price in first + daily:
        found.setdefault(day, np.full(MAX_SUBNETS, np.nan))[int(netuid) - 1] = float(price)
    return dict(sorted(found.items()))


def write(path: Path, header: list[str], rows: list[list]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    print(f"{path.name}: {len(rows)} rows")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source_dir", type=Path, help="folder of the raw captures")
    parser.add_argument("--output", type=Path, default=DATA, help="default: the package's data")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    prices = prices_of_2025(options.source_dir)
    rows = [[day, cross_section(row), ""] for day, row in prices.items()]
    for snapshot in map(Snapshot.named, SNAPSHOTS):
        pools = float(snapshot.tao_reserve.sum())
        root_share = snapshot.root_stake_tao / (snapshot.root_stake_tao + pools)
        rows.append([snapshot.date, cross_section(snapshot.spot_price), f"{root_share:.7g}"])
    write(
        options.output / "cross_section.csv",
        ["date", *CrossSection._fields, "root_share"],
        [[day, *(f"{value:.7g}" for value in found), root] for day, found, root in rows],
    )

    windows = []
    for first, last in VOLATILITY_WINDOWS:
        table = np.array([p for day, p in prices.items() if first <= day <= last])
        daily, weekly = volatilities(table), volatilities(table, 7)
        medians = [f"{np.median(daily):.7g}", f"{np.median(weekly):.7g}"]
        windows.append([first, last, daily.size, *medians])
    header = ["first", "last", "subnets", "median_sd", "median_sd_of_week"]
    write(options.output / "volatility.csv", header, windows)
    facts = json.dumps(PROVENANCE, indent=2) + "\n"
    (options.output / "provenance.json").write_text(facts, encoding="utf-8")


if __name__ == "__main__":
    main()
