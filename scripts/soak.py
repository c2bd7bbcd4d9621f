"""A soak: random legal worlds, orders and decisions, audited; whatever trips is printed with the command that repeats it.

    python scripts/soak.py --minutes 10 [--seed 0] [--workers 2] [--write]
    python scripts/soak.py --world-days 1e6
    python scripts/soak.py --seed 0 --case 17

Case k of seed S is a function of (S, k) alone. Seven of eight cases are batches of worlds with a configuration each, the
others environments: single, vector, parallel, and replays of real prices. `soak_draw.py` draws legal parameters,
`soak_cases.py` plays and audits. `--write` adds the run to `docs/soak.json` and renews `docs/soak.md`.
The exit status is 1 if a case failed.
"""

import functools
import hashlib
import itertools
import json
import multiprocessing
import platform
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tyro
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

import dtao_gym  # noqa: E402
from scripts.soak_cases import batch_case, environment_case  # noqa: E402

NUMBERS, PAGE = ROOT / "docs" / "soak.json", ROOT / "docs" / "soak.md"
ENVIRONMENTS = ("single staker", "single builder", "single replay", "vector staker")
ENVIRONMENTS += ("vector builder", "vector replay", "parallel")
EVERY = 8
"""One of so many cases is an environment."""


class Outcome(NamedTuple):
    """Result of a case."""

    case: int
    kind: str
    world_days: int
    failure: str | None
    parameters: str


def kind_of(case: int) -> str:
    """`batch`, or the environment of a case."""
    if case % EVERY != EVERY - 1:
        return "batch"
    return ENVIRONMENTS[case // EVERY % len(ENVIRONMENTS)]


def run_case(seed: int, case: int) -> Outcome:
    """Run case k of a seed."""
    random, kind = np.random.default_rng([seed, case]), kind_of(case)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            days = batch_case(random) if kind == "batch" else environment_case(random, kind)
            return Outcome(case, kind, days, None, "")
        except Exception as error:
            return Outcome(case, kind, 0, f"{type(error).__name__}: {error}", as_yaml(getattr(error, "parameters", None)))  # fmt: skip


def as_yaml(parameters: Any) -> str:
    """Parameters as a file that `Config.make` reads."""
    if parameters is None:
        return ""
    if not isinstance(parameters, dict):
        parameters = parameters.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(json.loads(json.dumps(parameters)), sort_keys=True)


class Total:
    """Sums over the cases of a run."""

    def __init__(self) -> None:
        self.cases, self.world_days, self.failures = 0, 0, []
        self.by_kind: dict[str, int] = {}

    def add(self, outcome: Outcome, command: str) -> None:
        """Add a case, and print a failure."""
        self.cases += 1
        self.world_days += outcome.world_days
        days = self.by_kind.get(outcome.kind, 0) + outcome.world_days
        self.by_kind[outcome.kind] = days
        if outcome.failure is not None:
            self.failures.append({"case": outcome.case, "reason": outcome.failure})
            print(f"FAILED {command} --case {outcome.case}: {outcome.failure}", flush=True)
            print(outcome.parameters, flush=True)


def outcomes(seed: int, workers: int) -> Iterator[Outcome]:
    """Results of case 0, 1, 2 and so on, without end, from processes that share them."""
    if workers == 1:
        yield from (run_case(seed, case) for case in itertools.count())
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for first in itertools.count(step=64):
            block = range(first, first + 64)
            yield from pool.imap(functools.partial(run_case, seed), block)


def engine() -> str:
    """Digest of the sources of the package."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "dtao_gym").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def write(run: dict[str, Any]) -> None:
    """Add a run to the numbers, in place of an older one of the same seed, and renew the page."""
    runs = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.exists() else []
    runs = sorted([*(r for r in runs if r["seed"] != run["seed"]), run], key=lambda r: r["seed"])
    NUMBERS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(runs), encoding="utf-8")


def page(runs: list[dict[str, Any]]) -> str:
    """The page about the runs."""
    days = sum(run["world_days"] for run in runs)
    failures = [(run["seed"], f) for run in runs for f in run["failures"]]
    lines = [
        "# Soak",
        "",
        "`python scripts/soak.py` plays random worlds: legal parameters over their ranges (`CHOICES` in `scripts/soak_draw.py` lists the exceptions), all eras, roles and "
        "payments, every genesis, orders and decisions at random, rules that change on the way. After every step TAO, alpha "
        "and shares of funds must be conserved to 1e-9, supplies below their caps, all numbers finite and observations "
        "within [-1, 1]. `scripts/soak.py` writes this page with `--write`.",
        "",
        f"So far {days:.3g} world-days in {sum(run['cases'] for run in runs):,} cases, {len(failures)} failures.",
        "",
        "| seed | cases | world-days | of them in environments | failures | world-days/s | engine | versions |",
        "|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for run in runs:
        inside = sum(n for kind, n in run["by_kind"].items() if kind != "batch")
        versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        lines.append(
            f"| {run['seed']} | {run['cases']:,} | {run['world_days']:,} | {inside:,} | {len(run['failures'])} | "
            f"{run['world_days_per_second']:,} | {run['engine']} | {versions} |"
        )
    lines += ["", *(f"- `--seed {seed} --case {f['case']}`: {f['reason']}" for seed, f in failures)]
    return "\n".join(lines).rstrip() + "\n"


def main(
    minutes: Annotated[float | None, tyro.conf.arg(help="Time after which no case begins.")] = None,
    world_days: Annotated[float | None, tyro.conf.arg(help="World-days, instead of time.")] = None,
    seed: Annotated[int, tyro.conf.arg(help="Seed of all cases.")] = 0,
    case: Annotated[int | None, tyro.conf.arg(help="Play this case alone.")] = None,
    workers: Annotated[int, tyro.conf.arg(help="Processes.")] = 1,
    write_page: Annotated[bool, tyro.conf.arg(name="write", help="Renew docs/soak.*.")] = False,
) -> None:
    """Play random legal worlds and audit them."""
    played = engine()  # the sources may change while this goes on
    command, total, began = f"python scripts/soak.py --seed {seed}", Total(), time.perf_counter()
    if case is not None:
        total.add(run_case(seed, case), command)
    else:
        most = 60.0 * (minutes if minutes is not None else np.inf if world_days else 1.0)
        for outcome in outcomes(seed, workers):
            total.add(outcome, command)
            if time.perf_counter() - began > most or total.world_days >= (world_days or np.inf):
                break
    seconds = time.perf_counter() - began
    rate = round(total.world_days / seconds)
    versions = {"dtao_gym": dtao_gym.__version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in ("numpy", "numba")}
    run = {
        "seed": seed, "cases": total.cases, "world_days": total.world_days, "by_kind": total.by_kind,
        "failures": total.failures, "seconds": round(seconds), "workers": workers,
        "world_days_per_second": rate, "engine": played, "versions": versions,
    }  # fmt: skip
    print(f"{total.cases} cases, {total.world_days:,} world-days, {len(total.failures)} failures, {rate:,}/s")  # fmt: skip
    if write_page and case is None:
        write(run)
    sys.exit(bool(total.failures))


if __name__ == "__main__":
    tyro.cli(main)
