"""The three figures of the page, as PNG files in memory."""

import io
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe import curves
from dtao_agents.probe.contrasts import Contrast
from dtao_agents.probe.plan import Cell, Plan, base_world

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")
"""Palette that colour-blind readers can distinguish (Paul Tol, "bright")."""
MARKERS = {(False, "fast"): "o", (False, "slow"): "s", (True, "fast"): "^", (True, "slow"): "v"}
"""Marker by pruning and moving price."""


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _axes(title: str, xlabel: str, span: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.0, 4.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("crowding out, log-odds")
    axes.set_ylim(span)
    axes.grid(alpha=0.3)
    return figure, axes


def _reference_lines(axes: Axes, smallest: float) -> None:
    axes.axhline(0.0, color="black", lw=0.8)
    axes.axhline(smallest, color="black", lw=0.8, ls=":")


def crowding_out(cells: Sequence[Cell], contrasts: Mapping[str, Contrast], plan: Plan) -> bytes:
    """Figure of crowding out by institution, with intervals; dotted: the smallest effect of interest.

    Parameters
    ----------
    cells : sequence of Cell
        Cells except the reference.
    contrasts : mapping of str to Contrast
        Crowding out by the name of the cell.
    plan : Plan
        Smallest effect of interest.

    Returns
    -------
    bytes
        PNG file.
    """
    figure, axes = _axes("Gap to builders whom users pay for their own value", "", (-2.0, 4.0))
    _reference_lines(axes, plan.smallest_effect)
    groups = list(dict.fromkeys((cell.institution, cell.payment) for cell in cells))
    for cell in cells:
        estimate = contrasts[cell.name].estimate
        if estimate is None:
            continue
        style = (cell.pruning, cell.moving_price)
        x = groups.index((cell.institution, cell.payment)) + 0.16 * (
            list(MARKERS).index(style) - 1.5
        )
        pruning = "pruning" if cell.pruning else "no pruning"
        label = f"{pruning}, {cell.moving_price} moving price"
        _interval(axes, x, estimate, label, MARKERS[style], COLOURS[list(MARKERS).index(style)])
    axes.set_xticks(range(len(groups)), [f"{one}\n({pay} pay)" for one, pay in groups])
    axes.set_xlim(-0.6, len(groups) - 0.4)
    _legend(figure, axes)
    return _png(figure)


def by_delay(cells: Sequence[Cell], contrasts: Mapping[str, Contrast], plan: Plan) -> bytes:
    """Figure of closed forms by delay, with the engine's cells; see `crowding_out`."""
    world = base_world(plan)
    figure, axes = _axes("By the delay of research", "mean days from research to use", (-1.0, 3.0))
    _reference_lines(axes, plan.smallest_effect)
    _lines(axes, curves.by_delay(world))
    _points(axes, cells, contrasts, world.delay_days, 9.0)
    _legend(figure, axes)
    return _png(figure)


def by_informed_share(
    cells: Sequence[Cell], contrasts: Mapping[str, Contrast], plan: Plan
) -> bytes:
    """Figure of closed forms by informed share, with the engine's cells; see `crowding_out`."""
    world = base_world(plan)
    figure, axes = _axes(
        "By the informed share", "informed part of stakers, or of votes", (-7.0, 2.5)
    )
    _reference_lines(axes, plan.smallest_effect)
    _lines(axes, curves.by_informed_share(world))
    critical = curves.ClosedFormMarket(world).critical_informed_share()
    if critical is not None:
        axes.plot([critical], [0.0], "k*", ms=11, label=f"no crowding out at {critical:.2f}")
    _points(axes, cells, contrasts, world.informed_share_stakers, 0.012)
    _legend(figure, axes)
    return _png(figure)


def _lines(axes: Axes, shown: Sequence[curves.Curve]) -> None:
    for k, curve in enumerate(shown):
        axes.plot(
            curve.places,
            curve.values,
            color=COLOURS[k],
            lw=1.6,
            label=f"closed form: {curve.label}",
        )


def _points(
    axes: Axes, cells: Sequence[Cell], contrasts: Mapping[str, Contrast], place: float, step: float
) -> None:
    """Plot the cells nearest to the closed forms: no pruning and the fast moving price, if planned."""
    nearest = min(c.setting[1:] for c in cells)
    shown = [c for c in cells if c.setting[1:] == nearest]
    for k, cell in enumerate(shown):
        estimate = contrasts[cell.name].estimate
        if estimate is None:
            continue
        x = place + step * (k - 0.5 * (len(shown) - 1))
        _interval(axes, x, estimate, f"engine: {cell.name}", "o", COLOURS[-1 - k])


def _interval(
    axes: Axes, x: float, estimate: Estimate, label: str, marker: str, colour: str
) -> None:
    error = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
    axes.errorbar(x, estimate.value, yerr=error, fmt=marker, color=colour, capsize=3, label=label)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if unique:
        figure.legend(
            unique.values(),
            unique.keys(),
            loc="outside lower center",
            frameon=False,
            fontsize=8,
            ncols=2,
        )
