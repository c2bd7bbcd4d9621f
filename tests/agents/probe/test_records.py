"""Finished parts of a probe on disk: damaged ones are named and computed again, and never a traceback."""

import json

import numpy as np
import pytest
from dtao_agents.cache import Store
from dtao_agents.probe.pipeline import run
from dtao_agents.probe.results import CheckedStore

from tests.agents.probe.tiny import GATES, plan

CELL = {
    "verdict": "solved",
    "research_share": 0.25,
    "interval": [0.0, -0.5, 0.5],
    "settled": [0.25],
    "fixed_point": 0.1,
    "epsilon": [0.0, 0.0, 1e-9],
    "curvature": -3.0,
    "capitalisation": None,
    "slope": None,
    "iterates": [0.2, 0.25],
    "outcomes": {},
    "seconds": 1.5,
    "cached": False,
}
ARRAYS = {
    **{
        f"outcome_{name}": np.arange(4.0)
        for name in ("research_tao", "work_tao", "welfare_tao", "days", "merit", "dissolutions")
    },
    "draws": np.zeros(5),
    "jackknife": np.zeros(4),
}
CHECK = {
    "id": "NC1",
    "institution": "price",
    "expected": 1.0,
    "got": "indeterminate",
    "ok": True,
    "low": None,
    "high": None,
    "tolerance": "",
}
KEY = "a" * 64


def test_a_cell_and_a_gate_come_back_as_they_were(tmp_path, capsys):
    store = CheckedStore(tmp_path)
    store.save("cell", KEY, CELL, ARRAYS)
    store.save("gate NC1", KEY, [CHECK], {})
    record, arrays = store.load("cell", KEY)
    assert record == CELL
    assert {name: list(array) for name, array in arrays.items()} == {
        name: list(array) for name, array in ARRAYS.items()
    }
    assert store.load("gate NC1", KEY) == ([CHECK], {})
    assert store.load("gate NC2", KEY) is None
    assert capsys.readouterr().err == ""


def test_records_of_before_have_no_checksum(tmp_path):
    Store(tmp_path).save("cell", KEY, CELL, ARRAYS)
    assert CheckedStore(tmp_path).load("cell", KEY)[0] == CELL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verdict", "perhaps"),
        ("research_share", 1.5),
        ("research_share", True),
        ("research_share", float("nan")),
        ("research_share", None),  # the arrays of outcomes are there
        ("interval", [0.0, 1.0]),
        ("interval", 3),
        ("settled", None),
        ("iterates", ["0.2"]),
        ("fixed_point", "0.1"),
        ("fixed_point", None),
        ("epsilon", {"value": 1}),
        ("curvature", [1]),
        ("seconds", -1),
        ("seconds", float("inf")),
        ("flux", 1),
    ],
)
def test_other_records_count_as_missing_and_are_named(tmp_path, capsys, name, value):
    Store(tmp_path).save("cell", KEY, CELL | {name: value}, ARRAYS)
    assert CheckedStore(tmp_path).load("cell", KEY) is None
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith(f"warning: {tmp_path}/cell-{KEY[:16]}.json: is damaged (")
    assert line.endswith("; computed again\n")


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((4, 1)), np.zeros(4, np.float32), None])
def test_other_arrays_count_as_missing(tmp_path, capsys, array):
    arrays = {name: values for name, values in ARRAYS.items() if name != "outcome_days"}
    if array is not None:
        arrays["outcome_days"] = array
    Store(tmp_path).save("cell", KEY, CELL, arrays)
    assert CheckedStore(tmp_path).load("cell", KEY) is None
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"ok": 1}, {"low": 1.0}, {"got": None}, {"id": 3}, {"x": 1}])
def test_other_checks_count_as_missing(tmp_path, capsys, change):
    Store(tmp_path).save("gate NC1", KEY, [CHECK | change], {})
    assert CheckedStore(tmp_path).load("gate NC1", KEY) is None
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[" * 100_000, "1", "[]", "{}", '{"key": 1}', "", "\x00"])
def test_texts_that_are_no_record_count_as_missing(tmp_path, capsys, content):
    store = CheckedStore(tmp_path)
    store.save("cell", KEY, CELL, ARRAYS)
    next(tmp_path.glob("*.json")).write_text(content)
    assert store.load("cell", KEY) is None
    assert "is damaged" in capsys.readouterr().err


def test_damaged_parts_are_computed_again_to_the_same_numbers(tmp_path, capsys):
    small = plan(institutions=["price"], pruning=[False])
    first = run(small, tmp_path, GATES)
    cache = tmp_path / "cache"
    records = [path for path in cache.glob("*.json") if not path.name.startswith("gate")]
    for path in records:  # another number of the right kind, which the checksum finds
        content = json.loads(path.read_text())
        content["record"]["seconds"] += 1.0
        path.write_text(json.dumps(content))
    gate = next(cache.glob("gate-*.json"))
    gate.write_text(gate.read_text().replace('"ok": true', '"ok": 7'))
    capsys.readouterr()
    again = run(small, tmp_path, GATES)
    errors = capsys.readouterr().err
    assert len(records) == len(first.cells)
    for path in (*records, gate):
        assert f"warning: {path}: is damaged (" in errors
    assert not any(solution.cached for solution in again.solutions.values())
    assert again.contrasts == first.contrasts
    third = run(small, tmp_path, GATES)
    assert all(solution.cached for solution in third.solutions.values())
    assert capsys.readouterr().err == ""
