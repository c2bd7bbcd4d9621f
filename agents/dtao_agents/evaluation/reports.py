"""Reports of an evaluation for people: the table and the answers on the terminal, the figure."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape

from dtao_agents.evaluation.statistics import Estimate, span
from dtao_agents.roles.registry import agent_role
from dtao_agents.roles.role import AgentRole
from dtao_gym.colours import MUTED, colour_of
from dtao_gym.figures import NAME_SIZE, EndLabel, label_ends, new_figure, save, style
from dtao_gym.tables import Column, print_table

LEARNED = "learned"
"""Name of the learned policy among those it is compared with."""
CAVEAT = "Intervals are over evaluation seeds of one training run, not over training seeds."


def signed(form: str) -> str:
    """Return a format specification with the sign always shown."""
    return f"+{form.lstrip('+')}"


def unbeaten_line(name: str, minus: Mapping[str, Any], ceilings: Iterable[str] = ()) -> str:
    """Return the sentence that names every policy that a learned one does not beat.

    Parameters
    ----------
    name : str
        The learned policy.
    minus : mapping
        Estimates of the paired differences to the others, by name; one is beaten if its lower bound is above 0.
    ceilings : iterable of str
        Policies that use hidden information.
    """
    lows = {other: estimate["low"] for other, estimate in minus.items()}
    # also where a bound is no number
    unbeaten = [other for other, low in lows.items() if not low > 0.0]
    if not unbeaten:
        return f"{name} beats all {len(lows)} others (paired lower bounds above 0)."
    hidden = set(ceilings)
    listed = ", ".join(
        f"{other}{' (a ceiling)' if other in hidden else ''} {lows[other]:+.4f}"
        for other in unbeaten
    )
    return f"{name} does NOT beat {len(unbeaten)} of {len(lows)} (paired lower bounds): {listed}."


def report(verdict: dict[str, Any], console: Console) -> None:
    """Print what the learned policy does not beat, the table, and plain answers, of the content of evaluation.json."""
    role = agent_role(verdict["role"])
    line = unbeaten_line(LEARNED, verdict["learned_minus"], role.ceilings)
    console.print(line, highlight=False, markup=False)
    _print_table(verdict, role, console)
    console.print(role.report_note)
    for name in role.to_beat:
        low = verdict["learned_minus"][name]["low"]
        answer = "yes" if low > 0.0 else "NO"
        console.print(
            f"learned beats {name}: {answer} (paired lower bound {low:+.3f})", highlight=False
        )
    if by_seed := verdict.get("by_training_seed"):
        means = ", ".join(f"{its['mean']:{role.score_form}}" for its in by_seed.values())
        console.print(f"by training seed {', '.join(by_seed)}: {means}", highlight=False)
        for seed, its in by_seed.items():
            for line in role.analysis_lines(its):
                console.print(f"seed {seed}: {line}", highlight=False)
    else:
        for line in role.analysis_lines(verdict):
            console.print(line, highlight=False)
    console.print(verdict["caveat"])


def _print_table(verdict: dict[str, Any], role: AgentRole, console: Console) -> None:
    """Policies by score, best first."""
    minus, form = verdict["learned_minus"], role.score_form
    names = by_score(verdict, role)
    columns = [
        Column("policy", justify="left"),
        Column("mean"),
        Column("IQM", rank=len(role.columns) + 2),
        *(Column(column.heading, rank=k + 2) for k, column in enumerate(role.columns)),
        Column("learned minus", rank=1),
    ]
    rows = [
        [
            *_score_cells(verdict, role, name),
            span(Estimate(**minus[name]), signed(form)) if name in minus else "",
        ]
        for name in names
    ]
    print_table(
        console,
        columns,
        rows,
        ["bold" if name == LEARNED else None for name in names],
        title=role.report_title(verdict),
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )


def by_score(verdict: dict[str, Any], role: AgentRole) -> list[str]:
    """Return the policies of a verdict, best first."""
    policies = verdict["policies"]
    return sorted(policies, key=lambda name: -policies[name][role.score]["value"])


def _score_cells(verdict: dict[str, Any], role: AgentRole, name: str) -> list[str]:
    """Name, score with interval, interquartile mean and further metrics of a policy."""
    estimates, score, form = verdict["policies"][name], role.score, role.score_form
    return [
        escape(name),
        span(Estimate(**estimates[score]), form),
        f"{estimates[f'{score}_iqm']['value']:{form}}",
        *(f"{estimates[column.metric]['value']:{column.form}}" for column in role.columns),
    ]


def report_several(verdict: dict[str, Any], console: Console) -> None:
    """Print several learned policies side by side with the scripted ones, of the result of `evaluate_folders`."""
    role, several = agent_role(verdict["role"]), verdict["several"]
    form = signed(role.score_form)
    for name in several:
        line = unbeaten_line(name, verdict["learned_minus"][name], role.ceilings)
        console.print(line, highlight=False, markup=False)
    names = by_score(verdict, role)
    best = next(name for name in names if name not in several)
    columns = [
        Column("policy", justify="left", fold=16),
        Column("mean"),
        Column("IQM", rank=len(role.columns) + 2),
        *(Column(column.heading, rank=k + 2) for k, column in enumerate(role.columns)),
        Column(f"minus {best}", rank=1),
    ]
    rows = []
    for name in names:
        minus = verdict["learned_minus"].get(name, {}).get(best)
        difference = span(Estimate(**minus), form) if minus else ""
        rows.append([*_score_cells(verdict, role, name), difference])
    print_table(
        console,
        columns,
        rows,
        ["bold" if name in several else None for name in names],
        title=role.report_title(verdict),
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    console.print(f"minus {best}: the best scripted policy, paired by seed.", highlight=False)
    console.print(verdict["caveat"])


def draw(path: Path, paths: dict[str, np.ndarray], verdict: dict[str, Any]) -> None:
    """Draw the score with intervals, and the mean path over the days, of every policy.

    Parameters
    ----------
    path : Path
        PNG file to write.
    paths : dict of `(steps + 1,)`
        Path of each policy (`EpisodeMetrics.path`).
    verdict : dict
        Content of evaluation.json.
    """
    role = agent_role(verdict["role"])
    policies, score = verdict["policies"], verdict["metric"]
    names = sorted(policies, key=lambda name: policies[name][score]["value"])
    figure = new_figure(1100, 430)
    bars, panel = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.12, right=0.87, top=0.86, bottom=0.12, wspace=0.25)
    for row, name in enumerate(names):
        estimate, colour = policies[name][score], colour_of(name)
        bars.plot([estimate["low"], estimate["high"]], [row, row], color=colour, lw=3)
        bars.plot(estimate["value"], row, "o", color=colour)
    bars.axvline(0.0, color=MUTED, lw=1)
    bars.set_yticks(range(len(names)), names)
    label = role.score_label(verdict)
    style(bars, f"{names[-1]} scores highest", f"{label}, 95 % interval")
    ends = []
    for name in names:
        days = role.path_days(verdict, paths[name].size)
        width = 2.5 if name == LEARNED else 1.2
        panel.plot(days, paths[name], lw=width, color=colour_of(name))
        ends.append(EndLabel(name, float(paths[name][-1]), colour_of(name)))
    highest = max(ends, key=lambda end: end.value).text
    style(panel, f"{highest} ends highest on average", role.path_label)
    panel.set_xlabel("day", fontsize=NAME_SIZE)
    panel.set_xlim(*panel.dataLim.intervalx)
    panel.set_ylim(*panel.get_ylim())
    label_ends(panel, ends)
    save(figure, path)
