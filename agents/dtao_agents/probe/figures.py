"""The three figures of the page, as PNG."""

import io
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dtao_agents.probe import curves
from dtao_agents.probe.contrasts import Contrast
from dtao_agents.probe.plan import Cell, Plan, base_world

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")
"""Told apart by people who see colours differently (Paul Tol)."""
MARKERS = {(False, "fast"): "o", (False, "slow"): "s", (True, "fast"): "^", (True, "slow"): "v"}


def _png(figure: Figure) -> bytes:
    packed = io.BytesIO()
    FigureCanvasAgg(figure).print_png(packed)
    return packed.getvalue()


def _axes(title: str, xlabel: str, span: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.0, 4.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("crowding out, log-odds")
    axes.set_ylim(span)
    axes.grid(alpha=0.3)
    return figure, axes


def _zero(axes: Axes, smallest: float) -> None:
    axes.axhline(0.0, color="black", lw=0.8)
    axes.axhline(smallest, color="black", lw=0.8, ls=":")


def crowding_out(cells: Sequence[Cell], found: Mapping[str, Contrast], plan: Plan) -> bytes:
    """Crowding out of every cell with its interval; the dotted line is the smallest effect of interest."""
    figure, axes = _axes("Gap to builders whom users pay for their own value", "", (-2.0, 4.0))
    _zero(axes, plan.smallest_effect)
    groups = list(dict.fromkeys((cell.institution, cell.payment) for cell in cells))
    for cell in cells:
        estimate = found[cell.name].estimate
        if estimate is None:
            continue
        style = (cell.pruning, cell.moving_price)
        x = groups.index((cell.institution, cell.payment)) + 0.16 * (
            list(MARKERS).index(style) - 1.5
        )
        error = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
        pruning = "pruning" if cell.pruning else "no pruning"
        axes.errorbar(
            x,
            estimate.value,
            yerr=error,
            fmt=MARKERS[style],
            color=COLOURS[list(MARKERS).index(style)],
            capsize=3,
            label=f"{pruning}, {cell.moving_price} moving price",
        )
    axes.set_xticks(range(len(groups)), [f"{one}\n({pay} pay)" for one, pay in groups])
    axes.set_xlim(-0.6, len(groups) - 0.4)
    _legend(figure, axes)
    return _png(figure)


def by_delay(cells: Sequence[Cell], found: Mapping[str, Contrast], plan: Plan) -> bytes:
    """Closed forms against the delay, and the engine's cells at the delay of the world."""
    world = base_world(plan)
    figure, axes = _axes("By the delay of research", "mean days from research to use", (-1.0, 3.0))
    _zero(axes, plan.smallest_effect)
    _lines(axes, curves.by_delay(world))
    _points(axes, cells, found, world.delay_days, 9.0)
    _legend(figure, axes)
    return _png(figure)


def by_informed_share(cells: Sequence[Cell], found: Mapping[str, Contrast], plan: Plan) -> bytes:
    """Closed forms against the informed share, and the engine's cells at the share of the world."""
    world = base_world(plan)
    figure, axes = _axes("By who is informed", "informed part of stakers, or of votes", (-7.0, 2.5))
    _zero(axes, plan.smallest_effect)
    _lines(axes, curves.by_informed_share(world))
    kernel = curves.Kernel(world)
    critical = kernel.critical_informed_share(kernel.technology)
    if critical is not None:
        axes.plot([critical], [0.0], "k*", ms=11, label=f"no crowding out at {critical:.2f}")
    _points(axes, cells, found, world.informed_share_stakers, 0.012)
    _legend(figure, axes)
    return _png(figure)


def _lines(axes: Axes, found: Sequence[curves.Curve]) -> None:
    for k, curve in enumerate(found):
        axes.plot(
            curve.places,
            curve.values,
            color=COLOURS[k],
            lw=1.6,
            label=f"closed form: {curve.label}",
        )


def _points(
    axes: Axes, cells: Sequence[Cell], found: Mapping[str, Contrast], place: float, step: float
) -> None:
    """The engine's cells without pruning, with the faster moving price of the plan: the nearest to closed forms."""
    shown = [c for c in cells if c.setting[1:] == min(d.setting[1:] for d in cells)]
    for k, cell in enumerate(shown):
        estimate = found[cell.name].estimate
        if estimate is None:
            continue
        error = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
        x = place + step * (k - 0.5 * (len(shown) - 1))
        axes.errorbar(
            x,
            estimate.value,
            yerr=error,
            fmt="o",
            color=COLOURS[-1 - k],
            capsize=3,
            label=f"engine: {cell.name}",
        )


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    if once:
        figure.legend(
            once.values(),
            once.keys(),
            loc="outside lower center",
            frameon=False,
            fontsize=8,
            ncols=2,
        )
