"""Prices of subnets from a CSV file: reading, validation, and cleaning with counts.

Two layouts are read, plain or gzipped. Wide: a time column, then one column for each netuid. Long: the columns
time, `netuid`, `price_tao_per_alpha` (or `price`) in any order; others are ignored. The time column is called `utc`,
`time` or `timestamp_utc` (the moment of the sample), or `date` (the close of that day, 24:00 UTC). Times without an
offset are UTC.

Treatments, counted in `Prices.counts`:

* `zeros`, `empty`: cells with the price 0, and cells without a price; the subnet has no market then;
* `not_started`: prices above `PRICE_LIMIT`, of registered subnets that are not traded yet;
* `duplicates`: rows (or cells, in the long layout) that repeat a time with the same price;
* `other_offsets`: times with an offset from UTC, which are converted;
* `rounded`: times up to five minutes off a full hour;
* `unsorted`: rows out of chronological order;
* `filled`: missing samples replaced by the last price, for up to three hours or one sample;
* `interruptions`: longer gaps of single subnets, which cannot be traded in between.

Everything else is a `ConfigError`: missing columns, unknown netuids, two prices for one time, prices that are negative,
infinite or below one rao, unreadable times, gaps of the whole file, files without a price.
"""

import csv
import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from dtao_gym.protocol.lifecycle import MAX_SUBNETS
from dtao_gym.world.config import ConfigError
from dtao_gym.world.cross_section import PRICE_LIMIT

LOWEST_PRICE = 1e-9
"""One rao, the smallest price that the chain can represent."""
SLOTS = MAX_SUBNETS
"""Columns of every price table: column k is netuid k + 1."""
SAMPLE_COLUMNS, CLOSE_COLUMNS = ("utc", "time", "timestamp_utc"), ("date",)
"""Names of the time column, for moments of samples and for days that close."""
PRICE_COLUMNS = ("price_tao_per_alpha", "price")
FILL_HOURS = 3
"""Longest gap that the last price fills."""
TREATMENTS: tuple[str, ...] = (
    "zeros", "empty", "not_started", "duplicates", "other_offsets", "rounded", "unsorted", "filled",
    "interruptions",
)  # fmt: skip
_HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class Prices:
    """Prices on a regular grid of times.

    Attributes
    ----------
    times : `(T,)` datetime64[h]
        UTC.
    price : `(T, SLOTS)` float64
        TAO per alpha; NaN where a subnet has no market.
    step_hours : int
        Hours between two times.
    counts : dict
        Number of cells or rows for each of `TREATMENTS`.
    """

    times: np.ndarray
    price: np.ndarray
    step_hours: int
    counts: dict[str, int] = field(default_factory=dict)


def read_prices(path: str | Path) -> Prices:
    """Read the prices of a CSV file, plain or gzipped. Raises ConfigError naming file, line and value."""
    path = Path(path)
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", newline="", encoding="utf-8") as file:
            return _gridded(path, *_cells(path, csv.reader(file)))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"prices: {path} cannot be read: {error}") from None


def _cells(path: Path, rows: Iterator[list[str]]) -> tuple[dict, dict[str, int]]:
    """Parse all cells into validated prices by (time, column), and counts of treatments."""
    header = [name.strip() for name in next(rows, [])]
    counts = dict.fromkeys(TREATMENTS, 0)
    time_columns = (*SAMPLE_COLUMNS, *CLOSE_COLUMNS)
    time_at = next((k for k, n in enumerate(header) if n in time_columns), None)
    if time_at is None:
        raise ConfigError(
            f"prices: {path}: time column is missing, got {', '.join(header)[:80]!r}, "
            f"allowed is one of {', '.join(time_columns)}"
        )
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise ConfigError(f"prices: {path}: got column {twice!r} twice, allowed is once")
    parts = _long(path, header, time_at) if "netuid" in header else _wide(path, header, time_at)
    price_at: dict[tuple[np.datetime64, int], float] = {}
    latest: dict[int, np.datetime64] = {}
    closes = header[time_at] in CLOSE_COLUMNS
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise ConfigError(
                f"prices: {path}, line {number}: got {len(row)} cells, allowed are {len(header)}"
            )
        where = f"{path}, line {number}"
        moment = _moment(where, row[time_at], closes, counts)
        cells = parts(where, row)
        first = cells[0][0]
        counts["unsorted"] += int(moment < latest.get(first, moment))
        latest[first] = max(moment, latest.get(first, moment))
        for column, text in cells:
            value = _price(where, text, column, counts)
            key = (moment, column)
            if key in price_at:
                _require_same_price(where, price_at[key], value, column)
                counts["duplicates"] += 1
            else:
                price_at[key] = value
    return price_at, counts


