"""Build the packaged price paths from raw prices.

    python scripts/build_replay.py SOURCE_DIR [--output FOLDER]

SOURCE_DIR holds `hourly_alpha_price_2025-02-16_2025-08-31.csv.gz` and `daily_alpha_price_2026-03-09_2026-05-03.csv`.
Each becomes `NAME.npz` (closes at 24:00 UTC with the moving price and the liquidity that follow from all samples, as
float32) and its provenance `NAME.json`, which counts how the prices were treated.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

from dtao_gym.replay.market import closing_arrays
from dtao_gym.replay.prices import read_prices
from dtao_gym.replay.reserves import captured_price_ratio
from dtao_gym.world.snapshot import Snapshot

DATA = Path(__file__).resolve().parent.parent / "dtao_gym" / "data" / "replay"
NOT_STATED = "Facts read from a public chain; the repository that published them states no licence."
PATHS = {
    "mainnet-2025": (
        "hourly_alpha_price_2025-02-16_2025-08-31.csv.gz",
        (),
        "alexlange1/backtesting, hourly samples of an archive node (96b6444)",
        "Reserves are inferred from the launch on 2025-02-13; alpha outstanding is approximate.",
    ),
    "mainnet-2026": (
        "daily_alpha_price_2026-03-09_2026-05-03.csv",
        ("mainnet-2026-04-11", "mainnet-2026-06-14"),
        "stevewoz1234567890/Bittensor-Discussion, subnets/NNN-*.md, TAOStats pool price (daily), 50 subnets",
        "Liquidity is that of the packaged snapshots of April and June 2026, in between geometric.",
    ),
}


def build(name: str, source: Path, output: Path) -> None:
    """Write one path and its provenance."""
    file, captures, origin, note = PATHS[name]
    path = source / file
    prices = read_prices(path)
    snapshots = [Snapshot.named(capture) for capture in captures]
    arrays = closing_arrays(prices, snapshots)
    packed = {
        key: array.astype(np.int64 if key == "dates" else np.float64 if key == "registered_block" else np.float32)
        for key, array in arrays.items()
    }  # fmt: skip
    output.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output / f"{name}.npz", **packed)
    live = np.isfinite(prices.price)
    facts = {
        "name": name,
        "source": origin,
        "licence": NOT_STATED,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "first_close": str(arrays["dates"][0]),
        "last_close": str(arrays["dates"][-1]),
        "subnets": int(live.any(axis=0).sum()),
        "price_sum_of_all": captured_price_ratio(snapshots[0], live) if snapshots else 1.0,
        "counts": prices.counts,
        "note": note,
    }
    (output / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    size = (output / f"{name}.npz").stat().st_size
    print(
        f"{name}: {arrays['dates'].size} closes, {facts['subnets']} subnets, {size / 1024:.0f} KiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source_dir", type=Path, help="folder of the raw prices")
    parser.add_argument("--output", type=Path, default=DATA, help="default: the package's data")
    options = parser.parse_args()
    for name in PATHS:
        build(name, options.source_dir, options.output)


if __name__ == "__main__":
    main()
