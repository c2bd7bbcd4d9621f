"""Drawings of curves over a common axis."""

from collections.abc import Sequence
from html import escape

from dtao_agents.evaluation.statistics import Estimate, span
from dtao_agents.report import scales
from dtao_agents.report.charts import MARKERS, Line, LinePlot, Marker, colours
from dtao_agents.report.marks import (
    Key,
    band_keys,
    box,
    element,
    key_text,
    label,
    legend,
    line,
    marker_at,
)
from dtao_agents.report.scales import Scale

LABEL_DISTANCE = 12.5
"""Least distance of labels at the ends of curves, percent of the height."""
MOST_END_LABELS = 8
MOST_MARKS = 25
"""Points of a curve with a value on hover."""
MOST_DRAWN_MARKS = 12
"""A joined curve with more points has no visible markers."""


def draw_lines(plot: LinePlot, alt: str) -> str:
    """Return a line plot as markup; `alt` names the whole."""
    x, y = _scales(plot)
    chosen = colours(curve.series or curve.label for curve in plot.curves)
    keys = [
        Key(
            curve.label,
            chosen[curve.series or curve.label],
            f"k{number}",
            MARKERS[number % len(MARKERS)],
            "dashed line" if curve.dashed else "marker" if _has_markers(curve) else "line",
        )
        for number, curve in enumerate(plot.curves)
    ]
    inside = _backdrop(x, y, plot.band)
    for key, curve in zip(keys, plot.curves, strict=True):
        inside += element(
            "g",
            _curve(curve, plot, x, y, key.marker),
            class_=f"c{key.colour}",
            data_key=key.key,
        )
    direct = len(keys) <= MOST_END_LABELS
    grid = (
        element("p", escape(plot.y_name), class_="unit y-name")
        + element("svg", _y_labels(y), class_="y-axis", aria_hidden="true")
        + _field(inside, x)
        + (element("div", _end_labels(plot.curves, keys, y), class_="ends") if direct else "")
        + element("p", escape(plot.x_name), class_="unit x-name")
    )
    drawn = element("div", element("div", grid, class_="line-grid"), class_="lines")
    above = legend(keys, "legend also-at-ends" if direct else "legend")
    above += legend(band_keys(plot.band)) if plot.band else ""
    return element("div", above + drawn, class_="line-plot", role="group", aria_label=alt)


def _scales(plot: LinePlot) -> tuple[Scale, Scale]:
    places = [place for curve in plot.curves for place, _ in curve.points]
    low, high = min(places), max(places)
    if plot.log_x:
        x = scales.fit(places, log=True)
    elif low < high:
        margin = 0.03 * (high - low)
        x = Scale(low - margin, high + margin)
    else:
        x = scales.fit(places)
    if plot.span is not None:
        return x, Scale(*plot.span)
    values = [end for curve in plot.curves for _, estimate in curve.estimates for end in estimate]
    include = [0.0] if plot.zero else []
    include += [-plot.band, plot.band] if plot.band else []
    return x, scales.fit(values, include)


def _has_markers(curve: Line) -> bool:
    return not curve.joined or len(curve.estimates) <= MOST_DRAWN_MARKS


def _field(inside: str, x: Scale) -> str:
    """Return the plot with its horizontal axis, in a container that scrolls when it is zoomed."""
    ticks = x.ticks(most=7)
    texts = "".join(
        label(text, x.place(tick), 50, "tick")
        for tick, text in zip(ticks, scales.tick_text(ticks), strict=True)
    )
    field = element("svg", inside, class_="field")
    axis = element("svg", texts, class_="x-axis", aria_hidden="true")
    return element("div", element("div", field + axis, class_="zoomed"), class_="zoom")


def _y_labels(y: Scale) -> str:
    ticks = y.ticks()
    return "".join(
        label(text, 100, 100.0 - y.place(tick), "tick", "end")
        for tick, text in zip(ticks, scales.tick_text(ticks), strict=True)
    )


