"""Randomness: the numbers are numpy's, the distributions are right, and the keys never meet."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit
from scipy import special, stats

from dtao_gym.world import shocks
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import genesis, world_key
from dtao_gym.world.shocks import (
    normal,
    open_uniform,
    permutation_of_four,
    philox,
    to_normals,
    uniform,
)

LARGEST = 2**64 - 1
words = st.integers(0, LARGEST)


def numpy_philox(key0, key1, counter, day, stream, purpose) -> np.random.Philox:
    # as arrays: a list with a number from 2**63 on and a small one would pass through floats
    key = np.array([key0, key1], np.uint64)
    return np.random.Philox(key=key, counter=np.array([counter, day, stream, purpose], np.uint64))


@njit  # as a user would call a rule from code of their own
def _words(keys):
    return np.array(philox(keys[0], keys[1], keys[2], keys[3], keys[4], keys[5]))


def our_words(*keys: int) -> np.ndarray:
    """Four words; through an array, since Numba hands single words to Python as signed integers."""
    return _words(np.array(keys, np.uint64))


@given(words, words, st.integers(0, LARGEST - 1), words, words, words)
@example(0, 0, 0, 0, 0, 0)
@example(LARGEST, LARGEST, LARGEST - 1, LARGEST, LARGEST, LARGEST)
def test_words_are_those_of_numpy(key0, key1, counter, day, stream, purpose):
    keys = key0, key1, counter, day, stream, purpose
    assert np.array_equal(our_words(*keys), numpy_philox(*keys).random_raw(4))


@given(words, st.integers(0, 10_000), st.integers(0, 128))
def test_uniform_numbers_are_those_of_numpy(key, day, stream):
    keys = (key, 1, 0, day, stream, shocks.ECONOMY)
    expected = np.random.Generator(numpy_philox(*keys)).random(4)
    assert [uniform(word) for word in our_words(*keys)] == expected.tolist()


@pytest.mark.parametrize("position", range(6))
def test_every_key_matters(position):
    keys = [3, 5, 7, 11, 13, 17]
    first = our_words(*keys)
    keys[position] += 1
    assert not set(first.tolist()) & set(our_words(*keys).tolist())


# --- normal numbers


def word_of(fraction: int) -> np.uint64:
    """A word whose 52 random bits are `fraction`."""
    return np.uint64(fraction << 12)


@given(st.integers(0, 2**51 - 1))
@example(0)
@example(2**51 - 1)
def test_lower_half_of_the_normal_numbers_is_the_inverse_distribution(fraction):
    p = (fraction + 0.5) * 2.0**-52
    assert normal(word_of(fraction)) == pytest.approx(special.ndtri(p), rel=3e-14, abs=1e-15)


@given(st.integers(1, 51), st.integers(0, 2**51))
def test_normal_numbers_of_rare_events(bits, fraction):
    fraction >>= bits
    p = (fraction + 0.5) * 2.0**-52
    assert normal(word_of(fraction)) == pytest.approx(special.ndtri(p), rel=3e-14, abs=1e-15)


@given(st.integers(0, 2**51 - 1))
@example(0)
def test_the_upper_half_mirrors_the_lower(fraction):
    assert normal(word_of(2**52 - 1 - fraction)) == -normal(word_of(fraction))


@pytest.mark.parametrize("rare", [(), (0, 1, 2**52 - 1), (2**12, 2**52 - 2**12)])
def test_rows_of_normal_numbers_are_the_same_numbers(rare):
    sample = np.random.Philox(key=[3, 4]).random_raw(997)
    sample[: len(rare)] = [word_of(fraction) for fraction in rare]
    row = np.array([open_uniform(word) for word in sample])
    to_normals(row)
    assert row.tolist() == [normal(word) for word in sample]


def test_many_normal_numbers_are_normal():
    sample = np.random.Philox(key=[1, 2]).random_raw(200_000)
    numbers = np.array([normal(word) for word in sample])
    assert stats.kstest(numbers, "norm").pvalue > 0.01
    assert np.corrcoef(numbers[:-1], numbers[1:])[0, 1] == pytest.approx(0.0, abs=0.01)


# --- the order of trades


def test_permutations_are_permutations_and_equally_likely():
    sample = np.random.Philox(key=[3, 4]).random_raw(3 * 48_000).reshape(-1, 3)
    counts = Counter(permutation_of_four(*row) for row in sample)
    assert all(sorted(order) == [0, 1, 2, 3] for order in counts)
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values())).pvalue > 0.01


@pytest.mark.parametrize("word", [0, LARGEST])
def test_the_extreme_words_give_a_permutation(word):
    order = permutation_of_four(np.uint64(word), np.uint64(word), np.uint64(word))
    assert sorted(order) == [0, 1, 2, 3]


# --- keys


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_training_and_evaluation_never_share_a_key(mine, theirs):
    train, evaluation = (Config(split=split) for split in ("train", "evaluation"))
    assert world_key(train, mine) != world_key(evaluation, theirs)
    assert world_key(train, mine) == mine < 2**63 <= world_key(evaluation, theirs) <= LARGEST


def test_a_world_carries_its_key():
    for split, bit in (("train", 0), ("evaluation", 1 << 63)):
        state = genesis(Config(n_subnets=2, split=split), 7, 3)
        assert int(state.worlds["world_key"][0]) == 7 | bit
        assert int(state.worlds["episode"][0]) == 3


def test_purposes_are_different_numbers():
    purposes = [shocks.ECONOMY, shocks.ORDER, shocks.GENESIS, shocks.ACTION]
    assert len(set(purposes)) == len(purposes)
    draws = [shocks.generator(1, 2, purpose).random() for purpose in purposes]
    assert len(set(draws)) == len(purposes)


@given(words, st.integers(0, 1000))
@example(5, 6)
@example(2**63 | 5, 6)
@example(LARGEST, 0)
def test_the_generator_uses_the_same_words(key, episode):
    expected = [uniform(word) for word in our_words(key, episode, 0, 0, 0, shocks.GENESIS)]
    assert shocks.generator(key, episode, shocks.GENESIS).random(4).tolist() == expected
