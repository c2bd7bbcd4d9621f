"""Build the packaged cross-sections and volatilities of the chain's prices: `dtao_gym/data/history/`.

    python scripts/build_cross_section.py SOURCE_DIR [--output FOLDER]

SOURCE_DIR holds the captures `DAY_ONE` and `DAILY_MEANS_2025` (means of hourly samples, UTC days) of `scripts/captures.py`;
the snapshots of 2026 are packaged. Prices above 0.9 TAO, of subnets that were not started, are left out. The measures
are those of `dtao_gym.world.cross_section`, which are also applied to simulated worlds.
"""

import json
import sys
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.protocol.lifecycle import MAX_SUBNETS  # noqa: E402
from dtao_gym.world.cross_section import (  # noqa: E402
    MIN_CHANGES,
    PRICE_LIMIT,
    VOLATILITY_WINDOWS,
    YOUNG_DAYS,
    CrossSection,
    cross_section,
    volatilities,
)
from dtao_gym.world.snapshot import Snapshot  # noqa: E402
from scripts.captures import (  # noqa: E402
    DAILY_MEANS_2025,
    DAY_ONE,
    PACKAGE_DATA,
    options,
    read_rows,
    write_rows,
)

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
    """Read the price of each netuid by date, `(MAX_SUBNETS,)` each; NaN where there is none."""
    prices: dict[date, np.ndarray] = {}
    first = [
        (date(2025, 2, 14), r["netuid"], r["price_tao_per_alpha"])
        for r in read_rows(folder / DAY_ONE)
    ]
    daily = [
        (date.fromisoformat(r["date"]), r["netuid"], r["mean_price_tao"])
        for r in read_rows(folder / DAILY_MEANS_2025)
    ]
    for day, netuid, price in first + daily:
        prices.setdefault(day, np.full(MAX_SUBNETS, np.nan))[int(netuid) - 1] = float(price)
    return dict(sorted(prices.items()))


def write(path: Path, header: list[str], rows: list[list]) -> None:
    """Write a table and print its size."""
    write_rows(path, header, rows)
    print(f"{path.name}: {len(rows)} rows")


def main() -> None:
    given = options(__doc__, PACKAGE_DATA / "history")
    prices = prices_of_2025(given.source_dir)
    rows = [[day, cross_section(row), ""] for day, row in prices.items()]
    for snapshot in map(Snapshot.named, SNAPSHOTS):
        pools = float(snapshot.tao_reserve.sum())
        root_share = snapshot.root_stake_tao / (snapshot.root_stake_tao + pools)
        rows.append([snapshot.date, cross_section(snapshot.spot_price), f"{root_share:.7g}"])
    write(
        given.output / "cross_section.csv",
        ["date", *CrossSection._fields, "root_share"],
        [[day, *(f"{value:.7g}" for value in measures), root] for day, measures, root in rows],
    )

    windows = []
    for first, last in VOLATILITY_WINDOWS:
        table = np.array([p for day, p in prices.items() if first <= day <= last])
        daily, weekly = volatilities(table), volatilities(table, 7)
        medians = [f"{np.median(daily):.7g}", f"{np.median(weekly):.7g}"]
        windows.append([first, last, daily.size, *medians])
    header = ["first", "last", "subnets", "median_sd", "median_sd_of_week"]
    write(given.output / "volatility.csv", header, windows)
    facts = json.dumps(PROVENANCE, indent=2) + "\n"
    (given.output / "provenance.json").write_text(facts, encoding="utf-8")


if __name__ == "__main__":
    main()
