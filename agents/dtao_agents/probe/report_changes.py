"""Section of the page on what would change the answer: doses, channels, remedies, closed forms, a Sobol design."""

from collections.abc import Iterator, Sequence

import numpy as np

from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe import curves
from dtao_agents.probe.analysis import ALL_CHANNELS, dose_values, lambda_of
from dtao_agents.probe.cells import Cell, cells_of_block, salib_problem
from dtao_agents.probe.contrasts import Contrast
from dtao_agents.probe.evidence import Evidence
from dtao_agents.probe.plan import Block as PlanBlock
from dtao_agents.probe.plan import base_world
from dtao_agents.report.blocks import Block, Bullets, Chart, Column, Paragraph, Table
from dtao_agents.report.charts import IntervalPlot, IntervalRow, Line, LinePlot, Waterfall
from dtao_agents.report.glossary import plain_name

FEWEST_POINTS = 8
"""Fewest base points from which Sobol indices are estimated."""


def changes(evidence: Evidence) -> Iterator[Block]:
    """Blocks of the section."""
    analysis = evidence.analysis
    undecided = [c for c in analysis.contrasts if c.verdict == "undecided" and c.blocks_needed]
    for family, title, caption in (
        ("slope", "Crowding out along each dose", "Change along a fitted line, log-odds."),
        ("remedy", "What each remedy adds to research", "Log-odds of research with less without."),
        ("channel", "Parts of the channels in crowding out", "Shapley values, log-odds."),
    ):
        found = analysis.of(family)
        if any(c.estimate is not None for c in found):
            yield from _family_chart(evidence, found, title, caption)
    yield from _remedies(evidence)
    yield from _dose_charts(evidence)
    yield from _sobol(evidence)
    yield from _closed_forms(evidence)
    if undecided:
        yield Paragraph("More worlds would decide these:")
        yield Bullets([f"{c.family}, {c.name}: {c.blocks_needed:,} blocks" for c in undecided[:12]])


def in_words(contrast: Contrast) -> str:
    """Number and verdict of a contrast."""
    if contrast.estimate is None:
        return f"{contrast.verdict} ({contrast.reason})"
    value, low, high = contrast.estimate
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f}), {contrast.verdict}"


def _family_chart(
    evidence: Evidence, found: Sequence[Contrast], title: str, caption: str
) -> Iterator[Block]:
    if found[0].family == "channel":
        yield from _waterfalls(found)
        return
    rows = [
        IntervalRow(
            c.setting, c.estimate, c.institution, group=plain_name(c.institution), note=c.verdict
        )
        for c in sorted(found, key=lambda c: c.institution)
    ]
    largest = max((c for c in found if c.estimate), key=lambda c: abs(c.estimate.value))  # type: ignore[union-attr]
    stated = f"{title}: largest for {largest.name} ({in_words(largest)})"
    plot = IntervalPlot(rows, "log-odds", band=evidence.plan.smallest_effect)
    alt = "; ".join(f"{c.name}: {in_words(c)}" for c in found)
    yield Chart(stated, plot, alt, caption, found[0].family)


def _waterfalls(found: Sequence[Contrast]) -> Iterator[Block]:
    groups: dict[tuple[str, str], list[Contrast]] = {}
    for contrast in found:
        place = contrast.setting.rpartition(": ")[0]
        groups.setdefault((contrast.institution, place), []).append(contrast)
    for (institution, place), parts in groups.items():
        total, parts = parts[0], parts[1:]
        if total.estimate is None or any(c.estimate is None for c in parts):
            continue
        steps = [
            IntervalRow(c.setting.rpartition(": ")[2], c.estimate, c.institution) for c in parts
        ]
        whole = IntervalRow(ALL_CHANNELS, total.estimate, institution)
        largest = max(parts, key=lambda c: c.estimate.value if c.estimate else 0.0)
        channel = largest.setting.rpartition(": ")[2]
        title = f"Channels, {plain_name(institution)}, {place}: {channel} adds most"
        alt = "; ".join(
            f"{step.label}: {in_words(c)}" for step, c in zip(steps, parts, strict=True)
        )
        figure = Waterfall(steps, "crowding out, log-odds", whole)
        yield Chart(title, figure, alt, "Averaged over all orders of switching the channels off.")


