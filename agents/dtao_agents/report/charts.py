"""Figures of charts as plain data. `drawing.py` draws them; `values` are their numbers as a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, get_args

from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.report.tables import CellValue, Column

Marker = Literal["circle", "square", "triangle", "diamond"]
MARKERS: tuple[Marker, ...] = get_args(Marker)
N_COLOURS = 9
"""Colours in `page.css`, `--c0` to `--c8`."""
FIXED_COLOURS = {
    "price": 0,
    "root_vote": 1,
    "tao_flow": 2,
    "price_burn": 3,
    "net_flow": 4,
    "price_rootprop": 5,
    "price_burn_gate": 6,
    "price_burn_gate_rank": 7,
    "fee": 8,
    "uniform": 8,
    "fund_in_place": 6,
    "fund_curated": 7,
}
"""Colours of institutions: the same in every chart of every page."""
Values = tuple[list[Column], list[list[CellValue]]]


def colours(series: Iterable[str]) -> dict[str, int]:
    """Return a colour for each distinct series: its own for an institution, else the next that is free."""
    names = list(dict.fromkeys(series))
    taken = {FIXED_COLOURS[name] for name in names if name in FIXED_COLOURS}
    free = [k for k in range(N_COLOURS) if k not in taken] or list(range(N_COLOURS))
    chosen, used = {}, 0
    for name in names:
        if name in FIXED_COLOURS:
            chosen[name] = FIXED_COLOURS[name]
        else:
            chosen[name] = free[used % len(free)]
            used += 1
    return chosen


@dataclass(frozen=True)
class IntervalRow:
    """An estimate with its label.

    Attributes
    ----------
    label : str
        Written beside it.
    estimate : Estimate or None
        Value and 95 % interval; None where nothing was measured.
    series : str
        Name that its colour belongs to, such as an institution's; names without a fixed colour get the next one.
    group : str
        Heading over consecutive intervals of the same group.
    note : str
        Shown with the value on hover and focus.
    marker : {"circle", "square", "triangle", "diamond"}
    """

    label: str
    estimate: Estimate | None
    series: str = ""
    group: str = ""
    note: str = ""
    marker: Marker = "circle"

    def __post_init__(self) -> None:
        if self.marker not in MARKERS:
            raise ValueError(f"marker: got {self.marker!r}, allowed are {', '.join(MARKERS)}")


def _finite(intervals: Iterable[IntervalRow]) -> Iterable[float]:
    for interval in intervals:
        if interval.estimate is not None:
            yield from (x for x in interval.estimate if math.isfinite(x))


def _check_some(field_name: str, given: Sequence[object]) -> None:
    if not given:
        raise ValueError(f"{field_name}: got none, allowed is one or more")


def _check_band(band: float) -> None:
    if not (math.isfinite(band) and band >= 0.0):
        raise ValueError(f"band: got {band}, allowed is 0 or a finite number above it")


@dataclass(frozen=True)
class IntervalPlot:
    """Rows of labels, points and 95 % intervals on one axis.

    Attributes
    ----------
    intervals : sequence of IntervalRow
        Rows from the top.
    unit : str
        Label of the axis.
    band : float
        Smallest effect of interest: -band to +band is shaded. 0: none.
    span : (float, float), optional
        Ends of the axis; intervals that extend further end in an arrow. None: all of them fit.
    form : str
        Format specification of the values.
    names : mapping of str to str
        Names of series in the legend; no legend where there are fewer than two.
    marker_names : mapping of marker to str
        Meaning of the markers, for the legend.
    zero : bool
        Whether the axis contains 0.
    """

    intervals: Sequence[IntervalRow]
    unit: str
    band: float = 0.0
    span: tuple[float, float] | None = None
    form: str = "+.2f"
    names: Mapping[str, str] = field(default_factory=dict)
    marker_names: Mapping[Marker, str] = field(default_factory=dict)
    zero: bool = True

    def __post_init__(self) -> None:
        _check_some("intervals", self.intervals)
        _check_band(self.band)

    @property
    def finite(self) -> list[float]:
        """All values and ends of intervals."""
        return list(_finite(self.intervals))

    def values(self) -> Values:
        """Return columns and rows of the estimates."""
        return _interval_values([("", self)])


@dataclass(frozen=True)
class Panels:
    """Small interval plots with a common axis.

    Attributes
    ----------
    panels : mapping of str to IntervalPlot
        Plots by title. Their axes are the first one's span, or fit the values of all.
    """

    panels: Mapping[str, IntervalPlot]

    def __post_init__(self) -> None:
        _check_some("panels", list(self.panels))

    def values(self) -> Values:
        """Return columns and rows of the estimates."""
        return _interval_values(self.panels.items())


def _interval_values(panels: Iterable[tuple[str, IntervalPlot]]) -> Values:
    shown = list(panels)
    first = shown[0][1]
    intervals = [(title, each) for title, plot in shown for each in plot.intervals]
    optional = {
        "panel": any(title for title, _ in intervals),
        "group": any(each.group for _, each in intervals),
        "note": any(each.note for _, each in intervals),
    }
    columns = [Column("row"), Column(f"{first.unit} [95 % interval]", first.form)]
    columns[:0] = [Column(name) for name in ("panel", "group") if optional[name]]
    columns += [Column("note")] if optional["note"] else []
    rows: list[list[CellValue]] = []
    for title, each in intervals:
        row: list[CellValue] = [title] if optional["panel"] else []
        row += [each.group] if optional["group"] else []
        row += [each.label, each.estimate]
        rows.append(row + ([each.note] if optional["note"] else []))
    return columns, rows


@dataclass(frozen=True)
class Line:
    """A line through points, with a band where they have intervals.

    Attributes
    ----------
    label : str
    points : sequence of (float, Estimate or float)
        Places in ascending order, and the values there.
    series : str
        Name that its colour belongs to.
    dashed : bool
        Such as for a closed form beside simulated curves.
    joined : bool
        Whether a line joins the points; without it each has an interval of its own.
    """

    label: str
    points: Sequence[tuple[float, Estimate | float]]
    series: str = ""
    dashed: bool = False
    joined: bool = True

    def __post_init__(self) -> None:
        _check_some("points", self.points)
        places = [place for place, _ in self.points]
        if any(b < a for a, b in pairwise(places)):
            raise ValueError(f"points: got places {places}, allowed are places in ascending order")

    @property
    def estimates(self) -> list[tuple[float, Estimate]]:
        """Places and estimates; a number is an interval without width. Those that are not finite are left out."""
        pairs = [
            (float(x), y if isinstance(y, Estimate) else Estimate(float(y), float(y), float(y)))
            for x, y in self.points
        ]
        return [(x, y) for x, y in pairs if all(map(math.isfinite, (x, *y)))]


@dataclass(frozen=True)
class LinePlot:
    """Curves over a common axis, such as a dose response.

    Attributes
    ----------
    curves : sequence of Line
    x_name, y_name : str
        Labels of the axes, with units.
    band : float
        Smallest effect of interest: -band to +band is shaded. 0: none.
    span : (float, float), optional
        Ends of the vertical axis; None: all values fit.
    log_x : bool
        Whether the horizontal axis is logarithmic.
    form, x_form : str
        Format specifications of values and of places.
    zero : bool
        Whether the vertical axis contains 0.
    """

    curves: Sequence[Line]
    x_name: str
    y_name: str
    band: float = 0.0
    span: tuple[float, float] | None = None
    log_x: bool = False
    form: str = "+.2f"
    x_form: str = ",g"
    zero: bool = True

    def __post_init__(self) -> None:
        _check_some("curves", self.curves)
        _check_band(self.band)
        places = [place for curve in self.curves for place, _ in curve.points]
        if self.log_x and min(places) <= 0.0:
            raise ValueError(
                f"points: got the place {min(places)}, allowed are places above 0 on a logarithmic axis"
            )

    def values(self) -> Values:
        """Return columns and rows of all points."""
        columns = [
            Column("curve"),
            Column(self.x_name, self.x_form),
            Column(f"{self.y_name} [95 % interval]", self.form),
        ]
        rows: list[list[CellValue]] = [
            [curve.label, place, value] for curve in self.curves for place, value in curve.points
        ]
        return columns, rows


@dataclass(frozen=True)
class Waterfall:
    """Contributions that add up to a total, such as Shapley values.

    Attributes
    ----------
    steps : sequence of IntervalRow
        Contributions in the order in which they are added.
    unit : str
        Label of the axis.
    total : IntervalRow
        Their sum and the start, with an interval of its own.
    start : IntervalRow, optional
        Value before the first contribution; None: 0, without a row.
    form : str
        Format specification of the values.
    """

    steps: Sequence[IntervalRow]
    unit: str
    total: IntervalRow
    start: IntervalRow | None = None
    form: str = "+.2f"

    def __post_init__(self) -> None:
        _check_some("steps", self.steps)
        if any(row.estimate is None for row in self.rows):
            raise ValueError("steps, total, start: got None, allowed are estimates")

    @property
    def rows(self) -> list[IntervalRow]:
        """Start, steps and total."""
        return [*([self.start] if self.start else []), *self.steps, self.total]

    def values(self) -> Values:
        """Return columns and rows of the contributions and the total."""
        columns = [Column("contribution"), Column(f"{self.unit} [95 % interval]", self.form)]
        return columns, [[row.label, row.estimate] for row in self.rows]


@dataclass(frozen=True)
class ShareStrip:
    """Strips that divide one into shares.

    Attributes
    ----------
    rows : mapping of str to mapping of str to float
        Shares by the label of the strip and the name of the part. They are at least 0 and add up to at most 1;
        what is missing to 1 stays empty.
    form : str
        Format specification of the shares.
    names : mapping of str to str
        Names of parts in the legend, where they differ.
    """

    rows: Mapping[str, Mapping[str, float]]
    form: str = ".0%"
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_some("rows", list(self.rows))
        for label, shares in self.rows.items():
            sum_of = math.fsum(shares.values())
            if min(shares.values(), default=0.0) < 0.0 or not sum_of <= 1.0 + 1e-6:
                raise ValueError(
                    f"rows[{label!r}]: got shares that add up to {sum_of}, allowed are shares of at least 0 "
                    "that add up to at most 1"
                )

    @property
    def parts(self) -> list[str]:
        """Names of all parts, in the order in which they appear."""
        return list(dict.fromkeys(part for shares in self.rows.values() for part in shares))

    def values(self) -> Values:
        """Return columns and rows of the shares."""
        columns = [Column("row"), *(Column(self.names.get(p, p), self.form) for p in self.parts)]
        rows: list[list[CellValue]] = [
            [label, *(shares.get(part) for part in self.parts)]
            for label, shares in self.rows.items()
        ]
        return columns, rows


Figure = IntervalPlot | Panels | LinePlot | Waterfall | ShareStrip
