"""Parts that all figures share: panels with a title and a unit, names written at the lines, bands for the rest.

Matplotlib, the extra `plot`, is imported when a figure is made, and pyplot never: no global state changes.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.colours import BAND, FAINT_INK, GRID, INK, MUTED

NAME_SIZE = 8.0
"""Size of names and numbers, points."""
LOW, HIGH = 0.1, 0.9
"""Quantiles between which a band of unnamed lines lies."""


class EndLabel(NamedTuple):
    """Name of a line, to be written at its right end: text, value at the end, colour."""

    text: str
    value: float
    colour: str


def new_figure(width: int, height: int, dpi: int = 100) -> Any:
    """Return an empty white figure of a size in pixels, on a canvas of its own. Raises ImportError without matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def pixels(figure: Any) -> np.ndarray:
    """Draw a figure and return its pixels `(height, width, 3)` uint8, a new array."""
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3].copy()


def save(figure: Any, path: Path, description: str | None = None) -> None:
    """Write a figure to a file, by its suffix; the description becomes part of a PNG file.

    Raises OSError or ValueError where that is impossible.
    """
    facts = {"Software": None, "Description": description}
    png = path.suffix.lower() == ".png"  # without the version of matplotlib: the same bytes again
    figure.canvas.print_figure(path, metadata=facts if png else None)


def style(axes: Any, title: str, unit: str) -> None:
    """Set the title of a panel, its unit in a line below, and quiet axes."""
    axes.set_title(title, fontsize=9.5, loc="left", color=INK, weight="bold", pad=16)
    axes.annotate(
        unit, (0, 1), xytext=(0, 4), xycoords="axes fraction", textcoords="offset points",
        fontsize=NAME_SIZE, color=FAINT_INK, va="bottom",
    )  # fmt: skip
    axes.tick_params(labelsize=NAME_SIZE, color=MUTED, labelcolor=FAINT_INK, length=3)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)