def _backdrop(x: Scale, y: Scale, band: float) -> str:
    top, bottom = 100.0 - y.place(band), 100.0 - y.place(-band)
    parts = [box(0, round(top, 2), 100, bottom - top, "band")] if bottom > top else []
    for tick in y.ticks():
        height = round(100.0 - y.place(tick), 2)
        parts.append(line(0, height, 100, height, "grid"))
    parts += [line(x.place(tick), 0, x.place(tick), 100, "grid") for tick in x.ticks(most=7)]
    if y.holds(0.0):
        height = round(100.0 - y.place(0.0), 2)
        parts.append(line(0, height, 100, height, "zero"))
    return element("g", "".join(parts), aria_hidden="true")


def _curve(curve: Line, plot: LinePlot, x: Scale, y: Scale, marker: Marker) -> str:
    estimates = curve.estimates
    parts = [_area(estimates, x, y), _path(curve, x, y)] if curve.joined else []
    stride = max(1, -(-len(estimates) // MOST_MARKS))
    for place, estimate in estimates[::stride]:
        if not y.holds(estimate.value):
            continue
        across, up = x.place(place), round(100.0 - y.place(estimate.value), 2)
        inner = element("circle", cx=f"{across}%", cy=f"{up}%", r=12, class_="target")
        if not curve.joined:
            low, high = (round(100.0 - y.place(end), 2) for end in estimate[1:])
            inner += line(across, low, across, high, "whisker")
        inner += marker_at(marker, across, up) if _has_markers(curve) else ""
        value = span(estimate, plot.form) if estimate.low < estimate.high else ""
        tip = (
            f"{curve.label}, at {place:{plot.x_form}}: {value or format(estimate.value, plot.form)}"
        )
        parts.append(element("g", inner, class_="mark", role="img", aria_label=tip, data_tip=tip))
    return "".join(parts)


def _stretched(path: str) -> str:
    """Return a path whose coordinates are percentages."""
    return element("svg", path, viewBox="0 0 100 100", preserveAspectRatio="none")


def _height(y: Scale, value: float) -> float:
    """Return the height of a value, which may be beyond the axis: paths are cut off there."""
    return round(100.0 - y.place(value, clamped=False), 2)


def _points(pairs: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{across:g} {up:g}" for across, up in pairs)


def _path(curve: Line, x: Scale, y: Scale) -> str:
    pairs = [(x.place(at), _height(y, e.value)) for at, e in curve.estimates]
    name = "curve dashed" if curve.dashed else "curve"
    return _stretched(element("path", d=f"M{_points(pairs)}", class_=name)) if pairs else ""


def _area(estimates: Sequence[tuple[float, Estimate]], x: Scale, y: Scale) -> str:
    if not any(estimate.low < estimate.high for _, estimate in estimates):
        return ""
    upper = [(x.place(at), _height(y, e.high)) for at, e in estimates]
    lower = [(x.place(at), _height(y, e.low)) for at, e in estimates]
    return _stretched(element("path", d=f"M{_points(upper + lower[::-1])}Z", class_="area"))


def _end_labels(curves: Sequence[Line], keys: Sequence[Key], y: Scale) -> str:
    """Return labels at the heights where curves end, moved apart where they would overlap."""
    wanted = [
        (_height(y, curve.estimates[-1][1].value), key)
        for curve, key in zip(curves, keys, strict=True)
        if curve.estimates
    ]
    wanted.sort(key=lambda pair: pair[0])
    heights: list[float] = []
    for beyond, _ in wanted:
        height = min(max(beyond, 0.0), 100.0)
        heights.append(max(height, heights[-1] + LABEL_DISTANCE) if heights else height)
    limit = 100.0
    for number in range(len(heights) - 1, -1, -1):
        heights[number] = min(heights[number], limit)
        limit = heights[number] - LABEL_DISTANCE
    return "".join(
        key_text(key, f"top:{height:.1f}%")
        for height, (_, key) in zip(heights, wanted, strict=True)
    )
