"""Back-tests: policies on real prices against root and buy-and-hold, with bootstrap intervals.

A policy is called as `policy(observation, batch, rngs) -> actions` with one generator per window, like scripted and learned
ones; `batch` is a `ReplayBatch`. All windows run in one batch, and a policy is called until the longest window ends.

Intervals resample blocks of consecutive days within each window (circular block bootstrap), the same days for a policy and
its benchmark. They measure the sampling error of the days observed; they account neither for days of another kind nor for
the number of policies that were tried before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.envs.features import as_float32
from dtao_gym.envs.staker.replay import ReplayStaker
from dtao_gym.envs.staker.role import target_action
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.market import ReplayMarket
from dtao_gym.replay.windows import Window, choose_subnets, possible_starts, window_key
from dtao_gym.replay.worlds import ReplayBatch
from dtao_gym.world.config import ConfigError
from dtao_gym.world.shocks import ACTION, GENESIS, generator

Policy = Callable[[np.ndarray, Any, Any], np.ndarray]

IMPACTS = ("recovering", "permanent")
"""Kinds of price impact of own trades, as in `ReplayConfig.impact`."""
ROOT, HOLD = "root", "hold"
"""Benchmarks: no trades, and one purchase proportional to pool TAO on the first day of a window."""
COVERAGE = 0.95
RESAMPLES = 4000
BLOCK_DAYS = 10
DEFAULT_WINDOW_DAYS = 91
MIN_WINDOW_DAYS = 14
"""Shortest window of `consecutive`."""


class Interval(NamedTuple):
    """Log growth with the bounds of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PolicyGrowth:
    """Results of one policy.

    Attributes
    ----------
    growth : list of `(days,)`
        Daily log growth of liquidation wealth in each window.
    turnover : list of float
        TAO exchanged with pools over the initial wealth, in each window.
    """

    growth: list[np.ndarray]
    turnover: list[float]

    @property
    def total(self) -> np.ndarray:
        """Log growth of each window, `(windows,)`."""
        return np.array([days.sum() for days in self.growth])


@dataclass(frozen=True)
class Backtest:
    """Results of `backtest`.

    Attributes
    ----------
    windows : list of (str, str)
        Dates of the first and last close of each window.
    played : dict of dict of PolicyGrowth
        Results by impact and name of the policy, including `ROOT` and `HOLD`.
    unseen : bool
        Whether no policy was trained on these days.
    block_days : int
        Block length of the bootstrap.
    counts : dict of dict
        Treatments of the prices, by market.
    """

    windows: list[tuple[str, str]]
    played: dict[str, dict[str, PolicyGrowth]]
    unseen: bool
    block_days: int
    counts: dict[str, dict[str, int]]

    @property
    def days(self) -> int:
        """Total number of days."""
        return sum(growth.size for growth in self.played[IMPACTS[0]][ROOT].growth)

    def growth(self, name: str, impact: str = IMPACTS[0], less: str | None = None) -> Interval:
        """Return the log growth over all windows with its interval.

        Parameters
        ----------
        name : str
            Policy.
        impact : str
            One of `IMPACTS`.
        less : str, optional
            Policy whose log growth is subtracted day by day.
        """
        growth = self.played[impact][name].growth
        if less is not None:
            benchmark = self.played[impact][less].growth
            growth = [one - two for one, two in zip(growth, benchmark, strict=True)]
        return block_bootstrap(growth, self.block_days)

    def credible(self, name: str) -> bool:
        """Return whether lower bounds exceed root and buy-and-hold, for both impacts, on unseen days."""
        return self.unseen and all(
            self.growth(name, impact, less).low > 0.0
            for impact in self.played
            for less in (ROOT, HOLD)
        )


