"""Build the packaged price paths from raw prices.

    python scripts/build_replay.py SOURCE_DIR [--output FOLDER]

SOURCE_DIR holds the captures `HOURLY_2025` and `DAILY_2026` of `scripts/captures.py`. Each becomes `NAME.npz` (closes at 24:00
UTC with the moving price and liquidity inferred from all samples, as float32) and its provenance `NAME.json`, with counts
of the treatments of prices.
"""

import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.replay.market import closing_arrays  # noqa: E402
from dtao_gym.replay.prices import read_prices  # noqa: E402
from dtao_gym.replay.reserves import captured_price_ratio  # noqa: E402
from dtao_gym.world.snapshot import Snapshot  # noqa: E402
from scripts.captures import DAILY_2026, HOURLY_2025, PACKAGE_DATA, options, sha256  # noqa: E402

NOT_STATED = "Facts read from a public chain; the repository that published them states no licence."
PATHS = {
    "mainnet-2025": (
        HOURLY_2025,
        (),
        "alexlange1/backtesting, hourly samples of an archive node (96b6444)",
        "Reserves are inferred from the launch on 2025-02-13; alpha outstanding is approximate.",
    ),
    "mainnet-2026": (
        DAILY_2026,
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
    types = {"dates": np.int64, "registered_block": np.float64}
    packed = {key: array.astype(types.get(key, np.float32)) for key, array in arrays.items()}
    np.savez_compressed(output / f"{name}.npz", **packed)
    live = np.isfinite(prices.price)
    facts = {
        "name": name,
        "source": origin,
        "licence": NOT_STATED,
        "source_sha256": sha256(path),
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
    given = options(__doc__, PACKAGE_DATA / "replay")
    for name in PATHS:
        build(name, given.source_dir, given.output)


if __name__ == "__main__":
    main()
