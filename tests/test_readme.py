"""Each Python example of the README runs as it stands; each command it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)
COMMANDS = re.findall(r"^(make \S+|python \S+\.py)", TEXT, re.M)


@pytest.mark.parametrize("code", EXAMPLES, ids=[f"example_{k}" for k in range(len(EXAMPLES))])
def test_python_example_runs(code):
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_command_exists(command):
    program, target = command.split()
    if program == "make":
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)
    else:
        assert (ROOT / target).is_file()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
