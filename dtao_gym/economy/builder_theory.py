"""The builder's choice in closed form, where pay is linear in what a builder makes.

A builder divides a budget among product (short-term work), research and influence. An input x adds productivity times
x**curvature to a stock that decays: product to the short stock, research through a pipeline to knowledge, influence to
the public signal alone. Where pay is a sum over dates of values of these stocks, each use of the budget has one weight,
and the best amounts are proportional to weight**sigma with sigma = 1 / (1 - curvature), whatever the budget, the
builder's ability or the date. An institution is then described by its weights, and factors on weights add in log-odds.

Discounts are factors per day, times are days, stocks and values are TAO a day. Plain Python: nothing here is a hot path.
The rules that the engine runs (`technology`, `valuation`) are called where they are plain Python; outputs are written
here once more, in `_output`, because compiled powers differ from Python's in the last bit.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from dtao_gym.economy.technology import decay_per_day, discount_per_day, stage_rate
from dtao_gym.economy.valuation import capitalisation, stage_discount

SOCIAL_DISCOUNT = discount_per_day(0.20)
"""Discount factor of a day at 20 % a year."""


class Technology(NamedTuple):
    """Production of stocks from inputs, and the gain of others from these stocks or their misreading.

    Luck, abilities and salvage are left out: they have mean one or scale everything, and no result below depends on them.
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
    """Gain of all other subnets together from a unit of knowledge."""
    hype: float = 0.5
    """Part of the short stock by which the public signal overstates it."""
    influence_productivity: float = 0.05
    influence_half_life_days: float = 30.0

    @property
    def short_decay(self) -> float:
        """Part of the short stock lost in a day."""
        return decay_per_day(self.short_half_life_days)

    @property
    def knowledge_decay(self) -> float:
        """Part of knowledge lost in a day."""
        return decay_per_day(self.knowledge_half_life_days)

    @property
    def influence_decay(self) -> float:
        """Part of the influence stock lost in a day."""
        return decay_per_day(self.influence_half_life_days)

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
        return stage_rate(self.delay_days, self.stages)

    @property
    def substitution(self) -> float:
        """Elasticity sigma of the shares of the budget with respect to the weights."""
        return substitution(self.curvature)


class Stocks(NamedTuple):
    """The stocks of a subnet, or the value that whoever pays sets on a unit of each."""

    short: float
    knowledge: float
    pipeline: tuple[float, ...] = ()
    """One entry per stage; empty where research under way is worth nothing."""
    influence: float = 0.0


class Uses(NamedTuple):
    """One number per use of the budget: weights, or shares."""

    product: float
    research: float
    influence: float = 0.0


def substitution(curvature: float) -> float:
    """Exponent sigma = 1 / (1 - curvature) that turns weights into best amounts."""
    return 1.0 / (1.0 - curvature)


# --- recursion


def _output(productivity: float, spending: float, curvature: float) -> float:
    """`technology.output` of a builder of ability 1."""
    return productivity * spending**curvature


def next_stocks(technology: Technology, stocks: Stocks, spending: Uses) -> Stocks:
    """Stocks after a day of spending (TAO) of a builder with ability 1, without luck."""
    t, rate = technology, technology.stage_rate
    moving = [rate * stage for stage in stocks.pipeline]
    arriving = [_output(t.research_productivity, spending.research, t.curvature), *moving]
    made = _output(t.short_productivity, spending.product, t.curvature)
    bought = _output(t.influence_productivity, spending.influence, t.curvature)
    return Stocks(
        (1.0 - t.short_decay) * stocks.short + made,
        (1.0 - t.knowledge_decay) * stocks.knowledge + arriving[-1],
        tuple(z - out + into for z, out, into in zip(stocks.pipeline, moving, arriving)),
        (1.0 - t.influence_decay) * stocks.influence + bought,
    )


def no_stocks(technology: Technology) -> Stocks:
    """Stocks of a subnet that has just started."""
    return Stocks(0.0, 0.0, (0.0,) * technology.stages)


