"""Oracles of contests, portfolios, pools, prices and votes: closed forms and single rules."""

from collections.abc import Iterator, Sequence

import numpy as np
from numba import njit

from dtao_agents.oracles.table import Formulas, OracleCheck, Progress, run_checks
from dtao_gym.economy import closed_forms
from dtao_gym.economy.builder_theory import SOCIAL_DISCOUNT
from dtao_gym.protocol import allocation, pool, root_vote
from dtao_gym.protocol.coinbase import moving_price_decay, moving_price_rate, next_moving_price
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.stake import LOCK_TIME_CONSTANT_BLOCKS, rolled_lock

SLOW_BASE, HALVING_BLOCKS = 3e-6, 201_600.0
"""Weight of a block in the slow moving price, and the age of a subnet, in blocks, at which it is half of that."""
PRICE_DAYS = (7, 30, 60, 90, 180, 365)
"""Days at which O15 asks for the slow moving price."""

algebra = Formulas()


def checks(progress: Progress) -> Iterator[OracleCheck]:
    """All checks of this module; `progress` is called with the id of each oracle."""
    yield from algebra.checks(progress)
    progress("O15, run")
    yield from run_checks("O15", _slow_price_run(), 1e-4)
    progress("O16, run")
    yield from run_checks("O16", _daily_flows_run(), 1e-6)


# --- contests, signals, portfolios


@algebra("O9")
def _last_place():
    return [closed_forms.last_place_slope(players) for players in (2, 4, 8, 64, 128)]


@algebra("O10")
def _signal_jamming():
    return closed_forms.signal_jamming(0.995, 0.01, 1.0, 1.0, 50.0)


@algebra("O10b")
def _signal_jamming_effort():
    cases = ((0.1, 1.0, SOCIAL_DISCOUNT), (10.0, 1.0, SOCIAL_DISCOUNT), (1.0, 1.0, 0.9))
    return [
        closed_forms.signal_jamming(0.995, 0.01, noise, pay, 50.0, discount).effort
        for noise, pay, discount in (*cases, (1.0, 0.0, SOCIAL_DISCOUNT))
    ]


@algebra("O11")
def _tullock():
    cases = ((2, 100.0, 1.0), (8, 100.0, 1.0), (8, 100.0, 0.5), (4, 100.0, 1.2))
    return [closed_forms.tullock_effort(*case) for case in cases]


@algebra("O11b")
def _tullock_of_two():
    return closed_forms.tullock_efforts_of_two(100.0, 50.0)


@algebra("O14")
def _merton():
    cases = ((0.25, 1.0), (0.25, 2.0), (0.60, 2.0))
    return [closed_forms.merton_share(mean, 0.06, 0.9, aversion) for mean, aversion in cases]


@algebra("O14b")
def _kelly():
    root_return = 0.0002
    first = closed_forms.kelly_share(0.55, 0.20, 0.18, root_return)
    second = closed_forms.kelly_share(0.52, 0.10, 0.10, root_return)
    return [first, second, closed_forms.log_growth(second, 0.52, 0.10, 0.10, root_return)]


@algebra("O17")
def _project():
    discounts = (0.8, 0.9, 0.95, 0.99)
    solved = [closed_forms.research_project(discount) for discount in (*discounts, 0.7)]
    starts = [sum(10.0 ** (3 - k) for k in np.flatnonzero(each.starts)) for each in solved]
    values = [each.value[0, 0] for each in solved[:4]]
    return [*values, *starts, closed_forms.project_threshold()]


@algebra("O17b")
def _single_project():
    return [closed_forms.single_project_threshold(0.1)]


# --- pools


@algebra("O12")
def _best_buy():
    return closed_forms.best_buy(1000.0, 20_000.0, 0.08)


@algebra("O12b")
def _best_trades():
    bought = closed_forms.best_buy(1000.0, 20_000.0, 0.08, fee=0.003).tao_in
    sold = pool.trade_to_reach(1000.0, 20_000.0, 0.5, 0.05, 0.03)[1]
    return [bought, sold, pool.tao_for_alpha(1000.0, 20_000.0, 0.5, sold)]


@algebra("O12c")
def _water_filling():
    mu, spent = closed_forms.water_filling(
        (1000.0, 500.0, 2000.0), (20_000.0,) * 3, (0.08, 0.05, 0.09), 300.0
    )
    return [mu, *spent]


@algebra("O13")
def _sale():
    def proceeds(parts: int, resilient: bool) -> float:
        amounts = [2000.0 / parts] * parts
        return float(closed_forms.sale_in_parts(1000.0, 20_000.0, amounts, resilient).sum())

    at_spot = 2000.0 * pool.spot_price(1000.0, 20_000.0, 0.5)
    return [proceeds(1, False), proceeds(10, False), proceeds(10, True), at_spot]


