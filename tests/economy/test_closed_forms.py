"""Textbook results against brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from dtao_gym.economy import builder_theory, closed_forms
from dtao_gym.economy.builder_theory import SOCIAL_DISCOUNT, Technology, Uses
from dtao_gym.protocol import pool


def best(value, low, high):
    optimum = minimize_scalar(
        lambda x: -value(x), bounds=(low, high), method="bounded", options={"xatol": 1e-9}
    )
    return optimum.x


# --- welfare


@given(st.floats(0.02, 0.98), st.floats(0.3, 0.8), st.floats(1e-5, 0.05))
def test_a_set_of_shares_ends_where_the_loss_is_reached(share, curvature, loss):
    low, high = closed_forms.identified_set(share, loss, curvature)
    assert low < share < high
    for edge in (low, high):
        if 1e-9 < edge < 1.0 - 1e-9:
            spared = closed_forms.relative_welfare(edge, share, curvature)
            assert spared == pytest.approx(1.0 - loss, abs=1e-9)


@given(st.floats(0.05, 0.95), st.floats(0.3, 0.8))
def test_small_losses_are_quadratic_in_log_odds(share, curvature):
    shift = 0.01
    moved = 1.0 / (1.0 + (1.0 / share - 1.0) * math.exp(-shift))
    loss = 1.0 - closed_forms.relative_welfare(moved, share, curvature)
    expected = closed_forms.loss_of_shift(share, shift, curvature)
    assert loss == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("curvature", [0.5, 0.7])
def test_a_planner_cannot_divide_a_budget_better(curvature):
    subnets = [Uses(1.0, 1.0), Uses(1.0, 2.0, 0.3), Uses(0.2, 0.9)]
    budgets = closed_forms.best_budgets(subnets, 3.0, curvature)
    assert budgets.sum() == pytest.approx(3.0)
    most = closed_forms.value_of_budgets(subnets, budgets, curvature)
    merit = sum(sum(w ** (1 / (1 - curvature)) for w in subnet) for subnet in subnets)
    assert most == pytest.approx(3.0**curvature * merit ** (1 - curvature))
    for other in np.random.default_rng(1).dirichlet(np.ones(3), 200):
        assert closed_forms.value_of_budgets(subnets, 3.0 * other, curvature) <= most


# --- constant returns


def test_at_the_longest_delay_research_and_product_are_worth_the_same():
    technology = Technology(research_productivity=0.03, spillover=0.2)
    delay = closed_forms.longest_delay(technology)
    assert delay > 0.0
    paid = builder_theory.spending_weights(
        technology._replace(delay_days=0.0), builder_theory.planner_values(technology)
    )
    assert paid.research * SOCIAL_DISCOUNT**delay == pytest.approx(paid.product)
    assert closed_forms.longest_delay(technology, 0.9) == 0.0


@pytest.mark.parametrize(("share", "delay"), [(0.0, 60.0), (0.6, 60.0), (1.0, 0.0)])
def test_growth_is_that_of_the_recursion(share, delay):
    technology = Technology(
        short_productivity=0.9, research_productivity=1.4, curvature=1.0, delay_days=delay
    )
    growth = closed_forms.internal_growth(technology, share, 0.04)
    stocks = builder_theory.Stocks(1.0, 1.0, (1.0,) * technology.stages)
    ratio = 0.0
    for _ in range(3000):
        income = 0.04 * (stocks.short + stocks.knowledge)
        after = builder_theory.next_stocks(
            technology, stocks, Uses((1.0 - share) * income, share * income)
        )
        ratio = (after.short + after.knowledge) / (stocks.short + stocks.knowledge)
        stocks = after
    assert ratio - 1.0 == pytest.approx(growth, rel=1e-6)


def test_at_the_hurdle_all_shares_grow_alike():
    technology = Technology(short_productivity=1.0, curvature=1.0)
    growth = closed_forms.internal_growth(technology, 0.0, 0.05)
    hurdle = closed_forms.growth_hurdle(technology, growth)
    at_it = technology._replace(research_productivity=hurdle)
    assert closed_forms.internal_growth(at_it, 1.0, 0.05) == pytest.approx(growth)
    assert closed_forms.internal_growth(at_it, 0.4, 0.05) == pytest.approx(growth)


# --- contests and signals


@pytest.mark.parametrize("players", [2, 5, 30])
def test_the_slope_of_being_last_is_a_slope(players):
    others = np.random.default_rng(3).normal(size=(400_000, players - 1)).min(1)
    step = 0.25
    # given the others' worst draw, one's own is below it with a normal probability
    low, high = (
        np.mean([0.5 * math.erfc((score - x) / math.sqrt(2.0)) for x in others[:100_000]])
        for score in (-step, step)
    )
    slope = (low - high) / (2.0 * step)
    assert slope == pytest.approx(closed_forms.last_place_slope(players), rel=0.03)


@pytest.mark.parametrize(("players", "exponent"), [(2, 1.0), (5, 0.4), (4, 1.2)])
def test_tullocks_effort_is_a_best_response(players, exponent):
    effort = closed_forms.tullock_effort(players, 100.0, exponent)

    def payoff(own):
        total = own**exponent + (players - 1) * effort**exponent
        return 100.0 * own**exponent / total - own

    assert best(payoff, 1e-9, 100.0) == pytest.approx(effort, rel=1e-5)


def test_two_players_with_prizes_of_their_own():
    first, second = closed_forms.tullock_efforts_of_two(80.0, 30.0)
    assert best(lambda x: 80.0 * x / (x + second) - x, 1e-9, 80.0) == pytest.approx(first)
    assert best(lambda x: 30.0 * x / (x + first) - x, 1e-9, 80.0) == pytest.approx(second)


@pytest.mark.parametrize("exponent", [0.0, -1.0, 1.34, math.nan])
def test_contests_that_nobody_plays_are_refused(exponent):
    with pytest.raises(ValueError, match=r"exponent: got .*, allowed is above 0 up to 1\.33333"):
        closed_forms.tullock_effort(4, 100.0, exponent)


def test_signal_jamming_by_the_filter_itself():
    persistence, q, r, cost, discount = 0.98, 0.02, 0.5, 30.0, 0.995
    variance = 1.0
    for _ in range(2000):
        variance = persistence**2 * variance * r / (variance + r) + q
    jamming = closed_forms.signal_jamming(persistence, q, r, 2.0, cost, discount)
    assert jamming.variance == pytest.approx(variance)
    gain = variance / (variance + r)
    # effort of today lifts the estimate by the gain, of which a part is left every day
    left, pay = gain, 0.0
    for day in range(5000):
        pay += 2.0 * discount**day * left
        left *= persistence * (1.0 - gain)
    assert jamming.effort == pytest.approx(pay / cost)


# --- portfolios


@given(st.floats(0.45, 0.7), st.floats(0.05, 0.3), st.floats(0.05, 0.3), st.floats(0.0, 0.001))
def test_kelly_maximises_growth(chance, up, down, root_return):
    share = closed_forms.kelly_share(chance, up, down, root_return)

    def growth(f):
        return closed_forms.log_growth(f, chance, up, down, root_return)

    for step in (-1e-3, 1e-3):
        assert growth(share + step) < growth(share)


def test_merton_maximises_the_mean_less_the_risk():
    def utility(share):
        return share * (0.3 - 0.05) - 0.5 * 3.0 * (share * 0.6) ** 2

    assert best(utility, 0.0, 2.0) == pytest.approx(closed_forms.merton_share(0.3, 0.05, 0.6, 3.0))


# --- pools


@pytest.mark.parametrize("fee", [0.0, 0.003, 0.01])
def test_the_best_purchase_in_the_pool_of_the_protocol(fee):
    def profit(tao_in):
        out = pool.buy(1000.0, 20_000.0, 0.5, tao_in, fee, 0.0)[0]
        return 0.08 * out - tao_in

    purchase = closed_forms.best_buy(1000.0, 20_000.0, 0.08, fee)
    assert best(profit, 0.0, 2000.0) == pytest.approx(purchase.tao_in, rel=1e-5)
    assert profit(purchase.tao_in) == pytest.approx(purchase.profit)


@pytest.mark.parametrize("budget", [50.0, 300.0, 1500.0])
def test_water_filling_cannot_be_bettered(budget):
    tao, alpha, value = (1000.0, 500.0, 2000.0), (20_000.0,) * 3, (0.08, 0.05, 0.115)
    mu, spent = closed_forms.water_filling(tao, alpha, value, budget)
    assert spent.sum() <= budget * (1.0 + 1e-12)
    assert (mu > 1.0) == (spent.sum() == pytest.approx(budget))

    def loss(x):
        return -sum(
            v * a * x_ / (t + x_) - x_ for t, a, v, x_ in zip(tao, alpha, value, x, strict=True)
        )

    optimum = minimize(
        loss,
        np.full(3, budget / 4.0),
        bounds=[(0.0, None)] * 3,
        constraints={"type": "ineq", "fun": lambda x: budget - x.sum()},
    )
    assert -loss(spent) == pytest.approx(-optimum.fun, rel=1e-6)


def test_parts_of_a_sale_earn_the_same_at_the_margin():
    parts = closed_forms.best_parts(800.0, 9000.0, 1500.0, 0.97)
    assert parts.sum() == pytest.approx(1500.0)
    assert parts[-1] == 0.0
    sold = parts[parts > 0.0]
    margins = 0.97 ** np.arange(len(sold)) * 800.0 * 9000.0 / (9000.0 + sold) ** 2
    np.testing.assert_allclose(margins, margins[0])
    # the first price that is not taken is no better than the margin
    assert 0.97 ** len(sold) * 800.0 / 9000.0 <= margins[0]


def test_a_pool_without_resilience_does_not_mind_parts():
    at_once = closed_forms.sale_in_parts(1000.0, 20_000.0, [2000.0], resilient=False)
    parts = closed_forms.sale_in_parts(1000.0, 20_000.0, [1200.0, 300.0, 500.0], resilient=False)
    rested = closed_forms.sale_in_parts(1000.0, 20_000.0, [1200.0, 300.0, 500.0], resilient=True)
    assert parts.sum() == pytest.approx(at_once.sum())
    assert rested.sum() > at_once.sum()


def test_the_price_of_daily_flows_is_where_they_leave_it():
    tao, alpha = 500.0, 12_000.0
    for _ in range(3000):
        _, _, _, tao, alpha = pool.sell(tao, alpha, 0.5, 300.0, 0.0, 0.0)
        _, _, _, tao, alpha = pool.buy(tao, alpha, 0.5, 15.0, 0.0, 0.0)
    expected = closed_forms.price_of_daily_flows(alpha, 300.0, 15.0)
    assert tao / alpha == pytest.approx(expected, rel=1e-9)


def test_a_moving_average_of_a_pulse():
    discount, weight, days = 0.999, 0.05, np.arange(40_000)
    answer = weight * (1.0 - weight) ** days
    expected = closed_forms.moving_average_factor(discount, weight)
    assert discount**days @ answer == pytest.approx(expected)
    slow = 1.0 - (1.0 - 3e-6) ** 7200
    factor = closed_forms.moving_average_factor(SOCIAL_DISCOUNT, slow)
    assert factor == pytest.approx(0.972772, abs=5e-7)


# --- projects


def test_a_project_by_value_iteration():
    discount, loss, success = 0.93, 0.05, 0.2
    value = np.zeros((4, 2))
    for _ in range(2000):
        stays = np.arange(4)
        falls = np.maximum(stays - 1, 0)

        def mean(column, up, value=value, stays=stays, falls=falls):
            after = [value[np.minimum(k + up, 3), column] for k in (stays, falls)]
            return (1.0 - loss) * after[0] + loss * after[1]

        idle = np.maximum(1.0 + discount * mean(0, 0), discount * mean(1, 0))
        busy = 1.0 + discount * (success * mean(0, 1) + (1.0 - success) * mean(1, 0))
        value = np.arange(4)[:, None] + np.stack([idle, busy], axis=1)
    policy = closed_forms.research_project(discount, success=success, loss=loss)
    np.testing.assert_allclose(policy.value, value, rtol=1e-9)
    assert not policy.starts[3]


def test_thresholds_of_projects():
    threshold = closed_forms.project_threshold(knowledge=1)
    assert closed_forms.research_project(threshold + 1e-6).starts[1]
    assert not closed_forms.research_project(threshold - 1e-6).starts[1]
    # without loss and with one level to gain it is the closed one
    single = closed_forms.project_threshold(levels=2, success=0.3, loss=0.0)
    assert single == pytest.approx(closed_forms.single_project_threshold(0.3))
