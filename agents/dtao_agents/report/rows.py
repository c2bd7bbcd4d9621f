"""Drawings of charts made of rows: intervals, small multiples, waterfalls, strips of shares."""

from collections.abc import Mapping, Sequence
from html import escape

from dtao_agents.evaluation.statistics import span
from dtao_agents.report import scales
from dtao_agents.report.charts import (
    IntervalPlot,
    IntervalRow,
    Panels,
    ShareStrip,
    Waterfall,
    colours,
)
from dtao_agents.report.marks import (
    Key,
    band_keys,
    box,
    element,
    interval_at,
    label,
    legend,
    line,
    series_keys,
    tip_of,
)
from dtao_agents.report.scales import Scale

UP, DOWN, TOTAL = 5, 0, 8
"""Colours of contributions that add and that subtract, and of totals."""
LEAST_LABELLED_SHARE = 0.09
"""Smallest share that is written inside its part of a strip."""


def draw_intervals(plot: IntervalPlot, alt: str) -> str:
    """Return an interval plot as markup; `alt` names the whole."""
    chosen = colours(each.series for each in plot.intervals)
    return _legend_of([plot], chosen) + _interval_rows(plot, _scale_of([plot]), chosen, alt)


def draw_panels(panels: Panels, alt: str) -> str:
    """Return small interval plots with a common axis as markup."""
    plots = list(panels.panels.values())
    scale = _scale_of(plots)
    chosen = colours(each.series for plot in plots for each in plot.intervals)
    parts = [
        element(
            "div",
            element("p", escape(title), class_="panel-title")
            + _interval_rows(plot, scale, chosen, title),
            class_="panel",
        )
        for title, plot in panels.panels.items()
    ]
    grid = element("div", "".join(parts), class_="panels", role="group", aria_label=alt)
    return _legend_of(plots, chosen) + grid


def _scale_of(plots: Sequence[IntervalPlot]) -> Scale:
    first = plots[0]
    if first.span is not None:
        return Scale(*first.span)
    include = [0.0] if first.zero else []
    include += [-first.band, first.band] if first.band else []
    return scales.fit([x for plot in plots for x in plot.finite], include)


def _legend_of(plots: Sequence[IntervalPlot], chosen: Mapping[str, int]) -> str:
    first = plots[0]
    keys = series_keys(first.names, chosen)
    keys = keys if len(keys) > 1 else []
    used = {each.marker for plot in plots for each in plot.intervals}
    keys += [
        Key(text, marker=marker) for marker, text in first.marker_names.items() if marker in used
    ]
    keys += band_keys(first.band)
    return legend(keys) if keys else ""


def _interval_rows(plot: IntervalPlot, scale: Scale, chosen: Mapping[str, int], alt: str) -> str:
    backdrop = _backdrop(scale, plot.band)
    rows: list[str] = []
    group = ""
    for each in plot.intervals:
        if each.group != group:
            group = each.group
            rows.append(element("p", escape(group), class_="row-group") if group else "")
        value = "not measured" if each.estimate is None else span(each.estimate, plot.form)
        drawn = "" if each.estimate is None else interval_at(scale, each.estimate, each.marker)
        rows.append(
            _row(
                each.label,
                backdrop + drawn,
                value,
                tip_of(each, plot.form, plot.unit),
                f"c{chosen[each.series]}",
                f"s{list(chosen).index(each.series)}",
            )
        )
    return _rows(rows, scale, plot.unit, alt)


def _row(text: str, drawn: str, value: str, tip: str, name: str, key: str | None = None) -> str:
    """Return a row: its label, its track, its value; the tip is its name for screen readers."""
    track = _track(drawn, name)
    content = (
        element("span", escape(text), class_="row-label")
        + track
        + element("span", escape(value), class_="row-value")
    )
    return element(
        "div", content, class_="row mark", role="img", aria_label=tip, data_tip=tip, data_key=key
    )


def _track(drawn: str, name: str) -> str:
    return element("span", element("svg", drawn, class_=name, aria_hidden="true"), class_="track")


