"""Days of a real market: prices, reserves, emission and yields at each close.

Emission shares are shares of the moving prices. Yields follow from the era's rules: participants of a subnet receive
the chain's alpha emission, root its proportion of the validators' half of it, valued at the close. All outstanding alpha
is assumed to be staked, and root's alpha to be sold without price impact.
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
    InferredReserves,
    block_of_time,
    captured_price_ratio,
    infer_from_captures,
    infer_from_launch,
)
from dtao_gym.world.config import ConfigError
from dtao_gym.world.snapshot import Snapshot

OWNER_CUT = VALIDATOR_TAKE
"""Subnet owners' share of the alpha emission, on the chain the same number as the validators' take."""
MIN_OUTSTANDING = 0.1
"""Minimum fraction of the alpha issuance that is assumed to be outside the pool."""
ROOT_STAKES = (("2025-02-13", 5.9e6), ("2026-04-11", 5_025_713.5), ("2026-06-14", 5_313_952.4))
"""TAO staked on root at the packaged snapshots; linear in between, constant beyond."""
ARRAYS = ("dates", "price", "moving_price", "liquidity", "alpha_issuance", "registered_block")
"""Arrays that a market is derived from: `(T,)`, `(T, SLOTS)` four times, `(SLOTS,)`."""
PACKAGED = ("mainnet-2025", "mainnet-2026")
"""Names of the packaged paths: 16 February to 31 August 2025, 9 March to 3 May 2026."""


@dataclass(frozen=True)
class ReplayMarket:
    """A path of closes.

    Attributes
    ----------
    name : str
        Packaged name, or the file of the prices.
    dates : `(T,)` datetime64[D]
        Days, which close at 24:00 UTC.
    rows : `(T, len(DayRows), SLOTS)` float64
        Quantities per subnet.
    numbers : `(T, len(DayNumbers))` float64
        Quantities that all subnets share.
    counts : dict
        Treatments of the prices, see `dtao_gym.replay.prices`.
    """

    name: str
    dates: np.ndarray
    rows: np.ndarray
    numbers: np.ndarray
    counts: dict[str, int]

    def row(self, name: str) -> np.ndarray:
        """Return a view `(T, SLOTS)` of a field of `DayRows`."""
        return self.rows[:, DayRows._fields.index(name)]

    def number(self, name: str) -> np.ndarray:
        """Return a view `(T,)` of a field of `DayNumbers`."""
        return self.numbers[:, DayNumbers._fields.index(name)]


def closing_arrays(prices: Prices, captures: list[Snapshot]) -> dict[str, np.ndarray]:
    """Infer the arrays of a market at each close.

    Parameters
    ----------
    prices : Prices
        Prices on a regular grid of times.
    captures : list of Snapshot
        Captured reserves, none to two; without them reserves are inferred from the launch.

    Returns
    -------
    dict
        One array for each name of `ARRAYS`; NaN where a subnet has no market.

    Raises
    ------
    ConfigError
        Fewer than three closes, or prices to which no reserves can be assigned.
    """
    inferred = infer(prices, captures)
    dates, at = closing_rows(prices.times)
    if dates.size < 3:
        raise ConfigError(f"prices: got {dates.size} closes at 24:00 UTC, allowed are 3 or more")
    first = np.argmax(np.isfinite(prices.price), axis=0)
    registered = np.array([block_of_time(prices.times[t]) for t in first])
    known = captures or [Snapshot.named("mainnet-2025-02-13")]
    columns = known[0].netuid - 1
    old = np.ones(columns.size, bool) if captures else first[columns] == 0
    registered[columns[old]] = known[0].registered_block[old]
    rows = (prices.price, inferred.moving_price, inferred.liquidity, inferred.alpha_issuance)
    arrays = [np.where(np.isfinite(inferred.liquidity), row, np.nan)[at] for row in rows]
    return dict(zip(ARRAYS, (dates, *arrays, registered), strict=True))


def infer(prices: Prices, captures: list[Snapshot]) -> InferredReserves:
    """Infer reserves from captures if there are any, else from the launch. Raises ConfigError."""
    if captures:
        return infer_from_captures(prices, captures)
    late = float((prices.times[0] - LAUNCH) / np.timedelta64(1, "h"))
    if not 0.0 <= late <= LAUNCH_KNOWN_HOURS:
        raise ConfigError(
            f"reserves: got None with prices from {prices.times[0]} UTC, allowed is None where prices begin up to "
            f"{LAUNCH_KNOWN_HOURS // 24} days after {LAUNCH}; else name a snapshot"
        )
    return infer_from_launch(prices)


def derive_market(
    name: str, arrays: dict[str, np.ndarray], price_sum_ratio: float, counts: dict[str, int]
) -> ReplayMarket:
    """Derive reserves, emission and yields of a market.

    Parameters
    ----------
    name : str
        Name of the market.
    arrays : dict
        Arrays by the names of `ARRAYS`.
    price_sum_ratio : float
        Sum of the prices of all subnets over that of the subnets with data, at least 1.
    counts : dict
        Treatments of the prices.

    Returns
    -------
    ReplayMarket
        With read-only arrays.
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
    outstanding = np.maximum(issuance - alpha, MIN_OUTSTANDING * issuance)
    moving_sum = moving.sum(axis=1) * price_sum_ratio
    share = moving / np.maximum(moving.sum(axis=1, keepdims=True), 1e-12)
    root_stake = _root_stakes(dates)
    emission = _alpha_emission(alpha, outstanding, live)
    stake_yield, to_root = _dividends(emission, alpha, outstanding, live, root_stake)
    income = (1.0 - VALIDATOR_TAKE) * (to_root * price).sum(axis=1) * price_sum_ratio
    gated = dates >= np.datetime64(ERAS["tao_flow"].since, "D")
    gate_open = ~gated | (moving_sum > 1.0)
    root_yield = np.where(gate_open, income / root_stake, 0.0)
    block = np.array([block_of_time((day + 1).astype("datetime64[h]")) for day in dates])
    registered = np.broadcast_to(arrays["registered_block"].astype(float), price.shape)
    fields = (price, moving, tao, alpha, outstanding, share, emission, stake_yield, registered)
    rows = np.stack([np.where(live, row, 0.0) for row in fields], axis=1)
    numbers = np.stack([block, root_yield, moving_sum, root_stake], axis=1)
    for array in (rows, numbers):
        array.setflags(write=False)
    return ReplayMarket(
        name, dates, np.ascontiguousarray(rows), np.ascontiguousarray(numbers), counts
    )


