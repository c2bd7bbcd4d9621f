"""A verdict for people: the table and the answers on the terminal, the figure."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dtao_agents.evaluation.statistics import Estimate

LEARNED = "learned"
TO_BEAT = {
    "staker": ("random", "all_root", "market_weight"),
    "builder": ("random", "all_short", "all_long", "myopic", "as_configured"),
}
CAVEAT = "Intervals are over evaluation seeds of one training run, not over training seeds."

_STAKER_NOTE = "wealth: TAO at the end. turnover: TAO traded over wealth, a year. learned minus: paired by seed."
_BUILDER_NOTE = "research: share of research, mean. learned minus: paired by seed. kernel and myopic know the technology."


def report(verdict: dict[str, Any], console: Console) -> None:
    """Print the table, 100 columns wide, and the plain answers."""
    role = verdict["role"]
    table = _table_of_stakers(verdict) if role == "staker" else _table_of_builders(verdict)
    console.print(table)
    console.print(_STAKER_NOTE if role == "staker" else _BUILDER_NOTE)
    for name in TO_BEAT[role]:
        low = verdict["learned_minus"][name]["low"]
        answer = "yes" if low > 0.0 else "NO"
        console.print(
            f"learned beats {name}: {answer} (paired lower bound {low:+.3f})", highlight=False
        )
    if "research" in verdict:
        console.print(_research(verdict["research"]), highlight=False)
    console.print(verdict["caveat"])


def _table_of_stakers(verdict: dict[str, Any]) -> Table:
    days, (first, last) = verdict["days"], verdict["evaluation_seeds"]
    title = (
        f"Log growth of wealth in {days} days, evaluation seeds {first} to {last}, 95 % intervals"
    )
    table = _table(title, ("mean", "IQM", "wealth", "drawdown", "turnover", "learned minus"))
    for name, found in _ranked(verdict):
        _add(
            table,
            verdict,
            name,
            _told(found["log_growth"], "+.2f"),
            f"{found['log_growth_iqm']['value']:+.2f}",
            f"{found['final_wealth']['value']:,.0f}",
            f"{found['max_drawdown']['value']:.0%}",
            f"{found['turnover']['value']:.0f}",
        )
    return table


def _table_of_builders(verdict: dict[str, Any]) -> Table:
    first, last = verdict["evaluation_seeds"]
    title = (
        f"Consumption, TAO, until a drawn end, evaluation seeds {first} to {last}, 95 % intervals"
    )
    table = _table(title, ("mean", "IQM", "research", "days", "dissolved", "learned minus"))
    for name, found in _ranked(verdict):
        _add(
            table,
            verdict,
            name,
            _told(found["consumption"], ",.0f"),
            f"{found['consumption_iqm']['value']:,.0f}",
            f"{found['research_share']['value']:.3f}",
            f"{found['days']['value']:,.0f}",
            f"{found['dissolved']['value']:.0%}",
        )
    return table


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("policy", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _ranked(verdict: dict[str, Any]) -> list:
    main = verdict["metric"]
    return sorted(verdict["policies"].items(), key=lambda item: -item[1][main]["value"])


def _add(table: Table, verdict: dict[str, Any], name: str, *cells: str) -> None:
    difference = verdict["learned_minus"].get(name)
    form = "+.2f" if verdict["role"] == "staker" else "+,.0f"
    told = _told(difference, form) if difference else ""
    table.add_row(name, *cells, told, style="bold" if name == LEARNED else None)


def _told(estimate: dict[str, float], form: str) -> str:
    found = Estimate(**estimate)
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def _research(found: dict[str, Any]) -> str:
    text = f"learned research share: {found['share']:.3f} (log-odds {found['logit']:+.3f})"
    if "difference" not in found:
        return text
    answer = "yes" if found["within_tolerance"] else "NO"
    return (
        f"{text}; closed form {found['closed_form_share']:.3f} ({found['closed_form_logit']:+.3f})\n"
        f"within 0.2 of the closed form in log-odds: {answer} (difference {found['difference']:+.3f})"
    )


def draw(path: Path, paths: dict[str, np.ndarray], verdict: dict[str, Any]) -> None:
    """The main metric with intervals, and the mean path over the days, of every policy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    staker = verdict["role"] == "staker"
    found, main = verdict["policies"], verdict["metric"]
    names = sorted(found, key=lambda name: found[name][main]["value"])
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    bars, panel = figure.subplots(1, 2)
    for row, name in enumerate(names):
        estimate = found[name][main]
        color = "C3" if name == LEARNED else "C0"
        bars.plot([estimate["low"], estimate["high"]], [row, row], color=color, lw=3)
        bars.plot(estimate["value"], row, "o", color=color)
    bars.axvline(0.0, color="0.6", lw=1)
    bars.set_yticks(range(len(names)), names)
    what = (
        f"log growth in {verdict['days']} days" if staker else "consumption until a drawn end, TAO"
    )
    bars.set(xlabel=f"{what}, 95 % interval", title="Evaluation seeds")
    for name in reversed(names):
        # the last step of a staker may run past the horizon
        days = np.linspace(0, verdict["days"], paths[name].size)
        if not staker:
            days = verdict["days_per_step"] * np.arange(paths[name].size)
        panel.plot(days, paths[name], lw=2.5 if name == LEARNED else 1.2, label=name)
    label = "log wealth over first wealth, mean" if staker else "consumed so far, TAO, mean"
    panel.set(xlabel="day", ylabel=label, title="Paths")
    panel.legend(frameon=False, fontsize=8)
    for axes in (bars, panel):
        axes.grid(alpha=0.3)
    FigureCanvasAgg(figure).print_png(path)
