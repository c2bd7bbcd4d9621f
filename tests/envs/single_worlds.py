"""Small single environments for the tests of the single environment."""

import gymnasium as gym
import numpy as np
import pytest

from dtao_gym.envs.single import SingleEnv

ID = "dtao_gym/Staker-v0"
IDS = {"staker": ID, "builder": "dtao_gym/Builder-v0"}
both_roles = pytest.mark.parametrize("role", IDS)


def start(seed: int = 0, **overrides) -> SingleEnv:
    """Return a single environment at the start of an episode."""
    env = SingleEnv(**({"n_subnets": 6} | overrides))
    env.reset(seed=seed)
    return env


def zero_action(env: gym.Env) -> np.ndarray:
    """Zeros of the shape of an action."""
    return np.zeros(env.action_space.shape, np.float32)
