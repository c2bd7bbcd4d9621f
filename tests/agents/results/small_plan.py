"""A plan of trainings and scenarios that takes seconds."""

from pathlib import Path
from typing import Any

import yaml
from dtao_agents.results.plan import ResultsPlan, make_results_plan

from tests.agents.worlds import FEE_ARM, SETTINGS, WORLD

STAKER = {name: value for name, value in SETTINGS.items() if name != "evaluation_episodes"}
BUILDER = STAKER | {
    "role": "builder",
    "env": FEE_ARM | {"horizon_cap_days": 140},
    "gamma": 0.99573,
}
SCENARIOS = [
    {"name": "rich", "group": "wealth", "world": WORLD | {"wealth_tao": 100_000.0}, "seeds": 3},
    {"name": "other_owners", "group": "held out", "rivals": "half", "world": WORLD, "seeds": 3},
    {"name": "many", "group": "size", "world": WORLD | {"n_subnets": 5}, "seeds": 2},
]


def content(folder: Path, **changes: Any) -> dict[str, Any]:
    """A plan as a mapping; its files lie in a folder."""
    for name, settings in (("staker", STAKER), ("builder", BUILDER)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    (folder / "arena.yaml").write_text(yaml.safe_dump({"scenarios": SCENARIOS}))
    mlp = {"network": "mlp"}
    plan = {
        "training_seeds": [0, 1],
        "evaluation_seeds": 4,
        "workers": 1,
        "arena": str(folder / "arena.yaml"),
        "rows": [
            {"name": "staker", "config": str(folder / "staker.yaml")},
            {"name": "plain", "config": str(folder / "staker.yaml"), "overrides": mlp}
            | {"arena": False, "publish": False},
            {"name": "fees", "config": str(folder / "builder.yaml"), "arena": False},
        ],
        "comparisons": [{"name": "networks at 4", "first": "staker", "second": "plain"}],
    }
    return plan | changes


def small_plan(folder: Path, **changes: Any) -> ResultsPlan:
    """The same, checked."""
    return make_results_plan(content(folder, **changes))
