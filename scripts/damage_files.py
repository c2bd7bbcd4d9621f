"""Damage every kind of file that the product reads, and see that a reader refuses it in the documented way.

    python scripts/damage_files.py [--tries 1000] [--seed 0] [--kind KIND ...]

Each try takes a good file, damages it at random, and reads it as the product does. What is read is fine, and so
are the exceptions that the reader documents; any other exception, a warning, and a message of several lines are
faults. Try k of a seed is always the same: `--seed SEED --first k --tries 1 --kind KIND` repeats one, and
`--keep FOLDER` writes its files there. Exit status 1 where there are faults. TMPDIR on a disk in memory makes it fast.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from damage import damaged_file

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 20.0
"""A read that takes longer is a fault."""


@dataclass(frozen=True)
class Kind:
    """A kind of file: good files by name, the names to damage, the reader, and its documented exceptions."""

    files: dict[str, bytes]
    damaged: tuple[str, ...]
    read: Callable[[Path], Any]
    allowed: tuple[type[Exception], ...]


@dataclass
class Outcome:
    """What the tries of a kind led to."""

    tries: int = 0
    read: int = 0
    refused: Counter = field(default_factory=Counter)
    faults: dict[str, list[int]] = field(default_factory=dict)
    """Tries by fault."""


# --- kinds


def shortened(path: Path, lines: int) -> bytes:
    """First lines of a file."""
    return b"".join(path.read_bytes().splitlines(keepends=True)[:lines])


def configurations() -> dict[str, Kind]:
    """Worlds and settings in YAML."""
    import yaml
    from dtao_agents.probe.plan import read_plan
    from dtao_agents.results.plan import read_results_plan
    from dtao_agents.training.multi_agent_settings import read_settings

    from dtao_gym.realism.gate import read_config
    from dtao_gym.replay.config import ReplayConfig
    from dtao_gym.world.config import Config, ConfigError, read_yaml

    configs = ROOT / "configs"
    refused = (ConfigError,)

    def files(*names: str) -> dict[str, bytes]:
        return {name: (configs / name).read_bytes() for name in names}

    def each(read: Callable[[Path], Any]) -> Callable[[Path], None]:
        def read_all(folder: Path) -> None:
            read(folder / "config.yaml")

        return read_all

    def world(path: Path) -> Any:
        return read_config(path) if path.suffix else None

    def replay(path: Path) -> Any:
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise ConfigError("got no mapping")
        return ReplayConfig.make(content)

    sources = {
        "world": (world, files("spring_2026.yaml", "summer_2025.yaml")),
        "world of defaults": (world, {"all": yaml.safe_dump(Config.make({}).model_dump()).encode()}),
        "training": (read_settings, files("staker_quickstart.yaml", "builder_quickstart.yaml", "multi_agent.yaml")),
        "replay": (replay, {"all": yaml.safe_dump({"prices": "mainnet-2025", "horizon_days": 30}).encode()}),
        "probe plan": (read_plan, files("probe_quick.yaml")),
        "results plan": (read_results_plan, files("results.yaml")),
    }  # fmt: skip
    return {
        f"{kind}: {name}" if len(contents) > 1 else kind: Kind(
            {"config.yaml": content}, ("config.yaml",), each(read), refused
        )
        for kind, (read, contents) in sources.items()
        for name, content in contents.items()
    }


def market_files() -> dict[str, Kind]:
    """Snapshots, vectors and prices."""
    from dtao_gym.conformance import ADAPTERS, check_path
    from dtao_gym.package_data import golden_vectors
    from dtao_gym.replay.prices import read_prices
    from dtao_gym.world.config import ConfigError
    from dtao_gym.world.snapshot import Snapshot
    from dtao_gym.world.snapshot_files import SnapshotError

    data = ROOT / "dtao_gym" / "data"
    snapshot = {
        "s.csv": (data / "mainnet-2026-09-06.csv").read_bytes(),
        "s.json": (data / "mainnet-2026-09-06.json").read_bytes(),
    }
    kinds = {
        "snapshot": Kind(snapshot, ("s.csv", "s.json"), lambda f: Snapshot.from_csv(f / "s.csv"), (SnapshotError,))
    }  # fmt: skip

    def check(folder: Path) -> None:
        report = check_path([*folder.iterdir()])
        report.to_json().encode()
        for line in report.unreadable:
            line.encode()

    vectors = {path.name: path.read_bytes() for path in Path(str(golden_vectors())).glob("*.json")}
    for name, content in sorted(vectors.items()):
        if name.removesuffix(".json") in ADAPTERS:
            few = json.dumps(json.loads(content)[:4]).encode()
            kinds[f"vectors: {name.removesuffix('.json')}"] = Kind({name: few}, (name,), check, ())
    closes = {"prices.csv": shortened(data / "closes" / "closes_2025.csv", 60)}
    hours = "\n".join(
        f"2025-03-{1 + k // 24:02d}T{k % 24:02d}:00:00Z,{n},{0.01 * n + 1e-5 * k}"
        for k in range(0, 120, 4)
        for n in (1, 2, 3)
    )
    long = {"prices.csv": f"time,netuid,price\n{hours}\n".encode()}
    for name, files in (("closes", closes), ("samples", long)):
        kinds[f"prices: {name}"] = Kind(
            files, ("prices.csv",), lambda f: read_prices(f / "prices.csv"), (ConfigError,)
        )
    return kinds


def learned_files(scratch: Path) -> dict[str, Kind]:
    """Policies, checkpoints, metrics, published results."""
    import numpy as np
    import torch
    from dtao_agents.evaluation.policy_files import Card, PolicyError, load_policy, save_policy
    from dtao_agents.results.pretrained import PUBLISHED_NAME, read_published
    from dtao_agents.training.architecture import Architecture
    from dtao_agents.training.checkpoints import CheckpointError, read_checkpoint, write_checkpoint
    from dtao_agents.training.run_folder import read_metrics

    torch.manual_seed(0)
    shape = Architecture("shared", 4, 8)
    save_policy(scratch, shape.actor(), Card(shape, "0" * 64, 10))
    policy = {name: (scratch / name).read_bytes() for name in ("policy.json", "policy.safetensors")}
    arrays = {"policy/w": np.arange(6.0).reshape(2, 3), "state/x": np.arange(9, dtype=np.uint8)}
    checkpoint = write_checkpoint(scratch, arrays, {"seeds": [1, 2]}, 128, {"seconds": 1.5})
    published = min((ROOT / "policies").glob(f"*/{PUBLISHED_NAME}")).read_bytes()
    metrics = b"timesteps,seconds,reward_per_year\n" + b"".join(
        b"%d,0.5,0.25\n" % k for k in range(9)
    )

    def read_cards(folder: Path) -> None:
        load_policy(folder).act(np.zeros((1, shape.observation_size), np.float32))

    return {
        "policy": Kind(policy, tuple(policy), read_cards, (PolicyError,)),
        "checkpoint": Kind(
            {checkpoint.name: checkpoint.read_bytes()},
            (checkpoint.name,),
            lambda f: read_checkpoint(f / checkpoint.name),
            (CheckpointError,),
        ),
        "metrics": Kind(
            {"metrics.csv": metrics}, ("metrics.csv",), lambda f: read_metrics(f / "metrics.csv"), (OSError,)
        ),
        "published result": Kind(
            {PUBLISHED_NAME: published}, (PUBLISHED_NAME,), read_published, (PolicyError,)
        ),
    }  # fmt: skip


def probe_files(scratch: Path) -> dict[str, Kind]:
    """Records of a probe of one cell and one claim, and its results."""
    from dtao_agents.probe.cells import all_cells
    from dtao_agents.probe.checks import Check
    from dtao_agents.probe.evidence import gather, read_evidence
    from dtao_agents.probe.measures import measure_claim, measures_of
    from dtao_agents.probe.plan import make_plan
    from dtao_agents.probe.solutions import (
        NO_RECORD,
        from_record,
        inputs_of,
        load_record,
        save_record,
        solve_cell,
    )

    from dtao_gym.world.config import ConfigError

    plan = make_plan(
        {
            "blocks": [{"name": "A", "institutions": ["price"], "pruning": [True], "references": False}],
            "world": {"spans_per_day": 1, "horizon_cap_days": 200, "n_subnets": 3},
            "estimator": {"pilot_blocks": 2, "pilot_passes": 1, "slope_passes": 1, "slope_blocks": 4}
            | {"most_slope_blocks": 4, "least_blocks": 4, "most_blocks": 4},
            "outcome_worlds": 8,
        }
    )  # fmt: skip
    (cell,) = all_cells(plan)
    (caps,) = (measure for measure in measures_of(plan) if measure.claim == "C5")
    inputs = inputs_of(cell, plan)
    save_record(scratch / "cells", cell.name, inputs, solve_cell(cell, plan))
    save_record(scratch / "cells", caps.name, caps.inputs, measure_claim(caps))
    records = {path.name: path.read_bytes() for path in (scratch / "cells").iterdir()}
    checks = {"NC6": [Check("NC6", "uniform", "indeterminate", "indeterminate", True)]}
    evidence = gather(plan, scratch / "cells", checks, {"written": "today"})
    run = {"results.json": evidence.to_json().encode(), "plan.yaml": plan.to_yaml().encode()}

    def read_records(folder: Path) -> None:
        gather(plan, folder, {}, {}).to_json()
        record = load_record(folder, cell.name, inputs)
        if record is not None:
            with contextlib.suppress(*NO_RECORD):
                from_record(record)

    return {
        "probe records": Kind(records, tuple(records), read_records, ()),
        "probe results": Kind(
            run, tuple(run), lambda f: read_evidence(f).to_json(), (ConfigError,)
        ),
    }


def all_kinds(scratch: Path) -> dict[str, Kind]:
    """Every kind by name."""
    return configurations() | market_files() | learned_files(scratch) | probe_files(scratch)


# --- tries


def try_once(kind: Kind, name: str, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """Damage and read: ("read", ""), ("refused", exception) or ("fault", where and what)."""
    draw = random.Random(f"{seed}/{name}/{number}")
    folder.mkdir()
    hit = draw.choice(kind.damaged)
    for file, content in kind.files.items():
        if file == hit:
            damaged_file(folder / file, content, draw)
        else:
            (folder / file).write_bytes(content)
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kind.read(folder)
    except kind.allowed as error:
        if "\n" in str(error).strip():
            return "fault", f"{type(error).__name__} of several lines"
        return "refused", type(error).__name__
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [
            frame
            for frame in frames
            if str(ROOT) in frame.filename and ".venv" not in frame.filename
        ]
        last = (own or frames)[-1]
        told = " ".join(str(error).split())[:80]
        return (
            "fault",
            f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {told}",
        )
    if time.perf_counter() - started > LIMIT_SECONDS:
        return "fault", "takes too long"
    return "read", ""


def run(
    kinds: dict[str, Kind],
    tries: int,
    seed: int,
    first: int,
    scratch: Path,
    keep: Path | None = None,
) -> dict[str, Outcome]:
    """Try every kind equally often."""
    outcomes = {name: Outcome() for name in kinds}
    for number in range(first, first + tries):
        for name, kind in kinds.items():
            folder = scratch / "try"
            verdict, told = try_once(kind, name, seed, number, folder)
            outcome = outcomes[name]
            outcome.tries += 1
            if verdict == "read":
                outcome.read += 1
            elif verdict == "refused":
                outcome.refused[told] += 1
            else:
                outcome.faults.setdefault(told.split(": ")[0], []).append(number)
                if len(outcome.faults[told.split(": ")[0]]) == 1:
                    print(f"fault: {name}, seed {seed}, try {number}: {told}", flush=True)
            if keep is not None:
                shutil.copytree(folder, keep / f"{name.replace(': ', '-')}-{number}", symlinks=True)
            shutil.rmtree(folder)
    return outcomes


def show(outcomes: dict[str, Outcome]) -> None:
    """Print a table, and how to repeat the first try of each fault."""
    print(f"{'kind':<36}{'tries':>8}{'read':>8}{'refused':>9}{'faults':>8}  refused as")
    for name, outcome in outcomes.items():
        faults = sum(map(len, outcome.faults.values()))
        names = ", ".join(sorted(outcome.refused)) or "-"
        refused = sum(outcome.refused.values())
        print(f"{name:<36}{outcome.tries:>8}{outcome.read:>8}{refused:>9}{faults:>8}  {names}")
    total = sum(outcome.tries for outcome in outcomes.values())
    faults = [
        (name, told, numbers)
        for name, outcome in outcomes.items()
        for told, numbers in outcome.faults.items()
    ]
    print(f"{total:,} tries, {len(faults)} different faults")
    for name, told, numbers in faults:
        print(f"{len(numbers):>6} x {told}; --kind {name!r} --first {numbers[0]} --tries 1")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=1000, help="tries of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first try")
    parser.add_argument("--kind", action="append", help="start of a kind's name; default: all")
    parser.add_argument("--keep", type=Path, help="folder for the damaged files")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        kinds = all_kinds(scratch)
        if given.kind:
            kinds = {n: k for n, k in kinds.items() if n.startswith(tuple(given.kind))}
        if not kinds:
            parser.error(
                f"--kind: got {given.kind}, allowed are starts of {', '.join(all_kinds(scratch))}"
            )
        outcomes = run(kinds, given.tries, given.seed, given.first, scratch, given.keep)
    show(outcomes)
    return int(any(outcome.faults for outcome in outcomes.values()))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
