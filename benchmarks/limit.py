"""Agreement and speed of the hot loop in plain C (`limit.c`) and in the engine.

    python benchmarks/limit.py [--quick]

Both run the same worlds from the same state, under the same drawn orders of trades. The check compares every row
and account after a day of 24 spans, also in states with rare events: refused sales, subnets that are not started or
not paid, emission that halves within the day, a closed gate of root dividends. The timing alternates short runs of
both and takes the CPU time of one thread. `tests/test_limit.py` runs the check.
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
SPANS = 24
STAKER_ROWS = ("staker_alpha", "staker_claimable")
KEYS = ("world_key", "episode", "day")
DECIDED = ("target_price", "moving_rate", "moving_decay", "started")
"""Rows that a day writes before its spans."""
NOTHING_ELSE = {
    "outside_return": 0.0,
    "purse_rebalance": 0.0,
    "revenue_share": 0.0,
    "reinvest_share": 1.0,
    "arrivals_per_slot_year": 0.0,
}
"""Settings of a day on which only spans move TAO: accounts after the day are those after its spans."""
DAILY = ("root_yield",)
"""World fields that the end of the day changes in any case."""


def names(what: str) -> tuple[str, ...]:
    """Names that a list in `limit.h` holds, in its order."""
    found = re.search(rf"#define {what}\(X\)((?:.*\\\n)*.*)", NAMES.read_text())
    assert found is not None
    return tuple(re.findall(r"X\((\w+)\)", found[1]))


ROWS, PARAMETERS, FIELDS = names("SUBNET_ROWS"), names("PARAMETERS"), names("WORLD_FIELDS")
WORLD = np.dtype([(k, np.uint64) for k in KEYS] + [(name, np.float64) for name in FIELDS])


class Content(NamedTuple):
    """A state as `limit.c` reads and writes it."""

    spans_per_day: int
    parameters: np.ndarray
    """By the names in `PARAMETERS`."""
    worlds: np.ndarray
    """`(n_worlds,)`, `WORLD`."""
    rows: np.ndarray
    """`(n_worlds, rows, n_subnets)` by the names in `ROWS`."""

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
            found = np.frombuffer(data, dtype, count, at)
            at += found.nbytes
            return found

        n_worlds, n_subnets, spans = (int(k) for k in part(np.int64, 3))
        parameters, worlds = part(np.float64, len(PARAMETERS)), part(WORLD, n_worlds)
        rows = part(np.float64, n_worlds * len(ROWS) * n_subnets)
        return cls(spans, parameters, worlds, rows.reshape(n_worlds, len(ROWS), n_subnets))


# --- the engine's side


def rows_of(state: State, name: str) -> np.ndarray:
    """A row of `limit.c` in the engine's state, `(n_worlds, n_subnets)`."""
    return state.section(name)[:, 0] if name in STAKER_ROWS else state.row(name)


def content_of(batch: Batch, state: State, decided: State | None = None) -> Content:
    """A state for `limit.c`; for the beginning of a day with the rows that the day has written before its spans.

    `decided` is the state after that day.
    """
    record = batch.parameters[0]
    worlds = np.zeros(batch.n_worlds, WORLD)
    for name in (*KEYS, *FIELDS):
        of_staker = name == "staker_root"
        worlds[name] = state.stakers["root"][:, 0] if of_staker else state.worlds[name]
    rows = {name: rows_of(state, name) for name in ROWS}
    if decided is not None:
        rows |= {name: rows_of(decided, name) for name in DECIDED}
        rows["income"] = np.zeros_like(rows["income"])
    return Content(
        int(record["spans_per_day"]),
        np.array([record[name] for name in PARAMETERS], float),
        worlds,
        np.stack(list(rows.values()), axis=1),
    )


def first_day(weights: str, n_worlds: int, n_subnets: int, spans: int) -> tuple[Batch, Content]:
    """A batch at its first day, and its content."""
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


class Case(NamedTuple):
    """A check."""

    weights: str
    unusual: bool
    gate_open: bool


CASES = {
    "weights 1/2": Case(EQUAL, False, True),
    "weights 1/2, unusual": Case(EQUAL, True, False),
    "snapshot": Case(SNAPSHOT, False, True),
    "snapshot, unusual": Case(SNAPSHOT, True, True),
    "snapshot, unusual, gate closed": Case(SNAPSHOT, True, False),
}


