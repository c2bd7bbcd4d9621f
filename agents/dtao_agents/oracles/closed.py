"""Closed-form oracles of the builder's choice: institutions, horizons and dilution."""

from collections.abc import Iterable, Iterator

import numpy as np
from numba import njit

from dtao_agents.oracles.table import (
    CAPITALISATION,
    MEDIAN_DILUTION_PER_DAY,
    Formulas,
    OracleCheck,
    Progress,
    run_checks,
)
from dtao_gym.economy import closed_forms, horizons
from dtao_gym.economy.builder_theory import (
    SOCIAL_DISCOUNT,
    Stocks,
    Technology,
    Uses,
    add_milestone,
    crowding_out,
    discount_with_growth,
    discount_with_hazard,
    fee_values,
    informed_share_for,
    informed_values,
    market_equilibrium,
    market_values,
    next_stocks,
    planner_values,
    planners_milestone,
    pooled_capitalisation,
    research_share,
    spending_shares,
    spending_weights,
    uninformed_values,
    vote_equilibrium,
)
from dtao_gym.economy.technology import discount_per_day
from dtao_gym.protocol.coinbase import next_moving_price

DEFAULTS = Technology()
NO_HYPE = Technology(hype=0.0)
DILUTION = (0.0005, MEDIAN_DILUTION_PER_DAY, 0.003)
"""Relative growth of a token's supply, per day."""
DELAYS = (30.0, 90.0, 180.0, 360.0)
"""Mean days from research to knowledge."""

algebra = Formulas()


def checks(progress: Progress) -> Iterator[OracleCheck]:
    """All checks of this module; `progress` is called with the id of each oracle."""
    yield from algebra.checks(progress)
    progress("O8, run")
    yield from run_checks("O8", _growth_run(), 1e-6)


def share(
    values: Stocks, discount: float = SOCIAL_DISCOUNT, technology: Technology = DEFAULTS
) -> float:
    """Best research share of a builder whose pay is linear in its stocks.

    Parameters
    ----------
    values : Stocks
        Pay per unit of each stock, TAO per day.
    discount : float
        Discount factor per day.
    technology : Technology
        Production and decay of the stocks.
    """
    return research_share(spending_weights(technology, values, discount), technology.curvature)


def share_over(values: Stocks, day_weights: np.ndarray, technology: Technology = DEFAULTS) -> float:
    """Best research share where `day_weights` `(days,)` replace the discount factors; see `share`."""
    return research_share(
        horizons.spending_weights_over(technology, values, day_weights), technology.curvature
    )


def fee_shares(discounts: Iterable[float]) -> list[float]:
    """Research shares of builders whom users pay for their own value, one for each daily discount factor."""
    return [share(fee_values(), discount) for discount in discounts]


# --- the builder's choice


@algebra("O1")
def _planner():
    return [share(planner_values(DEFAULTS._replace(spillover=s))) for s in (0.0, 0.5)]


@algebra("O1b")
def _planner_by_delay():
    delays = (3.0, 30.0, 90.0, 180.0, 360.0, 720.0)
    return [
        share(planner_values(DEFAULTS), technology=Technology(delay_days=delay)) for delay in delays
    ]


@algebra("O2")
def _uninformed():
    return [share(uninformed_values(technology)) for technology in (NO_HYPE, DEFAULTS)]


@algebra("O2b")
def _informed():
    return [
        share(informed_values(DEFAULTS)),
        share(informed_values(DEFAULTS, 0.98)),
        share(informed_values(DEFAULTS, pipeline_visible=False)),
    ]


@algebra("O2c")
def _mixture():
    return [share(market_values(NO_HYPE, 0.1, CAPITALISATION))]


def _informed_shares(target: float, hypes: Iterable[float], capitalisation: float) -> list[float]:
    return [informed_share_for(Technology(hype=hype), target, capitalisation) for hype in hypes]


@algebra("O2d")
def _informed_for_planner():
    target = share(planner_values(DEFAULTS))
    return _informed_shares(target, (0.0, 0.5, 1.0, 2.0, 4.0), CAPITALISATION)


@algebra("O2e")
def _informed_for_fee():
    return _informed_shares(share(fee_values()), (0.5, 1.0, 2.0, 4.0), CAPITALISATION)


@algebra("O2f")
def _informed_for_fee_at_half():
    factor = pooled_capitalisation(DEFAULTS, 0.5)
    return _informed_shares(share(fee_values()), (0.5, 1.0, 2.0, 4.0), factor)


