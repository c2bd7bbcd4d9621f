"""Checkpoints: a run that was killed ends with the weights of one that was left alone."""

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from dtao_agents.training.checkpoints import (
    CheckpointError,
    capture,
    latest_checkpoint,
    read_checkpoint,
    read_latest,
    remove_half_written,
    restore,
    write_checkpoint,
)
from dtao_agents.training.ppo import TrainingEnv, make_model
from safetensors.numpy import load_file, save_file

from tests.agents.worlds import settings, write_settings

REPOSITORY = Path(__file__).resolve().parents[3]
ROLLOUT = 8 * 16


def start(*arguments: object) -> subprocess.Popen:
    """train.py in a process of its own."""
    command = [sys.executable, "-W", "error", "train.py", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors


def rows(run: Path) -> list[dict]:
    """Metrics without the columns that tell the time."""
    with (run / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


def write(folder: Path, model, facts: dict) -> Path:
    """A checkpoint of a model."""
    arrays, own = capture(model)
    return write_checkpoint(folder, arrays, own, model.num_timesteps, facts)


@pytest.fixture(scope="module")
def trained():
    """A model after three rollouts, with its settings."""
    made = settings(total_timesteps=10 * ROLLOUT)
    model = make_model(made, TrainingEnv(made))
    model.learn(3 * ROLLOUT, log_interval=None)
    return made, model


@pytest.mark.usefixtures("trained")  # kernels are compiled by then
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    config = write_settings(tmp_path, total_timesteps=60 * ROLLOUT, checkpoint_every=7)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    victim = start(config, "--run-dir", broken)
    reference = start(config, "--run-dir", whole)
    while not list(broken.glob("checkpoints/step_*")) and victim.poll() is None:
        time.sleep(0.002)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    stopped_at = latest_checkpoint(broken / "checkpoints").name
    assert not (broken / "policy.safetensors").exists()
    finish(reference)

    finish(start("--resume", broken))
    last = latest_checkpoint(whole / "checkpoints").name
    assert stopped_at < last == latest_checkpoint(broken / "checkpoints").name
    assert (broken / "policy.safetensors").read_bytes() == (
        whole / "policy.safetensors"
    ).read_bytes()
    mine, theirs = load_file(broken / "checkpoints" / last), load_file(whole / "checkpoints" / last)
    assert mine.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(mine[name], array, err_msg=name)
    assert rows(broken) == rows(whole)


def test_what_is_restored_is_what_was_captured(trained, tmp_path):
    made, model = trained
    path = write(tmp_path, model, {"seconds": 1.5})
    arrays, own, run = read_checkpoint(latest_checkpoint(tmp_path))
    assert path.name == f"step_{3 * ROLLOUT:012d}.safetensors"
    assert run == {"seconds": 1.5}
    twin = make_model(made, TrainingEnv(made))
    restore(twin, arrays, own)
    again, facts = capture(twin)
    assert facts == capture(model)[1] == own
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


def test_the_last_two_are_kept(trained, tmp_path):
    _, model = trained
    for number in (1, 2, 10**6):  # the last one is damaged, or the run had gone on from it
        (tmp_path / f"step_{number:012d}.safetensors").write_bytes(b"old")
    write(tmp_path, model, {})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step_000000000002.safetensors", f"step_{3 * ROLLOUT:012d}.safetensors"]


def test_half_written_files_are_no_checkpoints(trained, tmp_path):
    (tmp_path / ".step_000000999999.safetensors.abc").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="got no checkpoint"):
        latest_checkpoint(tmp_path)
    _, model = trained
    path = write(tmp_path, model, {})
    assert latest_checkpoint(tmp_path) == path
    assert path.stat().st_size > 1000
    remove_half_written(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle" * 10, b"\xff" * 100])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "step_000000000001.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"step_000000000001\.safetensors: cannot be read"):
        read_checkpoint(path)


ARRAYS = {
    "weights": np.arange(6.0).reshape(2, 3),
    "n": np.array(3),
    "bytes": np.arange(4, dtype="u1"),
}


def test_any_changed_bit_is_noticed(tmp_path):
    path = write_checkpoint(tmp_path, ARRAYS, {"seeds": [1, 2]}, 1, {"seconds": 0.5})
    arrays, own, facts = read_checkpoint(path)
    assert (own, facts) == ({"seeds": [1, 2]}, {"seconds": 0.5})
    assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items())
    good = path.read_bytes()
    for place in range(8 * len(good)):
        content = bytearray(good)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"step_000000000001\.safetensors: "):
            read_checkpoint(path)


def test_checkpoints_of_before_are_refused_by_their_format(tmp_path):
    path = tmp_path / "step_000000000001.safetensors"
    save_file(ARRAYS, path, {"checkpoint": '{"format": 1, "own": {}, "run": {}}'})
    with pytest.raises(CheckpointError, match="format: got 1, allowed is 2"):
        read_checkpoint(path)


def test_the_newest_whole_checkpoint_is_read_and_each_damaged_one_is_told(tmp_path, capsys):
    for steps in (1, 2):
        write_checkpoint(tmp_path, ARRAYS, {}, steps, {"seconds": float(steps)})
    first, second = sorted(tmp_path.iterdir())
    assert read_latest(tmp_path)[2] == {"seconds": 2.0}
    assert capsys.readouterr().err == ""
    second.write_bytes(second.read_bytes()[:-8])
    assert read_latest(tmp_path)[2] == {"seconds": 1.0}
    line = capsys.readouterr().err
    assert line.startswith(f"warning: {second}: cannot be read: ")
    assert line.endswith(f"; trying {first.name}\n")
    assert line.count("\n") == 1
    first.write_bytes(b"")
    with pytest.raises(CheckpointError, match=f"{first.name}: cannot be read"):
        read_latest(tmp_path)


@pytest.mark.parametrize(
    "missing", ["returns", "torch_rng", "state/fields", "seeds", "num_timesteps"]
)
def test_a_checkpoint_that_lacks_an_entry_is_refused(trained, missing):
    made, model = trained
    arrays, own = capture(model)
    arrays.pop(missing, None), own.pop(missing, None)
    with pytest.raises(CheckpointError, match="does not fit the configured run: KeyError"):
        restore(make_model(made, TrainingEnv(made)), arrays, own)


@pytest.mark.parametrize(
    ("changes", "message"), [({"hidden": 4}, "do not fit"), ({"num_envs": 4}, "state fields: got")]
)
def test_a_checkpoint_of_other_settings_is_refused(trained, changes, message):
    _, model = trained
    arrays, own = capture(model)
    other = settings(**changes)
    with pytest.raises(CheckpointError, match=message):
        restore(make_model(other, TrainingEnv(other)), arrays, own)
