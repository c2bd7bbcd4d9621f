"""The chain's history: worlds played through a schedule of eras by date.

    from dtao_gym.world.history import play, record

    for day, batch in play("configs/launch_2025.yaml", n_worlds=8, until=date(2025, 8, 31)):
        print(day, batch.state.worlds["price_sum"].mean())

`play` without a schedule starts on 13 February 2025, when every pool held 1 TAO and 1 alpha, and follows
`institutions.HISTORY`. `PRESET` has the parameters of such a start. `record` keeps the prices.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from dtao_gym.protocol.coinbase import DIRECT, INJECTIONS
from dtao_gym.protocol.institutions import EMISSION_SWITCHES, HISTORY, Period
from dtao_gym.protocol.lifecycle import MAX_SUBNETS
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError, read_yaml
from dtao_gym.world.config_people import LONG
from dtao_gym.world.cross_section import (
    PRICE_LIMIT,
    CrossSection,
    cross_section,
    median_volatility,
)
from dtao_gym.world.prehistory import market
from dtao_gym.world.shocks import GOVERNANCE, generator

LAUNCH = "mainnet-2025-02-13"

PRESET: dict[str, Any] = {
    "genesis": LAUNCH,
    "empty_slots": 64,
    "genesis_values": "drawn",
    "dilution": False,
    "settled_alpha": 0.0,
    "scarcity_elasticity": 0.0,
    "portfolio_days": LONG,
    "spans_per_day": 24,
    "n_stakers": 0,
    "outside_initial_tao": 67_000.0,
}
"""Default parameters of a history from the launch on.

* `empty_slots`: 64 subnets on the first day, 128 slots.
* `genesis_values`: the price of 1 TAO in an untouched pool is no measure of value, so values are drawn.
* `dilution`, scarcity and money per alpha are off: nobody holds alpha on the first day. `configs/launch_2025.yaml` turns
  dilution on, with a fitted reference: from April to August 2025 prices fell while alpha was issued, and nothing else in
  the model makes them fall.
* `spans_per_day`: 240 in the first six weeks (`HISTORY`), while pools are shallow, then 24.
* `outside_initial_tao`: the sales of miners, validators and owners in the 30 days before: of 7,200 TAO a day miners 57 % of
  41 %, validators 30 % of 18 % of 41 %, owners 30 % of 18 %. Otherwise the balance is computed from the prices of the
  first day, which here are no market prices.
