"""The commands `dtao probe` and `dtao report`."""

import time
from pathlib import Path

import pytest
import yaml
from dtao_agents.commands import probe, report
from dtao_agents.probe import pipeline
from dtao_agents.probe.gates import control_gate

from tests.agents.probe import tiny
from tests.agents.probe.tiny import GATES, failing, write_plan

BLOCK = {"name": "A core", "institutions": ["price"], "pruning": [False], "primary": True}


def start(path: Path, *options: str, gates=GATES) -> Path:
    """Run `dtao probe` in this process; returns the folder of the run."""
    folder = path.parent / "run"
    arguments = [str(path), "--run-dir", str(folder), "--backend", "local", *options]
    probe.main(arguments, gates=gates)
    return folder


def test_a_probe_answers_and_says_where_its_page_is(tmp_path, capsys):
    folder = start(write_plan(tmp_path, blocks=[BLOCK]))
    out = capsys.readouterr().out
    assert "crowd out long-term research" in " ".join(out.split())
    assert f"The page: {folder}/report.html" in out
    assert {path.name for path in folder.iterdir()} == {
        "cells",
        "plan.yaml",
        "report.html",
        "report.md",
        "results.json",
    }


def test_report_rebuilds_the_page_in_seconds_without_solving(tmp_path, capsys, monkeypatch):
    folder = start(write_plan(tmp_path, blocks=[BLOCK]))
    pages = {name: (folder / name).read_bytes() for name in ("report.html", "report.md")}
    for name in pages:
        (folder / name).unlink()
    probed = capsys.readouterr().out
    monkeypatch.setattr(pipeline, "solve_cell", tiny.refused)
    monkeypatch.setattr("dtao_agents.probe.solutions.solve_slots", tiny.refused)
    began = time.monotonic()
    report.main([str(folder)])
    assert time.monotonic() - began < 10.0
    assert {name: (folder / name).read_bytes() for name in pages} == pages
    assert capsys.readouterr().out.splitlines()[:-1] == probed.splitlines()[:-1]
    report.main([str(folder), "--out", str(tmp_path / "elsewhere")])
    assert (tmp_path / "elsewhere" / "report.md").read_bytes() == pages["report.md"]


@pytest.mark.parametrize("missing", ["results.json", "plan.yaml"])
def test_report_of_no_finished_run_is_one_line(tmp_path, missing):
    folder = start(write_plan(tmp_path, blocks=[BLOCK]), gates=())
    (folder / missing).unlink()
    with pytest.raises(SystemExit) as stopped:
        report.main([str(folder)])
    assert str(stopped.value.code).startswith("error: ")
    assert "\n" not in str(stopped.value.code)


def test_a_failed_gate_is_a_table_and_exit_status_one(tmp_path, capsys):
    start(write_plan(tmp_path, blocks=[BLOCK]), gates=())
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        start(write_plan(tmp_path, blocks=[BLOCK]), gates=(failing("sum"),))
    # a text is status 1
    assert stopped.value.code == "error: gates: sum failed; no answer is given"
    out = capsys.readouterr().out
    assert "FAILS" in out
    assert "crowd out" not in out
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"cells", "plan.yaml"}


@pytest.mark.parametrize(
    ("gate", "population"),
    [("POT", {"frozen_subnets": "prices"}), ("NC9", {"scarcity_elasticity": 0.0})],
)
def test_a_population_whose_market_fails_its_controls_is_refused(
    gate, population, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(pipeline, "solve_cell", tiny.refused)
    people = tmp_path / "people.yaml"
    people.write_text(yaml.safe_dump(population))
    path = write_plan(tmp_path, population=str(people))
    with pytest.raises(SystemExit) as stopped:
        start(path, gates=(control_gate(gate),))
    assert stopped.value.code == f"error: gates: {gate} failed; no answer is given"
    assert "FAILS" in capsys.readouterr().out
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": [{"name": "A", "payment": ["direct"]}]}, "payment"),
        ({"blocks": [{"name": "A", "institutions": ["prise"]}]}, "prise"),
        ({"world": {"hipe": 1.0}}, "hipe"),
        ({"population": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_a_bad_plan_is_one_line(changes, message, tmp_path):
    path = write_plan(tmp_path, **changes)
    with pytest.raises(SystemExit) as stopped:
        start(path)
    told = str(stopped.value.code)
    assert told.startswith("error: ")
    assert message in told
    assert "\n" not in told


def test_an_interrupted_probe_says_how_to_continue(tmp_path, monkeypatch):
    path = write_plan(tmp_path, blocks=[BLOCK])
    monkeypatch.setattr(pipeline, "solve_cell", tiny.interrupted)
    monkeypatch.setattr(tiny, "INTERRUPTED_AFTER", 0)
    tiny.SOLVED.clear()
    with pytest.raises(SystemExit) as stopped:
        start(path, gates=())
    assert stopped.value.code == "interrupted; the same command continues"
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_number_of_workers_below_one_is_one_line(tmp_path):
    path = write_plan(tmp_path, blocks=[BLOCK])
    with pytest.raises(SystemExit) as stopped:
        start(path, "--workers", "0", gates=())
    assert stopped.value.code == "error: workers: got 0, allowed are 1 and more"
