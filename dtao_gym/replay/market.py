"""The days of a real market: prices, reserves, emission and yields at each close.

Emission shares are shares of the moving prices, yields follow from the era's rules: participants of a subnet get the
chain's alpha emission, root its proportion of the validators' half of it, valued at the close. All alpha outstanding is
taken as staked, root's alpha as sold without moving a price.
"""

import functools
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np

from dtao_gym.protocol.coinbase import TAO_WEIGHT, split_alpha_out
from dtao_gym.protocol.institutions import ERAS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.protocol.stake import VALIDATOR_TAKE
from dtao_gym.replay.kernel import DayNumbers, DayRows
from dtao_gym.replay.prices import Prices, closing_rows, read_prices
from dtao_gym.replay.reserves import (
    LAUNCH,
    LAUNCH_KNOWN_HOURS,
    Inferred,
    block_of_time,
    infer_from_captures,
    infer_from_launch,
    of_all,
)
from dtao_gym.world.config import ConfigError
from dtao_gym.world.snapshot import Snapshot

OWNER_CUT = VALIDATOR_TAKE
LEAST_OUTSTANDING = 0.1
"""Smallest part of the alpha issuance that is taken to be outside the pool."""
ROOT_STAKES = (("2025-02-13", 5.9e6), ("2026-04-11", 5_025_713.5), ("2026-06-14", 5_313_952.4))
"""TAO on root at the packaged snapshots; in between a straight line, beyond them constant."""
ARRAYS = ("dates", "price", "moving_price", "liquidity", "alpha_issuance", "registered_block")


@dataclass(frozen=True)
class Market:
    """A path of closes.

    Attributes:
        name: packaged name, or the file of the prices.
        dates: `(T,)` datetime64[D], the days that close at 24:00 UTC.
        rows: `(T, len(DayRows), SLOTS)`.
        numbers: `(T, len(DayNumbers))`.
        counts: how the prices were treated, see `dtao_gym.replay.prices`.
    """

    name: str
    dates: np.ndarray
    rows: np.ndarray
    numbers: np.ndarray
    counts: dict[str, int]

    def row(self, name: str) -> np.ndarray:
        """View `(T, SLOTS)` of a row of `DayRows`."""
        return self.rows[:, DayRows._fields.index(name)]

    def number(self, name: str) -> np.ndarray:
        """View `(T,)` of a number of `DayNumbers`."""
        return self.numbers[:, DayNumbers._fields.index(name)]


def daily(prices: Prices, captures: list[Snapshot]) -> dict[str, np.ndarray]:
    """Arrays of a market at each close, by the names of `ARRAYS`. Raises `ConfigError`."""
    found = infer(prices, captures)
    dates, at = closing_rows(prices.times, prices.step_hours)
    if dates.size < 3:
        raise ConfigError(f"prices: got {dates.size} closes at 24:00 UTC, allowed are 3 or more")
    first = np.argmax(np.isfinite(prices.price), axis=0)
    registered = np.array([block_of_time(prices.times[t]) for t in first])
    known = captures or [Snapshot.named("mainnet-2025-02-13")]
    columns = known[0].netuid - 1
    old = np.ones(columns.size, bool) if captures else first[columns] == 0
    registered[columns[old]] = known[0].registered_block[old]
    rows = (prices.price, found.moving_price, found.liquidity, found.alpha_issuance)
    arrays = [np.where(np.isfinite(found.liquidity), row, np.nan)[at] for row in rows]
    return dict(zip(ARRAYS, (dates, *arrays, registered), strict=True))


def infer(prices: Prices, captures: list[Snapshot]) -> Inferred:
    """Reserves from captures if there are any, else from the launch. Raises `ConfigError`."""
    if captures:
        return infer_from_captures(prices, captures)
    late = float((prices.times[0] - LAUNCH) / np.timedelta64(1, "h"))
    if not 0.0 <= late <= LAUNCH_KNOWN_HOURS:
        raise ConfigError(
            f"reserves: got None with prices from {prices.times[0]} UTC, allowed is it where prices begin up to "
            f"{LAUNCH_KNOWN_HOURS // 24} days after {LAUNCH}; else name a snapshot"
        )
    return infer_from_launch(prices)


