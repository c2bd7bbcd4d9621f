"""A batch of replays, with the part of the interface of `dtao_gym.world.batch.Batch` that stakers use."""

import functools
from collections.abc import Sequence

import numpy as np

from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.kernel import advance_replay, begin_replay, contiguous
from dtao_gym.replay.windows import Window, WindowSampler, window_key
from dtao_gym.world.batch import checked_seed
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.day import THREADED_FROM, run_over_worlds
from dtao_gym.world.genesis import NEVER_ENDS
from dtao_gym.world.parameters import parameters
from dtao_gym.world.state import Layout, State
from dtao_gym.world.table import OneThread, TableOwner


class ReplayBatch(TableOwner):
    """`n_worlds` replays that advance together; bits of a world do not depend on the others.

    Parameters
    ----------
    config : ReplayConfig
        Configuration of all worlds.
    n_worlds : int
        Number of worlds; that of `windows` if these are given.
    seeds : sequence of int, optional
        Seeds of the windows, `config.world_seed + k` for world k by default.
    windows : sequence of (Window, int), optional
        Window and number of days of each world, instead of random windows. A world stays at the last close of its
        window. The dates of the configuration are ignored.
    threads : int
        Threads that share large batches; results do not depend on it.

    Attributes
    ----------
    state : State
        State of all worlds at their present closes.
    windows : list of Window
        First day and subnets of the current episode of each world.
    columns : `(n_worlds, n_subnets)` int64
        Netuids less 1 of the slots.

    Raises
    ------
    ConfigError
        A bad number of worlds, seeds or threads, or no admissible window.
    """

    has_user_rules = False

    def __init__(
        self,
        config: ReplayConfig,
        n_worlds: int = 1,
        *,
        seeds: Sequence[int] | None = None,
        windows: Sequence[tuple[Window, int]] | None = None,
        threads: int = 1,
    ):
        n_worlds = n_worlds if windows is None else len(windows)
        if n_worlds < 1:
            raise ConfigError(f"n_worlds: got {n_worlds}, allowed is 1 or more")
        if not isinstance(threads, int) or threads < 1:
            raise ConfigError(f"threads: got {threads!r}, allowed are whole numbers from 1")
        self.one_thread = OneThread()
        self.config, self.configs, self.threads = config, [config] * n_worlds, threads
        self.markets = config.markets()
        self.layout = Layout(
            config.n_subnets, 1, config.history_days, signal_days=1, pipeline_stages=1
        )
        self.state = State(self.layout, n_worlds)
        self.parameters = np.repeat(_parameters(config)[None], n_worlds)
        self._rows = contiguous(np.concatenate([market.rows for market in self.markets]))
        self._numbers = contiguous(np.concatenate([market.numbers for market in self.markets]))
        sizes = [market.dates.size for market in self.markets]
        self._origins = [0, *np.cumsum(sizes)[:-1].tolist()]
        self.columns = np.zeros((n_worlds, config.n_subnets), np.int64)
        self.firsts, self.lasts = np.zeros((2, n_worlds), np.int64)
        self.windows: list[Window] = []
        if windows is not None:
            self.windows = [window for window, _ in windows]
            for world, (window, days) in enumerate(windows):
                self.place(world, window, window_key(config, config.world_seed), world, days)
            return
        seeds = [config.world_seed + k for k in range(n_worlds)] if seeds is None else seeds
        if len(seeds) != n_worlds:
            raise ConfigError(f"seeds: got {len(seeds)}, allowed are {n_worlds}, one per world")
        self.windows = [self.sampler.draw(checked_seed(seed), 0) for seed in seeds]
        for world, seed in enumerate(seeds):
            self.reset(world, seed, 0)

    @functools.cached_property
    def sampler(self) -> WindowSampler:
        """Admissible windows. Raises ConfigError where there are none."""
        return WindowSampler(self.config, self.markets)

    @property
    def n_worlds(self) -> int:
        """Number of worlds."""
        return len(self.configs)

    def reset(self, world: int, seed: int, episode: int) -> None:
        """Put one world at the start of an episode; its window is a function of seed, episode and split."""
        window = self.sampler.draw(checked_seed(seed), episode)
        self.place(world, window, window_key(self.config, seed), episode)

    def place(
        self, world: int, window: Window, key: int = 0, episode: int = 0, days: int | None = None
    ) -> None:
        """Put one world at the start of a window.

        Parameters
        ----------
        world : int
            Index of the world.
        window : Window
            First day and subnets.
        key, episode : int
            Key of the random numbers of scripted policies.
        days : int, optional
            Number of days after which the world stays at its close; up to the end of the market by default.

        Raises
        ------
        ConfigError
            The window has fewer than `history_days` closes before it, or no close.
        """
        market = self.markets[window.market]
        if not self.config.history_days <= window.first < market.dates.size:
            raise ConfigError(
                f"first_date: got row {window.first} of {market.name}, allowed are rows "
                f"{self.config.history_days} to {market.dates.size - 1}"
            )
        state = self.state
        for name in state.ARRAYS:
            getattr(state, name)[world] = 0
        self.windows[world], self.columns[world] = window, window.columns
        self.firsts[world] = self._origins[window.market] + window.first
        left = market.dates.size - 1 - window.first
        self.lasts[world] = self.firsts[world] + (left if days is None else min(days, left))
        record = state.worlds[world]
        record["world_key"], record["episode"] = key, episode
        record["last_day"] = NEVER_ENDS
        record["equal_weights"] = True
        self._place_empty(world, window)
        table = self.table.working()
        begin_replay(
            table.address, self._rows, self._numbers, self.columns, self.firsts,
            self.config.wealth_tao, world,
        )  # fmt: skip

    def _place_empty(self, world: int, window: Window) -> None:
        """Set the price of slots without a market to the median of the others, for observations."""
        price = self.markets[window.market].row("price")[window.first, window.columns]
        missing = price <= 0.0
        median = float(np.median(price[~missing])) if not missing.all() else 1.0
        self.state.row("spot_price")[world] = np.where(missing, median, price)
        self.state.row("registered_block")[world] = -1.0
        self.state.row("stream_id")[world] = window.columns + 1

    def advance(self, orders: np.ndarray, days: int) -> None:
        """Execute orders at the present close and advance all worlds.

        Parameters
        ----------
        orders : `(n_worlds, 1, n_subnets)` float64
            TAO to stake where positive, alpha to unstake where negative.
        days : int
            Days to advance; a world stays at its last close.

        Raises
        ------
        RuntimeError
            While another thread steps this batch.
        """
        call = functools.partial(self._call, orders, days)
        threads = self.threads if self.n_worlds >= THREADED_FROM else 1
        with self.one_thread:
            run_over_worlds(self.n_worlds, threads, call)

    def _call(self, orders: np.ndarray, days: int, first: int, last: int) -> None:
        table = self.table.working(orders=orders)
        permanent = self.config.impact == "permanent"
        advance_replay(
            table.address, self._rows, self._numbers, self.columns, self.firsts, self.lasts,
            permanent, days, first, last,
        )  # fmt: skip

    def dates(self) -> np.ndarray:
        """Return the dates of the present closes, `(n_worlds,)` datetime64[D]."""
        dates = [
            self.markets[window.market].dates[window.first + int(day)]
            for window, day in zip(self.windows, self.state.worlds["day"], strict=True)
        ]
        return np.array(dates, "datetime64[D]")

    def netuids(self) -> np.ndarray:
        """Return the netuids of the slots, `(n_worlds, n_subnets)`."""
        return self.columns + 1


@functools.cache
def _parameters(config: ReplayConfig) -> np.ndarray:
    """Parameter record for trading, valuation and observation."""
    world_config = Config.make(
        era="subsidy",
        n_subnets=1,
        spans_per_day=1,
        pool_fee=config.pool_fee,
        flat_fee_tao=0.0,
        min_order_tao=config.min_order_tao,
        ruin_fraction=config.ruin_fraction,
        n_stakers=1,
    )
    record = parameters(world_config)
    record["price_of_capital"] = 0.0  # fundamental values are unknown: signal features are 0
    record["dilution"] = 0
    return record
