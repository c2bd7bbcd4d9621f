"""Evaluation on real prices: what is written and printed, walk-forward training, policies without the signal."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from dtao_agents.evaluation.evaluate import evaluate
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.replay import (
    LIMITS,
    REPLAY_POLICIES,
    replay,
    replay_config,
    replay_folders,
    report,
    training_saw_none,
)
from dtao_agents.package_data import POLICIES
from dtao_agents.roles.staker_policies import without_signal
from dtao_agents.training.ppo import TrainingEnv, train
from dtao_agents.training.settings import TrainConfig, read
from rich.console import Console

from dtao_gym.envs.staker.observation import GLOBAL_FEATURES
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.config import ConfigError
from tests.agents.worlds import SETTINGS, builder_settings, settings

REPOSITORY = Path(__file__).resolve().parents[3]
REPLAY = {"n_subnets": 4, "horizon_days": 10, "split_date": "2025-06-30", "selection": "sample"}


def replay_settings(**env) -> TrainConfig:
    return TrainConfig.make(SETTINGS | {"role": "replay", "env": REPLAY | env})


def trained(folder: Path, made: TrainConfig) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text(made.to_yaml())
    train(made, folder)
    return folder


@pytest.fixture(scope="module")
def walk_forward(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "walk", replay_settings())


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    made = settings(observe_signal=False)
    return trained(tmp_path_factory.mktemp("runs") / "simulated", made)


def shown(verdict: dict) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    report(verdict, console)
    return console.export_text()


def test_settings_of_a_replay_survive_their_file(tmp_path):
    made = replay_settings()
    (tmp_path / "config.yaml").write_text(made.to_yaml())
    again = read(tmp_path / "config.yaml")
    assert again == made
    assert isinstance(again.env, ReplayConfig)


def test_the_published_walk_forward_settings_are_valid():
    made = read(REPOSITORY / "configs" / "replay_walk_forward.yaml")
    assert made.role == "replay"
    assert training_saw_none(made.env, replay_config(made.env))


def test_a_walk_forward_run_is_judged_after_its_date(walk_forward):
    verdict, found = replay(walk_forward)
    assert verdict["unseen"]
    assert min(first for first, _ in verdict["windows"]) == "2025-06-30"
    assert found.days == 62 + 35
    assert set(verdict["policies"]) == {"learned", "root", "hold", *REPLAY_POLICIES}
    assert json.loads((walk_forward / "replay.json").read_text()) == json.loads(json.dumps(verdict))
    with (walk_forward / "replay.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (len(REPLAY_POLICIES) + 3) * found.days
    mine = [float(r["log_growth"]) for r in rows if (r["impact"], r["policy"]) == ("recovering", "learned")]  # fmt: skip
    assert sum(mine) == pytest.approx(
        verdict["policies"]["learned"]["recovering"]["log_growth"]["value"]
    )


def test_the_table_fits_and_no_claim_is_made_without_ground(walk_forward):
    verdict, _ = replay(walk_forward)
    text = shown(verdict)
    assert max(map(len, text.splitlines())) <= 100
    assert "hold" in text
    assert text.startswith(("learned beats all ", "learned does NOT beat "))
    assert set(verdict["learned_minus"]) == set(verdict["policies"]) - {"learned"}
    assert LIMITS[0] in text
    assert "credible" in text if verdict["credible"] else "no claim: the lower bound" in text
    good = json.loads(json.dumps(verdict)) | {"credible": True}
    assert "credible: lower bounds against root and buy-and-hold are above 0" in shown(good)
    seen = json.loads(json.dumps(verdict)) | {"credible": False, "unseen": False}
    assert "no claim: training may have seen these days" in shown(seen)


def test_twice_the_steps_is_once_and_resumed(tmp_path):
    once = trained(tmp_path / "once", replay_settings().model_copy(update={"anneal": False}))
    half = replay_settings().model_copy(update={"anneal": False, "total_timesteps": 512})
    parts = trained(tmp_path / "parts", half)
    train(replay_settings().model_copy(update={"anneal": False}), parts, resume=True)
    one, two = ((run / "policy.safetensors").read_bytes() for run in (once, parts))
    assert one == two


def test_days_that_training_may_have_seen_are_told():
    after = replay_settings()
    assert training_saw_none(after.env, replay_config(after.env))
    assert not training_saw_none(after.env, ReplayConfig.make(REPLAY))
    open_end = replay_settings(split_date=None)
    assert not training_saw_none(open_end.env, replay_config(open_end.env))
    elsewhere = replay_settings(split_date=None, prices="mainnet-2025")
    assert training_saw_none(elsewhere.env, ReplayConfig.make(prices="mainnet-2026", n_subnets=4))
    assert training_saw_none(settings().env, ReplayConfig.make(n_subnets=4))


def test_a_simulated_run_is_judged_on_both_paths(simulated):
    verdict, found = replay(simulated)
    assert verdict["unseen"]
    assert found.days == 212
    assert verdict["n_subnets"] == 4


def test_a_run_without_the_signal_never_sees_it(simulated):
    env = TrainingEnv(read(simulated / "config.yaml"))
    observation = env.reset()
    np.testing.assert_array_equal(observation, without_signal(observation))
    mean = 48 + GLOBAL_FEATURES.index("mean_signal_value")
    signals = np.r_[np.arange(1, 48, 12), mean]
    for _ in range(20):
        observation, _, done, infos = env.step(np.zeros((8, 6), np.float32))
        assert not observation[:, signals].any()
        for world in np.flatnonzero(done):
            assert not infos[world]["terminal_observation"][signals].any()
    assert evaluate(simulated, 2)["policies"]["learned"]


def test_builders_and_other_mixtures_are_refused(tmp_path):
    made = builder_settings()
    (tmp_path / "config.yaml").write_text(made.to_yaml())
    with pytest.raises(PolicyError, match="got a builder, allowed is a staker"):
        replay(tmp_path)
    with pytest.raises(ConfigError, match="observe_signal: got False"):
        builder_settings(observe_signal=False)
    with pytest.raises(ConfigError, match=r"got ReplayConfig, allowed are TaskConfig"):
        settings(env=ReplayConfig.make())
    with pytest.raises(ConfigError, match="era: unknown parameter"):
        replay_settings(era="launch")
    with pytest.raises(ConfigError, match="allowed is 'train'"):
        replay_settings(split="evaluation")


def test_several_stakers_are_back_tested_side_by_side(simulated, walk_forward):
    config = {"prices": "mainnet-2025", "n_subnets": 3, "last_date": "2025-06-30"}
    verdict = replay_folders([simulated, walk_forward, POLICIES / "staker_quickstart"], config)
    names = ["simulated", "walk", "staker_quickstart"]
    assert list(verdict["several"]) == names
    assert set(verdict["policies"]) == {*names, "root", "hold", *REPLAY_POLICIES}
    assert verdict["unseen"] == {"simulated": True, "walk": False, "staker_quickstart": True}
    assert not verdict["credible"]["walk"]
    one, two = (verdict["learned_minus"][name] for name in names[:2])
    assert one["walk"]["value"] == pytest.approx(-two["simulated"]["value"])
    text = shown(verdict)
    assert max(map(len, text.splitlines())) <= 100
    assert "walk: no claim: training may have seen these days" in text
    alone, _ = replay(simulated, config)
    assert alone["policies"]["learned"] == verdict["policies"]["simulated"]


def test_training_seeds_are_back_tested_one_by_one(simulated, tmp_path):
    for seed in (0, 1):
        shutil.copytree(simulated, tmp_path / "mine" / f"seed_{seed}")
    config = {"prices": "mainnet-2026", "n_subnets": 3}
    verdict = replay_folders([tmp_path / "mine"], config)
    assert list(verdict["several"]) == ["seed_0", "seed_1"]


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "evaluate.py", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "COLUMNS": "100"},
    )


def test_the_command_prints_a_table_of_a_hundred_columns(simulated, tmp_path):
    chosen = tmp_path / "replay.yaml"
    chosen.write_text(yaml.safe_dump({"prices": "mainnet-2026", "n_subnets": 3}))
    done = command(str(simulated), "--replay", "--replay-config", str(chosen))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert "windows: 2026-03-29 to 2026-04-28" in done.stdout  # what is left is too short
    assert any(line.startswith(("no claim", "credible")) for line in lines)
    wrong = command(str(simulated), "--replay-config", str(chosen))
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: --replay-config")
