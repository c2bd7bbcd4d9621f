"""Algorithms of sb3-contrib, unchanged: one with a memory and one off-policy."""

import numpy as np
import pytest

pytest.importorskip("sb3_contrib")

import torch
from sb3_contrib import TQC, RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from dtao_gym.envs.sb3 import MarketVecEnv

ROLES = {"staker": "dtao_gym/Staker-v0", "builder": "dtao_gym/Builder-v0"}
SETTINGS = {"n_subnets": 4, "spans_per_day": 1, "horizon_days": 6}
SMALL = {"net_arch": [8]}
ALGORITHMS = {
    RecurrentPPO: {
        "policy": "MlpLstmPolicy",
        "policy_kwargs": SMALL | {"lstm_hidden_size": 4},
        "n_steps": 16,
        "batch_size": 16,
        "n_epochs": 2,
    },
    TQC: {
        "policy": "MlpPolicy",
        "policy_kwargs": SMALL | {"n_quantiles": 5},
        "top_quantiles_to_drop_per_net": 1,
        "learning_starts": 16,
        "batch_size": 16,
        "buffer_size": 500,
    },
}
both_roles = pytest.mark.parametrize("role", ROLES)
each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def worlds(role: str, kind: str) -> VecEnv:
    if kind == "native":
        return MarketVecEnv(2, role, **SETTINGS)
    return make_vec_env(ROLES[role], 2, env_kwargs=SETTINGS)


def parameters(model) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(model.policy.parameters()).detach().clone()


@both_roles
@each_algorithm
@pytest.mark.parametrize("kind", ["gymnasium", "native"])
def test_an_algorithm_trains_and_its_policy_plays(algorithm, kind, role):
    envs = worlds(role, kind)
    model = algorithm(env=envs, device="cpu", seed=0, **ALGORITHMS[algorithm])
    before = parameters(model)
    model.learn(128)
    after = parameters(model)
    assert model.num_timesteps == 128
    assert torch.isfinite(after).all()
    assert (after != before).float().mean() > 0.5
    assert {entry["l"] for entry in model.ep_info_buffer} == {6}
    actions, _ = model.predict(envs.reset())
    assert all(envs.action_space.contains(action) for action in actions)


@both_roles
@each_algorithm
def test_training_on_the_batch_is_training_on_single_environments(algorithm, role):
    learned = []
    for kind in ("gymnasium", "native"):
        model = algorithm(env=worlds(role, kind), device="cpu", seed=3, **ALGORITHMS[algorithm])
        learned.append(parameters(model.learn(96)))
    np.testing.assert_allclose(learned[0], learned[1], rtol=1e-4, atol=1e-5)


def test_a_memory_is_carried_within_an_episode_and_dropped_at_its_end():
    envs = MarketVecEnv(2, **SETTINGS)
    model = RecurrentPPO(env=envs, device="cpu", seed=0, **ALGORITHMS[RecurrentPPO])
    model.learn(64)
    observation = envs.reset()
    start, memory = model.predict(observation, deterministic=True)
    kept, _ = model.predict(observation, memory, np.zeros(2, bool), deterministic=True)
    dropped, _ = model.predict(observation, memory, np.ones(2, bool), deterministic=True)
    assert (kept != start).any()
    np.testing.assert_array_equal(dropped, start)
