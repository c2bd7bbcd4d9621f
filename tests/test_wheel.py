"""A wheel with kernels compiled ahead: the first step compiles nothing, to the same bits."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dtao_gym.kernel_cache import FAMILIES, _families, ahead_folder

REPOSITORY = Path(__file__).parents[1]

STEPS = """
import hashlib, sys
import gymnasium as gym
import dtao_gym
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
for name in ("Staker", "Builder"):
    env = gym.make(f"dtao_gym/{name}-v0", n_subnets=4)
    env.reset(seed=0)
    env.step(env.action_space.sample())
batch = Batch([Config.make(n_subnets=5, era=era) for era in ("launch", "price_burn")])
batch.step(days=30)
print(dtao_gym.__file__, hashlib.sha256(batch.state.block.tobytes()).hexdigest())
"""


def steps(package_root: Path, cache: Path) -> tuple[str, str, str]:
    """The package that a new process uses, a hash of what it computes, and what it says."""
    done = subprocess.run(
        [sys.executable, "-c", STEPS],
        cwd=package_root,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(package_root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    file, digest = done.stdout.split()
    return file, digest, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not _families(), reason="this processor is of no family that is compiled for")
def test_a_wheel_steps_at_once(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=REPOSITORY,
        env=os.environ | {"HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true"},
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")  # others ignore what does not fit them
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(installed)

    hashes = set()
    for family in _families():
        file, digest, said = steps(installed, tmp_path / "cache")
        assert file == str(installed / "dtao_gym" / "__init__.py")
        assert said == ""
        assert not list((tmp_path / "cache").rglob("*.kernel"))
        hashes.add(digest)
        shutil.rmtree(ahead_folder(installed / "dtao_gym" / "compiled", family))
    # with none left the engine is compiled as anywhere
    _, digest, said = steps(installed, tmp_path / "cache")
    assert "compiling" in said
    assert hashes == {digest}


def test_families_are_ordered_from_the_richest():
    richest, *others = FAMILIES.values()
    for features in others:
        assert set(features) < set(richest)
