"""`dtao plot RUN [RUN ...]`: learning curves of runs, with intervals over training seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.training.curves import plot_runs
from dtao_gym import command_line
from dtao_gym.world.config import ConfigError


def plot(
    run: tyro.conf.Positional[tuple[Path, ...]],
    column: Annotated[
        str | None,
        tyro.conf.arg(help="Column of metrics.csv, such as explained_variance; None: the reward."),
    ] = None,
    output: Annotated[
        Path | None,
        tyro.conf.arg(help="File to write; plot.png in the first folder if not given."),
    ] = None,
) -> None:
    """Draw the learning curves of runs in one figure.

    A folder of training seeds (train --seeds) is one line, with the 95 % interval over its seeds.

    Args:
        run: Folder of a run, or of training seeds; one or more.
    """
    if not run:
        raise ConfigError("run: got none, allowed are one or more folders of runs")
    print(f"Written: {plot_runs(run, column, output)}")


def main(arguments: Sequence[str], program: str = "dtao plot") -> None:
    """Parse and draw; errors end the process with one line."""
    command_line.call(plot, program, (ConfigError, PolicyError, OSError), arguments)
