"""Reserves of pools from prices alone.

In a constant-product pool trades leave the liquidity L = sqrt(tao alpha) alone and injection at the pool's own price
moves it: dL = e dt / sqrt(p), with e the TAO that the subnet is paid. So tao = L sqrt(p) and alpha = L / sqrt(p). In
the era of 2025 e is the block's emission times the subnet's share of all moving prices. Where reserves were captured
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
LAUNCH_KNOWN_HOURS = 30 * 24
"""Prices that begin later than this after `LAUNCH` need captured reserves."""


@dataclass(frozen=True)
class Inferred:
    """What follows from prices, `(T, SLOTS)` each; NaN without a market.

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
            liquidity[new] = (1.0 + before * emission * share / np.sqrt(p))[new]
            injected = np.minimum(emission * share / p, 1.0)
            issuance[new] = 1.0 + before * (1.0 + injected[new])
        else:
            age[new], moving[new], liquidity[new], issuance[new] = 0.0, 0.0, 1.0, 1.0
        known = np.isfinite(age)
        rate = moving_price_rate.py_func(
            MOVING_PRICE_BASE["fast"], np.where(known, age, 0.0), MOVING_PRICE_HALVING_BLOCKS
        )
        decay = np.exp(blocks * np.log1p(-rate))
        step = live & (t > 0)
        moving = np.where(step, p + (moving - p) * decay, moving)
        share = np.where(live, moving, 0.0)
        share = share / max(share.sum(), 1e-12)
        if t > 0:
            liquidity = np.where(
                live, liquidity + blocks * emission * share / np.sqrt(p), liquidity
            )
            injected = np.minimum(emission * share / p, 1.0)
            issuance = np.where(live, issuance + blocks * (1.0 + injected), issuance)
            age = np.where(known, age + blocks, age)
        rows = (moving, liquidity, emission * share * BLOCKS_PER_DAY, issuance)
        for array, row in zip(vars(out).values(), rows, strict=True):
            array[t] = np.where(live, row, np.nan)
    return out


def infer_from_captures(prices: Prices, captures: list[Snapshot]) -> Inferred:
    """Reserves of a market of which the reserves were captured once or twice.

    Between two captures of a subnet (and beyond them) L grows geometrically, if it does not fall; else it grows from the
    first capture by the rule of `infer_from_launch`, and is at least a twentieth of the captured one before. Alpha
    issuance is the captured one and grows by the chain's emission. Only subnets of the first capture have a market.
    """
    price = np.where(captured_columns(captures[0]), prices.price, np.nan)
    if not np.isfinite(price).any():
        raise ConfigError(
            "reserves: got a capture without any subnet of the prices, allowed is one that has them"
        )
    live = np.isfinite(price)
    blocks = prices.step_hours * BLOCKS_PER_DAY / 24.0
    decay = np.exp(blocks * np.log1p(-MOVING_PRICE_BASE["fast"]))
    moving, now = np.full(price.shape, np.nan), np.full(price.shape[1], np.nan)
    for t in range(len(price)):
        now = np.where(live[t] & np.isfinite(now), price[t] + (now - price[t]) * decay, price[t])
        moving[t] = now
    emission = np.array([block_emission(time) for time in prices.times])[:, None]
    paid = blocks * emission * np.nan_to_num(moving)
    paid /= np.maximum(np.nansum(moving, axis=1, keepdims=True) * of_all(captures[0], live), 1e-12)
    known = [_liquidity_of(capture) for capture in captures]
    days = (prices.times - time_of_block(captures[0].block)) / np.timedelta64(1, "h") / 24.0
    day = days[:, None]
    grown = np.cumsum(np.where(live, paid / np.sqrt(np.where(live, price, 1.0)), 0.0), axis=0)
    at = int(np.abs(days).argmin())
    liquidity = np.maximum(known[0] + grown - grown[at], 0.05 * known[0])
    if len(captures) > 1:
        between = float(captures[1].block - captures[0].block) / BLOCKS_PER_DAY
        same = _registered(captures[0]) == _registered(captures[1])
        ratio = np.where(same & (known[1] >= known[0]), known[1] / known[0], np.nan)
        liquidity = np.where(np.isfinite(ratio), known[0] * ratio ** (day / between), liquidity)
    issuance = _by_column(captures[0], captures[0].alpha_reserve + captures[0].alpha_outstanding)
    minted = paid / blocks / np.where(live, price, 1.0)
    growth = np.cumsum(blocks * (1.0 + np.minimum(minted, 1.0)), axis=0)
    issuance = np.maximum(issuance + growth - growth[at], 0.05 * issuance)
    rows = (moving, liquidity, paid / blocks * BLOCKS_PER_DAY, issuance)
    return Inferred(*(np.where(live, row, np.nan) for row in rows))


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
