"""Copies of the package with a small kernel, and processes that use it: parts of the tests of the kernel cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dtao_gym

PACKAGE = Path(dtao_gym.__file__).parent

# A kernel of its own, small enough to compile in a moment, that calls a rule of another file.
KERNEL = '''
from dtao_gym.compiling import _compiled as compiled
from dtao_gym.compiling import kernel
from dtao_gym.protocol.issuance import emission_per_block


@kernel
def emission(remaining):
    """The emission of a test."""
    return emission_per_block(remaining)
'''
RUN = """
import sys
from dtao_gym.small import emission
value = emission(21e6)
hits = sum(emission.stats.cache_hits.values())
print(value, "loaded" if hits else "compiled")
"""


@pytest.fixture
def clone(tmp_path):
    """A function that makes a copy of the package with a small kernel in it."""

    def make(name: str) -> Path:
        package = tmp_path / name / "dtao_gym"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "data"))
        (package / "small.py").write_text(KERNEL)
        return package

    return make


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def environment(cache: Path) -> dict[str, str]:
    return os.environ | {"NUMBA_CACHE_DIR": str(cache)}


def run(package: Path, cache: Path, code: str = RUN) -> str:
    """Output of a new process that uses the small kernel of a copy."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=package.parent,
        env=environment(cache),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.kernel"))
