"""The root network before February 2025: votes of the validators determine emission shares.

Source: subtensor `coinbase/root.rs` of January 2025. Column 0 of all arrays is the root network itself: it may
be voted for, and its share is not issued.
"""

import numpy as np

from dtao_gym.compiling import rule
from dtao_gym.numerics import exp

MAX_ROOT_VALIDATORS = 64
"""Seats of the root network."""

CONSENSUS_MIDPOINT = 32767 / 65535
"""Part of the stake behind a subnet at which its consensus is one half."""

CONSENSUS_SLOPE = 10.0
"""Slope of the consensus there, times 4."""

VALIDATOR_TOP5 = (0.25, 0.135, 0.11, 0.09, 0.065)
"""Stakes of the five largest validators as parts of all stake, June 2024."""


@rule
def root_epoch(stakes, votes, slope, midpoint, rank, trust, consensus, shares):
    """Count the votes: write rank, trust, consensus and share of every column.

    Parameters
    ----------
    stakes : (validators,) float64
        In any unit.
    votes : (validators, 1 + subnets) float64
        At least 0; each row is divided by its sum. A row of zeros is an abstention; its stake counts in the whole.
    slope, midpoint : float
        See `CONSENSUS_SLOPE`, `CONSENSUS_MIDPOINT`.
    rank : (1 + subnets,) float64
        Written: stake-weighted mean of the votes.
    trust : (1 + subnets,) float64
        Written: part of the stake behind any positive vote.
    consensus : (1 + subnets,) float64
        Written: a sigmoid of trust.
    shares : (1 + subnets,) float64
        Written: rank times consensus, divided by its sum; all 0 if nobody votes.
    """
    rank[:] = 0.0
    trust[:] = 0.0
    whole = 0.0
    for i in range(stakes.size):
        whole += stakes[i]
    for i in range(stakes.size):
        given = 0.0
        for j in range(shares.size):
            given += votes[i, j]
        if not (given > 0.0 and whole > 0.0):
            continue
        stake = stakes[i] / whole
        for j in range(shares.size):
            rank[j] += stake * (votes[i, j] / given)
            trust[j] += stake if votes[i, j] > 0.0 else 0.0
    total = 0.0
    for j in range(shares.size):
        consensus[j] = 1.0 / (1.0 + exp(-slope * (trust[j] - midpoint)))
        shares[j] = rank[j] * consensus[j]
        total += shares[j]
    for j in range(shares.size):
        shares[j] = shares[j] / total if total > 0.0 else 0.0


@rule
def seat_to_take(seated_stakes, newcomer_stake):
    """Seat of the smallest validator, which a newcomer with strictly more stake takes; -1 for a smaller newcomer."""
    lowest = 0
    for i in range(seated_stakes.size):
        if seated_stakes[i] < seated_stakes[lowest]:
            lowest = i
    return lowest if newcomer_stake > seated_stakes[lowest] else -1


def root_validators(stakes: np.ndarray, seats: int = MAX_ROOT_VALIDATORS) -> np.ndarray:
    """Indices, ascending, of the validators that are seated after candidates with these stakes apply one by one."""
    seated = np.arange(min(seats, len(stakes)))
    for newcomer in range(seats, len(stakes)):
        seat = seat_to_take(stakes[seated], stakes[newcomer])
        if seat >= 0:
            seated[seat] = newcomer
    return np.sort(seated)


def validator_stakes(n: int, top5: tuple[float, ...] = VALIDATOR_TOP5) -> np.ndarray:
    """Stakes of `n` validators as shares of the whole, largest first.

    The first five are given, the others share the remainder in proportion to 1/rank; with fewer than about 13
    the sixth is then larger than the fifth. Up to five: the given ones, scaled to sum 1.

    Raises
    ------
    ValueError
        `n` is not 1 to 64, or `top5` is not five positive numbers with a sum below 1.
    """
    if not 1 <= n <= MAX_ROOT_VALIDATORS:
        raise ValueError(f"n: got {n}, allowed is 1 to {MAX_ROOT_VALIDATORS}")
    if len(top5) != 5 or not min(top5) > 0.0 or not sum(top5) < 1.0:
        raise ValueError(f"top5: got {top5}, allowed are five positive numbers with a sum below 1")
    largest = np.array(top5[:n], dtype=float)
    others = 1.0 / np.arange(6.0, n + 1.0)
    if others.size == 0:
        return largest / largest.sum()
    return np.append(largest, others * (1.0 - largest.sum()) / others.sum())
