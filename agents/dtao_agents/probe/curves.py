"""Closed forms about the cells: crowding out by delay and by informed share, in a market without frictions.

The technology is that of the plan's world. A world without frictions has no treasuries to finance, no pruning, no
noise and steady stocks, so that these curves show which way a channel works, not what the engine must give.
"""

from typing import NamedTuple

import numpy as np

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

DILUTION_PER_DAY = 0.001553559
"""Growth of the median subnet's alpha in June 2026, a day."""


class Curve(NamedTuple):
    """Crowding out `values` (log-odds) at `places`, days or shares."""

    label: str
    places: np.ndarray
    values: np.ndarray


class Change(NamedTuple):
    """Crowding out by the market in closed form, with one thing changed."""

    what: str
    value: float


class Kernel:
    """The closed forms at the technology, the discount and the informed shares of a configuration."""

    def __init__(self, config: Config):
        fields = {name: getattr(config, name) for name in Technology._fields}
        self.technology = Technology(**fields)._replace(influence_productivity=0.0)
        self.discount = discount_per_day(config.social_discount_per_year)
        self.stakers = config.informed_share_stakers
        self.voters = config.informed_share_voters
        self.spillover_weight = config.voter_spillover_weight

    def fee(self, technology: Technology) -> float:
        """Research share of builders whom users pay for their own value."""
        paid = spending_weights(technology, fee_values(), self.discount)
        return research_share(paid, technology.curvature)

    def market(self, technology: Technology, informed: float, growth_per_day: float = 0.0) -> float:
        """Crowding out where pay follows the price; `growth_per_day`: of the token's supply, for pay in tokens."""
        share, capitalisation = market_equilibrium(technology, informed, self.discount)
        if growth_per_day > 0.0:
            values = market_values(technology, informed, capitalisation, self.discount)
            diluted = discount_with_growth(self.discount, growth_per_day)
            share = research_share(
                spending_weights(technology, values, diluted), technology.curvature
            )
        return crowding_out(self.fee(technology), share)

    def vote(self, technology: Technology, informed: float) -> float:
        """Crowding out where pay follows the vote."""
        shares = vote_equilibrium(technology, informed, self.discount, self.spillover_weight)
        return crowding_out(
            self.fee(technology), shares.research / (shares.product + shares.research)
        )

    def critical_informed_share(self, technology: Technology, limit: float = 0.0) -> float | None:
        """Informed share of stakers at which the market crowds out by `limit`; None if no share does."""
        if self.market(technology, 0.0) <= limit or self.market(technology, 1.0) >= limit:
            return None
        return bisect(lambda f: limit - self.market(technology, f), 0.0, 1.0)


def by_delay(config: Config) -> list[Curve]:
    """Crowding out at delays of 3 days to two years."""
    kernel = Kernel(config)
    k = float(max(config.delay_stages, 1))
    delays = np.unique([k, *np.linspace(10.0, 720.0, 36)])
    technologies = [kernel.technology._replace(delay_days=float(delay)) for delay in delays]
    f = kernel.stakers
    curves = {
        f"market, {f:.0%} informed": [kernel.market(t, f) for t in technologies],
        "market, nobody informed": [kernel.market(t, 0.0) for t in technologies],
        f"vote, {kernel.voters:.0%} informed": [
            kernel.vote(t, kernel.voters) for t in technologies
        ],
        f"market, {f:.0%} informed, paid in a token that is diluted": [
            kernel.market(t, f, DILUTION_PER_DAY) for t in technologies
        ],
    }
    return [Curve(label, delays, np.array(values)) for label, values in curves.items()]


def by_informed_share(config: Config) -> list[Curve]:
    """Crowding out at informed shares of 0 to 1, stakers in a market and voters in a vote."""
    kernel = Kernel(config)
    shares = np.linspace(0.0, 1.0, 41)
    honest = kernel.technology._replace(hype=0.0)
    curves = {
        "market": [kernel.market(kernel.technology, f) for f in shares],
        "market, nothing is hyped": [kernel.market(honest, f) for f in shares],
        "vote": [kernel.vote(kernel.technology, f) for f in shares],
    }
    return [Curve(label, shares, np.array(values)) for label, values in curves.items()]


def changes(config: Config) -> list[Change]:
    """The market as it is, and with one thing changed at a time."""
    kernel = Kernel(config)
    t, f = kernel.technology, kernel.stakers
    return [
        Change(f"as it is, {f:.0%} of stakers informed", kernel.market(t, f)),
        Change("nobody informed", kernel.market(t, 0.0)),
        Change("everybody informed", kernel.market(t, 1.0)),
        Change("nothing is hyped", kernel.market(t._replace(hype=0.0), f)),
        Change("nobody informed, and nothing is hyped", kernel.market(t._replace(hype=0.0), 0.0)),
        Change("paid in a token that is diluted", kernel.market(t, f, DILUTION_PER_DAY)),
        Change("a vote instead, the same share informed", kernel.vote(t, f)),
    ]
