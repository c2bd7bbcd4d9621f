"""Back-tests: a policy on windows of real prices, beside root and buy-and-hold, with block-bootstrap intervals.

A policy is called as `policy(observation, batch, rngs) -> actions` with one generator for each window, like the scripted
and learned ones; `batch` is a `ReplayBatch`. All windows run in one batch, and a policy is called until the longest ends.

Intervals resample blocks of consecutive days within each window (circular block bootstrap), the same days for the
policy and for what it is compared with. They say how much of a difference is luck of the days seen; they know nothing
of days of another kind, nor of the number of policies that somebody tried before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.envs.features import as_float32
from dtao_gym.envs.staker.replay import ReplayStaker
from dtao_gym.envs.staker.role import target_action
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.windows import Window, choose, key_of, possible_starts
from dtao_gym.replay.worlds import ReplayBatch
from dtao_gym.world.config import ConfigError
from dtao_gym.world.shocks import ACTION, GENESIS, generator

Policy = Callable[[np.ndarray, Any, Any], np.ndarray]

IMPACTS = ("recovering", "permanent")
ROOT, HOLD = "root", "hold"
"""Benchmarks: no trades, and one purchase proportional to pool TAO on the first day of a window."""
COVERAGE = 0.95
RESAMPLES = 4000
BLOCK_DAYS = 10
LEAST_DAYS = 14
"""Shortest window of `consecutive`."""


class Interval(NamedTuple):
    """Log growth with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Played:
    """Results of one policy.

    Attributes:
        growth: for each window `(days,)` daily log growth of liquidation wealth.
        turnover: for each window TAO exchanged with pools over the first wealth.
    """

    growth: list[np.ndarray]
    turnover: list[float]

    @property
    def total(self) -> np.ndarray:
        """`(windows,)` log growth."""
        return np.array([days.sum() for days in self.growth])


@dataclass(frozen=True)
class Backtest:
    """Results of `backtest`.

    Attributes:
        windows: (first date, last date) of each, closes.
        played: by impact and policy, `ROOT` and `HOLD` among them.
        unseen: whether no training saw these days.
        block_days: of the bootstrap.
        counts: treatments of the prices, by market.
    """

    windows: list[tuple[str, str]]
    played: dict[str, dict[str, Played]]
    unseen: bool
    block_days: int
    counts: dict[str, dict[str, int]]

    @property
    def days(self) -> int:
        """Total number of days."""
        return sum(growth.size for growth in self.played[IMPACTS[0]][ROOT].growth)

    def growth(self, name: str, impact: str = IMPACTS[0], less: str | None = None) -> Interval:
        """Log growth over all windows, of a policy or of a policy less another one, with its interval."""
        mine = self.played[impact][name].growth
        if less is not None:
            other = self.played[impact][less].growth
            mine = [one - two for one, two in zip(mine, other, strict=True)]
        return block_bootstrap(mine, self.block_days)

    def credible(self, name: str) -> bool:
        """Whether a policy beats root and buy-and-hold, by lower bounds, for both impacts, on days it never saw."""
        return self.unseen and all(
            self.growth(name, impact, less).low > 0.0
            for impact in self.played
            for less in (ROOT, HOLD)
        )


