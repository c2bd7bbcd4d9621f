"""Reports of an evaluation for people: the table and the answers on the terminal, the figure."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dtao_agents.evaluation.statistics import Estimate, span
from dtao_agents.roles.registry import agent_role
from dtao_agents.roles.role import AgentRole

LEARNED = "learned"
"""Name of the learned policy among those it is compared with."""
CAVEAT = "Intervals are over evaluation seeds of one training run, not over training seeds."


def signed(form: str) -> str:
    """Return a format specification with the sign always shown."""
    return f"+{form.lstrip('+')}"


def report(verdict: dict[str, Any], console: Console) -> None:
    """Print the table, 100 columns wide, and plain answers, of the content of evaluation.json."""
    role = agent_role(verdict["role"])
    console.print(_table(verdict, role))
    console.print(role.report_note)
    for name in role.to_beat:
        low = verdict["learned_minus"][name]["low"]
        answer = "yes" if low > 0.0 else "NO"
        console.print(
            f"learned beats {name}: {answer} (paired lower bound {low:+.3f})", highlight=False
        )
    for line in role.analysis_lines(verdict):
        console.print(line, highlight=False)
    console.print(verdict["caveat"])


def _table(verdict: dict[str, Any], role: AgentRole) -> Table:
    """Policies by score, best first."""
    table = Table(title=role.report_title(verdict), box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("policy", no_wrap=True)
    headings = [column.heading for column in role.columns]
    for heading in ("mean", "IQM", *headings, "learned minus"):
        table.add_column(heading, justify="right", no_wrap=True)
    score, form = role.score, role.score_form
    for name, estimates in sorted(
        verdict["policies"].items(), key=lambda item: -item[1][score]["value"]
    ):
        difference = verdict["learned_minus"].get(name)
        table.add_row(
            name,
            span(Estimate(**estimates[score]), form),
            f"{estimates[f'{score}_iqm']['value']:{form}}",
            *(f"{estimates[column.metric]['value']:{column.form}}" for column in role.columns),
            span(Estimate(**difference), signed(form)) if difference else "",
            style="bold" if name == LEARNED else None,
        )
    return table


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    role = agent_role(verdict["role"])
    policies, score = verdict["policies"], verdict["metric"]
    names = sorted(policies, key=lambda name: policies[name][score]["value"])
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    bars, panel = figure.subplots(1, 2)
    for row, name in enumerate(names):
        estimate = policies[name][score]
        color = "C3" if name == LEARNED else "C0"
        bars.plot([estimate["low"], estimate["high"]], [row, row], color=color, lw=3)
        bars.plot(estimate["value"], row, "o", color=color)
    bars.axvline(0.0, color="0.6", lw=1)
    bars.set_yticks(range(len(names)), names)
    bars.set(xlabel=f"{role.score_label(verdict)}, 95 % interval", title="Evaluation seeds")
    for name in reversed(names):
        days = role.path_days(verdict, paths[name].size)
        panel.plot(days, paths[name], lw=2.5 if name == LEARNED else 1.2, label=name)
    panel.set(xlabel="day", ylabel=role.path_label, title="Paths")
    panel.legend(frameon=False, fontsize=8)
    for axes in (bars, panel):
        axes.grid(alpha=0.3)
    FigureCanvasAgg(figure).print_png(path)
