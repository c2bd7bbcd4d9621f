"""Reserves of pools, inferred from prices alone.

In a constant-product pool trades leave the liquidity L = sqrt(tao * alpha) unchanged. Only injection changes it: e TAO and
a alpha per block at price p add (e + p a) / (2 sqrt(p)), which is e / sqrt(p) where alpha is injected at the pool's own
price. Reserves follow as tao = L sqrt(p) and alpha = L / sqrt(p).

In the era of 2025 e is the block's emission times the subnet's share of all moving prices, and a is e / p, at most one alpha
per block. Where reserves were captured (2026) L is that of the captures, with geometric growth between them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dtao_gym.protocol.coinbase import moving_price_rate
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.replay.prices import SLOTS, Prices
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.parameters import MOVING_PRICE_BASE
from dtao_gym.world.snapshot import Snapshot

LAUNCH = np.datetime64("2025-02-13T20", "h")
"""Hour at which pools began, with 1 TAO and 1 alpha each."""
HALVING = np.datetime64("2025-12-15T12", "h")
"""Hour from which a block emits 0.5 TAO instead of 1."""
BLOCK_TIMES = ((4_919_910, LAUNCH), (8_404_076, np.datetime64("2026-06-14T09", "h")))
"""Two blocks with known hours."""
MOVING_PRICE_HALVING_BLOCKS: float = Config.model_fields["moving_price_halving_blocks"].default
"""Age at which a subnet's moving price has half its full speed."""
MIN_ISSUANCE = 0.05
"""Minimum fraction of the captured alpha issuance that is assumed at earlier times."""
LAUNCH_KNOWN_HOURS = 30 * 24
"""Prices that begin later than this after `LAUNCH` need captured reserves."""


@dataclass(frozen=True)
class InferredReserves:
    """Quantities inferred from prices, `(T, SLOTS)` each; NaN where a subnet has no market.

    Attributes
    ----------
    moving_price
        TAO per alpha.
    liquidity
        sqrt(tao * alpha) of the pool.
    tao_emission
        TAO per day.
    alpha_issuance
        Alpha in the pool and outstanding.
    """

    moving_price: np.ndarray
    liquidity: np.ndarray
    tao_emission: np.ndarray
    alpha_issuance: np.ndarray


def block_emission(time: np.datetime64) -> float:
    """Return the TAO minted per block at a time."""
    return 1.0 if time < HALVING else 0.5


