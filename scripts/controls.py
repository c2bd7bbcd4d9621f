"""Negative controls of the probe at full size.

python scripts/controls.py [--seeds 512] [--only NC1 NC2]
"""

import sys
import time
from typing import Annotated

import tyro
from dtao_agents.probe.checks import failures
from dtao_agents.probe.controls import CONTROLS
from dtao_agents.probe.gates import table_of
from dtao_agents.probe.size import FULL
from rich.console import Console


def main(
    seeds: Annotated[int, tyro.conf.arg(help="World seeds of each cell.")] = FULL.seeds,
    cap_days: Annotated[int, tyro.conf.arg(help="Maximum days of an episode.")] = FULL.cap_days,
    only: Annotated[tuple[str, ...], tyro.conf.arg(help="Controls, all if not given.")] = (),
) -> None:
    """Run settings without crowding out; exit status 1 if a control fails."""
    unknown = [id for id in only if id not in CONTROLS]
    if unknown:
        sys.exit(f"error: --only: got {', '.join(unknown)}, allowed are {', '.join(CONTROLS)}")
    size = FULL._replace(seeds=seeds, cap_days=cap_days)
    console = Console(width=120)
    results = []
    for id in only or CONTROLS:
        started = time.perf_counter()
        checks = CONTROLS[id](size, {})
        console.print(table_of(checks))
        console.print(f"{id}: {time.perf_counter() - started:.0f} s")
        results += checks
    failed = failures(results)
    print(f"{len(results) - len(failed)} of {len(results)} hold.")
    if failed:
        sys.exit("failed: " + ", ".join(dict.fromkeys(check.id for check in failed)))


if __name__ == "__main__":
    tyro.cli(main)
