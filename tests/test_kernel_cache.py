"""Compiled kernels on disk: which are kept, under which keys, broken files."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import pytest
from numba.core.registry import cpu_target

import dtao_gym
import dtao_gym.protocol.issuance
from dtao_gym import kernel_cache
from dtao_gym.compiling import _compiled as compiled
from dtao_gym.compiling import kernel
from tests.kernel_clones import RUN, cache, clone, environment, files, run

__all__ = ["cache", "clone"]


def test_a_second_clone_compiles_nothing(clone, cache):
    assert run(clone("first"), cache) == "1.0 compiled"
    assert run(clone("second"), cache) == "1.0 loaded"


def test_an_edit_outside_of_a_kernels_imports_compiles_nothing(clone, cache):
    package = clone("edited")
    assert run(package, cache) == "1.0 compiled"
    for name in ("comparison.py", "world/day.py", "envs/roles.py"):
        with (package / name).open("a") as file:
            file.write("\nEDITED = 1\n")
    (package / "protocol" / "new.py").write_text("from dtao_gym.compiling import rule\n")
    assert run(package, cache) == "1.0 loaded"
    with (package / "compiling.py").open("a") as file:  # how kernels are compiled counts
        file.write("\nEDITED = 1\n")
    assert run(package, cache) == "1.0 compiled"


def test_editing_a_rule_compiles_its_kernels_again(clone, cache):
    package = clone("edited")
    assert run(package, cache) == "1.0 compiled"
    rule = package / "protocol" / "issuance.py"
    text = rule.read_text()
    assert text.count(", 1.0)") == 1
    rule.write_text(text.replace(", 1.0)", ", 0.5)"))
    assert run(package, cache) == "0.5 compiled"
    rule.write_text(text)
    assert run(package, cache) == "1.0 loaded"


def target_context():
    return cpu_target.target_context


BROKEN = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "a bit flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "foreign": lambda content: b"another program's file, and quite a long one at that",
    "whole but unreadable": lambda content: hashlib.sha256(b"text").digest() + b"text",
}


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory) -> bytes:
    """Content of the file of a kernel."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("kernels")
        patch.setenv("NUMBA_CACHE_DIR", str(root))
        rule = dtao_gym.protocol.issuance.emission_per_block
        made = compiled(rule.py_func)
        made(21e6)
        (file,) = files(root)
        return file.read_bytes()


def test_a_whole_file_is_read(whole_file, tmp_path):
    (tmp_path / "kernel").write_bytes(whole_file)
    assert kernel_cache._read(tmp_path / "kernel", target_context()).entry_point(21e6) == 1.0


@pytest.mark.parametrize("harm", BROKEN)
def test_a_broken_file_is_as_none(whole_file, tmp_path, harm):
    (tmp_path / "kernel").write_bytes(BROKEN[harm](whole_file))
    assert kernel_cache._read(tmp_path / "kernel", target_context()) is None


def test_a_broken_file_is_replaced(clone, cache):
    package = clone("clone")
    assert run(package, cache) == "1.0 compiled"
    (file,) = files(cache)
    file.write_bytes(file.read_bytes()[:1000])
    assert run(package, cache) == "1.0 compiled"
    assert run(package, cache) == "1.0 loaded"


def test_other_versions_and_processors_have_other_files(clone, cache):
    package = clone("clone")
    run(package, cache)
    (file,) = files(cache)
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    folder = file.parent.parent.name
    assert folder == f"{dtao_gym.__version__}-{python}-numba{numba.__version__}"
    generic = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=package.parent,
        env=environment(cache) | generic,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "1.0 compiled"
    assert len(files(cache)) == 2


def test_processes_that_start_at_once_compile_once(clone, cache):
    package = clone("clone")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=package.parent,
            env=environment(cache),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    outputs = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert {out.split()[0] for out, _ in outputs} == {"1.0"}
    assert sum("compiling" in err for _, err in outputs) == 1
    assert len(files(cache)) == 1


SLOW = """
import time
from dtao_gym.small import emission
inner = emission._compiler.compile
import dtao_gym.compiling
compile_part = dtao_gym.compiling.fast_pipeline
def wait():
    print("compiling now", flush=True)
    time.sleep(60)
dtao_gym.compiling.fast_pipeline = wait
emission(21e6)
"""


