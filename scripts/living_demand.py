"""Table of the survival of demand by channel of demand.

    python scripts/living_demand.py [--worlds 4] [--years 5] [--write]

Each row is the population of `configs/spring_2026.yaml` with some of its channels of demand. No subnets arrive, so that no
new stakers enter. `--write` updates the table of `docs/living_demand.md`.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_agents.probe.living_market import conditions, health_path  # noqa: E402

from dtao_gym.world.config import Config  # noqa: E402

NEVER = 1e9
OFF: dict[str, Any] = {
    "portfolio_days": NEVER,
    "scarcity_elasticity": 0.0,
    "insider_holding_days": NEVER,
}
ON: dict[str, Any] = {
    "portfolio_days": 60.0,
    "scarcity_elasticity": 2.0,
    "insider_holding_days": 90.0,
}
CHANNELS: dict[str, dict[str, Any]] = {
    "none": {},
    "insiders sell later": {"insider_holding_days": 90.0},
    "money and supply": {"portfolio_days": 60.0},
    "scarcity": {"scarcity_elasticity": 2.0},
    "all but insiders": ON | {"insider_holding_days": NEVER},
    "all but money and supply": ON | {"portfolio_days": NEVER},
    "all but scarcity": ON | {"scarcity_elasticity": 0.0},
    "all": ON,
}
MARKETS: dict[str, dict[str, Any]] = {
    "128, direct pay": {"n_subnets": None, "payment": "direct"},
    "128, alpha pay": {"n_subnets": None, "payment": "alpha"},
    "8 of 128, direct pay": {"n_subnets": 8, "payment": "direct"},
    "8 drawn, direct pay": {"n_subnets": 8, "payment": "direct", "genesis": "drawn"},
}
HEADER = "market | channels | stakers' share of alpha over genesis, by fifth of the run | gap | slope | on valuation | empty | alive"


def rows(worlds: int, years: float) -> list[str]:
    """Compute a row for each market and set of channels: worst gap and slopes, and the sum of `empty`, over the fifths."""
    base = Config.make(
        ROOT / "configs" / "spring_2026.yaml", arrivals_per_slot_year=0.0, n_stakers=0
    )
    lines = []
    for market, world in MARKETS.items():
        few = worlds * (8 if world["n_subnets"] else 1)
        for channels, demand in CHANNELS.items():
            config = Config.make(base, **(OFF | demand | world))
            first, *later = health_path(config, range(few), round(365 * years), threads=2)
            shares = " ".join(f"{one.staker_share / first.staker_share:.2f}" for one in later)
            gap, slope = max(one.gap for one in later), min(one.slope for one in later)
            value = min(one.slope_on_valuation for one in later)
            empty = sum(one.without_stakers for one in later)
            alive = sum(all(conditions(first, one).values()) for one in later)
            lines.append(
                f"{market} | {channels} | {shares} | {gap:.3f} | {slope:.2f} | {value:.2f} | {empty} | {alive} of {len(later)}"
            )
            print(lines[-1], flush=True)
    return lines


def main(
    worlds: Annotated[
        int, tyro.conf.arg(help="Worlds of 128 subnets; eight times as many of 8.")
    ] = 4,
    years: Annotated[float, tyro.conf.arg(help="Length of a run.")] = 5.0,
    write: Annotated[bool, tyro.conf.arg(help="Update docs/living_demand.md.")] = False,
) -> None:
    """Print the survival of demand for each market and set of channels."""
    print(HEADER)
    lines = rows(worlds, years)
    if write:
        table = [
            f"| {HEADER} |",
            "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
            *(f"| {row} |" for row in lines),
        ]
        page = ROOT / "docs" / "living_demand.md"
        text = page.read_text().split("<!-- table -->")[0]
        page.write_text(text + "<!-- table -->\n" + "\n".join(table) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
