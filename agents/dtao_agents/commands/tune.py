"""`dtao tune CONFIG --trials N`: search for better settings of a training, with Optuna."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.files import LockedError, locked_folder
from dtao_agents.package_data import find_config
from dtao_agents.training.multi_agent_settings import MultiAgentConfig, read_settings
from dtao_agents.tuning import (
    BEST_NAME,
    Plan,
    check_plan,
    default_space,
    open_study,
    print_trials,
    read_space,
    tune,
)
from dtao_gym import command_line
from dtao_gym.world.config import ConfigError

RUNS = Path("runs")


def tune_config(
    config: tyro.conf.Positional[Path],
    trials: Annotated[
        int, tyro.conf.arg(help="Trials of the study in all; it keeps those that it has.")
    ] = 20,
    space: Annotated[
        Path | None,
        tyro.conf.arg(
            help="Settings to vary in YAML, each `name: [values]` or `name: {low: , high: , log: true}`; if not given, "
            "learning_rate, gamma, gae_lambda, batch_size, hidden and entropy_coef around those of the config."
        ),
    ] = None,
    total_timesteps: Annotated[
        int | None, tyro.conf.arg(help="Steps of a trial; None: those of the config.")
    ] = None,
    episodes: Annotated[
        int | None, tyro.conf.arg(help="Worlds that score a trial; None: evaluation_episodes.")
    ] = None,
    seed: Annotated[int, tyro.conf.arg(help="Seed of the search, not of training.")] = 0,
    run_dir: Annotated[
        Path | None,
        tyro.conf.arg(help="Folder of the study; runs/tune_<name of the config> if not given."),
    ] = None,
    storage: Annotated[
        str | None,
        tyro.conf.arg(
            help="Database of the trials, such as sqlite:///study.db; study.db in the folder if not given."
        ),
    ] = None,
    study: Annotated[
        str | None, tyro.conf.arg(help="Name in the database; that of the config if not given.")
    ] = None,
) -> None:
    """Search for settings that score higher, with the tree-structured Parzen estimator of Optuna.

    - a trial trains once, and is scored on seeds that neither training nor evaluation uses
    - a trial whose reward falls below the median of earlier ones is pruned
    - the same command continues an interrupted study
    - the best settings are kept in best.yaml, for dtao train

    Args:
        config: Settings of a training of one learner in YAML, or the name of a packaged configuration.
    """
    settings = read_settings(find_config(config))
    if isinstance(settings, MultiAgentConfig):
        raise ConfigError(f"{config}: got many learners, allowed is a training of one")
    if trials < 1:
        raise ConfigError(f"--trials: got {trials}, allowed is 1 or more")
    if total_timesteps is not None:
        settings = settings.make(settings.model_dump() | {"total_timesteps": total_timesteps})
    plan = Plan(
        settings,
        default_space(settings) if space is None else read_space(space),
        settings.evaluation_episodes if episodes is None else episodes,
    )
    check_plan(plan)
    folder = run_dir or RUNS / f"tune_{config.stem}"
    with locked_folder(folder):
        opened = open_study(
            plan, storage or f"sqlite:///{folder}/study.db", study or config.stem, seed
        )
        tune(plan, folder, opened, trials, lambda line: print(line, flush=True))
        print_trials(plan, opened, command_line.console())
    if (folder / BEST_NAME).exists():
        print(f"Best settings: {folder}/{BEST_NAME}  Train: dtao train {folder}/{BEST_NAME}")


def main(arguments: Sequence[str], program: str = "dtao tune") -> None:
    """Parse and search; errors end the process with one line."""
    if importlib.util.find_spec("optuna") is None:
        sys.exit(f"error: {program} needs optuna: pip install 'dtao-gym[tune]'")
    try:
        command_line.call(
            tune_config, program, (ConfigError, LockedError, PolicyError, OSError), arguments
        )
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command continues")
