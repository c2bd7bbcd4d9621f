"""Measured numbers, their targets, and the table that shows them."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import dtao_gym


@dataclass
class Figure:
    """One measured number: the median of several runs, lowest and highest, and its target if there is one."""

    name: str
    unit: str
    reached: float
    low: float
    high: float
    target: float | None = None
    smaller_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Reached over target, or the reverse where small is good: 1 or more is as planned."""
        if self.target is None:
            return None
        return self.target / self.reached if self.smaller_is_better else self.reached / self.target


def figure(name: str, unit: str, values: list[float], target: float | None = None, **kw) -> Figure:
    """A figure from the results of its runs."""
    return Figure(name, unit, statistics.median(values), min(values), max(values), target, **kw)


def rates(
    work: Callable[[], int],
    runs: int,
    before: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Units of work per second of each run; `work` returns how many it did, `before` is not timed.

    Where one thread works, `time.process_time` as clock makes the figure independent of other processes.
    """
    before()
    work()  # compiles, fills caches
    found = []
    for _ in range(runs):
        before()
        start = clock()
        done = work()
        found.append(done / (clock() - start))
    return found


# ---------------------------------------------------------------- the table


def skipped(what: str, why: object) -> list[Figure]:
    """No figures, and a line that says why."""
    print(f"left out: {what} ({why})")
    return []


def number(value: float | None) -> str:
    """Three figures, thousands by commas; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def cells(f: Figure) -> tuple[str, ...]:
    """A row of the table as text."""
    ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
    spread = f"{number(f.low)} - {number(f.high)}"
    return f.name, number(f.target), number(f.reached), ratio, spread, f.unit


def table_text(table: list[tuple[str, ...]], markdown: bool = False) -> str:
    """Aligned text of a table whose first row is its heading; the first and the last column hold words."""
    columns = len(table[0])
    widths = [max(len(row[k]) for row in table) for k in range(columns)]
    left = (0, columns - 1)

    def line(row: tuple[str, ...]) -> str:
        parts = [
            c.ljust(w) if k in left else c.rjust(w)
            for k, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(parts) + " |" if markdown else " ".join(parts).rstrip()

    rule = tuple(
        "-" * w if k in left or not markdown else "-" * (w - 1) + ":" for k, w in enumerate(widths)
    )
    return "\n".join([line(table[0]), line(rule), *map(line, table[1:])])


def as_text(figures: list[Figure], markdown: bool = False) -> str:
    """The table of figures, at most 120 columns in Markdown and about 100 on the screen."""
    heading = ("figure", "target", "reached", "ratio", "slowest - fastest", "unit")
    return table_text([heading, *map(cells, figures)], markdown)


def machine() -> dict[str, str]:
    """What a reader needs to judge the figures."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((s.split(":", 1)[1].strip() for s in lines if s.startswith("model name")), cpu)
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "dtao_gym": dtao_gym.__version__,
    }
    for name in ("gymnasium", "numba", "numpy", "stable-baselines3", "torch"):
        try:
            about[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            about[name] = "not installed"
    if hasattr(os, "getloadavg"):
        about["load at start"] = f"{os.getloadavg()[0]:.1f}"
    return about
