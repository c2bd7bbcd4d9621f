"""Small worlds, named features and random actions for the tests of the builder."""

import gymnasium as gym
import numpy as np

from dtao_gym.envs.builder.observation import MARKET_FEATURES, OWN_FEATURES, RIVAL_FEATURES
from dtao_gym.envs.single import SingleEnv

FEE_ARM = {
    "genesis": "symmetric",
    "n_subnets": 2,
    "spans_per_day": 1,
    "payment": "fee",
    "finance": False,
    "pruning": False,
}
"""Two equal subnets whose owners are paid in fees, without finance and pruning."""
FEES = {"payment": "fee", "finance": False}
TWINS = {"twin_world": True, "pruning": False}
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}
"""Frequent registrations that dissolve weak subnets soon."""


def start(seed: int = 0, **overrides) -> SingleEnv:
    """Return the single environment of a builder at the start of an episode."""
    env = SingleEnv("builder", **({"n_subnets": 4} | overrides))
    env.reset(seed=seed)
    return env


def features(obs: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Features by name: one vector per feature of rivals, one number per own or market feature."""
    width, own = len(RIVAL_FEATURES), len(RIVAL_FEATURES) * (n - 1)
    table = obs[:own].reshape(n - 1, width)
    named = {f"rival_{name}": table[:, k] for k, name in enumerate(RIVAL_FEATURES)}
    names = [f"own_{name}" for name in OWN_FEATURES] + list(MARKET_FEATURES)
    return named | dict(zip(names, obs[own : own + len(names)], strict=True))


def random_actions(env: gym.Env | gym.vector.VectorEnv, rng: np.random.Generator) -> np.ndarray:
    """Uniform actions in the shape of the action space."""
    return rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
