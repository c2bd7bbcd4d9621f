"""Fresh interpreters: time of the import and of a first step, and servers of workloads."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent

IMPORT = """
import time; start = time.perf_counter()
import dtao_gym
print(time.perf_counter() - start)
import sys; assert "torch" not in sys.modules
"""
FIRST_STEP = """
import time; start = time.perf_counter()
import gymnasium, dtao_gym
env = gymnasium.make("dtao_gym/Staker-v0", n_subnets=16, **{settings})
env.reset(seed=0); env.step(env.action_space.sample())
print(time.perf_counter() - start)
import sys; assert "torch" not in sys.modules
"""
COLD = {
    "weighted pools": {},
    "weights 1/2": {"genesis": "mainnet-2025-02-13", "era": "launch"},
}
"""Settings of a staker for each of the two kernels, which differ in the weights of pools."""
QUIET = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Environment of processes that write nothing into another checkout."""


class Cost(NamedTuple):
    """Seconds of a process."""

    wall: float
    """Measured by the process, without the start of the interpreter."""
    cpu: float
    """User and system time of the whole process and its threads."""


def in_fresh_process(code: str, checkout: Path = ROOT, **environment: str) -> Cost:
    """Run code that prints its wall seconds in a new interpreter, in the folder of a checkout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(float(done.stdout.split()[-1]), cpu)


def first_step(kind: str, cache: str | Path, checkout: Path = ROOT, **environment: str) -> Cost:
    """Measure the first step of a staker, with compiled code from a folder that may be empty."""
    code = FIRST_STEP.replace("{settings}", repr(COLD[kind]))
    return in_fresh_process(code, checkout, NUMBA_CACHE_DIR=str(cache), **environment)


def cold_first_step(kind: str, checkout: Path = ROOT) -> Cost:
    """Measure the first step without compiled code."""
    with tempfile.TemporaryDirectory() as folder:
        return first_step(kind, folder, checkout)


class Server:
    """A process that serves a workload of a checkout (`workloads.py`)."""

    def __init__(self, checkout: Path, name: str, quick: bool, cache: Path):
        command = [sys.executable, str(HERE / "workloads.py"), str(checkout), name]
        self.process = subprocess.Popen(
            [*command, "--quick"] if quick else command,
            cwd=checkout,
            env=os.environ | QUIET | {"NUMBA_CACHE_DIR": str(cache)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.process.communicate()  # the end of its input ends the process

    def run(self) -> tuple[float, Cost]:
        """Do one run; returns its units of work and its cost. The first run compiles."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        if len(words) != 3:
            raise RuntimeError(f"{' '.join(map(str, self.process.args))}: the process has ended")
        units, wall, cpu = map(float, words)
        return units, Cost(wall, cpu)
