"""Interrupted trainings in processes of their own: one line, a true manifest, and a run that goes on."""

import ctypes
import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dtao_agents.commands import train as command
from dtao_agents.files import LOCK_NAME, LockedError, locked_folder
from dtao_agents.training.checkpoints import latest_checkpoint, steps_of_latest
from dtao_agents.training.run_folder import read_metrics, true_manifest
from safetensors.numpy import load_file

from tests.agents.training.test_checkpoints import rows
from tests.agents.worlds import settings, write_settings

REPOSITORY = Path(__file__).resolve().parents[3]
ROLLOUT = 8 * 16
LONG = {"total_timesteps": 4000 * ROLLOUT, "checkpoint_every": 7}
"""Minutes: nobody waits for its end."""


def start(*arguments: object, before=None) -> subprocess.Popen:
    def prepare():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background ignores it
        if before is not None:
            before()

    return subprocess.Popen(
        [sys.executable, "train.py", *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )


def end(process: subprocess.Popen) -> tuple[int, str]:
    """Exit status and the only line of errors."""
    _, errors = process.communicate(timeout=300)
    (line,) = lines_of(errors)
    return process.returncode, line


def lines_of(errors: str) -> list[str]:
    """Lines of errors, without the one that kernels are compiled."""
    return [line for line in errors.splitlines() if "compiling the engine" not in line]


def wait_for_checkpoint(process: subprocess.Popen, run: Path, number: int = 1) -> None:
    deadline = time.monotonic() + 300
    while not list(run.glob("checkpoints/step_*")) or steps_of_latest(run / "checkpoints") < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def manifest_of(run: Path) -> dict:
    return json.loads((run / "manifest.json").read_text())


def same_ends(one: Path, other: Path) -> None:
    """Two runs end with the same bits."""
    last = latest_checkpoint(one / "checkpoints").name
    assert latest_checkpoint(other / "checkpoints").name == last
    for name in ("policy.safetensors", "policy.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    mine, theirs = (load_file(run / "checkpoints" / last) for run in (one, other))
    assert {k: v.tobytes() for k, v in mine.items()} == {k: v.tobytes() for k, v in theirs.items()}
    assert rows(one) == rows(other)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    config = write_settings(folder, total_timesteps=80 * ROLLOUT, checkpoint_every=7)
    process = start(config, "--run-dir", folder / "run")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return config, folder / "run"


@pytest.mark.parametrize(
    ("number", "status", "name"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")]
)
def test_a_signal_ends_with_one_line_and_the_run_goes_on(whole, tmp_path, number, status, name):
    config, undisturbed = whole
    run = tmp_path / "run"
    process = start(config, "--run-dir", run)
    wait_for_checkpoint(process, run)
    process.send_signal(number)
    got, line = end(process)
    manifest = manifest_of(run)
    steps = manifest["checkpoint_timesteps"]
    assert got == status
    assert line == (
        f"interrupted by {name}; python train.py --resume {run} continues from step {steps:,}"
    )
    assert manifest["status"] == "interrupted"
    assert manifest["reason"] == name
    assert steps == steps_of_latest(run / "checkpoints")
    assert manifest["timesteps"] == read_metrics(run / "metrics.csv")[-1]["timesteps"]
    assert steps <= manifest["timesteps"] < 80 * ROLLOUT
    assert not (run / LOCK_NAME).exists()
    # as a write that was killed leaves them
    (run / "checkpoints" / ".step_000000000896.safetensors.abc").write_bytes(b"half")
    (run / "checkpoints" / ".step_000000000897.safetensors.d").mkdir()
    (run / ".manifest.json.xyz").write_bytes(b"half")

    again = start("--resume", run)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    same_ends(run, undisturbed)
    assert manifest_of(run)["status"] == "finished"
    hidden = [path.name for path in run.rglob("*") if path.name.startswith(".")]
    assert hidden == []


def test_a_damaged_checkpoint_falls_back_to_the_one_before(whole, tmp_path):
    config, undisturbed = whole
    run = tmp_path / "run"
    process = start(config, "--run-dir", run)
    wait_for_checkpoint(process, run, 14 * ROLLOUT)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (run / LOCK_NAME).exists()  # left by the dead process, and taken over
    newest = latest_checkpoint(run / "checkpoints")
    before = sorted((run / "checkpoints").glob("step_*"))[-2]
    content = bytearray(newest.read_bytes())
    content[-100] ^= 1  # one bit of one number
    newest.write_bytes(content)

    again = start("--resume", run)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    (line,) = lines_of(errors)
    assert line == (
        f"warning: {newest}: is damaged: its content does not fit its checksum; trying {before.name}"
    )
    same_ends(run, undisturbed)


def test_two_trainings_in_one_folder(tmp_path):
    config, run = write_settings(tmp_path, **LONG), tmp_path / "run"
    first = start(config, "--run-dir", run)
    try:
        wait_for_checkpoint(first, run)
        for arguments in (
            (config, "--run-dir", run),
            (config, "--run-dir", run, "--overwrite"),
            ("--resume", run),
        ):
            status, line = end(start(*arguments))
            assert status == 1
            pattern = rf"error: {run}: is in use by process {first.pid} \(.*train\.py .*\), allowed is one .*"
            assert re.fullmatch(pattern, line)
        assert first.poll() is None
        assert (run / "config.yaml").exists()
    finally:
        first.kill()
        first.communicate()


def without_rights() -> None:
    """Make root obey the permissions of files in the next program."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if libc.prctl(24, right, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
                os._exit(77)


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path):
    config, folder = write_settings(tmp_path), tmp_path / "mine"
    folder.mkdir()
    folder.chmod(0o555)
    process = start(config, "--run-dir", folder / "run", before=without_rights)
    if process.wait(300) == 77:
        pytest.skip("root without the right to give up rights")
    status, line = end(process)
    assert (status, line) == (1, f"error: {folder / 'run'}: Permission denied")


@pytest.mark.slow
def test_a_run_that_becomes_read_only_ends_with_one_line(tmp_path):
    config, run = write_settings(tmp_path, **LONG), tmp_path / "run"
    process = start(config, "--run-dir", run, before=without_rights)
    try:
        wait_for_checkpoint(process, run)
        (run / "checkpoints").chmod(0o555)
        status, line = end(process)
    finally:
        (run / "checkpoints").chmod(0o755)
        process.kill()
    steps = steps_of_latest(run / "checkpoints")
    assert status == 1
    assert re.fullmatch(
        rf"error: {run}/checkpoints/\.step_\S+: Permission denied; python train\.py --resume {run} "
        f"continues from step {steps:,}",
        line,
    )
    manifest = manifest_of(run)
    assert (manifest["status"], manifest["reason"]) == ("interrupted", "Permission denied")
    assert manifest["checkpoint_timesteps"] == steps < manifest["timesteps"]


@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_on_disk_ends_with_one_line(whole, tmp_path):
    """A limit on the size of files, in place of a full disk: the system refuses the same write."""
    config, undisturbed = whole
    run = tmp_path / "run"
    process = start(config, "--run-dir", run)
    wait_for_checkpoint(process, run)
    process.send_signal(signal.SIGTERM)
    end(process)
    size = latest_checkpoint(run / "checkpoints").stat().st_size

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    status, line = end(start("--resume", run, before=limit))
    steps = steps_of_latest(run / "checkpoints")
    told = os.strerror(errno.EFBIG)
    assert status == 1
    assert line == f"error: {told}; python train.py --resume {run} continues from step {steps:,}"
    assert manifest_of(run)["reason"] == told
    assert list((run / "checkpoints").glob(".step_*")) == []
    again = start("--resume", run)
    assert again.communicate(timeout=300) is not None
    assert again.returncode == 0
    same_ends(run, undisturbed)


FULL_DISK = """
mount -t tmpfs -o size=420k none {disk} || exit 77
dd if=/dev/zero of={disk}/fill bs=1k count=150 2>/dev/null
{python} train.py {config} --run-dir {disk}/run >/dev/null
echo "status $?" >&2
cp {disk}/run/manifest.json {kept}
rm {disk}/fill
mount -o remount,size=20m {disk}
{python} train.py --resume {disk}/run >/dev/null && cp -r {disk}/run {kept}
"""


@pytest.mark.slow
def test_a_full_disk_ends_with_one_line_and_the_run_goes_on(whole, tmp_path):
    config, undisturbed = whole
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir(), kept.mkdir()
    script = FULL_DISK.format(disk=disk, kept=kept, config=config, python=sys.executable)
    if shutil.which("unshare") is None:
        pytest.skip("no namespaces")
    done = subprocess.run(
        ["unshare", "-Urm", "bash", "-c", script], cwd=REPOSITORY, capture_output=True, text=True
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no right to mount")
    line, status = lines_of(done.stderr)
    manifest = manifest_of(kept)
    steps = manifest["checkpoint_timesteps"]
    assert status == "status 1"
    assert line == (
        f"error: No space left on device; python train.py --resume {disk / 'run'} "
        f"continues from step {steps:,}"
    )
    assert (manifest["status"], manifest["reason"]) == ("interrupted", "No space left on device")
    assert steps < manifest["timesteps"] < 80 * ROLLOUT
    same_ends(kept / "run", undisturbed)


# --- parts


def test_a_manifest_is_changed_in_place_where_no_file_can_be_made(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def run_it():
        with true_manifest(tmp_path, settings()):
            monkeypatch.setattr("dtao_agents.training.run_folder.write_atomically", full)
            full(None, None)

    with pytest.raises(OSError, match="No space left"):
        run_it()
    manifest = manifest_of(tmp_path)
    assert manifest["status"] == "interrupted"
    assert manifest["reason"] == "No space left on device"
    assert (manifest["timesteps"], manifest["checkpoint_timesteps"]) == (0, None)
    assert manifest["seed"] == settings().seed


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    (tmp_path / LOCK_NAME).write_text("process 1 (somebody)\n")
    with locked_folder(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_NAME).read_text()
        with pytest.raises(LockedError, match=f"is in use by process {os.getpid()} "):
            locked_folder(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_lock_alone_is_empty(tmp_path):
    with locked_folder(tmp_path):
        command.prepare(tmp_path, overwrite=False)
        (tmp_path / "config.yaml").touch()
        (tmp_path / "a").mkdir()
        command.prepare(tmp_path, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_NAME]
