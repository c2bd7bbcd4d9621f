"""Learning curves of several runs in one figure: a line per run, and the interval over training seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.evaluation.entrants import names_of_folders
from dtao_agents.evaluation.statistics import bootstrap
from dtao_agents.roles.registry import agent_role, is_import_path
from dtao_agents.seed_folders import SETTINGS_NAME, runs_of_seeds
from dtao_agents.training.run_folder import read_metrics
from dtao_agents.training.settings import read_mapping
from dtao_gym.colours import FAINT_INK, PALETTE, colour_of
from dtao_gym.figures import NAME_SIZE, EndLabel, label_ends, new_figure, save, style
from dtao_gym.world.config import ConfigError

METRICS_NAME, FIGURE_NAME, LEARNING_CURVE = "metrics.csv", "plot.png", "learning_curve.png"
EPISODES, REWARD = "episode_reward_per_year", "reward_per_year"
WIDTH, PANEL_HEIGHT, LETTER = 960, 420, 6.2
"""Size of the figure, and width of a letter of a label, pixels."""


class Curve(NamedTuple):
    """A column of metrics.csv over the steps of training, of one run or averaged over training seeds.

    Attributes
    ----------
    name : str
    n_seeds : int
        Training seeds.
    steps, value, low, high : `(n,)`
        Steps, the mean over training seeds and its 95 % interval; of one seed the interval is the value.
    """

    name: str
    n_seeds: int
    steps: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def runs_in(folder: Path) -> list[Path]:
    """Return the runs of a folder: itself, or those of its training seeds. Raises ConfigError for other folders."""
    runs = list(runs_of_seeds(folder).values()) or [folder]
    for run in runs:
        if not (run / METRICS_NAME).is_file():
            raise ConfigError(
                f"{run}: has no {METRICS_NAME}, allowed is the folder of a run or of training seeds"
            )
    return runs


def read_curve(name: str, runs: Sequence[Path], column: str) -> Curve:
    """Return a column of runs that differ in their training seed, at the steps that all of them have reached.

    Raises ConfigError where a run has no such column or no finite value.
    """
    by_steps: list[dict[int, float]] = []
    for run in runs:
        rows = read_metrics(run / METRICS_NAME)
        if rows and column not in rows[0]:
            allowed = ", ".join(key for key in rows[0] if key != "timesteps")
            raise ConfigError(f"column: got {column!r}, allowed are {allowed} in {run}")
        values = {row["timesteps"]: float(row[column]) for row in rows}
        by_steps.append({step: value for step, value in values.items() if np.isfinite(value)})
    steps = sorted(set.intersection(*(set(values) for values in by_steps)))
    if not steps:
        raise ConfigError(f"{runs[0]}: {column}: got no value yet, allowed is a run that has some")
    values = np.array([[one[step] for one in by_steps] for step in steps])
    if len(runs) == 1:
        return Curve(name, 1, np.array(steps), *[values[:, 0]] * 3)
    estimates = np.array([bootstrap(row, resamples=2_000) for row in values])
    return Curve(name, len(runs), np.array(steps), *estimates.T)


def columns_of(runs: Sequence[Path]) -> list[str]:
    """Return the columns that are drawn by default: of last episodes, or of each role that learns."""
    rows = read_metrics(runs[0] / METRICS_NAME)
    names = list(rows[0]) if rows else []
    if EPISODES in names:
        finite = any(np.isfinite(float(row[EPISODES])) for row in rows)
        return [EPISODES if finite else REWARD]
    return [name for name in names if name.endswith(REWARD)]


def unit_of(run: Path, column: str) -> str:
    """Return the description of a column for its axis."""
    if not column.endswith(REWARD):
        return column.replace("_", " ")
    role = _role_of(column) or str(read_mapping(run / SETTINGS_NAME).get("role", "staker"))
    described = "reward per year" if is_import_path(role) else agent_role(role).reward_description
    which = ", last episodes" if column == EPISODES else ""
    return f"{described}{which}, with exploration"


def finding(curves: Sequence[Curve]) -> str:
    """Return the title of a panel: which run ends highest, and how far that can be told."""
    last = sorted(curves, key=lambda curve: -curve.value[-1])
    best = last[0]
    text = f"{best.value[-1]:+.3g}"
    if len(last) == 1:
        return f"{best.name} ends at {text}"
    second = last[1]
    title = f"{best.name} ends highest, at {text}"
    if min(best.n_seeds, second.n_seeds) < 2:
        return f"{title}; one training seed cannot tell it from {second.name}"
    if best.low[-1] > second.high[-1]:
        return title
    return f"{title}; its interval overlaps that of {second.name}"


def colours_of(names: Sequence[str]) -> list[str]:
    """Return a colour for each run, as in other figures, and another one where two would share it."""
    taken: list[str] = []
    for name in names:
        colour = colour_of(name)
        if colour in taken:
            free = [other for other in PALETTE.values() if other not in taken]
            colour = free[0] if free else colour
        taken.append(colour)
    return taken


def plot_runs(folders: Sequence[Path], column: str | None = None, out: Path | None = None) -> Path:
    """Draw the learning curves of runs.

    Parameters
    ----------
    folders : sequence of Path
        Folders of runs, or of training seeds, which share a line with its 95 % interval over seeds.
    column : str, optional
        Column of metrics.csv; by default the reward.
    out : Path, optional
        File of the figure; by default plot.png in the first folder.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        A folder holds no run, or runs have no common column.
    """
    runs = [runs_in(folder) for folder in folders]
    names = names_of_folders(folders)
    columns = [column] if column else columns_of(runs[0])
    if not columns:
        raise ConfigError(f"{runs[0][0]}/{METRICS_NAME}: got no row, allowed is that of a run")
    for folder, its in zip(folders[1:], runs[1:], strict=True):
        for name in columns:
            mine, first = unit_of(its[0], name), unit_of(runs[0][0], name)
            if mine != first:
                raise ConfigError(
                    f"{folder}: got {mine!r}, allowed is {first!r} as in {folders[0]}"
                )
    figure = new_figure(WIDTH, PANEL_HEIGHT * len(columns))
    panels = figure.subplots(len(columns), squeeze=False)[:, 0]
    labels = [
        f"{name}, {len(its)} seeds" if len(its) > 1 else name
        for name, its in zip(names, runs, strict=True)
    ]
    part = 1.0 / len(columns)
    figure.subplots_adjust(
        left=0.08,
        right=max(1.0 - (40 + LETTER * max(map(len, labels))) / WIDTH, 0.5),
        top=1.0 - 0.16 * part,
        bottom=0.13 * part,
        hspace=0.5,
    )
    for axes, wanted in zip(panels, columns, strict=True):
        curves = [read_curve(*one, wanted) for one in zip(names, runs, strict=True)]
        unit = unit_of(runs[0][0], wanted)
        _draw(axes, curves, labels, colours_of(names), unit, who=_role_of(wanted))
    out = out or folders[0] / FIGURE_NAME
    save(figure, out)
    return out


def _role_of(column: str) -> str:
    """Role in the name of a column of many learners; empty for others."""
    role = column.removesuffix(REWARD).strip("_")
    return role if column.endswith(REWARD) and role not in ("", "episode") else ""


def _draw(
    axes: Any,
    curves: Sequence[Curve],
    labels: Sequence[str],
    colours: Sequence[str],
    unit: str,
    who: str = "",
) -> None:
    """Draw a panel; `who` is the role that its title names."""
    most = max(curve.steps[-1] for curve in curves)
    per, word = (1e6, "million") if most >= 1e6 else (1e3, "thousand")
    ends = []
    for curve, label, colour in zip(curves, labels, colours, strict=True):
        steps = curve.steps / per
        axes.plot(steps, curve.value, color=colour, linewidth=1.6)
        if curve.n_seeds > 1:
            axes.fill_between(steps, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
        ends.append(EndLabel(label, float(curve.value[-1]), colour))
    interval = "; band: 95 % interval over seeds" if any(c.n_seeds > 1 for c in curves) else ""
    title = f"{who.capitalize()}s: {finding(curves)}" if who else finding(curves)
    style(axes, title, f"{unit}{interval}")
    axes.set_xlabel(f"{word} steps", fontsize=NAME_SIZE, color=FAINT_INK)
    axes.set_xlim(0.0, most / per)
    axes.set_ylim(*axes.get_ylim())
    label_ends(axes, ends)