def _wide(path: Path, header: list[str], time_at: int):
    """Cell reader of the wide layout."""
    names = [(k, _netuid(str(path), name) - 1) for k, name in enumerate(header) if k != time_at]
    if not names:
        raise ConfigError(
            f"prices: {path}: got no column besides the time, allowed are netuids 1 to {SLOTS}"
        )
    return lambda where, row: [(column, row[k]) for k, column in names]


def _long(path: Path, header: list[str], time_at: int):
    """Cell reader of the long layout."""
    price_at = next((header.index(name) for name in PRICE_COLUMNS if name in header), None)
    if price_at is None:
        raise ConfigError(
            f"prices: {path}: price column is missing, got {', '.join(header)[:80]!r}, "
            f"allowed is one of {', '.join(PRICE_COLUMNS)}"
        )
    at = header.index("netuid")
    return lambda where, row: [(_netuid(where, row[at]) - 1, row[price_at])]


def _netuid(where: str, text: str) -> int:
    try:
        netuid = int(text)
    except ValueError:
        netuid = 0
    if not 1 <= netuid <= SLOTS:
        raise ConfigError(f"prices: {where}: netuid: got {text[:20]!r}, allowed are 1 to {SLOTS}")
    return netuid


def _moment(where: str, text: str, closes: bool, counts: dict[str, int]) -> np.datetime64:
    """Time in the file as a full hour in UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
        if not 2020 <= moment.year < 2100:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"prices: {where}: time: got {text[:30]!r}, allowed are ISO dates and times from 2020 to 2099"
        ) from None
    if moment.tzinfo is not None:
        counts["other_offsets"] += moment.utcoffset() != timedelta(0)
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    if closes:
        if moment != moment.replace(hour=0, minute=0, second=0, microsecond=0):
            raise ConfigError(
                f"prices: {where}: date: got {text[:30]!r}, allowed are dates; name the column of moments time"
            )
        moment += timedelta(days=1)
    hour = (moment + timedelta(minutes=30)).replace(minute=0, second=0, microsecond=0)
    if abs(moment - hour) > timedelta(minutes=5):
        raise ConfigError(
            f"prices: {where}: time: got {text[:30]!r}, allowed are full hours, to five minutes"
        )
    counts["rounded"] += moment != hour
    return np.datetime64(hour, "h")


def _price(where: str, text: str, column: int, counts: dict[str, int]) -> float:
    """Price of a cell; NaN where the subnet has no market."""
    text = text.strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = -1.0
    if math.isnan(value):
        counts["empty"] += 1
        return math.nan
    if value == 0.0:
        counts["zeros"] += 1
        return math.nan
    if not LOWEST_PRICE <= value < math.inf:
        raise ConfigError(
            f"prices: {where}: netuid {column + 1}: got {text[:30]!r}, "
            f"allowed are finite prices from {LOWEST_PRICE:g} TAO, and 0 or an empty cell without a market"
        )
    if value > PRICE_LIMIT:
        counts["not_started"] += 1
        return math.nan
    return value


def _require_same_price(where: str, before: float, now: float, column: int) -> None:
    if before != now and not (math.isnan(before) and math.isnan(now)):
        raise ConfigError(
            f"prices: {where}: netuid {column + 1}: got {now:g} at a time that already has {before:g}, "
            "allowed is one price for each time"
        )


def _gridded(path: Path, price_at: dict, counts: dict[str, int]) -> Prices:
    """Place cells on a regular time grid and fill short gaps."""
    times = np.unique(np.array([moment for moment, _ in price_at], "datetime64[h]"))
    usable = sum(not math.isnan(price) for price in price_at.values())
    if times.size < 3 or not usable:
        raise ConfigError(
            f"prices: {path}: got {times.size} times and {usable} usable prices, "
            f"allowed are 3 times or more, with prices up to {PRICE_LIMIT}"
        )
    gaps = (np.diff(times) / _HOUR).astype(int)
    distinct, numbers = np.unique(gaps, return_counts=True)
    step = int(distinct[numbers.argmax()])
    if 24 % step:
        raise ConfigError(
            f"prices: {path}: got samples every {step} h, allowed are divisors of 24 h"
        )
    fill = max(FILL_HOURS // step, 1)
    for k in np.flatnonzero((gaps % step != 0) | (gaps > (fill + 1) * step)):
        raise ConfigError(
            f"prices: {path}: got no sample from {times[k]} to {times[k + 1]} UTC, allowed are gaps of up to "
            f"{fill} samples on a grid of {step} h; split the file there"
        )
    grid = np.arange(times[0], times[-1] + step * _HOUR, step * _HOUR)
    if (times[0].astype("datetime64[h]").astype(int)) % step:
        raise ConfigError(
            f"prices: {path}: got samples every {step} h from {times[0]} UTC, allowed are samples that include midnight"
        )
    price = np.full((grid.size, SLOTS), np.nan)
    for (moment, column), value in price_at.items():
        price[int((moment - grid[0]) / _HOUR) // step, column] = value
    counts["filled"], counts["interruptions"] = _fill(price, fill)
    return Prices(grid, price, step, counts)


def _fill(price: np.ndarray, limit: int) -> tuple[int, int]:
    """Forward-fill up to `limit` missing prices in place; returns numbers of cells filled and gaps left."""
    given = np.isfinite(price)
    last = np.where(given, np.arange(len(price))[:, None], -1)
    last = np.maximum.accumulate(last, axis=0)
    age = np.arange(len(price))[:, None] - last
    filled = ~given & (last >= 0) & (age <= limit)
    price[filled] = np.take_along_axis(price, np.maximum(last, 0), axis=0)[filled]
    live = np.isfinite(price)
    ends = live[:-1] & ~live[1:]
    starts = ~live[:-1] & live[1:]
    first = np.argmax(live, axis=0)
    gaps = sum(int(starts[first[k] :, k].sum()) for k in range(price.shape[1]) if ends[:, k].any())
    return int(filled.sum()), gaps


def closing_rows(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the days that close within a file, and the rows of their closes.

    Parameters
    ----------
    times : `(T,)` datetime64[h]
        Times of the samples, UTC.

    Returns
    -------
    (dates, rows)
        `(days,)` datetime64[D], and `(days,)` int. A close is the sample at 24:00 UTC; the last sample of the file counts as
        a close if it is at most `FILL_HOURS` earlier.
    """
    hours = times.astype("datetime64[h]").astype(int)
    rows = np.flatnonzero(hours % 24 == 0).tolist()
    left = -hours[-1] % 24
    if 0 < left <= FILL_HOURS:
        rows.append(times.size - 1)
    days = -(-hours[rows] // 24) - 1
    return days.astype("datetime64[D]"), np.array(rows)


def treatment_summary(counts: dict[str, int]) -> str:
    """Return a line that lists the treatments with their counts; "nothing" if there were none."""
    listed = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return ", ".join(listed) or "nothing"
