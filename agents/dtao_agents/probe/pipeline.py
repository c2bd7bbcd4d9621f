"""A probe from its gates to its page."""

import hashlib
import importlib.metadata
import json
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import dtao_gym
from dtao_agents.cache import Store
from dtao_agents.files import write_atomically
from dtao_agents.probe.cells import Solved, solved
from dtao_agents.probe.contrasts import all_contrasts
from dtao_agents.probe.findings import Findings
from dtao_agents.probe.gates import GATES, Gate, pass_gates
from dtao_agents.probe.page import write_page
from dtao_agents.probe.plan import Plan, all_cells, population_of
from dtao_agents.probe.report import TITLE, blocks
from dtao_agents.training.run_folder import cpu_model, git_commit
from dtao_gym.sources import fingerprint

PACKAGES = ("matplotlib", "numba", "numpy", "pydantic")


def run(
    plan: Plan,
    folder: Path,
    gates: Sequence[Gate] = GATES,
    technology: Mapping[str, Any] | None = None,
) -> Findings:
    """Pass the gates, solve all cells, write report.md, report.html, results.json and plan.yaml into `folder`.

    What was finished before is read from `folder/cache`. `technology` is forced upon the worlds of the negative controls:
    changes that should make them fail. Raises `GateError` before any cell is solved, `ConfigError` for a bad world.
    """
    started = time.perf_counter()
    cells = all_cells(plan)
    folder.mkdir(parents=True, exist_ok=True)
    for old in ("report.md", "report.html", "results.json"):
        (folder / old).unlink(
            missing_ok=True
        )  # no answer of an earlier run stands beside a failure
    write_atomically(folder / "plan.yaml", plan.to_yaml().encode())
    store = Store(folder / "cache")
    with _progress() as bar:
        task = bar.add_task("gates", total=len(gates) + len(cells))

        def tell(what: str) -> None:
            bar.update(task, description=f"gates: {what}")

        people = population_of(plan)
        checks = pass_gates(gates, store, technology, people, tell, lambda: bar.advance(task))
        passed = time.perf_counter()
        found: dict[str, Solved] = {}
        for cell in cells:
            bar.update(task, description=cell.name)
            found[cell.name] = solved(cell, plan, store)
            bar.advance(task)
    facts = _facts(plan, found, passed - started, time.perf_counter() - passed)
    contrasts = all_contrasts(cells, found, plan)
    findings = Findings(plan, cells, found, contrasts, checks, facts)
    record = json.dumps(findings.to_record(), indent=1) + "\n"
    write_atomically(folder / "results.json", record.encode())
    write_page(folder, TITLE, blocks(findings))
    return findings


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  {task.description}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _facts(
    plan: Plan, found: Mapping[str, Solved], gate_seconds: float, cell_seconds: float
) -> dict[str, str]:
    cached = sum(cell.cached for cell in found.values())
    solving = sum(cell.seconds for cell in found.values())
    seeds = plan.world_seeds
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "world seeds": f"{seeds.start} to {seeds.stop - 1}, the same in every cell",
        "plan, SHA-256": hashlib.sha256(plan.to_yaml().encode()).hexdigest(),
        "sources, SHA-256": fingerprint(__name__),
        "commit": git_commit() or "unknown",
        "versions": f"dtao_gym {dtao_gym.__version__}, Python {platform.python_version()}, {versions}",
        "machine": f"{cpu_model()}, {plan.threads} threads",
        "time": f"gates {gate_seconds:.0f} s, cells {cell_seconds:.0f} s; solving the cells took {solving:.0f} s "
        f"when they were run, {cached} of {len(found)} were read from disk",
    }
