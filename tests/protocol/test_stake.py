"""Stake: properties of dividends, claims, prices and locks that hold for all numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtao_gym.protocol import stake

amounts = st.floats(0.0, 1e6)
positive = st.floats(1e-3, 1e6)
fractions = st.floats(0.0, 1.0)
hotkeys = st.lists(st.tuples(positive, positive, positive), min_size=1, max_size=8)

# --- dividends


@given(amounts, amounts, hotkeys, st.just(0.0) | st.floats(1e-6, 1.0))
def test_dividends_are_divided_without_rest(validators, root, rows, weight):
    dividends, alpha, root_tao = np.array(rows).T
    to_alpha, to_root = stake.split_dividends(validators, root, dividends, alpha, root_tao, weight)
    assert to_alpha.sum() == pytest.approx(validators, rel=1e-12)
    assert to_root.sum() == pytest.approx(root if weight > 0.0 else 0.0, rel=1e-9, abs=1e-300)
    assert min(to_alpha.min(), to_root.min()) >= 0.0


def test_only_alpha_earns_alpha_and_only_root_earns_root():
    to_alpha, to_root = stake.split_dividends(100.0, 10.0, [1, 1], [5.0, 0.0], [0.0, 5.0], 0.18)
    assert list(to_alpha) == [100.0, 0.0]
    assert list(to_root) == [0.0, 10.0]
    assert stake.root_part(0.0, 0.0, 0.18) == 0.0


def test_without_incentive_validators_get_the_miners_part():
    assert stake.alpha_of_validators(41.0, 30.0, 0.0) == 71.0
    assert stake.alpha_of_validators(41.0, 30.0, 0.5) == 30.0


@given(amounts, fractions, st.lists(amounts, min_size=1, max_size=6))
def test_a_dividend_reaches_the_stakers_whole(dividend, take, stakes):
    gains = stake.compound(dividend, take, stakes, 0)
    own = dividend * take
    all_shared = sum(stakes) + own > 0.0
    assert gains.sum() == pytest.approx(dividend if all_shared else own, rel=1e-12)
    assert gains[0] >= own
    if stakes[0] == 0.0 and take == 0.0:
        assert gains[0] == 0.0


# --- claims


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=8), positive)
def test_claims_pay_out_what_was_accrued_while_staked(rounds, added):
    """A second staker joins after each round, and has no claim on it."""
    rate, watermark, expected = 0.0, 0.0, 0.0
    mine = 0.0
    for alpha, others in rounds:
        watermark = stake.watermark_after_staking(watermark, rate, added)
        before = stake.owed(rate, mine, watermark - rate * added)
        mine += added
        assert stake.owed(rate, mine, watermark) == pytest.approx(before, rel=1e-9, abs=1e-6)
        alpha = min(alpha, mine + others)  # more would go to the owner of the hotkey
        rate = stake.raised_rate(rate, alpha, mine + others)
        expected += alpha * mine / (mine + others)
    assert stake.owed(rate, mine, watermark) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_who_leaves_without_claiming_forfeits():
    rate = stake.raised_rate(0.0, 10.0, 100.0)
    assert stake.owed(rate, 50.0, 0.0) == 5.0
    left = stake.watermark_after_unstaking(0.0, rate, 50.0)
    assert (left, stake.owed(rate, 0.0, left)) == (0.0, 0.0)
    # a staker who had claimed all and unstakes half has no claim and no debt
    half = stake.watermark_after_unstaking(5.0, rate, 25.0)
    assert (half, stake.owed(rate, 25.0, half)) == (2.5, 0.0)


def test_without_root_stake_or_with_more_alpha_than_root_stake_nothing_accrues():
    assert stake.raised_rate(0.25, 10.0, 0.0) == 0.25
    assert stake.raised_rate(0.25, 10.0, 10.0) == 1.25
    assert stake.raised_rate(0.25, 10.0, 9.999) == 0.25


# --- price of a neuron


@given(st.floats(5e-4, 100.0), st.integers(0, 3000), st.integers(0, 3000))
def test_decay_of_the_registration_price_composes(price, first, second):
    def after(start, blocks):
        return stake.decayed_registration_price(start, blocks, 360, 5e-4, 100.0)

    assert after(after(price, first), second) == pytest.approx(
        after(price, first + second), rel=1e-9
    )
    assert 5e-4 <= after(price, first) <= 100.0


def test_the_registration_price_halves_and_is_bumped():
    assert stake.decayed_registration_price(1.0, 360, 360, 5e-4, 100.0) == 0.5
    assert stake.decayed_registration_price(1.0, 10**6, 360, 5e-4, 100.0) == 5e-4
    assert stake.decayed_registration_price(1.0, 360, 0, 5e-4, 100.0) == 1.0
    assert stake.bumped_registration_price(1.0, 3, 1.26, 5e-4, 100.0) == pytest.approx(1.26**3)
    assert stake.bumped_registration_price(90.0, 3, 1.26, 5e-4, 100.0) == 100.0


@given(positive, st.integers(1, 10))
def test_the_launch_price_stays_at_its_target_rate(price, target):
    def after(registrations):
        return stake.launch_registration_price(price, registrations, target, 0.97, 0.0, 1e9)

    assert after(target) == pytest.approx(price)
    assert after(0) == pytest.approx(price * 0.985)
    assert after(3 * target) == pytest.approx(price * 1.03)


# --- locks


@given(
    amounts,
    fractions,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from([934_866, 400_000]),
    st.booleans(),
)
def test_rolling_a_lock_twice_is_rolling_it_once(locked, mature, first, second, unlock, perpetual):
    rates = unlock, 934_866, perpetual
    start = locked, locked * mature
    twice = stake.rolled_lock(*stake.rolled_lock(*start, first, *rates), second, *rates)
    once = stake.rolled_lock(*start, first + second, *rates)
    assert twice == pytest.approx(once, rel=1e-9, abs=1e-9)
    assert 0.0 <= once[0] <= locked
    assert 0.0 <= once[1] <= locked * (1 + 1e-12)


def test_conviction_matures_and_the_owner_has_it_at_once():
    assert stake.rolled_lock(100.0, 0.0, 10**8, 934_866, 934_866, True)[1] == pytest.approx(100.0)
    locked, conviction = stake.rolled_lock(100.0, 0.0, 648_000, 934_866, 934_866, False, True)
    assert locked == conviction == pytest.approx(50.0, rel=1e-3)
    # dust is removed where locked alpha and conviction are both below it
    for locked, conviction, left in ((99, 99, (0.0, 0.0)), (100, 0, (100, 0)), (0, 100, (0, 100))):
        assert stake.rolled_lock(locked, conviction, 0, 1, 1, dust=stake.LOCK_DUST_RAO) == left
    near = stake.rolled_lock(100.0, 0.0, 648_000, 934_866, 934_867)
    assert near == pytest.approx(stake.rolled_lock(100.0, 0.0, 648_000, 934_866, 934_866), rel=1e-5)
    assert stake.rolled_lock(100.0, 50.0, 1, 0, 934_866) == pytest.approx((0.0, 50.0), rel=1e-5)
