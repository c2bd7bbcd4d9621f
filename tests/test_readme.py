"""Each Python example of the README and the docs runs as it stands; each command they name exists."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dtao_agents.cli import COMMANDS as COMMANDS_OF_DTAO

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
EXAMPLES = {
    f"{page.stem}_{k}": code
    for page in PAGES
    for k, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
}
SETTINGS = [
    code for page in PAGES for code in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)
]
COMMANDS = re.findall(r"^(make \S+|python \S+\.py|python -m \S+|dtao \S+)", TEXT, re.M)


@pytest.mark.parametrize("name", EXAMPLES)
def test_python_example_runs(name):
    exec(compile(EXAMPLES[name], f"{name}.md", "exec"), {})


@pytest.mark.parametrize("settings", SETTINGS)
def test_yaml_example_makes_a_world(settings):
    Batch(Config.make(yaml.safe_load(settings))).step(days=2)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_command_exists(command):
    program, *_, target = command.split()
    if "-m" in command:
        assert importlib.util.find_spec(target), target
    elif program == "dtao":
        assert target in {*COMMANDS_OF_DTAO, "--help"}
    elif program == "make":
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)
    else:
        assert (ROOT / target).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "command",
    [
        "python -m dtao_gym.rules mainnet-2026-09-06 --top 8",
        "python -m dtao_gym.rules mainnet-2026-06-14 mainnet-2026-09-06",
    ],
)
def test_the_tables_of_rules_are_what_the_commands_print(command):
    shown = TEXT.split(f"`{command}`")[1].split("```")[1].strip().splitlines()
    run = subprocess.run(
        [sys.executable, *command.split()[1:]], capture_output=True, text=True, cwd=ROOT, check=True
    )
    printed = [line.rstrip() for line in run.stdout.strip().splitlines()]
    assert shown == printed[-len(shown) :]
    assert len(shown) == len(printed) or shown[0].startswith("Side by side")


def test_the_table_of_eras_is_that_of_the_package():
    from scripts.build_rules_page import PAGE, table

    assert table() in PAGE.read_text()
