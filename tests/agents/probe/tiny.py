"""Plans and gates that run within seconds."""

from pathlib import Path
from typing import Any

import yaml
from dtao_agents.probe.cells import Cell
from dtao_agents.probe.checks import Check
from dtao_agents.probe.gates import Gate, control_gate
from dtao_agents.probe.plan import Plan, make_plan
from dtao_agents.probe.solutions import solve_cell

TINY: dict[str, Any] = {
    "blocks": [{"name": "A core", "institutions": ["price", "root_vote"], "primary": True}],
    "world": {"spans_per_day": 1, "horizon_cap_days": 200, "n_subnets": 3},
    "estimator": {
        "pilot_blocks": 2,
        "pilot_passes": 1,
        "slope_passes": 1,
        "slope_blocks": 4,
        "most_slope_blocks": 4,
        "least_blocks": 4,
        "most_blocks": 4,
    },
    "outcome_worlds": 8,
    "claims": "none",
}
"""Four arms and their four references."""
GATES = (control_gate("NC6"),)
"""A gate that passes quickly."""
BROKEN = {"research_productivity": 2 * 0.007476904609}
"""Research that is twice as productive as the controls assume."""


def tiny_plan(**changes: Any) -> Plan:
    """The tiny plan with other fields."""
    return make_plan(TINY | changes)


def plan_of(*blocks: dict[str, Any], **changes: Any) -> Plan:
    """The tiny plan with other blocks, each named by its place if it has no name."""
    named = [{"name": f"block {k}"} | block for k, block in enumerate(blocks)]
    return tiny_plan(blocks=named, **changes)


def write_plan(folder: Path, **changes: Any) -> Path:
    """Write the tiny plan with other fields to a YAML file."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY | changes))
    return path


SOLVED: list[str] = []
"""Names of the cells that `counted` has solved in this process."""
INTERRUPTED_AFTER = 3
"""Cells that `interrupted` solves before it stops."""


def counted(cell: Cell, plan: Plan) -> dict[str, Any]:
    """Solve a cell and note its name; in place of `solve_cell`."""
    record = solve_cell(cell, plan)
    SOLVED.append(cell.name)
    return record


def interrupted(cell: Cell, plan: Plan) -> dict[str, Any]:
    """Solve some cells, then stop as Ctrl-C does; in place of `solve_cell`."""
    if len(SOLVED) == INTERRUPTED_AFTER:
        raise KeyboardInterrupt
    return counted(cell, plan)


def refused(cell: Cell, plan: Plan) -> dict[str, Any]:
    """Fail, where nothing may be computed; in place of `solve_cell`."""
    raise AssertionError(f"{cell.name} is solved")


def failing(id: str) -> Gate:
    """A gate with one check, which fails."""
    return Gate(id, _FailingCheck(id))


class _FailingCheck:
    """The `run` of a failing gate, which can be pickled."""

    def __init__(self, id: str):
        self.id = id

    def __call__(self, *_: Any) -> list[Check]:
        return [Check(self.id, "anywhere", 4.0, 5.0, False)]
