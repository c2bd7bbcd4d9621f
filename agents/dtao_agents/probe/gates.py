"""Gates: what must hold before a probe shows an answer. All oracles that need no learner, then the negative controls."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from dtao_agents.cache import Store, key_of
from dtao_agents.oracles.collect import collect
from dtao_agents.probe.checks import COLUMNS, Check, failures, from_records, of_oracle, to_records
from dtao_agents.probe.controls import CONTROLS
from dtao_agents.probe.size import GATE, Control
from dtao_gym.sources import fingerprint

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Gate:
    """One unit of what must hold: its name, what it is, and how it is checked.

    `run` takes changes that are forced upon the technology, parameters of the population, and a function that is called
    with the name of what is running.
    """

    name: str
    what: str
    run: Callable[[Mapping[str, Any], Mapping[str, Any], Progress], list[Check]]


class GateError(RuntimeError):
    """Something that must hold does not. The probe has no answer then.

    Attributes:
        failed: the checks that do not hold.
    """

    def __init__(self, failed: Sequence[Check]):
        ids = dict.fromkeys(check.id for check in failed)
        super().__init__(f"gates: {', '.join(ids)} failed; no answer is given")
        self.failed = list(failed)


def _oracles(
    technology: Mapping[str, Any], population: Mapping[str, Any], progress: Progress
) -> list[Check]:
    """The oracles; they are of the technology and the people of their own tables, whatever the controls are about."""
    return [of_oracle(row) for row in collect("all", progress) if row.kind in ("A", "S")]


def _control(
    id: str,
    control: Control,
    technology: Mapping[str, Any],
    population: Mapping[str, Any],
    progress: Progress,
) -> list[Check]:
    progress(id)
    return control(GATE._replace(population=population), technology)


def control_gate(id: str) -> Gate:
    """The gate of a negative control."""
    control = CONTROLS[id]
    what = (control.__doc__ or "").split("\n")[0].split(": ", 1)[-1]
    return Gate(id, what, functools.partial(_control, id, control))


GATES: tuple[Gate, ...] = (
    *(control_gate(id) for id in CONTROLS),
    Gate("oracles", "Closed forms, and the engine against them.", _oracles),
)
"""All gates; the quick ones first."""


def checks_of(
    gate: Gate,
    store: Store,
    technology: Mapping[str, Any] | None = None,
    population: Mapping[str, Any] | None = None,
    progress: Progress = lambda what: None,
) -> list[Check]:
    """The checks of a gate, from disk or run now."""
    forced, people = dict(technology or {}), dict(population or {})
    parts = {"gate": gate.name, "technology": forced, "population": people}
    key = key_of(parts | {"sources": fingerprint(__name__)})
    kept = store.load(f"gate {gate.name}", key)
    if kept is not None:
        return from_records(kept[0])
    checks = gate.run(forced, people, progress)
    store.save(f"gate {gate.name}", key, to_records(checks), {})
    return checks


def pass_gates(
    gates: Sequence[Gate],
    store: Store,
    technology: Mapping[str, Any] | None = None,
    population: Mapping[str, Any] | None = None,
    progress: Progress = lambda what: None,
    on_done: Callable[[], Any] = lambda: None,
) -> dict[str, list[Check]]:
    """All checks by gate. Raises `GateError` if one does not hold, when all have been run."""
    found = {}
    for gate in gates:
        found[gate.name] = checks_of(gate, store, technology, population, progress)
        on_done()
    failed = failures([check for checks in found.values() for check in checks])
    if failed:
        raise GateError(failed)
    return found


def table_of(checks: Sequence[Check]) -> Table:
    """A table for the terminal; what fails is red."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        wide = column == "institution"
        table.add_column(column, ratio=1 if wide else None, overflow="fold" if wide else "ellipsis")
    for check in checks:
        cells = (escape(cell) for cell in check.cells)
        table.add_row(*cells, style=None if check.ok else "bold red")
    return table