def liquidity_gain(tao: np.ndarray, alpha: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Return the liquidity that an injection adds to pools at a price."""
    return (tao + price * alpha) / (2.0 * np.sqrt(price))


def infer_from_launch(prices: Prices) -> InferredReserves:
    """Infer reserves of a market from its launch on, where every pool's first block is known.

    Subnets with a price in the first row are assumed to exist since `LAUNCH`, at that price; all others start with 1 TAO,
    1 alpha and a moving price of 0 at their first price. A subnet whose prices are interrupted keeps its pool meanwhile.

    Parameters
    ----------
    prices : Prices
        Prices that begin soon after `LAUNCH`.

    Returns
    -------
    InferredReserves
        Values at each time; none depends on a later price.
    """
    price = prices.price
    n_times, n = price.shape
    blocks = prices.step_hours * BLOCKS_PER_DAY / 24.0
    before = float((prices.times[0] - LAUNCH) / np.timedelta64(1, "h")) * BLOCKS_PER_DAY / 24.0
    age, moving, liquidity, issuance = (np.full(n, np.nan) for _ in range(4))
    inferred = InferredReserves(*(np.full((n_times, n), np.nan) for _ in range(4)))
    for t in range(n_times):
        live = np.isfinite(price[t])
        new = live & np.isnan(age)
        p = np.where(live, price[t], 1.0)
        emission = block_emission(prices.times[t])
        if t == 0:
            share = p / p[new].sum()
            age[new], moving[new] = before, p[new]
            injected = np.minimum(emission * share / p, 1.0)
            gain = liquidity_gain(emission * share, injected, p)
            liquidity[new] = (1.0 + before * gain)[new]
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
            grown = liquidity + blocks * liquidity_gain(emission * share, injected, p)
            liquidity = np.where(live, grown, liquidity)
            issuance = np.where(live, issuance + blocks * (1.0 + injected), issuance)
            age = np.where(known, age + blocks, age)
        rows = (moving, liquidity, emission * share * BLOCKS_PER_DAY, issuance)
        for array, row in zip(vars(inferred).values(), rows, strict=True):
            array[t] = np.where(live, row, np.nan)
    return inferred


def infer_from_captures(prices: Prices, captures: list[Snapshot]) -> InferredReserves:
    """Infer reserves of a market whose reserves were captured once or twice.

    Between two captures of a subnet, and beyond them, L grows geometrically if it does not fall. Otherwise L is that of the
    first capture before it, and grows by the rule of `infer_from_launch` after it. Alpha issuance starts from the captured
    value and grows by the chain's emission. Only subnets of the first capture have a market.

    Parameters
    ----------
    prices : Prices
        Prices around the time of the captures.
    captures : list of Snapshot
        One or two, in order of time.

    Returns
    -------
    InferredReserves
        Values at each time; none depends on a later price.

    Raises
    ------
    ConfigError
        The first capture has no subnet of the prices.
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
    ratio_of_all = captured_price_ratio(capture, live)
    share = known / np.maximum(known.sum(axis=1, keepdims=True) * ratio_of_all, 1e-12)
    paid = share * np.array([block_emission(time) for time in prices.times])[:, None]
    hours = (prices.times - time_of_block(capture.block)) / np.timedelta64(1, "h")
    after = (hours > 0.0)[:, None]
    injected = np.where(live & after, np.minimum(paid / p, 1.0), 0.0)
    gain = np.where(live & after, liquidity_gain(paid, injected, p), 0.0)
    liquidity = _liquidity_of(capture) + blocks * np.cumsum(gain, axis=0)
    if len(captures) > 1:
        between = _geometric_liquidity(captures, hours)
        liquidity = np.where(np.isfinite(between), between, liquidity)
    issuance = _by_column(capture, capture.alpha_reserve + capture.alpha_outstanding)
    minted = blocks * np.cumsum(injected, axis=0)
    issued = issuance + hours[:, None] / 24.0 * BLOCKS_PER_DAY + minted
    issued = np.maximum(issued, MIN_ISSUANCE * issuance)
    rows = (moving, liquidity, paid * BLOCKS_PER_DAY, issued)
    return InferredReserves(*(np.where(live, row, np.nan) for row in rows))


def _geometric_liquidity(captures: list[Snapshot], hours: np.ndarray) -> np.ndarray:
    """L at hours after the first of two captures, `(T, SLOTS)`; NaN for falling L and replaced subnets."""
    first, second = captures[:2]
    hours_between = float(second.block - first.block) / BLOCKS_PER_DAY * 24.0
    same = _registered(first) == _registered(second)
    captured = _liquidity_of(first)
    ratio = _liquidity_of(second) / captured
    ratio = np.where(same & (ratio >= 1.0), ratio, np.nan)
    return captured * ratio ** (hours[:, None] / hours_between)


def _moving_average(price: np.ndarray, blocks: float) -> np.ndarray:
    """Moving prices of old subnets, which begin at the first price."""
    decay = np.exp(blocks * np.log1p(-MOVING_PRICE_BASE["fast"]))
    moving, now = np.full(price.shape, np.nan), np.full(price.shape[1], np.nan)
    for t, p in enumerate(price):
        now = np.where(np.isfinite(p) & np.isfinite(now), p + (now - p) * decay, p)
        moving[t] = now
    return moving


def captured_columns(capture: Snapshot) -> np.ndarray:
    """Return `(SLOTS,)` bool: whether each column's subnet is in a capture."""
    return np.isfinite(_by_column(capture, capture.tao_reserve))


def captured_price_ratio(capture: Snapshot, live: np.ndarray) -> float:
    """Return the sum of all captured prices over that of the subnets with data, at least 1.

    Parameters
    ----------
    capture : Snapshot
        Captured prices.
    live : `(T, SLOTS)` bool
        Where the data have a price; a subnet with one at any time counts.
    """
    price = _by_column(capture, capture.spot_price)
    covered = np.nansum(price[live.any(axis=0)])
    return max(float(np.nansum(price) / covered), 1.0) if covered > 0.0 else 1.0


def time_of_block(block: float) -> np.datetime64:
    """Return the hour of a block, linear through `BLOCK_TIMES`."""
    (block0, time0), (block1, time1) = BLOCK_TIMES
    part = (block - block0) / (block1 - block0)
    hours = float((time1 - time0) / np.timedelta64(1, "h")) * part
    return time0 + np.timedelta64(round(hours), "h")


def block_of_time(time: Any) -> float:
    """Return the block of a moment, linear through `BLOCK_TIMES`."""
    (block0, time0), (block1, time1) = BLOCK_TIMES
    return float(block0 + (block1 - block0) * float((time - time0) / (time1 - time0)))


def _by_column(capture: Snapshot, values: np.ndarray) -> np.ndarray:
    """Captured values at their subnets' columns, `(SLOTS,)`; NaN elsewhere."""
    columns = np.full(SLOTS, np.nan)
    columns[capture.netuid - 1] = values
    return columns


def _liquidity_of(capture: Snapshot) -> np.ndarray:
    return _by_column(capture, np.sqrt(capture.tao_reserve * capture.alpha_reserve))


def _registered(capture: Snapshot) -> np.ndarray:
    return _by_column(capture, capture.registered_block)
