"""One policy for all members of a role: rows, ends, infos, and what Stable-Baselines3 does with it."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from dtao_gym.envs.builder.observation import observation_size as builder_size
from dtao_gym.envs.sb3 import MarketVecEnv, SharedVecEnv
from dtao_gym.envs.staker.observation import observation_size as staker_size
from dtao_gym.world.config import ConfigError

SETTINGS = {"n_subnets": 4, "horizon_days": 6}
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}


def standing_still(observation, batch, rngs):
    """All members of the other role do what a zero action says."""
    size = 4 if observation.shape[1] == builder_size(4) else 6
    return np.zeros((len(observation), size), np.float32)


def test_one_staker_per_world_equals_the_environment_of_one_learner(rng, same):
    settings = SETTINGS | {"wealth_tao": 60_000.0}
    shared, plain = SharedVecEnv(3, "staker", **settings), MarketVecEnv(3, **settings)
    for env in (shared, plain):
        env.seed(4)
    assert same(shared.reset(), plain.reset())
    for _ in range(8):
        actions = rng.uniform(-1, 1, (3, 6)).astype(np.float32)
        one, other = shared.step(actions), plain.step(actions)
        assert same(one, other)


def test_rows_of_a_dissolved_subnet_are_done_and_go_on(rng):
    env = SharedVecEnv(3, "builder", **SETTINGS | {"horizon_days": 60}, **CROWDED)
    env.seed(1)
    env.reset()
    lengths, returns, dones = np.zeros(12, int), np.zeros(12), 0
    for day in range(120):
        seen, reward, done, infos = env.step(rng.uniform(-1, 1, (12, 4)).astype(np.float32))
        lengths += 1
        returns += reward
        at_the_end = (day + 1) % 60 == 0
        for row in np.flatnonzero(done):
            info = infos[row]
            assert info["TimeLimit.truncated"] == at_the_end
            assert info["episode"]["l"] == lengths[row]
            assert info["episode"]["r"] == pytest.approx(returns[row], abs=1e-4)
            assert env.observation_space.contains(info["terminal_observation"])
        dones += int(done.sum()) if not at_the_end else 0
        assert done.all() or not at_the_end
        lengths[done], returns[done] = 0, 0.0
        assert seen.shape == (12, 50)
        assert all(not info for info, over in zip(infos, done, strict=True) if not over)
    assert dones > 20
    assert env.worlds.batch.audit().ok


def test_the_companion_decides_for_the_other_role():
    seen = []

    def companion(observation, batch, rngs):
        seen.append(observation)
        return standing_still(observation, batch, rngs)

    env = SharedVecEnv(2, "builder", stakers=3, builders=[0, 1], companion=companion, **SETTINGS)
    env.reset()
    env.step(np.zeros((4, 4), np.float32))
    assert [s.shape for s in seen] == [(6, staker_size(4))]
    assert (env.worlds.batch.state.stakers["traded"] > 0.0).all()


def test_one_member_learns_among_its_peers():
    def peers(observation, batch, rngs):
        return np.full((len(observation), 4), 0.25, np.float32)

    env = SharedVecEnv(3, "builder", learner=2, peers=peers, builders=[0, 2, 3], **SETTINGS)
    assert env.num_envs == 3
    seen = env.reset()
    np.testing.assert_array_equal(seen, env.worlds.observe()["builder"][1::3])
    before = env.worlds.batch.state.row("consumed").copy()
    _, reward, _, _ = env.step(np.full((3, 4), -0.5, np.float32))
    state = env.worlds.batch.state
    np.testing.assert_allclose(state.row("spend_rate")[:, [0, 2, 3]], [[0.125, 0.05, 0.125]] * 3)
    paid = (state.row("consumed") - before)[:, 2] / env.worlds.config.consumption_scale_tao
    np.testing.assert_allclose(reward, paid, rtol=1e-5)
    with pytest.raises(ConfigError, match=r"learner: got 1, allowed is one of \(0, 2, 3\)"):
        SharedVecEnv(3, "builder", learner=1, peers=peers, builders=[0, 2, 3], **SETTINGS)
    with pytest.raises(ConfigError, match="peers: got None"):
        SharedVecEnv(3, "builder", learner=0, **SETTINGS)


def test_refusals():
    with pytest.raises(ConfigError, match="companion: got None"):
        SharedVecEnv(1, "builder", stakers=1, **SETTINGS)
    with pytest.raises(ConfigError, match="companion"):
        SharedVecEnv(1, "builder", companion=standing_still, **SETTINGS)
    with pytest.raises(ConfigError, match="role: got 'validator'"):
        SharedVecEnv(1, "validator", stakers=1, **SETTINGS)
    with pytest.raises(NotImplementedError, match=r"worlds\.batch"):
        SharedVecEnv(1, "builder", **SETTINGS).set_attr("config", None)


def test_ppo_learns_over_it_with_a_wrapper():
    env = SharedVecEnv(4, "builder", **SETTINGS)
    assert env.get_attr("members") == [{"builder": (0, 1, 2, 3)}] * 16
    assert env.env_method("observe", indices=[5])[0].shape == (builder_size(4),)
    model = PPO("MlpPolicy", VecNormalize(env), n_steps=8, batch_size=64, seed=0, device="cpu")
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(256)
    assert any((p != q).any() for p, q in zip(before, model.policy.parameters(), strict=True))
    assert (
        len(model.ep_info_buffer) >= 32
    )  # two episodes of each row, more where a subnet was dissolved
