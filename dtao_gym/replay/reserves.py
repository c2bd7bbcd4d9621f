"""Reserves of pools from prices alone.

In a constant-product pool trades leave the liquidity L = sqrt(tao alpha) alone and injection moves it: e TAO a block with
a alpha beside it add (e + p a) / (2 sqrt(p)), which is e / sqrt(p) where the injection is at the pool's own price. So
tao = L sqrt(p) and alpha = L / sqrt(p). In the era of 2025 e is the block's emission times the subnet's share of all
moving prices, and a is e / p, up to one alpha a block. Where reserves were captured
(2026) L is that of the captures, growing geometrically between them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dtao_gym.protocol.coinbase import moving_price_rate
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.replay.prices import SLOTS, Prices
from dtao_gym.world.config import ConfigError
from dtao_gym.world.parameters import MOVING_PRICE_BASE
from dtao_gym.world.snapshot import Snapshot

LAUNCH = np.datetime64("2025-02-13T20", "h")
"""Hour at which pools began, with 1 TAO and 1 alpha each."""
HALVING = np.datetime64("2025-12-15T12", "h")
"""Since then the block's emission is 0.5 TAO, 1 before."""
BLOCK_TIMES = ((4_919_910, LAUNCH), (8_404_076, np.datetime64("2026-06-14T09", "h")))
"""Blocks of which the hour is known."""
MOVING_PRICE_HALVING_BLOCKS = 201_600.0
LEAST_ISSUANCE = 0.05
"""Smallest part of the captured alpha issuance that there was before."""
LAUNCH_KNOWN_HOURS = 30 * 24
"""Prices that begin later than this after `LAUNCH` need captured reserves."""


@dataclass(frozen=True)
class Inferred:
    """Quantities inferred from prices, `(T, SLOTS)` each; NaN without a market.

    Attributes:
        moving_price: TAO per alpha.
        liquidity: sqrt(tao alpha) of the pool.
        tao_emission: TAO a day.
        alpha_issuance: alpha in the pool and outstanding, where pools are known since their first block.
    """

    moving_price: np.ndarray
    liquidity: np.ndarray
    tao_emission: np.ndarray
    alpha_issuance: np.ndarray


def block_emission(time: np.datetime64) -> float:
    """TAO minted per block at a time."""
    return 1.0 if time < HALVING else 0.5


