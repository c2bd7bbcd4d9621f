"""Windows of a replay: the days and subnets of an episode."""

from datetime import date
from typing import NamedTuple

import numpy as np

from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.market import Market
from dtao_gym.world.config import ConfigError
from dtao_gym.world.shocks import GENESIS, generator

EVALUATION = 1 << 63
"""Set in the key of every evaluation window and in no other, as in simulated worlds."""


class Window(NamedTuple):
    """Days of one market, and the subnets that can be staked in.

    Attributes:
        market: number of the market in the list of the configuration.
        first: row of the close at which the first decision is taken.
        columns: `(n_subnets,)` netuids less 1, ascending.
    """

    market: int
    first: int
    columns: np.ndarray


class Starts:
    """Admissible first days of windows, and draws from them by key.

    Raises `ConfigError` where no window of `horizon_days` fits between the dates.
    """

    def __init__(self, config: ReplayConfig, markets: list[Market]):
        self.config, self.markets = config, markets
        steps = -(-config.horizon_days // config.days_per_step)
        self.length = steps * config.days_per_step
        self.starts = [
            (k, first)
            for k, market in enumerate(markets)
            for first in possible_starts(config, market, self.length)
        ]
        if not self.starts:
            raise ConfigError(
                f"horizon_days: got {config.horizon_days} with first_date {config.first_date}, last_date "
                f"{config.last_date}, split {config.split!r} at {config.split_date} and {config.history_days} days of "
                f"history, allowed are windows within {_date_ranges(markets)}"
            )

    def draw(self, seed: int, episode: int) -> Window:
        """The window of an episode; it depends on seed, episode and split alone."""
        rng = generator(key_of(self.config, seed), episode, GENESIS)
        number, first = self.starts[int(rng.integers(len(self.starts)))]
        return Window(number, first, choose(self.config, self.markets[number], first, rng))


def key_of(config: ReplayConfig, seed: int) -> int:
    """Key of the draws of a world."""
    return seed | (EVALUATION if config.split == "evaluation" else 0)


def possible_starts(config: ReplayConfig, market: Market, length: int) -> range:
    """Rows of a market at which a window of `length` days may begin."""
    earliest, latest = config.first_date, config.last_date
    if config.split_date is not None:
        if config.split == "train":
            latest = min(latest or config.split_date, config.split_date)
        else:
            earliest = max(earliest or config.split_date, config.split_date)
    first, stop = config.history_days, market.dates.size
    if earliest is not None:
        first = max(first, row_of(market, earliest))
    if latest is not None:
        stop = min(stop, row_of(market, latest) + 1)
    return range(first, stop - length)


def row_of(market: Market, day: date) -> int:
    """Row of the close of a day; beyond the ends of the market it counts on."""
    return int((np.datetime64(day, "D") - market.dates[0]) / np.timedelta64(1, "D"))


def choose(
    config: ReplayConfig, market: Market, first: int, rng: np.random.Generator
) -> np.ndarray:
    """Columns of the subnets of a window. Raises `ConfigError` where too few have a market on the first day."""
    tao, n = market.row("tao_reserve")[first], config.n_subnets
    there = np.flatnonzero((tao > 0.0) & (tao >= config.min_pool_tao))
    if there.size < n:
        raise ConfigError(
            f"n_subnets: got {n}, allowed are 1 to {there.size} on {market.dates[first]} in {market.name} "
            f"with pools from {config.min_pool_tao:g} TAO"
        )
    if config.selection == "sample":
        return np.sort(rng.choice(there, n, replace=False))
    return np.sort(there[np.argsort(-tao[there], kind="stable")[:n]])


def _date_ranges(markets: list[Market]) -> str:
    return "; ".join(f"{m.dates[0]} to {m.dates[-1]} ({m.name})" for m in markets)
