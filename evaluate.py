"""Judge a trained staker or builder against the scripted ones: `python evaluate.py RUN [--episodes N]`."""

import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from agents.evaluate import evaluate
from agents.policies import PolicyError
from agents.reports import report
from dtao_gym.world.config import ConfigError


def main(
    run: tyro.conf.Positional[Path],
    episodes: Annotated[
        int | None, tyro.conf.arg(help="Evaluation seeds; None: what the run's settings say.")
    ] = None,
    threads: Annotated[
        int | None, tyro.conf.arg(help="Threads that share the worlds; None: those of the run.")
    ] = None,
) -> None:
    """Play the learned policy and every scripted one on the same evaluation seeds and compare them.

    Writes evaluation.json, evaluation.csv (one row per policy and seed) and evaluation.png into the folder.

    Args:
        run: Folder of a trained run.
    """
    for name, value, least in (("episodes", episodes, 2), ("threads", threads, 1)):
        if value is not None and value < least:
            raise ConfigError(f"--{name}: got {value}, allowed is {least} or more")
    report(evaluate(run, episodes, threads), Console(width=100))
    print(f"Saved: {run}/evaluation.json, evaluation.csv, evaluation.png")


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except (ConfigError, PolicyError) as error:
        sys.exit(f"error: {error}")
