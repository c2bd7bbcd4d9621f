"""The command `dtao probe`."""

import pytest
from dtao_agents.commands import probe
from dtao_agents.probe.checks import Check
from dtao_agents.probe.gates import Gate

from tests.agents.probe.tiny import GATES, write_plan


def test_a_probe_answers_and_says_where_its_page_is(tmp_path, capsys):
    path = write_plan(tmp_path, institutions=["price"], pruning=[False])
    probe.main([str(path), "--run-dir", str(tmp_path / "run")], gates=GATES)
    out = capsys.readouterr().out
    assert "crowd out long-term research" in out.replace("\n", " ")
    assert (tmp_path / "run" / "report.html").exists()


def test_a_failed_gate_is_a_table_and_exit_status_one(tmp_path, capsys):
    wrong = Gate("sum", lambda *_: [Check("sum", "anywhere", 4.0, 5.0, False)])
    path = write_plan(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        probe.main([str(path), "--run-dir", str(tmp_path / "run")], gates=(wrong,))
    assert (
        stopped.value.code == "error: gates: sum failed; no answer is given"
    )  # a text is status 1
    out = capsys.readouterr().out
    assert "FAILS" in out
    assert "crowd out" not in out
    assert not (tmp_path / "run" / "report.html").exists()