def added(tao: np.ndarray, alpha: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Liquidity that an injection adds to pools at a price."""
    return (tao + price * alpha) / (2.0 * np.sqrt(price))


def infer_from_launch(prices: Prices) -> Inferred:
    """Reserves of a market whose pools are known since their first block.

    Subnets that have a price in the first row exist since `LAUNCH`, at that price; all others begin with 1 TAO, 1 alpha
    and a moving price of 0 at their first price. A subnet that is interrupted keeps its pool meanwhile.
    """
    price = prices.price
    n_times, n = price.shape
    blocks = prices.step_hours * BLOCKS_PER_DAY / 24.0
    before = float((prices.times[0] - LAUNCH) / np.timedelta64(1, "h")) * BLOCKS_PER_DAY / 24.0
    age, moving, liquidity, issuance = (np.full(n, np.nan) for _ in range(4))
    out = Inferred(*(np.full((n_times, n), np.nan) for _ in range(4)))
    for t in range(n_times):
        live = np.isfinite(price[t])
        new = live & np.isnan(age)
        p = np.where(live, price[t], 1.0)
        emission = block_emission(prices.times[t])
        if t == 0:
            share = p / p[new].sum()
            age[new], moving[new] = before, p[new]
            injected = np.minimum(emission * share / p, 1.0)
            liquidity[new] = (1.0 + before * added(emission * share, injected, p))[new]
            issuance[new] = 1.0 + before * (1.0 + injected[new])
        else:
            age[new], moving[new], liquidity[new], issuance[new] = 0.0, 0.0, 1.0, 1.0
        known = np.isfinite(age)
        rate = moving_price_rate.py_func(
            MOVING_PRICE_BASE["fast"], np.where(known, age, 0.0), MOVING_PRICE_HALVING_BLOCKS
        )
        decay = np.exp(blocks * np.log1p(-rate))
        moving = np.where(live & (t > 0), p + (moving - p) * decay, moving)
        share = np.where(live, moving, 0.0)
        share = share / max(share.sum(), 1e-12)
        if t > 0:
            injected = np.minimum(emission * share / p, 1.0)
            grown = liquidity + blocks * added(emission * share, injected, p)
            liquidity = np.where(live, grown, liquidity)
            issuance = np.where(live, issuance + blocks * (1.0 + injected), issuance)
            age = np.where(known, age + blocks, age)
        rows = (moving, liquidity, emission * share * BLOCKS_PER_DAY, issuance)
        for array, row in zip(vars(out).values(), rows, strict=True):
            array[t] = np.where(live, row, np.nan)
    return out


def infer_from_captures(prices: Prices, captures: list[Snapshot]) -> Inferred:
    """Reserves of a market of which the reserves were captured once or twice.

    Between two captures of a subnet (and beyond them) L grows geometrically, if it does not fall. Else it is that of the
    first capture before, and grows by the rule of `infer_from_launch` after. Alpha issuance is the captured one and
    grows by the chain's emission. Only subnets of the first capture have a market. Results of a day depend on no later
    price.
    """
    capture = captures[0]
    live = np.isfinite(prices.price) & captured_columns(capture)
    if not live.any():
        raise ConfigError(
            "reserves: got a capture without any subnet of the prices, allowed is one that has them"
        )
    p = np.where(live, prices.price, 1.0)
    blocks = prices.step_hours * BLOCKS_PER_DAY / 24.0
    moving = _moving_average(np.where(live, prices.price, np.nan), blocks)
    known = np.nan_to_num(moving)
    share = known / np.maximum(known.sum(axis=1, keepdims=True) * of_all(capture, live), 1e-12)
    paid = share * np.array([block_emission(time) for time in prices.times])[:, None]
    hours = (prices.times - time_of_block(capture.block)) / np.timedelta64(1, "h")
    after = (hours > 0.0)[:, None]
    captured = _liquidity_of(capture)
    injected = np.where(live & after, np.minimum(paid / p, 1.0), 0.0)
    grown = np.where(live & after, added(paid, injected, p), 0.0)
    liquidity = captured + blocks * np.cumsum(grown, axis=0)
    if len(captures) > 1:
        between = float(captures[1].block - capture.block) / BLOCKS_PER_DAY * 24.0
        same = _registered(capture) == _registered(captures[1])
        ratio = _liquidity_of(captures[1]) / captured
        ratio = np.where(same & (ratio >= 1.0), ratio, np.nan)
        between_them = captured * ratio ** (hours[:, None] / between)
        liquidity = np.where(np.isfinite(ratio), between_them, liquidity)
    issuance = _by_column(capture, capture.alpha_reserve + capture.alpha_outstanding)
    minted = blocks * np.cumsum(injected, axis=0)
    issued = issuance + hours[:, None] / 24.0 * BLOCKS_PER_DAY + minted
    issued = np.maximum(issued, LEAST_ISSUANCE * issuance)
    rows = (moving, liquidity, paid * BLOCKS_PER_DAY, issued)
    return Inferred(*(np.where(live, row, np.nan) for row in rows))


def _moving_average(price: np.ndarray, blocks: float) -> np.ndarray:
    """Moving prices of old subnets, which begin at the first price."""
    decay = np.exp(blocks * np.log1p(-MOVING_PRICE_BASE["fast"]))
    found, now = np.full(price.shape, np.nan), np.full(price.shape[1], np.nan)
    for t, p in enumerate(price):
        now = np.where(np.isfinite(p) & np.isfinite(now), p + (now - p) * decay, p)
        found[t] = now
    return found


def captured_columns(capture: Snapshot) -> np.ndarray:
    """`(SLOTS,)` whether a subnet is in a capture."""
    return np.isfinite(_by_column(capture, capture.tao_reserve))


def of_all(capture: Snapshot, live: np.ndarray) -> float:
    """Sum of all captured prices over that of the subnets that ever have a price: at least 1."""
    price = _by_column(capture, capture.spot_price)
    covered = np.nansum(price[live.any(axis=0)])
    return max(float(np.nansum(price) / covered), 1.0) if covered > 0.0 else 1.0


def time_of_block(block: float) -> np.datetime64:
    """Hour of a block, by the two moments of the chain that are known."""
    (block0, time0), (block1, time1) = BLOCK_TIMES
    part = (block - block0) / (block1 - block0)
    hours = float((time1 - time0) / np.timedelta64(1, "h")) * part
    return time0 + np.timedelta64(round(hours), "h")


def block_of_time(time: Any) -> float:
    """Block of a moment, by the same two."""
    (block0, time0), (block1, time1) = BLOCK_TIMES
    return float(block0 + (block1 - block0) * float((time - time0) / (time1 - time0)))


def _by_column(capture: Snapshot, values: np.ndarray) -> np.ndarray:
    found = np.full(SLOTS, np.nan)
    found[capture.netuid - 1] = values
    return found


def _liquidity_of(capture: Snapshot) -> np.ndarray:
    return _by_column(capture, np.sqrt(capture.tao_reserve * capture.alpha_reserve))


def _registered(capture: Snapshot) -> np.ndarray:
    return _by_column(capture, capture.registered_block)