def market_of(
    name: str, arrays: dict[str, np.ndarray], of_sum: float, counts: dict[str, int]
) -> Market:
    """Derive the days of a market.

    Args:
        arrays: `ARRAYS`.
        of_sum: sum of the prices of all subnets over those that have data.
    """
    dates = arrays["dates"].astype("datetime64[D]")
    price = np.nan_to_num(arrays["price"].astype(float))
    live = price > 0.0
    liquidity, issuance, moving = (
        np.where(live, np.nan_to_num(arrays[key].astype(float)), 0.0)
        for key in ("liquidity", "alpha_issuance", "moving_price")
    )
    root = np.where(live, np.sqrt(price), 1.0)
    tao, alpha = liquidity * root, liquidity / root
    outstanding = np.maximum(issuance - alpha, LEAST_OUTSTANDING * issuance)
    moving_sum = moving.sum(axis=1) * of_sum
    share = moving / np.maximum(moving.sum(axis=1, keepdims=True), 1e-12)
    days = dates.astype(int).astype(float)
    known = [float(np.datetime64(day, "D").astype(int)) for day, _ in ROOT_STAKES]
    root_stake = np.interp(days, known, [stake for _, stake in ROOT_STAKES])
    left = np.maximum(SUPPLY_CAP - alpha - outstanding, 1.0) / SUPPLY_CAP
    emission = np.where(live, 2.0 ** -np.floor(-np.log2(np.minimum(left, 1.0))), 0.0)
    issued = np.where(live, alpha + outstanding, 1.0)
    root_share = TAO_WEIGHT * root_stake[:, None] / (TAO_WEIGHT * root_stake[:, None] + issued)
    _, _, validators, to_root = split_alpha_out.py_func(
        emission * BLOCKS_PER_DAY, OWNER_CUT, root_share
    )
    stake_yield = (1.0 - VALIDATOR_TAKE) * validators / np.where(live, outstanding, 1.0)
    income = (1.0 - VALIDATOR_TAKE) * (to_root * price).sum(axis=1) * of_sum
    gated = dates >= np.datetime64(ERAS["tao_flow"].since, "D")
    open_ = ~gated | (moving_sum > 1.0)
    root_yield = np.where(open_, income / root_stake, 0.0)
    block = np.array([block_of_time((day + 1).astype("datetime64[h]")) for day in dates])
    registered = np.broadcast_to(arrays["registered_block"].astype(float), price.shape)
    fields = (price, moving, tao, alpha, outstanding, share, emission, stake_yield, registered)
    rows = np.stack([np.where(live, row, 0.0) for row in fields], axis=1)
    numbers = np.stack([block, root_yield, moving_sum, root_stake], axis=1)
    for array in (rows, numbers):
        array.setflags(write=False)
    return Market(name, dates, np.ascontiguousarray(rows), np.ascontiguousarray(numbers), counts)


PACKAGED = ("mainnet-2025", "mainnet-2026")
"""Names of the packaged paths: 16 February to 31 August 2025, 9 March to 3 May 2026."""


@functools.cache
def packaged(name: str) -> Market:
    """A packaged path, of `PACKAGED`."""
    folder = resources.files("dtao_gym") / "data" / "replay"
    facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    with resources.as_file(folder / f"{name}.npz") as path, np.load(path) as file:
        arrays = {key: file[key] for key in ARRAYS}
    return market_of(name, arrays, facts["price_sum_of_all"], facts["counts"])


def of_file(path: str, captures: list[Snapshot]) -> Market:
    """The path of a user's CSV. Raises `ConfigError`."""
    prices = read_prices(path)
    live = np.isfinite(prices.price)
    of_sum = of_all(captures[0], live) if captures else 1.0
    return market_of(str(path), daily(prices, captures), of_sum, prices.counts)
