"""Gates: the negative controls and the oracles, which must all hold before a probe gives an answer."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from dtao_agents.cache import Store, key_of
from dtao_agents.oracles.collect import collect
from dtao_agents.oracles.table import Progress
from dtao_agents.probe.checks import (
    COLUMNS,
    Check,
    failures,
    from_oracle,
    from_records,
    to_records,
)
from dtao_agents.probe.controls import CONTROLS
from dtao_agents.probe.size import GATE, Control
from dtao_gym.sources import fingerprint


@dataclass(frozen=True)
class Gate:
    """A group of checks that must hold.

    Attributes
    ----------
    name : str
        Id of a control, or ``oracles``.
    run : callable
        ``run(technology, population, progress)``: overrides of the technology, world parameters of the population,
        and a callback for descriptions of the running computation.
    """

    name: str
    run: Callable[[Mapping[str, Any], Mapping[str, Any], Progress], list[Check]]


class GateError(RuntimeError):
    """A gate failed, so that the probe gives no answer.

    Attributes
    ----------
    failed : list of Check
        Checks that do not hold.
    """

    def __init__(self, failed: Sequence[Check]):
        ids = dict.fromkeys(check.id for check in failed)
        super().__init__(f"gates: {', '.join(ids)} failed; no answer is given")
        self.failed = list(failed)


def _oracles(
    technology: Mapping[str, Any], population: Mapping[str, Any], progress: Progress
) -> list[Check]:
    """Checks of the oracles, which set their own technology and population and ignore the arguments."""
    return [from_oracle(oracle) for oracle in collect("all", progress)]


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
    """Gate of a negative control."""
    return Gate(id, functools.partial(_control, id, CONTROLS[id]))


GATES: tuple[Gate, ...] = (
    *(control_gate(id) for id in CONTROLS),
    Gate("oracles", _oracles),
)
"""All gates of a probe; quick ones first."""


def _checks_of(
    gate: Gate,
    store: Store,
    technology: Mapping[str, Any],
    population: Mapping[str, Any],
    progress: Progress,
) -> list[Check]:
    """Run a gate, or read its checks from disk."""
    parts = {"gate": gate.name, "technology": dict(technology), "population": dict(population)}
    key = key_of(parts | {"sources": fingerprint(__name__)})
    stored = store.load(f"gate {gate.name}", key)
    if stored is not None:
        return from_records(stored[0])
    checks = gate.run(technology, population, progress)
    store.save(f"gate {gate.name}", key, to_records(checks), {})
    return checks


def pass_gates(
    gates: Sequence[Gate],
    store: Store,
    technology: Mapping[str, Any] | None = None,
    population: Mapping[str, Any] | None = None,
    progress: Progress = lambda description: None,
    on_done: Callable[[], Any] = lambda: None,
) -> dict[str, list[Check]]:
    """Run all gates.

    Parameters
    ----------
    gates : sequence of Gate
        The gates.
    store : Store
        Where finished gates are kept.
    technology : mapping, optional
        World parameters that override those of the controls: mutations that should make them fail.
    population : mapping, optional
        World parameters of the population under test; default: that of spring 2026.
    progress : callable
        Called with a description of each computation when it starts.
    on_done : callable
        Called after each gate.

    Returns
    -------
    dict of str to list of Check
        By the name of the gate.

    Raises
    ------
    GateError
        At least one check does not hold; raised after all gates have run.
    """
    by_gate = {}
    for gate in gates:
        checks = _checks_of(gate, store, technology or {}, population or {}, progress)
        by_gate[gate.name] = checks
        on_done()
    failed = failures([check for checks in by_gate.values() for check in checks])
    if failed:
        raise GateError(failed)
    return by_gate


def table_of(checks: Sequence[Check]) -> Table:
    """Table for the terminal; failing checks are red."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        wide = column == "institution"
        table.add_column(column, ratio=1 if wide else None, overflow="fold" if wide else "ellipsis")
    for check in checks:
        cells = (escape(cell) for cell in check.cells)
        table.add_row(*cells, style=None if check.ok else "bold red")
    return table
