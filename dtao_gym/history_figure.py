"""The picture of the chain's history and of simulated worlds by date, `dtao history --plot`."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from dtao_gym import figures
from dtao_gym.colours import FAINT_INK, INK, OBSERVED, SIMULATED
from dtao_gym.history_measures import MEASURES, Measure, MeasureSummary
from dtao_gym.world.config import ConfigError

WIDTH, HEIGHT = 1320, 740
UNITS = {
    "subnets": "number",
    "price_sum": "TAO, log scale",
    "median_price": "TAO, log scale",
    "sd_log_price": "standard deviation of the log",
    "top1_share": "share of the sum of prices",
    "top5_share": "share of the sum of prices",
    "hhi": "Herfindahl index, 0 to 1",
    "root_share": "part of TAO in root and pools",
}
"""Units of the measures of `dtao_gym.history_measures`."""
TITLES = {
    "subnets": "Subnets",
    "price_sum": "Sum of prices",
    "median_price": "Median price",
    "sd_log_price": "Spread of prices",
    "top1_share": "Highest price",
    "top5_share": "Five highest prices",
    "hhi": "Concentration",
    "root_share": "Root",
}
"""Beginnings of the panels' titles."""
LOG = ("price_sum", "median_price")
SHARES = ("top1_share", "top5_share", "root_share")


def draw(rows: Mapping[date, Mapping[str, MeasureSummary]], n_worlds: int, path: Path) -> None:
    """Write a picture of the measures by date.

    Parameters
    ----------
    rows : mapping
        Result of `dtao_gym.history.compare`.
    n_worlds : int
        Number of worlds.
    path : Path
        Output file, of any format of matplotlib.

    Raises
    ------
    ConfigError
        Matplotlib, the extra `plot`, is missing, or the file cannot be written.
    """
    try:
        figure = figures.new_figure(WIDTH, HEIGHT)
    except ImportError:
        raise ConfigError("--plot needs matplotlib: pip install 'dtao-gym[plot]'") from None
    panels = figure.subplots(2, 4)
    figure.subplots_adjust(left=0.04, right=0.935, top=0.83, bottom=0.06, hspace=0.42, wspace=0.62)
    for axes, measure in zip(panels.flat, MEASURES, strict=True):
        _draw_measure(axes, measure, rows)
    days = list(rows)
    figure.text(0.008, 0.965, headline(rows), fontsize=14, weight="bold", color=INK, va="center")
    note = f"{days[0]} to {days[-1]}; lines and bands: mean and 5 to 95 % of {n_worlds} simulated worlds"
    figure.text(0.008, 0.925, f"{note}; dots: the chain", fontsize=10, color=FAINT_INK, va="center")
    try:
        figures.save(figure, path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--plot {path}: {' '.join(str(error).split())}") from None


def inside(rows: Mapping[date, Mapping[str, MeasureSummary]], name: str) -> tuple[int, int]:
    """Return the days on which the chain's value lies within the range of the worlds, and the days it is known."""
    known = [row[name] for row in rows.values() if np.isfinite(row[name].chain)]
    return sum(m.low <= m.chain <= m.high for m in known), len(known)


def headline(rows: Mapping[date, Mapping[str, MeasureSummary]]) -> str:
    """What the comparison says, over all measures."""
    found = [inside(rows, measure.name) for measure in MEASURES]
    within, known = (sum(numbers) for numbers in zip(*found, strict=True))
    if known == 0:
        return "No day of the chain's data was simulated"
    return f"The chain lies within the range of simulated worlds on {figures.percent(within / known)} of its days"


def _draw_measure(
    axes: Any, measure: Measure, rows: Mapping[date, Mapping[str, MeasureSummary]]
) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    days = np.array(list(rows), "datetime64[D]")
    chain, mean, low, high = np.array([row[measure.name] for row in rows.values()]).T
    within, known = inside(rows, measure.name)
    title = f"{TITLES[measure.name]}: no data of the chain"
    if known:
        title = f"{TITLES[measure.name]}: in range on {figures.percent(within / known)}"
    figures.style(axes, title, f"{UNITS[measure.name]}; {known} days known")
    if measure.name in LOG:
        figures.log_axis(axes, np.concatenate([chain, low, high]), figures.amount)
    else:
        top = float(np.nanmax(np.concatenate([chain, high])))
        axes.set_ylim(0.0, 1.05 * top if np.isfinite(top) and top > 0.0 else 1.0)
    if measure.name in SHARES:
        axes.yaxis.set_major_formatter(lambda y, _: figures.percent(y))
    axes.fill_between(days, low, high, color=SIMULATED, alpha=0.2, linewidth=0)
    axes.plot(days, mean, color=SIMULATED, linewidth=1.4)
    there = np.isfinite(chain)
    axes.plot(days[there], chain[there], ".", color=OBSERVED, markersize=3)
    axes.set_xlim(days[0], max(days[-1], days[0] + 1))
    locator = AutoDateLocator(minticks=2, maxticks=5)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    labels = [figures.EndLabel(f"worlds {_short(measure, mean[-1])}", mean[-1], SIMULATED)]
    if there.any():
        last = float(chain[there][-1])
        labels.append(figures.EndLabel(f"chain {_short(measure, last)}", last, OBSERVED))
    figures.label_ends(axes, labels)


def _short(measure: Measure, value: float) -> str:
    return figures.percent(value) if measure.name in SHARES else figures.amount(value)
