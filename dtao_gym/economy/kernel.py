"""What builders choose where pay is linear in what they make: closed forms.

A builder divides a budget among product (short-term work), research and influence. An input x adds
productivity times x**curvature to a stock that decays: product to the short stock, research to a pipeline
and, days later, to knowledge, influence to the public signal alone. Where pay is a sum over dates of values
of these stocks, every use of the budget has one weight, and the best amounts are proportional to
weight**sigma with sigma = 1/(1 - curvature), whatever the budget, the builder's type or the date. An
institution is then no more than its weights, and factors on weights are terms that add in log-odds.

Discounts are factors per day, times days, stocks and values TAO a day. Plain Python: nothing here is a hot path.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

DAYS_PER_YEAR = 365


def daily_discount(per_year: float) -> float:
    """Discount factor of a day, for the part (0 to 1) of a value that a year of waiting takes away."""
    return (1.0 - per_year) ** (1.0 / DAYS_PER_YEAR)


def decay_rate(half_life_days: float) -> float:
    """Part of a stock that is lost in a day; 0 for an infinite half-life."""
    return 1.0 - 2.0 ** (-1.0 / half_life_days)


SOCIAL_DISCOUNT = daily_discount(0.20)
"""Discount factor of a day at 20 % a year."""


class Technology(NamedTuple):
    """How inputs become stocks, and what of the stocks others enjoy or are taken in by.

    Luck, types and salvage are not here: they are of mean one or scale everything, and no result below depends on them.
    """

    short_productivity: float = 0.1
    """Value (TAO a day) that one TAO of product adds."""
    research_productivity: float = 0.007476904609
    """The same for research. At the default half of the budget is best for the default delay, without spillover."""
    curvature: float = 0.5
    """Exponent of the inputs, 0 to 1 (both excluded)."""
    short_half_life_days: float = 30.0
    knowledge_half_life_days: float = 720.0
    delay_days: float = 180.0
    """Mean days from research to knowledge: 0 (no pipeline), or at least `delay_stages`."""
    delay_stages: int = 3
    """Stages of the pipeline; a stage lasts a day or more."""
    spillover: float = 0.5
    """What all other subnets together gain from a unit of knowledge."""
    hype: float = 0.5
    """How much the public signal overstates the short stock."""
    influence_productivity: float = 0.05
    influence_half_life_days: float = 30.0

    @property
    def short_decay(self) -> float:
        """Part of the short stock lost in a day."""
        return decay_rate(self.short_half_life_days)

    @property
    def knowledge_decay(self) -> float:
        """Part of knowledge lost in a day."""
        return decay_rate(self.knowledge_half_life_days)

    @property
    def influence_decay(self) -> float:
        """Part of the influence stock lost in a day."""
        return decay_rate(self.influence_half_life_days)

    @property
    def stages(self) -> int:
        """Stages that research passes; 0 without delay. Raises ValueError for a delay that they cannot have."""
        if self.delay_days == 0.0:
            return 0
        if not (self.delay_stages >= 1 and self.delay_days >= self.delay_stages):
            raise ValueError(
                f"delay_days: got {self.delay_days:g}, allowed are 0 and delay_stages "
                f"({self.delay_stages}, at least 1) or more"
            )
        return self.delay_stages

    @property
    def stage_rate(self) -> float:
        """Part of a stage that moves on in a day; 1 without delay."""
        stages = self.stages
        return stages / self.delay_days if stages else 1.0

    @property
    def substitution(self) -> float:
        """Elasticity sigma with which shares of the budget answer to weights."""
        return 1.0 / (1.0 - self.curvature)


class Stocks(NamedTuple):
    """The stocks of a subnet, or what one unit of each is worth to whoever pays."""

    short: float
    knowledge: float
    pipeline: tuple[float, ...] = ()
    """One entry per stage, or empty: nothing."""
    influence: float = 0.0


class Uses(NamedTuple):
    """One number per use of the budget: weights, or shares."""

    product: float
    research: float
    influence: float = 0.0


# --- recursion


def next_stocks(technology: Technology, stocks: Stocks, spending: Uses) -> Stocks:
    """Stocks at the end of a day; all that moves, moves at once. `spending` in TAO a day, type 1, no luck."""
    t, rate = technology, technology.stage_rate
    made = t.research_productivity * spending.research**t.curvature
    moving = [rate * stage for stage in stocks.pipeline]
    arriving = [made, *moving]
    return Stocks(
        (1.0 - t.short_decay) * stocks.short + t.short_productivity * spending.product**t.curvature,
        (1.0 - t.knowledge_decay) * stocks.knowledge + arriving[-1],
        tuple(z - out + into for z, out, into in zip(stocks.pipeline, moving, arriving)),
        (1.0 - t.influence_decay) * stocks.influence
        + t.influence_productivity * spending.influence**t.curvature,
    )


def no_stocks(technology: Technology) -> Stocks:
    """A subnet that has just started."""
    return Stocks(0.0, 0.0, (0.0,) * technology.stages)


def steady_stocks(technology: Technology, spending: Uses) -> Stocks:
    """Stocks that constant spending keeps up; they are infinite where nothing decays."""
    t = technology
    made = t.research_productivity * spending.research**t.curvature
    return Stocks(
        t.short_productivity * spending.product**t.curvature / t.short_decay,
        made / t.knowledge_decay,
        (made / t.stage_rate,) * t.stages,
        t.influence_productivity * spending.influence**t.curvature / t.influence_decay,
    )


def total_value(stocks: Stocks, values: Stocks) -> float:
    """Sum of stocks times what a unit of each is worth."""
    pipeline = sum(z * value for z, value in zip(stocks.pipeline, values.pipeline))
    return (
        stocks.short * values.short
        + stocks.knowledge * values.knowledge
        + stocks.influence * values.influence
        + pipeline
    )


# --- discounting


def discount_sum(discount: float, decay: float) -> float:
    """Present value of a stock that starts at one and decays: 1 / (1 - discount (1 - decay))."""
    return 1.0 / (1.0 - discount * (1.0 - decay))


def stage_discount(technology: Technology, discount: float) -> float:
    """Mean discount over the stay in one stage of the pipeline; 1 without delay."""
    if not technology.stages:
        return 1.0
    return technology.stage_rate * discount * discount_sum(discount, technology.stage_rate)


def discount_with_growth(discount: float, growth_per_day: float) -> float:
    """Discount of a fixed pot's share where rivals grow (the treadmill), or of pay in a token whose supply does."""
    return discount / (1.0 + growth_per_day)


