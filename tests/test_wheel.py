"""The wheel as users install it: complete without a checkout, each extra sufficient for its commands, kernels ahead."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
print(dtao_gym.__file__, hashlib.sha256(batch.state.fields.tobytes()).hexdigest())
"""


def build(folder: Path, **environment: str) -> Path:
    """Build a wheel of the checkout."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


# --- without a checkout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def install(wheel, tmp_path):
    """A function that makes a virtual environment of the wheel with some extras, and returns its folder.

    Dependencies are not downloaded: every distribution that the wheel's own metadata requires, directly or not, is
    linked from the environment that runs the tests, and nothing else is there.
    """

    def make(*extras: str) -> Path:
        folder = tmp_path / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
        subprocess.run(
            [*pip, "install", "-q", "--no-index", "--no-deps", wheel],
            check=True,
            env=outside(),
        )
        (packages,) = folder.glob("lib/python*/site-packages")
        with zipfile.ZipFile(wheel) as file:
            (name,) = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
            metadata = Parser().parsestr(file.read(name).decode())
        requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist")]
        for distribution in closure(requirements, set(extras)).values():
            link(distribution, packages)
        return folder

    return make


def closure(
    requirements: list[Requirement], extras: set[str]
) -> dict[str, importlib.metadata.Distribution]:
    """Installed distributions that some requirements lead to, by name."""
    distributions: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(requirement, extras) for requirement in requirements]
    visited = set()
    while waiting:
        requirement, wanted = waiting.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in (wanted or {""})):
            continue
        key = requirement.name, frozenset(requirement.extras)
        if key in visited:
            continue
        visited.add(key)
        distribution = importlib.metadata.distribution(requirement.name)
        distributions[requirement.name] = distribution
        waiting += [(Requirement(text), requirement.extras) for text in distribution.requires or []]
    return distributions


def link(distribution: importlib.metadata.Distribution, packages: Path) -> None:
    """Link the files and folders of an installed distribution into another environment."""
    for name in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
        target = packages / name
        if not target.exists() and not name.endswith(".pth"):
            target.symlink_to(Path(str(distribution.locate_file(name))))


def outside() -> dict[str, str]:
    """Environment variables without a path to the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command of an environment in an empty folder."""
    work = folder.parent / "work"
    work.mkdir(exist_ok=True)
    program = folder / "bin" / command[0]
    return subprocess.run(
        [program, *command[1:]], cwd=work, env=outside(), capture_output=True, text=True
    )


@pytest.mark.slow
def test_without_extras_the_environments_step_and_commands_name_their_extra(install):
    folder = install()
    done = run(folder, "python", "-c", STEPS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(folder))
    shown = run(folder, "dtao", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    for command, hint in {
        "rules": "needs tyro and rich: pip install 'dtao-gym[cli]'",
        "train": "tyro and rich: pip install 'dtao-gym[train]'",
    }.items():
        done = run(folder, "dtao", command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: dtao {command} needs ")
        assert done.stderr.endswith(f"{hint}\n")
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_extra_cli_is_enough_for_the_tools_of_the_environment(install):
    folder = install("cli")
    for command, shown in {
        ("rules", "--top", "3"): "price_burn*",
        ("conformance",): "root_proportion",
        ("trace", "--netuid", "64", "--blocks", "3"): "8404077",
        ("history", "--config", "launch_2025", "--until", "2025-02-15", "--worlds", "1"): "price",
    }.items():
        done = run(folder, "dtao", *command)
        assert done.returncode == 0, done.stderr
        assert shown in done.stdout
    done = run(folder, "dtao", "history", "--plot", "x.png", "--until", "2025-02-15")
    assert done.stderr == "error: --plot needs matplotlib: pip install 'dtao-gym[plot]'\n"
    done = run(folder, "dtao", "train", "staker_quickstart")
    assert done.stderr == (
        "error: dtao train needs torch, Stable-Baselines3, safetensors, matplotlib and tqdm: "
        "pip install 'dtao-gym[train]'\n"
    )


@pytest.mark.slow
def test_the_extra_train_is_enough_to_train_and_evaluate_packaged_configurations(install):
    folder = install("train")
    done = run(folder, "dtao", "train", "staker_quickstart", "--total-timesteps", "100000")
    assert done.returncode == 0, done.stderr
    assert "Evaluate it: dtao evaluate runs/staker_quickstart" in done.stdout
    done = run(folder, "dtao", "evaluate", "runs/staker_quickstart", "--episodes", "8")
    assert done.returncode == 0, done.stderr
    assert (folder.parent / "work/runs/staker_quickstart/evaluation.png").stat().st_size > 1000
    done = run(folder, "dtao", "evaluate", "runs/staker_quickstart", "--replay")
    assert done.returncode == 0, done.stderr
    done = run(folder, "dtao", "probe", "nothing")
    assert done.returncode == 1
    assert "allowed are a YAML file and arena, " in done.stderr
    code = (
        "from dtao_agents.evaluation.policy_files import load_policy\n"
        "from dtao_agents.package_data import find_config\n"
        "from dtao_agents.probe.plan import read_plan\n"
        "from dtao_agents.results.kinds import kind_of\n"
        "from dtao_agents.results.plan import read_results_plan\n"
        "load_policy('policies/staker_quickstart', n_subnets=32)\n"
        "read_plan(find_config('probe_quick'))\n"
        "plan = read_results_plan(find_config('results'))\n"
        "[kind_of(row).inputs(plan, row, 0) for row in plan.rows]\n"
    )
    done = run(folder, "python", "-c", code)
    assert done.returncode == 0, done.stderr


# --- kernels compiled ahead


def steps(package_root: Path, cache: Path) -> tuple[str, str, str]:
    """Path of the package in a new process, a hash of what it computes, and its messages."""
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
    wheel = build(tmp_path, DTAO_GYM_COMPILE_AHEAD="1")
    assert wheel.name.endswith("-py3-none-any.whl")  # others ignore what does not fit them
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(installed)

    hashes = set()
    for family in _families():
        file, digest, messages = steps(installed, tmp_path / "cache")
        assert file == str(installed / "dtao_gym" / "__init__.py")
        assert messages == ""
        assert not list((tmp_path / "cache").rglob("*.kernel"))
        hashes.add(digest)
        shutil.rmtree(ahead_folder(installed / "dtao_gym" / "compiled", family))
    # with none left the engine is compiled as anywhere
    _, digest, messages = steps(installed, tmp_path / "cache")
    assert "compiling" in messages
    assert hashes == {digest}


def test_families_are_ordered_from_the_richest():
    richest, *others = FAMILIES.values()
    for features in others:
        assert set(features) < set(richest)
