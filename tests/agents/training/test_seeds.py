"""Several seeds of one configuration: folders, continuation, the table."""

import json
import signal

import numpy as np
import pytest
from dtao_agents.commands import train as command
from dtao_agents.evaluation.statistics import bootstrap
from dtao_agents.seed_folders import runs_of_seeds
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.seeds import (
    is_finished,
    plan_seeds,
    print_seeds,
    train_one,
    train_seeds,
    trained_seed,
)
from dtao_agents.training.settings import read
from rich.console import Console

from dtao_gym.world.config import ConfigError
from tests.agents.training.test_checkpoints import rows
from tests.agents.training.test_interruptions import start, wait_for_checkpoint
from tests.agents.worlds import settings, write_settings


def policy(run):
    return (run / "policy.safetensors").read_bytes()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of two seeds, trained by the command."""
    folder = tmp_path_factory.mktemp("seeds")
    config = write_settings(folder)
    command.main([str(config), "--seeds", "2", "--seed", "5", "--run-dir", str(folder / "runs")])
    return folder / "runs"


def test_each_seed_is_a_run_of_its_own(trained, tmp_path):
    runs = runs_of_seeds(trained)
    assert list(runs) == [5, 6]
    assert all(is_finished(run) and read(run / "config.yaml").seed == k for k, run in runs.items())
    (tmp_path / "alone").mkdir()
    train_one(settings(seed=6), tmp_path / "alone")
    assert policy(tmp_path / "alone") == policy(runs[6]) != policy(runs[5])


def test_the_same_command_trains_only_what_is_missing(trained, capsys):
    before = {run: (run / "manifest.json").read_text() for run in runs_of_seeds(trained).values()}
    arguments = [str(trained.parent / "tiny.yaml"), "--seeds", "2", "--seed", "5"]
    command.main([*arguments, "--run-dir", str(trained)])
    shown = capsys.readouterr().out
    assert shown.startswith("Trained before: seeds 5, 6\n")
    assert shown.endswith(f"Evaluate them: dtao evaluate {trained}\n")
    assert before == {run: (run / "manifest.json").read_text() for run in before}
    command.main(["--resume", str(trained)])
    assert capsys.readouterr().out == shown


def test_the_table_has_each_seed_and_the_mean_over_them(trained, capsys):
    found = [trained_seed(seed, run) for seed, run in runs_of_seeds(trained).items()]
    last = [
        float(rows(run)[-1]["episode_reward_per_year"]) for run in runs_of_seeds(trained).values()
    ]
    assert [one.rewards["learner"] for one in found] == last
    print_seeds(found, Console(width=100))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    mean = bootstrap(np.array(last))
    assert f"{mean.value:+.3f} [{mean.low:+.3f}, {mean.high:+.3f}]" in lines[-2]
    assert [line.split()[0] for line in lines[2:5]] == ["5", "6", "mean"]


def test_other_settings_are_refused_and_can_replace(trained, tmp_path):
    with pytest.raises(ConfigError, match=r"seed_5: got other settings \(gamma\), allowed are"):
        plan_seeds(trained, settings(seed=5, gamma=0.5), 2)
    with pytest.raises(ConfigError, match="got other settings"):
        plan_seeds(trained, MultiAgentConfig.make({"stakers": 2, "seed": 5}), 2)
    with pytest.raises(ConfigError, match="--seeds: got 1, allowed are 2 to"):
        plan_seeds(tmp_path, settings(), 1)
    for seed in (0, 1):
        (tmp_path / f"seed_{seed}").mkdir()
        (tmp_path / f"seed_{seed}" / "config.yaml").write_text(settings(seed=seed).to_yaml())
    (tmp_path / "evaluation.json").write_text("{}")
    command.prepare(tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_no_folder_of_seeds(tmp_path):
    (tmp_path / "seed_0").mkdir()
    assert runs_of_seeds(tmp_path) == {}  # without settings
    (tmp_path / "seed_0" / "config.yaml").write_text("")
    (tmp_path / "seed_x").mkdir()
    assert list(runs_of_seeds(tmp_path)) == [0]
    (tmp_path / "config.yaml").write_text("")
    assert runs_of_seeds(tmp_path) == {}  # a run
    assert runs_of_seeds(tmp_path / "none") == {}


def test_an_interrupted_training_goes_on_with_the_seed_that_it_was_at(tmp_path, capsys):
    config, folder = write_settings(tmp_path, total_timesteps=60 * 128), tmp_path / "runs"
    process = start(config, "--seeds", 2, "--run-dir", folder)
    wait_for_checkpoint(process, folder / "seed_0", 256)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 143
    assert f"SIGTERM; python train.py --resume {folder} continues" in errors
    assert not is_finished(folder / "seed_0")
    command.main(["--resume", str(folder)])
    assert "python train.py" not in capsys.readouterr().err
    whole = tmp_path / "whole"
    for seed, run in runs_of_seeds(folder).items():
        made = settings(total_timesteps=60 * 128, seed=seed)
        train_one(made, whole / f"seed_{seed}")
        assert policy(run) == policy(whole / f"seed_{seed}")
        assert rows(run) == rows(whole / f"seed_{seed}")


@pytest.mark.slow
def test_processes_train_the_same_policies(trained, tmp_path):
    runs = plan_seeds(tmp_path, settings(seed=5), 2)
    lines: list[str] = []
    train_seeds(settings(seed=5), runs, "processes", 2, say=lines.append)
    assert lines[0] == f"Progress of each seed: {tmp_path}/seed_*/log.txt"
    assert {line.split(":")[0] for line in lines[1:]} == {"Trained seed 5", "Trained seed 6"}
    for seed, run in runs.items():
        assert policy(run) == policy(runs_of_seeds(trained)[seed])
        assert "steps/s" in (run / "log.txt").read_text()


def test_many_learners_have_a_column_each(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "timesteps,seconds,steps_per_second,staker_reward_per_year,builder_reward_per_year\n"
        "64,1.5,42,0.25,-1\n128,3,42,0.5,-2\n"
    )
    one = trained_seed(3, tmp_path)
    assert one == (3, 128, 3.0, {"staker": 0.5, "builder": -2.0})
    with pytest.raises(ConfigError, match="got no row"):
        trained_seed(3, tmp_path / "none")
    assert not is_finished(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"status": "running"}))
    assert not is_finished(tmp_path)