def engine_day(case: Case, n_subnets: int = 24, days_before: int = 5) -> tuple[Content, Content]:
    """States of the engine before and after the spans of a day."""
    batch = Batch(Config.make(PREDICTABLE, n_subnets=n_subnets, spans_per_day=SPANS), 1)
    set_weights(batch, case.weights)
    orders = np.zeros((1, 1, n_subnets))
    orders[..., ::3] = 50.0
    batch.step(orders)
    batch.step(days=days_before - 1)
    batch.set_parameters(**NOTHING_ELSE)
    batch.state.row("spend_rate")[...] = 0.0  # owners pay `outside`
    if case.unusual:
        make_unusual(batch.state)
        batch.parameters["min_reserve"] = 50.0
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
    """The program, compiled for the machine at hand, in a folder that is removed afterwards."""
    gcc = shutil.which("gcc")
    if gcc is None:
        raise FileNotFoundError("no gcc")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "limit"
        half = ["-DHALF=1"] if weights == EQUAL else []
        subprocess.run([gcc, *flags, *half, str(SOURCE), "-o", str(program), "-lm"], check=True)
        yield program


def run(program: Path, content: Content, days: int = 1) -> Content:
    """Run the program on a state and return the state after some days."""
    start, end = program.with_name("start"), program.with_name("end")
    content.write(start)
    subprocess.run([program, start, str(days), end], check=True, capture_output=True)
    return Content.read(end)


def nanoseconds(program: Path, state: Path, days: int) -> float:
    """CPU nanoseconds per subnet and span of some days of a state file."""
    done = subprocess.run([program, state, str(days)], check=True, capture_output=True, text=True)
    return float(done.stdout)


# --- agreement


def differences(engine: Content, program: Content) -> dict[str, float]:
    """Largest relative difference of every row and account.

    Relative to the larger of the value and a millionth of the largest of its row; flows are differences of
    reserves, and relative to a billionth of them at least.
    """

    def largest(a: np.ndarray, b: np.ndarray, least: np.ndarray | float = 0.0) -> float:
        scale = np.maximum(np.maximum(np.abs(a), 1e-6 * np.abs(a).max()), least)
        return float((np.abs(a - b) / np.where(scale > 0.0, scale, 1.0)).max())

    reserve = engine.rows[:, ROWS.index("tao_reserve")]
    least = {name: 1e-9 * reserve for name in ROWS if "flow" in name}
    found = {
        name: largest(engine.rows[:, k], program.rows[:, k], least.get(name, 0.0))
        for k, name in enumerate(ROWS)
    }
    return found | {
        name: largest(engine.worlds[name], program.worlds[name])
        for name in FIELDS
        if name not in DAILY
    }


def agreement(case: Case, flags: tuple[str, ...] = STRICT) -> dict[str, float]:
    """Differences between the engine and the program after a day."""
    start, end = engine_day(case)
    with compiled(case.weights, flags) as program:
        return differences(end, run(program, start))


# --- speed


@dataclass
class Speed:
    """Nanoseconds per subnet and span, one entry a round."""

    engine: list[float]
    c: list[float]

    @property
    def ratios(self) -> list[float]:
        """The engine over C, round by round."""
        return [a / b for a, b in zip(self.engine, self.c, strict=True)]


def thread_seconds(batch: Batch, saved: State, days: int) -> float:
    """CPU seconds a day."""
    batch.state.restore(saved)
    start = time.thread_time()
    batch.step(days=days)
    return (time.thread_time() - start) / days


def speed(weights: str, rounds: int, n_worlds: int = 256, n_subnets: int = 32) -> Speed:
    """Alternate short runs of the engine and of C.

    A span of the engine is the difference between days of 24 and of 4 spans, divided by 20.
    """
    long, content = first_day(weights, n_worlds, n_subnets, 24)
    short, _ = first_day(weights, n_worlds, n_subnets, 4)
    saved = {24: long.state.copy(), 4: short.state.copy()}
    found = Speed([], [])
    days = max(1, 80_000 // (n_worlds * n_subnets))
    with compiled(weights) as program:
        state = program.with_name("state")
        content.write(state)
        for k in range(rounds + 1):
            day = thread_seconds(long, saved[24], days) - thread_seconds(short, saved[4], 4 * days)
            c = nanoseconds(program, state, 2 * days)
            if k > 0:  # the first warms the caches
                found.engine.append(1e9 * day / 20 / n_worlds / n_subnets)
                found.c.append(c)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds")
    rounds = 5 if parser.parse_args().quick else 25
    for flags in (STRICT, FAST):
        print(f"Largest relative difference after {SPANS} spans, gcc {' '.join(flags)}")
        for name, case in CASES.items():
            found = agreement(case, flags)
            worst = max(found, key=lambda key: found[key])
            print(f"  {name:32s} {found[worst]:.1e} ({worst})")
    for weights in (EQUAL, SNAPSHOT):
        found = speed(weights, rounds)
        middle = [statistics.median(v) for v in (found.engine, found.c, found.ratios)]
        print(
            f"{weights}: engine {middle[0]:.1f}, C {middle[1]:.1f} ns per subnet and "
            f"span; ratio {middle[2]:.2f} ({min(found.ratios):.2f} to {max(found.ratios):.2f})"
        )


if __name__ == "__main__":
    main()
