"""Actions that rounding has put a little beyond -1 and 1: taken for -1 and 1 in every view, others are refused."""

import gymnasium as gym
import numpy as np
import pytest

import dtao_gym
from dtao_gym.envs.builder.rivals import Rivals
from dtao_gym.envs.features import ROUNDING, without_rounding
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.vector import MarketVectorEnv

SETTINGS = {"n_subnets": 4, "horizon_days": 6}
ROLES = ["staker", "builder", "replay"]
each_role = pytest.mark.parametrize("role", ROLES)
each_type = pytest.mark.parametrize("dtype", [np.float32, np.float64])
EXCESS = [2.0**-23, 5e-7, ROUNDING]


def corners(size: int, excess: float, dtype: type) -> np.ndarray:
    """An action of ones and minus ones, all of which are too large by an excess, and a zero."""
    signs = np.where(np.arange(size) % 2, -1.0, 1.0)
    action = (signs * (1.0 + excess)).astype(dtype)
    action[0] = 0.0
    return action


@pytest.mark.parametrize("excess", EXCESS)
@each_type
@pytest.mark.parametrize("render_mode", [None, "ansi"], ids=["one call", "by parts"])
@each_role
def test_a_single_environment_takes_them_for_the_bounds(role, render_mode, dtype, excess, same):
    env, exact = (SingleEnv(role, render_mode=render_mode, **SETTINGS) for _ in range(2))
    env.reset(seed=0), exact.reset(seed=0)
    for _ in range(3):
        action = corners(env.action_space.shape[0], excess, dtype)
        kept = action.copy()
        assert same(env.step(action), exact.step(np.clip(action, -1.0, 1.0)))
        assert same(action, kept)


@each_type
@each_role
def test_many_worlds_take_them_for_the_bounds(role, dtype, same):
    envs, exact = (MarketVectorEnv(3, role, **SETTINGS) for _ in range(2))
    envs.reset(seed=0), exact.reset(seed=0)
    action = np.stack([corners(envs.action_space.shape[1], x, dtype) for x in EXCESS])
    for _ in range(3):
        assert same(envs.step(action), exact.step(np.clip(action, -1.0, 1.0)))


@each_type
@each_role
def test_the_environment_of_stable_baselines3_takes_them_for_the_bounds(role, dtype, same):
    pytest.importorskip("stable_baselines3")
    from dtao_gym.envs.sb3 import MarketVecEnv

    envs, exact = (MarketVecEnv(3, role, **SETTINGS) for _ in range(2))
    for one in (envs, exact):
        one.seed(0)
        one.reset()
    action = np.stack([corners(envs.action_space.shape[0], x, dtype) for x in EXCESS])
    for _ in range(3):
        assert same(envs.step(action), exact.step(np.clip(action, -1.0, 1.0)))


@each_type
def test_many_agents_take_them_for_the_bounds(dtype, same):
    pytest.importorskip("pettingzoo")
    env, exact = (dtao_gym.parallel_env(stakers=1, builders=[1], **SETTINGS) for _ in range(2))
    env.reset(seed=0), exact.reset(seed=0)
    actions = {a: corners(env.action_space(a).shape[0], ROUNDING, dtype) for a in env.agents}
    bounds = {a: np.clip(action, -1.0, 1.0) for a, action in actions.items()}
    for _ in range(3):
        assert same(env.step(actions), exact.step(bounds))


def test_rivals_may_round_as_well(same):
    envs, exact = (SingleEnv("builder", **SETTINGS) for _ in range(2))
    envs.episodes.rivals = Rivals(lambda seen, *_: np.full((len(seen), 4), 1.0 + 5e-7))
    exact.episodes.rivals = Rivals(lambda seen, *_: np.full((len(seen), 4), 1.0))
    envs.reset(seed=0), exact.reset(seed=0)
    action = corners(4, 2.0**-23, np.float32)
    for _ in range(3):
        assert same(envs.step(action), exact.step(np.clip(action, -1.0, 1.0)))


@pytest.mark.parametrize("name", ["dtao_gym/StakerSmall-v0", "dtao_gym/BuilderSmall-v0"])
def test_the_bounds_of_rescaled_actions_are_allowed(name, same):
    """In single precision 0.7 of 0.1 to 0.7 becomes 1.0000001."""
    env = gym.wrappers.RescaleAction(gym.make(name), np.float32(0.1), np.float32(0.7))
    plain = gym.make(name)
    env.reset(seed=0), plain.reset(seed=0)
    assert env.action(env.action_space.high).max() > 1.0
    high = np.ones(plain.action_space.shape, np.float32)
    assert same(env.step(env.action_space.high), plain.step(high))
    env.step(env.action_space.low)


@each_type
@pytest.mark.parametrize("render_mode", [None, "ansi"], ids=["one call", "by parts"])
@each_role
def test_a_larger_excess_is_refused(role, render_mode, dtype, state_bytes):
    env = SingleEnv(role, render_mode=render_mode, **SETTINGS)
    env.reset(seed=0)
    env.step(np.zeros(env.action_space.shape))
    before = state_bytes(env.episodes)
    for bad in (1.0 + 1.2e-6, -1.0 - 2e-6, 1.5, np.nan, np.inf):
        action = corners(env.action_space.shape[0], ROUNDING, dtype)
        action[2 % action.size] = bad
        with pytest.raises(ValueError, match=r"action: got .* at world 0, entry 2, allowed are"):
            env.step(action)
    assert state_bytes(env.episodes) == before


def test_legal_actions_are_not_even_copied():
    action = np.array([[-1.0, 0.3, 1.0]], np.float32)
    assert without_rounding(action) is action
    odd = np.array([[np.nan, 2.0, -np.inf, 1.0000002]], np.float32)
    np.testing.assert_array_equal(without_rounding(odd), [[np.nan, 2.0, -np.inf, 1.0]])
