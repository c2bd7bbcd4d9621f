"""Solutions of cells: their records, what these are kept under, and damaged ones."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dtao_agents.cache import key_of
from dtao_agents.probe.cells import Cell, all_cells, cells_of_block
from dtao_agents.probe.plan import Plan
from dtao_agents.probe.solutions import (
    NO_RECORD,
    Solution,
    from_record,
    inputs_of,
    load_record,
    record_path,
    save_record,
    solve_cell,
)

from tests.agents.probe.tiny import plan_of, tiny_plan

PLAN = plan_of({"institutions": ["price"], "pruning": [True]})
CELL = all_cells(PLAN)[0]


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return solve_cell(CELL, PLAN)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, arrays and their types included."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def same_solutions(one: Solution, other: Solution) -> bool:
    """Whether all fields are equal but the time."""
    names = [field.name for field in fields(Solution) if field.name != "seconds"]
    return all(same(getattr(one, name), getattr(other, name)) for name in names)


# --- solutions


def test_a_solution_survives_the_disk_exactly(tmp_path, record):
    inputs = inputs_of(CELL, PLAN)
    save_record(tmp_path, CELL.name, inputs, record)
    loaded = load_record(tmp_path, CELL.name, inputs)
    assert loaded == json.loads(json.dumps(record))
    solved = from_record(record)
    assert same_solutions(solved, from_record(loaded))
    assert (solved.name, solved.institution, solved.block) == (CELL.name, "price", "block 0")
    assert solved.columns == 3
    (parameter,) = record["parameters"]
    assert solved.research.estimate == tuple(parameter["estimate"])
    assert solved.research.deviations.tolist() == parameter["deviations"]


def test_deviations_give_the_standard_error(record):
    found = from_record(record).research
    error = np.sqrt((found.deviations**2).mean() / (found.deviations.size - 1))
    assert error == pytest.approx(found.standard_error, rel=1e-4)
    assert found.deviations.mean() == pytest.approx(0.0, abs=1e-4 * error)


def test_a_solution_does_not_depend_on_threads(record):
    assert same_solutions(from_record(solve_cell(CELL, PLAN, threads=3)), from_record(record))


def test_an_indeterminate_cell_has_no_number():
    plan = plan_of({"institutions": ["uniform"], "pruning": [False], "references": False})
    (cell,) = all_cells(plan)
    solved = from_record(solve_cell(cell, plan))
    assert (solved.verdict, solved.research) == ("indeterminate", None)


@pytest.mark.parametrize(
    ("strategy", "shape", "columns"),
    [
        ("thirds by price", (3, 1), 3),
        ("influence", (1, 2), 6),
        ("feedback", (1, 3), 9),
    ],
)
def test_other_strategies_are_solved_too(strategy, shape, columns):
    plan = plan_of({"institutions": ["price"], "pruning": [True], "strategy": strategy})
    solved = from_record(solve_cell(all_cells(plan)[0], plan))
    assert solved.population.shape == shape
    assert solved.columns == columns


# --- inputs


def test_names_blocks_and_other_cells_do_not_enter_the_inputs():
    """A finished cell is found again after a block is renamed or another one is added."""
    other = plan_of(
        {"name": "Z", "institutions": ["root_vote", "price"], "pruning": [True], "primary": True},
        smallest_effect=0.5,
        outcome_worlds=9,
        claims="quick",
    )
    cell = next(c for c in all_cells(other) if c.institution == "price")
    assert cell.block != CELL.block
    assert inputs_of(cell, other) == inputs_of(CELL, PLAN)


def first_cell(plan: Plan) -> tuple[Cell, Plan]:
    return cells_of_block(plan, plan.blocks[0])[0], plan


def test_everything_that_changes_a_solution_enters_the_inputs():
    block = {"institutions": ["price"], "pruning": [True]}
    plans = [
        plan_of(block),
        plan_of(block | {"strategy": "feedback"}),
        plan_of(block | {"estimator": {"deviation": 0.3}}),
        plan_of(block | {"doses": [{"hype": 0.25}]}),
        plan_of(block, first_seed=1),
        plan_of(block, start=0.3),
        plan_of(block, capitalisation=100.0),
    ]
    keys = {key_of(inputs_of(*first_cell(plan))) for plan in plans}
    assert len(keys) == len(plans)


def test_the_first_capitalisation_does_not_matter_to_a_reference_without_pruning():
    plain = [
        next(c for c in all_cells(plan) if not c.estimated)
        for plan in (tiny_plan(), tiny_plan(capitalisation=9.0))
    ]
    assert inputs_of(plain[0], tiny_plan()) == inputs_of(plain[1], tiny_plan(capitalisation=9.0))


def test_the_source_of_a_rule_of_a_user_enters_the_inputs():
    rule = plan_of({"institutions": ["tests.agents.probe.rules:by_price"]})
    assert len(inputs_of(*first_cell(rule))["rule"]) == 64
    assert inputs_of(CELL, PLAN)["rule"] == ""


# --- damaged records


@pytest.fixture
def saved(tmp_path, record) -> Path:
    """File of a whole record."""
    inputs = inputs_of(CELL, PLAN)
    save_record(tmp_path, CELL.name, inputs, record)
    path = record_path(tmp_path, CELL.name, inputs)
    assert load(path) is not None
    return path


def load(path: Path) -> dict[str, Any] | None:
    return load_record(path.parent, CELL.name, inputs_of(CELL, PLAN))


def test_a_missing_record_is_none(tmp_path):
    assert load_record(tmp_path / "nowhere", CELL.name, inputs_of(CELL, PLAN)) is None


def test_a_truncated_record_is_none(saved):
    content = saved.read_bytes()
    for length in np.linspace(0, len(content) - 3, 50).astype(int):
        saved.write_bytes(content[:length])
        assert load(saved) is None


def test_a_record_with_a_flipped_bit_is_none_or_says_the_same(saved):
    """A bit of the spelling may change nothing: e for E in a number, or a letter of the checksum's name."""
    content, whole = saved.read_bytes(), load(saved)
    for place in np.linspace(0, len(content) - 2, 400).astype(int):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        saved.write_bytes(damaged)
        found = load(saved)
        assert found is None or {k: found[k] for k in whole} == whole


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "1",
        "null",
        "[]",
        "{}",
        '{"inputs": 1}',
        '{"inputs": 1e999}',
        "",
        "\x00",
        '"\\ud800"',
    ],
)
def test_a_text_that_is_no_record_is_none(saved, content):
    saved.write_text(content)
    assert load(saved) is None


