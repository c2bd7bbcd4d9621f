"""AgileRL: a native batch under PPO, and many agents in its vector environment."""

import numpy as np
import pytest

pytest.importorskip("agilerl")

import gymnasium as gym

import dtao_gym

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SETTINGS = {"n_subnets": 4, "horizon_days": 6}


def many_agents():
    return dtao_gym.parallel_env(stakers=2, builders=(0, 1), **SETTINGS)


def test_ppo_acts_in_a_native_batch():
    pytest.importorskip(
        "peft"
    )  # AgileRL's algorithms import it, its distribution does not require it
    from agilerl.algorithms.ppo import PPO

    envs = gym.make_vec("dtao_gym/Staker-v0", 3, **SETTINGS)
    agent = PPO(envs.single_observation_space, envs.single_action_space)
    seen, _ = envs.reset(seed=0)
    for _ in range(8):
        action = np.asarray(agent.get_action(seen)[0])
        seen, reward, *_ = envs.step(np.clip(action, -1.0, 1.0))
        assert np.isfinite(reward).all()


def test_many_agents_run_in_its_processes():
    from agilerl.vector import AsyncPettingZooVecEnv

    envs = AsyncPettingZooVecEnv([many_agents for _ in range(2)])
    try:
        envs.reset(seed=0)
        names = many_agents().possible_agents
        for _ in range(8):  # beyond the end of an episode
            actions = {
                agent: np.zeros((2, *envs.single_action_space(agent).shape), np.float32)
                for agent in names
            }
            _, rewards, *_ = envs.step(actions)
            assert set(rewards) == set(names)
    finally:
        envs.close()
