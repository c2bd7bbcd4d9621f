"""Messages while kernels are compiled: a line for each on a terminal, one in a log, none from workers."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.kernel_clones import RUN, cache, clone, environment, files

__all__ = ["cache", "clone"]


def on_terminal(package: Path, cache: Path, code: str = RUN) -> str:
    """Output of a process on a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=package.parent,
        env=environment(cache),
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    output = b""
    while True:
        try:
            part = os.read(leader, 1000)
        except OSError:  # the process has closed its end
            break
        if not part:
            break
        output += part
    os.close(leader)
    assert process.wait() == 0, output
    return output.decode()


def test_a_terminal_shows_a_line_for_each_kernel_and_nothing_when_none_is_compiled(clone, cache):
    package = clone("clone")
    output = on_terminal(package, cache)
    assert "dtao_gym: compiling the emission of a test ... " in output
    assert output.split("... ")[1].split()[1] == "s"
    assert "compiling" not in on_terminal(package, cache)


def test_a_log_gets_one_line(clone, cache):
    package = clone("clone")
    code = RUN + "emission(21)\n"  # another signature
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=package.parent,
        env=environment(cache),
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stderr.splitlines()) == 1
    assert "python -m dtao_gym.warmup" in done.stderr


WORKERS = """
import multiprocessing
def work():
    from dtao_gym.small import emission
    assert emission(21e6) == 1.0
if __name__ == "__main__":
    for method in ("fork", "spawn"):
        process = multiprocessing.get_context(method).Process(target=work)
        process.start()
        process.join()
        assert process.exitcode == 0
"""


def test_workers_print_nothing(clone, cache):
    package = clone("clone")
    (package.parent / "workers.py").write_text(WORKERS)
    assert (
        on_terminal(
            package, cache, "import runpy; runpy.run_path('workers.py', run_name='__main__')"
        )
        == ""
    )
    assert len(files(cache)) == 1
