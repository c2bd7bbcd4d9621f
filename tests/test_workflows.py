"""Facts of the GitHub workflows that a checker of their syntax does not know; actionlint runs at each commit."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def jobs(path: Path) -> dict:
    return yaml.safe_load(path.read_text())["jobs"]


def steps(path: Path) -> list[dict]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def test_there_are_workflows_for_tests_docs_and_releases():
    assert [path.stem for path in WORKFLOWS] == ["docs", "release", "tests"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_permissions_are_minimal_and_versions_pinned(path):
    content = yaml.safe_load(path.read_text())
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        assert "timeout-minutes" in job
        writes = {name for name, kind in job.get("permissions", {}).items() if kind == "write"}
        assert writes <= {"id-token", "pages"}
        # what may write runs none of the repository's code
        assert not writes or all("run" not in step for step in job["steps"])
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"])
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
    assert "secrets." not in path.read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_targets_of_make_and_paths_exist(path):
    makefile = (ROOT / "Makefile").read_text()
    for step in steps(path):
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert re.search(rf"^{target}:", makefile, re.M), target
    assert "build/docs/html" in makefile


def test_pythons_of_the_tests_are_supported():
    matrix = jobs(ROOT / ".github/workflows/tests.yml")["test"]["strategy"]["matrix"]
    pythons = [*matrix["python"], *(row["python"] for row in matrix["include"])]
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert all(f"Programming Language :: Python :: {python}" in pyproject for python in pythons)


def test_a_release_is_published_without_a_password():
    release = jobs(ROOT / ".github/workflows/release.yml")
    publish = release["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == "build"
    last = publish["steps"][-1]
    assert last == {"uses": "pypa/gh-action-pypi-publish@release/v1"}
    version = next(step for step in release["build"]["steps"] if "hatchling version" in str(step))
    assert '"v$(python -m hatchling version)"' in version["run"]