def _root_stakes(dates: np.ndarray) -> np.ndarray:
    """TAO staked on root on each date, `(T,)`."""
    days = dates.astype(int).astype(float)
    known = [float(np.datetime64(day, "D").astype(int)) for day, _ in ROOT_STAKES]
    return np.interp(days, known, [stake for _, stake in ROOT_STAKES])


def _alpha_emission(alpha: np.ndarray, outstanding: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Alpha minted per block, `(T, SLOTS)`: 1, halved with each halving of the supply that is left."""
    left = np.maximum(SUPPLY_CAP - alpha - outstanding, 1.0) / SUPPLY_CAP
    return np.where(live, 2.0 ** -np.floor(-np.log2(np.minimum(left, 1.0))), 0.0)


def _dividends(
    emission: np.ndarray,
    alpha: np.ndarray,
    outstanding: np.ndarray,
    live: np.ndarray,
    root_stake: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Daily alpha dividends per staked alpha, and alpha paid to root per day, `(T, SLOTS)` each."""
    issued = np.where(live, alpha + outstanding, 1.0)
    root_share = TAO_WEIGHT * root_stake[:, None] / (TAO_WEIGHT * root_stake[:, None] + issued)
    _, _, validators, to_root = split_alpha_out.py_func(
        emission * BLOCKS_PER_DAY, OWNER_CUT, root_share
    )
    return (1.0 - VALIDATOR_TAKE) * validators / np.where(live, outstanding, 1.0), to_root


@functools.cache
def packaged_market(name: str) -> ReplayMarket:
    """Return a packaged path, one of `PACKAGED`."""
    folder = resources.files("dtao_gym") / "data" / "replay"
    facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    with resources.as_file(folder / f"{name}.npz") as path, np.load(path) as file:
        arrays = {key: file[key] for key in ARRAYS}
    return derive_market(name, arrays, facts["price_sum_of_all"], facts["counts"])


def market_from_file(path: str, captures: list[Snapshot]) -> ReplayMarket:
    """Read the price path of a CSV file and derive its market. Raises ConfigError."""
    prices = read_prices(path)
    live = np.isfinite(prices.price)
    ratio = captured_price_ratio(captures[0], live) if captures else 1.0
    return derive_market(str(path), closing_arrays(prices, captures), ratio, prices.counts)
