"""Learning together: who learns from what, past opponents, and runs that go on as if nothing had been."""

import copy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from dtao_agents.training.checkpoints import CheckpointError
from dtao_agents.training.multi_agent import MultiAgentTraining
from dtao_agents.training.multi_agent_settings import MultiAgentConfig

from tests.agents.worlds import WORLD

REPOSITORY = Path(__file__).resolve().parents[3]
LEARNER = {"batch_size": 64, "hidden": 8, "epochs": 1}
MULTI_AGENT = {
    "env": WORLD,
    "stakers": 2,
    "num_envs": 8,
    "rollout_steps": 8,
    "past_share": 0.25,
    "past_every": 1,
    "past_kept": 2,
    "threads": 1,
    "total_timesteps": 2000,
    "staker": dict(LEARNER),
    "builder": dict(LEARNER),  # of its own: files of settings have no aliases
}


def together(**changes) -> MultiAgentTraining:
    return MultiAgentTraining(MultiAgentConfig.make(MULTI_AGENT | changes))


def weights(made: MultiAgentTraining, role: str) -> list[torch.Tensor]:
    return [p.detach().clone() for p in made.learners[role].ppo.policy.parameters()]


def moved(before: list, after: list) -> bool:
    return any((a != b).any() for a, b in zip(before, after, strict=True))


def test_both_learn_at_once_from_their_own_rows():
    made = together()
    before = {role: weights(made, role) for role in made.learners}
    made.rollout()
    assert all(moved(before[role], weights(made, role)) for role in before)
    staker, builder = made.learners["staker"], made.learners["builder"]
    # worlds 0, 1: stakers meet past builders; 2, 3: builders meet past stakers
    assert staker.rows.tolist() == [0, 1, 2, 3, *range(8, 16)]
    assert staker.past_rows.tolist() == [4, 5, 6, 7]
    assert builder.past_rows.tolist() == list(range(8))
    assert made.timesteps == 8 * (12 + 24)


def test_in_turns_one_role_stands_still():
    made = together(turn=2)
    for learning in ("staker", "staker", "builder", "builder", "staker"):
        before = {role: weights(made, role) for role in made.learners}
        made.rollout()
        for role, old in before.items():
            assert moved(old, weights(made, role)) == (role == learning)


def test_rewards_of_a_rollout_add_up_to_what_was_consumed():
    made = together(past_share=0.0, env=WORLD | {"horizon_days": 500})
    state = made.worlds.batch.state
    before = state.row("consumed").copy()
    made.rollout()
    scale = made.settings.builder.reward_scale / made.settings.env.consumption_scale_tao
    paid = (state.row("consumed") - before).ravel() * scale
    rewards = made.learners["builder"].ppo.rollout_buffer.rewards.sum(0)
    going_on = [world for world in range(8) if made.worlds.numbers[world] == 0]
    rows = (np.array(going_on)[:, None] * 4 + np.arange(4)).ravel()
    assert len(going_on) >= 6
    np.testing.assert_allclose(rewards[rows], paid[rows], rtol=1e-4, atol=1e-5)


def test_past_versions_are_kept_and_play():
    made = together()
    for _ in range(4):
        made.rollout()
    learner = made.learners["builder"]
    assert len(learner.past) == 2
    learner.past.pop()  # the newest is the present one
    learner.meet_past(np.random.default_rng(0))
    seen = made.worlds.observe()["builder"]
    actions = learner.decide(seen, learning=False)
    with torch.no_grad():
        present = learner.actor(torch.tensor(seen)).clamp(-1, 1).numpy()
    np.testing.assert_allclose(actions[learner.rows], present[learner.rows], rtol=1e-5, atol=1e-6)
    assert np.abs(actions[learner.past_rows] - present[learner.past_rows]).max() > 1e-4


def test_what_is_restored_goes_on_alike():
    torch.use_deterministic_algorithms(True)
    one = together(turn=1)
    for _ in range(3):
        one.rollout()
    arrays, facts = copy.deepcopy(one.capture())
    torch.manual_seed(99)
    two = together(turn=1)
    two.restore(*copy.deepcopy((arrays, facts)))
    found = two.rollout()
    three = together(turn=1)
    three.restore(arrays, facts)
    again = three.rollout()
    assert {k: str(v) for k, v in found.items()} == {k: str(v) for k, v in again.items()}
    for role in one.learners:
        assert not moved(weights(two, role), weights(three, role))
    end, other = two.capture(), three.capture()
    assert str(end[1]) == str(other[1])
    for name, array in end[0].items():
        np.testing.assert_array_equal(array, other[0][name], err_msg=name)


def test_a_checkpoint_of_other_settings_is_refused():
    arrays, facts = together().capture()
    with pytest.raises(CheckpointError, match="state fields: got"):
        together(num_envs=12).restore(arrays, facts)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_policies(tmp_path):
    config = tmp_path / "many.yaml"
    response = {"timesteps": 64, "num_envs": 8, "starts": 1, "episodes": 8, "generations": 1}
    changes = {
        "env": WORLD | {"horizon_cap_days": 20},
        "total_timesteps": 12_000,
        "checkpoint_every": 3,
        "response": response | {"nash_seeds": 0},
    }
    config.write_text(yaml.safe_dump(MULTI_AGENT | changes))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    command = [sys.executable, "-W", "error", "train.py"]
    victim = subprocess.Popen(
        [*command, str(config), "--run-dir", str(broken)],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list(broken.glob("checkpoints/step_*")) and victim.poll() is None:
        time.sleep(0.002)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert victim.returncode == -signal.SIGKILL
    assert not (broken / "staker").exists()
    for arguments in ([str(config), "--run-dir", str(whole)], ["--resume", str(broken)]):
        done = subprocess.run(
            [*command, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
    for role in ("staker", "builder"):
        files = [run / role / "policy.safetensors" for run in (whole, broken)]
        assert files[0].read_bytes() == files[1].read_bytes()
    judged = [(run / "exploitability.json").read_text() for run in (whole, broken)]
    assert judged[0] == judged[1]


@pytest.mark.slow
def test_a_run_from_the_command_line_ends_with_exploitability(tmp_path):
    config = tmp_path / "many.yaml"
    response = {"timesteps": 256, "num_envs": 8, "starts": 3, "episodes": 8, "generations": 1}
    env = WORLD | {"horizon_cap_days": 40}
    config.write_text(
        yaml.safe_dump(MULTI_AGENT | {"env": env, "response": response | {"nash_seeds": 0}})
    )
    whole = [
        sys.executable,
        "-W",
        "error",
        "train.py",
        str(config),
        "--run-dir",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(whole, cwd=REPOSITORY, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "PPO, start 2" in done.stdout
    assert "cross-entropy" in done.stdout
    for role in ("staker", "builder"):
        assert (
            f"{role}: no deviation" in done.stdout or f"{role}: NOT AN EQUILIBRIUM" in done.stdout
        )
        assert (tmp_path / "run" / role / "policy.safetensors").is_file()
    again = [sys.executable, "-W", "error", "evaluate.py", str(tmp_path / "run")]
    judged = subprocess.run(again, cwd=REPOSITORY, capture_output=True, text=True, timeout=900)
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.split("Gain of one")[1][:400] == done.stdout.split("Gain of one")[1][:400]
