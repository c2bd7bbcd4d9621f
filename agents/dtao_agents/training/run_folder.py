"""The folder of a run: logs of training, learning curves, and the manifest of versions and hardware."""

import contextlib
import csv
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

import dtao_gym
from dtao_agents.files import remove_leftovers, write_atomically
from dtao_agents.seed_folders import SETTINGS_NAME
from dtao_agents.training.checkpoints import remove_half_written, steps_of_latest
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.settings import TrainConfig
from dtao_gym.sources import fingerprint

METRICS: tuple[str, ...] = (
    "timesteps",
    "seconds",
    "steps_per_second",
    "reward_per_year",
    "episodes",
    "episode_reward_per_year",
    "learning_rate",
    "policy_loss",
    "value_loss",
    "approx_kl",
    "clip_fraction",
    "explained_variance",
    "exploration_std",
)
"""Columns of metrics.csv. Rewards are those of the role (`AgentRole.reward_description`), with exploration; losses are of
rewards times `reward_scale`."""
PACKAGES = ("gymnasium", "numba", "numpy", "safetensors", "stable-baselines3", "torch")
ATOMIC = ("config.yaml", "manifest.json", "metrics.csv", "policy.*", "exploitability.json")
"""Files of a run that are written atomically."""


class RunLog:
    """metrics.csv, TensorBoard and the progress on the terminal.

    Parameters
    ----------
    run : Path
        Folder of the run.
    total : int
        Steps of the whole run.
    done : int
        Steps of the checkpoint that the run continues from; later rows of an interrupted run are dropped.
    columns : tuple of str
        Columns of metrics.csv; the first is `timesteps`.
    """

    def __init__(self, run: Path, total: int, done: int = 0, columns: tuple[str, ...] = METRICS):
        self.total, self.columns = total, columns
        self.checkpoints = run / "checkpoints"
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        remove_half_written(self.checkpoints)
        remove_leftovers(run, ATOMIC)
        path = run / "metrics.csv"
        kept = [row for row in read_metrics(path) if row["timesteps"] <= done] if done else []
        # whole, so that a kill at this moment loses no row
        write_atomically(path, _as_csv(columns, kept).encode())
        self._file = path.open("a", newline="")
        self._rows = csv.DictWriter(self._file, columns)
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=done + 1 if done else None)
        self._console = Console()
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %  {task.description}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=total, completed=done)
        self._reported = done

    def __enter__(self) -> "RunLog":
        self._progress.start()
        return self

    def __exit__(self, kind: Any, *exception: Any) -> None:
        self._progress.stop()
        # on a full disk these fail as well, and the first failure is the one to tell
        quiet = contextlib.suppress(OSError) if kind else contextlib.nullcontext()
        with quiet:
            try:
                self._file.close()
            finally:
                self._board.close()

    def add(self, row: dict[str, float]) -> None:
        """Add the metrics of one update; keys are the columns."""
        self._rows.writerow({name: _short(value) for name, value in row.items()})
        done = int(row["timesteps"])
        for name in self.columns[1:]:
            self._board.add_scalar(name, row[name], done)
        rewards = (
            f"{name.removesuffix('reward_per_year').replace('_', ' ')}{row[name]:+.2f}"
            for name in self.columns
            if name.endswith("reward_per_year") and "episode" not in name
        )
        text = f"{row['steps_per_second']:,.0f} steps/s, reward {', '.join(rewards)} a year"
        self._progress.update(self._task, completed=done, description=text)
        # without a terminal, a line for every tenth of the run
        if (
            not self._console.is_terminal
            and done * 10 // self.total > self._reported * 10 // self.total
        ):
            print(f"{done:>12,} steps  {row['seconds']:6.0f} s  {text}", flush=True)
        self._reported = done

    def flush(self) -> None:
        """Write all rows so far to disk."""
        self._file.flush()
        self._board.flush()


def _short(value: float) -> float | int | str:
    return value if isinstance(value, int) else f"{value:.6g}"


def _as_csv(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, restval="nan", extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a metrics.csv, `timesteps` as int and the rest as text of numbers.

    None where there is no file. Rows that hold something else are left out, such as a last one that was cut
    off by a kill.
    """
    if not path.exists():
        return []
    found: list[dict[str, Any]] = []
    with (
        path.open(newline="", errors="replace") as file,
        contextlib.suppress(csv.Error),  # quotes that never end
    ):
        for row in csv.DictReader(file):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                for value in row.values():
                    float(value)  # a cut row has None, a longer one a list
                found.append(row | {"timesteps": int(row["timesteps"])})
    return found


@contextlib.contextmanager
def true_manifest(run: Path, settings: TrainConfig | MultiAgentConfig) -> Iterator[dict[str, Any]]:
    """Write config.yaml and the manifest of a run that goes on; where the body raises, one that says how far it came.

    Yields the facts of both, to which the body may add. In the second `status` is "interrupted", `reason` is
    the error, `timesteps` are the steps of metrics.csv, and `checkpoint_timesteps` those of the newest
    checkpoint, None without one.
    """
    facts: dict[str, Any] = {"status": "running"}
    write_atomically(run / SETTINGS_NAME, settings.to_yaml().encode())
    write_manifest(run, settings, **facts)
    try:
        yield facts
    except BaseException as error:
        rows = read_metrics(run / "metrics.csv")
        facts |= {
            "status": "interrupted",
            "reason": reason_of(error),
            "timesteps": rows[-1]["timesteps"] if rows else 0,
            "checkpoint_timesteps": steps_of_latest(run / "checkpoints"),
        }
        try:
            write_manifest(run, settings, **facts)
        except OSError:  # a full disk: the blocks of the old one are there
            _overwrite_manifest(run, facts)
        raise


def reason_of(error: BaseException) -> str:
    """Return an error in a few words, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    told = " ".join(str(error).split())[:200]
    return told or ("Ctrl-C" if isinstance(error, KeyboardInterrupt) else type(error).__name__)


def _overwrite_manifest(run: Path, facts: dict[str, Any]) -> None:
    """Change facts of a manifest in place, where no new file can be written."""
    path = run / "manifest.json"
    with contextlib.suppress(OSError, ValueError):
        content = (json.dumps(json.loads(path.read_text()) | facts, indent=1) + "\n").encode()
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()


def write_manifest(run: Path, settings: TrainConfig | MultiAgentConfig, **facts: Any) -> None:
    """Write manifest.json: settings, seeds, versions, hardware and speed of a run; `facts` are added."""
    manifest = {
        **facts,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": settings.seed,
        "first_world_seed": settings.first_world_seed(),
        "num_envs": settings.num_envs,
        "threads": settings.threads,
        "torch_threads": settings.torch_threads,
        "config_sha256": hashlib.sha256(settings.to_yaml().encode()).hexdigest(),
        "source_fingerprint": fingerprint("dtao_gym.envs.single"),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "dtao_gym": dtao_gym.__version__,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cpu_count": os.cpu_count(),
    }
    write_atomically(run / "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())


def cpu_model() -> str:
    """Return the name of the processor, or of its architecture where the system does not report it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """Return the commit of the checkout, with "-dirty" where files differ from it; None outside of one."""
    folder = Path(__file__).resolve().parents[3]
    if not (folder / ".git").exists():
        return None
    try:
        command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
