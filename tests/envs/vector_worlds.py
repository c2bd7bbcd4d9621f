"""Settings and actions for the tests of the vector environment."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

ID = "dtao_gym/Staker-v0"
SETTINGS = {"n_subnets": 4, "horizon_days": 5}
RISKY = SETTINGS | {"wealth_tao": 60_000.0, "ruin_fraction": 0.95}
"""Episodes of five days, many of which end earlier in ruin."""
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}
DANGEROUS = SETTINGS | CROWDED | {"prune_lottery_sd": 2.0, "horizon_days": 9}
"""Episodes of nine days for a builder, many of which end earlier with its subnet."""
PLAYED = {"staker": (ID, RISKY), "builder": ("dtao_gym/Builder-v0", DANGEROUS)}
both_roles = pytest.mark.parametrize("role", PLAYED)
MODES = list(AutoresetMode)


def actions(rng: np.random.Generator, envs: gym.vector.VectorEnv) -> np.ndarray:
    """Mostly small changes of the portfolio, sometimes a ruinous one."""
    drawn = rng.uniform(-1, 1, envs.action_space.shape).astype(np.float32)
    drawn[:, -1] = np.where(rng.random(envs.num_envs) < 0.3, 1.0, -0.98)
    return drawn