def _rows(rows: Sequence[str], scale: Scale, unit: str, alt: str) -> str:
    axis = _track(_tick_labels(scale), "axis")
    rows = [
        *rows,
        element("div", f"<span></span>{axis}<span></span>", class_="row", aria_hidden="true"),
        element("p", escape(unit), class_="unit"),
    ]
    grid = element("div", "\n".join(row for row in rows if row), class_="row-grid")
    return element("div", grid, class_="rows", role="group", aria_label=alt)


def _tick_labels(scale: Scale) -> str:
    ticks = scale.ticks()
    texts = scales.tick_text(ticks)
    return "".join(
        label(text, scale.place(tick), 50, "tick") for tick, text in zip(ticks, texts, strict=True)
    )


def _backdrop(scale: Scale, band: float) -> str:
    left, right = scale.place(-band), scale.place(band)
    parts = [box(left, 0, right - left, 100, "band")] if right > left else []
    parts += [line(scale.place(tick), 0, scale.place(tick), 100, "grid") for tick in scale.ticks()]
    if scale.holds(0.0):
        parts.append(line(scale.place(0.0), 0, scale.place(0.0), 100, "zero"))
    return "".join(parts)


def draw_waterfall(waterfall: Waterfall, alt: str) -> str:
    """Return a waterfall as markup: a bar for each contribution, from the sum of those before it."""
    bars = _bars(waterfall)
    ends = [end for _, *extent in bars for end in extent]
    reach = []
    for row, low, high in bars:
        assert row.estimate is not None  # checked by Waterfall
        shift = (high if row.estimate.value >= 0.0 else low) - row.estimate.value
        reach += [row.estimate.low + shift, row.estimate.high + shift]
    scale = scales.fit([*ends, *reach], [0.0])
    backdrop = _backdrop(scale, 0.0)
    rows = []
    for row, low, high in bars:
        assert row.estimate is not None
        value = row.estimate.value
        shift = (high if value >= 0.0 else low) - value
        left, right = scale.place(low), scale.place(high)
        drawn = box(left, 20, right - left, 60, "bar") + line(
            scale.place(row.estimate.low + shift),
            50,
            scale.place(row.estimate.high + shift),
            50,
            "bar-whisker",
        )
        whole = row is waterfall.total or row is waterfall.start
        colour = TOTAL if whole else UP if value >= 0.0 else DOWN
        text = span(row.estimate, waterfall.form)
        tip = tip_of(row, waterfall.form, waterfall.unit)
        rows.append(_row(row.label, backdrop + drawn, text, tip, f"c{colour}"))
    return _rows(rows, scale, waterfall.unit, alt)


def _bars(waterfall: Waterfall) -> list[tuple[IntervalRow, float, float]]:
    """Return rows with the ends of their bars; steps float, start and total begin at 0."""
    bars, sum_before = [], 0.0
    for row in waterfall.rows:
        assert row.estimate is not None
        begin = 0.0 if row is waterfall.total else sum_before
        end = begin + row.estimate.value
        bars.append((row, min(begin, end), max(begin, end)))
        sum_before = end
    return bars


def draw_shares(strip: ShareStrip, alt: str) -> str:
    """Return strips of shares as markup."""
    chosen = colours(strip.parts)
    names = {part: strip.names.get(part, part) for part in strip.parts}
    keys = [Key(names[part], chosen[part], marker="square") for part in strip.parts]
    rows = []
    for text, shares in strip.rows.items():
        drawn, left = "", 0.0
        for part, share in shares.items():
            width = 100.0 * share
            inner = box(round(left, 2), 12, max(width - 0.3, 0.0), 76, "bar")
            if share >= LEAST_LABELLED_SHARE:
                inner += label(f"{share:{strip.form}}", round(left + width / 2, 2), 50, "on-bar")
            drawn += element("g", inner, class_=f"c{chosen[part]}")
            left += width
        spoken = ", ".join(f"{names[part]} {share:{strip.form}}" for part, share in shares.items())
        rows.append(_row(text, drawn, "", f"{text}: {spoken}", "strip"))
    grid = element("div", "\n".join(rows), class_="row-grid")
    return legend(keys) + element("div", grid, class_="rows", role="group", aria_label=alt)
