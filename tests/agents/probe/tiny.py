"""Plans and gates that run within seconds."""

from pathlib import Path
from typing import Any

import yaml
from dtao_agents.probe.gates import control_gate
from dtao_agents.probe.plan import Plan, make_plan

TINY: dict[str, Any] = {
    "institutions": ["price", "root_vote"],
    "pruning": [False, True],
    "moving_prices": ["fast"],
    "seeds": 4,
    "threads": 1,
    "world": {"spans_per_day": 1, "horizon_cap_days": 200, "n_subnets": 3},
    "solver": {
        "grid_wide": 3,
        "grid_near": 5,
        "max_iterations": 2,
        "measure_slope": False,
        "resamples": 100,
    },
}
GATES = (control_gate("NC6"),)
"""A gate that passes quickly."""
BROKEN = {"research_productivity": 2 * 0.007476904609}
"""Research that is twice as productive as the controls assume."""


def plan(**changes: Any) -> Plan:
    """A plan of four cells and the reference."""
    return make_plan(TINY | changes)


def write_plan(folder: Path, **changes: Any) -> Path:
    """Write the plan to a YAML file."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY | changes))
    return path
