"""A complete probe at a tiny size: gates that stop it, parts that are kept, and equal results of all backends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dtao_agents.probe import pipeline
from dtao_agents.probe.cells import all_cells
from dtao_agents.probe.evidence import Evidence
from dtao_agents.probe.gates import GateError, control_gate
from dtao_agents.probe.pipeline import run
from dtao_agents.probe.solutions import inputs_of, load_record, record_path, save_record

from dtao_gym.world.config import ConfigError
from tests.agents.probe import tiny
from tests.agents.probe.tiny import BROKEN, GATES, TINY, failing, plan_of, tiny_plan

REPOSITORY = Path(__file__).resolve().parents[3]
SHORT = plan_of({"institutions": ["price"], "pruning": [False], "primary": True})
"""One arm and its two references."""


@pytest.fixture
def solved(monkeypatch) -> list[str]:
    """Names of the cells that are solved."""
    monkeypatch.setattr(pipeline, "solve_cell", tiny.counted)
    tiny.SOLVED.clear()
    return tiny.SOLVED


@pytest.fixture
def forbidden(monkeypatch) -> None:
    """Solving a cell is an error."""
    monkeypatch.setattr(pipeline, "solve_cell", tiny.refused)


def results_of(folder: Path) -> dict:
    """Content of results.json without the circumstances of the run."""
    content = json.loads((folder / "results.json").read_text())
    del content["facts"]
    for cell in content["cells"].values():
        del cell["seconds"]
    return content


def records_of(folder: Path) -> dict[str, bytes]:
    """Records of a run without their times, by file."""
    found = {}
    for path in (folder / "cells").glob("*.json"):
        record = json.loads(path.read_text())
        for name in ("seconds", "sha256"):
            record.pop(name, None)
        found[path.name] = json.dumps(record).encode()
    return found


# --- a run


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Evidence, Path]:
    """Evidence of a run of the tiny plan, and its folder."""
    folder = tmp_path_factory.mktemp("run")
    return run(tiny_plan(), folder, GATES), folder


def test_a_run_leaves_its_plan_its_results_and_a_record_of_each_part(finished):
    evidence, folder = finished
    plan = tiny_plan()
    assert {path.name for path in folder.iterdir()} == {"plan.yaml", "results.json", "cells"}
    assert (folder / "plan.yaml").read_text() == plan.to_yaml()
    names = [cell.name for cell in all_cells(plan)]
    assert len(list((folder / "cells").iterdir())) == len(names) + len(GATES)
    results = json.loads((folder / "results.json").read_text())
    assert list(results["cells"]) == names
    assert results["missing"] == []
    assert results["facts"]["plan, SHA-256"] == plan.fingerprint
    assert [c["verdict"] for c in results["contrasts"]] == [
        c.verdict for c in evidence.analysis.contrasts
    ]
    assert [check["ok"] for check in results["checks"]["NC6"]] == [True]
    assert evidence.analysis.missing == []


def test_finished_parts_are_read_from_disk(finished, forbidden):
    evidence, folder = finished
    before = {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    results = results_of(folder)
    again = run(evidence.plan, folder, GATES)
    assert {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()} == before
    assert results_of(folder) == results
    assert again.analysis.contrasts == evidence.analysis.contrasts


def test_results_of_processes_are_those_of_one_process(finished, tmp_path):
    _, folder = finished
    run(tiny_plan(), tmp_path, GATES, backend="processes", workers=2)
    assert records_of(tmp_path) == records_of(folder)
    assert results_of(tmp_path) == results_of(folder)


def test_new_cells_of_a_plan_are_added_to_those_that_are_finished(tmp_path, solved):
    run(SHORT, tmp_path, ())
    assert len(solved) == 3
    block = SHORT.blocks[0].model_dump()
    longer = plan_of(block | {"institutions": ["price", "root_vote"]})
    run(longer, tmp_path, ())
    assert solved[3:] == ["root_vote, direct, no pruning, fast"]


def test_a_plan_with_an_unknown_parameter_leaves_nothing(tmp_path, forbidden):
    with pytest.raises(ConfigError, match="hipe"):
        run(tiny_plan(world={"hipe": 1.0}), tmp_path / "run", ())
    assert not (tmp_path / "run").exists()


# --- what a run continues from


def test_an_interrupted_run_continues_without_solving_a_cell_twice(tmp_path, solved, monkeypatch):
    plan = tiny_plan()
    monkeypatch.setattr(pipeline, "solve_cell", tiny.interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "stopped", ())
    assert len(solved) == tiny.INTERRUPTED_AFTER
    assert not (tmp_path / "stopped" / "results.json").exists()
    monkeypatch.setattr(pipeline, "solve_cell", tiny.counted)
    run(plan, tmp_path / "stopped", ())
    assert solved == [cell.name for cell in all_cells(plan)]
    run(plan, tmp_path / "whole", ())
    assert records_of(tmp_path / "stopped") == records_of(tmp_path / "whole")
    assert results_of(tmp_path / "stopped") == results_of(tmp_path / "whole")


def test_damaged_records_and_those_of_other_sources_are_computed_again(tmp_path, solved):
    run(SHORT, tmp_path, GATES)
    results, records = results_of(tmp_path), records_of(tmp_path)
    arm, plain, finance = all_cells(SHORT)
    paths = [record_path(tmp_path / "cells", c.name, inputs_of(c, SHORT)) for c in (arm, plain)]
    paths[0].write_bytes(paths[0].read_bytes()[:-20])
    paths[1].write_text(paths[1].read_text().replace('"blocks":4', '"blocks":5'))
    (gate,) = (tmp_path / "cells").glob("gate-*")
    gate.write_text(gate.read_text().replace('"ok":true', '"ok":7'))
    inputs = inputs_of(finance, SHORT)
    old = load_record(tmp_path / "cells", finance.name, inputs)
    save_record(tmp_path / "cells", finance.name, inputs, old | {"engine": "0" * 64})
    solved.clear()
    run(SHORT, tmp_path, GATES)
    assert solved == [arm.name, plain.name, finance.name]
    assert results_of(tmp_path) == results
    assert records_of(tmp_path) == records


PROGRAM = """
import json, sys
from pathlib import Path
from dtao_agents.probe.pipeline import run
from dtao_agents.probe.plan import make_plan
run(make_plan(json.loads(sys.argv[1])), Path(sys.argv[2]), ())
"""


@pytest.mark.slow
def test_a_killed_probe_resumes(tmp_path):
    fields = TINY | {"world": TINY["world"] | {"horizon_cap_days": 8000}, "outcome_worlds": 64}
    command = [sys.executable, "-c", PROGRAM, json.dumps(fields), str(tmp_path / "killed")]
    path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "agents")))
    environment = os.environ | {"PYTHONPATH": path}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
    records = tmp_path / "killed" / "cells"
    deadline = time.monotonic() + 300
    while len(list(records.glob("*.json"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {file.name: file.read_bytes() for file in records.glob("*.json")}
    plan = tiny_plan(**fields)
    assert 2 <= len(kept) < len(all_cells(plan))
    assert not (tmp_path / "killed" / "results.json").exists()
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    assert kept.items() <= {p.name: p.read_bytes() for p in records.glob("*.json")}.items()
    run(plan, tmp_path / "whole", ())
    assert results_of(tmp_path / "killed") == results_of(tmp_path / "whole")


# --- gates that stop a probe


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        pytest.param("NC4", BROKEN, id="broken technology"),
        pytest.param("POT", {"frozen_subnets": "prices"}, id="pots of their own"),
        pytest.param("NC9", {"scarcity_elasticity": 0.0}, id="dead market"),
    ],
)
def test_a_model_that_fails_its_controls_gives_no_answer(gate, changes, tmp_path, forbidden):
    """Neither a page of an earlier run is left, nor is a cell solved."""
    for old in ("results.json", "report.html", "report.md"):
        (tmp_path / old).write_text("an earlier answer")
    with pytest.raises(GateError, match=f"gates: {gate} failed; no answer is given") as error:
        run(tiny_plan(), tmp_path, (control_gate(gate),), changes)
    assert {check.id for check in error.value.failed} == {gate}
    assert {path.name for path in tmp_path.iterdir()} == {"plan.yaml", "cells"}
    assert [path.name[: len(gate) + 6] for path in (tmp_path / "cells").iterdir()] == [
        f"gate-{gate}-"
    ]


def test_blocks_can_be_computed_one_at_a_time(tmp_path):
    plan = plan_of(
        {"name": "A one", "institutions": ["price"], "pruning": [False], "references": False},
        {"name": "B two", "institutions": ["root_vote"], "pruning": [False], "references": False},
    )
    first = run(plan, tmp_path, (), blocks=["B"])
    assert [cell.block for cell in first.analysis.missing] == ["A one"]
    both = run(plan, tmp_path, (), blocks=["A"])
    assert both.analysis.missing == []
    with pytest.raises(ConfigError, match="blocks: got C, allowed are beginnings of A one, B two"):
        run(plan, tmp_path, (), blocks=["C"])


def test_gates_test_the_market_of_the_plan(tmp_path, forbidden):
    """A dead market that the plan's own world makes; sizes of its worlds are no part of the market."""
    dead = tiny_plan(world=TINY["world"] | {"scarcity_elasticity": 0.0})
    with pytest.raises(GateError, match="gates: NC9 failed"):
        run(dead, tmp_path, (control_gate("NC9"),))