def steady_stocks(technology: Technology, spending: Uses) -> Stocks:
    """Stocks that constant spending keeps up; infinite where nothing decays."""
    t = technology
    made = _output(t.research_productivity, spending.research, t.curvature)
    return Stocks(
        _output(t.short_productivity, spending.product, t.curvature) / t.short_decay,
        made / t.knowledge_decay,
        (made / t.stage_rate,) * t.stages,
        _output(t.influence_productivity, spending.influence, t.curvature) / t.influence_decay,
    )


def total_value(stocks: Stocks, values: Stocks) -> float:
    """Sum of stocks times the value of a unit of each."""
    pipeline = sum(z * value for z, value in zip(stocks.pipeline, values.pipeline))
    own = stocks.short * values.short + stocks.knowledge * values.knowledge
    return own + stocks.influence * values.influence + pipeline


# --- discounting


def pipeline_discount(technology: Technology, discount: float) -> float:
    """Mean discount over the stay in one stage of the pipeline; 1 without delay."""
    return stage_discount(discount, technology.stage_rate) if technology.stages else 1.0


def discount_with_growth(discount: float, growth_per_day: float) -> float:
    """Discount of a share of a fixed pot with growing rivals, or of a token with growing supply."""
    return discount / (1.0 + growth_per_day)


def discount_with_hazard(discount: float, hazard_per_day: float) -> float:
    """Discount of a builder that may lose everything on any day."""
    return discount * (1.0 - hazard_per_day)


# --- values of a unit of each stock, by who pays


def fee_values() -> Stocks:
    """Values of users who pay for their own use, short stock and knowledge alike: the reference."""
    return Stocks(1.0, 1.0)


def planner_values(technology: Technology) -> Stocks:
    """Values to society, spillovers included."""
    return Stocks(1.0, 1.0 + technology.spillover)


def uninformed_values(technology: Technology) -> Stocks:
    """Values in the public signal: hype and influence count, the pipeline does not."""
    return Stocks(1.0 + technology.hype, 1.0, (), 1.0)


def informed_values(
    technology: Technology, valuer_discount: float = SOCIAL_DISCOUNT, pipeline_visible: bool = True
) -> Stocks:
    """Capital values: present value of what a unit of each stock brings the subnet's own users (days)."""
    passing = pipeline_discount(technology, valuer_discount)
    knowledge = capitalisation(valuer_discount, technology.knowledge_decay)
    stages = technology.stages if pipeline_visible else 0
    return Stocks(
        capitalisation(valuer_discount, technology.short_decay),
        knowledge,
        tuple(passing ** (stages - j) * knowledge for j in range(stages)),
    )


def market_values(
    technology: Technology,
    informed_share: float,
    signal_days: float,
    valuer_discount: float = SOCIAL_DISCOUNT,
    pipeline_visible: bool = True,
) -> Stocks:
    """Pooled values of stakers: informed ones with weight `informed_share`, and uninformed ones.

    The uninformed pay for `signal_days` days of the public signal (`Config.pooled_capitalisation`).
    """
    informed = informed_values(technology, valuer_discount, pipeline_visible)
    shown = uninformed_values(technology)
    believed = (1.0 - informed_share) * signal_days
    return Stocks(
        informed_share * informed.short + believed * shown.short,
        informed_share * informed.knowledge + believed * shown.knowledge,
        tuple(informed_share * value for value in informed.pipeline),
        believed * shown.influence,
    )


