"""Raw captures of the chain: file names, command line and helpers of the scripts that build the data."""

import argparse
import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE_DATA = Path(__file__).resolve().parents[1] / "dtao_gym" / "data"

HOURLY_2025 = "hourly_alpha_price_2025-02-16_2025-08-31.csv.gz"
DAILY_MEANS_2025 = "daily_alpha_price_2025-02-16_2025-08-31.csv"
DAY_ONE = "alpha_price_2025-02-14_block4925837.csv"
DAILY_2026 = "daily_alpha_price_2026-03-09_2026-05-03.csv"
APRIL_SNAPSHOT = "subnet_snapshot_2026-04-11.csv"
JUNE_SNAPSHOT = "subnet_snapshot_2026-06-14.csv"
REGISTRATIONS = "subnet_registrations_2026-05-03.csv"
FLOWS = "tao_flow_2026-04-11.csv"
EMISSION_STORAGE = "emission_storage_block9005760_2026-09-06.csv"
STORAGE_GLOBALS = "emission_storage_block9005760_globals.json"


def options(doc: str, output: Path) -> argparse.Namespace:
    """Parse the folder of the captures and an output folder, which is created."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("source_dir", type=Path, help="folder of the raw captures")
    parser.add_argument("--output", type=Path, default=output, help="default: the package's data")
    parsed = parser.parse_args()
    parsed.output.mkdir(parents=True, exist_ok=True)
    return parsed


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as one dict per row."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, header: Iterable, rows: Iterable[Iterable]) -> None:
    """Write a CSV file with Unix line ends."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def sha256(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
