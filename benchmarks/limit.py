"""Agreement and speed of the hot loop in plain C (`limit.c`) and in the engine.

    python benchmarks/limit.py [--quick]

Both run the same worlds from the same state, with the same random order of trades. The check compares every row and
account after a day of 24 spans, also in states with rare events: refused sales, subnets that are not started or not paid,
emission that halves within the day, a closed gate of root dividends. The timing alternates short runs of both and takes
the CPU time of one thread. `tests/test_limit.py` runs the check.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # a checkout needs no installation

from benchmarks.workloads import EQUAL, SNAPSHOT, set_weights  # noqa: E402
from dtao_gym.world.batch import Batch  # noqa: E402
from dtao_gym.world.config import Config  # noqa: E402
from dtao_gym.world.config_people import PREDICTABLE  # noqa: E402
from dtao_gym.world.state import State  # noqa: E402

SOURCE, NAMES = HERE / "limit.c", HERE / "limit.h"
FAST = ("-O3", "-march=native", "-ffast-math", "-fopenmp-simd")
STRICT = ("-O2", "-ffp-contract=off", "-Wno-unknown-pragmas")
SPANS, FEW_SPANS = 24, 4
"""Spans of a day; the cost of a span is measured between days of many and of few."""
STAKER_ROWS = ("staker_alpha", "staker_claimable")
KEYS = ("world_key", "episode", "day")
WRITTEN_BEFORE = ("target_price", "moving_rate", "moving_decay", "started")
"""Rows that a day writes before its spans."""
ONLY_SPANS = {
    "outside_return": 0.0,
    "purse_rebalance": 0.0,
    "revenue_share": 0.0,
    "reinvest_share": 1.0,
    "arrivals_per_slot_year": 0.0,
}
"""Settings of a day on which only spans move TAO, so that accounts after the day are those after its spans."""
DAILY = ("root_yield",)
"""World fields that the end of every day changes."""


def names(macro: str) -> tuple[str, ...]:
    """Return the names in a list macro of `limit.h`, in its order."""
    match = re.search(rf"#define {macro}\(X\)((?:.*\\\n)*.*)", NAMES.read_text())
    assert match is not None
    return tuple(re.findall(r"X\((\w+)\)", match[1]))


ROWS, PARAMETERS, FIELDS = names("SUBNET_ROWS"), names("PARAMETERS"), names("WORLD_FIELDS")
WORLD = np.dtype([(k, np.uint64) for k in KEYS] + [(name, np.float64) for name in FIELDS])


class Content(NamedTuple):
    """A state in the file format of `limit.c`."""

    spans_per_day: int
    parameters: np.ndarray
    """Values of `PARAMETERS`."""
    worlds: np.ndarray
    """`(n_worlds,)` records of `WORLD`."""
    rows: np.ndarray
    """`(n_worlds, len(ROWS), n_subnets)`."""

    def write(self, path: Path) -> None:
        """Write the file."""
        n_worlds, _, n_subnets = self.rows.shape
        sizes = np.array([n_worlds, n_subnets, self.spans_per_day], np.int64)
        parts = (sizes, self.parameters, self.worlds, self.rows)
        path.write_bytes(b"".join(part.tobytes() for part in parts))

    @classmethod
    def read(cls, path: Path) -> "Content":
        """Read the file."""
        data, at = path.read_bytes(), 0

        def part(dtype, count: int) -> np.ndarray:
            nonlocal at
            values = np.frombuffer(data, dtype, count, at)
            at += values.nbytes
            return values

        n_worlds, n_subnets, spans = (int(k) for k in part(np.int64, 3))
        parameters, worlds = part(np.float64, len(PARAMETERS)), part(WORLD, n_worlds)
        rows = part(np.float64, n_worlds * len(ROWS) * n_subnets)
        return cls(spans, parameters, worlds, rows.reshape(n_worlds, len(ROWS), n_subnets))


# --- the engine's side


def rows_of(state: State, name: str) -> np.ndarray:
    """Return a row of `limit.c` from the engine's state, `(n_worlds, n_subnets)`."""
    return state.section(name)[:, 0] if name in STAKER_ROWS else state.row(name)


def content_of(batch: Batch, state: State, after: State | None = None) -> Content:
    """Convert a state for `limit.c`.

    `after`, the state after the next day, has the rows that this day writes before its spans (`WRITTEN_BEFORE`).
    """
    record = batch.parameters[0]
    worlds = np.zeros(batch.n_worlds, WORLD)
    for name in (*KEYS, *FIELDS):
        is_stakers = name == "staker_root"
        worlds[name] = state.stakers["root"][:, 0] if is_stakers else state.worlds[name]
    rows = {name: rows_of(state, name) for name in ROWS}
    if after is not None:
        rows |= {name: rows_of(after, name) for name in WRITTEN_BEFORE}
        rows["income"] = np.zeros_like(rows["income"])
    return Content(
        int(record["spans_per_day"]),
        np.array([record[name] for name in PARAMETERS], float),
        worlds,
        np.stack(list(rows.values()), axis=1),
    )


