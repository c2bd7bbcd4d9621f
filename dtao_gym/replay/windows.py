"""Windows of a replay: days and subnets of an episode."""

from datetime import date
from typing import NamedTuple

import numpy as np

from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.market import ReplayMarket
from dtao_gym.world.config import ConfigError
from dtao_gym.world.shocks import GENESIS, generator

EVALUATION = 1 << 63
"""Bit that is set in the key of every evaluation window and of no training window, as in simulated worlds."""


class Window(NamedTuple):
    """First day and subnets of an episode.

    Attributes
    ----------
    market : int
        Index of the market in `ReplayConfig.markets`.
    first : int
        Row of the close at which the first decision is taken.
    columns : `(n_subnets,)` int
        Netuids less 1, ascending.
    """

    market: int
    first: int
    columns: np.ndarray


class WindowSampler:
    """Admissible windows of a configuration, and random draws from them.

    Parameters
    ----------
    config : ReplayConfig
        Dates, split, length and choice of subnets.
    markets : list of ReplayMarket
        Its price paths.

    Attributes
    ----------
    starts : list of (int, int)
        Index of the market and row of the first close of every admissible window.
    length : int
        Days of a window: `horizon_days`, rounded up to whole steps.

    Raises
    ------
    ConfigError
        No window fits between the dates.
    """

    def __init__(self, config: ReplayConfig, markets: list[ReplayMarket]):
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
        """Return the window of an episode, a function of seed, episode and split alone."""
        rng = generator(window_key(self.config, seed), episode, GENESIS)
        number, first = self.starts[int(rng.integers(len(self.starts)))]
        return Window(number, first, choose_subnets(self.config, self.markets[number], first, rng))


def window_key(config: ReplayConfig, seed: int) -> int:
    """Return the key of a world's random numbers: its seed, with a bit that separates the splits."""
    return seed | (EVALUATION if config.split == "evaluation" else 0)


def possible_starts(config: ReplayConfig, market: ReplayMarket, length: int) -> range:
    """Return the rows of a market at which a window of `length` days may begin."""
    earliest, latest = config.first_date, config.last_date
    if config.split_date is not None:
        if config.split == "train":
            latest = min(latest or config.split_date, config.split_date)
        else:
            earliest = max(earliest or config.split_date, config.split_date)
    first, stop = config.history_days, market.dates.size
    if earliest is not None:
        first = max(first, row_of_day(market, earliest))
    if latest is not None:
        stop = min(stop, row_of_day(market, latest) + 1)
    return range(first, stop - length)


def row_of_day(market: ReplayMarket, day: date) -> int:
    """Return the row of a day's close, extrapolated beyond both ends of the market."""
    return int((np.datetime64(day, "D") - market.dates[0]) / np.timedelta64(1, "D"))


def choose_subnets(
    config: ReplayConfig, market: ReplayMarket, first: int, rng: np.random.Generator
) -> np.ndarray:
    """Choose the subnets of a window.

    Parameters
    ----------
    config : ReplayConfig
        `n_subnets`, `selection` and `min_pool_tao`.
    market : ReplayMarket
        The price path.
    first : int
        Row of the window's first close.
    rng : numpy.random.Generator
        Used where `selection` is "sample".

    Returns
    -------
    `(n_subnets,)` int
        Netuids less 1, ascending.

    Raises
    ------
    ConfigError
        Too few subnets have a market on the first day.
    """
    tao, n = market.row("tao_reserve")[first], config.n_subnets
    eligible = np.flatnonzero((tao > 0.0) & (tao >= config.min_pool_tao))
    if eligible.size < n:
        raise ConfigError(
            f"n_subnets: got {n}, allowed are 1 to {eligible.size} on {market.dates[first]} in {market.name} "
            f"with pools from {config.min_pool_tao:g} TAO"
        )
    if config.selection == "sample":
        return np.sort(rng.choice(eligible, n, replace=False))
    return np.sort(eligible[np.argsort(-tao[eligible], kind="stable")[:n]])


def _date_ranges(markets: list[ReplayMarket]) -> str:
    return "; ".join(f"{m.dates[0]} to {m.dates[-1]} ({m.name})" for m in markets)
