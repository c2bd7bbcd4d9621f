"""Channels that sustain demand: the market's course under each combination of them, as a table.

    python scripts/living_demand.py [--worlds 4] [--years 5] [--write]

Every candidate is the population of `configs/spring_2026.yaml` with some of its channels of demand. Markets have no
arrivals, so that no new subnets bring stakers. `--write` renews `docs/living_demand.md`.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_agents.probe.living_market import conditions, health_path  # noqa: E402

from dtao_gym.world.config import Config  # noqa: E402
from scripts.pages import replace_table  # noqa: E402

POPULATION = ROOT / "configs" / "spring_2026.yaml"
NEVER = 1e9
OFF: dict[str, Any] = {
    "portfolio_days": NEVER,
    "scarcity_elasticity": 0.0,
    "insider_holding_days": NEVER,
}
"""Values that switch the channels off; the population's switch them on."""
MONEY, SCARCITY, INSIDERS = OFF
CHANNELS: dict[str, tuple[str, ...]] = {
    "none": (),
    "insiders sell later": (INSIDERS,),
    "money and supply": (MONEY,),
    "scarcity": (SCARCITY,),
    "all but insiders": (MONEY, SCARCITY),
    "all but money and supply": (SCARCITY, INSIDERS),
    "all but scarcity": (MONEY, INSIDERS),
    "all": (MONEY, SCARCITY, INSIDERS),
}
"""Channels that are on, by the name of a candidate."""
MARKETS: dict[str, dict[str, Any]] = {
    "128, direct pay": {"n_subnets": None, "payment": "direct"},
    "128, alpha pay": {"n_subnets": None, "payment": "alpha"},
    "8 of 128, direct pay": {"n_subnets": 8, "payment": "direct"},
    "8 drawn, direct pay": {"n_subnets": 8, "payment": "direct", "genesis": "drawn"},
}
HEADER = "market | channels | stakers' part of alpha over genesis, a fifth of the life each | gap | slope | on valuation | empty | alive"


def rows(worlds: int, years: float) -> list[str]:
    """Return a row for each market and candidate: the worst gap and slope, and the sum of `empty`."""
    base = Config.make(POPULATION, arrivals_per_slot_year=0.0, n_stakers=0)
    table = []
    for market, world in MARKETS.items():
        few = worlds * (8 if world["n_subnets"] else 1)
        for candidate, channels in CHANNELS.items():
            channels_on = {name: getattr(base, name) for name in channels}
            config = Config.make(base, **(OFF | channels_on | world))
            first, *later = health_path(config, range(few), round(365 * years), threads=2)
            shares = " ".join(f"{one.staker_share / first.staker_share:.2f}" for one in later)
            gap, slope = max(one.gap for one in later), min(one.slope for one in later)
            value = min(one.slope_on_valuation for one in later)
            empty = sum(one.without_stakers for one in later)
            alive = sum(all(conditions(first, one).values()) for one in later)
            table.append(
                f"{market} | {candidate} | {shares} | {gap:.3f} | {slope:.2f} | {value:.2f} | {empty} | {alive} of {len(later)}"
            )
            print(table[-1], flush=True)
    return table


def main(
    worlds: Annotated[
        int, tyro.conf.arg(help="Worlds of 128 subnets; eight times as many of 8.")
    ] = 4,
    years: Annotated[float, tyro.conf.arg(help="Length of an episode.")] = 5.0,
    write: Annotated[bool, tyro.conf.arg(help="Renew docs/living_demand.md.")] = False,
) -> None:
    """Print the course of demand under each candidate."""
    print(HEADER)
    table = rows(worlds, years)
    if write:
        lines = [
            f"| {HEADER} |",
            "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
            *(f"| {row} |" for row in table),
        ]
        replace_table(ROOT / "docs" / "living_demand.md", lines)


if __name__ == "__main__":
    tyro.cli(main)
