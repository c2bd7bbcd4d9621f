"""TorchRL: single environments, native batches and many agents in its collectors."""

import numpy as np
import pytest

pytest.importorskip("torchrl")

import gymnasium as gym
import torch
from torchrl import envs as torchrl_envs

import dtao_gym

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SETTINGS = {"n_subnets": 4, "horizon_days": 6}


@pytest.mark.parametrize("name", ["Staker", "Builder", "BuilderDiscrete"])
def test_a_single_environment_passes_its_checks(name):
    env = torchrl_envs.GymEnv(f"dtao_gym/{name}-v0", **SETTINGS)
    torchrl_envs.check_env_specs(env)
    played = env.rollout(20)
    assert played.batch_size == torch.Size([6])
    assert bool(played["next", "truncated"][-1])


def test_rewards_are_those_of_the_environment():
    env = torchrl_envs.GymEnv("dtao_gym/Staker-v0", **SETTINGS)
    plain = gym.make("dtao_gym/Staker-v0", **SETTINGS)
    env.set_seed(5)
    played = env.rollout(6)  # starts again without a seed: the next episode of this one
    plain.reset(seed=env._env.unwrapped.np_random_seed)
    plain.reset()
    rewards = [plain.step(action)[1] for action in played["action"].numpy()]
    np.testing.assert_allclose(played["next", "reward"].flatten().numpy(), rewards, atol=1e-7)


def test_a_native_batch_is_wrapped():
    envs = gym.make_vec("dtao_gym/Staker-v0", 3, autoreset_mode="SameStep", **SETTINGS)
    env = torchrl_envs.GymWrapper(envs)
    assert env.batch_size == torch.Size([3])
    played = env.rollout(15, break_when_any_done=False)
    assert played.batch_size == torch.Size([3, 15])
    ends = played["next", "truncated"].squeeze(-1)
    assert ends.sum(1).tolist() == [2, 2, 2]
    assert ends[0].nonzero().flatten().tolist() == [5, 11]


def test_many_agents_are_wrapped_and_may_leave():
    pytest.importorskip("pettingzoo")
    settings = {"n_subnets": 4, "horizon_days": 60, "arrivals_per_slot_year": 12.0}
    settings |= {"entry_value_tao": 1e6, "immunity_days": 0.0}
    env = torchrl_envs.PettingZooWrapper(
        dtao_gym.parallel_env(stakers=2, builders="all", **settings),
        use_mask=True,
        done_on_any=False,
    )
    played = env.rollout(60)
    assert played.batch_size == torch.Size([60])
    assert not played["builder", "mask"].all()
    assert played["staker", "mask"].all()