def vote_values(
    technology: Technology, informed_share: float, stocks: Stocks, spillover_weight: float = 1.0
) -> Stocks:
    """Effect of one more unit on a subnet's vote share among equals with these stocks, up to a factor.

    Informed voters score contributed value, with the part `spillover_weight` (0 to 1) of the spillover in it; the others
    score the public signal. Unlike stakers, voters reward the present.
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


# --- weights of the uses of the budget


def spending_weights(
    technology: Technology, values: Stocks, discount: float = SOCIAL_DISCOUNT
) -> Uses:
    """Present value of the pay, at these values per unit of stock, for a first unit of each input.

    Pay may be a level, a share of a fixed pot among equals, a moving average of either or its unclipped change: each of
    these multiplies all weights by the same number.
    """
    t = technology
    passing = pipeline_discount(t, discount)
    research = values.knowledge * passing**t.stages * capitalisation(discount, t.knowledge_decay)
    for stage, value in enumerate(values.pipeline):
        research += value * passing**stage * capitalisation(discount, t.stage_rate)
    return Uses(
        t.short_productivity * values.short * capitalisation(discount, t.short_decay),
        t.research_productivity * research,
        t.influence_productivity * values.influence * capitalisation(discount, t.influence_decay),
    )


def add_milestone(
    technology: Technology, paid: Uses, grant: float, discount: float = SOCIAL_DISCOUNT
) -> Uses:
    """Weights with a grant (TAO) for every unit of knowledge on its arrival."""
    arrived = pipeline_discount(technology, discount) ** technology.stages
    return paid._replace(
        research=paid.research + technology.research_productivity * arrived * grant
    )


def planners_milestone(technology: Technology, discount: float = SOCIAL_DISCOUNT) -> float:
    """Grant that gives pay by the public signal the planner's research share."""
    missing = (1.0 + technology.hype) * (1.0 + technology.spillover) - 1.0
    return missing * capitalisation(discount, technology.knowledge_decay)


# --- from weights to shares


def research_share(paid: Uses, curvature: float = 0.5) -> float:
    """Best part of research in the spending on product and research: 1 / (1 + (w_S / w_L)**sigma)."""
    return 1.0 / (1.0 + (paid.product / paid.research) ** substitution(curvature))


def spending_shares(paid: Uses, curvature: float = 0.5) -> Uses:
    """Best parts of the whole budget, proportional to weight**sigma; they add to 1."""
    powers = [weight ** substitution(curvature) for weight in paid]
    return Uses(*(power / sum(powers) for power in powers))


def weight_ratio(share: float, curvature: float = 0.5) -> float:
    """Ratio w_L / w_S of the weights at which this research share is best."""
    return (share / (1.0 - share)) ** (1.0 - curvature)


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
    """Days of users' value that make the uninformed right on average in a steady state.

    Capital value over users' value a day; the signal's hype is not taken out.
    """
    stocks = steady_stocks(technology, Uses(1.0 - share, share))
    values = informed_values(technology, valuer_discount, pipeline_counted)
    return total_value(stocks, values) / total_value(stocks, fee_values())


def market_equilibrium(
    technology: Technology, informed_share: float, discount: float = SOCIAL_DISCOUNT
) -> tuple[float, float]:
    """(research share, pooled capitalisation) that follow from each other, with one discount for all."""

    def answer(shares: Uses) -> Uses:
        signal_days = pooled_capitalisation(technology, shares.research, discount)
        values = market_values(technology, informed_share, signal_days, discount)
        paid = spending_weights(technology, values, discount)
        share = research_share(paid, technology.curvature)
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

    A technology with `influence_productivity` 0 gives the composition of research and product alone.
    """

    def answer(shares: Uses) -> Uses:
        stocks = steady_stocks(technology, shares)
        values = vote_values(technology, informed_share, stocks, spillover_weight)
        paid = spending_weights(technology, values, discount)
        return spending_shares(paid, technology.curvature)

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
    technology: Technology, share: float, signal_days: float, discount: float = SOCIAL_DISCOUNT
) -> float:
    """Informed share of stakers at which the research share is `share`; none exists outside of 0 to 1."""
    ratio = weight_ratio(share, technology.curvature)
    informed = spending_weights(technology, informed_values(technology, discount), discount)
    believed = spending_weights(technology, uninformed_values(technology), discount)
    gained = informed.research - ratio * informed.product
    lost = signal_days * (ratio * believed.product - believed.research)
    return lost / (gained + lost)
