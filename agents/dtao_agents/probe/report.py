"""The page of a probe: the answer, the picture, the claims, what this rests on, what would change it, all numbers."""

from collections.abc import Iterator
from pathlib import Path

from dtao_agents.equilibrium.game import share_of
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe.analysis import lambda_of
from dtao_agents.probe.answer import against_both, sentences, tax
from dtao_agents.probe.cells import Cell, ladder
from dtao_agents.probe.checks import COLUMNS
from dtao_agents.probe.contrasts import Contrast, count_verdicts
from dtao_agents.probe.evidence import Evidence
from dtao_agents.probe.gate_scope import scope_of
from dtao_agents.probe.report_changes import changes, in_words
from dtao_agents.probe.report_claims import claim_sections, claims_table
from dtao_agents.probe.solutions import engine
from dtao_agents.report.blocks import (
    Answer,
    Block,
    Bullets,
    CellValue,
    Chart,
    Citation,
    Code,
    Column,
    Heading,
    Paragraph,
    Table,
)
from dtao_agents.report.charts import (
    IntervalPlot,
    IntervalRow,
    Marker,
    Panels,
)
from dtao_agents.report.glossary import plain_name
from dtao_agents.report.page import write_page

TITLE = "Do subnet markets crowd out long-term research?"
CITATION = """@software{dtao_gym,
  title = {dtao_gym: a Gymnasium environment of Bittensor's subnet market},
  author = {{dtao_gym contributors}},
  year = {2026},
  url = {https://github.com/dtao-gym/dtao-gym}
}"""
AXIS = (-1.5, 3.0)
"""Ends of the axis of crowding out, log-odds."""


def write_report(evidence: Evidence, folder: Path) -> None:
    """Write report.html and report.md into a folder."""
    write_page(folder, TITLE, blocks(evidence), evidence.facts)


def blocks(evidence: Evidence) -> list[Block]:
    """All parts of the page."""
    return [
        Answer(sentences(evidence), " ".join(against_both(evidence))),
        *_picture(evidence),
        Heading("The claims, one by one", anchor="claims"),
        Paragraph(
            "Each claim of the debate is a statement about a number. **Supported** means that the 95 % interval lies on the "
            "claim's side of the threshold, **refuted** that it lies on the other, **undecided** that it holds the threshold. No "
            "verdict is a vote over settings: each line is one institution in one setting."
        ),
        claims_table(evidence),
        *claim_sections(evidence),
        Heading("What this rests on", anchor="basis"),
        *_basis(evidence),
        Heading("What would change it", anchor="changes"),
        *changes(evidence),
        Heading("All numbers", anchor="numbers"),
        *_numbers(evidence),
        Heading("Cite", anchor="cite"),
        Citation(CITATION),
        Heading("The plan", anchor="plan"),
        Paragraph(
            f"Hash of the plan, fixed before the confirmatory seeds were drawn: `{evidence.plan.fingerprint}`."
        ),
        Code(evidence.plan.to_yaml()),
    ]


# --- pictures


def _picture(evidence: Evidence) -> Iterator[Block]:
    """Crowding out by institution in every setting of the primary blocks."""
    shown = [c for c in evidence.analysis.of("crowding out") if c.primary] or evidence.analysis.of(
        "crowding out"
    )
    settings: dict[str, list[Contrast]] = {}
    for contrast in shown:
        settings.setdefault(_panel(contrast), []).append(contrast)
    panels = {
        name: IntervalPlot(
            [_row(c) for c in contrasts],
            "crowding out, log-odds",
            band=evidence.plan.smallest_effect,
            span=AXIS,
            marker_names={"circle": "fast moving price", "square": "slow moving price"}
            if any("slow" in c.setting for c in shown)
            else {},
        )
        for name, contrasts in settings.items()
        if any(c.estimate is not None for c in contrasts)
    }
    if not panels:
        return
    counts = count_verdicts(shown)
    counted = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    title = f"Crowding out by institution: {counted}"
    alt = "; ".join(f"{c.name}: {in_words(c)}" for c in shown)
    caption = (
        "Points to the right of the band: builders do less research than users would pay for. Points to the left: more. "
        "The band holds effects too small to matter."
    )
    yield Chart(title, Panels(panels), alt, caption, "crowding-out")


def _panel(contrast: Contrast) -> str:
    payment, pruning, *_ = contrast.setting.split(", ")
    paid = "paid in TAO by share" if payment == "direct" else "paid in alpha"
    return f"{paid}, {pruning}"


def _row(contrast: Contrast) -> IntervalRow:
    marker: Marker = "square" if "slow" in contrast.setting else "circle"
    speed = ", slow" if marker == "square" else ""
    decided = contrast.verdict in ("supported", "refuted")
    off = ": off the scale" if contrast.estimate is None and decided else ""
    return IntervalRow(
        f"{plain_name(contrast.institution)}{speed}{off}",
        contrast.estimate,
        contrast.institution,
        note=f"{contrast.verdict}: {contrast.reason}",
        marker=marker,
    )


