"""The help of every module that can be run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def runnable() -> list[str]:
    """Names for `python -m` of modules with code for it."""
    names = []
    for folder in (ROOT, ROOT / "agents"):
        for package in ("dtao_gym", "dtao_agents"):
            for path in sorted((folder / package).rglob("*.py")):
                if 'if __name__ == "__main__":' in path.read_text():
                    parts = path.relative_to(folder).with_suffix("").parts
                    names.append(".".join(part for part in parts if part != "__main__"))
    return names


def test_the_modules_are_found():
    assert {"dtao_gym.rules", "dtao_gym.realism", "dtao_gym.warmup", "dtao_agents.cli"} <= set(
        runnable()
    )


@pytest.mark.parametrize("module", runnable())
def test_every_module_that_can_be_run_has_help_that_fits(module):
    pytest.importorskip("tyro")
    if module.startswith("dtao_agents"):
        pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module, "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "80"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("usage: ")
    # tyro fits boxes to the terminal, and leaves usage and prose to it
    for line in done.stdout.splitlines():
        assert len(line) <= (80 if line[:1] in "╭│╰" else 120), line
