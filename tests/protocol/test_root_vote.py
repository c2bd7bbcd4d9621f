"""The vote of the root validators: properties of the count, and seats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dtao_gym.protocol import root_vote


def count(stakes, weights, slope=root_vote.CONSENSUS_SLOPE):
    """(rank, trust, consensus, shares)."""
    results = [np.full(weights.shape[1], np.nan) for _ in range(4)]
    root_vote.root_epoch(stakes, weights, slope, root_vote.CONSENSUS_MIDPOINT, *results)
    return results


@st.composite
def votes(draw):
    """(stakes, votes) of a few validators and columns; some abstain."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    weights = draw(arrays(float, shape, elements=st.just(0.0) | st.floats(1e-3, 65535.0)))
    return draw(arrays(float, shape[0], elements=st.floats(1e-3, 1e6))), weights


@given(votes())
def test_shares_add_to_one_or_nobody_voted(vote):
    stakes, weights = vote
    rank, trust, consensus, shares = count(stakes, weights)
    assert (shares >= 0.0).all()
    assert shares.sum() == pytest.approx(1.0 if weights.any() else 0.0)
    assert (trust >= rank * (1 - 1e-12)).all()
    assert trust.max() <= 1.0 + 1e-12
    assert ((consensus > 0.0) & (consensus < 1.0)).all()
    voted = weights.any(axis=1)
    assert rank.sum() == pytest.approx(stakes[voted].sum() / stakes.sum())


@given(votes(), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.randoms(use_true_random=False))
def test_neither_scale_nor_order_matters(vote, of_stake, of_votes, random):
    stakes, weights = vote
    expected = count(stakes, weights)[3]
    assert count(stakes * of_stake, weights * of_votes)[3] == pytest.approx(expected, rel=1e-9)
    validators, columns = (random.sample(range(size), size) for size in weights.shape)
    shuffled = count(stakes[validators], weights[validators][:, columns])[3]
    assert shuffled == pytest.approx(expected[columns], rel=1e-9)


def test_a_graded_vote_of_everybody_leaves_consensus_without_effect():
    weights = np.array([[0.0, 3.0, 1.0], [0.0, 1.0, 1.0]])
    rank, trust, _, shares = count(np.array([1.0, 3.0]), weights)
    assert trust[1:] == pytest.approx([1.0, 1.0])
    assert shares == pytest.approx(rank)


def test_a_column_of_the_minority_loses_most_of_its_rank():
    weights = np.array([[1.0, 0.0], [0.0, 1.0]])
    rank, _, consensus, shares = count(np.array([30.0, 70.0]), weights)
    assert rank == pytest.approx([0.3, 0.7])
    assert consensus == pytest.approx([1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))], rel=1e-3)
    assert shares[0] < 0.06


# --- seats


@given(st.lists(st.integers(0, 5), min_size=1, max_size=15), st.integers(1, 6))
def test_no_seat_is_held_by_less_than_somebody_without_one(stakes, seats):
    stakes = np.array(stakes, dtype=float)
    seated = root_vote.root_validators(stakes, seats)
    assert len(seated) == len(set(seated)) == min(seats, len(stakes))
    outside = np.delete(stakes, seated)
    assert outside.size == 0 or outside.max() <= stakes[seated].min()


def test_an_equal_stake_takes_no_seat():
    assert list(root_vote.root_validators(np.array([2.0, 1.0, 1.0]), 2)) == [0, 1]
    assert root_vote.seat_to_take(np.array([2.0, 1.0]), 1.0) == -1
    assert root_vote.seat_to_take(np.array([2.0, 1.0]), 1.5) == 1


@pytest.mark.parametrize("n", [1, 4, 5, 6, 8, 64])
def test_stakes_are_shares(n):
    stakes = root_vote.validator_stakes(n)
    assert stakes.shape == (n,)
    assert stakes.sum() == pytest.approx(1.0, rel=1e-14)
    if n > 5:
        assert tuple(stakes[:5]) == root_vote.VALIDATOR_TOP5
        assert stakes[5] / stakes[-1] == pytest.approx(n / 6)


def test_with_all_seats_taken_stakes_fall_with_rank():
    assert (np.diff(root_vote.validator_stakes(64)) < 0.0).all()


@pytest.mark.parametrize(
    ("n", "top5", "field"),
    [
        (0, root_vote.VALIDATOR_TOP5, "n: got 0"),
        (65, root_vote.VALIDATOR_TOP5, "n: got 65"),
        (64, (0.3, 0.3, 0.3, 0.1, 0.1), "top5"),
        (64, (0.3, 0.3, 0.2, 0.1, 0.0), "top5"),
        (64, (0.3,), "top5"),
    ],
)
def test_impossible_stakes_are_refused(n, top5, field):
    with pytest.raises(ValueError, match=field):
        root_vote.validator_stakes(n, top5)