def _remedies(evidence: Evidence) -> Iterator[Block]:
    """Remedies ranked by what they add to welfare per TAO that they move."""
    measure = "gain in welfare per TAO moved by a remedy"
    found = [f for f in evidence.findings.get("C7", ()) if f.measure == measure]
    ranked = sorted(found, key=lambda f: -f.estimate.value)
    rows = [[f.setting, f.estimate, f.verdict or ""] for f in ranked]
    if rows:
        columns = [Column("remedy"), Column("TAO of welfare per TAO moved", "+.2f"), Column("adds")]
        yield Table(columns, rows, "Remedies by welfare per TAO moved", "remedies")


def _dose_charts(evidence: Evidence) -> Iterator[Block]:
    """Research share and reference along each dose, one chart for each block of doses."""
    for block in evidence.plan.blocks:
        if len(block.doses) < 2 or not block.references or block.strategy != "share":
            continue
        groups: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells_of_block(evidence.plan, block):
            groups.setdefault((cell.institution, cell.place), []).append(cell)
        lines, name = [], ""
        for (institution, place), cells in groups.items():
            name, places = dose_values(cells)
            if places is None:
                continue
            gaps = [lambda_of(evidence.analysis, cell) for cell in cells]
            points = [(float(x), g.estimate) for x, g in zip(places, gaps, strict=True) if g]
            if len(points) > 1:
                label = f"{plain_name(institution)}, {place.split(', ')[1]}"
                lines.append(Line(label, points, institution, dashed="no pruning" in place))
        if lines:
            figure = LinePlot(
                lines, name, "crowding out, log-odds", band=evidence.plan.smallest_effect
            )
            title = f"{block.name}: crowding out along {name}"
            alt = "; ".join(
                f"{line.label}: from {line.estimates[0][1].value:+.2f} to {line.estimates[-1][1].value:+.2f}"
                for line in lines
            )
            yield Chart(title, figure, alt, "Bands are 95 % intervals of each point.")


def _sobol(evidence: Evidence) -> Iterator[Block]:
    """Sobol indices of the log-odds of research, where every cell of a design has been computed.

    A base point with a cell that has no number is left out with all of its cells, and the caption says so.
    """
    for block in evidence.plan.blocks:
        values = None if block.sobol is None else _log_odds(evidence, block)
        if values is None:
            continue
        from SALib.analyze import sobol

        assert block.sobol is not None
        by_point = values.reshape(block.sobol.points, -1)
        kept = np.isfinite(by_point).all(axis=1)
        if kept.sum() < FEWEST_POINTS:
            continue
        values = by_point[kept].ravel()
        found = sobol.analyze(salib_problem(block), values, calc_second_order=False, seed=0)
        rows = [
            IntervalRow(name, Estimate(total, total - half, total + half))
            for name, total, half in zip(
                salib_problem(block)["names"], found["ST"], found["ST_conf"], strict=True
            )
        ]
        largest = max(rows, key=lambda row: row.estimate.value if row.estimate else 0.0)
        title = f"{block.name}: {largest.label} moves the research share most"
        alt = "; ".join(f"{row.label}: {row.estimate.value:.2f}" for row in rows if row.estimate)
        caption = (
            "Total Sobol indices: part of the variance of the log-odds of research that goes with a parameter. "
            f"{kept.sum()} base points"
        )
        caption += (
            f"; {(~kept).sum()} left out, where a cell has no number." if not kept.all() else "."
        )
        yield Chart(title, IntervalPlot(rows, "total index", form=".2f"), alt, caption)


def _log_odds(evidence: Evidence, block: PlanBlock) -> np.ndarray | None:
    """Log-odds of all cells of a block, those at a bound there, NaN without a number; None where one is missing."""
    values = []
    for cell in cells_of_block(evidence.plan, block):
        solution = evidence.analysis.solution(cell)
        if solution is None:
            return None
        share = float(np.sin(0.5 * solution.population[0, 0]) ** 2)
        known = solution.verdict != "indeterminate"
        values.append(np.log(share / (1.0 - share)) if known else np.nan)
    return np.array(values)


def _closed_forms(evidence: Evidence) -> Iterator[Block]:
    world = base_world(evidence.plan)
    critical = curves.ClosedFormMarket(world).critical_informed_share()
    neutral = (
        "no informed share makes the market neutral"
        if critical is None
        else f"the market is neutral where {critical:.0%} of stakers are informed, and above that it funds more research than "
        "users' fees"
    )
    yield Paragraph(
        f"In closed form, without frictions, {neutral}. The engine adds builders who invest out of income, noise, pools of "
        "finite depth, growing stocks and pruning."
    )
    rows = [[variant.label, variant.value] for variant in curves.variants(world)]
    columns = [Column("closed form"), Column("crowding out, log-odds", "+.2f")]
    yield Table(columns, rows, "Crowding out in closed form", "closed-forms", folded=True)
