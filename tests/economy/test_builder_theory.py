"""Closed forms of the builder's choice: against brute force, and properties that hold at any parameters."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dtao_gym.economy import builder_theory
from dtao_gym.economy.builder_theory import SOCIAL_DISCOUNT, Stocks, Technology, Uses
from dtao_gym.economy.valuation import capitalisation

DEFAULTS = Technology()
OTHERS = (
    Technology(curvature=0.6, delay_days=40.0, delay_stages=2, spillover=1.2, hype=1.0),
    Technology(knowledge_half_life_days=200.0, short_half_life_days=9.0, delay_days=0.0),
)


@st.composite
def technologies(draw):
    """Technologies all over the ranges."""
    stages = draw(st.integers(1, 6))
    return Technology(
        research_productivity=draw(st.floats(2e-3, 2e-2)),
        curvature=draw(st.floats(0.3, 0.8)),
        short_half_life_days=draw(st.floats(7.0, 90.0)),
        knowledge_half_life_days=draw(st.floats(180.0, 2000.0)),
        delay_days=draw(st.just(0.0) | st.floats(stages, 720.0)),
        delay_stages=stages,
        spillover=draw(st.floats(0.0, 2.0)),
        hype=draw(st.floats(0.0, 4.0)),
    )


DISCOUNTS = st.floats(0.98, 0.9995)


def odds(technology, values, discount=SOCIAL_DISCOUNT):
    """Log-odds of research."""
    share = builder_theory.research_share(
        builder_theory.spending_weights(technology, values, discount), technology.curvature
    )
    return builder_theory.log_odds(share)


def discounted_value(technology, values, share, discount, start=None, days=2500):
    """Present value of a budget of 1 TAO a day, from the recursion alone."""
    stocks = builder_theory.no_stocks(technology) if start is None else start
    spending = Uses(1.0 - share, share)
    total, weight = 0.0, 1.0
    for _ in range(days):
        stocks = builder_theory.next_stocks(technology, stocks, spending)
        total += weight * values(stocks)
        weight *= discount
    return total


def best_share(value):
    optimum = minimize_scalar(lambda r: -value(r), bounds=(1e-6, 1 - 1e-6), method="bounded")
    return optimum.x


# --- against brute force


@pytest.mark.parametrize("technology", OTHERS)
def test_the_planner_maximises_the_value_of_the_recursion(technology):
    discount = 0.99

    def welfare(share):
        def users(stocks):
            return stocks.short + (1.0 + technology.spillover) * stocks.knowledge

        return discounted_value(technology, users, share, discount)

    closed = builder_theory.spending_weights(
        technology, builder_theory.planner_values(technology), discount
    )
    expected = builder_theory.research_share(closed, technology.curvature)
    assert 0.05 < expected < 0.95
    assert best_share(welfare) == pytest.approx(expected, abs=1e-4)


def test_nobody_gains_by_leaving_the_equilibrium_of_votes():
    technology = OTHERS[0]._replace(influence_productivity=0.0)
    discount, informed, n = 0.99, 0.4, 8
    shares = builder_theory.vote_equilibrium(technology, informed, discount)
    assert shares.influence == 0.0
    others = builder_theory.steady_stocks(technology, shares)

    def vote(stocks):
        def part(score):
            return score(stocks) / (score(stocks) + (n - 1) * score(others))

        contributed = part(lambda own: own.short + (1.0 + technology.spillover) * own.knowledge)
        shown = part(lambda own: (1.0 + technology.hype) * own.short + own.knowledge)
        return informed * contributed + (1.0 - informed) * shown

    best = best_share(lambda r: discounted_value(technology, vote, r, discount, start=others))
    assert best == pytest.approx(shares.research, abs=1e-3)


def test_capital_values_are_what_the_stocks_will_bring():
    technology, discount = OTHERS[0], 0.99
    values = builder_theory.informed_values(technology, discount)
    for stocks in (
        Stocks(1.0, 0.0, (0.0, 0.0)),
        Stocks(0.0, 1.0, (0.0, 0.0)),
        Stocks(0.0, 0.0, (1.0, 0.0)),
        Stocks(0.0, 0.0, (0.0, 1.0)),
    ):
        total, left, weight = 0.0, stocks, 1.0
        for _ in range(4000):
            total += weight * (left.short + left.knowledge)
            left = builder_theory.next_stocks(technology, left, Uses(0.0, 0.0))
            weight *= discount
        assert builder_theory.total_value(stocks, values) == pytest.approx(total, rel=1e-9)


def test_shares_of_the_budget_maximise_the_weighted_sum():
    weights, curvature = Uses(1.5, 1.0, 0.5), 0.7
    best = builder_theory.spending_shares(weights, curvature)
    assert sum(best) == pytest.approx(1.0)

    def value(shares):
        return sum(w * x**curvature for w, x in zip(weights, shares, strict=True))

    for step in (-1e-3, 1e-3):
        for moved in (
            best._replace(product=best.product + step, research=best.research - step),
            best._replace(product=best.product + step, influence=best.influence - step),
        ):
            assert value(moved) < value(best)


@given(technologies(), st.floats(0.05, 0.95), st.floats(0.0, 0.5))
def test_steady_stocks_stay(technology, share, influence):
    spending = Uses((1.0 - share) * (1.0 - influence), share * (1.0 - influence), influence)
    stocks = builder_theory.steady_stocks(technology, spending)
    after = builder_theory.next_stocks(technology, stocks, spending)
    assert after[:2] == pytest.approx(stocks[:2])
    assert after.pipeline == pytest.approx(stocks.pipeline)
    assert after.influence == pytest.approx(stocks.influence)
    assert len(after.pipeline) == technology.stages


# --- what holds at any parameters


@given(technologies(), DISCOUNTS, st.floats(0.0, 0.003))
def test_channels_add_in_log_odds(technology, discount, growth):
    sigma = technology.substitution
    fee = odds(technology, builder_theory.fee_values(), discount)
    planner = odds(technology, builder_theory.planner_values(technology), discount)
    assert planner - fee == pytest.approx(sigma * math.log1p(technology.spillover), abs=1e-9)
    uninformed = odds(technology, builder_theory.uninformed_values(technology), discount)
    hype = fee - uninformed
    assert hype == pytest.approx(sigma * math.log1p(technology.hype), abs=1e-9)
    slower = builder_theory.discount_with_growth(discount, growth)
    treadmill = fee - odds(technology, builder_theory.fee_values(), slower)
    both = fee - odds(technology, builder_theory.uninformed_values(technology), slower)
    assert both == pytest.approx(hype + treadmill, abs=1e-9)


@given(technologies(), DISCOUNTS, st.floats(1e-4, 0.003))
def test_what_cuts_the_future_cuts_research(technology, discount, rate):
    values = builder_theory.fee_values()
    patient = odds(technology, values, discount)
    # at any discount, knowledge arrives later and lasts longer than the short stock
    assert odds(technology, values, builder_theory.discount_with_growth(discount, rate)) < patient
    assert odds(technology, values, builder_theory.discount_with_hazard(discount, rate)) < patient
    later = technology._replace(delay_days=technology.delay_days + technology.delay_stages)
    assert odds(later, values, discount) < patient


@given(technologies(), st.floats(0.0, 1.0), st.floats(100.0, 1000.0))
def test_a_mixture_lies_between_its_parts(technology, informed, capitalisation):
    parts = [
        odds(technology, builder_theory.market_values(technology, share, capitalisation))
        for share in (0.0, informed, 1.0)
    ]
    assert parts[1] == pytest.approx(min(max(parts[1], min(parts)), max(parts)), abs=1e-9)
    assert parts[0] == pytest.approx(odds(technology, builder_theory.uninformed_values(technology)))
    assert parts[2] == pytest.approx(odds(technology, builder_theory.informed_values(technology)))


@given(technologies(), st.floats(0.05, 0.95), st.floats(100.0, 1000.0))
def test_the_informed_share_for_a_mix_gives_it(technology, share, capitalisation):
    informed = builder_theory.informed_share_for(technology, share, capitalisation)
    if 0.0 <= informed <= 1.0:
        values = builder_theory.market_values(technology, informed, capitalisation)
        assert odds(technology, values) == pytest.approx(builder_theory.log_odds(share), abs=1e-6)


@given(technologies(), DISCOUNTS)
def test_the_milestone_restores_the_planner(technology, discount):
    paid = builder_theory.spending_weights(
        technology, builder_theory.uninformed_values(technology), discount
    )
    grant = builder_theory.planners_milestone(technology, discount)
    mended = builder_theory.add_milestone(technology, paid, grant, discount)
    planner = builder_theory.spending_weights(
        technology, builder_theory.planner_values(technology), discount
    )
    assert mended.research / mended.product == pytest.approx(planner.research / planner.product)


@given(technologies(), st.floats(0.0, 1.0))
def test_influence_leaves_the_mix_alone(technology, informed):
    values = builder_theory.market_values(technology, informed, 400.0)
    paid = builder_theory.spending_weights(technology, values)
    shares = builder_theory.spending_shares(paid, technology.curvature)
    mix = shares.research / (shares.product + shares.research)
    assert mix == pytest.approx(builder_theory.research_share(paid, technology.curvature))
    assert (shares.influence == 0.0) == (informed == 1.0)


def test_blind_voters_are_blind_stakers_and_informed_ones_the_planner():
    assert builder_theory.vote_equilibrium(OTHERS[0], 1.0).research == pytest.approx(
        builder_theory.research_share(
            builder_theory.spending_weights(OTHERS[0], builder_theory.planner_values(OTHERS[0])),
            OTHERS[0].curvature,
        )
    )
    private = builder_theory.vote_equilibrium(DEFAULTS, 1.0, spillover_weight=0.0)
    assert private.research == pytest.approx(0.5)


def test_the_capitalisation_makes_the_uninformed_right_on_average():
    share, factor = builder_theory.market_equilibrium(OTHERS[0], 0.3)
    stocks = builder_theory.steady_stocks(OTHERS[0], Uses(1.0 - share, share))
    worth = builder_theory.total_value(stocks, builder_theory.informed_values(OTHERS[0]))
    assert worth == pytest.approx(factor * (stocks.short + stocks.knowledge))


# --- numbers, and numbers that are refused


def test_numbers_of_the_defaults():
    assert DEFAULTS.short_decay == pytest.approx(0.0228400316, abs=5e-11)
    assert DEFAULTS.knowledge_decay == pytest.approx(0.0009622412, abs=5e-11)
    assert DEFAULTS.stage_rate == pytest.approx(1 / 60)
    assert pytest.approx(0.9993888346, abs=5e-11) == SOCIAL_DISCOUNT
    assert capitalisation(SOCIAL_DISCOUNT, DEFAULTS.short_decay) == pytest.approx(
        42.6671438, abs=5e-8
    )
    assert capitalisation(SOCIAL_DISCOUNT, DEFAULTS.knowledge_decay) == pytest.approx(
        635.8012962, abs=5e-8
    )
    assert builder_theory.pipeline_discount(DEFAULTS, SOCIAL_DISCOUNT) ** 3 == pytest.approx(
        0.8975327882, abs=5e-11
    )
    planner = builder_theory.spending_weights(DEFAULTS, builder_theory.planner_values(DEFAULTS))
    unseen = builder_theory.pooled_capitalisation(
        DEFAULTS, builder_theory.research_share(planner), pipeline_counted=False
    )
    assert unseen == pytest.approx(473.836, abs=5e-4)


@pytest.mark.parametrize(("delay", "share"), [(30.0, 0.5448), (180.0, 0.5), (360.0, 0.4480)])
def test_the_fee_arm_by_delay(delay, share):
    technology = Technology(delay_days=delay)
    best = builder_theory.research_share(
        builder_theory.spending_weights(technology, builder_theory.fee_values())
    )
    assert best == pytest.approx(share, abs=5e-5)


def test_identical_technologies_share_equally():
    same = Technology(
        research_productivity=0.1,
        knowledge_half_life_days=30.0,
        delay_days=0.0,
        spillover=0.0,
        hype=0.0,
        influence_productivity=0.0,
    )
    payers = (
        builder_theory.fee_values(),
        builder_theory.planner_values(same),
        builder_theory.uninformed_values(same),
        builder_theory.informed_values(same),
        builder_theory.market_values(same, 0.3, 400.0),
    )
    for values in payers:
        assert odds(same, values) == pytest.approx(0.0, abs=1e-12)
    assert builder_theory.vote_equilibrium(same, 0.3).research == pytest.approx(0.5)


def test_one_stage_of_a_day_is_a_delay_of_a_day():
    technology = Technology(delay_days=1.0, delay_stages=1)
    assert builder_theory.pipeline_discount(technology, 0.9) == pytest.approx(0.9)
    assert builder_theory.pipeline_discount(technology._replace(delay_days=0.0), 0.9) == 1.0


@pytest.mark.parametrize("delay", [0.5, 2.0, 2.999, -1.0, math.nan])
def test_a_delay_shorter_than_its_stages_is_refused(delay):
    technology = Technology(delay_days=delay)
    with pytest.raises(ValueError, match=r"delay_days: got .*, allowed are 0 and delay_stages"):
        builder_theory.spending_weights(technology, builder_theory.fee_values())
    with pytest.raises(ValueError, match="delay_days"):
        builder_theory.next_stocks(technology, Stocks(1.0, 1.0), Uses(0.5, 0.5))


def test_log_odds_at_the_edges():
    assert builder_theory.log_odds(0.0) == -math.inf
    assert builder_theory.log_odds(1.0) == math.inf
    assert builder_theory.crowding_out(0.5, 0.2) == pytest.approx(math.log(4.0))