@algebra("O13b")
def _discounted_sale():
    parts = closed_forms.best_parts(1000.0, 20_000.0, 2000.0, 0.99)
    proceeds = closed_forms.sale_in_parts(1000.0, 20_000.0, parts, resilient=True)
    return [*parts, float(proceeds @ 0.99 ** np.arange(len(parts)))]


_POOL_OF_FLOWS = (900.0, 20_000.0)
"""TAO and alpha reserves at which O16 starts; the daily flows keep their product."""


@algebra("O16")
def _daily_flows():
    sold, bought = 500.0, 20.0
    product = _POOL_OF_FLOWS[0] * _POOL_OF_FLOWS[1]
    alpha = -0.5 * sold + (0.25 * sold**2 + product * sold / bought) ** 0.5
    return [closed_forms.price_of_daily_flows(alpha, sold, bought), alpha]


def _daily_flows_run():
    tao, alpha = _POOL_OF_FLOWS
    for _ in range(1000):
        _, _, _, tao, alpha = pool.sell(tao, alpha, 0.5, 500.0, 0.0, 0.0)
        _, _, _, tao, alpha = pool.buy(tao, alpha, 0.5, 20.0, 0.0, 0.0)
    return [pool.spot_price(tao, alpha, 0.5), alpha]


# --- moving prices, shares, votes


@algebra("O15")
def _slow_price():
    def after(days: float) -> float:
        return closed_forms.moving_price_of_constant(
            days * BLOCKS_PER_DAY, SLOW_BASE, HALVING_BLOCKS
        )

    def days_to(level: float) -> float:
        return closed_forms.bisect(lambda days: after(days) - level, 0.0, 1000.0)

    return [*map(after, PRICE_DAYS), days_to(0.5), days_to(0.9)]


@njit(error_model="numpy")
def _moving_prices(base, halving_blocks, days):
    """Moving price at the end of each day while the price is 1, block by block."""
    path, moving = np.empty(days), 0.0
    for block in range(days * BLOCKS_PER_DAY):
        rate = moving_price_rate(base, float(block), halving_blocks)
        moving = next_moving_price(moving, 1.0, moving_price_decay(rate, 1.0))
        if (block + 1) % BLOCKS_PER_DAY == 0:
            path[block // BLOCKS_PER_DAY] = moving
    return path


def _slow_price_run():
    path = _moving_prices(SLOW_BASE, HALVING_BLOCKS, 365)
    return [path[days - 1] for days in PRICE_DAYS]


@algebra("O15b")
def _moving_average_and_conviction():
    averages = [
        next_moving_price(0.0, 1.0, moving_price_decay(SLOW_BASE, float(days * BLOCKS_PER_DAY)))
        for days in (1, 7, 30, 90)
    ]
    time = LOCK_TIME_CONSTANT_BLOCKS
    convictions = [
        rolled_lock(1.0, 0.0, 90 * BLOCKS_PER_DAY, time, time, perpetual=perpetual)[1]
        for perpetual in (True, False)
    ]
    return [*averages, *convictions]


def _emission_shares(
    name: str, moving_price: Sequence[float], flow: Sequence[float], cutoff: float
) -> np.ndarray:
    n = len(moving_price)
    market = allocation.Market(*(np.zeros(n) for _ in allocation.Market._fields))
    market = market._replace(
        moving_price=np.array(moving_price),
        user_flow_ema=np.array(flow),
        emission_enabled=np.ones(n),
    )
    settings = allocation.RuleSettings(1.0, 0.0, 3.0, cutoff, 1.0)
    shares = np.zeros(n)
    allocation.emission_shares(
        allocation.ALLOCATIONS[name], market, settings, allocation.NO_REST, shares
    )
    return shares


@algebra("O19")
def _shares():
    prices, flows = (0.05, 0.03, 0.02), (10.0, -2.0, 4.0)
    return [
        *_emission_shares("price", prices, flows, 0.0),
        *_emission_shares("tao_flow", prices, flows, 0.0),
        *_emission_shares("tao_flow", prices, flows, -np.inf),
    ]


@algebra("O21")
def _favourites():
    subnets, favourites, favourite_share = 8, 2, 0.5
    scale = 0.6 / sum(root_vote.VALIDATOR_TOP5)
    top5 = tuple(scale * stake for stake in root_vote.VALIDATOR_TOP5)
    stakes = root_vote.validator_stakes(root_vote.MAX_ROOT_VALIDATORS, top5)
    votes = np.zeros((len(stakes), 1 + subnets))
    votes[:, 1:] = 1.0 / subnets
    votes[:5, 1:] *= 1.0 - favourite_share
    votes[:5, 1 : 1 + favourites] += favourite_share / favourites
    rank, trust, consensus, shares = (np.zeros(1 + subnets) for _ in range(4))
    root_vote.root_epoch(
        stakes,
        votes,
        root_vote.CONSENSUS_SLOPE,
        root_vote.CONSENSUS_MIDPOINT,
        rank,
        trust,
        consensus,
        shares,
    )
    return [shares[1:3].max(), shares[3:].min(), float(shares @ shares)]
