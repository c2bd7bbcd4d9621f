"""train.py and evaluate.py as a user meets them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dtao_agents.training.settings import read

import evaluate
import train
from dtao_gym.world.config import ConfigError
from tests.agents.worlds import settings, write_settings

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=900)


def test_train_and_evaluate(tmp_path):
    folder = tmp_path / "run"
    trained = run(
        "train.py",
        write_settings(tmp_path),
        "--run-dir",
        folder,
        "--seed",
        3,
        "--env.wealth-tao",
        500,
    )
    assert trained.returncode == 0, trained.stderr
    assert read(folder / "config.yaml").env.wealth_tao == 500.0
    assert read(folder / "config.yaml").seed == 3
    judged = run("evaluate.py", folder, "--episodes", 3)
    assert judged.returncode == 0, judged.stderr
    assert "learned beats random: " in judged.stdout
    verdict = json.loads((folder / "evaluation.json").read_text())
    assert verdict["evaluation_seeds"] == [0, 2]
    assert verdict["training_seed"] == 3
    assert len((folder / "evaluation.csv").read_text().splitlines()) == 1 + 8 * 3
    assert (folder / "evaluation.png").stat().st_size > 1000


def test_help_documents_every_setting():
    shown = run("train.py", "configs/staker_quickstart.yaml", "--help")
    assert shown.returncode == 0
    for flag in (
        "--run-dir",
        "--resume",
        "--overwrite",
        "--gamma",
        "--env.n-subnets",
        "--env.knowledge-half-life-days",
    ):
        assert flag in shown.stdout
    # a long entry is broken inside its box
    assert "(default: mainnet-2026-06-14)" in re.sub(r"[│\s]+", " ", shown.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--gamma", "2"], "gamma: got 2.0, allowed"),
        (["--env.n-subnets", "500"], "n_subnets: got 500, allowed"),
        (["--env.spans-per-day", "7"], "spans_per_day: got 7, allowed are divisors of 7200"),
        (["--resume", "nowhere"], "nowhere/config.yaml: cannot be read"),
    ],
)
def test_bad_arguments_are_told_in_one_line(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        train.parse(arguments)
    assert "\n" not in str(caught.value)


def test_unknown_flags_are_errors(capsys):
    with pytest.raises(SystemExit):
        train.parse(["--env.n-subnet", "4"])
    assert "--env.n-subnets" in capsys.readouterr().err


def test_errors_end_the_program_without_a_traceback():
    done = run("train.py", "nowhere.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: nowhere.yaml: cannot be read")
    done = run("evaluate.py", "nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere/config.yaml")


def test_folders_that_are_not_empty_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        train.prepare(tmp_path, overwrite=False)
    with pytest.raises(ConfigError, match=r"has no config\.yaml"):
        train.prepare(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_overwrite_replaces_a_run(tmp_path):
    (tmp_path / "config.yaml").write_text("")
    train.prepare(tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def started(tmp_path):
    """Folder of a run that was begun."""
    (tmp_path / "config.yaml").write_text(settings().to_yaml())
    return tmp_path


def test_a_resumed_run_keeps_its_settings(started):
    places, found = train.parse(["--resume", str(started)])
    assert places.resume == started
    assert found == settings()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gamma", "0.5"], "--resume: got changes of gamma, allowed are"),
        (["--env.wealth-tao", "5"], "--resume: got changes of env.wealth_tao"),
        (
            ["--total-timesteps", "4096"],
            r"--resume: got changes of total_timesteps \(with anneal\)",
        ),
        (["--overwrite"], "allowed is alone"),
    ],
)
def test_a_resumed_run_refuses_other_settings(started, arguments, message):
    with pytest.raises(ConfigError, match=message):
        train.parse(["--resume", str(started), *arguments])


def test_a_run_without_annealing_may_go_on_for_longer(started):
    (started / "config.yaml").write_text(settings(anneal=False).to_yaml())
    _, found = train.parse([f"--resume={started}", "--total-timesteps", "4096"])
    assert found.total_timesteps == 4096


@pytest.mark.parametrize("arguments", [{"episodes": 1}, {"threads": 0}])
def test_evaluate_refuses_bad_numbers(tmp_path, arguments):
    with pytest.raises(ConfigError, match="allowed is"):
        evaluate.main(tmp_path, **arguments)
