"""Measurements of claims C2 and C7 in the equilibria of a probe, as tasks that follow its cells."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dtao_agents.claims.finding import Finding
from dtao_agents.claims.merit import influence_findings, merit_findings, response_findings
from dtao_agents.claims.welfare import remedy_findings, welfare_findings
from dtao_agents.claims.welfare_measures import Arm
from dtao_agents.equilibrium.slot_records import Parameter
from dtao_agents.probe.cells import Cell, cells_of_block, identity, ladder
from dtao_agents.probe.measures import timed_record
from dtao_agents.probe.plan import Block, Plan
from dtao_agents.probe.solutions import Solution, inputs_of
from dtao_gym.sources import fingerprint


class CellMeasure(NamedTuple):
    """A measurement in one equilibrium, or between two.

    Attributes
    ----------
    name : str
        Readable name.
    claim : str
        "C2" or "C7".
    kind : {"merit", "influence", "welfare", "remedy"}
        What is measured.
    arm : Arm
        The equilibrium.
    other : Arm, optional
        The reference of a welfare, the remedy of a remedy.
    parameter : Parameter, optional
        The estimated share of influence.
    plan : Plan
        Seeds and number of worlds.
    """

    name: str
    claim: str
    kind: str
    arm: Arm
    other: Arm | None
    parameter: Parameter | None
    plan: Plan

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Everything that the findings depend on, but the sources."""
        arms = [self.arm] if self.other is None else [self.arm, self.other]
        return {
            "kind": self.kind,
            "arms": [
                {
                    "cell": inputs_of(arm.cell, self.plan),
                    "population": arm.population.tolist(),
                    "capitalisation": arm.capitalisation,
                }
                for arm in arms
            ],
        }

    @property
    def sources(self) -> str:
        """SHA-256 of the sources that the findings depend on."""
        module = "merit" if self.claim == "C2" else "welfare"
        return fingerprint(f"dtao_agents.claims.{module}")


def cell_measures(plan: Plan, solutions: Mapping[tuple[Any, ...], Solution]) -> list[CellMeasure]:
    """Measurements of a plan: merit and welfare in its primary cells, influence, remedies; none where it says so."""
    if plan.claims == "none":
        return []
    found: dict[str, CellMeasure] = {}
    for block in plan.blocks:
        cells = cells_of_block(plan, block)
        for measure in _of_block(plan, block, cells, solutions):
            found.setdefault(measure.name, measure)
    return list(found.values())


def _of_block(
    plan: Plan,
    block: Block,
    cells: Sequence[Cell],
    solutions: Mapping[tuple[Any, ...], Solution],
) -> Iterator[CellMeasure]:
    for cell in cells:
        arm = arm_of(cell, solutions)
        if arm is None:
            continue
        if cell.strategy == "influence":
            solution = solutions[identity(cell)]
            parameter = solution.named("influence share")
            name = f"C2 influence, {cell.name}"
            yield CellMeasure(name, "C2", "influence", arm, None, parameter, plan)
        elif block.primary and cell.moving_price == "fast":
            yield CellMeasure(f"C2 merit, {cell.name}", "C2", "merit", arm, None, None, plan)
            reference = arm_of(ladder(cell)[-1], solutions)
            if block.references and reference is not None:
                name = f"C7 welfare, {cell.name}"
                yield CellMeasure(name, "C7", "welfare", arm, reference, None, plan)
    if not block.references:
        yield from _remedies(plan, cells, solutions)


def _remedies(
    plan: Plan,
    cells: Sequence[Cell],
    solutions: Mapping[tuple[Any, ...], Solution],
) -> Iterator[CellMeasure]:
    """Remedies against the arm without changes, if there is one."""
    bases = {(c.institution, c.payment): c for c in cells if not c.changes}
    for cell in cells:
        base = bases.get((cell.institution, cell.payment))
        if base is None or not cell.changes or cell.strategy != "share":
            continue
        without, with_remedy = arm_of(base, solutions), arm_of(cell, solutions)
        if without is not None and with_remedy is not None:
            name = f"C7 remedy, {cell.name}"
            yield CellMeasure(name, "C7", "remedy", without, with_remedy, None, plan)


def arm_of(cell: Cell, solutions: Mapping[tuple[Any, ...], Solution]) -> Arm | None:
    """The equilibrium of a cell; None where it has none."""
    solution = solutions.get(identity(cell))
    if solution is None or solution.verdict == "indeterminate":
        return None
    return Arm(cell, solution.population, solution.capitalisation)


def measure_cell(measure: CellMeasure) -> dict[str, Any]:
    """Measure and return the record of the findings."""
    return timed_record(measure, lambda: _findings(measure))


def _findings(measure: CellMeasure) -> list[Finding]:
    arm, other, plan = measure.arm, measure.other, measure.plan
    equilibrium = arm.cell, plan, arm.population, arm.capitalisation
    if measure.kind == "merit":
        return [*merit_findings(*equilibrium), *response_findings(*equilibrium)]
    if measure.kind == "influence":
        return influence_findings(*equilibrium, measure.parameter)
    assert other is not None
    if measure.kind == "welfare":
        return welfare_findings(arm, other, plan)
    return remedy_findings(arm, other, plan)