"""

GENESIS_ONLY = [
    "genesis",
    "n_subnets",
    "empty_slots",
    "genesis_values",
    "genesis_stocks",
    "genesis_research_share",
    "genesis_budget_tao",
    "genesis_price_median",
    "genesis_price_sd",
    "genesis_multiple",
    "delay_days",
    "delay_stages",
    "pool_depth",
    "root_stake_tao",
    "selection",
    "world_seed",
    "split",
    "n_stakers",
    "wealth_tao",
    "validator_top5",
    "root_column_share",
    "entry_lock_tao",
    "outside_initial_tao",
    "staker_share_of_alpha_out",
    "signal_lag_days",
    "momentum_lag_days",
    "root_validators",
    "curated_funds",
    "emission_switches",
]
"""Parameters that only the start of a world reads, or that fix the sizes of its arrays."""


@dataclass(frozen=True)
class Schedule:
    """Eras by date: `periods` in ascending order, each in force until the next begins.

    Attributes
    ----------
    periods : tuple of Period
        The era in force from a date on, and the parameters that then differ from the base configuration.
    until : date or None
        Day on which the last period ends; None: open.

    Raises
    ------
    ConfigError
        For no periods, dates that do not ascend, an unknown era or parameter, a bad value.
    """

    periods: tuple[Period, ...] = HISTORY
    until: date | None = None

    def __post_init__(self) -> None:
        if not self.periods:
            raise ConfigError("schedule: got no periods, allowed is one or more")
        for k, period in enumerate(self.periods):
            if k and period.since <= self.periods[k - 1].since:
                raise _problem(
                    k,
                    f"since: got {period.since}, allowed is a date after {self.periods[k - 1].since}, "
                    "when the period before begins",
                )
            for name in period.changes:
                if name in GENESIS_ONLY or name == "era":
                    raise _problem(k, f"{name}: cannot change in a period; give it to play")
            try:
                Config.make(None, era=period.era, **period.changes)
            except ConfigError as error:
                raise _problem(k, str(error)) from None
        last = self.periods[-1].since
        if self.until is not None and self.until <= last:
            raise _problem(
                len(self.periods) - 1, f"until: got {self.until}, allowed is a date after {last}"
            )

    @classmethod
    def make(cls, source: "Schedule | str | Path | Sequence[Any] | None" = None) -> "Schedule":
        """A schedule from `HISTORY` (None), a YAML file, a list of mappings, or `Period`s.

        A mapping holds `since` (a date such as 2025-02-13), `era`, any parameters of `Config` that differ from the base in
        this period, and optionally `until`, the start of the next period or the end of the schedule.

        Raises
        ------
        ConfigError
            For the errors of `Schedule`, and for gaps and overlaps.
        """
        if source is None:
            return cls()
        if isinstance(source, Schedule):
            return source
        if isinstance(source, str | Path):
            source = read_yaml(Path(source))
        if not isinstance(source, Sequence):
            raise ConfigError(
                f"schedule: got {type(source).__name__}, allowed is a list of periods"
            )
        parsed = [_parse(k, entry) for k, entry in enumerate(source)]
        for k, ((_, until), (following, _)) in enumerate(itertools.pairwise(parsed)):
            if until is not None and until != following.since:
                kind = "a gap" if until < following.since else "periods overlap"
                raise _problem(
                    k,
                    f"until: got {until}, allowed is {following.since}, "
                    f"when the next period begins ({kind})",
                )
        return cls(tuple(period for period, _ in parsed), parsed[-1][1] if parsed else None)

    @property
    def since(self) -> date:
        """First day of the schedule."""
        return self.periods[0].since

    def starting(self, day: date) -> "Schedule":
        """The schedule from a later day on; ConfigError if it does not cover that day."""
        if day < self.since or (self.until is not None and day >= self.until):
            end = "" if self.until is None else f" until {self.until}"
            raise ConfigError(f"schedule: got {day} to start on, allowed is from {self.since}{end}")
        k = self._index(day)
        return replace(self, periods=(replace(self.periods[k], since=day), *self.periods[k + 1 :]))

    def _index(self, day: date) -> int:
        return sum(period.since <= day for period in self.periods) - 1

    def period(self, day: date) -> Period:
        """The period in force on a day, at or after `since`."""
        return self.periods[self._index(day)]

    def configs(self, base: Config) -> list[Config]:
        """A complete configuration for each period, with the parameters of `base` that it does not name.

        Raises
        ------
        ConfigError
            For a change between eras with pools and without.
        """
        configs = [Config.make(base, era=p.era, **p.changes) for p in self.periods]
        direct = [INJECTIONS[config.era_part("injection")] == DIRECT for config in configs]
        if any(direct) and not all(direct):
            raise ConfigError(
                "schedule: eras without pools (injection 'direct') and with pools cannot follow each other; "
                f"{LAUNCH} is the state in which pools began"
            )
        return configs


def _problem(k: int, what: str) -> ConfigError:
    return ConfigError(f"schedule, period {k + 1}: {what}")


def _parse(k: int, entry: Any) -> tuple[Period, date | None]:
    """A period, and its end where it names one."""
    if isinstance(entry, Period):
        return entry, None
    if not isinstance(entry, dict):
        raise _problem(k, f"got {type(entry).__name__}, allowed is a mapping with since and era")
    changes = {str(name): value for name, value in entry.items()}
    for name in ("since", "era"):
        if name not in changes:
            raise _problem(k, f"{name}: missing")
    since, era = _date(k, "since", changes.pop("since")), changes.pop("era")
    until = changes.pop("until", None)
    return Period(since, era, changes), None if until is None else _date(k, "until", until)


def _date(k: int, name: str, value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise _problem(k, f"{name}: got {value!r}, allowed is a date such as 2025-02-13") from None


def preset(config: "Config | dict | str | Path | None" = None, /, **overrides: Any) -> Config:
    """A configuration with the defaults of `PRESET`, or unchanged if it names another genesis."""
    given = Config.make(config, **overrides)
    if given.genesis != LAUNCH and "genesis" in given.model_fields_set:
        return given
    return Config.make(PRESET | given.model_dump(exclude_unset=True))


def play(
    config: "Config | dict | str | Path | None" = None,
    schedule: "Schedule | str | Path | Sequence[Any] | None" = None,
    *,
    until: date | None = None,
    n_worlds: int = 1,
    seeds: Sequence[int] | None = None,
    threads: int = 1,
) -> Iterator[tuple[date, Batch]]:
    """Play worlds day by day through a schedule, without stakers' orders.

    Parameters
    ----------
    config : Config, dict, path or None
        Base configuration: parameters that no period names. From the launch on its defaults are those of `PRESET`.
    schedule : Schedule, path, sequence or None
        Eras by date, any argument of `Schedule.make`; None: the chain's own, from the date of the genesis snapshot on.
    until : date, optional
        Last date; None: the end of the schedule.
    n_worlds, seeds, threads
        As for `Batch`.

    Yields
    ------
    tuple of date and Batch
        The start, and then the end of each day. The batch is always the same object: copy arrays to keep them; changes of
        its state carry over to the next day. A period's parameters are set before its first day.

    Raises
    ------
    ConfigError
        At the call, for a bad configuration, schedule or date.
    """
    base = preset(config)
    chosen = Schedule.make(schedule)
    genesis_date = market(base).date
    if schedule is None and genesis_date is not None:
        chosen = chosen.starting(date.fromisoformat(genesis_date))
    until = chosen.until if until is None else until
    if until is None:
        raise ConfigError("until: got None, allowed is a date: this schedule has no end")
    if until < chosen.since or (chosen.until is not None and until > chosen.until):
        end = "" if chosen.until is None else f" to {chosen.until}"
        raise ConfigError(f"until: got {until}, allowed is from {chosen.since}{end}")
    switches = EMISSION_SWITCHES if schedule is None else ()
    configs = chosen.configs(base)
    batch = Batch(configs[0], n_worlds, seeds=seeds, threads=threads)
    for later in configs[1:]:
        batch.set_parameters(**later.model_dump())  # raises before anything runs
    batch.set_parameters(**configs[0].model_dump())
    return _days(batch, chosen, configs, dict(switches), until)


def _days(
    batch: Batch,
    schedule: Schedule,
    configs: list[Config],
    switches: dict[date, int],
    until: date,
) -> Iterator[tuple[date, Batch]]:
    config_of = {
        period.since: config for period, config in zip(schedule.periods, configs, strict=True)
    }
    yield schedule.since, batch
    for k in range((until - schedule.since).days):
        today = schedule.since + timedelta(days=k)
        if k and today in config_of:
            batch.set_parameters(**config_of[today].model_dump())
        if k and today in switches:
            switch_emission(batch, switches[today] / MAX_SUBNETS)
        batch.step()
        yield today + timedelta(days=1), batch


def switch_emission(batch: Batch, part: float) -> None:
    """Switch off the emission of a part of the subnets that are started, and switch on that of the others.

    Which ones are off is drawn by key, in one order for all days of an episode: root decides by no rule. (On the chain it
    favoured subnets in little demand: on 6 September 2026, 7 of the 50 were among the first 32.) Newcomers that governance
    has not enabled yet stay as they are.
    """
    state = batch.state
    enabled = state.row("emission_enabled")
    registered, worlds = state.row("registered_block"), state.worlds[:, None]
    new = registered >= worlds["genesis_block"]
    new &= worlds["block"] - registered < batch.parameters["governance_blocks"][:, None]
    waiting = new & (enabled == 0.0)
    known = (state.row("started") > 0.0) & ~waiting
    for w, world in enumerate(state.worlds):
        random = generator(world["world_key"], world["episode"], GOVERNANCE)
        order = random.permutation(state.layout.n_subnets)
        chosen = order[known[w, order]][: round(part * known[w].sum())]
        enabled[w, known[w]] = 1.0
        enabled[w, chosen] = 0.0


@dataclass(frozen=True, eq=False)
class Record:
    """Prices at the end of each day of worlds that were played.

    Attributes
    ----------
    dates : tuple of date
        The days, the first is that of the start.
    price : np.ndarray
        Spot prices, TAO per alpha, `(days, n_worlds, n_slots)`; NaN where no subnet is started.
    root_share : np.ndarray
        TAO in root over TAO in root and pools, `(days, n_worlds)`.
    """

    dates: tuple[date, ...]
    price: np.ndarray
    root_share: np.ndarray

    @property
    def mean_price(self) -> np.ndarray:
        """Mean price of the 24 hours before each row, from both ends, as the chain's data are daily means.

        `(days, n_worlds, n_slots)`; NaN on the first day. Prices above `PRICE_LIMIT` are left out.
        """
        price = np.where(self.price <= PRICE_LIMIT, self.price, np.nan)
        mean = np.full(price.shape, np.nan)
        before = np.where(np.isfinite(price[:-1]), price[:-1], price[1:])
        mean[1:] = 0.5 * (before + price[1:])
        return mean

    def cross_sections(self, day: date) -> CrossSection:
        """Cross-sections of a day's mean prices, each field `(n_worlds,)`."""
        rows = [cross_section(row) for row in self.mean_price[self.dates.index(day)]]
        return CrossSection(*np.array(rows).T)

    def volatility(self, first: date, last: date, days: int = 1) -> np.ndarray:
        """Median over subnets of `volatilities` of the mean prices between two dates, `(n_worlds,)`."""
        window = slice(self.dates.index(first), self.dates.index(last) + 1)
        prices = self.mean_price[window].swapaxes(0, 1)
        return np.array([median_volatility(world, days) for world in prices])


def record(
    config: "Config | dict | str | Path | None" = None,
    schedule: "Schedule | str | Path | Sequence[Any] | None" = None,
    *,
    progress: Callable[[date], None] | None = None,
    **keywords: Any,
) -> Record:
    """Prices of a `play` with the same arguments; `progress` is called with each date."""
    dates, prices, root_shares = [], [], []
    for day, batch in play(config, schedule, **keywords):
        state, worlds = batch.state, batch.state.worlds
        started = state.row("started") > 0.0
        root = worlds["root_informed"] + worlds["root_uninformed"] + worlds["root_validators"]
        root = root + state.stakers["root"].sum(1) + state.funds["root_slot"].sum(1)
        pools = state.row("tao_reserve").sum(1) + worlds["aggregate"]
        dates.append(day)
        prices.append(np.where(started, state.row("spot_price"), np.nan))
        root_shares.append(root / (root + pools))
        if progress is not None:
            progress(day)
    return Record(tuple(dates), np.array(prices), np.array(root_shares))
