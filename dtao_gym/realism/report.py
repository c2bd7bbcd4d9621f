"""A comparison of markets as a table, a picture, and JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dtao_gym.realism.gate import Realism, Row
from dtao_gym.realism.moments import MOMENTS
from dtao_gym.realism.panel import PERIODS, Panel
from dtao_gym.world.config import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = ("moment", "real", "se", "simulated", "z", "gate", "")
LEVELS = {
    "price_sum": "sum of prices",
    "sd_log_price": "sd of ln price",
    "top5_share": "share of the top five",
}
REAL, SIMULATED = "#d55e00", "#0072b2"


def _told(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-"


def cells(name: str, row: Row) -> list[str]:
    """A line of the table: as `HEADINGS`."""
    form = MOMENTS[name].form
    gate = "" if row.gate is None else f"{row.gate[0]:g} to {row.gate[1]:g}"
    verdict = {None: "" if row.gate is None else "?", True: "pass", False: "FAIL"}[row.passed]
    return [
        MOMENTS[name].heading,
        _told(row.real, form),
        _told(row.error, form.lstrip("+")),
        _told(row.simulated, form),
        _told(row.z, "+.1f"),
        gate,
        verdict,
    ]


def summary(found: Realism) -> str:
    """The J statistic and the gates in a sentence."""
    worst = [name for name in found.rows if MOMENTS[name].fitted and abs(found.rows[name].z) > 2.0]
    judged = sum(row.passed is not None for row in found.rows.values())
    return (
        f"J {_told(found.j, '.1f')} on {found.counted} moments, {len(worst)} of them beyond two standard errors; "
        f"{judged - len(found.failed)} of {judged} gates passed."
    )


def level_cells(found: Realism) -> list[list[str]]:
    """Lines of the cross-section: measure, real, simulated, allowed."""
    return [
        [LEVELS[name], f"{row.real:.3f}", _told(row.simulated, ".3f"), row.allowed]
        for name, row in found.levels.items()
    ]


def print_report(found: Realism, console: "Console") -> None:
    """Print the comparison in 100 columns."""
    from rich.table import Table

    chosen = PERIODS[found.period]
    console.print(
        f"{chosen.label}, {chosen.days} closes; {found.worlds} worlds after {found.burn_in} days, "
        f"{found.newcomers} new subnets",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for k, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if 0 < k < 5 else "left", no_wrap=True)
    for name, row in found.rows.items():
        table.add_row(*cells(name, row))
    console.print(table, highlight=False)
    console.print(summary(found) + "\n", highlight=False)
    levels = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for k, heading in enumerate(("prices of the last day", "real", "simulated", "allowed")):
        levels.add_column(heading, justify="right" if 0 < k < 3 else "left", no_wrap=True)
    for line in level_cells(found):
        levels.add_row(*line)
    console.print(levels, highlight=False)


def as_dict(found: Realism) -> dict[str, Any]:
    """Everything as plain numbers and texts; what is not defined is None."""

    def number(value: float) -> float | None:
        return float(f"{value:.6g}") if np.isfinite(value) else None

    return {
        "period": found.period,
        "worlds": found.worlds,
        "burn_in_days": found.burn_in,
        "newcomers": found.newcomers,
        "j": number(found.j),
        "counted": found.counted,
        "moments": {
            name: {
                "real": number(row.real),
                "error": number(row.error),
                "simulated": number(row.simulated),
                "simulated_error": number(row.simulated_error),
                "z": number(row.z),
                "gate": None if row.gate is None else list(row.gate),
                "passed": row.passed,
            }
            for name, row in found.rows.items()
        },
        "levels": {
            name: {
                "real": number(row.real),
                "simulated": number(row.simulated),
                "allowed": row.allowed,
            }
            for name, row in found.levels.items()
        },
    }


def from_dict(facts: dict[str, Any]) -> Realism:
    """The comparison that `as_dict` wrote."""
    from dtao_gym.realism.gate import Level

    def number(value: float | None) -> float:
        return np.nan if value is None else value

    rows = {
        name: Row(
            number(row["real"]),
            number(row["error"]),
            number(row["simulated"]),
            number(row["simulated_error"]),
            number(row["z"]),
            None if row["gate"] is None else (row["gate"][0], row["gate"][1]),
            row["passed"],
        )
        for name, row in facts["moments"].items()
    }
    levels = {
        name: Level(number(row["real"]), number(row["simulated"]), row["allowed"])
        for name, row in facts["levels"].items()
    }
    return Realism(
        facts["period"],
        rows,
        number(facts["j"]),
        facts["counted"],
        levels,
        facts["worlds"],
        facts["burn_in_days"],
        facts["newcomers"],
    )


def markdown(found: Realism) -> str:
    """The same tables for a page."""
    lines = ["| moment | real | se | simulated | z | gate | |", "|---|---:|---:|---:|---:|---|---|"]
    lines += [f"| {' | '.join(cells(name, row))} |" for name, row in found.rows.items()]
    lines += ["", summary(found), "", "| prices of the last day | real | simulated | allowed |"]
    lines += ["|---|---:|---:|---|"]
    lines += [f"| {' | '.join(line)} |" for line in level_cells(found)]
    return "\n".join(lines) + "\n"


def draw(found: Realism, real: Panel, simulated: Sequence[Panel], path: Path) -> None:
    """Write a picture: the z of every moment, and returns of the chain and of a world. Needs matplotlib, the extra `plot`."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("--plot needs matplotlib: pip install 'dtao-gym[plot]'") from None

    figure = Figure(figsize=(12, 6.4), dpi=110, facecolor="white", layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 3, width_ratios=[3, 2, 2])
    axes = figure.add_subplot(grid[:, 0])
    names = list(found.rows)
    z = np.array([found.rows[name].z for name in names])
    shown = np.clip(np.nan_to_num(z), -6.0, 6.0)
    colours = ["#bbbbbb" if not np.isfinite(v) else SIMULATED if abs(v) <= 2.0 else REAL for v in z]
    places = np.arange(len(names))[::-1]
    axes.axvspan(-2.0, 2.0, color="#e8eaec")
    axes.axvline(0.0, color="#999999", linewidth=0.8)
    axes.barh(places, shown, color=colours, height=0.6)
    axes.set_yticks(places, [MOMENTS[name].heading for name in names], fontsize=7)
    axes.set_xlim(-6.3, 6.3)
    axes.set_title("Simulated less real, standard errors", fontsize=10, loc="left")
    panels = [figure.add_subplot(grid[k // 2, 1 + k % 2]) for k in range(4)]
    _draw_path(panels[0], real, "Chain: log price, eight subnets")
    _draw_path(panels[1], simulated[0], "A world: log price, eight subnets")
    _draw_tails(panels[2], real, simulated)
    _draw_sizes(panels[3], real, simulated[0])
    for panel in (axes, *panels):
        panel.tick_params(labelsize=7)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    figure.suptitle(
        f"{PERIODS[found.period].label}. {summary(found)}", fontsize=9, x=0.01, ha="left"
    )
    try:
        canvas.print_figure(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--plot {path}: {' '.join(str(error).split())}") from None


def _draw_path(axes: Any, panel: Panel, title: str) -> None:
    whole = np.flatnonzero(np.isfinite(panel.price).all(0))
    if panel.tao is not None:
        whole = whole[np.argsort(-np.nan_to_num(panel.tao[0, whole]), kind="stable")]
    chosen = np.log(panel.price[:, whole[:8]])
    axes.plot(chosen - chosen[:1], linewidth=0.9)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel("day", fontsize=8)


def _returns(panel: Panel) -> np.ndarray:
    change = np.diff(np.log(panel.price), axis=0)
    return change[:, np.isfinite(change).sum(0) >= 20]


def _draw_tails(axes: Any, real: Panel, simulated: Sequence[Panel]) -> None:
    for panels, colour, label in (([real], REAL, "chain"), (simulated, SIMULATED, "worlds")):
        pooled = np.concatenate([np.abs(_returns(panel)).ravel() for panel in panels])
        size = np.sort(pooled[np.isfinite(pooled)])
        size = np.maximum(size, 1e-6)
        beyond = 1.0 - np.arange(size.size) / size.size
        axes.loglog(size, beyond, color=colour, linewidth=1.3, label=label)
    axes.set_xlim(1e-3, 3.0)
    axes.set_ylim(1e-4, 1.0)
    axes.set_title("Share of daily moves beyond", fontsize=9, loc="left")
    axes.legend(fontsize=8, frameon=False)


def _draw_sizes(axes: Any, real: Panel, world: Panel) -> None:
    for panel, colour in ((real, REAL), (world, SIMULATED)):
        if panel.tao is None:
            continue
        change = np.diff(np.log(panel.price), axis=0)
        points = [
            (np.exp(np.mean(np.log(t[np.isfinite(t)]))), np.std(r[np.isfinite(r)]))
            for r, t in zip(change.T, panel.tao.T, strict=True)
            if np.isfinite(r).sum() >= 20 and np.isfinite(t).any()
        ]
        if points:
            x, y = np.array(points).T
            axes.loglog(x, np.maximum(y, 1e-4), ".", color=colour, markersize=3)
    axes.set_title("Daily sd by TAO in the pool", fontsize=9, loc="left")


def page_tables(facts: dict[str, dict[str, Any]]) -> str:
    """The tables of several populations, by file, for the page of the documentation."""
    parts = []
    for config, numbers in facts.items():
        found = from_dict(numbers)
        chosen = PERIODS[found.period]
        parts.append(
            f"\n### `{config}` and {chosen.label}\n\n"
            f"`python -m dtao_gym.realism --config {config} --period {found.period}`: {chosen.days} closes, "
            f"{found.worlds} worlds after {found.burn_in} days, {found.newcomers} new subnets.\n\n"
            + markdown(found)
        )
    return "".join(parts) + "\n"