@algebra("O2g")
def _capitalisation_iterated():
    return [*market_equilibrium(DEFAULTS, 0.3), *market_equilibrium(DEFAULTS, 0.5)]


@algebra("O3")
def _moving_average():
    day_weights = horizons.discounted_days(SOCIAL_DISCOUNT)
    responses = horizons.impulse_responses(NO_HYPE, len(day_weights))[:2]
    shares = []
    for weight in (1.0, 0.1, 0.005):
        short, knowledge = (_filtered(row, 1.0 - weight) for row in responses)
        paid = Uses(
            NO_HYPE.short_productivity * (day_weights @ short),
            NO_HYPE.research_productivity * (day_weights @ knowledge),
        )
        shares.append(research_share(paid))
    return shares


@njit(error_model="numpy")
def _filtered(prices, decay):
    moving, path = 0.0, np.empty_like(prices)
    for day in range(prices.size):
        moving = next_moving_price(moving, prices[day], decay)
        path[day] = moving
    return path


@algebra("O4")
def _hazard():
    hazards = (0.0, 1 / 3650, 1 / 720, 1 / 360, 1 / 180, 1 / 90)
    return fee_shares(discount_with_hazard(SOCIAL_DISCOUNT, hazard) for hazard in hazards)


@algebra("O4b")
def _impatience():
    return fee_shares(discount_per_day(per_year) for per_year in (0.05, 0.20, 0.40, 0.60))


@algebra("O5")
def _payoff_cut():
    return [
        share_over(fee_values(), horizons.discounted_days(SOCIAL_DISCOUNT, days))
        for days in (90, 180, 360, 720, 1440)
    ]


@algebra("O6")
def _learners_discount():
    return fee_shares((0.99, 0.995, 0.999))


@algebra("O7")
def _longest_delay():
    technology = Technology(short_productivity=1.0, research_productivity=0.1)
    private = technology._replace(spillover=0.0)
    hazard = discount_with_hazard(SOCIAL_DISCOUNT, 1 / 360)
    return [
        closed_forms.longest_delay(private),
        closed_forms.longest_delay(technology),
        *(closed_forms.longest_delay(private, discount) for discount in (0.999, 0.995, hazard)),
    ]


