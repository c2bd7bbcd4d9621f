"""What a failed gate voids: the arms whose verdicts would rest on what the gate found broken."""

from collections.abc import Callable, Mapping, Sequence

from dtao_agents.probe.cells import FEE, Cell


def _every(cell: Cell) -> bool:
    return True


def _market(cell: Cell) -> bool:
    return cell.institution != FEE


SCOPE: Mapping[str, tuple[str, Callable[[Cell], bool]]] = {
    "oracles": ("every arm: the engine or the solver misses closed forms", _every),
    "NC1": ("every arm: identical technologies are not treated alike", _every),
    "NC2": ("every arm: the reference is not the private optimum", _every),
    "NC3": (
        "arms with the slow moving price",
        lambda cell: cell.moving_price == "slow",
    ),
    "NC4": ("every arm: the solver misses a known optimum", _every),
    "NC5": ("every arm: names of slots or units matter", _every),
    "NC6": (
        "equal shares under direct pay",
        lambda cell: cell.config.allocation == "uniform" and cell.payment == "direct",
    ),
    "NC7": ("every arm: the same institution twice differs", _every),
    "NC8": ("arms with influence", lambda cell: cell.strategy == "influence"),
    "NC9": ("every market arm: demand dies", _market),
    "NC10": (
        "arms under direct pay: dilution is not inert",
        lambda cell: _market(cell) and cell.payment == "direct",
    ),
    "POT": ("every market arm: institutions share different pots", _market),
    "REALISM": ("every market arm: prices are not those of the data", _market),
}
"""By gate: its scope in words, and whether it includes a cell. Gates that are not listed void every arm."""


def scope_of(gate: str) -> str:
    """The scope of a gate in words."""
    return SCOPE.get(gate, ("every arm", _every))[0]


def failed_gates(cell: Cell, failed: Sequence[str]) -> list[str]:
    """Return those of the failed gates that void an arm."""
    return [gate for gate in failed if SCOPE.get(gate, ("", _every))[1](cell)]
