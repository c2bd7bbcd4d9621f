"""Run of a probe, from its gates to its page."""

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
from dtao_agents.files import write_atomically
from dtao_agents.probe.cells import CellSolution, solve_cell
from dtao_agents.probe.contrasts import all_contrasts
from dtao_agents.probe.gates import GATES, Gate, pass_gates
from dtao_agents.probe.page import write_page
from dtao_agents.probe.plan import Plan, all_cells, population_of
from dtao_agents.probe.report import TITLE, blocks
from dtao_agents.probe.results import CheckedStore, ProbeResults
from dtao_agents.training.run_folder import cpu_model, git_commit
from dtao_gym.sources import fingerprint

PACKAGES = ("matplotlib", "numba", "numpy", "pydantic")
"""Packages whose versions are reported."""


def run(
    plan: Plan,
    folder: Path,
    gates: Sequence[Gate] = GATES,
    technology: Mapping[str, Any] | None = None,
) -> ProbeResults:
    """Pass the gates, solve all cells and write report.md, report.html, results.json and plan.yaml.

    Parameters
    ----------
    plan : Plan
        Settings of the probe.
    folder : Path
        Folder of the output; gates and cells that are finished are kept in its subfolder ``cache``.
    gates : sequence of Gate
        Gates to pass first.
    technology : mapping, optional
        World parameters that override those of the negative controls: mutations that should make them fail.

    Returns
    -------
    ProbeResults
        The content of the page.

    Raises
    ------
    GateError
        A check does not hold; no cell is solved.
    ConfigError
        The plan has an invalid world.
    """
    started = time.perf_counter()
    cells = all_cells(plan)
    folder.mkdir(parents=True, exist_ok=True)
    for old in ("report.md", "report.html", "results.json"):
        (folder / old).unlink(
            missing_ok=True
        )  # a failed run must not leave the answer of an earlier one
    write_atomically(folder / "plan.yaml", plan.to_yaml().encode())
    store = CheckedStore(folder / "cache")
    with _progress() as bar:
        task = bar.add_task("gates", total=len(gates) + len(cells))

        def describe(description: str) -> None:
            bar.update(task, description=f"gates: {description}")

        def advance() -> None:
            bar.advance(task)

        checks = pass_gates(gates, store, technology, population_of(plan), describe, advance)
        passed = time.perf_counter()
        solutions: dict[str, CellSolution] = {}
        for cell in cells:
            bar.update(task, description=cell.name)
            solutions[cell.name] = solve_cell(cell, plan, store)
            advance()
    facts = _facts(plan, solutions, passed - started, time.perf_counter() - passed)
    contrasts = all_contrasts(cells, solutions, plan)
    results = ProbeResults(plan, cells, solutions, contrasts, checks, facts)
    record = json.dumps(results.to_record(), indent=1) + "\n"
    write_atomically(folder / "results.json", record.encode())
    write_page(folder, TITLE, blocks(results))
    return results


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
    plan: Plan, solutions: Mapping[str, CellSolution], gate_seconds: float, cell_seconds: float
) -> dict[str, str]:
    cached = sum(each.cached for each in solutions.values())
    solving = sum(each.seconds for each in solutions.values())
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
        f"when they were run, {cached} of {len(solutions)} were read from disk",
    }
