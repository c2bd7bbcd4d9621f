"""RESULTS.md: tables of at most 100 columns, and plain answers."""

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from dtao_agents.evaluation.arena import Scenario, Score
from dtao_agents.evaluation.reports import signed
from dtao_agents.evaluation.statistics import bootstrap, span
from dtao_agents.files import write_atomically
from dtao_agents.results.plan import TrainingRow
from dtao_agents.results.pretrained import Published, published_number
from dtao_agents.results.summary import Results
from dtao_agents.roles.registry import agent_role
from dtao_agents.training.settings import TrainConfig

WIDTH = 100


def score_forms(scenario: Scenario) -> tuple[str, str]:
    """Return the formats of a score, and of a difference of scores, in a scenario."""
    form = agent_role(scenario.role).page_score_form
    return form, signed(form)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table: the first column aligned left, the others right."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]

    def line(row: Sequence[str]) -> str:
        padded = [row[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [line(cells[0]), "| " + " | ".join(rule) + " |", *map(line, cells[1:]), ""]


def prose(text: str, bullet: str = "") -> list[str]:
    """Return the lines of a paragraph, or of one item of a list."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def write_page(
    out: Path, results: Results, published: Sequence[Published], sections: Sequence[str]
) -> None:
    """Write RESULTS.md.

    Parameters
    ----------
    out : Path
        The page.
    results : Results
    published : sequence of Published
        Pretrained policies in the repository.
    sections : sequence of str
        Lines on rows that have no place in the tables.
    """
    lines = [
        "# Results",
        "",
        *_opening(results),
        "## Learned against scripted",
        "",
        *_verdicts(results),
        *_rows_at_home(results),
        *_closed_forms(results),
        *_comparisons(results),
        *sections,
        *_arena(results),
        *_exploits(results),
        *_pretrained(published),
        *_made_with(results),
    ]
    write_atomically(out, ("\n".join(lines).rstrip() + "\n").encode())


def _opening(results: Results) -> list[str]:
    n = len(results.plan.training_seeds)
    return [
        *prose(
            f"Written by `{results.facts['command']}`. Intervals are 95 %, by bootstrap over {n} training seeds, never "
            f"over episodes of one policy; with {n} seeds they are short by nature. A learned policy beats another where "
            "the lower end of its paired difference, on the same evaluation seeds, is above 0. Policies that do not learn "
            "have no interval. A ceiling uses hidden information and need not be beaten."
        ),
        "",
    ]


def _verdicts(results: Results) -> list[str]:
    rows, misses = [], []
    for name, home in results.homes.items():
        verdict, (form, difference_form) = results.verdict(home, name), score_forms(home)
        rows.append(
            (
                name,
                f"{verdict.learned.value:{form}}",
                verdict.best,
                span(verdict.minus_best, difference_form),
                _answer(verdict.not_beaten),
            )
        )
        misses += _misses(name, name, verdict.not_beaten)
    head = ("row", "learned", "best other", "learned minus it", "beats all others")
    return [*table(head, rows), *misses, *([""] if misses else [])]


def _answer(not_beaten: Sequence[str]) -> str:
    return f"NO, {len(not_beaten)} not" if not_beaten else "yes"


def _misses(scenario: str, row: str, not_beaten: Sequence[str]) -> list[str]:
    where = scenario if scenario == row else f"{scenario}: {row}"
    return prose(f"{where} does not beat {', '.join(not_beaten)}.", "- ") if not_beaten else []


def _rows_at_home(results: Results) -> list[str]:
    lines = []
    for row, home in _described(results):
        lines += [f"### {row.name}", "", *_about(results, row, home), ""]
        lines += _all_policies(results, home, row.name)
    return lines


def _described(results: Results) -> list[tuple[TrainingRow, Scenario]]:
    """Rows that are described in full, and their homes; the others only serve a comparison."""
    rows = [row for row in results.plan.rows if row.publish or row.arena]
    return [(row, results.homes[row.name]) for row in rows if row.name in results.homes]


def _in_closed_form(home: Scenario) -> bool:
    return agent_role(home.role).has_closed_form(home.config)


def _about(results: Results, row: TrainingRow, home: Scenario) -> list[str]:
    records = results.records[row.name]
    seconds = np.mean([record["train_seconds"] for record in records])
    changed = f", with {row.overrides}" if row.overrides else ""
    instead = (
        " Its benchmark is the closed form, further down: a constant share may be the optimum itself."
        if _in_closed_form(home)
        else ""
    )
    return prose(
        f"`{row.config}`{changed}: {records[0]['timesteps']:,} steps, {seconds:,.0f} s for each seed. "
        f"In the table: {agent_role(home.role).score_unit}, evaluation seeds 0 to {home.seeds - 1}.{instead}"
    )


def _all_policies(results: Results, home: Scenario, row: str) -> list[str]:
    role, (form, difference_form) = agent_role(home.role), score_forms(home)
    learned = bootstrap(results.by_training_seed(home, row))
    cells = [
        f"{results.by_training_seed(home, row, column.metric).mean():{column.form}}"
        for column in role.columns
    ]
    rows = [("**learned**", f"{learned.value:{form}}", *cells, "")]
    for name, score in results.others(home).items():
        mean = f"{score.values[role.score].mean():{form}}"
        cells = [f"{score.values[c.metric].mean():{c.form}}" for c in role.columns]
        minus = span(results.minus(home, row, name), difference_form)
        rows.append((_label(score), mean, *cells, minus))
    heads = [column.short for column in role.columns]
    seeds = ", ".join(f"{mean:{form}}" for mean in results.by_training_seed(home, row))
    return [
        *table(("policy", "mean", *heads, "learned minus it"), rows),
        *prose(f"Learned: {span(learned, form)}; by training seed {seeds}."),
        "",
    ]


def _label(score: Score) -> str:
    return f"{score.policy} (ceiling)" if score.kind == "ceiling" else score.policy


def _closed_forms(results: Results) -> list[str]:
    lines = []
    for name, home in results.homes.items():
        if _in_closed_form(home):
            analyses = results.analyses(name)
            lines += [*prose(agent_role(home.role).closed_form_sentence(name, analyses)), ""]
    return ["## Against closed forms", "", *lines] if lines else []


def _comparisons(results: Results) -> list[str]:
    if not results.plan.comparisons:
        return []
    rows, steps = [], []
    for pair in results.plan.comparisons:
        paired = results.paired(pair)
        form, difference_form = score_forms(results.homes[pair.first])
        rows.append(
            (
                pair.name,
                f"{paired.first.value:{form}}",
                f"{paired.second.value:{form}}",
                span(paired.difference, difference_form),
                paired.better,
            )
        )
        first, second = (results.records[name][0] for name in (pair.first, pair.second))
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


def _arena(results: Results) -> list[str]:
    lines: list[str] = []
    for (group, role), members in groupby(results.arena, key=lambda each: (each.group, each.role)):
        scenarios = list(members)
        seeds = ", ".join(dict.fromkeys(f"0 to {each.seeds - 1}" for each in scenarios))
        lines += [f"### {group[:1].upper()}{group[1:]}", ""]
        lines += [*prose(f"Mean {agent_role(role).score_unit}; evaluation seeds {seeds}."), ""]
        lines += _matrices(results, scenarios)
        lines += _arena_verdicts(results, scenarios)
    return ["## Arena", "", *lines] if lines else []


def _matrices(results: Results, scenarios: Sequence[Scenario]) -> list[str]:
    """Tables of policies by scenarios, each with as many scenarios as there is room for."""
    for count in range(len(scenarios), 0, -1):
        lines = _matrix(results, scenarios[:count])
        if count == 1 or max(map(len, lines)) <= WIDTH:
            rest = scenarios[count:]
            return lines + (_matrices(results, rest) if rest else [])
    return []


def _matrix(results: Results, scenarios: Sequence[Scenario]) -> list[str]:
    columns: list[dict[str, str]] = []
    for scenario in scenarios:
        (form, _), metric = score_forms(scenario), agent_role(scenario.role).score
        means = {
            f"**{row}**": f"{results.by_training_seed(scenario, row).mean():{form}}"
            for row in results.learned_rows(scenario)
        }
        for score in results.others(scenario).values():
            means[_label(score)] = f"{score.values[metric].mean():{form}}"
        columns.append(means)
    names = dict.fromkeys(name for means in columns for name in means)
    rows = [(name, *(means.get(name, "-") for means in columns)) for name in names]
    return table(("policy", *(scenario.name for scenario in scenarios)), rows)


def _arena_verdicts(results: Results, scenarios: Sequence[Scenario]) -> list[str]:
    rows, misses = [], []
    for scenario in scenarios:
        for row in results.learned_rows(scenario):
            verdict = results.verdict(scenario, row)
            minus = span(verdict.minus_best, score_forms(scenario)[1])
            rows.append((scenario.name, row, verdict.best, minus, _answer(verdict.not_beaten)))
            misses += _misses(scenario.name, row, verdict.not_beaten)
    if not rows:
        return ["No learned policy fits.", ""]
    head = ("scenario", "learned", "best other", "learned minus it", "beats all")
    return [*table(head, rows), *misses, *([""] if misses else [])]


def _exploits(results: Results) -> list[str]:
    rows = []
    for scenario in (*(home for _, home in _described(results)), *results.arena):
        others, (form, difference_form) = results.others(scenario), score_forms(scenario)
        metric = agent_role(scenario.role).score
        idle = others["do_nothing"].values[metric].mean() if "do_nothing" in others else np.nan
        learned = results.learned_rows(scenario) or [""]
        for name, score in others.items():
            if score.kind != "exploit":
                continue
            mean = score.values[metric].mean()
            pays = f"{mean - idle:{difference_form}}"
            for row in learned:
                minus = "-"
                if row:
                    minus = span(results.minus(scenario, row, name), difference_form)
                rows.append((scenario.name, name, f"{mean:{form}}", pays, minus))
    return [
        "## Exploits",
        "",
        *prose(
            "Ways to earn without contributing anything (`agents/dtao_agents/roles/*_policies.py`). One pays where it does better "
            "than doing nothing; the last column is learned less the exploit."
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
            published_number(p.value),
            f"0 to {p.evaluation_seeds - 1}",
        )
        for p in published
    ]
    return [
        "## Pretrained policies",
        "",
        *prose(
            "For each row the policy of the training seed with the median result. A test reproduces these numbers."
        ),
        "",
        *table(("folder", "training seed", "metric", "mean", "evaluation seeds"), rows),
    ]


def _made_with(results: Results) -> list[str]:
    lines = ["## Made with", ""]
    for name, fact in results.facts.items():
        lines += prose(f"{name}: {fact}", "- ")
    return lines