# --- what this rests on


def _basis(evidence: Evidence) -> Iterator[Block]:
    failed = evidence.analysis.failed
    if failed:
        yield Paragraph("**Gates that failed, and what they void:**")
        yield Bullets([f"{gate}: {scope_of(gate)}" for gate in failed])
    elif evidence.checks:
        count = sum(map(len, evidence.checks.values()))
        yield Paragraph(
            f"All {len(evidence.checks)} gates hold ({count} checks): closed forms that the engine and the estimator must "
            "meet, controls whose answer is known, a market whose demand lives, one pot of emission for all institutions, and prices "
            "as hard to predict as real ones. A gate that fails voids the verdicts that it bears on."
        )
    rows = [check.cells for of_gate in evidence.checks.values() for check in of_gate]
    if rows:
        yield Table(list(COLUMNS), rows, "Gates", "gates", folded=True)
    yield Paragraph(
        "An arm is compared with a reference that differs from it in one thing: its builders are paid by users for exactly "
        "their own value. The ladder shows what each step from the plain reference to the arm adds."
    )
    yield from _ladder_table(evidence)
    yield Paragraph(
        "Builders choose a strategy from which none of them gains by a small change. They are not learned here, stakers are "
        "not strategic, and voters have no private interest: the numbers say what the model's incentives do, not what happened."
    )


def _ladder_table(evidence: Evidence) -> Iterator[Block]:
    rows = []
    for name, rungs in evidence.analysis.ladders.items():
        steps = {rung.step: None if rung.adds is None else rung.adds.estimate for rung in rungs}
        rows.append(
            [
                name,
                steps.get("finance adds"),
                steps.get("pruning adds"),
                steps.get("the institution adds"),
            ]
        )
    if rows:
        columns = [
            Column("arm"),
            Column("finance adds", "+.2f"),
            Column("pruning adds", "+.2f"),
            Column("the institution adds", "+.2f"),
        ]
        caption = "Ladder from fee to arm, crowding out in log-odds"
        yield Table(columns, rows, caption, "ladder", folded=True)


# --- all numbers


def _numbers(evidence: Evidence) -> Iterator[Block]:
    analysis = evidence.analysis
    if analysis.missing:
        names = ", ".join(dict.fromkeys(cell.block for cell in analysis.missing))
        yield Paragraph(
            f"**Not computed**: {len(analysis.missing)} of {len(analysis.cells)} cells (blocks {names})."
        )
    now = engine()
    older = sum(found.engine != now for found in analysis.solutions.values())
    if older:
        yield Paragraph(
            f"{older} of {len(analysis.solutions)} cells were computed by other sources than those of this page; `dtao probe` "
            "computes them again."
        )
    yield Table(
        [
            Column("arm"),
            Column("research share of work", ".1%"),
            Column("log-odds", "+.2f"),
            Column("crowding out, log-odds", "+.2f"),
            Column("implicit tax on research", "+.0%"),
            Column("sampling ended by"),
            Column("world-runs", ",.0f"),
            Column("CPU seconds", ".1f"),
        ],
        [row for cell in analysis.cells if (row := _cell_row(evidence, cell)) is not None],
        "Cells: research share, crowding out and the tax on research that would do the same",
        "cells",
        folded=True,
    )
    columns = [
        Column("family"),
        Column("contrast"),
        Column("question"),
        Column("log-odds", "+.3f"),
        Column("verdict"),
        Column("named beforehand"),
        Column("p after Holm", ".2g"),
        Column("reason"),
    ]
    rows = [
        [
            c.family,
            c.name,
            f"{c.question} {evidence.plan.smallest_effect:g}",
            c.estimate,
            c.verdict,
            "yes" if c.named else "no",
            c.adjusted,
            c.reason,
        ]
        for c in analysis.contrasts
    ]
    if rows:
        yield Table(columns, rows, "Contrasts and verdicts", "contrasts", folded=True)


def _cell_row(evidence: Evidence, cell: Cell) -> list[CellValue] | None:
    solution = evidence.analysis.solution(cell)
    if solution is None:
        return None
    research = solution.research
    cost = [solution.stopped, solution.worlds, solution.seconds]
    if research is None:
        return [cell.name, solution.verdict, None, None, None, *cost]
    share = Estimate(*(float(share_of(x)) for x in research.estimate))
    gap = lambda_of(evidence.analysis, cell) if ladder(cell) else None
    estimate = None if gap is None else gap.estimate
    return [
        cell.name,
        share,
        research.estimate,
        estimate,
        None if estimate is None else tax(estimate),
        *cost,
    ]
