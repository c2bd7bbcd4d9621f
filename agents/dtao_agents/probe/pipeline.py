"""Run of a probe: gates, cells and claims as tasks of a backend, each a small record in one folder, then the page."""

import importlib.metadata
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import dtao_gym
from dtao_agents.backends import Task, run_tasks
from dtao_agents.files import write_atomically
from dtao_agents.probe.cell_measures import cell_measures, measure_cell
from dtao_agents.probe.cells import all_cells, cells_of_block
from dtao_agents.probe.checks import failures, from_records
from dtao_agents.probe.evidence import (
    PLAN,
    RECORDS,
    RESULTS,
    Evidence,
    gather,
    read_solutions,
)
from dtao_agents.probe.gate_scope import failed_gates
from dtao_agents.probe.gates import GATES, Gate, GateError, checks_of, failed_of, inputs_of_gate
from dtao_agents.probe.measures import Measurement, measure_claim, measures_of
from dtao_agents.probe.plan import Plan, population_of
from dtao_agents.probe.solutions import engine, inputs_of, load_record, save_record, solve_cell
from dtao_agents.training.run_folder import cpu_model, git_commit
from dtao_gym.world.config import ConfigError

PACKAGES = ("numba", "numpy", "pydantic", "scipy")
"""Packages whose versions are reported."""
SIZES = ("n_subnets", "horizon", "horizon_cap_days", "spans_per_day")
"""World parameters that gates set themselves; all others of a plan are those of the market that they test."""


class Unit(NamedTuple):
    """A gate, a cell or a claim: its name, its inputs, and the task that computes its record."""

    name: str
    inputs: Mapping[str, Any]
    task: Task
    sources: str


def run(
    plan: Plan,
    folder: Path,
    gates: Sequence[Gate] = GATES,
    technology: Mapping[str, Any] | None = None,
    backend: str = "local",
    workers: int | None = None,
    blocks: Sequence[str] = (),
    ray_address: str | None = None,
) -> Evidence:
    """Pass the gates, solve all cells, measure the claims, and write the evidence into a folder.

    Finished parts are kept and not computed again, unless the sources that computed them have changed.

    Parameters
    ----------
    plan : Plan
        Settings of the probe.
    folder : Path
        Folder of the output: plan.yaml, results.json, and a record of each part in its subfolder ``cells``.
    gates : sequence of Gate
        Gates to pass first.
    technology : mapping, optional
        World parameters that override those of the negative controls: mutations that should make them fail.
    backend, workers, ray_address
        See `dtao_agents.backends.run_tasks`.
    blocks : sequence of str
        Beginnings of the names of blocks that are computed now, such as "A"; the cells of others are read where they
        have been computed, else missing. None given: all.

    Returns
    -------
    Evidence
        The content of the page.

    Raises
    ------
    GateError
        Gates failed that void every arm; no cell is solved.
    ConfigError
        The plan has an invalid world, or no block of such a name.
    """
    started = time.perf_counter()
    cells = [cell for cell in all_cells(plan) if not blocks or cell.block.startswith(tuple(blocks))]
    if not cells:
        names = ", ".join(block.name for block in plan.blocks)
        raise ConfigError(f"blocks: got {', '.join(blocks)}, allowed are beginnings of {names}")
    market = {name: value for name, value in plan.world.items() if name not in SIZES}
    population = population_of(plan) | market
    records = folder / RECORDS
    records.mkdir(parents=True, exist_ok=True)
    for old in ("report.md", "report.html", RESULTS):
        # a failed run must not leave the answer of an earlier one
        (folder / old).unlink(missing_ok=True)
    write_atomically(folder / PLAN, plan.to_yaml().encode())
    changes = dict(technology or {})
    of_gates = [_gate_unit(gate, changes, population) for gate in gates]
    now = engine()
    of_cells = [
        Unit(c.name, inputs_of(c, plan), Task(c.name, solve_cell, {"cell": c, "plan": plan}), now)
        for c in cells
    ]
    of_claims = _units(measures_of(plan), measure_claim)
    compute = partial(run_tasks, backend=backend, workers=workers, address=ray_address)
    with _progress() as bar:
        task = bar.add_task("", total=len(of_gates) + len(of_cells) + len(of_claims))

        def advance(name: str) -> None:
            bar.update(task, description=name, advance=1)

        found = _finish(of_gates, records, compute, advance)
        checks = {
            gate.name: from_records(r["checks"]) for gate, r in zip(gates, found, strict=True)
        }
        _stop_where_all_is_void(plan, checks)
        _finish([*of_cells, *of_claims], records, compute, advance)
        measures = cell_measures(plan, read_solutions(plan, records))
        in_equilibria = _units(measures, measure_cell)
        bar.update(task, total=len(of_gates) + len(of_cells) + len(of_claims) + len(in_equilibria))
        _finish(in_equilibria, records, compute, advance)
    facts = _facts(plan, time.perf_counter() - started)
    evidence = gather(plan, records, checks, facts)
    write_atomically(folder / RESULTS, evidence.to_json().encode())
    return evidence


