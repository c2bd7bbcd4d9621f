"""Gates: the negative controls and the oracles. A verdict stands only where those that bear on it hold."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from dtao_agents.oracles.collect import collect
from dtao_agents.oracles.table import Progress
from dtao_agents.probe.checks import (
    COLUMNS,
    Check,
    failures,
    from_oracle,
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
    """Gates failed that void every arm, so that the probe gives no answer.

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


def checks_of(
    gate: Gate, technology: Mapping[str, Any], population: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Run a gate and return its checks as records.

    Parameters
    ----------
    gate : Gate
        The gate.
    technology : mapping
        World parameters that override those of the controls: mutations that should make them fail.
    population : mapping
        World parameters of the population under test; empty: that of spring 2026.
    """
    return to_records(gate.run(technology, population, lambda description: None))


def inputs_of_gate(
    gate: Gate, technology: Mapping[str, Any], population: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that the checks of a gate depend on, the sources too."""
    return {
        "gate": gate.name,
        "technology": dict(technology),
        "population": dict(population),
        "sources": fingerprint(__name__),
    }


def failed_of(checks: Mapping[str, Sequence[Check]]) -> list[str]:
    """Names of the gates with a check that does not hold."""
    return [name for name, of_gate in checks.items() if failures(of_gate)]


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
