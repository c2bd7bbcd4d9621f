"""A run folder of somebody else: nothing in it is run, and the error says what was found."""

import contextlib
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from dtao_agents.training.checkpoints import CheckpointError, read_checkpoint
from dtao_agents.training.multi_agent_settings import read_settings
from dtao_agents.training.settings import read

from dtao_gym.world.config import ConfigError
from tests.agents.worlds import SETTINGS, WORLD

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["rule", "role"])
def hostile(tmp_path, request):
    """A run whose emission rule, or role, leaves a mark when it is imported; the message that refuses it."""
    folder = tmp_path / "evil_run"
    folder.mkdir()
    mark = tmp_path / "mark"
    (folder / "rule.py").write_text(
        f"import pathlib\n\npathlib.Path({str(mark)!r}).touch()\n\n\ndef rule(public):\n    return public.spot_price\n"
    )
    path = "evil_run.rule:rule"
    changes = {"env": WORLD | {"allocation": path}}
    name = "env.allocation"
    if request.param == "role":
        changes, name = {"role": path}, "role"
    (folder / "config.yaml").write_text(yaml.safe_dump(SETTINGS | changes))
    return folder, mark, f"{name}: got 'evil_run.rule:rule', which would be imported and run"


@pytest.mark.parametrize("command", [["evaluate.py"], ["train.py", "--resume"]])
def test_its_code_is_not_imported(hostile, command):
    folder, mark, message = hostile
    done = subprocess.run(
        [sys.executable, *command, str(folder)],
        cwd=REPOSITORY,
        env={"PYTHONPATH": f"{folder.parent}:{REPOSITORY}:{REPOSITORY}/agents"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "--trust-rule" in done.stderr
    assert not mark.exists()


def test_it_is_imported_for_who_trusts_it(hostile, monkeypatch):
    folder, mark, message = hostile
    monkeypatch.syspath_prepend(str(folder.parent))
    for module in ("evil_run", "evil_run.rule"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ConfigError, match=message):
        read(folder / "config.yaml", trusted=False)
    assert not mark.exists()
    with contextlib.suppress(ConfigError):  # neither a rule nor a role, but it was imported
        read(folder / "config.yaml", trusted=True)
    assert mark.exists()


def test_aliases_are_refused_before_anything_is_built(tmp_path):
    path = tmp_path / "config.yaml"
    bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"{n}: &{n} [{', '.join('*' + m for _ in range(9))}]" for m, n in pairwise("abcdefgh")]
    path.write_text("\n".join(bomb))
    for reader in (read, read_settings):
        with pytest.raises(ConfigError, match="got an alias"):
            reader(path)


def test_files_that_are_too_long_are_refused(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("# " + "x" * 2**20 + "\nseed: 1\n")
    with pytest.raises(ConfigError, match="allowed are up to that"):
        read(path)


def test_nested_lists_are_one_clear_error(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("[" * 2_000)
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        read(path)


def test_a_checkpoint_whose_facts_are_no_mapping_is_refused(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    path = tmp_path / "step_000000000001.safetensors"
    save_file({"x": np.zeros(1)}, path, {"checkpoint": "[1, 2]"})
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(path)
