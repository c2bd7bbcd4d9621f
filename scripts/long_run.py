"""Width of the cross-section of prices over years, by the half-life of news.

    python scripts/long_run.py [--worlds 16] [--half-lives 720 360 240 150]

Two months of prices do not determine this half-life. The chain on the last day of spring 2026: sum 1.31, sd of ln price 0.75,
share of the top five 0.20; allowed are 0.87 to 1.96, 0.52 to 0.97, and 0.12 to 0.28 (docs/realism.md).
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.world.batch import Batch  # noqa: E402
from dtao_gym.world.config import Config  # noqa: E402
from dtao_gym.world.cross_section import cross_section  # noqa: E402

DAYS = (1, 146, 365, 1095, 1825)


def measures(config: Config, worlds: int) -> list[str]:
    """Return sum of prices, sd of ln price and top-5 share on each of `DAYS`, as means over worlds."""
    batch = Batch(config, worlds, threads=2)
    columns = []
    for day in DAYS:
        batch.step(days=day - int(batch.state.worlds["day"][0]))
        traded = batch.state.row("started") > 0.0
        prices = np.where(traded, batch.state.row("spot_price"), np.nan)
        each = np.array([cross_section(price) for price in prices])
        names = cross_section(prices[0])._fields
        mean = dict(zip(names, each.mean(axis=0), strict=True))
        columns.append(
            f"{mean['price_sum']:.2f} / {mean['sd_log_price']:.2f} / {mean['top5_share']:.2f}"
        )
    return columns


def main(
    worlds: Annotated[int, tyro.conf.arg(help="Worlds of 128 subnets.")] = 16,
    half_lives: Annotated[tuple[float, ...], tyro.conf.arg(help="Days.")] = (
        720.0,
        360.0,
        240.0,
        150.0,
    ),
) -> None:
    """Print sum of prices / sd of ln price / share of the top five over time, for each half-life of news."""
    table = Table("half-life, days", "newcomers", *(f"day {day:,}" for day in DAYS))
    for newcomers in (True, False):
        for days in half_lives:
            settings = {} if newcomers else {"pruning": False, "arrivals_per_slot_year": 0.0}
            config = Config.make(settings, news_half_life_days=days, n_stakers=0, spans_per_day=1)
            table.add_row(f"{days:g}", "yes" if newcomers else "no", *measures(config, worlds))
    Console(width=120).print(table)


if __name__ == "__main__":
    tyro.cli(main)
