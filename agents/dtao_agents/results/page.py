"""RESULTS.md: tables of at most 100 columns, and plain answers."""

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from dtao_agents.evaluation.arena import Scenario, Score, main_metric
from dtao_agents.evaluation.evaluate import METRICS, TOLERANCE
from dtao_agents.evaluation.statistics import bootstrap, span
from dtao_agents.files import write_atomically
from dtao_agents.results.plan import Row
from dtao_agents.results.pretrained import Published, told
from dtao_agents.results.summary import Findings
from dtao_agents.training.settings import TrainConfig

WIDTH = 100
FORMS = {"staker": "+.3f", "builder": ",.0f"}
SIGNED = {"staker": "+.3f", "builder": "+,.0f"}
UNITS = {
    "staker": "log growth of liquidation wealth in an episode",
    "builder": "TAO consumed until a drawn end",
}

CELLS = {
    "final_wealth": ",.0f",
    "max_drawdown": ".0%",
    "turnover": ",.0f",
    "research_share": ".3f",
    "days": ",.0f",
    "dissolved": ".0%",
}
SHORT = {
    "final_wealth": "wealth",
    "max_drawdown": "fall",
    "research_share": "research",
    "dissolved": "died",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column on the left, the others on the right."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]

    def line(row: Sequence[str]) -> str:
        padded = [row[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [line(cells[0]), "| " + " | ".join(rule) + " |", *map(line, cells[1:]), ""]


def prose(text: str, bullet: str = "") -> list[str]:
    """Lines of a paragraph, or of one point of a list."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def write_page(
    out: Path, findings: Findings, published: Sequence[Published], sections: Sequence[str]
) -> None:
    """Write RESULTS.md; `sections` are lines on rows that have no place in the tables."""
    lines = [
        "# Results",
        "",
        *_opening(findings),
        "## Learned against scripted",
        "",
        *_verdicts(findings),
        *_rows_at_home(findings),
        *_closed_forms(findings),
        *_comparisons(findings),
        *sections,
        *_arena(findings),
        *_exploits(findings),
        *_pretrained(published),
        *_made_with(findings),
    ]
    write_atomically(out, ("\n".join(lines).rstrip() + "\n").encode())


def _opening(findings: Findings) -> list[str]:
    n = len(findings.plan.training_seeds)
    return [
        *prose(
            f"Written by `{findings.facts['command']}`. Intervals are 95 %, by bootstrap over {n} training seeds, never "
            f"over episodes of one policy; with {n} seeds they are short by nature. A learned policy beats another where "
            "the lower end of its paired difference, on the same evaluation seeds, is above 0. Policies that do not learn "
            "have no interval. A ceiling knows what no player sees and need not be beaten."
        ),
        "",
    ]


def _verdicts(findings: Findings) -> list[str]:
    rows, misses = [], []
    for name, home in findings.homes.items():
        found, form = findings.verdict(home, name), FORMS[home.role]
        rows.append(
            (
                name,
                f"{found.learned.value:{form}}",
                found.best,
                span(found.minus_best, SIGNED[home.role]),
                _answer(found.not_beaten),
            )
        )
        misses += _misses(name, name, found.not_beaten)
    head = ("row", "learned", "best other", "learned minus it", "beats all others")
    return [*table(head, rows), *misses, *([""] if misses else [])]


def _answer(not_beaten: Sequence[str]) -> str:
    return f"NO, {len(not_beaten)} not" if not_beaten else "yes"


def _misses(scenario: str, row: str, not_beaten: Sequence[str]) -> list[str]:
    where = scenario if scenario == row else f"{scenario}: {row}"
    return prose(f"{where} does not beat {', '.join(not_beaten)}.", "- ") if not_beaten else []


def _rows_at_home(findings: Findings) -> list[str]:
    lines = []
    for row, home in _described(findings):
        lines += [f"### {row.name}", "", *_about(findings, row, home), ""]
        lines += _all_policies(findings, home, row.name)
    return lines


def _described(findings: Findings) -> list[tuple[Row, Scenario]]:
    """Rows that are told of in full, and their homes; the others are there for a comparison."""
    rows = [row for row in findings.plan.rows if row.publish or row.arena]
    return [(row, findings.homes[row.name]) for row in rows if row.name in findings.homes]


def _in_closed_form(home: Scenario) -> bool:
    return home.role == "builder" and home.config.payment == "fee" and not home.config.finance


def _about(findings: Findings, row: Row, home: Scenario) -> list[str]:
    records = findings.records[row.name]
    seconds = np.mean([record["train_seconds"] for record in records])
    changed = f", with {row.overrides}" if row.overrides else ""
    instead = (
        " What it is held against is the closed form, further down: a constant share may be the optimum itself."
        if _in_closed_form(home)
        else ""
    )
    return prose(
        f"`{row.config}`{changed}: {records[0]['timesteps']:,} steps, {seconds:,.0f} s for each seed. "
        f"In the table: {UNITS[home.role]}, evaluation seeds 0 to {home.seeds - 1}.{instead}"
    )


def _all_policies(findings: Findings, home: Scenario, row: str) -> list[str]:
    role, (main, *more) = home.role, METRICS[home.role]
    learned = bootstrap(findings.by_training_seed(home, row))
    means = [findings.by_training_seed(home, row, metric).mean() for metric in more]
    cells = [f"{mean:{CELLS[metric]}}" for metric, mean in zip(more, means, strict=True)]
    rows = [("**learned**", f"{learned.value:{FORMS[role]}}", *cells, "")]
    for name, score in findings.others(home).items():
        mean = f"{score.values[main].mean():{FORMS[role]}}"
        cells = [f"{score.values[metric].mean():{CELLS[metric]}}" for metric in more]
        minus = span(findings.minus(home, row, name), SIGNED[role])
        rows.append((_label(score), mean, *cells, minus))
    heads = [SHORT.get(metric, metric) for metric in more]
    seeds = ", ".join(f"{mean:{FORMS[role]}}" for mean in findings.by_training_seed(home, row))
    return [
        *table(("policy", "mean", *heads, "learned minus it"), rows),
        *prose(f"Learned: {span(learned, FORMS[role])}; by training seed {seeds}."),
        "",
    ]


def _label(score: Score) -> str:
    return f"{score.policy} (ceiling)" if score.kind == "ceiling" else score.policy


def _closed_forms(findings: Findings) -> list[str]:
    lines = []
    for name, home in findings.homes.items():
        if not _in_closed_form(home):
            continue
        found = findings.research(name)
        gaps = np.array([each["difference"] for each in found])
        shares = ", ".join(f"{each['share']:.3f}" for each in found)
        within = sum(bool(each["within_tolerance"]) for each in found)
        lines += prose(
            f"{name}: the best research share is {found[0]['closed_form_share']:.3f} in closed form. Learned: {shares} by "
            f"training seed; in log-odds {span(bootstrap(gaps), '+.3f')} from it on average, {within} of {len(found)} within {TOLERANCE}."
        )
        lines.append("")
    return ["## Against closed forms", "", *lines] if lines else []


def _comparisons(findings: Findings) -> list[str]:
    if not findings.plan.comparisons:
        return []
    rows, steps = [], []
    for pair in findings.plan.comparisons:
        found, role = findings.paired(pair), findings.homes[pair.first].role
        form, signed = FORMS[role], SIGNED[role]
        rows.append(
            (
                pair.name,
                f"{found.first.value:{form}}",
                f"{found.second.value:{form}}",
                span(found.difference, signed),
                found.better,
            )
        )
        first, second = (findings.records[name][0] for name in (pair.first, pair.second))
        steps += prose(
            f"{pair.name}: {pair.first} ({first['timesteps']:,} steps) against {pair.second} "
            f"({second['timesteps']:,} steps).",
            "- ",
        )
    default = TrainConfig.model_fields["network"].default
    return [
        "## Networks",
        "",
        *prose(
            "A permutation-equivariant network (`shared`: one small network for every subnet) and a plain one (`mlp`), "
            f"same budget, paired by training seed. The default is `{default}`."
        ),
        "",
        *table(("comparison", "first", "second", "first minus second", "better"), rows),
        *steps,
        "",
    ]


def _arena(findings: Findings) -> list[str]:
    lines: list[str] = []
    for (group, role), members in groupby(findings.arena, key=lambda each: (each.group, each.role)):
        scenarios = list(members)
        seeds = ", ".join(dict.fromkeys(f"0 to {each.seeds - 1}" for each in scenarios))
        lines += [f"### {group[:1].upper()}{group[1:]}", ""]
        lines += [*prose(f"Mean {UNITS[role]}; evaluation seeds {seeds}."), ""]
        lines += _matrices(findings, scenarios)
        lines += _arena_verdicts(findings, scenarios)
    return ["## Arena", "", *lines] if lines else []


def _matrices(findings: Findings, scenarios: Sequence[Scenario]) -> list[str]:
    """Policies by scenarios, with as many scenarios beside each other as there is room for."""
    for count in range(len(scenarios), 0, -1):
        lines = _matrix(findings, scenarios[:count])
        if count == 1 or max(map(len, lines)) <= WIDTH:
            rest = scenarios[count:]
            return lines + (_matrices(findings, rest) if rest else [])
    return []


def _matrix(findings: Findings, scenarios: Sequence[Scenario]) -> list[str]:
    columns: list[dict[str, str]] = []
    for scenario in scenarios:
        form, main = FORMS[scenario.role], main_metric(scenario.role)
        means = {
            f"**{row}**": f"{findings.by_training_seed(scenario, row).mean():{form}}"
            for row in findings.learned_rows(scenario)
        }
        for score in findings.others(scenario).values():
            means[_label(score)] = f"{score.values[main].mean():{form}}"
        columns.append(means)
    names = dict.fromkeys(name for means in columns for name in means)
    rows = [(name, *(means.get(name, "-") for means in columns)) for name in names]
    return table(("policy", *(scenario.name for scenario in scenarios)), rows)


def _arena_verdicts(findings: Findings, scenarios: Sequence[Scenario]) -> list[str]:
    rows, misses = [], []
    for scenario in scenarios:
        for row in findings.learned_rows(scenario):
            found = findings.verdict(scenario, row)
            minus = span(found.minus_best, SIGNED[scenario.role])
            rows.append((scenario.name, row, found.best, minus, _answer(found.not_beaten)))
            misses += _misses(scenario.name, row, found.not_beaten)
    if not rows:
        return ["No learned policy fits.", ""]
    head = ("scenario", "learned", "best other", "learned minus it", "beats all")
    return [*table(head, rows), *misses, *([""] if misses else [])]


def _exploits(findings: Findings) -> list[str]:
    rows = []
    for scenario in (*(home for _, home in _described(findings)), *findings.arena):
        others, form = findings.others(scenario), SIGNED[scenario.role]
        main = main_metric(scenario.role)
        idle = others["do_nothing"].values[main].mean()
        learned = findings.learned_rows(scenario) or [""]
        for name, score in others.items():
            if score.kind != "exploit":
                continue
            mean = score.values[main].mean()
            pays = f"{mean - idle:{form}}"
            for row in learned:
                minus = span(findings.minus(scenario, row, name), form) if row else "-"
                rows.append((scenario.name, name, f"{mean:{FORMS[scenario.role]}}", pays, minus))
    return [
        "## Exploits",
        "",
        *prose(
            "Ways to earn without adding anything (`agents/dtao_agents/roles/exploits.py`). One pays where it does better than doing "
            "nothing; the last column is learned less the exploit."
        ),
        "",
        *table(("scenario", "exploit", "mean", "minus idle", "learned minus it"), rows),
    ]


def _pretrained(published: Sequence[Published]) -> list[str]:
    if not published:
        return []
    rows = [
        (
            f"policies/{p.name}",
            str(p.training_seed),
            p.metric,
            told(p.value),
            f"0 to {p.evaluation_seeds - 1}",
        )
        for p in published
    ]
    return [
        "## Pretrained policies",
        "",
        *prose(
            "Of each row the policy of the training seed with the median result. A test finds these numbers anew."
        ),
        "",
        *table(("folder", "training seed", "metric", "mean", "evaluation seeds"), rows),
    ]


def _made_with(findings: Findings) -> list[str]:
    lines = ["## Made with", ""]
    for name, fact in findings.facts.items():
        lines += prose(f"{name}: {fact}", "- ")
    return lines
