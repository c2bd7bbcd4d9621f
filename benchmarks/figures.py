"""Measured numbers and their targets: tables and files of results."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import dtao_gym

RESULTS = Path(__file__).parent / "results"


@dataclass
class Figure:
    """A measured number: median, lowest and highest of several runs, and the target if there is one."""

    name: str
    unit: str
    reached: float
    low: float
    high: float
    target: float | None = None
    smaller_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Reached over target, or the reverse where smaller is better: 1 or more meets the target."""
        if self.target is None:
            return None
        return self.target / self.reached if self.smaller_is_better else self.reached / self.target


def figure(name: str, unit: str, values: list[float], target: float | None = None, **kw) -> Figure:
    """Make a figure from the results of its runs."""
    return Figure(name, unit, statistics.median(values), min(values), max(values), target, **kw)


def rates(
    work: Callable[[], int],
    runs: int,
    before: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return the units of work per second of each run.

    `work` returns the units it did; `before` prepares a run and is not timed. With one thread, `time.process_time` as clock
    makes the figure independent of other processes.
    """
    before()
    work()  # compiles, fills caches
    per_second = []
    for _ in range(runs):
        before()
        start = clock()
        units = work()
        per_second.append(units / (clock() - start))
    return per_second


# ---------------------------------------------------------------- tables and files


def skipped(part: str, reason: object) -> list[Figure]:
    """Print why a part is left out; returns no figures."""
    print(f"left out: {part} ({reason})")
    return []


def number(value: float | None) -> str:
    """Format a number with three digits and commas; empty for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def cells(f: Figure) -> tuple[str, ...]:
    """Format a row of the table."""
    ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
    spread = f"{number(f.low)} - {number(f.high)}"
    return f.name, number(f.target), number(f.reached), ratio, spread, f.unit


def table_text(
    table: list[tuple[str, ...]], markdown: bool = False, words: tuple[int, ...] = (0, -1)
) -> str:
    """Format a table whose first row is its heading; columns of `words` are aligned to the left."""
    columns = len(table[0])
    widths = [max(len(row[k]) for row in table) for k in range(columns)]
    left = {k % columns for k in words}

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
    """Format the table of figures, at most 120 columns wide in Markdown and about 100 on the screen."""
    heading = ("figure", "target", "reached", "ratio", "slowest - fastest", "unit")
    return table_text([heading, *map(cells, figures)], markdown)


def write_results(
    name: str, about: dict[str, str], figures: list[Figure], introduction: str
) -> None:
    """Write figures to `results/NAME.json`, and with an introduction to `results/NAME.md`."""
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": about, "figures": [asdict(f) | {"ratio": f.ratio} for f in figures]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    facts = "; ".join(f"{k} {v}" for k, v in about.items())
    page = f"{introduction}\n\n{facts}\n\n{as_text(figures, markdown=True)}\n"
    (RESULTS / f"{name}.md").write_text(page)
    print(f"written to {RESULTS / name}.md and {name}.json")


def machine() -> dict[str, str]:
    """Describe the machine and the versions behind the figures."""
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
