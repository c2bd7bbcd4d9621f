"""The Dockerfile, without Docker: what it copies exists and suffices, and what it runs is there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [
    tuple(line.split(maxsplit=1))
    for line in TEXT.replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def arguments(kind):
    return [shlex.split(rest) for name, rest in INSTRUCTIONS if name == kind]


def copies():
    """Sources and target of each COPY, without its flags."""
    for words in arguments("COPY"):
        *sources, target = [word for word in words if not word.startswith("--")]
        yield sources, target


SOURCES = [source for sources, _ in copies() for source in sources]
KINDS = (".csv", ".json", ".py", ".safetensors", ".yaml")
"""Endings of files that the image needs."""
SHORT_RUN = next(rest for name, rest in INSTRUCTIONS if name == "RUN" and "train.py" in rest)


def test_sources_exist_and_reach_the_build():
    ignored = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    assert kept == set(SOURCES)
    assert not [source for source in SOURCES if not (ROOT / source).exists()]
    excluded = [line for line in ignored[1:] if not line.startswith("!")]
    files = [path for source in SOURCES for path in (ROOT / source).rglob("*.*")]
    needed = [str(path.relative_to(ROOT)) for path in files if path.suffix in KINDS]
    assert len(needed) > 100
    assert not [p for p in needed if any(fnmatch(p, e.replace("**/", "*")) for e in excluded)]


def test_it_runs_make_train_and_its_targets_and_scripts_exist():
    makefile = (ROOT / "Makefile").read_text()
    assert arguments("CMD") == [["[make,", "train]"]]
    stamp = re.search(r"^LEARNING := (\S+)$", makefile, re.M)
    assert stamp is not None
    assert f"RUN make {stamp[1]}\n" in TEXT
    scripts = re.findall(r"python (\S+\.py)", SHORT_RUN)
    assert set(scripts) == set(re.findall(r"\$\(PY\) (train\.py|evaluate\.py)", makefile))
    assert set(scripts) <= set(SOURCES)


def test_the_image_is_plain_and_its_user_is_not_root():
    assert arguments("FROM") == [["python:3.11-slim"]]
    names = [name for name, _ in INSTRUCTIONS]
    assert arguments("USER") == [["gym"]]
    assert names.index("USER") < names.index("COPY")
    assert all("--chown=gym:gym" in words for words in arguments("COPY"))
    assert "://" not in TEXT


@pytest.mark.slow
def test_what_is_copied_suffices_to_train_and_to_evaluate(tmp_path):
    image, run = tmp_path / "image", tmp_path / "first"
    for sources, target in copies():
        for source in sources:
            place = image / target
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__", "*.nb[ci]")
                )
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    command = SHORT_RUN.replace("/tmp/first", str(run)).split("&& rm")[0]
    command = command.replace("python ", f"{sys.executable} ")
    check = "import dtao_agents, dtao_gym; print(dtao_agents.__file__, dtao_gym.__file__)"
    path = os.pathsep.join((str(image), str(image / "agents")))
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -c '{check}' && {command}"],
        cwd=image,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[0].count(str(image)) == 2
    assert {"evaluation.json", "replay.json"} <= {path.name for path in run.iterdir()}
