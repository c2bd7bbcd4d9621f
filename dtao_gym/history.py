"""The chain's history replayed: simulated and real prices by date.

    python -m dtao_gym.history [--config configs/launch_2025.yaml] [--until 2026-08-01] [--worlds 8]
                               [--schedule FILE] [--csv FILE] [--plot FILE]

Worlds start on 13 February 2025 and go through the eras of the chain by date (`dtao_gym.world.history`), or through a
schedule of your own. Prices are means of a day, as in the data; values that the chain's data lack are blank.
"""

import csv as csv_files
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from dtao_gym import command_line
from dtao_gym.file_kinds import WORLD, check_kind
from dtao_gym.history_measures import MEASURES, Measure, MeasureSummary
from dtao_gym.tables import Column, fits, parts_that_fit, print_table
from dtao_gym.world.config import ConfigError
from dtao_gym.world.cross_section import observed, observed_volatility
from dtao_gym.world.history import Record, Schedule, record
from dtao_gym.world.snapshot import SnapshotError

if TYPE_CHECKING:
    from rich.console import Console

MEASURES_PER_TABLE = 3
LOOK: dict[str, Any] = {
    "box": None,
    "pad_edge": False,
    "title_justify": "left",
    "padding": (0, 2, 0, 0),
}
"""Arguments of tables."""
RANGE = (0.05, 0.95)
"""Quantiles over the worlds between which the printed range lies."""
REPORT_DATES = tuple(
    date.fromisoformat(text)
    for text in [
        "2025-02-14",
        "2025-02-16",
        "2025-02-20",
        "2025-03-01",
        "2025-04-01",
        "2025-05-01",
        "2025-06-01",
        "2025-07-01",
        "2025-08-01",
        "2025-08-31",
        "2025-10-01",
        "2025-12-01",
        "2026-02-01",
        "2026-04-11",
        "2026-06-14",
        "2026-08-01",
    ]
)
"""Days that are printed, those of them that were simulated."""


def compare(played: Record) -> dict[date, dict[str, MeasureSummary]]:
    """Each of `MEASURES` on the chain and in the worlds, for every day that was simulated."""
    chain = {
        day.date: {**day.cross_section._asdict(), "root_share": day.root_share}
        for day in observed()
    }
    days = {}
    for k, day in enumerate(played.dates[1:], start=1):
        simulated = {**played.cross_sections(day)._asdict(), "root_share": played.root_share[k]}
        known = chain.get(day, {})
        days[day] = {
            m.name: MeasureSummary(known.get(m.name, np.nan), *_over_worlds(simulated[m.name]))
            for m in MEASURES
        }
    return days


def _over_worlds(values: np.ndarray) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return np.nan, np.nan, np.nan
    low, high = np.quantile(known, RANGE)
    return float(known.mean()), float(low), float(high)


def print_report(played: Record, console: "Console") -> None:
    """Print the tables, as many measures side by side as fit."""
    rows = compare(played)
    shown = [day for day in REPORT_DATES if day in rows] or [played.dates[-1]]
    if played.dates[-1] not in shown:
        shown.append(played.dates[-1])
    n_worlds = played.price.shape[1]
    console.print(
        f"{n_worlds} worlds from {played.dates[0]} to {played.dates[-1]}; prices in TAO, means of a day; "
        "range: 5 to 95 % of worlds",
        highlight=False,
    )

    print_measures(shown, rows, console)
    if windows := list(_volatility_rows(played)):
        _print_volatility(windows, console)


def print_measures(
    shown: list[date], rows: dict[date, dict[str, MeasureSummary]], console: "Console"
) -> None:
    """Print `MEASURES` by date, as many side by side as fit."""

    def fit(part: slice) -> bool:
        return fits(console, *_table(MEASURES[part], shown, rows), **LOOK)

    for part in parts_that_fit(len(MEASURES), MEASURES_PER_TABLE, fit):
        print_table(console, *_table(MEASURES[part], shown, rows), **LOOK)


