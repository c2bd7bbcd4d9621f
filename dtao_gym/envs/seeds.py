"""Seeds of episodes: what a reset accepts, how large ones are folded, and draws from entropy."""

from typing import Any

import numpy as np

from dtao_gym.world.config import ConfigError

FIRST_FOLDED, WORLD_SEEDS = 2**62, 2**63
"""Seeds from `WORLD_SEEDS` on are folded into those from `FIRST_FOLDED` on."""
FIRST_DRAWN = 2**61
"""Seeds drawn from entropy are those from here to `FIRST_FOLDED`: nobody counts so far."""


def reset_seed(seed: Any) -> int | None:
    """Return the seed of a reset as an int, or None. Raises ConfigError for anything but a whole number from 0."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed: got {seed!r}, allowed are whole numbers from 0, None")
    return int(seed)


def world_seed(seed: int) -> int:
    """Return the seed of a world, below 2**63; larger seeds are folded, always to the same one."""
    if seed < WORLD_SEEDS:
        return seed
    return FIRST_FOLDED + (_bits(np.random.SeedSequence(seed)) >> 2)


def first_seed(config: Any) -> int:
    """Return the seed of world 0: `world_seed` where the configuration gives one, else a new one from entropy."""
    if "world_seed" in config.model_fields_set:
        return config.world_seed
    return FIRST_DRAWN + (_bits(np.random.SeedSequence()) >> 3)


def _bits(sequence: np.random.SeedSequence) -> int:
    """64 random bits."""
    return int(sequence.generate_state(1, np.uint64)[0])
