"""A complete probe at a tiny size: its page, its cache, and its failures."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dtao_agents.cache import Store, key_of
from dtao_agents.probe import cells
from dtao_agents.probe.gates import GateError, control_gate
from dtao_agents.probe.pipeline import run
from dtao_agents.probe.plan import all_cells

from tests.agents.probe.tiny import BROKEN, GATES, TINY, plan

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Results of a run that includes an indeterminate cell, and its folder."""
    folder = tmp_path_factory.mktemp("run")
    return run(plan(institutions=["price", "root_vote", "uniform"]), folder, GATES), folder


def test_the_page_opens_with_the_answer_in_three_sentences(finished):
    _, folder = finished
    lines = (folder / "report.md").read_text().splitlines()
    assert lines[0] == "# Do subnet markets crowd out long-term research?"
    assert lines[2].startswith("> ")
    assert "subnet markets crowd out long-term research" in lines[2].lower()
    assert "than the earlier root vote" in lines[2]
    assert "direct pay only" in lines[2]
    assert len(re.findall(r"\.(?: |$)", lines[2])) == 3


def test_the_page_has_all_its_parts(finished):
    results, folder = finished
    page = (folder / "report.md").read_text()
    for claim in ("C1", "C2", "C3", "C4", "C5", "C6", "C7"):
        assert f"| {claim} |" in page
    assert "not measured" in page
    for cell in results.cells:
        assert f"| {cell.name} |" in page
    for name in ("crowding_out.png", "by_delay.png", "by_informed_share.png"):
        assert f"]({name})" in page
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    for part in (
        "NC6",
        "world seeds: 0 to 3",
        "plan, SHA-256",
        "numba",
        "What would change",
        "The population is the default one",
    ):
        assert part in page
    html = (folder / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 3
    assert "<img" in html
    assert 'src="crowding' not in html


def test_a_flat_cell_is_indeterminate_on_the_page_and_never_a_number(finished):
    results, folder = finished
    name = "uniform, direct, no pruning, fast"
    assert results.solutions[name].research_share is None
    row = next(
        x for x in (folder / "report.md").read_text().splitlines() if x.startswith(f"| {name} |")
    )
    assert set(row.split(" | ")[1:]) <= {"indeterminate", "-", "- |"}
    assert results.crowding_out[name].verdict == "indeterminate"


def test_results_are_kept_for_machines(finished):
    results, folder = finished
    record = json.loads((folder / "results.json").read_text())
    assert set(record["cells"]) == {cell.name for cell in results.cells}
    assert record["contrasts"]["market less vote"]


def test_finished_units_are_read_from_disk(finished):
    first, folder = finished
    before = {path: path.stat().st_mtime_ns for path in (folder / "cache").iterdir()}
    again = run(first.plan, folder, GATES)
    assert all(solution.cached for solution in again.solutions.values())
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").iterdir()} == before
    assert again.contrasts == first.contrasts
    changed = run(
        first.plan.model_copy(update={"first_seed": 7, "institutions": ("price",)}), folder, GATES
    )
    assert not any(solution.cached for solution in changed.solutions.values())


def test_threads_and_names_do_not_enter_the_key():
    one, other = plan(threads=1), plan(threads=2)
    for a, b in zip(all_cells(one), all_cells(other), strict=True):
        assert cells.inputs_of(a, one) == cells.inputs_of(b, other)


def test_a_broken_technology_stops_the_probe_before_any_cell(tmp_path):
    run(plan(institutions=["price"], pruning=[False]), tmp_path, GATES)
    assert (tmp_path / "report.md").exists()
    with pytest.raises(GateError, match="NC4"):
        run(plan(), tmp_path, (*GATES, control_gate("NC4")), BROKEN)
    assert not (tmp_path / "report.md").exists()
    assert not (tmp_path / "results.json").exists()


PROGRAM = """
import sys, json
from pathlib import Path
from dtao_agents.probe.pipeline import run
from dtao_agents.probe.plan import make_plan
run(make_plan(json.loads(sys.argv[1])), Path(sys.argv[2]), ())
"""


@pytest.mark.slow
def test_a_killed_probe_resumes(tmp_path):
    fields = TINY | {"seeds": 16, "world": TINY["world"] | {"horizon_cap_days": 2000}}
    command = [sys.executable, "-c", PROGRAM, json.dumps(fields), str(tmp_path / "killed")]
    path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "agents")))
    environment = os.environ | {"PYTHONPATH": path}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
    store = tmp_path / "killed" / "cache"
    deadline = time.monotonic() + 300
    while len(list(store.glob("*.json"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {file.name: file.read_bytes() for file in store.glob("*.json")}
    assert 2 <= len(kept) < 5
    assert not (tmp_path / "killed" / "report.md").exists()

    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    assert kept.items() <= {p.name: p.read_bytes() for p in store.glob("*.json")}.items()
    whole = run(plan(**fields), tmp_path / "whole", ())
    for cell in whole.cells:
        key = key_of(cells.inputs_of(cell, whole.plan))
        stored_cell = Store(store).load(cell.name, key)
        assert stored_cell is not None
        assert stored_cell[0]["research_share"] == whole.solutions[cell.name].research_share