def test_a_gate_is_tested_again_with_another_technology(tmp_path, forbidden):
    gates = (control_gate("NC4"),)
    with pytest.raises(GateError):
        run(SHORT, tmp_path, gates, BROKEN)
    # with the technology of the controls the gate holds, so that the first cell is asked for
    with pytest.raises(AssertionError, match="is solved"):
        run(SHORT, tmp_path, gates)
    with pytest.raises(GateError):
        run(SHORT, tmp_path, gates, BROKEN)
    assert len(list((tmp_path / "cells").glob("gate-*"))) == 2


@pytest.mark.parametrize(
    ("gate", "block", "void"),
    [
        ("NC3", {"moving_prices": ["fast", "slow"]}, "slow"),
        ("NC6", {"institutions": ["price", "uniform"]}, "uniform, direct"),
        ("NC10", {"payments": ["direct", "alpha"]}, "direct"),
    ],
)
def test_a_gate_that_bears_on_some_arms_voids_those_alone(gate, block, void, tmp_path):
    plan = plan_of({"institutions": ["price"], "pruning": [False]} | block)
    evidence = run(plan, tmp_path, (failing(gate),))
    found = evidence.analysis.of("crowding out")
    assert len(found) == 2
    assert [c.verdict == "void" for c in found] == [void in c.name for c in found]
    (contrast,) = [c for c in found if c.verdict == "void"]
    assert contrast.reason == f"{gate} failed"
    assert evidence.analysis.failed == [gate]
    assert (tmp_path / "results.json").exists()


def test_a_gate_that_voids_all_arms_of_the_plan_stops_it(tmp_path, forbidden):
    plan = plan_of({"institutions": ["uniform"]})
    with pytest.raises(GateError, match="NC6 failed"):
        run(plan, tmp_path, (failing("NC6"),))


def test_gates_that_void_all_arms_together_stop_a_probe(tmp_path, forbidden):
    plan = plan_of(
        {"institutions": ["uniform"]},
        {"institutions": ["price"], "strategy": "influence", "references": False},
    )
    with pytest.raises(GateError, match="NC6, NC8 failed"):
        run(plan, tmp_path, (failing("NC6"), failing("NC8")))
