"""Error of days with few spans against the chain's clock, one block per span.

    python benchmarks/span_error.py [--quick]

Prices after 30 days on the packaged snapshot of June 2026 with all its subnets, for 1, 4, 24 and 240 spans a
day, against 7,200. Errors are relative, over the pools that start with more than 2,000 TAO. Two markets:

- nobody trades: only the coinbase changes pools, so this is the error of its integrator;
- everybody trades: trades of a span come after its coinbase, in a random order per span, so two numbers of spans cannot
  agree to the last digit. Every world is compared with itself under the same shocks to value; `bias` is the error of the
  mean over worlds, which have different orders.

The flat fee of the launch pool is set to zero. It is charged per operation, and scripted participants trade once per span:
7,200 spans would pay it 1,800 times as often as 4, which is not an error of integration. Registrations are switched off: a
new pool is far below 2,000 TAO, and the choice of the subnet that it replaces is discontinuous.

Writes `benchmarks/results/span_error.md`; `--quick` takes 5 days and two worlds, and writes nothing.
"""

import argparse
import platform
import sys
from datetime import date
from pathlib import Path

import numba
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # a checkout needs no installation

import dtao_gym  # noqa: E402
from benchmarks.figures import RESULTS, table_text  # noqa: E402
from dtao_gym.world.batch import Batch  # noqa: E402
from dtao_gym.world.config import Config  # noqa: E402

CLOCK = 7200
SPANS = (1, 4, 24, 240)
ERAS = ("price_burn", "root_reborn", "launch")
DEEP_TAO = 2_000.0
SILENT = {
    "trade_speed": 0.0,
    "owner_sale_fraction": 0.0,
    "miner_sale_fraction": 0.0,
    "validator_sale_fraction": 0.0,
    "insider_holding_days": 1e9,
    "revenue_share": 0.0,
    "root_claim_hazard": 0.0,
}
"""Settings without any trade but root's sales, which are part of the coinbase."""
MARKETS = {"nobody trades": SILENT, "everybody trades": {}}
TARGETS = {
    ("nobody trades", 4): 1e-4,
    ("everybody trades", 4): 1e-3,
    ("everybody trades", 24): 3e-4,
}
COLUMNS = ("era", "market", "spans", "max", "target", "median", "bias", "moving price, max")
WORDS = (0, 1)
"""Columns of words."""
RESULT = RESULTS / "span_error.md"


def last_prices(era: str, spans: int, days: int, worlds: int, **settings) -> np.ndarray:
    """Return spot and moving prices at the end of the last day, `(2, worlds, n_subnets)`."""
    settings = settings | {"flat_fee_tao": 0.0, "arrivals_per_slot_year": 0.0}
    config = Config.make(era=era, spans_per_day=spans, n_stakers=0, **settings)
    batch = Batch(config, worlds, threads=2)
    batch.step(days=days)
    return np.stack([batch.state.row("spot_price"), batch.state.row("moving_price")])


def measured(days: int, worlds: int) -> list[tuple[str, ...]]:
    """Measure the rows of the table, one for each era, market and number of spans."""
    rows = []
    start = Batch(Config.make(n_stakers=0)).state
    deep = start.row("tao_reserve")[0] > DEEP_TAO
    for era in ERAS:
        for market, settings in MARKETS.items():
            n = 1 if settings is SILENT else worlds  # without trades all worlds are equal
            chain = last_prices(era, CLOCK, days, n, **settings)[:, :, deep]
            for spans in SPANS:
                prices = last_prices(era, spans, days, n, **settings)[:, :, deep]
                spot, moving = prices / chain - 1.0
                target = TARGETS.get((market, spans))
                rows.append(
                    (
                        era,
                        market,
                        str(spans),
                        f"{np.abs(spot).max():.1e}",
                        f"{target:.0e}" if target else "",
                        f"{np.median(np.abs(spot)):.1e}",
                        f"{np.abs(spot.mean(0)).max():.1e}",
                        f"{np.abs(moving).max():.1e}",
                    )
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 days, two worlds, no file")
    quick = parser.parse_args().quick
    days, worlds = (5, 2) if quick else (30, 4)
    table = [COLUMNS, *measured(days, worlds)]
    print(f"Relative error of spot prices after {days} days, pools above {DEEP_TAO:,.0f} TAO")
    print(table_text(table, words=WORDS))
    if quick:
        return
    about = (
        f"dtao_gym {dtao_gym.__version__}, NumPy {np.__version__}, Numba {numba.__version__}, "
        f"Python {platform.python_version()}, {date.today()}"
    )
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(
        f"# Error of few spans against the chain's clock\n\n"
        f"Relative error of spot prices after {days} days against {CLOCK:,} spans a day (one block each), "
        f"over the pools of\nthe June 2026 snapshot above {DEEP_TAO:,.0f} TAO; {worlds} worlds where "
        f"people trade. Columns and\ncomparability are described in "
        f"`benchmarks/span_error.py`, which wrote this.\n\n{table_text(table, True, WORDS)}\n\n{about}\n"
    )
    print(f"written to {RESULT}")


if __name__ == "__main__":
    main()