def test_a_process_that_is_killed_while_it_compiles_holds_nobody_up(clone, cache):
    package = clone("clone")
    victim = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        cwd=package.parent,
        env=environment(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert victim.stdout.readline().strip() == "compiling now"
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    start = time.monotonic()
    assert run(package, cache) == "1.0 compiled"
    assert time.monotonic() - start < 30.0


def test_where_nothing_can_be_written_everything_works(clone, tmp_path):
    package = clone("clone")
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert run(package, blocked) == "1.0 compiled"
    assert run(package, blocked) == "1.0 compiled"


def test_files_that_are_not_used_for_long_are_removed(clone, cache):
    root = cache / "dtao_gym"
    ages = {
        "0.0.1-py39-numba0.5/cpu/day-1.kernel": 31,  # and its folders, which are then empty
        "0.0.2-abc-py39-numba0.5/cpu/day-2.kernel": 31,
        "0.0.2-abc-py39-numba0.5/cpu/day-3.kernel": 29,
        "0.0.2-abc-py39-numba0.5/cpu/day-3.kernel.lock": 99,
        "mine/cpu/day-1.kernel": 99,
    }
    for name, age in ages.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
        then = time.time() - 86_400.0 * age
        os.utime(root / name, (then, then))
    run(clone("clone"), cache)
    assert {path.name for path in root.iterdir()} == {
        "0.0.2-abc-py39-numba0.5",
        "mine",
        kernel_cache._folder_name(),
    }
    left = {path.name for path in (root / "0.0.2-abc-py39-numba0.5" / "cpu").iterdir()}
    assert left == {"day-3.kernel"}
    assert len(files(root / "mine")) == 1


def test_loading_a_kernel_keeps_its_file(clone, cache):
    package = clone("clone")
    run(package, cache)
    (file,) = files(cache)
    then = time.time() - 86_400.0 * 29
    os.utime(file, (then, then))
    assert run(package, cache) == "1.0 loaded"
    assert file.stat().st_mtime > time.time() - 600.0


# --- kernels of other packages

OTHER = {
    "__init__": "",
    "kernels": '''
from dtao_gym.compiling import kernel
from dtao_gym.protocol.issuance import emission_per_block
from .rules import doubled


@kernel
def twice(remaining):
    """Twice the emission."""
    return doubled(emission_per_block(remaining))


def scaled(factor):
    @kernel
    def product(x):
        return factor * x

    return product


def captured(rule):
    @kernel
    def call(x):
        return rule(x)

    return call
''',
    "rules": "from dtao_gym.compiling import rule\n@rule\ndef doubled(x):\n    return 2.0 * x\n",
    "pictures": "",
}
USE_OTHER = """
from other_kernels.kernels import captured, scaled, twice
from other_kernels.rules import doubled
def used(kernel, x):
    value = kernel(x)
    return value, "loaded" if sum(kernel.stats.cache_hits.values()) else "compiled"
print(*used(twice, 21e6), *used(scaled(2.0), 3.0), *used(scaled(3.0), 3.0), *used(captured(doubled), 3.0))
"""


@pytest.fixture
def other(clone) -> Path:
    """A package that is not dtao_gym, with kernels, and a copy of dtao_gym in the same folder."""
    folder = clone("other").parent / "other_kernels"
    folder.mkdir()
    for name, text in OTHER.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_kernels_of_other_packages_are_kept_in_the_same_way(other, cache):
    assert run(other, cache, USE_OTHER) == "2.0 compiled 6.0 compiled 9.0 compiled 6.0 compiled"
    # a kernel that captures a rule may differ where its source does not
    assert run(other, cache, USE_OTHER) == "2.0 loaded 6.0 loaded 9.0 loaded 6.0 compiled"
    (other / "pictures.py").write_text("x = 1\n")
    assert run(other, cache, USE_OTHER).startswith("2.0 loaded ")
    (other / "rules.py").write_text(OTHER["rules"].replace("2.0", "3.0"))
    assert run(other, cache, USE_OTHER).startswith("3.0 compiled ")


def test_functions_without_a_source_file_are_not_kept(tmp_path):
    @kernel
    def here(x):  # tests are no package
        return x

    assert not kernel_cache.KernelCache(here.py_func).kept
    names = {"__name__": "dtao_gym.numerics"}
    exec("def made(x):\n    return x\n", names)
    assert not kernel_cache.KernelCache(names["made"]).kept
    assert kernel_cache.KernelCache(dtao_gym.protocol.issuance.emission_per_block.py_func).kept
