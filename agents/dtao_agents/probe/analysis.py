"""All contrasts of a probe, from its plan and the solutions of its cells."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from math import factorial
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.equilibrium.first_order import ANGLES
from dtao_agents.equilibrium.slot_records import Parameter
from dtao_agents.probe.cells import FEE, Cell, all_cells, cells_of_block, identity, ladder
from dtao_agents.probe.contrasts import (
    Combined,
    Contrast,
    Question,
    Term,
    combine,
    difference,
    holm,
    judged,
    voided,
)
from dtao_agents.probe.gate_scope import failed_gates
from dtao_agents.probe.plan import Block, Plan
from dtao_agents.probe.solutions import Solution

MARKET, VOTE = "price", "root_vote"
"""Institutions of the second question: does the market crowd out more than the vote before it?"""
ALL_CHANNELS = "all channels"
"""Name of the sum of the channels' parts."""


class Rung(NamedTuple):
    """A step of the ladder from the plain fee arm to an arm: its name and what it adds to crowding out."""

    step: str
    adds: Combined | None


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that the page says of equilibria.

    Attributes
    ----------
    plan : Plan
        Settings.
    cells : sequence of Cell
        All cells, references too.
    solutions : mapping
        Solutions by `identity`; missing where a cell has not been computed.
    contrasts : sequence of Contrast
        After Holm's correction, void where gates failed.
    ladders : mapping of str to sequence of Rung
        By the name of the arm.
    failed : sequence of str
        Gates that failed.
    """

    plan: Plan
    cells: Sequence[Cell]
    solutions: Mapping[tuple[Any, ...], Solution]
    contrasts: Sequence[Contrast] = ()
    ladders: Mapping[str, Sequence[Rung]] = field(default_factory=dict)
    failed: Sequence[str] = ()

    def solution(self, cell: Cell) -> Solution | None:
        """Solution of a cell, None where it has not been computed."""
        return self.solutions.get(identity(cell))

    def of(self, family: str) -> list[Contrast]:
        """Contrasts of a family."""
        return [c for c in self.contrasts if c.family == family]

    @property
    def missing(self) -> list[Cell]:
        """Cells that have not been computed."""
        return [cell for cell in self.cells if identity(cell) not in self.solutions]


def analyse(
    plan: Plan, solutions: Mapping[tuple[Any, ...], Solution], failed: Sequence[str] = ()
) -> Analysis:
    """Make all contrasts.

    Parameters
    ----------
    plan : Plan
        The plan.
    solutions : mapping
        Solutions by `identity` of their cells.
    failed : sequence of str
        Gates that failed: contrasts of the arms that they void have no verdict.
    """
    analysis = Analysis(plan, all_cells(plan), solutions, failed=failed)
    contrasts: list[Contrast] = []
    ladders: dict[str, Sequence[Rung]] = {}
    for block in plan.blocks:
        cells = cells_of_block(plan, block)
        if block.references:
            ladders |= {cell.name: _ladder(analysis, cell) for cell in cells}
        contrasts += _of_block(analysis, block, cells)
    return Analysis(plan, analysis.cells, solutions, holm(contrasts), ladders, failed)


def _of_block(analysis: Analysis, block: Block, cells: Sequence[Cell]) -> Iterator[Contrast]:
    """Contrasts of a block."""
    if block.sobol is not None:
        return
    if block.channels:
        yield from _shapley(analysis, block, cells)
        return
    if block.references:
        for cell in cells:
            yield from _crowding_out(analysis, block, cell)
    yield from _between(analysis, block, cells)
    if len(block.doses) > 1:
        yield from _doses(analysis, block, cells)


# --- arms


def _pair(
    analysis: Analysis, cell: Cell, name: str = "research share"
) -> tuple[Parameter, int] | None:
    """A parameter of a solution and the columns of its design; None where it has no number."""
    solution = analysis.solution(cell)
    parameter = None if solution is None else solution.named(name)
    if solution is None or parameter is None or _bound(analysis, cell):
        return None
    return parameter, solution.columns


def gap(
    analysis: Analysis, one: Cell, other: Cell, name: str = "research share"
) -> Combined | None:
    """Log-odds of research of `one` less those of `other`, in class `name`; None without a number."""
    first, second = _pair(analysis, one), _pair(analysis, other, name)
    return None if first is None or second is None else difference(first, second)


def bound_sign(analysis: Analysis, one: Cell, other: Cell) -> int:
    """Return the sign of `gap` where a cell is at a bound of the research share: 1, -1, or 0 where there is none.

    At a bound every builder gains by going further at all shares that the game allows, so that the gap has a sign but no size.
    """
    solutions = [analysis.solution(cell) for cell in (one, other)]
    if any(found is None or found.verdict == "indeterminate" for found in solutions):
        return 0
    first, second = (_bound(analysis, cell) for cell in (one, other))
    return int(np.sign(first - second))


def _bound(analysis: Analysis, cell: Cell) -> int:
    """-1 or 1 where all builders are at the lowest or highest research share, else 0."""
    solution = analysis.solution(cell)
    if solution is None or solution.verdict != "at a bound":
        return 0
    place = solution.population[0, 0]
    reached = min(abs(place - bound) for bound in ANGLES) < 1e-3
    if "research share" not in solution.at_bound and not reached:
        return 0
    return 1 if place > 0.5 * np.pi else -1


def lambda_of(analysis: Analysis, cell: Cell, name: str = "research share") -> Combined | None:
    """Crowding out of an arm: log-odds of the nearest reference less those of the arm."""
    return gap(analysis, ladder(cell)[-1], cell, name)


def _ladder(analysis: Analysis, cell: Cell) -> list[Rung]:
    rungs = [*ladder(cell), cell]
    return [
        Rung(_step(before, after), gap(analysis, before, after))
        for before, after in pairwise(rungs)
    ]


def _step(before: Cell, after: Cell) -> str:
    """Name of a step of the ladder."""
    if before.config.finance != after.config.finance:
        return "finance adds"
    return "pruning adds" if before.pruning != after.pruning else "the institution adds"


def _gates(analysis: Analysis, contrast: Contrast, *cells: Cell) -> Contrast:
    failed = sorted({gate for cell in cells for gate in failed_gates(cell, analysis.failed)})
    return voided(contrast, failed) if failed else contrast


def _judged(
    analysis: Analysis,
    family: str,
    cells: Sequence[Cell],
    setting: str,
    question: Question,
    combined: Combined | None,
    block: Block | None = None,
    bound: int = 0,
) -> Contrast:
    """Contrast of cells, the first of which names the institution.

    `block` is that of a contrast that a plan may name beforehand; `bound` is the sign of a gap without a size.
    """
    contrast = judged(
        family,
        cells[0].institution,
        setting,
        question,
        combined,
        analysis.plan.smallest_effect,
        block is not None and block.primary,
        block is not None and _named(block, cells),
        _why_none(analysis, cells),
        bound,
    )
    return _gates(analysis, contrast, *cells)


def _named(block: Block, cells: Sequence[Cell]) -> bool:
    """Whether a plan named contrasts of cells of a block beforehand."""
    institutions = block.named or block.institutions
    first = block.moving_prices[0]
    return block.primary and all(
        cell.institution in institutions and cell.moving_price == first for cell in cells
    )


def _why_none(analysis: Analysis, cells: Sequence[Cell]) -> str:
    """Why there is no number."""
    reasons = []
    for cell in cells:
        solution = analysis.solution(cell)
        if solution is None:
            reasons.append(f"{cell.name}: not computed")
        elif solution.verdict != "solved":
            reasons.append(f"{cell.name}: {solution.verdict}")
    return "; ".join(reasons) or "no research share to compare"


def _crowding_out(analysis: Analysis, block: Block, cell: Cell) -> Iterator[Contrast]:
    solution = analysis.solution(cell)
    names = ["research share"]
    if solution is not None and cell.strategy.startswith("thirds"):
        names = [p.name for p in solution.parameters]
    if cell.strategy == "feedback":
        return
    for name in names:
        which = name.removesuffix("research share").strip(", ")
        setting = ", ".join(part for part in (cell.setting, which) if part)
        combined = lambda_of(analysis, cell, name)
        bound = bound_sign(analysis, ladder(cell)[-1], cell)
        yield _judged(analysis, "crowding out", [cell], setting, "exceeds", combined, block, bound)


def _between(analysis: Analysis, block: Block, cells: Sequence[Cell]) -> Iterator[Contrast]:
    """Contrasts of arms that differ in one thing: market and vote, pruning, speed of the moving price."""
    if block.strategy != "share":
        return
    by = {(c.institution, c.payment, c.pruning, c.moving_price, c.changes): c for c in cells}
    for (institution, payment, pruning, speed, changes), cell in by.items():
        if institution == VOTE:
            market = by.get((MARKET, payment, pruning, speed, changes))
            if market is not None:
                combined = gap(analysis, cell, market)
                pair = [market, cell]
                yield _judged(
                    analysis,
                    "market less vote",
                    pair,
                    cell.setting,
                    "exceeds",
                    combined,
                    block,
                    bound_sign(analysis, cell, market),
                )
        pruned = by.get((institution, payment, True, speed, changes))
        if not pruning and pruned is not None:
            yield _judged(
                analysis,
                "pruning",
                [cell, pruned],
                pruned.setting,
                "exceeds",
                gap(analysis, cell, pruned),
                bound=bound_sign(analysis, cell, pruned),
            )
        fast = by.get((institution, payment, pruning, "fast", changes))
        if speed == "slow" and fast is not None:
            yield _judged(
                analysis,
                "moving price",
                [fast, cell],
                fast.setting,
                "no effect",
                gap(analysis, cell, fast),
                bound=bound_sign(analysis, cell, fast),
            )


# --- doses and channels


def _doses(analysis: Analysis, block: Block, cells: Sequence[Cell]) -> Iterator[Contrast]:
    """Change of crowding out along a fitted line over the doses, or against the first dose where they are no numbers."""
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.arm, []).append(cell)
    for group in groups.values():
        first, *others = group
        name, places = dose_values(group)
        if places is not None and block.references:
            group = [group[k] for k in np.argsort(places, kind="stable")]
            places = np.sort(places)
            combined = _along(analysis, group, line_weights(places))
            setting = f"{first.place}, from {places[0]:g} to {places[-1]:g} of {name}"
            yield _judged(analysis, "slope", group, setting, "exceeds", combined)
        elif places is None:  # remedies: less crowding out is a gain
            for other in others:
                change = gap(analysis, other, first)
                setting = other.setting
                yield _judged(analysis, "remedy", [other, first], setting, "exceeds", change)


def dose_values(group: Sequence[Cell]) -> tuple[str, np.ndarray | None]:
    """Name and values of the dose of a group: the number that one or several world parameters are set to.

    None where the doses vary in another way.
    """
    names = {tuple(name for name, _ in cell.changes) for cell in group}
    values = [{value for _, value in cell.changes} for cell in group]
    if len(names) != 1 or any(len(v) != 1 for v in values):
        return "", None
    numbers = [v.pop() for v in values]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers):
        return "", None
    if len(set(numbers)) < 2:
        return "", None
    return " and ".join(names.pop()), np.array(numbers, float)


def line_weights(places: np.ndarray) -> np.ndarray:
    """Weights of values at `places` in the change along their least-squares line from the first to the last place."""
    centred = places - places.mean()
    return centred * (places[-1] - places[0]) / (centred**2).sum()


def _along(analysis: Analysis, group: Sequence[Cell], weights: np.ndarray) -> Combined | None:
    """Weighted sum of the crowding out of several arms."""
    terms = []
    for cell, weight in zip(group, weights, strict=True):
        arm, reference = _pair(analysis, cell), _pair(analysis, ladder(cell)[-1])
        if arm is None or reference is None:
            return None
        terms += [Term(float(weight), *reference), Term(-float(weight), *arm)]
    return combine(terms)


def _shapley(analysis: Analysis, block: Block, cells: Sequence[Cell]) -> Iterator[Contrast]:
    """Part of each channel in crowding out, averaged over orders (Shapley 1953), and that of all of them together."""
    names = list(block.channels)
    groups: dict[tuple[Any, ...], dict[frozenset[str], Cell]] = {}
    for cell in cells:
        off = frozenset(name for name, _ in cell.changes)
        key = (cell.institution, cell.config.payment, cell.moving_price)
        groups.setdefault(key, {})[off] = cell
    for by_off in groups.values():
        full = by_off[frozenset()]
        together = gap(analysis, by_off[frozenset(names)], full)
        place = f"{full.payment}, {full.moving_price}"
        used = list(by_off.values())
        yield _judged(analysis, "channel", used, f"{place}: {ALL_CHANNELS}", "exceeds", together)
        for name in names:
            terms = _shapley_terms(analysis, by_off, names, name)
            combined = combine(terms) if terms else None
            yield _judged(analysis, "channel", used, f"{place}: {name}", "exceeds", combined)


def _shapley_terms(
    analysis: Analysis, by_off: Mapping[frozenset[str], Cell], names: Sequence[str], name: str
) -> list[Term] | None:
    others = [other for other in names if other != name]
    terms: list[Term] = []
    for count in range(len(others) + 1):
        weight = factorial(count) * factorial(len(others) - count) / factorial(len(names))
        for off in combinations(others, count):
            without = _pair(analysis, by_off[frozenset(off) | {name}])
            with_channel = _pair(analysis, by_off[frozenset(off)])
            if without is None or with_channel is None:
                return None
            terms += [Term(weight, *without), Term(-weight, *with_channel)]
    return terms


def arms(cells: Sequence[Cell]) -> list[Cell]:
    """Cells that are no references."""
    return [cell for cell in cells if cell.institution != FEE]
