"""The site builds without a warning, and its generated pages say what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from dtao_agents.commands import evaluate as evaluate_command
from dtao_agents.commands import train as train_command
from dtao_agents.training.run_folder import METRICS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dtao_gym.envs.task import TaskConfig
from dtao_gym.replay.config import ReplayConfig
from scripts import build_glossary, build_reference, reference_environments, reference_runs
from scripts.reference_environments import ACTIONS, INFOS, environments, features_of
from scripts.reference_settings import PAGES as MODELS
from scripts.reference_settings import field_rows, settings_page

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Texts of the generated pages by name."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "old.md").write_text("a page that is no longer generated")
    written = build_reference.write_pages(folder)
    assert sorted(written) == sorted(folder.glob("*"))
    return {path.name: path.read_text() for path in written}


def cells(text: str) -> list[list[str]]:
    """Cells of all rows of tables."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(tmp_path)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in ("index", "guides/staker", "reference/generated/staker-v0", "results/tables"):
        html = (tmp_path / f"{page}.html").read_text()
        assert "<h1>" in html
        assert not re.search(r'href="(?!https?:|mailto:)[^"]*\.md[#"]', html)


def test_every_registered_environment_has_a_page(pages):
    names = [f"{name.split('/')[1].lower()}.md" for name in gym.registry if "dtao_gym/" in name]
    assert {"staker-v0.md", "builder-v0.md", "replay-v0.md"} <= set(names)
    assert set(names) >= {f"{name.lower()}.md" for name in environments()}
    for name in environments():
        page = pages[f"{name.lower()}.md"]
        assert page.startswith(f"# {name}\n")
        assert "| action |" in page


@pytest.mark.parametrize("role", ["staker", "builder", "replay"])
def test_tables_of_entries_have_the_sizes_of_the_spaces(role):
    n = reference_environments.N_SHOWN
    env = gym.make(f"dtao_gym/{role.title()}-v0", n_subnets=n)
    repeated, *once = features_of(role).values()
    times = n - 1 if role == "builder" else n
    assert env.observation_space.shape == (times * len(repeated) + sum(map(len, once)),)
    subnets = 0 if role == "builder" else n - 1
    assert env.action_space.shape == (len(ACTIONS[role]) + subnets,)
    assert np.all(np.abs([env.observation_space.low, env.observation_space.high]) == 1.0)


def test_no_feature_is_without_a_description():
    for role in ("staker", "builder"):
        for entries in features_of(role, twin=True).values():
            assert all(len(text) > 4 for text in entries.values()), entries


@pytest.mark.parametrize("entry", range(4))
def test_an_entry_of_a_builders_action_moves_what_its_name_says(entry):
    names = [name.strip("`").replace("_logit", "_share") for _, name, _ in ACTIONS["builder"]]
    name = names[entry]
    moved = []
    for value in (-1.0, 1.0):
        env = gym.make("dtao_gym/Builder-v0", n_subnets=2, influence=True)
        env.reset(seed=0)
        action = np.zeros(4, np.float32)
        action[entry] = value
        moved.append(env.step(action)[-1])
    assert moved[0][name] < moved[1][name]
    # a share of research is one of the rest, so that influence leaves it alone
    assert all(moved[0][n] == moved[1][n] for n in names if n not in (name, "influence_share"))


def test_the_last_entry_of_a_stakers_action_is_the_share_that_is_traded():
    traded = []
    for share in (-1.0, 0.0, 1.0):
        env = gym.make("dtao_gym/Staker-v0", n_subnets=2)
        env.reset(seed=0)
        traded.append(env.step(np.array([0.0, 0.1, 0.0, share], np.float32))[-1]["traded_tao"])
    assert traded[0] == 0.0
    assert traded[1] == pytest.approx(0.5 * traded[2], rel=0.01)


def test_every_key_of_an_info_is_described_and_no_other(pages):
    described = set()
    for name in ("staker-v0.md", "builder-v0.md", "replay-v0.md"):
        described |= {row[0].strip("`") for row in cells(pages[name].split("## Info")[1])[2:]}
    assert described == set(INFOS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_of_a_configuration_is_on_its_page(model):
    text = settings_page(model)
    assert all(f"| `{name}` |" in text for name in model.model_fields)


def test_bounds_and_defaults_of_fields_are_those_that_are_enforced():
    rows = {row[0].strip("`"): row for row in field_rows(TaskConfig, list(TaskConfig.model_fields))}
    assert rows["n_subnets"][2:4] == ("`none`", "1 to 128")
    assert rows["wealth_tao"][2:4] == ("`1,000`", "1 to 100,000 TAO")
    assert rows["ruin_fraction"][3].split() == [">", "0,", "<", "1", "part"]
    assert rows["split"][1:4] == ("choice", "`train`", "`train`, `evaluation`")
    assert rows["signal_lag_days"][3] == "0 to 90 days"
    for low, model in ((0.99, TaskConfig), (100_001.0, ReplayConfig)):
        with pytest.raises(ValueError, match="wealth_tao"):
            model.make(wealth_tao=low)


def test_the_command_line_is_all_of_it(pages):
    text = pages["commands.md"]
    for name in build_reference.reference_commands.COMMANDS:
        assert f"\n## dtao {name}\n" in text
        assert f"usage: dtao {name}" in text
    assert max(map(len, text.split("```text")[-1].splitlines())) <= 100
    assert "/root" not in text
    assert str(ROOT) not in text


@pytest.mark.slow
def test_files_and_tags_are_those_of_a_run(tmp_path, pages):
    run = tmp_path / "run"
    small = [
        "--env.n-subnets",
        "2",
        "--env.horizon-days",
        "20",
        "--num-envs",
        "4",
        "--threads",
        "1",
    ]
    steps = ["--rollout-steps", "4", "--batch-size", "16", "--total-timesteps", "32"]
    train_command.main(["--run-dir", str(run), "--evaluation-episodes", "2", *small, *steps])
    trained = {name for name, (command, _) in reference_runs.FILES.items() if command == "train"}
    assert {f"{path.name}/" if path.is_dir() else path.name for path in run.iterdir()} == trained
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == set(METRICS[1:])
    assert (run / "metrics.csv").read_text().splitlines()[0].split(",") == list(METRICS)
    evaluate_command.main([str(run)])
    evaluate_command.main([str(run), "--replay"])
    found = {f"{path.name}/" if path.is_dir() else path.name for path in run.iterdir()}
    assert found == set(reference_runs.FILES)
    assert all(f"`{name}`" in pages["run-folder.md"] for name in (*found, *METRICS))


def test_the_glossary_is_up_to_date():
    assert build_glossary.PAGE.read_text() == build_glossary.text()
