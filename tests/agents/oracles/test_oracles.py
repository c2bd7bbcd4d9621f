"""The oracles hold, and a failing one is reported."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from dtao_agents.oracles import __main__ as command
from dtao_agents.oracles import closed as oracles_closed
from dtao_agents.oracles import markets as oracles_markets
from dtao_agents.oracles import table as oracles
from dtao_agents.oracles.collect import collect
from dtao_agents.oracles.table import (
    NUMBERS,
    OracleCheck,
    algebra_checks,
    number_check,
    share_check,
)

REPOSITORY = Path(__file__).resolve().parents[3]
FORMULAS = {**oracles_closed.algebra, **oracles_markets.algebra}


def silent(text: str) -> None:
    """Progress callback that does nothing."""


@pytest.mark.parametrize("id", NUMBERS)
def test_algebra(id):
    checks = algebra_checks(id, FORMULAS[id]())
    assert len(checks) == len(NUMBERS[id])
    for check in checks:
        assert check.ok, f"{check.setting}: expected {check.expected}, got {check.got}"


def test_settings_are_unique():
    numbered = {f"O{n}" for n in range(1, 31)}
    assert numbered <= set(NUMBERS)
    assert set(FORMULAS) == set(NUMBERS)
    names = [(id, each.setting) for id, numbers in NUMBERS.items() for each in numbers]
    assert len(set(names)) == len(names)


def test_tolerance_follows_from_the_written_digits():
    by_setting = {each.setting: each for each in NUMBERS["O5"]}
    small = by_setting["fee, one investment, payoff cut at: 90 d"]
    assert small.number == 9.449e-5
    assert small.half_unit == pytest.approx(0.5e-8)
    assert NUMBERS["O30"][-1].half_unit == pytest.approx(0.5e-6)
    for numbers in NUMBERS.values():
        for each in numbers:
            assert each.half_unit <= 0.005 or each.number in (0.0, 1110.0)


def test_single_rules_reproduce_closed_forms():
    checks = collect("S", silent)
    assert {"O8", "O15", "O16"} <= {check.id for check in checks}
    assert all(c.kind == "S" and c.ok for c in checks if c.id in ("O8", "O15", "O16"))


def test_the_command_prints_and_writes_every_check(tmp_path, capsys):
    file = tmp_path / "rows.json"
    command.main("A", file)
    printed = capsys.readouterr().out
    rows = json.loads(file.read_text())
    assert len(rows) == sum(map(len, NUMBERS.values()))
    assert all(row["ok"] and row["kind"] == "A" for row in rows)
    assert list(dict.fromkeys(row["id"] for row in rows)) == list(NUMBERS)
    assert f"{len(rows)} of {len(rows)} rows hold." in printed
    assert max(map(len, printed.splitlines())) <= oracles.WIDTH
    assert printed.count(" holds ") == len(rows)


def test_kinds_that_do_not_exist_are_refused():
    command = [sys.executable, "-W", "error", "-m", "dtao_agents.oracles", "--kind", "B"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert "--kind" in done.stderr


def test_a_failing_check_ends_the_command_with_its_id(monkeypatch, capsys, tmp_path):
    first, *others = NUMBERS["O9"]
    wrong = dataclasses.replace(first, number=first.number + 1e-5)
    monkeypatch.setitem(NUMBERS, "O9", (wrong, *others))
    file = tmp_path / "rows.json"
    with pytest.raises(SystemExit, match=r"^failed: O9$"):
        command.main("A", file)
    assert capsys.readouterr().out.count("FAILS") == 1
    assert [row["id"] for row in json.loads(file.read_text()) if not row["ok"]] == ["O9"]


def test_missing_numbers_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        algebra_checks("O9", [0.28])


@pytest.mark.parametrize(
    ("expected", "got", "ok"),
    [
        (0.5, 0.52, True),
        (0.5, 0.53, False),
        (0.5, math.nan, False),
        (0.5, 0.0, False),
        (0.03, 0.001, True),
        (0.03, 0.052, True),
        (0.03, 0.06, False),
        (0.03, 0.0, True),
        (0.997, 0.949, True),
        (0.997, 0.94, False),
        (0.997, math.nan, False),
    ],
)
def test_shares_are_compared_in_log_odds_or_on_one_side(expected, got, ok):
    check = share_check("O2", "test", "S", expected, got)
    assert check.ok == ok
    assert check.measure == ("log-odds" if expected == 0.5 else "one-sided")


def test_other_measures():
    assert number_check("O8", "test", "S", 10.0, 10.09).ok
    assert not number_check("O8", "test", "S", 10.0, 10.11).ok
    assert number_check("O17", "test", "L", -10.0, -10.19).ok
    assert not number_check("O8", "test", "S", 10.0, 10.001, 1e-5).ok
    assert not number_check("O8", "test", "S", 10.0, math.nan).ok
    assert not OracleCheck("O8", "test", "A", 1.0, math.nan, 1.0).ok


def test_values_that_are_not_finite_are_null_in_json():
    record = json.loads(oracles.to_json([OracleCheck("O8", "test", "A", 1.0, math.inf, 1.0)]))[0]
    assert record["got"] is None
    assert record["ok"] is False
