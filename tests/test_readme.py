"""Each example of the README and the docs runs as it stands; each command they name exists; links lead somewhere."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dtao_agents.cli import COMMANDS as COMMANDS_OF_DTAO
from dtao_agents.package_data import find_config, find_policy

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GENERATED = DOCS / "reference/generated"
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in DOCS.rglob("*.md") if GENERATED not in page.parents),
]
LINKED = [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "RESULTS.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.S | re.M)


EXAMPLES = {
    f"{name_of(page)} {k}": code for page in PAGES for k, code in enumerate(blocks(page, "python"))
}
SETTINGS = {
    f"{name_of(page)} {k}": code for page in PAGES for k, code in enumerate(blocks(page, "yaml"))
}
COMMAND = re.compile(r"^(make \S+|python \S+\.py|python -m \S+|dtao \S+(?: [a-z]\S*)?)", re.M)
COMMANDS = {command for page in PAGES for command in COMMAND.findall(page.read_text())}


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page and of files that it includes, as GitHub and MyST make them."""
    found = set()
    for included in re.findall(r"^```{include} (.+)$", page.read_text(), re.M):
        if (path := page.parent / included).resolve().parent != GENERATED:
            found |= anchors(path)
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    headings = re.findall(r"^#+ +(.+)$", text, re.M)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return found | {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in plain}


def dead_links(page: Path) -> list[str]:
    """Relative links of a page without a target, but for the pages that the build of the site writes."""
    dead = []
    for target, anchor in re.findall(
        r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text()
    ):
        path = (page.parent / target).resolve() if target else page
        if path.parent == GENERATED:
            continue
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(f"{target}#{anchor}" if anchor else target)
    return dead


@pytest.mark.parametrize("name", EXAMPLES)
def test_python_example_runs(name):
    exec(compile(EXAMPLES[name], name, "exec"), {})


@pytest.mark.parametrize("name", SETTINGS)
def test_yaml_example_makes_a_world(name):
    Batch(Config.make(yaml.safe_load(SETTINGS[name]))).step(days=2)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_command_exists(command):
    program, target, *rest = command.split()
    if "-m" in command:
        assert importlib.util.find_spec(rest[0]), rest[0]
    elif program == "dtao":
        assert target in {*COMMANDS_OF_DTAO, "--help"}
        for argument in rest:
            named_in_the_package(target, argument)
    elif program == "make":
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)
    else:
        assert (ROOT / target).is_file()


def named_in_the_package(command: str, argument: str) -> None:
    """Check that a configuration or a policy of this name comes with the package; runs are the reader's."""
    if argument.startswith(("runs/", "results/")):
        return
    if command in ("train", "probe"):
        assert find_config(argument).is_file()
    elif command == "evaluate":
        assert (find_policy(argument) / "policy.json").is_file()


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_lead_somewhere(page):
    assert dead_links(page) == []


def test_a_dead_link_and_a_dead_anchor_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, with `code`\n[a](#a-title-with-code) [b](#b) [c](c.md) [d](https://d.e)"
    )
    assert dead_links(page) == ["#b", "c.md"]


@pytest.mark.parametrize(
    "command",
    [
        "python -m dtao_gym.rules mainnet-2026-09-06 --top 8",
        "python -m dtao_gym.rules mainnet-2026-06-14 mainnet-2026-09-06",
    ],
)
def test_the_tables_of_rules_are_what_the_commands_print(command):
    page = (DOCS / "chain/compare.md").read_text()
    shown = page.split(f"`{command}`")[1].split("```")[1].strip().splitlines()
    run = subprocess.run(
        [sys.executable, *command.split()[1:]], capture_output=True, text=True, cwd=ROOT, check=True
    )
    printed = [line.rstrip() for line in run.stdout.strip().splitlines()]
    assert shown == printed[-len(shown) :]
    assert len(shown) == len(printed) or shown[0].startswith("Side by side")


def test_the_table_of_eras_is_that_of_the_package():
    from scripts.build_rules_page import PAGE, table

    assert table() in PAGE.read_text()