def discount_with_hazard(discount: float, hazard_per_day: float) -> float:
    """Discount of one who may lose everything on any day."""
    return discount * (1.0 - hazard_per_day)


# --- what a unit of each stock is worth to whoever pays


def fee_values() -> Stocks:
    """Users pay for what they get: short stock and knowledge alike. The reference of all institutions."""
    return Stocks(1.0, 1.0)


def planner_values(technology: Technology) -> Stocks:
    """What society gets, spillovers included."""
    return Stocks(1.0, 1.0 + technology.spillover)


def uninformed_values(technology: Technology) -> Stocks:
    """The public signal: hype and influence count, what is in the pipeline does not."""
    return Stocks(1.0 + technology.hype, 1.0, (), 1.0)


def informed_values(
    technology: Technology,
    valuer_discount: float = SOCIAL_DISCOUNT,
    pipeline_visible: bool = True,
) -> Stocks:
    """Capital values: what a unit of each stock will bring the subnet's own users (days)."""
    passing = stage_discount(technology, valuer_discount)
    knowledge = discount_sum(valuer_discount, technology.knowledge_decay)
    stages = technology.stages if pipeline_visible else 0
    return Stocks(
        discount_sum(valuer_discount, technology.short_decay),
        knowledge,
        tuple(passing ** (stages - j) * knowledge for j in range(stages)),
    )


def market_values(
    technology: Technology,
    informed_share: float,
    capitalisation: float,
    valuer_discount: float = SOCIAL_DISCOUNT,
    pipeline_visible: bool = True,
) -> Stocks:
    """Informed stakers and uninformed ones, who capitalise the signal by `capitalisation` (days), pooled."""
    informed = informed_values(technology, valuer_discount, pipeline_visible)
    believed = (1.0 - informed_share) * capitalisation
    return Stocks(
        informed_share * informed.short + believed * (1.0 + technology.hype),
        informed_share * informed.knowledge + believed,
        tuple(informed_share * value for value in informed.pipeline),
        believed,
    )


def vote_values(
    technology: Technology, informed_share: float, stocks: Stocks, spillover_weight: float = 1.0
) -> Stocks:
    """What one more unit does to a subnet's share of a vote among equals with these stocks (up to a factor).

    Informed voters score contributed value, with `spillover_weight` (0 to 1) of the spillover in it, the
    others the public signal. Unlike stakers they reward the present.
    """
    scored = planner_values(technology._replace(spillover=spillover_weight * technology.spillover))
    shown = uninformed_values(technology)
    informed = informed_share / total_value(stocks, scored)
    uninformed = (1.0 - informed_share) / total_value(stocks, shown)
    return Stocks(
        informed * scored.short + uninformed * shown.short,
        informed * scored.knowledge + uninformed * shown.knowledge,
        (),
        uninformed * shown.influence,
    )


# --- weights


def weights(technology: Technology, values: Stocks, discount: float = SOCIAL_DISCOUNT) -> Uses:
    """Present value of what a first unit of each input adds to pay that values stocks so.

    It does not matter whether the pay is a level, a share of a fixed pot among equals, a moving average of
    either or its unclipped change: each of these multiplies all weights by the same number.
    """
    t = technology
    passing = stage_discount(t, discount)
    research = values.knowledge * passing**t.stages * discount_sum(discount, t.knowledge_decay)
    for stage, value in enumerate(values.pipeline):
        research += value * passing**stage * discount_sum(discount, t.stage_rate)
    return Uses(
        t.short_productivity * values.short * discount_sum(discount, t.short_decay),
        t.research_productivity * research,
        t.influence_productivity * values.influence * discount_sum(discount, t.influence_decay),
    )


