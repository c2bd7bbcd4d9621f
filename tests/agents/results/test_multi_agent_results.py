"""Rows of many learners: what their results depend on, and what the page says of them."""

from pathlib import Path

import pytest
import yaml
from dtao_agents.results.kinds import KINDS, multi_agent_settings
from dtao_agents.results.plan import TrainingRow, make_results_plan

from dtao_gym.world.config import ConfigError
from tests.agents.training.test_multi_agent_training import MULTI_AGENT
from tests.agents.worlds import WORLD

RESPONSE = {"timesteps": 64, "num_envs": 8, "rollout_steps": 8, "batch_size": 64, "starts": 3}


def plan_of(folder: Path, **overrides):
    """A plan with one row of many learners, and the row."""
    config = folder / "multi_agent.yaml"
    response = RESPONSE | {"episodes": 8, "generations": 1, "nash_seeds": 0}
    env = WORLD | {"horizon_cap_days": 40}
    config.write_text(yaml.safe_dump(MULTI_AGENT | {"env": env, "response": response}))
    row = {
        "name": "multi_agent",
        "kind": "multi_agent",
        "config": str(config),
        "overrides": overrides,
    }
    plan = make_results_plan({"rows": [row], "training_seeds": [3, 4], "threads": 1})
    return plan, plan.rows[0]


def record(seed: int, gain: float, low: float) -> dict:
    epsilon = {"value": gain, "low": low, "high": gain + 0.1}
    builder = {
        "paid": {"value": 1234.5},
        "epsilon": epsilon,
        "best": "cross-entropy",
        "is_equilibrium": low <= 0.0,
        "research_share": 0.2,
        "identified_set": (0.1, 0.3),
        "nash": {"verdict": "solved", "share": 0.25, "log_odds": {"low": -2.0, "high": 0.0}},
    }
    return {"training_seed": seed, "roles": {"builder": builder}}


def test_the_page_says_where_it_is_no_equilibrium():
    row = TrainingRow(name="multi_agent", kind="multi_agent", config=Path("multi_agent.yaml"))
    lines = KINDS["multi_agent"].section(row, [record(0, 0.2, 0.05), record(1, 0.01, 0.0)])
    assert max(map(len, lines)) <= 100
    rows = [[c.strip() for c in line.split("|")] for line in lines if line.startswith("| ")]
    cells = {row[1]: row[2:] for row in rows}
    assert [cells[seed][3] for seed in "01"] == ["NO", "not refuted"]
    assert cells["0"][:3] == ["1234", "0.200 [0.050, 0.300]", "cross-entropy"]
    assert cells["0"][4] == "0.200 [0.100, 0.300]"
    assert "r 0.250 [0.119, 0.500], solved" in " ".join(lines)


def test_results_depend_on_settings_and_seed_but_not_on_threads(tmp_path):
    plan, row = plan_of(tmp_path)
    inputs = KINDS["multi_agent"].inputs
    assert inputs(plan, row, 3) == inputs(plan.model_copy(update={"threads": 2}), row, 3)
    assert inputs(plan, row, 3) != inputs(plan, row, 4)
    other, changed = plan_of(tmp_path, total_timesteps=4000)
    assert inputs(plan, row, 3) != inputs(other, changed, 3)
    assert multi_agent_settings(other, changed, 3).total_timesteps == 4000
    plan, row = plan_of(tmp_path, stalkers=2)
    with pytest.raises(ConfigError, match="row multi_agent: stalkers: unknown setting"):
        inputs(plan, row, 3)


@pytest.mark.slow
def test_a_row_is_trained_and_judged(tmp_path):
    plan, row = plan_of(tmp_path)
    kind = KINDS["multi_agent"]
    found, _ = kind.train(plan, row, 3, tmp_path / "run")
    assert all((tmp_path / "run" / name).is_file() for name in kind.files)
    assert set(found["roles"]) == {"staker", "builder"}
    lines = kind.section(row, [found])
    assert sum(line.startswith("| 3 ") for line in lines) == 2
