"""The pretrained policies in the repository are those that RESULTS.md describes."""

import json
from pathlib import Path

import pytest
from dtao_agents.equilibrium.best_response import play
from dtao_agents.evaluation.policy_files import PolicyError, config_hash, load_policy
from dtao_agents.results.kinds import PAYOFFS_NAME
from dtao_agents.results.pretrained import (
    PUBLISHED_NAME,
    evaluate_again,
    published_number,
    read_published,
)
from dtao_agents.roles.registry import agent_role
from dtao_agents.training.multi_agent_settings import read_settings
from dtao_agents.training.settings import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[3]
POLICIES = REPOSITORY / "policies"
ROWS = ("staker_quickstart", "builder_fee", "builder_market")


@pytest.mark.parametrize("name", ROWS)
def test_a_published_policy_is_the_one_on_the_page(name):
    published, content = read_published(POLICIES / name)
    card = load_policy(POLICIES / name).card
    settings = TrainConfig.make({"role": content["role"], "env": content["world"]})
    assert card.config_hash == config_hash(settings.env)
    line = next(
        line
        for line in (REPOSITORY / "RESULTS.md").read_text().splitlines()
        if line.startswith(f"| policies/{name} ")
    )
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:4] == [
        str(published.training_seed),
        published.metric,
        published_number(published.value),
    ]


@pytest.mark.parametrize(
    "name", [ROWS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in ROWS[1:])]
)
def test_a_published_policy_does_what_the_page_says(name):
    """On another processor products of float32 round differently, hence the tolerance."""
    published, _ = read_published(POLICIES / name)
    assert evaluate_again(POLICIES / name) == pytest.approx(published.value, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("role", ["staker", pytest.param("builder", marks=pytest.mark.slow)])
def test_policies_that_learned_together_are_paid_what_the_page_says(role):
    folder = POLICIES / "multi_agent"
    settings = read_settings(folder / "config.yaml", trusted=False)
    policies = {name: load_policy(folder / name) for name in settings.roles}
    seeds = range(settings.response.episodes)
    found = play(agent_role(role).response_task(settings.env), policies, role, seeds).paid.mean()
    published = json.loads((folder / PAYOFFS_NAME).read_text())
    assert found == pytest.approx(published["paid"][role], rel=1e-3, abs=1e-4)
    page = (REPOSITORY / "RESULTS.md").read_text().split("## Many learners")[1]
    rows = [[cell.strip() for cell in line.split("|")] for line in page.splitlines()]
    cells = [str(published["training_seed"]), f"{published['paid'][role]:.4g}"]
    assert any(row[1:3] == cells for row in rows)


def test_no_folder_there_is_without_its_number():
    assert POLICIES.is_dir()
    known = {path.parent.name for path in POLICIES.glob(f"*/{PUBLISHED_NAME}")}
    assert known >= set(ROWS)


def test_a_rule_that_would_be_imported_is_refused(tmp_path):
    text = (POLICIES / ROWS[0] / PUBLISHED_NAME).read_text()
    world = '"world": {"allocation": "somebodys.rule:f",'
    (tmp_path / PUBLISHED_NAME).write_text(text.replace('"world": {', world, 1))
    with pytest.raises(PolicyError, match=r"got 'somebodys\.rule:f', which would be imported"):
        evaluate_again(tmp_path)


def test_a_role_that_would_be_imported_is_refused(tmp_path):
    text = (POLICIES / ROWS[0] / PUBLISHED_NAME).read_text()
    role = '"role": "somebodys.module:ROLE"'
    (tmp_path / PUBLISHED_NAME).write_text(text.replace('"role": "staker"', role, 1))
    with pytest.raises(PolicyError, match=r"role: got 'somebodys\.module:ROLE', which would be"):
        evaluate_again(tmp_path)


def test_a_missing_or_broken_description_is_named(tmp_path):
    with pytest.raises(PolicyError, match=r"published\.json: cannot be read: FileNotFoundError"):
        read_published(tmp_path)
    (tmp_path / PUBLISHED_NAME).write_text('{"name": "x"}')
    with pytest.raises(PolicyError, match="KeyError"):
        read_published(tmp_path)