_GROWTH_CASES = ((0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (1.0, 10.2))
"""Research share, and productivity of research over that of short-term work."""
_INCOME_PER_STOCK = 0.05
"""Income per day and unit of a stock."""


def _growing(ratio: float) -> Technology:
    return Technology(short_productivity=1.0, research_productivity=ratio, curvature=1.0)


@algebra("O8")
def _growth():
    rates = [
        closed_forms.internal_growth(_growing(ratio), r, _INCOME_PER_STOCK)
        for r, ratio in _GROWTH_CASES
    ]
    return [*rates, closed_forms.growth_hurdle(_growing(1.0), rates[0])]


def _growth_run():
    rates = []
    for r, ratio in _GROWTH_CASES:
        technology = _growing(ratio)
        stocks = Stocks(1.0, 1.0, (1.0,) * technology.stages)
        income = before = 1.0
        for _ in range(10_000):
            before = _INCOME_PER_STOCK * (stocks.short + stocks.knowledge)
            scale = (
                1.0 / before
            )  # the recursion is linear: scaling keeps the rate and avoids overflow
            stocks = Stocks(
                stocks.short * scale,
                stocks.knowledge * scale,
                tuple(stage * scale for stage in stocks.pipeline),
            )
            stocks = next_stocks(technology, stocks, Uses(1.0 - r, r))
            income = _INCOME_PER_STOCK * (stocks.short + stocks.knowledge)
        rates.append(income - 1.0)
    return rates


@algebra("O18")
def _treadmill():
    return fee_shares(
        discount_with_growth(SOCIAL_DISCOUNT, growth) for growth in (0.0005, 0.001, 0.002)
    )


@algebra("O20")
def _milestone():
    grant = planners_milestone(DEFAULTS)
    paid = spending_weights(DEFAULTS, uninformed_values(DEFAULTS))
    return [grant, research_share(add_milestone(DEFAULTS, paid, grant))]


@algebra("O22")
def _unequal_subnets():
    subnets = [Uses(1.0, 1.0), Uses(1.0, 2.0)]
    budgets = closed_forms.best_budgets(subnets, 1.0)
    return [
        *budgets,
        *(research_share(subnet) for subnet in subnets),
        closed_forms.aggregate_research_share(subnets, budgets),
        closed_forms.value_of_budgets(subnets, budgets),
        closed_forms.value_of_budgets(subnets, (0.5, 0.5)),
    ]


@algebra("O23")
def _wrong_share():
    best = research_share(Uses(1.0, 1.5))
    return [closed_forms.relative_welfare(r, best) for r in (0.1, 0.152, 4 / 13, 0.4, 0.566, 0.95)]


@algebra("O24")
def _influence():
    cases = (
        DEFAULTS,
        Technology(influence_half_life_days=90.0),
        NO_HYPE,
        Technology(influence_productivity=0.1),
    )
    paid = [spending_weights(technology, uninformed_values(technology)) for technology in cases]
    parts = [spending_shares(each).influence for each in paid]
    return [*parts, research_share(paid[0]), research_share(paid[2])]


@algebra("O24b")
def _influence_elsewhere():
    mixture = spending_shares(
        spending_weights(DEFAULTS, market_values(DEFAULTS, 0.3, CAPITALISATION))
    )
    informed = spending_shares(spending_weights(DEFAULTS, informed_values(DEFAULTS)))
    return [*mixture, informed.influence, *spending_shares(Uses(1.5, 1.0, 0.5), 0.7)]


@algebra("O25")
def _votes():
    without = Technology(influence_productivity=0.0)
    shares = [vote_equilibrium(without, informed).research for informed in (0.0, 0.3, 0.5, 1.0)]
    spent = vote_equilibrium(DEFAULTS, 0.3)
    return [*shares, spent.research / (spent.product + spent.research), spent.influence]


# --- dilution and horizons


@algebra("O26")
def _geometric_dilution():
    payers = (
        uninformed_values(NO_HYPE),
        uninformed_values(DEFAULTS),
        informed_values(DEFAULTS),
        market_values(DEFAULTS, 0.3, CAPITALISATION),
    )
    return [
        share(values, discount_with_growth(SOCIAL_DISCOUNT, rate))
        for values in payers
        for rate in DILUTION
    ]


def _linear(rate: float) -> np.ndarray:
    return horizons.diluted(horizons.discounted_days(SOCIAL_DISCOUNT), rate)


@algebra("O27")
def _linear_dilution():
    payers = (uninformed_values(NO_HYPE), uninformed_values(DEFAULTS), informed_values(DEFAULTS))
    young = [share_over(values, _linear(rate)) for values in payers for rate in DILUTION]
    older = [horizons.dilution_rate_after(DILUTION[1], days) for days in (360, 720)]
    return [*young, *(share_over(payers[0], _linear(rate)) for rate in older)]


@algebra("O27b")
def _constant_policy_diluted():
    day_weights = horizons.for_constant_policy(_linear(DILUTION[1]))
    return [share_over(uninformed_values(NO_HYPE), day_weights)]


@algebra("O28")
def _identified_sets():
    return [
        bound
        for best, loss in ((0.5, 0.001), (0.5, 0.02), (0.1, 0.001), (0.1, 0.02))
        for bound in closed_forms.identified_set(best, loss)
    ]


@algebra("O29")
def _windows():
    # the last two: an undiscounted sum to a random end whose survival per day is the discount
    # factor equals the discounted sum up to the cap
    windows = (720, 1440, 2160, 4000, 4908, 6000, 4000, 8000)
    return [
        share_over(
            fee_values(),
            horizons.for_constant_policy(horizons.discounted_days(SOCIAL_DISCOUNT, days)),
        )
        for days in windows
    ]


@algebra("O30")
def _crowding_out_by_delay():
    rate = DILUTION[1]
    diluted = discount_with_growth(SOCIAL_DISCOUNT, rate)
    plain = uninformed_values(NO_HYPE)
    gaps: list[list[float]] = [[], [], [], []]
    for delay in DELAYS:
        technology = Technology(delay_days=delay)
        mixture = market_values(technology, 0.3, CAPITALISATION)
        shares = (
            share(plain, diluted, technology),
            share_over(plain, _linear(rate), technology),
            share(mixture, SOCIAL_DISCOUNT, technology),
            share(mixture, diluted, technology),
        )
        reference = share(fee_values(), SOCIAL_DISCOUNT, technology)
        for gap, paid in zip(gaps, shares, strict=True):
            gap.append(crowding_out(reference, paid))
    return [value for gap in gaps for value in gap]