def first_day(weights: str, n_worlds: int, n_subnets: int, spans: int) -> tuple[Batch, Content]:
    """Return a batch at its first day, and its content."""
    batch = Batch(Config.make(PREDICTABLE, n_subnets=n_subnets, spans_per_day=spans), n_worlds)
    set_weights(batch, weights)
    saved = batch.state.copy()
    batch.step()
    content = content_of(batch, saved, batch.state)
    batch.state.restore(saved)
    return batch, content


def make_unusual(state: State) -> None:
    """Write rare events into a state of at least seven subnets."""
    rng = np.random.default_rng(0)
    shape = state.row("tao_reserve").shape
    state.row("miner_burned")[...] = rng.uniform(0.0, 0.9, shape)
    state.row("owner_sale_fraction")[...] = rng.uniform(0.0, 1.0, shape)
    state.row("moving_price")[...] *= rng.uniform(0.5, 1.5, shape)
    state.row("scripted_claimable")[...] = rng.uniform(0.0, 1e4, shape)
    state.section("staker_claimable")[...] = rng.uniform(0.0, 10.0, shape)
    state.section("staker_alpha")[...] = rng.uniform(0.0, 1e3, shape)
    state.row("alpha_outstanding")[...] += rng.uniform(0.0, 1e5, shape)
    state.row("started")[:, 1] = 0.0
    state.row("start_block")[:, 1] = 2.0**53
    state.row("emission_enabled")[:, 2] = 0.0
    for k, tao in ((3, 5e-4), (4, 1e-2), (5, 2.0)):  # sales are refused
        state.row("alpha_reserve")[:, k] *= tao / state.row("tao_reserve")[:, k]
        state.row("tao_reserve")[:, k] = tao
        state.row("flow_mark")[:, k] = tao
    issued = state.row("alpha_reserve") + state.row("alpha_outstanding")
    state.row("alpha_outstanding")[:, 6] += 10.5e6 - issued[:, 6] - 3600.0
    state.worlds["chain_issuance"] = 15.75e6 - 1200.0


class AgreementCase(NamedTuple):
    """A state in which engine and program are compared."""

    weights: str
    unusual: bool
    """With rare events."""
    gate_open: bool
    """Gate of root dividends."""


CASES = {
    "weights 1/2": AgreementCase(EQUAL, False, True),
    "weights 1/2, unusual": AgreementCase(EQUAL, True, False),
    "snapshot": AgreementCase(SNAPSHOT, False, True),
    "snapshot, unusual": AgreementCase(SNAPSHOT, True, True),
    "snapshot, unusual, gate closed": AgreementCase(SNAPSHOT, True, False),
}


def engine_day(
    case: AgreementCase, n_subnets: int = 24, days_before: int = 5
) -> tuple[Content, Content]:
    """Return states of the engine before and after the spans of a day."""
    batch = Batch(Config.make(PREDICTABLE, n_subnets=n_subnets, spans_per_day=SPANS), 1)
    set_weights(batch, case.weights)
    orders = np.zeros((1, 1, n_subnets))
    orders[..., ::3] = 50.0
    batch.step(orders)
    batch.step(days=days_before - 1)
    batch.set_parameters(**ONLY_SPANS)
    batch.state.row("spend_rate")[...] = 0.0  # owners pay `outside`
    if case.unusual:
        make_unusual(batch.state)
        batch.parameters["min_reserve_before"] = 50.0
        batch.parameters["root_swap_share"] = 0.6
    if not case.gate_open:
        batch.state.worlds["rest_price_sum"] = 0.0
    before = batch.state.copy()
    trace = np.zeros((SPANS, batch.layout.n_rows, n_subnets))
    batch.advance(np.zeros_like(orders), 1, trace)
    start = content_of(batch, before, batch.state)
    after = batch.state.copy()
    after.fields[0] = trace[-1]
    return start, content_of(batch, after)


# --- the program


@contextmanager
def compiled(weights: str, flags: tuple[str, ...] = FAST) -> Iterator[Path]:
    """Compile the program for this machine, in a temporary folder."""
    gcc = shutil.which("gcc")
    if gcc is None:
        raise FileNotFoundError("no gcc")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "limit"
        half = ["-DHALF=1"] if weights == EQUAL else []
        subprocess.run([gcc, *flags, *half, str(SOURCE), "-o", str(program), "-lm"], check=True)
        yield program