def block_bootstrap(
    windows: Sequence[np.ndarray], block_days: int = BLOCK_DAYS, seed: int = 0
) -> Interval:
    """Sum of daily values over all windows, with its 95 % interval by circular blocks within each window.

    Windows of one length are resampled alike for every caller with the same seed, so that differences are paired.
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
        around = np.concatenate([[0.0], np.cumsum(np.tile(days, 2))])
        whole = around[starts + length] - around[starts]
        rest = days.size - (n_blocks - 1) * length
        last = around[starts[:, -1] + rest] - around[starts[:, -1]]
        sums += whole[:, :-1].sum(axis=1) + last
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(sums, [tail, 1.0 - tail])
    return Interval(float(sum(days.sum() for days in windows)), float(low), float(high))


def consecutive(config: ReplayConfig) -> list[tuple[Window, int]]:
    """(window, days): all usable days in windows of `horizon_days` one after the other.

    The last window of a market is shorter, if it has `LEAST_DAYS` days. Subnets are chosen on the first day of each.
    Raises `ConfigError` where no window fits.
    """
    found = []
    for number, market in enumerate(config.markets()):
        days = possible_starts(config, market, 0)
        first = days.start
        while days.stop - 1 - first >= min(LEAST_DAYS, config.horizon_days):
            length = min(config.horizon_days, days.stop - 1 - first)
            rng = generator(key_of(config, config.world_seed), first, GENESIS)
            found.append((Window(number, first, choose(config, market, first, rng)), length))
            first += length
    if not found:
        raise ConfigError(
            f"horizon_days: got {config.horizon_days} with first_date {config.first_date}, last_date {config.last_date}, "
            f"split {config.split!r} at {config.split_date}: no window, allowed are dates of the prices after "
            f"{config.history_days} days of history"
        )
    return found


def play(policy: Policy, config: ReplayConfig, windows: list[tuple[Window, int]]) -> Played:
    """Play a policy on windows, with a decision every `days_per_step` days."""
    longest = max(days for _, days in windows)
    batch: Any = ReplayBatch(config, windows=windows)
    role, rngs = ReplayStaker(batch), _generators(batch)
    learners = batch.state.stakers[:, 0]
    wealth, traded = np.empty((longest + 1, len(windows))), np.zeros(len(windows))
    wealth[0] = learners["log_wealth"]
    nothing = np.zeros((len(windows), 1, config.n_subnets))
    for day in range(longest):
        orders = nothing
        if day % config.days_per_step == 0:
            actions = as_float32(policy(role.observe(batch), batch, rngs))
            orders = role.apply(batch, actions)
        batch.advance(orders, 1)
        running = np.array([day < days for _, days in windows])
        traded += np.where(running, learners["traded"], 0.0)
        wealth[day + 1] = learners["log_wealth"]
    growth = [np.diff(wealth[: days + 1, k]) for k, (_, days) in enumerate(windows)]
    return Played(growth, (traded / config.wealth_tao).tolist())


def _generators(batch: ReplayBatch) -> list[np.random.Generator]:
    worlds = batch.state.worlds
    keys = zip(worlds["world_key"], worlds["episode"], strict=True)
    return [generator(key, episode, ACTION) for key, episode in keys]


def stay_in_root(observation: np.ndarray, batch: ReplayBatch, rngs: Any) -> np.ndarray:
    """No-trade policy: everything stays in root."""
    return np.full((len(observation), batch.layout.n_subnets + 2), -1.0, np.float32)


def buy_and_hold(observation: np.ndarray, batch: ReplayBatch, rngs: Any) -> np.ndarray:
    """Buy-and-hold policy: one purchase proportional to the TAO in the pools on the first day."""
    tao = batch.state.row("tao_reserve")
    weights = np.concatenate([np.zeros((len(tao), 1)), tao], axis=1)
    weights[weights.sum(axis=1) <= 0.0, 0] = 1.0
    actions = target_action(weights)
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
    """Play policies on all usable days of real prices, with recovering and with permanent impact.

    Args:
        policies: one, called "policy", or several by name.
        config: a `ReplayConfig`, a dict or a path to a YAML file; by default both packaged paths in windows of 91 days.
        windows: (first, last) dates, closes; by default those of `consecutive`.
        unseen: whether no policy was trained on these days; only the caller can know. Needed for `credible`.
        block_days: days of a block of the bootstrap.
        **overrides: any parameter of `ReplayConfig`; `impact` is ignored.

    Raises ConfigError for bad parameters and dates.
    """
    if config is None:
        overrides = {"horizon_days": 91} | overrides
    made = ReplayConfig.make(config, **overrides)
    if not isinstance(block_days, int) or block_days < 1:
        raise ConfigError(f"block_days: got {block_days!r}, allowed are whole numbers from 1")
    chosen = consecutive(made) if windows is None else [dated(made, *pair) for pair in windows]
    players = dict(policies) if isinstance(policies, dict) else {"policy": policies}
    for name in (ROOT, HOLD):
        if name in players:
            raise ConfigError(
                f"policies: got {name!r}, allowed are other names: it is played anyway"
            )
    players |= {ROOT: stay_in_root, HOLD: buy_and_hold}
    played = {}
    for impact in IMPACTS:
        world = ReplayConfig.make(made, impact=impact)
        played[impact] = {name: play(player, world, chosen) for name, player in players.items()}
    markets = made.markets()
    shown = []
    for window, days in chosen:
        dates = markets[window.market].dates
        shown.append((str(dates[window.first]), str(dates[window.first + days])))
    counts = {market.name: market.counts for market in markets}
    return Backtest(shown, played, unseen, block_days, counts)


def dated(config: ReplayConfig, first: Any, last: Any) -> tuple[Window, int]:
    """The window between two closes. Raises `ConfigError` where no path has it."""
    try:
        begin, end = np.datetime64(str(first), "D"), np.datetime64(str(last), "D")
    except ValueError:
        begin, end = np.datetime64("NaT", "D"), np.datetime64("NaT", "D")
    for number, market in enumerate(config.markets()):
        row = np.flatnonzero(market.dates == begin)
        stop = np.flatnonzero(market.dates == end)
        if row.size and stop.size and config.history_days <= row[0] < stop[0] - 1:
            rng = generator(key_of(config, config.world_seed), int(row[0]), GENESIS)
            window = Window(number, int(row[0]), choose(config, market, int(row[0]), rng))
            return window, int(stop[0] - row[0])
    ends = "; ".join(f"{m.dates[config.history_days]} to {m.dates[-1]}" for m in config.markets())
    raise ConfigError(f"windows: got {first} to {last}, allowed are two days or more within {ends}")
