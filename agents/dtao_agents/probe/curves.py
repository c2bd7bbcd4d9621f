"""Closed forms of crowding out in a market without frictions.

The technology is that of the plan's world. Without frictions there are no treasuries to finance, no pruning, no noise,
and stocks are steady. The numbers therefore show the sign of a channel, not a prediction for the engine.
"""

from typing import NamedTuple

from dtao_agents.oracles.table import MEDIAN_DILUTION_PER_DAY
from dtao_gym.economy.builder_theory import (
    Technology,
    crowding_out,
    discount_with_growth,
    fee_values,
    market_equilibrium,
    market_values,
    research_share,
    spending_weights,
    vote_equilibrium,
)
from dtao_gym.economy.closed_forms import bisect
from dtao_gym.economy.technology import discount_per_day
from dtao_gym.world.config import Config


class Variant(NamedTuple):
    """Crowding out by one variant of the market in closed form, log-odds."""

    label: str
    value: float


class ClosedFormMarket:
    """Crowding out in closed form, log-odds, at the technology and discount of a configuration.

    Parameters
    ----------
    config : Config
        World of the plan.

    Attributes
    ----------
    technology : Technology
        Without influence.
    discount : float
        Discount factor per day.
    stakers, voters : float
        Informed shares.
    """

    def __init__(self, config: Config):
        fields = {name: getattr(config, name) for name in Technology._fields}
        self.technology = Technology(**fields)._replace(influence_productivity=0.0)
        self.discount = discount_per_day(config.social_discount_per_year)
        self.stakers = config.informed_share_stakers
        self.voters = config.informed_share_voters
        self.spillover_weight = config.voter_spillover_weight

    def fee_share(self, technology: Technology) -> float:
        """Research share of builders whom users pay for their own value."""
        paid = spending_weights(technology, fee_values(), self.discount)
        return research_share(paid, technology.curvature)

    def market(self, technology: Technology, informed: float, growth_per_day: float = 0.0) -> float:
        """Crowding out where pay follows the price.

        Parameters
        ----------
        technology : Technology
            Variant of the technology.
        informed : float
            Informed share of stakers.
        growth_per_day : float
            Relative growth of the token's supply, for pay in tokens.
        """
        share, capitalisation = market_equilibrium(technology, informed, self.discount)
        if growth_per_day > 0.0:
            values = market_values(technology, informed, capitalisation, self.discount)
            diluted = discount_with_growth(self.discount, growth_per_day)
            share = research_share(
                spending_weights(technology, values, diluted), technology.curvature
            )
        return crowding_out(self.fee_share(technology), share)

    def vote(self, technology: Technology, informed: float) -> float:
        """Crowding out where pay follows votes, of which a part `informed` is informed."""
        shares = vote_equilibrium(technology, informed, self.discount, self.spillover_weight)
        return crowding_out(
            self.fee_share(technology), shares.research / (shares.product + shares.research)
        )

    def critical_informed_share(self) -> float | None:
        """Informed share of stakers at which the market does not crowd out; None if there is none."""
        if self.market(self.technology, 0.0) <= 0.0 or self.market(self.technology, 1.0) >= 0.0:
            return None
        return bisect(lambda f: -self.market(self.technology, f), 0.0, 1.0)


def variants(config: Config) -> list[Variant]:
    """The market of a configuration, and variants of it with one or two changes."""
    market = ClosedFormMarket(config)
    t, f = market.technology, market.stakers
    no_hype = t._replace(hype=0.0)
    return [
        Variant(f"baseline, {f:.0%} of stakers informed", market.market(t, f)),
        Variant("nobody informed", market.market(t, 0.0)),
        Variant("everybody informed", market.market(t, 1.0)),
        Variant("no hype", market.market(no_hype, f)),
        Variant("nobody informed and no hype", market.market(no_hype, 0.0)),
        Variant("paid in a diluted token", market.market(t, f, MEDIAN_DILUTION_PER_DAY)),
        Variant("a vote instead, the same share informed", market.vote(t, f)),
    ]
