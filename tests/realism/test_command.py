"""`python -m dtao_gym.realism`: output, files, exit status and errors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dtao_gym.realism import MOMENTS

REPOSITORY = Path(__file__).resolve().parents[2]

pytest.importorskip("tyro")


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "dtao_gym.realism", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(Path.home())},
    )


def test_command_prints_a_table_in_100_columns_and_writes_numbers_and_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ("--config", "quickstart", "--worlds", "2", "--burn-in", "5")
    done = command(tmp_path, *arguments, "--json", "a.json", "--plot", "a.png")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("9 March to 3 May 2026, 56 closes; 2 worlds after 5 days, ")
    assert lines[1].split() == ["moment", "real", "se", "simulated", "z", "gate"]
    assert sum(line.startswith("rank IC") for line in lines) == 4
    assert any(line.startswith("J ") and "19 moments" in line for line in lines)
    assert any(line.startswith("sum of prices") for line in lines)
    facts = json.loads((tmp_path / "a.json").read_text())
    assert list(facts["moments"]) == list(MOMENTS)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_failing_gate_is_an_exit_status_with_strict(tmp_path):
    slow = tmp_path / "slow.yaml"
    slow.write_text("n_subnets: 16\ntrade_speed: 0.02\nnews_sd: 0.0\n")
    arguments = ("--config", "slow.yaml", "--worlds", "1", "--burn-in", "0")
    assert command(tmp_path, *arguments, "--period", "summer-2025").returncode == 0
    strict = command(tmp_path, *arguments, "--strict")
    assert strict.returncode == 1
    assert "FAIL" in strict.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--period", "winter"),
            "error: period: got 'winter', allowed are spring-2026, summer-2025, ",
        ),
        (("--config", "none.yaml"), "error: config: got 'none.yaml', allowed are a YAML file and "),
        (("--seed", "-1"), "error: seed: got -1, allowed is 0 or more"),
    ],
)
def test_bad_input_is_refused_in_one_line(tmp_path, arguments, message):
    done = command(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
