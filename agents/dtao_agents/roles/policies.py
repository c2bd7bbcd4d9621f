"""Parts that policies of all roles share."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from dtao_gym.world.batch import Batch
from dtao_gym.world.shocks import ACTION, generator

Policy = Callable[[np.ndarray, Any, Sequence[np.random.Generator]], np.ndarray]
"""`policy(observation, batch, rngs) -> actions`: observations `(rows, size)` float32, the batch of worlds, one generator
per world; returns actions `(rows, action_size)` float32."""

Kind = Literal["scripted", "exploit", "ceiling", "learned"]
"""Kinds of policies. A ceiling uses information that no player observes: an upper bound, which nobody has to beat."""


class NamedPolicy(NamedTuple):
    """A policy and its kind."""

    kind: Kind
    policy: Policy


def action_generators(batch: Batch) -> list[np.random.Generator]:
    """Return one generator per world, keyed by the world and its episode.

    So the actions of a random policy on a seed do not depend on the other worlds of a batch.
    """
    worlds = batch.state.worlds
    keys = zip(worlds["world_key"], worlds["episode"], strict=True)
    return [generator(key, episode, ACTION) for key, episode in keys]


def uniform_actions(
    size: int, observation: np.ndarray, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Return uniform actions `(rows, size)` float32 in [-1, 1], new ones at every step."""
    drawn = [rng.uniform(-1.0, 1.0, size) for rng, _ in zip(rngs, observation, strict=False)]
    return np.stack(drawn).astype(np.float32)
