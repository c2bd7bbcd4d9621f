"""The picture of emission rules on real states of the chain, `dtao rules --plot`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtao_gym import figures
from dtao_gym.colours import FAINT_INK, INK, MUTED, colour_of
from dtao_gym.comparison import ordered
from dtao_gym.comparison_figures import Comparison
from dtao_gym.protocol.plugins import RuleError

WIDTH, HEIGHT = 1210, 528
"""Pixels of the panels of one snapshot."""
MARKERS = "os^Dvphd<>"
"""Markers of the rules in turn, so that rules which pay alike are both seen."""


def draw(comparisons: Sequence[Comparison], top: int, path: Path) -> None:
    """Write a picture, two panels for each snapshot.

    They show the TAO a day of the `top` largest subnets under each rule, and how concentrated a rule's emission is.

    Raises
    ------
    RuleError
        Matplotlib, the extra `plot`, is missing, or the file cannot be written.
    """
    try:
        figure = figures.new_figure(WIDTH, HEIGHT * len(comparisons), dpi=110)
    except ImportError:
        raise RuleError("--plot needs matplotlib: pip install 'dtao-gym[plot]'") from None
    for k, comparison in enumerate(comparisons):
        bottom = 1.0 - (k + 1) / len(comparisons)
        _draw_snapshot(comparison, top, figure, bottom, 1.0 / len(comparisons))
    try:
        figures.save(figure, path)
    except (OSError, ValueError) as error:
        raise RuleError(f"--plot {path}: {' '.join(str(error).split())}") from None


def _draw_snapshot(
    comparison: Comparison, top: int, figure: Any, bottom: float, height: float
) -> None:
    """The two panels of one snapshot, in the part of a figure from `bottom` up."""
    left = figure.add_axes((0.055, bottom + 0.12 * height, 0.45, 0.62 * height))
    right = figure.add_axes((0.715, bottom + 0.12 * height, 0.2, 0.62 * height))
    _draw_subnets(left, comparison, top)
    _draw_concentration(right, comparison)
    snapshot = comparison.snapshot
    figure.text(
        0.01, bottom + 0.945 * height, headline(comparison), fontsize=12, weight="bold",
        color=INK, va="center",
    )  # fmt: skip
    note = (
        f"{snapshot.name}: {snapshot.n_subnets} subnets, {comparison.tao_per_block:g} TAO per block"
    )
    if any(comparison.imputed.values()):
        note += "; * reads columns that are an assumption"
    figure.text(0.01, bottom + 0.895 * height, note, fontsize=9, color=FAINT_INK, va="center")


def headline(comparison: Comparison) -> str:
    """What the rules have most different: the part of the five best-paid subnets."""
    part = comparison.top5_share
    if not np.isfinite(part).any():
        return "No rule pays any subnet"
    least, most = int(np.nanargmin(part)), int(np.nanargmax(part))
    if least == most:
        return f"The five best-paid subnets get {figures.percent(part[most])} under {comparison.rules[most]}"
    return (
        f"The five best-paid subnets get {figures.percent(part[least])} of the emission under "
        f"{comparison.rules[least]}, {figures.percent(part[most])} under {comparison.rules[most]}"
    )


def _draw_subnets(axes: Any, comparison: Comparison, top: int) -> None:
    shown = ordered(comparison)[:top]
    paid, netuid = comparison.tao_per_day[:, shown], comparison.snapshot.netuid[shown]
    spread = int(np.argmax(np.ptp(paid, axis=0)))
    low, high = (figures.amount(x) for x in (paid[:, spread].min(), paid[:, spread].max()))
    title = f"SN {netuid[spread]} gets {low} to {high} TAO a day, by rule"
    figures.style(axes, title, f"TAO a day, the {shown.size} largest subnets")
    places = np.arange(shown.size)
    axes.vlines(places, paid.min(0), paid.max(0), color=MUTED, linewidth=0.8)
    for k, name in enumerate(comparison.rules):
        axes.plot(
            places, paid[k], MARKERS[k % len(MARKERS)], color=colour_of(name), markersize=5,
            markerfacecolor="white" if k % 2 else colour_of(name), markeredgewidth=1.3,
        )  # fmt: skip
    axes.set_xticks(places, [str(n) for n in netuid], fontsize=7)
    axes.set_xlim(-0.7, shown.size - 0.3)
    axes.set_xlabel("netuid", fontsize=figures.NAME_SIZE, color=FAINT_INK)
    axes.set_ylim(0.0, 1.05 * float(paid.max()) or 1.0)
    axes.yaxis.set_major_formatter(lambda y, _: figures.amount(y))
    axes.grid(visible=False, axis="x")


def _draw_concentration(axes: Any, comparison: Comparison) -> None:
    """Part of the five best-paid subnets, a line per rule; its name and marker are those of the left panel."""
    figures.style(axes, "Concentration by rule", "part of the five best-paid subnets")
    for place, name in enumerate(comparison.rules):
        colour, part = colour_of(name), comparison.top5_share[place]
        known = part if np.isfinite(part) else 0.0
        axes.plot([0.0, known], [place, place], color=colour, linewidth=2.0)
        axes.plot(
            known, place, MARKERS[place % len(MARKERS)], color=colour, markersize=6.5,
            markerfacecolor="white" if place % 2 else colour, markeredgewidth=1.5, clip_on=False,
        )  # fmt: skip
        half = comparison.nakamoto[place]
        text = f"{figures.percent(known)}; {half} get half" if half else "pays nothing"
        axes.annotate(
            text, (known, place), xytext=(7, 0), textcoords="offset points", va="center",
            fontsize=figures.NAME_SIZE, color=colour,
        )  # fmt: skip
    names = [name + ("*" if comparison.imputed[name] else "") for name in comparison.rules]
    axes.set_yticks(range(len(names)), names)
    for label, name in zip(axes.get_yticklabels(), comparison.rules, strict=True):
        label.set_color(colour_of(name))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(lambda x, _: figures.percent(x))
    axes.grid(visible=False, axis="y")
