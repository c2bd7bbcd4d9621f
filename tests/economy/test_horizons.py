"""Weights summed day by day: against the closed ones, and against the recursion."""

import math

import numpy as np
import pytest

from dtao_gym.economy import builder_theory, horizons
from dtao_gym.economy.builder_theory import SOCIAL_DISCOUNT, Stocks, Technology, Uses

DEFAULTS = Technology()
OTHERS = (
    Technology(
        curvature=0.7,
        short_half_life_days=12.0,
        knowledge_half_life_days=300.0,
        delay_days=75.0,
        delay_stages=4,
        hype=2.0,
        influence_half_life_days=50.0,
    ),
    Technology(delay_days=0.0, knowledge_half_life_days=math.inf),
    Technology(delay_days=3.0),
)


@pytest.mark.parametrize("technology", OTHERS)
@pytest.mark.parametrize("discount", [0.98, 0.997])
@pytest.mark.parametrize("valuer_discount", [0.99, 0.9995])
def test_sums_over_days_are_the_closed_forms(technology, discount, valuer_discount):
    day_weights = horizons.discounted_days(discount)
    for values in (
        builder_theory.planner_values(technology),
        builder_theory.market_values(technology, 0.3, 400.0, valuer_discount),
        builder_theory.informed_values(technology, valuer_discount, pipeline_visible=False),
    ):
        summed = horizons.spending_weights_over(technology, values, day_weights)
        assert summed == pytest.approx(
            builder_theory.spending_weights(technology, values, discount), rel=1e-9
        )


@pytest.mark.parametrize("technology", OTHERS)
def test_responses_are_those_of_the_recursion(technology):
    unit = technology._replace(
        short_productivity=1.0, research_productivity=1.0, influence_productivity=1.0
    )
    responses = horizons.impulse_responses(technology, 203)
    assert responses.shape == (3 + technology.stages, 203)
    stocks = builder_theory.next_stocks(unit, builder_theory.no_stocks(unit), Uses(1.0, 1.0, 1.0))
    for day in range(203):
        expected = [stocks.short, stocks.knowledge, stocks.influence, *stocks.pipeline]
        np.testing.assert_allclose(responses[:, day], expected, rtol=1e-12, atol=1e-15)
        stocks = builder_theory.next_stocks(unit, stocks, Uses(0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="read-only"):
        responses[0, 0] = 2.0


def test_a_constant_policy_is_the_sum_of_its_days():
    technology, days = OTHERS[0], 150
    day_weights = horizons.diluted(horizons.discounted_days(0.99, days), 0.002)
    spending = Uses(0.3, 0.7)
    stocks, expected = builder_theory.no_stocks(technology), Stocks(0.0, 0.0)
    for weight in day_weights:
        stocks = builder_theory.next_stocks(technology, stocks, spending)
        expected = expected._replace(
            short=expected.short + weight * stocks.short,
            knowledge=expected.knowledge + weight * stocks.knowledge,
        )
    paid = horizons.spending_weights_over(
        technology, builder_theory.fee_values(), horizons.for_constant_policy(day_weights)
    )
    assert paid.product * 0.3**0.7 == pytest.approx(expected.short)
    assert paid.research * 0.7**0.7 == pytest.approx(expected.knowledge)


def test_a_longer_window_pays_research_better():
    shares = [
        builder_theory.research_share(
            horizons.spending_weights_over(
                DEFAULTS,
                builder_theory.fee_values(),
                horizons.discounted_days(SOCIAL_DISCOUNT, days),
            )
        )
        for days in (60, 200, 700, 3000, 40_000)
    ]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.5, abs=1e-9)


def test_linear_dilution_is_milder_than_geometric_and_fades():
    values, rate = builder_theory.uninformed_values(DEFAULTS), 0.0015
    undiluted = builder_theory.research_share(builder_theory.spending_weights(DEFAULTS, values))
    geometric = builder_theory.research_share(
        builder_theory.spending_weights(
            DEFAULTS, values, builder_theory.discount_with_growth(SOCIAL_DISCOUNT, rate)
        )
    )
    linear = [
        builder_theory.research_share(
            horizons.spending_weights_over(
                DEFAULTS,
                values,
                horizons.diluted(
                    horizons.discounted_days(SOCIAL_DISCOUNT),
                    horizons.dilution_rate_after(rate, age),
                ),
            )
        )
        for age in (0.0, 500.0, 5000.0)
    ]
    assert geometric < linear[0] < linear[1] < linear[2] < undiluted


def test_the_supply_grows_by_the_same_number_every_day():
    rate, age = 0.002, 300
    supply = 1.0 / horizons.diluted(np.ones(1000), rate)
    np.testing.assert_allclose(np.diff(supply), rate)
    later = 1.0 / horizons.diluted(np.ones(700), horizons.dilution_rate_after(rate, age))
    np.testing.assert_allclose(supply[age:], supply[age] * later)


def test_a_pulse_under_a_clipped_flow():
    """Only rises of value are paid: product rises once, and all that it is worth falls again unpunished."""
    days = horizons.discounted_days(SOCIAL_DISCOUNT)
    responses = horizons.impulse_responses(DEFAULTS, len(days))

    def share(values):
        short = values.short * responses[0]
        research = values.knowledge * responses[1]
        for value, stage in zip(values.pipeline, responses[3:], strict=False):
            research = research + value * stage
        rises = [days @ np.maximum(np.diff(path, prepend=0.0), 0.0) for path in (short, research)]
        paid = Uses(
            DEFAULTS.short_productivity * rises[0], DEFAULTS.research_productivity * rises[1]
        )
        return builder_theory.research_share(paid)

    assert share(builder_theory.fee_values()) == pytest.approx(0.0028, abs=5e-5)
    assert share(builder_theory.uninformed_values(DEFAULTS)) == pytest.approx(0.0013, abs=5e-5)
    assert share(builder_theory.informed_values(DEFAULTS)) == pytest.approx(0.5258, abs=5e-5)
