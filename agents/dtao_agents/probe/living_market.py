"""NC9, demand survives: stakers hold alpha and prices follow their valuations for the life of a cell.

In a market whose scripted stakers have sold out, prices follow the protocol's buying instead of value. Any conclusion
from such a market is a product of the model's closures.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.probe.checks import Check
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

FIFTHS = 5
"""Number of dates at which a run is measured, evenly spaced."""
LEAST_SHARE = 0.5
"""Least median share of the alpha that stakers hold, over that at genesis."""
LARGEST_GAP = 0.15
"""Largest median distance of prices from targets, in logs."""
SLOPES = (0.9, 1.1)
"""Bounds of the slope of ln price on ln target across subnets."""
NEGLIGIBLE_SHARE = 1e-3
"""Share of a subnet's alpha below which it counts as without stakers."""
FEWEST = 4
"""Least number of subnets for a slope."""


class MarketHealth(NamedTuple):
    """Indicators of demand on one day.

    Attributes
    ----------
    day : int
        Days since genesis.
    staker_share : float
        Median over subnets of the scripted stakers' share of the alpha outstanding.
    gap : float
        Median of abs(ln(spot price / target price)).
    slope : float
        Slope of ln spot price on ln target price across subnets, mean over worlds.
    slope_on_valuation : float
        The same on the stakers' valuation before scarcity. A target contains the stakers' holdings, so that prices
        follow it almost by construction; this slope measures how much of value prices reflect.
    without_stakers : int
        Subnets with prices above the median that no scripted staker holds, summed over worlds.
    """

    day: int
    staker_share: float
    gap: float
    slope: float
    slope_on_valuation: float
    without_stakers: int


def market_health(batch: Batch) -> MarketHealth:
    """Measure the present state of a batch's markets, over started subnets with a target."""
    state = batch.state
    price, target = state.row("spot_price"), state.row("target_price")
    outstanding = np.maximum(state.row("alpha_outstanding"), 1.0)
    held = (state.row("informed_alpha") + state.row("uninformed_alpha")) / outstanding
    known = (state.row("started") > 0.0) & (target > 0.0) & (price > 0.0)
    slopes, empty = [], 0
    valuation = state.row("valuation")
    for world in range(batch.n_worlds):
        own = known[world]
        if own.sum() < FEWEST:
            continue
        y = np.log(price[world, own])
        slopes.append([np.polyfit(np.log(x[world, own]), y, 1)[0] for x in (target, valuation)])
        expensive = own & (price[world] >= np.median(price[world, own]))
        empty += int((held[world, expensive] < NEGLIGIBLE_SHARE).sum())
    gap = np.abs(np.log(price[known] / target[known]))
    slope, on_valuation = np.mean(slopes, axis=0).tolist()
    return MarketHealth(
        int(state.worlds["day"][0]),
        float(np.median(held[known])),
        float(np.median(gap)),
        slope,
        on_valuation,
        empty,
    )


def health_path(config: Config, seeds: range, days: int, threads: int = 1) -> list[MarketHealth]:
    """Simulate a market and measure it on the first day and at the end of each fifth of `days`.

    Parameters
    ----------
    config : Config
        The market.
    seeds : range
        World seeds.
    days : int
        Length of the run.
    threads : int
        Threads that share the worlds.

    Returns
    -------
    list of MarketHealth
        Six dates.
    """
    batch = Batch(config, len(seeds), seeds=seeds, threads=threads)
    batch.step()
    path = [market_health(batch)]
    for k in range(FIFTHS):
        batch.step(days=(k + 1) * days // FIFTHS - path[-1].day)
        path.append(market_health(batch))
    return path


def conditions(first: MarketHealth, later: MarketHealth) -> dict[str, bool]:
    """The four conditions of a living market, by description, given the health on the first day."""
    return {
        "stakers hold alpha": later.staker_share >= LEAST_SHARE * first.staker_share,
        "prices are near targets": later.gap < LARGEST_GAP,
        "prices follow targets": SLOPES[0] <= later.slope <= SLOPES[1],
        "no expensive subnet is without stakers": later.without_stakers == 0,
    }


_BOUNDS = (
    f"at least {LEAST_SHARE:g}",
    f"below {LARGEST_GAP:g}",
    f"{SLOPES[0]:g} to {SLOPES[1]:g}",
    "exact",
)
"""Allowed values of each of the `conditions`, as text."""


def demand_checks(
    config: Config, seeds: range, days: int, changes: Mapping[str, Any] | None = None
) -> list[Check]:
    """NC9: the four conditions at every fifth of a run.

    Parameters
    ----------
    config : Config
        The market; no learning stakers take part.
    seeds : range
        World seeds.
    days : int
        Length of the run.
    changes : mapping, optional
        World parameters that override `config`.
    """
    first, *later = health_path(Config.make(config, n_stakers=0, **(changes or {})), seeds, days)
    checks = []
    for health in later:
        share = health.staker_share / first.staker_share
        values = (share, health.gap, health.slope, health.without_stakers)
        ideals = (1.0, 0.0, 1.0, 0.0)
        met = conditions(first, health)
        for (name, ok), got, ideal, bound in zip(met.items(), values, ideals, _BOUNDS, strict=True):
            where = f"day {health.day}: {name}"
            checks.append(Check("NC9", where, ideal, float(got), ok, tolerance=bound))
    return checks
