"""Speed of this checkout against another, measured in turns.

    python benchmarks/speed.py --against CHECKOUT

Each workload runs in a fresh process of each checkout, and the two take turns, so that other load on the machine affects
both. Ratios are medians over pairs of neighbouring runs; above 1 this checkout is the faster one. CPU time is that of
all threads of a process. Cold first steps start without compiled code.
"""

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import number, table_text
from benchmarks.processes import COLD, QUIET, ROOT, Server, first_step
from benchmarks.workloads import EQUAL, WORKLOADS


@dataclass
class Pair:
    """A figure of both checkouts, one entry per pair of runs."""

    name: str
    unit: str
    here: list[float]
    there: list[float]
    smaller_is_better: bool = False

    @property
    def speedups(self) -> list[float]:
        """Speed of this checkout over that of the other, run by run."""
        pairs = zip(self.here, self.there, strict=True)
        return [b / a if self.smaller_is_better else a / b for a, b in pairs]

    def cells(self) -> tuple[str, ...]:
        """Format a row of the table."""
        here, there = (number(statistics.median(v)) for v in (self.here, self.there))
        ratios = self.speedups
        spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
        return self.name, here, there, f"{statistics.median(ratios):.2f}", spread, self.unit


def cold(folders: dict[Path, Path], kind: str, rounds: int) -> Pair:
    """Measure CPU seconds of cold first steps; the last round leaves its compiled code in `folders`."""
    seconds: dict[Path, list[float]] = {checkout: [] for checkout in folders}
    for k in range(rounds):
        for checkout, folder in folders.items():
            # only the last round fills the folder that is kept
            with tempfile.TemporaryDirectory() as other:
                cache = folder if k == rounds - 1 else other
                seconds[checkout].append(first_step(kind, cache, checkout, **QUIET).cpu)
    here, there = seconds.values()
    return Pair(f"cold first step, {kind}", "CPU s", here, there, smaller_is_better=True)


def warm(folders: dict[Path, Path], name: str, quick: bool, rounds: int) -> list[Pair]:
    """Measure the rates of a workload by CPU time; for PPO, which uses several threads, by wall time too."""
    wall: dict[Path, list[float]] = {checkout: [] for checkout in folders}
    cpu: dict[Path, list[float]] = {checkout: [] for checkout in folders}
    here, there = folders
    with (
        Server(here, name, quick, folders[here]) as first,
        Server(there, name, quick, folders[there]) as second,
    ):
        servers = {here: first, there: second}
        for server in servers.values():
            server.run()
        for k in range(rounds):
            for checkout in (here, there) if k % 2 == 0 else (there, here):
                units, cost = servers[checkout].run()
                wall[checkout].append(units / cost.wall)
                cpu[checkout].append(units / cost.cpu)
    pairs = [Pair(name, "per CPU s", *cpu.values())]
    return [Pair(name, "per s", *wall.values()), *pairs] if name.startswith("PPO") else pairs


def compare(other: Path, quick: bool) -> None:
    """Measure this checkout and another in turns, and print the table."""
    other = other.resolve()
    if not (other / "dtao_gym" / "__init__.py").exists():
        raise SystemExit(f"error: --against: got {other}, allowed is a checkout of dtao_gym")
    if other == ROOT.resolve():
        raise SystemExit(f"error: --against: got this checkout, {other}; allowed is another")
    pairs: list[Pair] = []
    with tempfile.TemporaryDirectory() as caches:
        folders = {
            kind: {ROOT: Path(caches, f"here {k}"), other: Path(caches, f"there {k}")}
            for k, kind in enumerate(COLD)
        }
        for kind in COLD:
            pairs.append(cold(folders[kind], kind, 1 if quick else 3))
            print(" ".join(pairs[-1].cells()), flush=True)
        weighted, equal = folders.values()
        for name in WORKLOADS:
            measured = warm(equal if EQUAL in name else weighted, name, quick, 5 if quick else 15)
            pairs += measured
            for pair in measured:
                print(" ".join(pair.cells()), flush=True)
    heading = ("figure", "here", "there", "faster here", "lowest - highest", "unit")
    print(f"\nhere:  {ROOT.resolve()}\nthere: {other}")
    print(table_text([heading, *(pair.cells() for pair in pairs)]))
