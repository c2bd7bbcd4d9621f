"""One configuration trained with several seeds: a folder of runs, `seed_0`, `seed_1`, ...

The folder itself holds no settings: each run in it does, and can be used alone. The same command continues an
interrupted training of seeds, and trains no seed twice.
"""

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console

from dtao_agents.backends import Task, run_tasks
from dtao_agents.evaluation.statistics import bootstrap, span
from dtao_agents.files import locked_folder
from dtao_agents.flags import changed_fields
from dtao_agents.seed_folders import SETTINGS_NAME, runs_of_seeds
from dtao_agents.training.checkpoints import PATTERN
from dtao_agents.training.multi_agent_run import train_multi_agent
from dtao_agents.training.multi_agent_settings import MultiAgentConfig, read_settings
from dtao_agents.training.ppo import train
from dtao_agents.training.run_folder import read_metrics
from dtao_agents.training.settings import TrainConfig
from dtao_gym.tables import Column, print_table
from dtao_gym.world.config import ConfigError

Settings = TrainConfig | MultiAgentConfig
MOST_SEEDS = 1024


def with_seed(settings: Settings, seed: int) -> Settings:
    """Return the settings with another training seed. Raises ConfigError for one out of range."""
    return type(settings).make(settings.model_dump() | {"seed": seed})


def is_finished(run: Path) -> bool:
    """Return whether the training of a run has finished, by its manifest."""
    try:
        return json.loads((run / "manifest.json").read_text())["status"] == "finished"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def plan_seeds(folder: Path, settings: Settings, n_seeds: int) -> dict[int, Path]:
    """Return the folders of the runs to train, by training seed: those from `settings.seed` on.

    Raises
    ------
    ConfigError
        The number is out of range, or the folder has runs of other settings.
    """
    if not 2 <= n_seeds <= MOST_SEEDS:
        raise ConfigError(f"--seeds: got {n_seeds}, allowed are 2 to {MOST_SEEDS}")
    seeds = range(settings.seed, settings.seed + n_seeds)
    for seed, run in runs_of_seeds(folder).items():
        if seed in seeds:
            before = read_settings(run / SETTINGS_NAME)
            changed = ["stakers, builders"]  # of one learner and of many
            if type(before) is type(settings):
                changed = changed_fields(before, with_seed(settings, seed))
            if changed:
                raise ConfigError(
                    f"{run}: got other settings ({', '.join(changed)}), allowed are those of this training; "
                    "--overwrite replaces its seeds"
                )
    return {seed: folder / f"seed_{seed}" for seed in seeds}


def train_one(settings: Settings, run: Path, device: str = "cpu", into_log: bool = False) -> None:
    """Train in a folder from the start or the latest checkpoint; do nothing where that has finished.

    Parameters
    ----------
    settings : TrainConfig or MultiAgentConfig
    run : Path
        Made if it does not exist.
    device : str
        Torch device of the network.
    into_log : bool
        Write progress to log.txt of the run instead of the terminal, which several trainings would share.
    """
    if is_finished(run):
        return
    with locked_folder(run), contextlib.ExitStack() as stack:
        if into_log:
            log = stack.enter_context((run / "log.txt").open("a"))
            stack.enter_context(contextlib.redirect_stdout(log))
        print(f"Training seed {settings.seed}: {run}", flush=True)
        resume = any((run / "checkpoints").glob(PATTERN))
        if isinstance(settings, MultiAgentConfig):
            train_multi_agent(settings, run, resume)
        else:
            train(settings, run, resume, device)


def train_seeds(
    settings: Settings,
    runs: dict[int, Path],
    backend: str = "local",
    workers: int | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> None:
    """Train the seeds that have not finished.

    Parameters
    ----------
    settings : TrainConfig or MultiAgentConfig
        Their seed is replaced.
    runs : dict of Path
        Folders by training seed, of `plan_seeds`.
    backend : str
        One of `dtao_agents.backends.BACKENDS`.
    workers : int, optional
        Seeds side by side; by default as many as the machine or the cluster has processors for.
    device : str
        Torch device of the networks.
    say : callable
        Called with a line for each seed.

    Raises
    ------
    BackendError, TaskError, Exception
        As `dtao_agents.backends.run_tasks`; finished seeds are kept.
    """
    left = [seed for seed in runs if not is_finished(runs[seed])]
    if done := [str(seed) for seed in runs if seed not in left]:
        say(f"Trained before: {'seed' if len(done) == 1 else 'seeds'} {', '.join(done)}")
    quiet = backend != "local"
    if quiet and left:
        say(f"Progress of each seed: {runs[left[0]].parent}/seed_*/log.txt")
    tasks = [
        Task(
            f"seed {seed}",
            train_one,
            {
                "settings": with_seed(settings, seed),
                "run": runs[seed],
                "device": device,
                "into_log": quiet,
            },
        )
        for seed in left
    ]
    if workers is None and backend == "processes":
        workers = max((os.cpu_count() or 1) // settings.threads, 1)

    def report_done(index: int, _: object) -> None:
        if quiet:
            say(f"Trained seed {left[index]}: {runs[left[index]]}")

    run_tasks(tasks, backend, workers, report_done, cpus_per_task=settings.threads)
    for seed in left:
        if not is_finished(runs[seed]):
            raise ConfigError(
                f"{runs[seed]}: has no finished run, allowed is a folder that all workers share"
            )


class TrainedSeed(NamedTuple):
    """What the table of seeds shows of a run.

    Attributes
    ----------
    seed, timesteps : int
    seconds : float
        Time of training.
    rewards : dict of float
        Last reward per year by learner, with exploration; of the last episodes where the run has one learner.
    """

    seed: int
    timesteps: int
    seconds: float
    rewards: dict[str, float]


def trained_seed(seed: int, run: Path) -> TrainedSeed:
    """Return what a run has learned, from its metrics.csv. Raises ConfigError where it has none."""
    rows = read_metrics(run / "metrics.csv")
    if not rows:
        raise ConfigError(f"{run}/metrics.csv: got no row, allowed is that of a run")
    last = rows[-1]
    rewards = {
        name.removesuffix("reward_per_year").strip("_"): float(value)
        for name, value in last.items()
        if name.endswith("reward_per_year")
    }
    if "episode" in rewards:
        episodes = rewards["episode"]
        rewards = {"learner": episodes if np.isfinite(episodes) else rewards[""]}
    return TrainedSeed(seed, last["timesteps"], float(last["seconds"]), rewards)


def print_seeds(trained: Sequence[TrainedSeed], console: Console) -> None:
    """Print a row for each seed, and the mean with its 95 % interval over training seeds."""
    names = list(trained[0].rewards)
    columns = [
        Column("training seed", justify="left"),
        Column("steps", rank=2),
        Column("seconds", rank=1),
        *(Column("reward per year" if len(names) == 1 else f"{name}s") for name in names),
    ]
    rows = [
        [
            str(one.seed),
            f"{one.timesteps:,}",
            f"{one.seconds:,.0f}",
            *(f"{one.rewards[name]:+.3f}" for name in names),
        ]
        for one in trained
    ]
    means = [
        span(bootstrap(np.array([one.rewards[name] for one in trained])), "+.3f") for name in names
    ]
    rows.append(["mean", "", "", *means])
    print_table(
        console,
        columns,
        rows,
        [*[None] * len(trained), "bold"],
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    console.print(
        f"Last episodes of training, with exploration; 95 % interval over {len(trained)} training seeds.",
        highlight=False,
    )
