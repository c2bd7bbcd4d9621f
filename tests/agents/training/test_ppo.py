"""Training: what a run leaves behind, and what it starts from."""

import json

import numpy as np
import pytest
import torch
from dtao_agents.evaluation.policy_files import config_hash, load_policy
from dtao_agents.training.architecture import NETWORKS
from dtao_agents.training.checkpoints import latest_checkpoint
from dtao_agents.training.ppo import TrainingEnv, make_model, train
from dtao_agents.training.run_folder import METRICS, read_metrics

from dtao_gym.envs.builder.actions import BUDGET_LOGIT_SCALE
from dtao_gym.envs.builder.observation import observation_size as builder_size
from tests.agents.worlds import FEE_ARM, WORLD, builder_settings, settings

FILES = {
    "config.yaml",
    "manifest.json",
    "metrics.csv",
    "policy.safetensors",
    "policy.json",
    "learning_curve.png",
    "checkpoints",
    "tensorboard",
}


def test_a_run_leaves_its_files(tmp_path):
    made = settings()
    train(made, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["status"], manifest["timesteps"]) == ("finished", 1024)
    rows = read_metrics(tmp_path / "metrics.csv")
    assert tuple(rows[0]) == METRICS
    assert [row["timesteps"] for row in rows] == list(range(128, 1025, 128))
    assert latest_checkpoint(tmp_path / "checkpoints").name == "step_000000001024.safetensors"
    card = load_policy(tmp_path).card
    assert (card.config_hash, card.timesteps) == (config_hash(made.env), 1024)


def test_twice_the_steps_is_once_and_resumed(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train(settings(anneal=False), whole)
    train(settings(anneal=False, total_timesteps=512), parts)
    train(settings(anneal=False), parts, resume=True)
    assert (whole / "policy.safetensors").read_bytes() == (
        parts / "policy.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("twin_world", [True, False])
def test_a_builder_can_be_trained_and_resumed(tmp_path, twin_world):
    """The lead over the twin is for the critic: the policy can do without."""
    env = FEE_ARM | {"twin_world": twin_world}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train(builder_settings(env=env, anneal=False), whole)
    train(builder_settings(env=env, anneal=False, total_timesteps=512), parts)
    train(builder_settings(env=env, anneal=False), parts, resume=True)
    weights = [(folder / "policy.safetensors").read_bytes() for folder in (whole, parts)]
    assert weights[0] == weights[1]
    policy = load_policy(whole)
    assert policy.card.architecture.role == "builder"
    assert policy.card.architecture.observation_size == builder_size(2)
    assert {path.name for path in whole.iterdir()} == FILES


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("env", [FEE_ARM, {"n_subnets": 3, "days_per_step": 7}])
def test_the_untrained_builder_has_the_research_share_it_is_told(network, env):
    made = builder_settings(network=network, env=env, research_share_init=0.2)
    training = TrainingEnv(made)
    action, _ = make_model(made, training).predict(training.reset(), deterministic=True)
    logit = BUDGET_LOGIT_SCALE * action[:, 0 if action.shape[1] == 1 else 1]
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-logit)), 0.2, atol=0.03)


def test_seeds_of_training_differ():
    first, again = (TrainingEnv(settings()).reset() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    models = [make_model(settings(seed=seed), TrainingEnv(settings(seed=seed))) for seed in (0, 1)]
    weights = [next(model.policy.actor.parameters()) for model in models]
    assert not torch.equal(*weights)
    seeds = [set(env._seeds) for env in (models[0].get_env(), models[1].get_env())]
    assert not seeds[0] & seeds[1]


def test_first_episodes_end_one_after_the_other():
    env = TrainingEnv(settings())
    env.reset()
    ends = []
    for _ in range(WORLD["horizon_days"]):
        ends.append(env.step(np.zeros((8, 6), np.float32))[2])
    assert (np.sum(ends, axis=0) >= 1).all()
    assert np.max(np.sum(ends, axis=1)) == 1


def test_rewards_are_scaled_and_their_record_is_not():
    env, plain = TrainingEnv(settings(reward_scale=20.0)), TrainingEnv(settings(reward_scale=1.0))
    env.reset()
    plain.reset()
    action = np.full((8, 6), 0.5, np.float32)
    scaled, unscaled = env.step(action)[1], plain.step(action)[1]
    np.testing.assert_array_equal(scaled, unscaled * np.float32(20.0))
    assert env.reward == plain.reward == pytest.approx(float(unscaled.mean()), rel=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_untrained_policy_trades_slowly_towards_nearly_equal_weights(network):
    made = settings(network=network, daily_share_init=0.1)
    env = TrainingEnv(made)
    action, _ = make_model(made, env).predict(env.reset(), deterministic=True)
    np.testing.assert_allclose(0.5 * (action[:, -1] + 1.0), 0.1, atol=0.02)
    np.testing.assert_allclose(action[:, :-1], 0.0, atol=0.05)
