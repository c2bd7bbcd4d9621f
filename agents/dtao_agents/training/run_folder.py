"""The folder of a run: logs of training, learning curves, and the manifest of versions and hardware."""

import csv
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

import dtao_gym
from dtao_agents.files import write_atomically
from dtao_agents.roles.registry import agent_role
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
        path = run / "metrics.csv"
        kept = [row for row in read_metrics(path) if row["timesteps"] <= done] if done else []
        self._file = path.open("w", newline="")
        self._rows = csv.DictWriter(self._file, columns)
        self._rows.writeheader()
        self._rows.writerows(kept)
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

    def __exit__(self, *exception: Any) -> None:
        self._progress.stop()
        self._board.close()
        self._file.close()

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


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a metrics.csv, `timesteps` as int and the rest as text.

    None where there is no file. A last row that was cut off by a kill is left out.
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    return [row | {"timesteps": int(row["timesteps"])} for row in rows]


def draw_learning_curve(run: Path, role: str) -> None:
    """Draw learning_curve.png of a run of one role, from metrics.csv."""
    columns = {"reward_per_year": "this rollout", "episode_reward_per_year": "last episodes"}
    _draw(run, [(agent_role(role).reward_description, columns)])


def draw_learning_curves(run: Path, roles: tuple[str, ...]) -> None:
    """Draw learning_curve.png of roles that learn together, from metrics.csv."""
    panels = [
        (f"{role}: {agent_role(role).reward_description}", {f"{role}_reward_per_year": role})
        for role in roles
    ]
    _draw(run, panels)


def _draw(run: Path, panels: list[tuple[str, dict[str, str]]]) -> None:
    """Draw panels of (axis label, legend of each column)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_metrics(run / "metrics.csv")
    steps = [row["timesteps"] / 1e6 for row in rows]
    figure = Figure(figsize=(7, 1 + 3 * len(panels)), dpi=120, layout="constrained")
    for axes, (label, columns) in zip(
        figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True
    ):
        for width, (column, legend) in enumerate(columns.items(), start=1):
            axes.plot(steps, [float(row[column]) for row in rows], lw=width, label=legend)
        axes.set(xlabel="million steps", ylabel=label, title="Learning, with exploration")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(run / "learning_curve.png")


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
