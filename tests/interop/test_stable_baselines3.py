"""Stable-Baselines3's algorithms and tools, unchanged, on both environments and both kinds of VecEnv."""

import warnings

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor, VecNormalize

from dtao_gym.envs.sb3 import MarketVecEnv

ROLES = {"staker": "dtao_gym/Staker-v0", "builder": "dtao_gym/Builder-v0"}
SETTINGS = {"n_subnets": 4, "spans_per_day": 1, "horizon_days": 6}
ALGORITHMS = {
    PPO: {"n_steps": 16, "batch_size": 16, "n_epochs": 2},
    SAC: {"learning_starts": 16, "batch_size": 16, "buffer_size": 500},
}
both_roles = pytest.mark.parametrize("role", ROLES)
both_kinds = pytest.mark.parametrize("kind", ["gymnasium", "native"])


def worlds(role: str, kind: str, n: int = 2) -> VecEnv:
    """SB3's own loop over `gym.make`, or the batch."""
    if kind == "native":
        return MarketVecEnv(n, role, **SETTINGS)
    return make_vec_env(ROLES[role], n, env_kwargs=SETTINGS)


def parameters(model) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(model.policy.parameters()).detach().clone()


@both_roles
def test_the_checker_has_no_complaint(role):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(ROLES[role], **SETTINGS), warn=True, skip_render_check=False)


@both_roles
@both_kinds
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_trains_and_its_policy_plays(algorithm, kind, role, tmp_path):
    envs = worlds(role, kind)
    small = {"policy_kwargs": {"net_arch": [8]}, "device": "cpu", "seed": 0}
    model = algorithm("MlpPolicy", envs, **ALGORITHMS[algorithm], **small)
    before = parameters(model)
    model.learn(128)
    after = parameters(model)
    assert model.num_timesteps == 128
    assert torch.isfinite(after).all()
    assert (after != before).float().mean() > 0.5
    assert {entry["l"] for entry in model.ep_info_buffer} == {6}
    observation = envs.reset()
    for deterministic in (True, False):
        actions, _ = model.predict(observation, deterministic=deterministic)
        assert all(envs.action_space.contains(action) for action in actions)
    model.save(tmp_path / "model")
    again, _ = algorithm.load(tmp_path / "model", device="cpu").predict(
        observation, None, None, True
    )
    np.testing.assert_allclose(again, model.predict(observation, deterministic=True)[0], atol=1e-6)


@both_roles
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_training_on_the_batch_is_training_on_single_environments(algorithm, role):
    """Equal observations, rewards and ends must give equal weights, but for the last bits of products."""
    learned = []
    for kind in ("gymnasium", "native"):
        small = {"policy_kwargs": {"net_arch": [8]}, "device": "cpu", "seed": 3}
        model = algorithm("MlpPolicy", worlds(role, kind), **ALGORITHMS[algorithm], **small)
        learned.append(parameters(model.learn(96)))
    np.testing.assert_allclose(learned[0], learned[1], rtol=1e-4, atol=1e-5)


@both_roles
@both_kinds
def test_a_monitor_counts_what_was_earned(kind, role):
    if kind == "gymnasium":
        envs = VecMonitor(DummyVecEnv([lambda: gym.make(ROLES[role], **SETTINGS)] * 2))
    else:
        with pytest.warns(UserWarning, match="already wrapped"):  # it tells returns by itself
            envs = VecMonitor(MarketVecEnv(2, role, **SETTINGS))
    envs.seed(4)
    envs.reset()
    envs.action_space.seed(4)
    earned, infos = np.zeros(2), []
    for _ in range(6):
        _, reward, done, infos = envs.step(np.stack([envs.action_space.sample()] * 2))
        earned += reward
    assert done.all()
    for k, info in enumerate(infos):
        assert info["episode"]["r"] == pytest.approx(earned[k], rel=1e-5, abs=1e-6)
        assert info["episode"]["l"] == 6


@both_roles
@both_kinds
def test_observations_and_rewards_are_normalised(kind, role):
    plain, envs = worlds(role, kind), VecNormalize(worlds(role, kind), gamma=0.9)
    plain.seed(1), envs.seed(1)
    plain.action_space.seed(1)
    seen = [plain.reset()]
    normal = envs.reset()
    returns = np.zeros(2)
    for _ in range(8):
        action = np.stack([plain.action_space.sample() for _ in range(2)])
        observation, reward, done, _ = plain.step(action)
        normal, scaled, _, _ = envs.step(action)
        seen.append(observation)
        returns = returns * 0.9 + reward
        np.testing.assert_allclose(envs.returns, np.where(done, 0.0, returns), rtol=1e-5)
        returns[done] = 0.0
    assert normal.dtype == np.float32
    assert normal.shape == seen[0].shape
    rows, prior = np.concatenate(seen).astype(float), 1e-4  # counts begin at a ten-thousandth
    mean = rows.sum(0) / (len(rows) + prior)
    np.testing.assert_allclose(envs.obs_rms.mean, mean, atol=1e-6)
    deviation = np.sqrt(envs.obs_rms.var + envs.epsilon)
    wanted = np.clip((seen[-1] - mean) / deviation, -envs.clip_obs, envs.clip_obs)
    np.testing.assert_allclose(normal, wanted, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(envs.get_original_obs(), seen[-1])
    np.testing.assert_array_equal(envs.get_original_reward(), reward)
    deviation = np.sqrt(envs.ret_rms.var + envs.epsilon)
    np.testing.assert_allclose(scaled, np.clip(reward / deviation, -10.0, 10.0), rtol=1e-5)


@both_roles
@both_kinds
def test_evaluation_returns_what_the_policy_earns(kind, role):
    """An untrained policy, its mean actions, against the same played by hand."""
    envs = worlds(role, kind, 1)
    model = PPO("MlpPolicy", envs, device="cpu", seed=0)
    envs.seed(11)
    returns, lengths = evaluate_policy(model, envs, 2, return_episode_rewards=True)
    env, wanted = gym.make(ROLES[role], **SETTINGS), []
    for seed in (11, None):
        observation, earned, ended = env.reset(seed=seed)[0], 0.0, False
        while not ended:
            action = model.predict(observation, deterministic=True)[0]
            observation, reward, terminated, truncated, _ = env.step(action)
            earned, ended = earned + reward, terminated or truncated
        wanted.append(earned)
    assert lengths == [6, 6]
    assert returns == pytest.approx(wanted, rel=1e-4, abs=2e-6)
    assert returns[0] != returns[1]