def spread(places: Sequence[float] | np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Return places moved as little as possible so that neighbours are `gap` apart, within two bounds.

    The order stays. Where the bounds are too near for that, the gap is what fits.
    """
    wanted = np.asarray(places, float)
    if wanted.size == 0:
        return wanted
    if wanted.size > 1:
        gap = min(gap, (high - low) / (wanted.size - 1))
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(wanted.size)
    # pool adjacent violators: groups that would overlap share the mean of their wishes
    groups: list[tuple[float, int]] = []
    for wish in np.clip(wanted[order], low, high) - steps:
        mean, size = float(wish), 1
        while groups and groups[-1][0] > mean:
            before, n = groups.pop()
            mean, size = (before * n + mean * size) / (n + size), n + size
        groups.append((mean, size))
    level = np.concatenate([np.full(size, mean) for mean, size in groups])
    moved = np.empty(wanted.size)
    moved[order] = np.clip(level, low, high - steps[-1]) + steps
    return moved


def label_ends(axes: Any, labels: Iterable[EndLabel], size: float = NAME_SIZE) -> list[Any]:
    """Write names at the right ends of lines, moved apart where they would overlap; limits must be set before.

    Returns the texts.
    """
    labels = [label for label in labels if np.isfinite(label.value)]
    if not labels:
        return []
    figure = axes.figure
    height = axes.get_position().height * figure.get_figheight() * 72.0  # points
    scale = axes.yaxis.get_transform()
    low, high = (float(scale.transform(y)) for y in axes.get_ylim())
    values = np.array([label.value for label in labels])
    fractions = (scale.transform(values) - low) / (high - low)
    places = spread(np.clip(fractions, 0.0, 1.0), 1.3 * size / height, 0.02, 0.97)
    written = []
    for label, at, place in zip(labels, fractions, places, strict=True):
        if abs(place - at) * height > 0.6 * size:  # a moved name keeps a link to its line
            axes.plot(
                [1.0, 1.025], [min(max(at, 0.0), 1.0), place], transform=axes.transAxes,
                color=label.colour, linewidth=0.7, clip_on=False, solid_capstyle="butt",
            )  # fmt: skip
        look = {"fontsize": size, "color": label.colour, "va": "center", "clip_on": False}
        written.append(axes.text(1.03, place, label.text, transform=axes.transAxes, **look))
    return written


def draw_band(axes: Any, x: np.ndarray, lines: np.ndarray) -> float:
    """Draw the middle 80 % of lines `(points, lines)` as a band with their median; return the median's last value."""
    with np.errstate(invalid="ignore"):
        low, middle, high = _quantiles(lines)
    axes.fill_between(x, low, high, color=BAND, linewidth=0.0, zorder=1)
    for edge in (low, high):
        axes.plot(x, edge, color=MUTED, linewidth=0.5, zorder=1)
    axes.plot(x, middle, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
    return float(middle[-1])


def _quantiles(lines: np.ndarray) -> np.ndarray:
    """Quantiles `LOW`, median and `HIGH` of each row, over its known values; NaN where there are none."""
    known = np.isfinite(lines)
    count = known.sum(1)
    ordered = np.sort(np.where(known, lines, np.inf), axis=1)
    rows = np.arange(len(lines))
    places = np.rint(np.outer([LOW, 0.5, HIGH], np.maximum(count - 1, 0))).astype(int)
    return np.where(count > 0, ordered[rows, places], np.nan)


def full_width(x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return places and values `(points, ...)` to draw: a single point becomes a level one unit wide, which ends there."""
    if len(x) == 1:
        return np.array([x[0] - 1.0, x[0]]), np.repeat(values, 2, axis=0)
    return x, values


def stack(
    axes: Any, x: np.ndarray, layers: Sequence[np.ndarray] | np.ndarray, colours: Sequence[str]
) -> None:
    """Draw layers `(points,)` as a stacked area with white edges, from the bottom."""
    axes.stackplot(x, *layers, colors=list(colours), linewidth=0.4, edgecolor="white")


def log_ticks(low: float, high: float) -> np.ndarray:
    """Round numbers between two positive bounds: three to seven, with 1 among them if it is in range."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)))
    grids = [
        np.outer(decades, steps) for steps in ([1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7])
    ]
    ticks = np.empty(0)
    for grid in grids:
        ticks = np.unique(grid)
        ticks = ticks[(low <= ticks) & (ticks <= high)]
        if ticks.size >= 4:
            break
    if ticks.size < 4:  # less than a factor of two or so: steps of equal size
        step = 10.0 ** np.floor(np.log10(high - low))
        for part in (1.0, 0.5, 0.2, 0.1):
            first = np.ceil(low / (step * part) - 1e-9)
            ticks = step * part * np.arange(first, high / (step * part) + 1e-9)
            if ticks.size >= 4:
                break
    stride = -(-ticks.size // 7)
    return ticks[int(np.searchsorted(ticks, 1.0 - 1e-9)) % stride :: stride] if stride else ticks


def log_axis(axes: Any, values: np.ndarray, form: Callable[[float], str]) -> None:
    """Make the vertical axis logarithmic around positive values, with round ticks written by `form`.

    Values that are not positive and finite do not count; a range of less than a tenth is widened to it.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_yscale("log")
    known = values[np.isfinite(values) & (values > 0.0)]
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)
    middle = np.sqrt(low) * np.sqrt(high)
    low, high = min(low, middle / 1.05), max(high, middle * 1.05)
    margin = (high / low) ** 0.06
    low, high = low / margin, high * margin
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(log_ticks(low, high).tolist()))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda y, _: form(y))


def amount(x: float) -> str:
    """A quantity such as TAO in few characters: three significant digits below 1,000, whole numbers below a million."""
    if not np.isfinite(x):
        return "-"
    size = abs(x)
    if size >= 999_999.5:
        return f"{x / 1e6:.4g}M" if size < 1e9 else f"{x:.2e}"
    if size >= 99.95:
        return f"{x:,.0f}"
    return f"{x:.3g}" if size >= 1e-4 or x == 0.0 else f"{x:.0e}"


def percent(x: float) -> str:
    """A share in percent, two significant digits below 10."""
    return f"{100 * x:.0f} %" if abs(x) >= 0.0995 or x == 0.0 else f"{100 * x:.1f} %"


def factor(x: float) -> str:
    """A change as a factor, such as ×1.62."""
    if not np.isfinite(x):
        return ""
    return f"×{x:,.0f}" if x >= 99.5 else f"×{x:.3g}" if x >= 0.001 else "×<0.001"
