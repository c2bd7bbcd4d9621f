"""Equilibrium research shares with eight of 128 subnets simulated and with all, by allocation rule.

    python scripts/one_pot.py [--seeds 512] [--rules price root_vote]

Owners are paid directly and no subnet is pruned. The same builder deviates under the same shocks in both worlds. The reference
of builders who are paid by fees does not depend on the other subnets, so that differences in log-odds are differences in
Lambda. About two minutes for each rule and 256 seeds on two cores.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_agents.evaluation.statistics import span  # noqa: E402
from dtao_agents.probe.market_controls import DIRECT, INERT_ODDS, effect_of_subnets  # noqa: E402
from dtao_agents.probe.size import FULL, world  # noqa: E402


def main(
    seeds: Annotated[int, tyro.conf.arg(help="World seeds.")] = 512,
    rules: Annotated[tuple[str, ...], tyro.conf.arg(help="Allocation rules.")] = (
        "price",
        "root_vote",
    ),
) -> None:
    """Compare 8 of 128 subnets with all; exit status 1 if they differ by more than `INERT_ODDS`."""
    table = Table("rule", "8 of 128, log-odds", "128 of 128", "difference", "seconds")
    differ = []
    for rule in rules:
        started = time.perf_counter()
        config = world(FULL, {}, **DIRECT, allocation=rule)
        few, many, gap = effect_of_subnets(config, range(seeds))
        seconds = f"{time.perf_counter() - started:.0f}"
        assert few.interval is not None
        assert many.interval is not None
        spans = (span(estimate, "+.3f") for estimate in (few.interval, many.interval, gap))
        table.add_row(rule, *spans, seconds)
        if abs(gap.value) > INERT_ODDS:
            differ.append(rule)
    Console(width=100).print(table)
    if differ:
        sys.exit(f"more than {INERT_ODDS:g} apart: {', '.join(differ)}")


if __name__ == "__main__":
    tyro.cli(main)
