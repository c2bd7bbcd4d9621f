"""All oracles that need no learner: those of algebra and those that rules or the engine simulate."""

from dtao_agents.oracles import closed, markets, simulated
from dtao_agents.oracles.table import NUMBERS, Progress, Row


def collect(kind: str, progress: Progress) -> list[Row]:
    """Rows of a kind, sorted by id.

    Parameters
    ----------
    kind : {"A", "S", "all"}
        Algebra, simulated, or both.
    progress : callable
        Called with the name of what is being computed.
    """
    modules = (closed, markets) if kind == "A" else (closed, markets, simulated)
    rows = [row for module in modules for row in module.rows(progress) if kind in ("all", row.kind)]
    return sorted(rows, key=lambda row: list(NUMBERS).index(row.id))
