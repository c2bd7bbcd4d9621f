"""Sensitivity of equilibrium research shares under prices and under votes to each closure of the model.

    python scripts/sensitivity.py [--seeds 512] [--write]

Owners are paid directly and no subnet is pruned. `--write` updates the table of `docs/sensitivity.md`. About ten minutes on two cores.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_agents.equilibrium.inference import paired_difference  # noqa: E402
from dtao_agents.equilibrium.nash import FirstOrderCondition  # noqa: E402
from dtao_agents.evaluation.statistics import span  # noqa: E402
from dtao_agents.probe.market_controls import DIRECT, local_equilibrium  # noqa: E402
from dtao_agents.probe.size import FULL, world  # noqa: E402

from dtao_gym.world.config_people import PREDICTABLE  # noqa: E402
from scripts.pages import replace_table  # noqa: E402

VARIANTS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "scarcity 1": {"scarcity_elasticity": 1.0},
    "scarcity 3": {"scarcity_elasticity": 3.0},
    "valuations do not follow money": {"portfolio_days": 1e9},
    "insiders never sell the rest": {"insider_holding_days": 1e9},
    "half as much news": {"news_sd": 0.0256, "market_sd": 0.0073},
    "no news": {"news_sd": 0.0},
    "half-life of news 120 days": {"news_half_life_days": 120.0},
    "half-life of news 480 days": {"news_half_life_days": 480.0},
    "beliefs follow signals immediately": {"signal_gain": 1.0},
    "a fifth of stakers informed": {"informed_share_stakers": 0.2},
    "two fifths of stakers informed": {"informed_share_stakers": 0.4},
    "a fifth of voters informed": {"informed_share_voters": 0.2},
    "two fifths of voters informed": {"informed_share_voters": 0.4},
    "hype 0.25": {"hype": 0.25},
    "hype 1": {"hype": 1.0},
    "predictable population": PREDICTABLE,
}
START = {"price": 0.42, "root_vote": 0.31}
"""Research shares by rule at which a quarter of the seeds starts the search."""
HEADER = "| closure | prices | votes | prices less votes |"


def row(name: str, changes: dict[str, Any], seeds: range) -> str:
    """Compute one line of the table."""
    equilibria: list[FirstOrderCondition] = []
    for rule in ("price", "root_vote"):
        config = world(FULL, changes, **DIRECT, allocation=rule)
        near = local_equilibrium(
            config, seeds[: max(len(seeds) // 4, 2)], START[rule]
        ).research_share
        equilibria.append(local_equilibrium(config, seeds, START[rule] if near is None else near))
    estimates = [equilibrium.interval for equilibrium in equilibria]
    estimates.append(None if None in estimates else paired_difference(*equilibria))
    texts = ("indeterminate" if one is None else span(one, "+.2f") for one in estimates)
    return f"| {' | '.join((name, *texts))} |"


def main(
    seeds: Annotated[int, tyro.conf.arg(help="World seeds.")] = 512,
    only: Annotated[tuple[str, ...], tyro.conf.arg(help="Closures; default: all.")] = (),
    write: Annotated[bool, tyro.conf.arg(help="Update docs/sensitivity.md.")] = False,
) -> None:
    """Print log-odds of the research share for each closure."""
    lines = [HEADER, "| --- | ---: | ---: | ---: |"]
    print("\n".join(lines))
    for name in only or VARIANTS:
        lines.append(row(name, VARIANTS[name], range(seeds)))
        print(lines[-1], flush=True)
    if write:
        replace_table(ROOT / "docs" / "sensitivity.md", lines)


if __name__ == "__main__":
    tyro.cli(main)
