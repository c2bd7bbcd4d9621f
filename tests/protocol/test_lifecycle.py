"""Registration, seeding, pruning and dissolution: properties that hold for all numbers."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtao_gym.compiling import rule
from dtao_gym.protocol import lifecycle

amounts = st.floats(0.0, 1e7)
blocks = st.integers(0, 10**7)
intervals = st.integers(1, 10**6)

# --- cost


@given(amounts, amounts, blocks, blocks, intervals)
def test_lock_cost_is_between_the_minimum_and_twice_the_last(last, least, last_block, wait, length):
    cost = lifecycle.lock_cost(last, least, last_block, last_block + wait, length)
    assert least <= cost <= max(2 * last, least)
    assert lifecycle.lock_cost(last, least, last_block, last_block + wait + 1, length) <= cost


@given(st.floats(1.0, 1e6), st.integers(1, 10**7), intervals)
def test_lock_cost_doubles_then_comes_back_in_one_interval(last, block, length):
    assert lifecycle.lock_cost(last, 1.0, block, block, length) == 2 * last
    back = lifecycle.lock_cost(last, 1.0, block, block + length, length)
    assert back == pytest.approx(last, rel=1e-12)
    assert lifecycle.lock_cost(last, 1.0, block, block + 2 * length, length) == pytest.approx(1.0)


def test_the_first_registration_does_not_double():
    assert lifecycle.lock_cost(1000.0, 1.0, 0, 0, 100) == 1000.0
    assert lifecycle.lock_cost(1000.0, 1.0, 1, 1, 100) == 2000.0


def test_after_a_halving_of_tao_the_cost_falls_twice_as_fast():
    whole = 57_600
    half = lifecycle.effective_interval(whole, 0.5)
    assert half == whole / 2
    assert lifecycle.lock_cost(100.0, 1.0, 5, 5 + half / 2, half) == pytest.approx(150.0)
    assert lifecycle.lock_cost(100.0, 1.0, 5, 5 + half / 2, whole) == pytest.approx(175.0)


def test_without_an_interval_the_cost_does_not_fall():
    assert lifecycle.lock_cost(100.0, 1.0, 5, 10**6, 0) == 200.0


# --- seeding


@given(st.sampled_from(sorted(lifecycle.SEEDINGS.values())), amounts, amounts, st.floats(1e-6, 10))
def test_the_whole_lock_is_in_the_pool_or_burned(seeding, lock, least, median):
    tao, alpha, burned = lifecycle.seed_pool(seeding, lock, least, median)
    assert tao + burned == pytest.approx(lock)
    assert min(tao, alpha, burned) >= 0.0
    price = median if seeding == lifecycle.MEDIAN_PRICE else 1.0
    assert alpha * price == pytest.approx(tao)
    assert burned == 0.0 or seeding == lifecycle.MINIMUM


@given(st.lists(st.just(0.0) | st.floats(1e-9, 100.0), max_size=20))
def test_median_price_is_the_median_of_the_positive_prices(prices):
    positive = [price for price in prices if price > 0.0]
    expected = statistics.median(positive) if positive else 1.0
    assert lifecycle.median_price(np.array(prices)) == pytest.approx(expected, rel=1e-15)


# --- pruning


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.2]), st.integers(0, 3), st.booleans()),
        min_size=1,
        max_size=10,
    )
)
def test_the_lowest_that_is_not_immune_is_pruned_the_earliest_of_equals(subnets):
    keys, registered, immune = (
        np.array(column, dtype=float) for column in zip(*subnets, strict=True)
    )
    open_ones = [i for i in range(len(keys)) if not immune[i]]
    expected = min(open_ones, key=lambda i: (keys[i], registered[i], i), default=-1)
    assert lifecycle.subnet_to_prune(keys, registered, immune) == expected


def test_immunity_ends_on_the_block():
    assert lifecycle.is_immune(100, 599, 500)
    assert not lifecycle.is_immune(100, 600, 500)


# --- dissolution


@given(amounts, st.lists(amounts, max_size=10), amounts, amounts, st.booleans())
def test_the_pot_is_divided_among_stakers_and_protocol(pot, stakers, protocol, reserve, counts):
    total = lifecycle.alpha_that_is_paid(sum(stakers), protocol, reserve, counts)
    paid = sum(lifecycle.dissolution_payout(pot, alpha, total) for alpha in stakers)
    assert 0.0 <= paid <= pot * (1 + 1e-12)
    if total > 0.0:
        mine = protocol + (reserve if counts else 0.0)
        assert paid + lifecycle.dissolution_payout(pot, mine, total) == pytest.approx(pot)
    else:
        assert paid == 0.0


@pytest.mark.parametrize(
    ("pot", "stakers", "protocol", "paid", "recycled"),
    [
        (10, [1, 1], 1, [4, 3], 3),  # three thirds: the first staker gets the last rao
        (10, [1, 1], 4, [2, 2], 6),  # 1.67, 1.67 and 6.67: each rounded up, but the last
        (1, [3, 2], 0, [1, 0], 0),
        (100, [], 100, [], 100),
        (7, [], 0, [], 7),
        (7, [0, 0], 0, [0, 0], 7),
        (0, [1], 1, [0], 0),
        # a double has 53 bits: at the size of mainnet it would lose rao
        (30_000_000_000_000_001, [10**16 + 1, 10**16], 10**16, [10**16 + 1, 10**16], 10**16),
    ],
)
def test_a_pot_is_divided_in_whole_rao(pot, stakers, protocol, paid, recycled):
    assert lifecycle.divided_pot(pot, stakers, protocol) == (paid, recycled)


rao = st.integers(0, 21 * 10**15)


@given(rao, st.lists(rao, max_size=10), rao)
def test_no_rao_of_a_pot_is_lost_and_none_misplaced(pot, stakers, protocol):
    paid, recycled = lifecycle.divided_pot(pot, stakers, protocol)
    assert sum(paid) + recycled == pot
    total = sum(stakers) + protocol
    for part, alpha in zip(paid, stakers, strict=True):
        assert abs(part * total - pot * alpha) < max(total, 1)


@given(amounts, st.floats(0.0, 1.0), amounts, st.floats(0.0, 1.0))
def test_an_owner_gets_no_more_than_his_lock_back(lock, cut, issuance, price):
    refund = lifecycle.owner_refund(lock, cut, issuance, price, True)
    assert 0.0 <= refund <= lock
    assert lifecycle.owner_refund(lock, cut, 0.0, price, True) == lock
    assert lifecycle.owner_refund(lock, cut, issuance, price, False) == 0.0


def test_the_rules_can_be_called_from_compiled_code():
    @rule
    def register(prices, keys, registered, immune):
        cost = lifecycle.lock_cost(100.0, 1.0, 5.0, 10.0, 20.0)
        tao, alpha, _ = lifecycle.seed_pool(1, cost, 1.0, lifecycle.median_price(prices))
        gone = lifecycle.subnet_to_prune(keys, registered, immune)
        whole = lifecycle.alpha_that_is_paid(30.0, 10.0, alpha, True)
        refund = lifecycle.owner_refund(cost, 0.18, alpha, 0.1, False)
        return tao, alpha, gone, lifecycle.dissolution_payout(tao, 30.0, whole) + refund

    tao, alpha, gone, paid = register(np.array([0.5, 0.0]), np.ones(2), np.arange(2.0), np.zeros(2))
    assert (tao, alpha, gone) == (175.0, 350.0, 0)
    assert paid == pytest.approx(175.0 * 30 / 390)