def test_a_folder_or_bytes_that_are_no_text_in_place_of_a_record_are_none(saved):
    saved.write_bytes(b"\xff\xfe\x80")
    assert load(saved) is None
    saved.unlink()
    saved.mkdir()
    assert load(saved) is None


def test_a_record_of_other_inputs_under_the_same_name_is_none(saved, record):
    other = record | {"inputs": inputs_of(CELL, PLAN) | {"start": 0.3}}
    save_record(saved.parent, CELL.name, inputs_of(CELL, PLAN), other)
    assert load(saved) is None


CHANGES = [
    ("blocks", 4.0),
    ("blocks", True),
    ("blocks", "4"),
    ("worlds", 1),
    ("seconds", None),
    ("population", [["0.9"]]),
    ("parameters", {}),
    ("slope_blocks", 5),
    ("engine", 3),
    ("verdict", "perhaps"),
]


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_a_changed_value_is_found_by_the_checksum(saved, name, value):
    content = json.loads(saved.read_text())
    content[name] = value
    saved.write_text(json.dumps(content))
    assert load(saved) is None


def test_a_record_without_a_checksum_is_none(saved):
    content = json.loads(saved.read_text())
    del content["sha256"]
    saved.write_text(json.dumps(content))
    assert load(saved) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parameters", None),
        ("parameters", [{}]),
        ("parameters", 3),
        ("population", [[1.0], [1.0, 2.0]]),
        ("population", "x"),
        ("capitalisation", []),
        ("blocks", float("inf")),
        ("seconds", 10**400),
        ("slope_blocks", None),
        ("at_bound", None),
    ],
)
def test_a_record_of_another_form_has_no_solution(record, name, value):
    whole = record | {name: value}
    with pytest.raises(NO_RECORD):
        from_record(whole)


@pytest.mark.parametrize("name", ["name", "verdict", "population", "parameters", "slope_blocks"])
def test_a_record_without_a_field_has_no_solution(record, name):
    rest = {field: value for field, value in record.items() if field != name}
    with pytest.raises(NO_RECORD):
        from_record(rest)
