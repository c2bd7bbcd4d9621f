"""Owners of the slots that do not learn, who follow one policy."""

from collections.abc import Callable

import numpy as np

from dtao_gym.envs.builder.role import Builder
from dtao_gym.world.batch import Batch


class Rivals:
    """A policy for the owners of all other slots: ``env.unwrapped.episodes.rivals = Rivals(policy)``.

    Without it they keep the shares of the configuration.

    Parameters
    ----------
    policy : callable
        ``policy(observation, batch, rngs) -> actions``, scripted or learned, with one row per world and other owner,
        world by world; it gets no generators.
    """

    def __init__(self, policy: Callable[..., np.ndarray]):
        self.policy = policy

    def __call__(self, batch: Batch, role: Builder) -> None:
        """Write the decisions of the day, all taken on the same state. Raises ValueError for bad actions."""
        others = np.setdiff1d(np.arange(batch.layout.n_subnets), role.slots)
        if others.size:
            observations = role.observe(batch, others)
            actions = role.checked(batch, self.policy(observations, batch, ()), others)
            if len(actions) != len(observations):
                raise ValueError(
                    f"actions of rivals: got {len(actions)} rows, allowed are {len(observations)}"
                )
            role.apply(batch, actions, slots=others)