def add_milestone(
    technology: Technology, paid: Uses, grant: float, discount: float = SOCIAL_DISCOUNT
) -> Uses:
    """Weights with a grant for every unit of knowledge on its arrival."""
    arrived = stage_discount(technology, discount) ** technology.stages
    return paid._replace(
        research=paid.research + technology.research_productivity * arrived * grant
    )


def planners_milestone(technology: Technology, discount: float = SOCIAL_DISCOUNT) -> float:
    """Grant that gives the uninformed signal, paid out as it is, the planner's research share."""
    missing = (1.0 + technology.hype) * (1.0 + technology.spillover) - 1.0
    return missing * discount_sum(discount, technology.knowledge_decay)


# --- from weights to shares


def research_share(paid: Uses, curvature: float = 0.5) -> float:
    """Best part of research in the spending on product and research: 1 / (1 + (w_S / w_L)**sigma)."""
    return 1.0 / (1.0 + (paid.product / paid.research) ** (1.0 / (1.0 - curvature)))


def spending_shares(paid: Uses, curvature: float = 0.5) -> Uses:
    """Best parts of the whole budget, proportional to weight**sigma; they add to 1."""
    powers = [weight ** (1.0 / (1.0 - curvature)) for weight in paid]
    return Uses(*(power / sum(powers) for power in powers))


def log_odds(share: float) -> float:
    """ln(share / (1 - share)); infinite at 0 and 1."""
    if 0.0 < share < 1.0:
        return math.log(share / (1.0 - share))
    return -math.inf if share <= 0.0 else math.inf


def crowding_out(reference_share: float, share: float) -> float:
    """Gap of two research shares in log-odds; positive where research is crowded out."""
    return log_odds(reference_share) - log_odds(share)


# --- fixed points


def pooled_capitalisation(
    technology: Technology,
    share: float,
    valuer_discount: float = SOCIAL_DISCOUNT,
    pipeline_counted: bool = True,
) -> float:
    """Factor (days) that makes the uninformed right on average in a steady state with this research share.

    Capital value over what users get; the signal's hype is not taken out.
    """
    stocks = steady_stocks(technology, Uses(1.0 - share, share))
    values = informed_values(technology, valuer_discount, pipeline_counted)
    return total_value(stocks, values) / total_value(stocks, fee_values())


def market_equilibrium(
    technology: Technology, informed_share: float, discount: float = SOCIAL_DISCOUNT
) -> tuple[float, float]:
    """(research share, capitalisation) where each follows from the other. Valuers share the builder's discount."""

    def answer(shares: Uses) -> Uses:
        factor = pooled_capitalisation(technology, shares.research, discount)
        values = market_values(technology, informed_share, factor, discount)
        share = research_share(weights(technology, values, discount), technology.curvature)
        return Uses(1.0 - share, share)

    share = _fixed_point(answer).research
    return share, pooled_capitalisation(technology, share, discount)


def vote_equilibrium(
    technology: Technology,
    informed_share: float,
    discount: float = SOCIAL_DISCOUNT,
    spillover_weight: float = 1.0,
) -> Uses:
    """Shares of the budget where all builders are paid by the vote that their own steady stocks lead to.

    For composition alone give a technology with `influence_productivity` 0.
    """

    def answer(shares: Uses) -> Uses:
        stocks = steady_stocks(technology, shares)
        values = vote_values(technology, informed_share, stocks, spillover_weight)
        return spending_shares(weights(technology, values, discount), technology.curvature)

    return _fixed_point(answer)


def _fixed_point(answer: Callable[[Uses], Uses], limit: int = 10_000) -> Uses:
    shares = Uses(0.5, 0.5, 0.0)
    for _ in range(limit):
        best = answer(shares)
        if max(abs(a - b) for a, b in zip(best, shares)) < 1e-14:
            return best
        shares = Uses(*(0.5 * (a + b) for a, b in zip(best, shares)))
    raise ArithmeticError(f"no fixed point after {limit} steps; the last shares were {shares}")


def informed_share_for(
    technology: Technology, share: float, capitalisation: float, discount: float = SOCIAL_DISCOUNT
) -> float:
    """Informed share of stakers at which the research share is `share`; none exists if the result is not 0 to 1."""
    ratio = (share / (1.0 - share)) ** (1.0 - technology.curvature)
    informed = weights(technology, informed_values(technology, discount), discount)
    believed = weights(technology, uninformed_values(technology), discount)
    gained = informed.research - ratio * informed.product
    lost = capitalisation * (ratio * believed.product - believed.research)
    return lost / (gained + lost)
