"""The command: short versions, output, results file, refused arguments."""

import json
import subprocess
import sys

import pytest
from dtao_agents.oracles.learned import __main__ as command
from dtao_agents.oracles.learned import runs
from dtao_agents.oracles.learned.settings import OracleSettings, configured, read

from dtao_gym.world.config import ConfigError

SHORT = ("O7", "O10", "O11", "O13b", "O14", "O14b")
"""Games whose short version holds within seconds; the others have separate tests, or are slow."""


@pytest.mark.parametrize("name", configured())
def test_short_versions_learn_less(name):
    settings = read(configured()[name])
    short = settings.shortened()
    assert len(short.starts) == 1
    assert {case.id for case in short.cases} <= {case.id for case in settings.cases}
    assert short.hash() != settings.hash()


def test_comments_and_the_short_version_do_not_change_the_hash():
    settings = read(configured()["O14"])
    without = settings.model_copy(update={"quick": {}})
    assert without.hash() == settings.hash()
    assert settings.model_copy(update={"starts": (0.1,)}).hash() != settings.hash()


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_short_versions_hold(name):
    for each in runs.run(read(configured()[name]).shortened(), lambda text: None):
        assert each.check.ok, each.record()


def test_the_command_prints_and_writes(monkeypatch, tmp_path, capsys):
    """Two pools of the same value."""
    settings = OracleSettings.model_validate(
        {
            "problem": "pools",
            "parameters": {
                "tao": [100, 100],
                "alpha": [1e3, 1e3],
                "value": [0.2, 0.2],
                "budget": 9,
            },
            "cases": [
                {"id": "O12c", "numbers": ["mu", "one", "other"], "expected": [1.831, 4.5, 4.5]}
            ],
            "starts": [[0.2, 0.8], [0.5, 0.4]],
            "cem": {"generations": 30, "population": 32},
        }
    )
    monkeypatch.setattr(command, "configured", lambda: {"tiny": tmp_path / "tiny.yaml"})
    monkeypatch.setattr(command, "read", lambda path: settings)
    monkeypatch.setattr(runs, "FOLDER", tmp_path)
    command.main(("tiny",))
    printed = capsys.readouterr().out
    assert "6 of 6 learned numbers hold." in printed
    assert max(map(len, printed.splitlines())) <= 100
    written = json.loads((tmp_path / "results" / "tiny.json").read_text())
    assert (written["config_hash"], written["holds"], written["of"]) == (settings.hash(), 6, 6)
    assert {(n["algorithm"], n["seed"]) for n in written["numbers"]} == {("cem", 0), ("cem", 1)}


def test_a_number_that_does_not_hold_is_reported(monkeypatch, tmp_path, capsys):
    settings = OracleSettings.model_validate(
        {
            "problem": "contest",
            "parameters": {"prizes": [100, 100]},
            "cases": [{"id": "O11", "numbers": ["wrong"], "expected": [30.0]}],
            "starts": [0.0],
            "cem": {"generations": 20, "population": 16, "rounds": 3},
        }
    )
    monkeypatch.setattr(command, "configured", lambda: {"tiny": tmp_path / "tiny.yaml"})
    monkeypatch.setattr(command, "read", lambda path: settings)
    monkeypatch.setattr(runs, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match=r"^failed: O11$"):
        command.main(("tiny",))
    assert "0 of 1 learned numbers hold." in capsys.readouterr().out
    assert not json.loads((tmp_path / "results" / "tiny.json").read_text())["numbers"][0]["holds"]


def test_a_missing_extra_is_one_line():
    code = "import runpy, sys; sys.modules['torch'] = None\n"
    code += "runpy.run_module('dtao_agents.oracles.learned', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr == (
        "error: python -m dtao_agents.oracles.learned needs torch: pip install 'dtao-gym[train]'\n"
    )


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(ConfigError, match="names: got 'O99', allowed are"):
        command.main(("O99",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem": "chess"}, "problem: got 'chess', allowed are"),
        ({"quick": {"seeds": 1}}, "quick: got seeds, allowed are"),
        ({"cases": [{"id": "O14", "numbers": ["no such"]}]}, "numbers: got 'no such', allowed are"),
        ({"cases": [{"id": "O7", "numbers": ["a", "b"], "expected": [1.0]}]}, "expected: got 1"),
    ],
)
def test_files_that_are_wrong_are_refused(tmp_path, change, message):
    import yaml

    path = tmp_path / "wrong.yaml"
    content = yaml.safe_load(configured()["O14"].read_text())
    path.write_text(yaml.safe_dump(content | change))
    with pytest.raises(ConfigError, match=message):
        read(path)
