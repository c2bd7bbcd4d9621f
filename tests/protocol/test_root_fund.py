"""Funds of root alpha: closed forms, and properties that hold for all pools, holdings and shares."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtao_gym.compiling import rule
from dtao_gym.protocol import root_fund
from dtao_gym.protocol.pool import alpha_for_tao, spot_price, tao_for_alpha

EPS = np.finfo(float).eps


def powers(low: float, high: float):
    """Numbers whose logarithm is uniform."""
    return st.floats(math.log10(low), math.log10(high)).map(lambda exponent: 10.0**exponent)


weights = st.just(0.5) | st.floats(0.1, 0.9)
pools = st.tuples(powers(1.0, 1e6), powers(1.0, 2e7), weights)
fractions = powers(1e-9, 10.0)  # of a pool's alpha
funds = st.just(1.0) | st.floats(1.0, 200.0)
positive = powers(1e-6, 1e7)
amounts = st.just(0.0) | positive


# --- value of a holding


def test_the_value_of_a_holding_is_what_its_sale_fetches():
    # half of the pool's TAO for as much alpha as the pool has
    assert root_fund.realisable_value(1000.0, 1000.0, 0.5, 1000.0, 1.0) == 500.0
    # sixteen funds of a sixteenth each: 16 x 1000 / 17
    assert root_fund.realisable_value(1000.0, 1000.0, 0.5, 1000.0, 16.0) == pytest.approx(
        1000.0 * 16.0 / 17.0
    )
    # w = 2/3: 1 - (1/2)**(1/2)
    assert root_fund.realisable_value(1000.0, 1000.0, 2 / 3, 1000.0, 1.0) == pytest.approx(
        1000.0 * (1.0 - 0.5**0.5)
    )


@given(pools, fractions)
def test_one_fund_is_valued_as_a_sale(pool, size):
    alpha = size * pool[1]
    assert root_fund.realisable_value(*pool, alpha, 1.0) == pytest.approx(
        tao_for_alpha(*pool, alpha), rel=1e-13
    )


@given(pools, fractions, funds)
def test_the_value_is_at_most_that_at_the_spot_price_and_rises_with_the_number_of_funds(
    pool, size, number
):
    alpha = size * pool[1]
    value = root_fund.realisable_value(*pool, alpha, number)
    assert 0.0 < value <= alpha * spot_price(*pool) * (1 + 1e-12)
    assert root_fund.realisable_value(*pool, alpha, 1.5 * number) >= value * (1 - 1e-12)


@given(pools, fractions)
def test_very_many_funds_are_valued_at_the_spot_price(pool, size):
    alpha = size * pool[1]
    spot = alpha * spot_price(*pool)
    assert root_fund.realisable_value(*pool, alpha, 1e9) == pytest.approx(spot, rel=1e-7)
    value, gain = root_fund.value_and_gain(*pool, alpha, 0.1 * alpha, 1e9)
    assert (value, gain) == pytest.approx((spot, 0.1 * spot), rel=1e-7)


# --- value that a credit adds


@given(pools, st.just(0.0) | fractions, fractions, funds)
def test_a_credit_adds_the_difference_of_the_values(pool, held, credit, number):
    tao, alpha, _ = pool
    value, gain = root_fund.value_and_gain(*pool, held * alpha, credit * alpha, number)
    after = root_fund.realisable_value(*pool, (held + credit) * alpha, number)
    assert value == pytest.approx(
        root_fund.realisable_value(*pool, held * alpha, number), rel=1e-13
    )
    assert value + gain == pytest.approx(after, rel=1e-12, abs=16 * EPS * number * tao)


@given(pools, st.just(0.0) | fractions, fractions, st.floats(0.01, 0.99), funds)
def test_two_credits_add_as_much_as_both_at_once(pool, held, credit, part, number):
    tao, alpha, _ = pool
    held, credit = held * alpha, credit * alpha
    first = root_fund.value_and_gain(*pool, held, part * credit, number)[1]
    second = root_fund.value_and_gain(*pool, held + part * credit, (1 - part) * credit, number)[1]
    whole = root_fund.value_and_gain(*pool, held, credit, number)[1]
    assert first + second == pytest.approx(whole, rel=1e-10, abs=16 * EPS * number * tao)


@pytest.mark.parametrize("weight", [0.5, np.nextafter(0.5, 1.0), 0.55])
def test_a_tiny_credit_keeps_its_digits(weight):
    # 1e-12 of the pool: a difference of two values would keep four digits
    pool = (8000.0, 2.5e6, weight)
    gain = root_fund.value_and_gain(*pool, 30_000.0, 2.5e-6, 1.0)[1]
    left = 8000.0 - tao_for_alpha(*pool, 30_000.0)
    assert gain == pytest.approx(2.5e-6 * spot_price(left, 2.53e6, weight), rel=1e-11)


@pytest.mark.parametrize("weight", [0.5, 0.55])
@pytest.mark.parametrize("reserves", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1e-300, 1e-300)])
@pytest.mark.parametrize("held", [0.0, 5.0])
@pytest.mark.parametrize("credit", [0.0, 5.0])
def test_no_edge_gives_a_number_that_is_not_one(reserves, weight, held, credit):
    value, gain = root_fund.value_and_gain(*reserves, weight, held, credit, 16.0)
    assert value == root_fund.realisable_value(*reserves, weight, held, 16.0)
    assert np.isfinite([value, gain]).all()
    assert min(value, gain) >= 0.0
    if min(reserves) == 0.0:
        assert (value, gain) == (0.0, 0.0)


# --- shares


def test_shares_are_sold_at_the_value_of_the_fund():
    assert root_fund.shares_for(5.0, 0.0, 0.0) == 5.0  # the first ones at par
    assert root_fund.shares_for(5.0, 100.0, 200.0) == 2.5
    # worthless shares: dust against the deposit, or too many
    assert root_fund.shares_for(5.0, 0.05, 0.0) == 5.0
    assert root_fund.shares_for(5.0, 0.06, 0.0) == 0.0
    assert root_fund.shares_for(0.0, 0.0, 0.0) == 0.0


@given(positive, positive, positive)
def test_a_deposit_leaves_the_value_of_a_share(value, shares, nav):
    made = root_fund.shares_for(value, shares, nav)
    assert (nav + value) / (shares + made) == pytest.approx(nav / shares, rel=1e-12)


def test_the_funds_own_root_stake_gets_no_shares():
    assert root_fund.stakers_part(10.0, 75.0, 25.0) == 7.5
    assert root_fund.stakers_part(10.0, 75.0, 0.0) == 10.0
    assert root_fund.stakers_part(10.0, 0.0, 0.0) == 0.0


@given(st.lists(st.tuples(positive, st.floats(-1.0, 2.0)), min_size=1, max_size=8), positive)
def test_a_change_of_root_stake_changes_nothing_that_is_owed(rounds, stake):
    """Stake comes and goes between the grants of shares; shares granted while it is there are owed."""
    rate = claimed = granted = size = 0.0
    for step, change in rounds:
        rate += step
        granted += step * stake
        moved = change * stake
        claimed = root_fund.watermark_after_change(claimed, rate, moved)
        stake += moved
        size = max(size, rate * abs(stake), abs(claimed))
        assert root_fund.owed_shares(rate, stake, claimed) == pytest.approx(
            granted, rel=1e-9, abs=32 * EPS * size
        )


def test_what_is_owed_is_never_negative_and_a_full_exit_keeps_it():
    assert root_fund.owed_shares(0.2, 100.0, 40.0) == 0.0
    assert root_fund.owed_shares(0.2, 0.0, -25.0) == 25.0
    left = root_fund.watermark_after_change(40.0, 0.2, -1200.0)
    assert root_fund.owed_shares(0.2, 0.0, left) == root_fund.owed_shares(0.2, 1200.0, 40.0)


# --- deposits and claims together


@given(pools, fractions, st.floats(0.01, 100.0), positive, st.floats(0.01, 1.0))
def test_nobody_takes_out_more_than_was_put_in(pool, size, shares_per_tao, slot, part):
    """A purchase of shares by TAO, as the fund is composed, and a claim of all of them at once."""
    tao, alpha, weight = pool
    held = size * alpha
    value = root_fund.realisable_value(*pool, held, 1.0)
    nav = value + slot
    shares = shares_per_tao * nav
    paid = part * nav
    bought = alpha_for_tao(*pool, paid * value / nav)
    spent = paid * value / nav
    pool = (tao + spent, alpha - bought, weight)
    new_slot = slot + paid - spent
    after = root_fund.realisable_value(*pool, held + bought, 1.0) + new_slot
    # the purchase moves the price of what the fund holds; the deposit is worth what it adds
    made = root_fund.shares_for(after - nav, shares, nav)
    claimed = made / (shares + made)
    proceeds = tao_for_alpha(*pool, claimed * (held + bought)) + claimed * new_slot
    back = root_fund.claim_payment(proceeds, claimed * after)
    assert back <= paid * (1 + 1e-9)


@given(pools, fractions, positive, st.floats(0.0, 1.0))
def test_a_claim_never_takes_from_the_others(pool, size, slot, part):
    tao, alpha, weight = pool
    held = size * alpha
    nav = root_fund.realisable_value(*pool, held, 1.0) + slot
    sold = tao_for_alpha(*pool, part * held)
    proceeds = sold + part * slot
    paid = root_fund.claim_payment(proceeds, part * nav)
    assert paid == pytest.approx(part * nav, rel=1e-9)  # a part sells better than the whole
    rest = root_fund.realisable_value(
        tao - sold, alpha + part * held, weight, held - part * held, 1.0
    )
    after = rest + slot * (1 - part) + proceeds - paid
    assert after >= (1 - part) * nav * (1 - 1e-9) - 16 * EPS * nav


def test_the_rules_can_be_called_from_compiled_code():
    @rule
    def deposit(tao, alpha, held, credit):
        nav, added = root_fund.value_and_gain(tao, alpha, 0.5, held, credit, 1.0)
        value = root_fund.stakers_part(added, 30.0, 10.0)
        made = root_fund.shares_for(value, 2.0 * nav, nav)
        mark = root_fund.watermark_after_change(0.0, made / 30.0, -15.0)
        owed = root_fund.owed_shares(made / 30.0, 15.0, mark)
        return made, root_fund.claim_payment(
            owed, root_fund.realisable_value(tao, alpha, 0.5, 1e9, 2.0)
        )

    made, owed = deposit(100.0, 200.0, 50.0, 10.0)
    assert made == pytest.approx(2.0 * 0.75 * (100.0 * 60.0 / 260.0 - 100.0 * 50.0 / 250.0))
    assert owed == pytest.approx(made)


# --- curated deposits


def test_a_curated_deposit_sells_everything_and_buys_by_weight():
    tao, alpha = [1000.0, 1000.0], [2000.0, 500.0]
    done = root_fund.curated_deposit(tao, alpha, [0.5, 0.5], [100.0, 0.0], [0.0, 3.0, 1.0])
    fetched = 1000.0 * 100.0 / 2100.0
    assert list(done.tao_reserves_sold) == pytest.approx([1000.0 - fetched, 1000.0])
    assert list(done.alpha_reserves_sold) == [2100.0, 500.0]
    assert done.root_added == pytest.approx(fetched / 4.0)
    assert list(done.alpha_bought) == pytest.approx(
        [0.0, alpha_for_tao(1000.0, 500.0, 0.5, 0.75 * fetched)]
    )
    # no TAO is lost, and no alpha
    assert done.tao_reserves.sum() + done.root_added == pytest.approx(2000.0, rel=1e-14)
    assert (done.alpha_reserves + done.alpha_bought).sum() == pytest.approx(2600.0, rel=1e-14)


# --- trades


def test_a_trade_budget_refills_in_a_day():
    budget = root_fund.trade_budget(1000.0, 0.1)
    assert budget == 100.0
    assert root_fund.trade_allowance(budget, None, 0) == 100.0
    assert root_fund.trade_allowance(budget, 20.0, 3600) == 70.0
    assert root_fund.trade_allowance(budget, 20.0, 7200) == 100.0
    # the fund has lost value since
    assert root_fund.trade_allowance(10.0, 20.0, 0) == 10.0


@pytest.mark.parametrize(
    ("buys", "prices", "limit", "within"),
    [
        (True, (0.0203, 0.02), 0.0204, True),
        (True, (0.0205, 0.02), 0.0204, False),
        (True, (0.0203, 0.02, 0.0198), 0.020196, False),
        (True, (0.019, 0.02), 0.01938, True),
        (False, (0.0195, 0.02), 0.0196, False),
        (False, (0.0197, 0.02), 0.0196, True),
        (False, (0.0197, 0.02, 0.021), 0.02058, False),
        (True, (0.02, 0.0), 0.0, False),
        (False, (0.02, 0.0), 0.0196, False),
    ],
)
def test_a_trade_keeps_within_two_per_cent_of_the_strictest_price(buys, prices, limit, within):
    got, allowed = root_fund.trade_limit(buys, *prices)
    assert got == pytest.approx(limit)
    assert allowed is within
