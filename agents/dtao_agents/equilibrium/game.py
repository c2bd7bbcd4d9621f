"""The interface of games in research shares: payoffs of one builder against all others."""

from typing import NamedTuple, Protocol

import numpy as np

from dtao_gym.envs.builder.actions import HIGHEST_SHARE, LOWEST_SHARE


class Payoffs(NamedTuple):
    """Payoffs of one builder at each candidate while all others play one research share.

    Attributes
    ----------
    values : `(seeds, candidates)`
        The shocks of a seed are the same in every column.
    capitalisation : float
        c_bar in days, estimated from the run in which the builder plays as the others do.
    """

    values: np.ndarray
    capitalisation: float


class Curve(NamedTuple):
    """Payoffs `values` `(seeds, k)` at `candidates` `(k,)`, increasing shares, others at `population`."""

    population: float
    candidates: np.ndarray
    values: np.ndarray


class ShareGame(Protocol):
    """A market in which all builders play one research share and one of them deviates.

    Attributes
    ----------
    capitalisation : float or None
        c_bar in days that uninformed stakers use; None where it is fixed. The solver sets it.
    """

    capitalisation: float | None

    def payoffs(self, research_share: float, candidates: np.ndarray) -> Payoffs:
        """Return payoffs of the one builder at candidates `(k,)`, shares, the others at `research_share`."""
        ...


def log_odds(share):
    """Return ln(r / (1 - r))."""
    share = np.asarray(share, float)
    return np.log(share) - np.log1p(-share)


def share_of(odds):
    """Return the research share of a log-odds, kept in the range of a research share."""
    share = 1.0 / (1.0 + np.exp(-np.asarray(odds, float)))
    return np.clip(share, LOWEST_SHARE, HIGHEST_SHARE)


def angle(share):
    """Return 2 arcsin(sqrt r), 0 to pi: du = sqrt(r (1 - r)) d log-odds."""
    return 2.0 * np.arcsin(np.sqrt(share))


def share_of_angle(u):
    """Return the research share of an angle, kept in the range of a research share."""
    return np.clip(np.sin(0.5 * np.clip(u, 0.0, np.pi)) ** 2, LOWEST_SHARE, HIGHEST_SHARE)


LOWEST, HIGHEST = float(log_odds(LOWEST_SHARE)), float(log_odds(HIGHEST_SHARE))
"""The same range in log-odds."""


def grid_of(places: np.ndarray) -> np.ndarray:
    """Return the increasing shares of log-odds, clipped to the range, each once."""
    inside = np.sort(np.clip(places, LOWEST, HIGHEST))
    return share_of(inside[np.diff(inside, prepend=-np.inf) > 1e-6])


def evaluate(game: ShareGame, place: float, candidates: np.ndarray) -> tuple[Curve, float]:
    """Return payoffs at candidates, the population at a log-odds, and the c_bar of the run.

    Raises ValueError for payoffs of a wrong shape or that are not finite.
    """
    population = float(share_of(place))
    payoffs = game.payoffs(population, candidates)
    values = np.asarray(payoffs.values, float)
    if values.shape[1:] != candidates.shape or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"payoffs: got shape {values.shape}, allowed are finite numbers (2 or more seeds, {len(candidates)})"
        )
    return Curve(population, candidates, values), payoffs.capitalisation


def adopt_capitalisation(game: ShareGame, place: float) -> None:
    """Give the game the c_bar of a population, where it is estimated."""
    if game.capitalisation is not None:
        game.capitalisation = evaluate(game, place, share_of(np.array([place])))[1]
