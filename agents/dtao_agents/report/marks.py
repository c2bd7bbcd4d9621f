"""Elements shared by the drawings of all charts.

Coordinates are percentages, so that a drawing fits any width without a script and its text keeps its size. Colours
are classes (`c0` to `c8`) that `page.css` defines for light and dark pages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from dtao_agents.evaluation.statistics import Estimate, span
from dtao_agents.report.charts import IntervalRow, Marker
from dtao_agents.report.scales import Scale

MARKER_PATHS: dict[Marker, str] = {
    "square": "M-4.5-4.5H4.5V4.5H-4.5Z",
    "triangle": "M0-6L5.6 4.2H-5.6Z",
    "diamond": "M0-6.2L6.2 0L0 6.2L-6.2 0Z",
}
"""Outlines around the origin, in pixels."""
ARROWS = {-1: "M-3 0L6-5V5Z", 1: "M3 0L-6-5V5Z"}
"""Arrows at the left and at the right end of an axis."""


def element(tag: str, content: str = "", **attributes: str | float | None) -> str:
    """Return an element with escaped attributes.

    Parameters
    ----------
    tag : str
    content : str
        Markup, which is not escaped.
    **attributes : str, float or None
        A trailing underscore is dropped and the others become hyphens; None leaves an attribute out.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{written}>{content}</{tag}>"


def line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    """Return a line between two places, in percent."""
    return element("line", x1=f"{x1}%", y1=f"{y1}%", x2=f"{x2}%", y2=f"{y2}%", class_=name)


def box(x: float, y: float, width: float, height: float, name: str) -> str:
    """Return a rectangle, in percent."""
    return element(
        "rect",
        x=f"{x}%",
        y=f"{y}%",
        width=f"{round(width, 2)}%",
        height=f"{round(height, 2)}%",
        class_=name,
    )


def label(text: str, x: float, y: float, name: str, anchor: str = "middle") -> str:
    """Return a text, in percent; its middle is at the height `y`."""
    return element(
        "text", escape(text), x=f"{x}%", y=f"{y}%", dy="0.35em", text_anchor=anchor, class_=name
    )


def outline(path: str, x: float, y: float, name: str) -> str:
    """Return a path in pixels around a place in percent."""
    inner = element("path", d=path, class_=name)
    return element("svg", inner, x=f"{x}%", y=f"{y}%", overflow="visible")


def marker_at(marker: Marker, x: float, y: float) -> str:
    """Return the marker of a point."""
    if marker == "circle":
        return element("circle", cx=f"{x}%", cy=f"{y}%", r=5, class_="point")
    return outline(MARKER_PATHS[marker], x, y, "point")


def interval_at(scale: Scale, estimate: Estimate, marker: Marker, y: float = 50.0) -> str:
    """Return a horizontal interval with its point, and arrows where it extends beyond the axis."""
    value, low, high = estimate
    parts = [line(scale.place(low), y, scale.place(high), y, "whisker")]
    if low < scale.low:
        parts.append(outline(ARROWS[-1], 0.0, y, "point"))
    if high > scale.high:
        parts.append(outline(ARROWS[1], 100.0, y, "point"))
    if scale.holds(value):
        parts.append(marker_at(marker, scale.place(value), y))
    return "".join(parts)


def tip_of(interval: IntervalRow, form: str, unit: str) -> str:
    """Return what is shown on hover: label, value with its interval, note."""
    group = f"{interval.group}, " if interval.group else ""
    value = "not measured" if interval.estimate is None else f"{span(interval.estimate, form)}"
    measure = f" ({unit})" if unit and interval.estimate is not None else ""
    return (
        f"{group}{interval.label}: {value}{measure}{f'. {interval.note}' if interval.note else ''}"
    )


@dataclass(frozen=True)
class Key:
    """An entry of a legend; its own `data-key` belongs to what it hides, empty where it hides nothing."""

    text: str
    colour: int | None = None
    key: str = ""
    marker: Marker = "circle"
    sample: Literal["marker", "line", "dashed line", "band"] = "marker"


def legend(keys: Sequence[Key], name: str = "legend") -> str:
    """Return a legend; a script turns entries with a key into buttons that hide and show."""
    return element("ul", "".join(element("li", key_text(key)) for key in keys), class_=name)


def key_text(key: Key, style: str | None = None) -> str:
    """Return one entry of a legend: a sample of the marker or the line, and its name."""
    sample = {
        "marker": marker_at(key.marker, 50, 50),
        "line": line(0, 50, 100, 50, "curve"),
        "dashed line": line(0, 50, 100, 50, "curve dashed"),
        "band": box(0, 0, 100, 100, "band framed"),
    }[key.sample]
    colour = "neutral" if key.colour is None else f"c{key.colour}"
    svg = element("svg", sample, class_=f"sample {colour}", aria_hidden="true")
    return element(
        "span",
        svg + element("span", escape(key.text)),
        class_="key",
        data_key=key.key or None,
        style=style,
    )


def band_keys(band: float) -> list[Key]:
    """Return the legend entry of the shaded band, none where there is none."""
    text = f"too small to matter: within ±{band:g} (smallest effect of interest)"
    return [Key(text, sample="band")] if band else []


def series_keys(names: Mapping[str, str], chosen: Mapping[str, int]) -> list[Key]:
    """Return legend entries of the named series that a chart has."""
    return [
        Key(text, chosen[series], f"s{list(chosen).index(series)}")
        for series, text in names.items()
        if series in chosen
    ]
