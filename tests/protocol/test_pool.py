"""Properties of the pool that hold for all reserves, weights, sizes and fees."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtao_gym.protocol.pool import (
    MAX_INPUT_RATIO,
    MIN_RESERVE,
    MIN_RESERVE_OF_LAUNCH,
    RESERVE_LIMITS,
    RESERVE_LIMITS_OF_LAUNCH,
    WEIGHT_RANGE,
    alpha_for_tao,
    buy,
    injection_fits,
    sell,
    sellable_alpha,
    spot_price,
    tao_for_alpha,
    trade,
    trade_to_reach,
    weight_after_injection,
    weight_ratio,
)

EPS = np.finfo(float).eps
WEIGHT_MIN, WEIGHT_MAX = WEIGHT_RANGE
LEAVING_SOME = RESERVE_LIMITS_OF_LAUNCH  # refuses the orders that leave nothing but rounding


def powers(low: float, high: float):
    """Numbers whose logarithm is uniform."""
    return st.floats(math.log10(low), math.log10(high)).map(lambda exponent: 10.0**exponent)


tao_reserves = powers(1.0, 1e6)
alpha_reserves = powers(1.0, 2e7)
weights = st.just(0.5) | st.floats(WEIGHT_MIN, WEIGHT_MAX)
sizes = powers(1e-9, 1e3)
fees = st.just(0.0) | st.floats(0.0, 0.01)
flat_fees = st.just(0.0) | powers(1e-6, 1e-2)
pools = st.tuples(tao_reserves, alpha_reserves, weights)


def rounding(before, after, weight):
    """TAO that rounding of the reserves before and after a swap can be worth: a few units in the last place.

    A unit of a large alpha reserve is worth a lot once a buy has made alpha dear.
    """
    dearest = max(spot_price(*before, weight), spot_price(*after, weight))
    return 8 * EPS * (max(before[0], after[0]) + max(before[1], after[1]) * dearest)


# --- prices and curves


@given(pools, sizes)
def test_a_buy_raises_the_price_and_a_sale_lowers_it(pool, size):
    tao, alpha, weight = pool
    price = spot_price(*pool)
    for order, reserve, sign in ((buy, tao, 1), (sell, alpha, -1)):
        *_, tao_after, alpha_after = order(*pool, size * reserve, 0.0, 0.0, LEAVING_SOME)
        assert sign * (spot_price(tao_after, alpha_after, weight) - price) >= 0.0


@given(pools, sizes)
def test_nobody_trades_at_a_better_price_than_the_spot_price(pool, size):
    tao, alpha, _ = pool
    price = spot_price(*pool)
    assert alpha_for_tao(*pool, size * tao) * price <= size * tao * (1 + 8 * EPS)
    assert tao_for_alpha(*pool, size * alpha) <= size * alpha * price * (1 + 8 * EPS)


@given(pools)
def test_a_tiny_order_trades_at_the_spot_price(pool):
    tao, alpha, _ = pool
    price = spot_price(*pool)
    assert alpha_for_tao(*pool, 1e-9 * tao) * price == pytest.approx(1e-9 * tao, rel=2e-7)
    assert tao_for_alpha(*pool, 1e-9 * alpha) == pytest.approx(1e-9 * alpha * price, rel=2e-7)


@given(pools, sizes)
def test_a_swap_without_fee_keeps_the_weighted_product(pool, size):
    tao, alpha, weight = pool
    for order, reserve in ((buy, tao), (sell, alpha)):
        *_, tao_after, alpha_after = order(*pool, size * reserve, 0.0, 0.0, LEAVING_SOME)
        change = weight * math.log(tao_after / tao) + (1 - weight) * math.log(alpha_after / alpha)
        lost = EPS * (weight * tao / tao_after + (1 - weight) * alpha / alpha_after)
        assert abs(change) <= 8 * (lost + EPS)


@given(tao_reserves, alpha_reserves, sizes)
def test_weights_of_one_half_are_constant_product(tao, alpha, size):
    # the rational branch at 1/2 and the general one next to it are one curve
    neighbour = np.nextafter(0.5, 1.0)
    assert alpha_for_tao(tao, alpha, 0.5, size * tao) == pytest.approx(
        alpha * size / (1 + size), rel=4e-15
    )
    for curve, amount in ((alpha_for_tao, size * tao), (tao_for_alpha, size * alpha)):
        assert curve(tao, alpha, 0.5, amount) == pytest.approx(
            curve(tao, alpha, neighbour, amount), rel=2e-14
        )


@given(pools, sizes, st.floats(0.0, 1.0))
def test_two_parts_of_a_trade_are_the_trade(pool, size, part):
    tao, alpha, weight = pool
    amount = size * tao
    first = alpha_for_tao(*pool, part * amount)
    second = alpha_for_tao(tao + part * amount, alpha - first, weight, (1 - part) * amount)
    assert first + second == pytest.approx(
        alpha_for_tao(*pool, amount), rel=1e-12, abs=8 * EPS * alpha
    )
    amount = size * alpha
    first = tao_for_alpha(*pool, part * amount)
    second = tao_for_alpha(tao - first, alpha + part * amount, weight, (1 - part) * amount)
    assert first + second == pytest.approx(
        tao_for_alpha(*pool, amount), rel=1e-12, abs=8 * EPS * tao
    )


# --- orders


@given(pools, sizes, fees, flat_fees)
def test_buying_and_selling_again_never_pays(pool, size, fee, flat):
    tao, alpha, weight = pool
    out, taken, _, *after = buy(*pool, size * tao, fee, flat)
    back, sold, *_ = sell(*after, weight, out, fee, flat)
    slack = rounding((tao, alpha), after, weight)
    assert sold <= out
    assert back <= taken * (1 - fee) + slack
    if sold > 0.0:  # the flat fee is due twice, as far as there is something to take it from
        assert back <= max(taken - flat, 0.0) + slack


@given(pools, sizes, fees, flat_fees)
def test_selling_and_buying_again_never_pays(pool, size, fee, flat):
    tao, alpha, weight = pool
    out, taken, _, *after = sell(*pool, size * alpha, fee, flat, LEAVING_SOME)
    back, *_ = buy(*after, weight, out, fee, flat)
    cheapest = min(spot_price(*pool), spot_price(*after, weight))
    assert back <= taken + rounding((tao, alpha), after, weight) / cheapest


@given(pools, powers(1e-9, 1e6), fees, flat_fees)
def test_an_order_is_executed_within_the_limits_or_not_at_all(pool, size, fee, flat):
    tao, alpha, _ = pool
    for order, reserve in ((buy, tao), (sell, alpha)):
        amount = size * reserve
        out, taken, paid_fee, tao_after, alpha_after = order(*pool, amount, fee, flat)
        if taken == 0.0:
            assert (out, paid_fee, tao_after, alpha_after) == (0.0, 0.0, tao, alpha)
            continue
        assert taken == amount
        assert out >= 0.0
        assert paid_fee >= 0.0
        left, whole = (alpha_after, alpha) if order is buy else (tao_after, tao)
        assert left >= 0.0
        assert whole >= MIN_RESERVE
        assert amount * (1 - fee) - flat <= MAX_INPUT_RATIO * reserve * (1 + EPS)


@given(pools, sizes, fees, flat_fees)
def test_an_order_creates_nothing(pool, size, fee, flat):
    tao, alpha, _ = pool
    out, taken, paid_fee, tao_after, alpha_after = buy(*pool, size * tao, fee, flat)
    assert tao_after + paid_fee == pytest.approx(tao + taken, rel=4 * EPS)
    assert alpha_after + out == pytest.approx(alpha, rel=4 * EPS)
    out, taken, paid_fee, tao_after, alpha_after = sell(*pool, size * alpha, fee, flat)
    assert tao_after + out + paid_fee == pytest.approx(tao, rel=4 * EPS)
    assert alpha_after == pytest.approx(alpha + taken, rel=4 * EPS)


@given(pools, sizes, st.floats(1e-4, 0.01))
def test_fees_cost_what_they_say(pool, size, fee):
    tao, alpha, _ = pool
    out, taken, paid, *_ = buy(*pool, size * tao, fee, 0.0)
    assert paid == pytest.approx(fee * taken, rel=1e-14)
    assert out <= alpha_for_tao(*pool, size * tao)
    out, taken, paid, *_ = sell(*pool, size * alpha, fee, 0.0)
    if taken > 0.0:  # out and fee together are the whole sale
        assert out + paid == pytest.approx(tao_for_alpha(*pool, size * alpha), rel=4 * EPS)
        assert out == pytest.approx(tao_for_alpha(*pool, size * alpha * (1 - fee)), rel=4 * EPS)


# --- price limits


@given(pools, powers(1e-9, 1e2), fees)
def test_one_formula_for_both_directions_is_each_of_them(pool, size, fee):
    tao, alpha, _ = pool
    bought = trade(*pool, size * tao, 0.0, fee)
    assert bought == pytest.approx(buy(*pool, size * tao, fee, 0.0), rel=1e-12, abs=1e-15 * tao)
    sold = trade(*pool, 0.0, size * alpha, fee)
    assert sold == pytest.approx(sell(*pool, size * alpha, fee, 0.0), rel=1e-12, abs=1e-15 * alpha)


@given(pools, powers(1e-3, 1e3))
def test_the_trade_to_a_price_reaches_it(pool, ratio):
    tao, alpha, weight = pool
    price = spot_price(*pool)
    tao_in, alpha_in = trade_to_reach(*pool, price, price * ratio)
    assert min(tao_in, alpha_in) == 0.0
    if ratio >= 1.0:
        tao, alpha = tao + tao_in, alpha - alpha_for_tao(*pool, tao_in)
    else:
        tao, alpha = tao - tao_for_alpha(*pool, alpha_in), alpha + alpha_in
    assert spot_price(tao, alpha, weight) == pytest.approx(price * ratio, rel=1e-12)


@pytest.mark.parametrize("weight", [0.3, 0.5, 0.8])
@pytest.mark.parametrize(("price", "target"), [(0.0, 0.1), (0.1, 0.0), (0.0, 0.0), (0.1, 0.1)])
def test_there_is_no_trade_to_or_from_no_price(weight, price, target):
    assert trade_to_reach(100.0, 1000.0, weight, price, target) == (0.0, 0.0)


# --- injection


@given(pools, sizes, sizes)
def test_an_injection_leaves_the_price(pool, tao_size, alpha_size):
    tao, alpha, weight = pool
    price = spot_price(*pool)
    tao_in, alpha_in = tao_size * tao, alpha_size * alpha
    after = weight_after_injection(*pool, tao_in, alpha_in, price)
    if not injection_fits(tao, weight, tao_in, alpha_in, price):
        assert after == weight
        return
    assert WEIGHT_MIN <= after <= WEIGHT_MAX
    # 1 - w is rounded at the scale of 1
    assert spot_price(tao + tao_in, alpha + alpha_in, after) == pytest.approx(
        price, rel=8 * EPS / min(weight, 1 - weight, after, 1 - after)
    )


@given(pools, sizes)
def test_an_injection_at_the_price_draws_the_weight_towards_one_half(pool, size):
    alpha_in = size * pool[1]
    price = spot_price(*pool)
    after = weight_after_injection(*pool, alpha_in * price, alpha_in, price)
    assert abs(after - 0.5) <= abs(pool[2] - 0.5) + EPS


@given(tao_reserves, alpha_reserves, sizes)
def test_an_injection_at_the_price_leaves_one_half_exactly(tao, alpha, size):
    price = spot_price(tao, alpha, 0.5)
    alpha_in = size * alpha
    assert weight_after_injection(tao, alpha, 0.5, alpha_in * price, alpha_in, price) == 0.5


@pytest.mark.parametrize(
    ("weight", "tao_in", "alpha_in", "after"),
    [
        (0.5, 98.0, 0.0, 0.99),
        (0.5, 98.1, 0.0, 0.5),  # 0.99001
        (0.5, 0.0, 98.0, 0.01),
        (0.5, 0.0, 98.1, 0.5),
        (0.985, 0.5, 0.0, 1.5 / (0.5 + 1.0 / 0.985)),
        (0.985, 0.52, 0.0, 0.985),
    ],
)
def test_an_injection_that_would_leave_the_range_of_weights_leaves_the_weight(
    weight, tao_in, alpha_in, after
):
    price = spot_price(1.0, 1.0, weight)
    got = weight_after_injection(1.0, 1.0, weight, tao_in, alpha_in, price)
    assert got == pytest.approx(after, rel=1e-15)
    assert injection_fits(1.0, weight, tao_in, alpha_in, price) is (got != weight)


# --- pools at the edge

EDGES = [(1.0, 1.0), (1.0, 21e6), (MIN_RESERVE, 1.0), (1.0, MIN_RESERVE)]
EDGES += [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1e-300, 1e-300), (21e6, 21e6)]


@pytest.mark.parametrize("reserves", EDGES)
@pytest.mark.parametrize("weight", [WEIGHT_MIN, 0.5, WEIGHT_MAX])
def test_no_edge_gives_a_number_that_is_not_one(reserves, weight):
    pool = (*reserves, weight)
    price = spot_price(*pool)
    values = [price, weight_ratio(weight)]
    for amount in (0.0, 1e-9, 1.0, 21e6):
        values += [alpha_for_tao(*pool, amount), tao_for_alpha(*pool, amount)]
        for flat in (0.0, 50_000e-9):
            values += [*buy(*pool, amount, 0.0005, flat), *sell(*pool, amount, 0.0005, flat)]
        for target in (0.0, 1e-12, 1.0, 1e12):
            values += trade_to_reach(*pool, price, target)
        values.append(weight_after_injection(*pool, amount, amount, price))
    assert np.isfinite(values).all()
    assert min(values) >= 0.0


@pytest.mark.parametrize("reserves", EDGES)
def test_the_whole_supply_cannot_empty_a_pool(reserves):
    tao, alpha = reserves
    for limits, least in ((RESERVE_LIMITS, 0.0), (RESERVE_LIMITS_OF_LAUNCH, MIN_RESERVE_OF_LAUNCH)):
        *_, tao_after, alpha_after = sell(tao, alpha, 0.5, 21e6, 0.0, 0.0, limits)
        assert tao_after >= min(tao, max(least, tao / (1.0 + MAX_INPUT_RATIO)))
        *_, tao_after, alpha_after = buy(tao, alpha, 0.5, 21e6, 0.0, 0.0, limits)
        assert alpha_after >= min(alpha, max(least, alpha / (1.0 + MAX_INPUT_RATIO)))


@pytest.mark.parametrize(
    ("limits", "taken"),
    [
        (RESERVE_LIMITS, {1.1e-3: True, 1e-3: True, 0.9e-3: False}),
        (RESERVE_LIMITS_OF_LAUNCH, {2.1e-2: True, 1.9e-2: False, 1e-3: False}),
    ],
    ids=["tested before the swap", "tested after it"],
)
def test_the_smallest_reserve_is_tested_on_what_comes_out(limits, taken):
    # an order as large as the reserve halves the other one; that which it enters may be as small as it likes
    for reserve, expected in taken.items():
        assert (buy(1e-6, reserve, 0.5, 1e-6, 0.0, 0.0, limits)[1] > 0.0) is expected
        assert (sell(reserve, 1e-6, 0.5, 1e-6, 0.0, 0.0, limits)[1] > 0.0) is expected
        assert (trade(reserve, 1e-6, 0.5, 0.0, 1e-6, 0.0, limits)[1] > 0.0) is expected


@pytest.mark.parametrize("limits", [RESERVE_LIMITS, RESERVE_LIMITS_OF_LAUNCH])
@pytest.mark.parametrize("weight", [0.5, 0.6])
def test_sellable_alpha_ends_where_the_chain_refuses_small_orders(limits, weight):
    reserve = 5.0 * max(limits)
    most = sellable_alpha(reserve, 3.0, weight, limits)
    tao, alpha = sell(reserve, 3.0, weight, most, 0.0, 0.0, limits)[3:]
    assert tao == pytest.approx(max(limits), rel=1e-6)
    assert sell(tao, alpha, weight, 1e-5 * alpha, 0.0, 0.0, limits)[1] == (
        0.0 if limits.after else pytest.approx(1e-5 * alpha)
    )
    assert sellable_alpha(max(limits), 3.0, weight, limits) == 0.0
