"""All oracles that need no learner: closed forms, and their simulation by rules or by the engine."""

from typing import Literal

from dtao_agents.oracles import closed, markets, simulated
from dtao_agents.oracles.table import NUMBERS, OracleCheck, Progress


def collect(kind: Literal["A", "S", "all"], progress: Progress) -> list[OracleCheck]:
    """Run the oracles of a kind.

    Parameters
    ----------
    kind : {"A", "S", "all"}
        Algebra, simulated, or both.
    progress : callable
        Called with a description of each computation when it starts.

    Returns
    -------
    list of OracleCheck
        In the order of the table of expected numbers.
    """
    modules = (closed, markets) if kind == "A" else (closed, markets, simulated)
    checks = [
        check
        for module in modules
        for check in module.checks(progress)
        if kind in ("all", check.kind)
    ]
    return sorted(checks, key=lambda check: list(NUMBERS).index(check.id))
