"""The picture of a comparison of markets: moments, paths and the sizes of daily moves, `--plot`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtao_gym import figures
from dtao_gym.colours import BAND, FAINT_INK, INK, MUTED, OBSERVED, SIMULATED
from dtao_gym.realism.gate import Realism
from dtao_gym.realism.moments import MOMENTS
from dtao_gym.realism.panel import MIN_RETURNS, PERIODS, Panel
from dtao_gym.world.config import ConfigError

WIDTH, HEIGHT = 1320, 720
FAR = 2.0
"""Standard errors beyond which a moment is far from the chain's."""
MOST = 6.0
"""Standard errors at which bars are cut."""
NAMED_PATHS = 3
"""Prices that the panels of paths draw one by one: those that moved most."""
DECADES = {-5: "0.001 %", -4: "0.01 %", -3: "0.1 %", -2: "1 %", -1: "10 %", 0: "100 %"}


def draw(comparison: Realism, real: Panel, simulated: Sequence[Panel], path: Path) -> None:
    """Draw the z of every moment, and prices and returns of the chain and of the worlds.

    Parameters
    ----------
    comparison : Realism
        The z to draw.
    real : Panel
        The chain's panel.
    simulated : sequence of Panel
        One panel per world; prices of the first are drawn.
    path : Path
        Output file, of any format of matplotlib.

    Raises
    ------
    ConfigError
        matplotlib (the extra `plot`) is missing, or the file cannot be written.
    """
    try:
        figure = figures.new_figure(WIDTH, HEIGHT)
    except ImportError:
        raise ConfigError("--plot needs matplotlib: pip install 'dtao-gym[plot]'") from None
    _draw_z(figure.add_axes((0.18, 0.075, 0.2, 0.73)), comparison)
    corners = [(x, y, 0.16, 0.27) for y in (0.535, 0.075) for x in (0.455, 0.755)]
    paths, world, tails, sizes = (figure.add_axes(corner) for corner in corners)
    limits = _draw_path(paths, real, "Chain", None)
    _draw_path(world, simulated[0], "One world", limits)
    _draw_tails(tails, real, simulated)
    _draw_sizes(sizes, real, simulated[0])
    figure.text(
        0.008, 0.963, headline(comparison), fontsize=14, weight="bold", color=INK, va="center"
    )
    note = f"{PERIODS[comparison.period].label}, against {comparison.worlds} simulated worlds"
    figure.text(0.008, 0.92, note, fontsize=10, color=FAINT_INK, va="center")
    try:
        figures.save(figure, path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--plot {path}: {' '.join(str(error).split())}") from None


def headline(comparison: Realism) -> str:
    """What the comparison says: moments near the chain's, and gates."""
    z = np.array([moment.z for moment in comparison.moments.values()])
    near, known = int((np.abs(z) <= FAR).sum()), int(np.isfinite(z).sum())
    gated = sum(moment.passed is not None for moment in comparison.moments.values())
    passed = gated - len(comparison.failed)
    text = (
        f"{near} of {known} moments of daily prices lie within two standard errors of the chain's"
    )
    return f"{text}; {passed} of {gated} gates pass" if gated else text


def _draw_z(axes: Any, comparison: Realism) -> None:
    z = np.array([moment.z for moment in comparison.moments.values()])
    names = list(comparison.moments)
    far = int((np.abs(z) > FAR).sum())
    title = (
        f"{far} moments are far from the chain's" if far else "No moment is far from the chain's"
    )
    figures.style(axes, title, "simulated less real, standard errors")
    colours = [SIMULATED if abs(value) <= FAR else OBSERVED for value in z]
    places = np.arange(z.size)[::-1]
    axes.axvspan(-FAR, FAR, color=BAND, linewidth=0)
    axes.axvline(0.0, color=MUTED, linewidth=0.8)
    axes.barh(places, np.clip(np.nan_to_num(z), -MOST, MOST), color=colours, height=0.55)
    for place, value in zip(places, z, strict=True):
        if not np.isfinite(value):
            axes.text(0.1, place, "unknown", fontsize=7, color=FAINT_INK, va="center")
        elif abs(value) > MOST:
            axes.annotate(
                f"{value:+.1f}", (np.sign(value) * MOST, place), xytext=(3 * np.sign(value), 0),
                textcoords="offset points", fontsize=7, color=OBSERVED, va="center",
                ha="left" if value > 0.0 else "right",
            )  # fmt: skip
    axes.set_yticks(places, [MOMENTS[name].heading for name in names])
    axes.tick_params(axis="y", labelsize=7.5, length=0)
    axes.set_xlim(-MOST - 1.6, MOST + 1.6)
    axes.set_ylim(-0.7, z.size - 0.3)
    axes.grid(visible=False, axis="y")


def _draw_path(
    axes: Any, panel: Panel, who: str, limits: tuple[float, float] | None
) -> tuple[float, float]:
    """Prices over their first, of the subnets with all closes: the top movers as lines, the others as a band."""
    complete = panel.price[:, np.isfinite(panel.price).all(0)]
    day = np.arange(len(complete), dtype=float)
    if complete.shape[1] == 0:
        figures.style(axes, f"{who}: no subnet has all closes", "")
        return (0.5, 2.0)
    relative = complete / complete[:1]
    order = np.argsort(-np.abs(np.log(relative[-1])), kind="stable")
    top, rest = order[:NAMED_PATHS], order[NAMED_PATHS:]
    middle = float(np.median(relative[-1]))
    figures.style(
        axes, f"{who}: the median price moves {figures.factor(middle)}",
        f"price over its first, {complete.shape[1]} subnets, log scale",
    )  # fmt: skip
    axes.set_xlim(day[0], day[-1])
    figures.log_axis(axes, np.append(relative, limits or []), lambda y: f"×{y:.3g}")
    labels = []
    if rest.size:
        end = figures.draw_band(axes, day, relative[:, rest])
        labels.append(figures.EndLabel(f"{rest.size} others {figures.factor(end)}", end, FAINT_INK))
    colour = OBSERVED if who == "Chain" else SIMULATED
    for k in top:
        axes.plot(day, relative[:, k], color=colour, linewidth=1.1)
        text = f"top {figures.factor(relative[-1, k])}"
        labels.append(figures.EndLabel(text, relative[-1, k], colour))
    figures.label_ends(axes, labels)
    axes.set_xlabel("day", fontsize=figures.NAME_SIZE, color=FAINT_INK, labelpad=1)
    low, high = axes.get_ylim()
    return float(low), float(high)


def _returns(panel: Panel) -> np.ndarray:
    change = np.diff(np.log(panel.price), axis=0)
    return change[:, np.isfinite(change).sum(0) >= MIN_RETURNS]


def _draw_tails(axes: Any, real: Panel, simulated: Sequence[Panel]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    far, labels = [], []
    for panels, colour, name in (([real], OBSERVED, "chain"), (simulated, SIMULATED, "worlds")):
        pooled = np.concatenate([np.abs(_returns(panel)).ravel() for panel in panels])
        size = np.maximum(np.sort(pooled[np.isfinite(pooled)]), 1e-6)
        beyond = 1.0 - np.arange(size.size) / max(size.size, 1)
        axes.plot(size, beyond, color=colour, linewidth=1.4)
        far.append(float((size > 0.1).mean()) if size.size else float("nan"))
        if size.size:
            at = min(int(np.searchsorted(size, 0.1)), size.size - 1)
            labels.append((name, colour, float(size[at]), float(beyond[at])))
    chain, worlds = (figures.percent(share) if np.isfinite(share) else "-" for share in far)
    figures.style(
        axes,
        f"Moves above 0.1: chain {chain}, worlds {worlds}",
        "share of larger moves, log scales",
    )
    axes.set_xlim(1e-3, 3.0)
    axes.set_ylim(1e-4, 1.0)
    labels.sort(key=lambda label: -label[-1])
    for (name, colour, x, y), side in zip(
        labels, (1, -1), strict=False
    ):  # above and below the lines
        axes.annotate(
            name, (x, y), xytext=(5 * side, 6 * side), textcoords="offset points",
            fontsize=figures.NAME_SIZE, color=colour, ha="left" if side > 0 else "right", va="center",
        )  # fmt: skip
    axes.xaxis.set_major_locator(FixedLocator([0.001, 0.01, 0.1, 1.0]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.yaxis.set_major_formatter(lambda y, _: DECADES.get(round(np.log10(y)), f"{y:g}"))
    axes.set_xlabel(
        "size of a daily move of the log price", fontsize=figures.NAME_SIZE, color=FAINT_INK,
        labelpad=1,
    )  # fmt: skip


def _draw_sizes(axes: Any, real: Panel, world: Panel) -> None:
    axes.set_xscale("log")
    drawn, medians = [], {}
    for panel, colour, name in ((world, SIMULATED, "world"), (real, OBSERVED, "chain")):
        x, y = _deviations(panel)
        if x.size:
            axes.plot(x, y, ".", color=colour, markersize=4, alpha=0.8)
            medians[name] = float(np.median(y))
            drawn += list(y)
    text = ", ".join(f"{name} {median:.3f}" for name, median in sorted(medians.items()))
    title = f"Daily deviation: {text}" if text else "Daily deviation: unknown"
    figures.style(axes, title, "standard deviation of the log price's moves, log scales")
    figures.log_axis(axes, np.array(drawn), lambda y: f"{y:.3g}")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.set_xlabel("mean TAO in the pool", fontsize=figures.NAME_SIZE, color=FAINT_INK, labelpad=1)
    for name, colour, y in (("chain", OBSERVED, 0.95), ("world", SIMULATED, 0.87)):
        if name in medians:
            axes.text(1.03, y, name, transform=axes.transAxes, fontsize=figures.NAME_SIZE,
                      color=colour, va="center")  # fmt: skip


def _deviations(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Mean TAO in the pool, and standard deviation of daily moves, of each subnet with enough of both."""
    if panel.tao is None:
        return np.empty(0), np.empty(0)
    change = np.diff(np.log(panel.price), axis=0)
    points = [
        (np.exp(np.mean(np.log(t[np.isfinite(t)]))), max(np.std(r[np.isfinite(r)]), 1e-4))
        for r, t in zip(change.T, panel.tao.T, strict=True)
        if np.isfinite(r).sum() >= MIN_RETURNS and np.isfinite(t).any()
    ]
    x, y = np.array(points).reshape(-1, 2).T
    return x, y