def _formatted(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else ""


def _table(
    measures: tuple[Measure, ...], shown: list[date], rows: dict[date, dict[str, MeasureSummary]]
) -> tuple[list[Column], list[list[str]]]:
    """Columns and rows of a table of measures by date."""
    columns = [Column("\ndate", justify="left")]
    for measure in measures:
        columns.append(Column(f"{measure.heading}\nchain"))
        columns.append(Column("\nworlds"))
        columns.append(Column("\nrange", style="dim"))
    cells = []
    for day in shown:
        cells.append([str(day)])
        for measure in measures:
            row = rows[day][measure.name]
            low, high = _formatted(row.low, measure.form), _formatted(row.high, measure.form)
            cells[-1] += [_formatted(row.chain, measure.form), _formatted(row.mean, measure.form)]
            cells[-1].append(f"{low}-{high}")
    return columns, cells


def _volatility_rows(played: Record) -> Iterator[tuple[str, float, tuple[float, float, float]]]:
    """(window, volatility of the chain, mean and range over the worlds) for each window that was simulated."""
    for window in observed_volatility():
        if window.first in played.dates[1:] and window.last in played.dates:
            for days, chain in ((1, window.median_sd), (7, window.median_sd_of_week)):
                worlds = played.volatility(window.first, window.last, days)
                name = f"{window.first} to {window.last}, {'a day' if days == 1 else 'a week'}"
                yield name, chain, _over_worlds(worlds)


def _print_volatility(
    windows: list[tuple[str, float, tuple[float, float, float]]], console: "Console"
) -> None:
    columns = [
        Column("window", justify="left"),
        Column("chain"),
        Column("worlds"),
        Column("range", rank=1),
    ]
    rows = [
        [window, f"{chain:.3f}", f"{mean:.3f}", f"{low:.3f}-{high:.3f}"]
        for window, chain, (mean, low, high) in windows
    ]
    title = "\nSd of the change of the log price, median subnet"
    print_table(console, columns, rows, title=title, **LOOK)


def write_csv(played: Record, path: Path) -> None:
    """Write one row per day: each measure on the chain, and its mean and range over the worlds."""
    parts = ("chain", "mean", "p5", "p95")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv_files.writer(file, lineterminator="\n")
        writer.writerow(["date", *(f"{m.name}_{part}" for m in MEASURES for part in parts)])
        for day, row in compare(played).items():
            values = [value for m in MEASURES for value in row[m.name]]
            writer.writerow([day, *("" if np.isnan(v) else f"{v:.7g}" for v in values)])


@contextmanager
def _progress(days: int) -> Iterator[Any]:
    """Progress bar on standard error if that is a terminal; yields a function of the date."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console, text = Console(stderr=True), TextColumn("{task.description}")
    quiet = not console.is_terminal
    with Progress(text, BarColumn(), console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("compiling", total=days)
        yield lambda day: bar.update(task, description=str(day), advance=1)


def run(
    arguments: Sequence[str] | None = None, program: str = "python -m dtao_gym.history"
) -> None:
    """The command line of `python -m dtao_gym.history` and `dtao history`."""
    command_line.require_extra(program)
    import tyro

    def main(
        config: Annotated[
            Path | None, tyro.conf.arg(help="YAML of parameters; none: the defaults.")
        ] = None,
        schedule: Annotated[
            Path | None, tyro.conf.arg(help="YAML of eras by date; none: the chain's own.")
        ] = None,
        until: Annotated[
            str | None,
            tyro.conf.arg(help="Last date; none: the end of the schedule, or 2026-08-01."),
        ] = None,
        worlds: int = 8,
        seed: int = 0,
        threads: int = 1,
        csv: Path | None = None,
        plot: Path | None = None,
    ) -> None:
        """Replay the chain's history and print simulated and real prices by date.

        Args:
            worlds: How many worlds.
            seed: World seed of the first.
            threads: Threads that share the worlds.
            csv: File for a table with one row per day.
            plot: File for a picture.
        """
        for name, value, least in (("worlds", worlds, 1), ("seed", seed, 0)):
            if value < least:
                raise ConfigError(f"--{name}: got {value}, allowed is {least} or more")
        if config is not None:
            check_kind(config, WORLD)
        eras = None if schedule is None else Schedule.make(schedule)
        last = _last_day(until, eras)
        with _progress((last - (eras or Schedule()).since + timedelta(days=1)).days) as progress:
            played = record(
                config,
                eras,
                until=last,
                n_worlds=worlds,
                seeds=range(seed, seed + worlds),
                threads=threads,
                progress=progress,
            )
        if csv is not None:
            write_csv(played, csv)
        if plot is not None:
            from dtao_gym.history_figure import draw

            draw(compare(played), played.price.shape[1], plot)
        print_report(played, command_line.console())

    command_line.call(main, program, (ConfigError, SnapshotError, OSError), arguments)


def _last_day(until: str | None, schedule: Schedule | None) -> date:
    if until is None:
        end = None if schedule is None else schedule.until
        return end or date(2026, 8, 1)
    try:
        return date.fromisoformat(until)
    except ValueError:
        raise ConfigError(f"--until: got {until!r}, allowed is a date such as 2026-08-01") from None


if __name__ == "__main__":
    run()
