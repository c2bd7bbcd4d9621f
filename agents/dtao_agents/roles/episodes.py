"""Episodes of one policy on evaluation seeds, and what is recorded of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtao_agents.roles.policies import Policy, action_generators
from dtao_gym.envs.worlds import Episodes


@dataclass(frozen=True)
class EpisodeMetrics:
    """Episodes of one policy.

    Attributes
    ----------
    values : dict of `(n_seeds,)` float64
        Each metric of the role, one entry per evaluation seed.
    path : `(steps + 1,)` float64
        Mean over seeds of the quantity that figures show over time.
    """

    values: dict[str, np.ndarray]
    path: np.ndarray


def started_episodes(
    role: str, config: Any, seeds: Sequence[int] | range, threads: int = 1
) -> Episodes:
    """Return one world per seed at the start of its first episode.

    Parameters
    ----------
    role : str
        Name of the environment role.
    config : TaskConfig or ReplayConfig
    seeds : sequence of int
        World seeds.
    threads : int
        Threads that share the worlds.
    """
    episodes = Episodes(config, len(seeds), role, threads)
    episodes.start(seeds)
    return episodes


def play_for_reward(policy: Policy, episodes: Episodes) -> EpisodeMetrics:
    """Play to the end; record the sum of rewards (`total_reward`) and the length in days (`days`)."""
    rngs, n_seeds = action_generators(episodes.batch), episodes.n_worlds
    total, days, alive = np.zeros(n_seeds), np.zeros(n_seeds), np.ones(n_seeds, bool)
    path = [0.0]
    while alive.any():
        actions = policy(episodes.observe(), episodes.batch, rngs)
        reward, terminated, truncated = episodes.step(actions)
        total += alive * reward
        days[alive] = episodes.batch.state.worlds["day"][:n_seeds][alive]
        alive &= ~(terminated | truncated)
        path.append(float(total.mean()))
    return EpisodeMetrics({"total_reward": total, "days": days}, np.array(path))
