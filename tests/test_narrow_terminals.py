"""Reports of the tools on terminals of 100, 80 and 60 columns: every line fits, and what is shown is whole."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rich")

from rich.console import Console

from dtao_gym import history, rules
from dtao_gym.comparison import compare_rules
from dtao_gym.realism.report import from_dict, print_report
from dtao_gym.trace import COLUMNS, print_trace
from dtao_gym.world.trace import trace

FACTS = json.loads((Path(__file__).parents[1] / "docs" / "realism.json").read_text())
WIDTHS = pytest.mark.parametrize("width", [100, 80, 60])


def printed(width: int, report, *arguments) -> list[str]:
    """Lines of a report, none of them wider than the terminal."""
    console = Console(width=width, file=io.StringIO())
    report(*arguments, console)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    return lines


@WIDTHS
def test_rules(width):
    comparisons = compare_rules(None, ["mainnet-2026-06-14", "mainnet-2026-09-06"])
    first = comparisons[0]
    lines = printed(width, rules.print_report, first, 4)
    # every rule has its column in one of the tables
    largest = rules.ordered(first)[0]
    rows = [line.split() for line in lines]
    netuid = str(first.snapshot.netuid[largest])
    taos = [tao for row in rows if row[:1] == [netuid] for tao in row[2:]]
    assert taos == [f"{tao:,.2f}" for tao in first.tao_per_day[:, largest]]
    assert sum(line.startswith("TAO a day") for line in lines) == {100: 1, 80: 2, 60: 2}[width]
    side = printed(width, rules.print_side_by_side, comparisons)
    assert sum("price_rootprop " in line for line in side) == 1


@WIDTHS
def test_trace(width):
    traced = trace(None, 64, 30, genesis="mainnet-2026-06-14")
    lines = printed(width, print_trace, traced, 2)
    row = next(line.split() for line in lines if line.split()[:1] == [str(traced.block[0])])
    texts = {
        column.heading: format(getattr(traced, name)[0], form) for name, form, column in COLUMNS
    }
    shown = [text for text in texts.values() if text in row]
    assert len(row) == len(shown) == {100: 10, 80: 8, 60: 6}[width]
    assert texts["spot\nprice"] in row
    said = [line for line in lines if line.startswith("Left out, for want of width: ")]
    assert bool(said) == (width < 100)


@WIDTHS
@pytest.mark.parametrize("config", FACTS)
def test_realism(config, width):
    comparison = from_dict(FACTS[config])
    lines = printed(width, print_report, comparison)
    text = " ".join(" ".join(lines).split())
    for moment in comparison.moments.values():
        assert (f"{moment.z:+.1f}" if np.isfinite(moment.z) else "-") in text
    assert "J " in text


@WIDTHS
def test_history(width):
    days = list(history.REPORT_DATES[:3])
    summary = history.MeasureSummary(0.123456, 1234.5678, 0.05, 2345.6789)
    rows = {day: {measure.name: summary for measure in history.MEASURES} for day in days}

    text = "\n".join(printed(width, history.print_measures, days, rows))
    for measure in history.MEASURES:
        assert format(summary.high, measure.form) in text
