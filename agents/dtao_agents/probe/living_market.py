"""NC9, the market is alive: for as long as a cell lasts, stakers hold alpha and prices follow what they think of it.

A market whose scripted stakers have sold out reads nothing any more: its prices go where the protocol's buying takes
them. Whatever is concluded from such a market is a product of its closures.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.probe.checks import Check
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

FIFTHS = 5
LEAST_SHARE = 0.5
"""Median part of the alpha that stakers hold, over that at genesis."""
LARGEST_GAP = 0.15
"""Median distance of prices from targets, in logs."""
SLOPES = (0.9, 1.1)
"""Slope of ln price on ln target across subnets."""
NOTHING = 1e-3
"""Part of a subnet's alpha below which it counts as without stakers."""
FEWEST = 4
"""Subnets that a slope is taken over."""


class Life(NamedTuple):
    """How a market stands on a day.

    Attributes:
        day: days since genesis.
        staker_share: median over subnets of scripted stakers' part of the alpha outstanding.
        gap: median |ln spot price / target price|.
        slope: of ln spot price on ln target price across subnets, mean over worlds.
        slope_on_valuation: the same on what stakers think a token is worth before scarcity counts. Targets contain
            what stakers hold, so that prices follow them almost by construction; this is what is left of value.
        without_stakers: subnets with prices above the median that no scripted staker holds, all worlds together.
    """

    day: int
    staker_share: float
    gap: float
    slope: float
    slope_on_valuation: float
    without_stakers: int


def life(batch: Batch) -> Life:
    """Present state of a batch's markets; of subnets that are started and have a target."""
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
        dear = own & (price[world] >= np.median(price[world, own]))
        empty += int((held[world, dear] < NOTHING).sum())
    gap = np.abs(np.log(price[known] / target[known]))
    slope, on_valuation = np.mean(slopes, axis=0).tolist()
    return Life(
        int(state.worlds["day"][0]),
        float(np.median(held[known])),
        float(np.median(gap)),
        slope,
        on_valuation,
        empty,
    )


def course(config: Config, seeds: range, days: int, threads: int = 1) -> list[Life]:
    """The first day of a market, and the end of each fifth of its life."""
    batch = Batch(config, len(seeds), seeds=seeds, threads=threads)
    batch.step()
    found = [life(batch)]
    for k in range(FIFTHS):
        batch.step(days=(k + 1) * days // FIFTHS - found[-1].day)
        found.append(life(batch))
    return found


def is_alive(first: Life, later: Life) -> dict[str, bool]:
    """Which of the four conditions hold."""
    return {
        "stakers hold alpha": later.staker_share >= LEAST_SHARE * first.staker_share,
        "prices are near targets": later.gap < LARGEST_GAP,
        "prices read targets": SLOPES[0] <= later.slope <= SLOPES[1],
        "no dear subnet is without stakers": later.without_stakers == 0,
    }


def market_is_alive(
    config: Config, seeds: range, days: int = 1825, changes: Mapping[str, Any] | None = None
) -> list[Check]:
    """NC9: the four conditions at every fifth of a life of `days`; `changes` are forced upon the configuration."""
    first, *later = course(Config.make(config, n_stakers=0, **(changes or {})), seeds, days)
    checks = []
    for one in later:
        values = (one.staker_share / first.staker_share, one.gap, one.slope, one.without_stakers)
        wanted = (1.0, 0.0, 1.0, 0.0)
        held = is_alive(first, one)
        for (name, ok), got, expected in zip(held.items(), values, wanted, strict=True):
            where = f"day {one.day}: {name}"
            checks.append(Check("NC9", where, expected, float(got), ok, tolerance="see text"))
    return checks