def block_bootstrap(
    windows: Sequence[np.ndarray], block_days: int = BLOCK_DAYS, seed: int = 0
) -> Interval:
    """Sum daily values over all windows, with a 95 % interval by circular blocks within each window.

    Windows of the same length are resampled in the same way for equal seeds, so that differences are paired.

    Parameters
    ----------
    windows : sequence of `(days,)`
        Daily values of each window.
    block_days : int
        Block length.
    seed : int
        Seed of the resamples.

    Raises
    ------
    ValueError
        No windows, a window of fewer than two days, or a value that is not finite.
    """
    if not windows or any(days.size < 2 or not np.isfinite(days).all() for days in windows):
        raise ValueError(
            "windows: got none, or days that are too few or not finite, allowed are 2 or more"
        )
    rng = np.random.default_rng(seed)
    sums = np.zeros(RESAMPLES)
    for days in windows:
        length = min(block_days, days.size)
        n_blocks = -(-days.size // length)
        starts = rng.integers(0, days.size, (RESAMPLES, n_blocks))
        cumulated = np.concatenate([[0.0], np.cumsum(np.tile(days, 2))])
        blocks = cumulated[starts + length] - cumulated[starts]
        rest = days.size - (n_blocks - 1) * length
        last = cumulated[starts[:, -1] + rest] - cumulated[starts[:, -1]]
        sums += blocks[:, :-1].sum(axis=1) + last
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(sums, [tail, 1.0 - tail])
    return Interval(float(sum(days.sum() for days in windows)), float(low), float(high))


def consecutive(config: ReplayConfig) -> list[tuple[Window, int]]:
    """Divide all usable days into consecutive windows of `horizon_days`.

    The last window of a market may be shorter, down to `MIN_WINDOW_DAYS`. Subnets are chosen on the first day of each window.

    Returns
    -------
    list of (Window, int)
        Windows and their lengths in days.

    Raises
    ------
    ConfigError
        No window fits.
    """
    windows = []
    for number, market in enumerate(config.markets()):
        days = possible_starts(config, market, 0)
        first = days.start
        while days.stop - 1 - first >= min(MIN_WINDOW_DAYS, config.horizon_days):
            length = min(config.horizon_days, days.stop - 1 - first)
            windows.append((_window_at(config, number, market, first), length))
            first += length
    if not windows:
        raise ConfigError(
            f"horizon_days: got {config.horizon_days} with first_date {config.first_date}, last_date {config.last_date}, "
            f"split {config.split!r} at {config.split_date}: no window, allowed are dates of the prices after "
            f"{config.history_days} days of history"
        )
    return windows


def _window_at(config: ReplayConfig, number: int, market: ReplayMarket, first: int) -> Window:
    """Window of market `number` from row `first` on; its subnets depend on nothing else."""
    rng = generator(window_key(config, config.world_seed), first, GENESIS)
    return Window(number, first, choose_subnets(config, market, first, rng))


def play(policy: Policy, config: ReplayConfig, windows: list[tuple[Window, int]]) -> PolicyGrowth:
    """Run a policy on windows, with a decision every `days_per_step` days.

    Parameters
    ----------
    policy : callable
        `policy(observation, batch, rngs) -> actions`.
    config : ReplayConfig
        Number of subnets, impact, fees and wealth.
    windows : list of (Window, int)
        Windows and their lengths in days.
    """
    longest = max(days for _, days in windows)
    batch: Any = ReplayBatch(config, windows=windows)
    role, rngs = ReplayStaker(batch), _generators(batch)
    stakers = batch.state.stakers[:, 0]
    wealth, traded = np.empty((longest + 1, len(windows))), np.zeros(len(windows))
    wealth[0] = stakers["log_wealth"]
    no_orders = np.zeros((len(windows), 1, config.n_subnets))
    for day in range(longest):
        orders = no_orders
        if day % config.days_per_step == 0:
            actions = as_float32(policy(role.observe(batch), batch, rngs))
            orders = role.apply(batch, actions)
        batch.advance(orders, 1)
        running = np.array([day < days for _, days in windows])
        traded += np.where(running, stakers["traded"], 0.0)
        wealth[day + 1] = stakers["log_wealth"]
    growth = [np.diff(wealth[: days + 1, k]) for k, (_, days) in enumerate(windows)]
    return PolicyGrowth(growth, (traded / config.wealth_tao).tolist())


def _generators(batch: ReplayBatch) -> list[np.random.Generator]:
    """Generator of each world's policy."""
    worlds = batch.state.worlds
    keys = zip(worlds["world_key"], worlds["episode"], strict=True)
    return [generator(key, episode, ACTION) for key, episode in keys]


def stay_in_root(observation: np.ndarray, batch: ReplayBatch, rngs: Any) -> np.ndarray:
    """Policy without trades: all wealth stays in root."""
    return np.full((len(observation), batch.layout.n_subnets + 2), -1.0, np.float32)


def buy_and_hold(observation: np.ndarray, batch: ReplayBatch, rngs: Any) -> np.ndarray:
    """Policy with one purchase, proportional to the TAO in the pools on the first day."""
    tao = batch.state.row("tao_reserve")
    targets = np.concatenate([np.zeros((len(tao), 1)), tao], axis=1)
    targets[targets.sum(axis=1) <= 0.0, 0] = 1.0
    actions = target_action(targets)
    actions[batch.state.worlds["day"] > 0, -1] = -1.0  # no step towards the target
    return actions


def backtest(
    policies: Policy | dict[str, Policy],
    config: Any = None,
    *,
    windows: Sequence[tuple[Any, Any]] | None = None,
    unseen: bool = False,
    block_days: int = BLOCK_DAYS,
    **overrides: Any,
) -> Backtest:
    """Run policies on all usable days of real prices, with recovering and with permanent impact.

    Parameters
    ----------
    policies : callable or dict of callables
        One policy, named "policy" in the results, or several by name.
    config : ReplayConfig, dict, str or Path, optional
        Configuration or path of a YAML file; by default both packaged paths in windows of 91 days.
    windows : sequence of (date, date), optional
        Dates of the first and last close of each window; by default the windows of `consecutive`.
    unseen : bool
        Whether no policy was trained on these days, which only the caller knows. `Backtest.credible` needs it.
    block_days : int
        Block length of the bootstrap.
    **overrides
        Parameters of `ReplayConfig`; `impact` is ignored.

    Returns
    -------
    Backtest
        Results of the policies and of the benchmarks `ROOT` and `HOLD`.

    Raises
    ------
    ConfigError
        Bad parameters, dates or names of policies.
    """
    if config is None:
        overrides = {"horizon_days": DEFAULT_WINDOW_DAYS} | overrides
    replay = ReplayConfig.make(config, **overrides)
    if not isinstance(block_days, int) or block_days < 1:
        raise ConfigError(f"block_days: got {block_days!r}, allowed are whole numbers from 1")
    chosen = (
        consecutive(replay)
        if windows is None
        else [window_between(replay, *pair) for pair in windows]
    )
    named = dict(policies) if isinstance(policies, dict) else {"policy": policies}
    for name in (ROOT, HOLD):
        if name in named:
            raise ConfigError(
                f"policies: got {name!r}, allowed are other names than the benchmarks'"
            )
    named |= {ROOT: stay_in_root, HOLD: buy_and_hold}
    played = {}
    for impact in IMPACTS:
        world = ReplayConfig.make(replay, impact=impact)
        played[impact] = {name: play(policy, world, chosen) for name, policy in named.items()}
    markets = replay.markets()
    window_dates = []
    for window, days in chosen:
        dates = markets[window.market].dates
        window_dates.append((str(dates[window.first]), str(dates[window.first + days])))
    counts = {market.name: market.counts for market in markets}
    return Backtest(window_dates, played, unseen, block_days, counts)


def window_between(config: ReplayConfig, first: Any, last: Any) -> tuple[Window, int]:
    """Return the window between two closes and its days. Raises ConfigError where no path has it."""
    try:
        begin, end = np.datetime64(str(first), "D"), np.datetime64(str(last), "D")
    except ValueError:
        begin, end = np.datetime64("NaT", "D"), np.datetime64("NaT", "D")
    for number, market in enumerate(config.markets()):
        row = np.flatnonzero(market.dates == begin)
        stop = np.flatnonzero(market.dates == end)
        if row.size and stop.size and config.history_days <= row[0] < stop[0] - 1:
            return _window_at(config, number, market, int(row[0])), int(stop[0] - row[0])
    ends = "; ".join(f"{m.dates[config.history_days]} to {m.dates[-1]}" for m in config.markets())
    raise ConfigError(f"windows: got {first} to {last}, allowed are two days or more within {ends}")
