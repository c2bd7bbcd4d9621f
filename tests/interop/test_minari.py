"""Minari: episodes of the environment as a data set."""

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("minari")

import minari

import dtao_gym  # noqa: F401  registers the environments

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SETTINGS = {"n_subnets": 4, "horizon_days": 6}


@pytest.mark.parametrize("name", ["Staker", "Builder", "BuilderDiscrete"])
def test_episodes_are_collected_and_the_environment_is_recovered(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = minari.DataCollector(gym.make(f"dtao_gym/{name}-v0", **SETTINGS))
    env.action_space.seed(0)
    for seed in (3, 4):
        env.reset(seed=seed)
        ended = False
        while not ended:
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            ended = terminated or truncated
    data = env.create_dataset(f"dtao/{name.lower()}-v0")
    assert data.total_episodes == 2
    again = data.recover_environment()
    for seed, episode in zip((3, 4), data.iterate_episodes(), strict=True):
        kept = [again.reset(seed=seed)[0]]
        rewards = []
        for action in episode.actions:
            seen, reward, *_ = again.step(action)
            kept.append(seen)
            rewards.append(reward)
        np.testing.assert_array_equal(episode.observations, kept)
        np.testing.assert_array_equal(episode.rewards, rewards)
