"""The cross-entropy method: maximise an objective over parameters, without gradients.

Candidates are drawn from a normal distribution with independent entries, which is then fitted to the best of them.
Decreasing noise added to its variance prevents premature convergence (Szita and Lőrincz 2006, "Learning
Tetris Using the Noisy Cross-Entropy Method"). `linear_policy` maps parameters to actions: constants plus linear
feedback.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Objective = Callable[[np.ndarray, int], np.ndarray]
"""`objective(candidates (n, k), generation) -> (n,)`: larger is better; candidates of a call should share their random numbers."""


class CemSettings(BaseModel):
    """Settings of the search. Standard deviations are in units of the parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    generations: int = Field(60, ge=1, description="Generations.")
    population: int = Field(64, ge=4, description="Candidates of a generation.")
    elite: float = Field(
        0.2, gt=0.0, lt=1.0, description="Part of them that the distribution is fitted to."
    )
    initial_sd: float = Field(0.5, gt=0.0, description="First standard deviation.")
    noise_floor: float = Field(
        0.1, ge=0.0, description="Noise added at first; falls linearly to zero."
    )
    noise_until: float = Field(
        0.6, gt=0.0, le=1.0, description="Part of the generations after which none is added."
    )


class SearchResult(NamedTuple):
    """Result of a search.

    Attributes
    ----------
    parameters : `(k,)`
        Mean of the last distribution.
    means : `(generations, k)`
        Mean after each generation.
    best : `(generations,)`
        Largest objective in each generation.
    """

    parameters: np.ndarray
    means: np.ndarray
    best: np.ndarray


def maximise(
    objective: Objective,
    start: np.ndarray,
    settings: CemSettings,
    rng: np.random.Generator,
    initial_sd: np.ndarray | float | None = None,
) -> SearchResult:
    """Maximise an objective.

    Parameters
    ----------
    objective : callable
        ``objective(candidates (n, k), generation) -> (n,)``.
    start : `(k,)`
        Mean of the first distribution.
    settings : CemSettings
    rng : numpy.random.Generator
    initial_sd : `(k,)` or float, optional
        Replaces that of the settings.

    Raises
    ------
    ValueError
        The objective is not finite.
    """
    mean = np.array(start, float)
    first_sd = settings.initial_sd if initial_sd is None else initial_sd
    sd = np.broadcast_to(np.asarray(first_sd, float), mean.shape)
    floor = settings.noise_floor * sd / settings.initial_sd
    n_elite = max(2, round(settings.elite * settings.population))
    means, best = [], []
    for generation in range(settings.generations):
        candidates = mean + sd * rng.standard_normal((settings.population, mean.size))
        values = np.asarray(objective(candidates, generation), float)
        if values.shape != (settings.population,) or not np.isfinite(values).all():
            raise ValueError(
                f"objective: got shape {values.shape}, allowed are {settings.population} finite numbers"
            )
        elite = candidates[np.argsort(values, kind="stable")[-n_elite:]]
        left = max(0.0, 1.0 - generation / (settings.noise_until * settings.generations))
        mean = elite.mean(axis=0)
        sd = np.sqrt(elite.var(axis=0) + (left * floor) ** 2)
        means.append(mean)
        best.append(values.max())
    return SearchResult(mean, np.array(means), np.array(best))


def linear_policy(parameters: np.ndarray, features: np.ndarray, actions: int = 1) -> np.ndarray:
    """Return actions that are linear in features, clipped to [-1, 1].

    Parameters `(..., actions * (1 + f))` and features `(..., f)` give actions `(..., actions)`. Each action has a constant and then a weight for each feature.
    """
    shaped = parameters.reshape(*parameters.shape[:-1], actions, 1 + features.shape[-1])
    feedback = (shaped[..., 1:] * features[..., None, :]).sum(-1)
    return np.clip(shaped[..., 0] + feedback, -1.0, 1.0)
