"""Reports of a comparison of markets: a table, a figure, Markdown and JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dtao_gym.realism.gate import LevelComparison, MomentComparison, Realism
from dtao_gym.realism.moments import MOMENTS
from dtao_gym.realism.panel import PERIODS

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = ("moment", "real", "se", "simulated", "z", "gate", "")
LEVELS = {
    "price_sum": "sum of prices",
    "sd_log_price": "sd of ln price",
    "top5_share": "share of the top five",
}
LEVEL_HEADINGS = ("prices of the last day", "real", "simulated", "allowed")
RANKS = {"gate": 2, "allowed": 1}
"""Columns of text that narrow terminals lack, by `Column.rank`."""


def _text(value: float, form: str) -> str:
    """Formatted number; a hyphen where it is not finite."""
    return format(value, form) if np.isfinite(value) else "-"


def cells(name: str, moment: MomentComparison) -> list[str]:
    """Format a moment as a row of the table with the columns `HEADINGS`."""
    form = MOMENTS[name].form
    gate = "" if moment.gate is None else f"{moment.gate[0]:g} to {moment.gate[1]:g}"
    unknown = "" if moment.gate is None else "?"
    verdict = {None: unknown, True: "pass", False: "FAIL"}[moment.passed]
    return [
        MOMENTS[name].heading,
        _text(moment.real, form),
        _text(moment.error, form.lstrip("+")),
        _text(moment.simulated, form),
        _text(moment.z, "+.1f"),
        gate,
        verdict,
    ]


def summary(comparison: Realism) -> str:
    """Return the J statistic and the number of passed gates as a sentence."""
    moments = comparison.moments
    far = sum(MOMENTS[name].fitted and abs(moment.z) > 2.0 for name, moment in moments.items())
    gated = sum(moment.passed is not None for moment in moments.values())
    return (
        f"J {_text(comparison.j, '.1f')} on {comparison.counted} moments, {far} of them beyond two standard errors; "
        f"{gated - len(comparison.failed)} of {gated} gates passed."
    )


def level_cells(comparison: Realism) -> list[list[str]]:
    """Format the cross-section as rows of a table with the columns `LEVEL_HEADINGS`."""
    return [
        [LEVELS[name], f"{level.real:.3f}", _text(level.simulated, ".3f"), level.allowed]
        for name, level in comparison.levels.items()
    ]


def print_report(comparison: Realism, console: "Console") -> None:
    """Print the comparison."""
    chosen = PERIODS[comparison.period]
    console.print(
        f"{chosen.label}, {chosen.days} closes; {comparison.worlds} worlds after {comparison.burn_in} days, "
        f"{comparison.newcomers} new subnets",
        highlight=False,
    )
    rows = [cells(name, moment) for name, moment in comparison.moments.items()]
    _print_table(HEADINGS, rows, {"real": 0, "se": 3, "simulated": 0, "z": 0}, console)
    console.print(summary(comparison) + "\n", highlight=False)
    _print_table(LEVEL_HEADINGS, level_cells(comparison), {"real": 0, "simulated": 0}, console)


def _print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: dict[str, int],
    console: "Console",
) -> None:
    """Table without lines; `numeric`: ranks of the columns of numbers, which are aligned to the right."""
    from dtao_gym.tables import Column, print_table

    columns = [
        Column(heading, numeric[heading], "right")
        if heading in numeric
        else Column(heading, RANKS.get(heading, 0), "left", fold=16 if k == 0 else None)
        for k, heading in enumerate(headings)
    ]
    print_table(console, columns, rows, box=None, pad_edge=False, padding=(0, 2, 0, 0))


def as_dict(comparison: Realism) -> dict[str, Any]:
    """Return the comparison as JSON content; undefined numbers are None."""

    def number(value: float) -> float | None:
        return float(f"{value:.6g}") if np.isfinite(value) else None

    return {
        "period": comparison.period,
        "worlds": comparison.worlds,
        "burn_in_days": comparison.burn_in,
        "newcomers": comparison.newcomers,
        "j": number(comparison.j),
        "counted": comparison.counted,
        "moments": {
            name: {
                "real": number(moment.real),
                "error": number(moment.error),
                "simulated": number(moment.simulated),
                "simulated_error": number(moment.simulated_error),
                "z": number(moment.z),
                "gate": None if moment.gate is None else list(moment.gate),
                "passed": moment.passed,
            }
            for name, moment in comparison.moments.items()
        },
        "levels": {
            name: {
                "real": number(level.real),
                "simulated": number(level.simulated),
                "allowed": level.allowed,
            }
            for name, level in comparison.levels.items()
        },
    }


def from_dict(facts: dict[str, Any]) -> Realism:
    """Return the comparison whose `as_dict` is given."""

    def number(value: float | None) -> float:
        return np.nan if value is None else value

    moments = {
        name: MomentComparison(
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
        name: LevelComparison(number(row["real"]), number(row["simulated"]), row["allowed"])
        for name, row in facts["levels"].items()
    }
    return Realism(
        facts["period"],
        moments,
        number(facts["j"]),
        facts["counted"],
        levels,
        facts["worlds"],
        facts["burn_in_days"],
        facts["newcomers"],
    )


def markdown(comparison: Realism) -> str:
    """Return the tables and the summary as Markdown."""

    def line(row: Sequence[str]) -> str:
        return f"| {' | '.join(row)} |"

    moments = [line(cells(name, moment)) for name, moment in comparison.moments.items()]
    levels = [line(row) for row in level_cells(comparison)]
    return "\n".join(
        [
            line(HEADINGS),
            "|---|---:|---:|---:|---:|---|---|",
            *moments,
            "",
            summary(comparison),
            "",
            line(LEVEL_HEADINGS),
            "|---|---:|---:|---|",
            *levels,
            "",
        ]
    )


def page_tables(facts: dict[str, dict[str, Any]]) -> str:
    """Return the tables of `docs/realism.md`, from the JSON content of comparisons by configuration."""
    parts = []
    for config, numbers in facts.items():
        comparison = from_dict(numbers)
        chosen = PERIODS[comparison.period]
        parts.append(
            f"\n### `{config}` and {chosen.label}\n\n"
            f"`python -m dtao_gym.realism --config {config} --period {comparison.period}`: {chosen.days} closes, "
            f"{comparison.worlds} worlds after {comparison.burn_in} days, {comparison.newcomers} new subnets.\n\n"
            + markdown(comparison)
        )
    return "".join(parts) + "\n"