def run(program: Path, content: Content, days: int = 1) -> Content:
    """Run the program on a state; returns the state after some days."""
    start, end = program.with_name("start"), program.with_name("end")
    content.write(start)
    subprocess.run([program, start, str(days), end], check=True, capture_output=True)
    return Content.read(end)


def nanoseconds(program: Path, state: Path, days: int) -> float:
    """Return the program's CPU nanoseconds per subnet and span, over some days from a state file."""
    done = subprocess.run([program, state, str(days)], check=True, capture_output=True, text=True)
    return float(done.stdout)


# --- agreement


def differences(engine: Content, program: Content) -> dict[str, float]:
    """Return the largest relative difference in every row and account.

    Differences are relative to the larger of the value and a millionth of the largest of its row. Flows, which are
    differences of reserves, are relative to at least a billionth of these.
    """

    def largest(a: np.ndarray, b: np.ndarray, minimum: np.ndarray | float = 0.0) -> float:
        scale = np.maximum(np.maximum(np.abs(a), 1e-6 * np.abs(a).max()), minimum)
        return float((np.abs(a - b) / np.where(scale > 0.0, scale, 1.0)).max())

    reserve = engine.rows[:, ROWS.index("tao_reserve")]
    minima = {name: 1e-9 * reserve for name in ROWS if "flow" in name}
    of_rows = {
        name: largest(engine.rows[:, k], program.rows[:, k], minima.get(name, 0.0))
        for k, name in enumerate(ROWS)
    }
    return of_rows | {
        name: largest(engine.worlds[name], program.worlds[name])
        for name in FIELDS
        if name not in DAILY
    }


def agreement(case: AgreementCase, flags: tuple[str, ...] = STRICT) -> dict[str, float]:
    """Return the differences between engine and program after a day."""
    start, end = engine_day(case)
    with compiled(case.weights, flags) as program:
        return differences(end, run(program, start))


# --- speed


@dataclass
class Speed:
    """Nanoseconds per subnet and span, one entry per round."""

    engine: list[float]
    c: list[float]

    @property
    def ratios(self) -> list[float]:
        """Engine over C, round by round."""
        return [a / b for a, b in zip(self.engine, self.c, strict=True)]


def thread_seconds(batch: Batch, saved: State, days: int) -> float:
    """Return the CPU seconds per day of a batch from a saved state on."""
    batch.state.restore(saved)
    start = time.thread_time()
    batch.step(days=days)
    return (time.thread_time() - start) / days


def speed(weights: str, rounds: int, n_worlds: int = 256, n_subnets: int = 32) -> Speed:
    """Time the engine and C in alternating short runs.

    The engine's cost of a span is the difference between days of `SPANS` and of `FEW_SPANS` spans, over the difference in
    spans.
    """
    long, content = first_day(weights, n_worlds, n_subnets, SPANS)
    short, _ = first_day(weights, n_worlds, n_subnets, FEW_SPANS)
    saved_long, saved_short = long.state.copy(), short.state.copy()
    times = Speed([], [])
    days = max(1, 80_000 // (n_worlds * n_subnets))
    with compiled(weights) as program:
        state = program.with_name("state")
        content.write(state)
        for k in range(rounds + 1):
            seconds = thread_seconds(long, saved_long, days)
            seconds -= thread_seconds(short, saved_short, 4 * days)
            c = nanoseconds(program, state, 2 * days)
            if k > 0:  # the first warms the caches
                per_span = seconds / (SPANS - FEW_SPANS)
                times.engine.append(1e9 * per_span / n_worlds / n_subnets)
                times.c.append(c)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds")
    rounds = 5 if parser.parse_args().quick else 25
    for flags in (STRICT, FAST):
        print(f"Largest relative difference after {SPANS} spans, gcc {' '.join(flags)}")
        for name, case in CASES.items():
            errors = agreement(case, flags)
            worst = max(errors, key=lambda key: errors[key])
            print(f"  {name:32s} {errors[worst]:.1e} ({worst})")
    for weights in (EQUAL, SNAPSHOT):
        times = speed(weights, rounds)
        engine, c, ratio = map(statistics.median, (times.engine, times.c, times.ratios))
        print(
            f"{weights}: engine {engine:.1f}, C {c:.1f} ns per subnet and "
            f"span; ratio {ratio:.2f} ({min(times.ratios):.2f} to {max(times.ratios):.2f})"
        )


if __name__ == "__main__":
    main()