def _gate_unit(gate: Gate, technology: Mapping[str, Any], population: Mapping[str, Any]) -> Unit:
    inputs = inputs_of_gate(gate, technology, population)
    arguments = {"gate": gate, "technology": technology, "population": population}
    return Unit(f"gate {gate.name}", inputs, Task(f"gate {gate.name}", _gate, arguments), "")


def _units(
    measures: Sequence[Measurement], function: Callable[[Any], dict[str, Any]]
) -> list[Unit]:
    """Units of measurements. The sources of a claim are hashed once."""
    sources = {measure.claim: measure for measure in measures}
    hashes = {claim: measure.sources for claim, measure in sources.items()}
    return [
        Unit(m.name, m.inputs, Task(m.name, function, {"measure": m}), hashes[m.claim])
        for m in measures
    ]


def _gate(
    gate: Gate, technology: Mapping[str, Any], population: Mapping[str, Any]
) -> dict[str, Any]:
    """Record of a gate."""
    inputs = inputs_of_gate(gate, technology, population)
    checks = checks_of(gate, technology, population)
    return {"gate": gate.name, "inputs": inputs, "engine": "", "checks": checks}


def _finish(
    units: Sequence[Unit],
    records: Path,
    compute: Callable[..., Any],
    advance: Callable[[str], Any],
) -> list[dict[str, Any]]:
    """Records of units, those that are missing or of other sources computed and saved as they come."""
    found: list[Any] = [load_record(records, unit.name, unit.inputs) for unit in units]
    missing = []
    for k, (unit, record) in enumerate(zip(units, found, strict=True)):
        if record is None or record["engine"] != unit.sources:
            missing.append(k)
        else:
            advance(unit.name)

    def keep(index: int, record: dict[str, Any]) -> None:
        k = missing[index]
        save_record(records, units[k].name, units[k].inputs, record)
        found[k] = record
        advance(units[k].name)

    compute([units[k].task for k in missing], on_done=keep)
    return found


def _stop_where_all_is_void(plan: Plan, checks: Mapping[str, Sequence[Any]]) -> None:
    """Raise GateError where failed gates void every arm of the plan."""
    failed = failed_of(checks)
    cells = [cell for block in plan.blocks for cell in cells_of_block(plan, block)]
    if failed and all(failed_gates(cell, failed) for cell in cells):
        raise GateError(failures([check for of_gate in checks.values() for check in of_gate]))


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  {task.description}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _facts(plan: Plan, seconds: float) -> dict[str, str]:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "world seeds": f"from {plan.first_seed}, the same in every cell; pilots on seeds of their own",
        "plan, SHA-256": plan.fingerprint,
        "engine, SHA-256": engine(),
        "commit": git_commit() or "unknown",
        "versions": f"dtao_gym {dtao_gym.__version__}, Python {platform.python_version()}, {versions}",
        "machine": cpu_model(),
        "time": f"this run {seconds:.0f} s; finished parts were read from disk",
    }
