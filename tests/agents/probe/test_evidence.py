"""Evidence: gathered from the records of a run, whole or damaged, without computing anything."""

import json
import math
from pathlib import Path

import pytest
from dtao_agents.probe import measures
from dtao_agents.probe.cells import all_cells
from dtao_agents.probe.checks import Check
from dtao_agents.probe.evidence import Evidence, gather, read_evidence
from dtao_agents.probe.measures import findings_of, measure_claim, measures_of
from dtao_agents.probe.pipeline import run
from dtao_agents.probe.solutions import inputs_of, load_record, record_path, save_record

from dtao_gym.world.config import ConfigError
from tests.agents.probe.synthetic import evidence_of
from tests.agents.probe.tiny import failing, plan_of, tiny_plan

PLAN = plan_of({"institutions": ["price", "uniform"], "pruning": [False]})


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Evidence, Path]:
    """A run with a failed gate, and its folder."""
    folder = tmp_path_factory.mktemp("run")
    return run(PLAN, folder, (failing("NC6"),)), folder


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A copy of the folder of the run."""
    for path in original[1].rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(original[1])
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return tmp_path


def test_evidence_is_read_back_as_it_was(original, folder):
    evidence, _ = original
    again = read_evidence(folder)
    assert again.plan == evidence.plan
    assert again.checks == {"NC6": [Check("NC6", "anywhere", 4.0, 5.0, False)]}
    assert again.facts == evidence.facts
    assert again.analysis.contrasts == evidence.analysis.contrasts
    assert again.analysis.failed == ["NC6"]
    assert again.to_json() == evidence.to_json()


def test_a_folder_without_a_finished_run_is_one_line(folder):
    (folder / "results.json").unlink()
    with pytest.raises(ConfigError, match="got no results of a probe") as error:
        read_evidence(folder)
    assert "\n" not in str(error.value)


CHECK = {"id": "NC6", "institution": "", "expected": 1.0, "got": 1.0, "ok": True}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 100_000,
        "\x00",
        "[]",
        "{}",
        '{"facts": {}}',
        '{"facts": {"written": 3}, "checks": {}}',
        '{"facts": {"written": "\\ud800"}, "checks": {}}',
        '{"facts": {}, "checks": []}',
        '{"facts": {}, "checks": {"NC6": [{}]}}',
        *(
            json.dumps({"facts": {}, "checks": {"NC6": [CHECK | change]}})
            for change in (
                {"ok": 7},
                {"ok": None},
                {"got": None},
                {"id": 3},
                {"low": "1"},
                {"low": math.nan},
            )
        ),
    ],
)
def test_damaged_results_are_one_line(folder, content):
    (folder / "results.json").write_text(content)
    with pytest.raises(ConfigError, match="got no results of a probe") as error:
        read_evidence(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["blocks: 3", "[", "seed: 1", "\x00"])
def test_a_damaged_plan_is_one_line(folder, content):
    (folder / "plan.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"plan\.yaml") as error:
        read_evidence(folder)
    assert "\n" not in str(error.value)


def test_cells_with_damaged_records_are_missing(folder):
    arm, plain, *_ = all_cells(PLAN)
    whole = record_path(folder / "cells", arm.name, inputs_of(arm, PLAN))
    whole.write_bytes(whole.read_bytes()[:1000])
    inputs = inputs_of(plain, PLAN)
    record = load_record(folder / "cells", plain.name, inputs)
    save_record(folder / "cells", plain.name, inputs, record | {"parameters": [{}]})
    evidence = read_evidence(folder)
    assert evidence.analysis.missing == [arm, plain]
    content = json.loads(evidence.to_json())
    assert content["missing"] == [arm.name, plain.name]
    assert arm.name not in content["cells"]
    reasons = {c.institution: c.reason for c in evidence.analysis.of("crowding out")}
    assert reasons["price"] == f"{arm.name}: not computed"


def test_results_have_a_number_for_each_solved_cell_and_contrast():
    plan = plan_of({"institutions": ["price", "root_vote"], "primary": True})
    evidence = evidence_of(plan, lambda cell: -1.0 if cell.institution == "price" else 0.0, sd=0.5)
    content = json.loads(evidence.to_json())
    assert len(content["cells"]) == len(all_cells(plan))
    cell = content["cells"]["price, direct, pruning, fast"]
    assert cell["parameters"]["research share"][0] == -1.0
    assert len(content["contrasts"]) == len(evidence.analysis.contrasts)
    assert content["contrasts"][0]["estimate"] == list(evidence.analysis.contrasts[0].estimate)
    assert content["plan"] == plan.model_dump(mode="json")


# --- claims


def test_a_plan_names_the_size_of_its_measurements():
    assert measures_of(tiny_plan()) == []
    quick, full = (measures_of(tiny_plan(claims=size)) for size in ("quick", "full"))
    assert [m.claim for m in quick] == [m.claim for m in full] == list(measures.MODULES)
    assert all(a.inputs != b.inputs for a, b in zip(quick, full, strict=True) if a.claim != "C5")


def test_findings_are_gathered_from_records_and_damaged_ones_are_missing(tmp_path):
    plan = tiny_plan(claims="quick")
    caps = next(m for m in measures_of(plan) if m.claim == "C5")
    record = measure_claim(caps)
    save_record(tmp_path, caps.name, caps.inputs, record)
    found = gather(plan, tmp_path, {}, {}).findings
    assert found == {"C5": findings_of(record)}
    assert len(found["C5"]) > 3
    save_record(tmp_path, caps.name, caps.inputs, record | {"findings": [{"claim": "C5"}]})
    assert gather(plan, tmp_path, {}, {}).findings == {}
