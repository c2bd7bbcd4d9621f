"""Train, evaluate and publish: `python -m dtao_agents.results [--config F] [--folder F] [--out F]`."""

import shlex
import sys
from pathlib import Path

import tyro

from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.results.pipeline import make_results
from dtao_agents.results.plan import read_results_plan
from dtao_agents.training.checkpoints import CheckpointError
from dtao_gym.world.config import ConfigError


def main(
    config: Path = Path("configs/results.yaml"),
    folder: Path = Path("runs/results"),
    out: Path = Path("RESULTS.md"),
    policies: Path = Path("policies"),
) -> None:
    """Train all rows with all seeds, play the arena, write RESULTS.md and the pretrained policies.

    Finished parts of a killed run are kept; the same command continues it.

    Args:
        config: The plan, in YAML.
        folder: Trainings and evaluations.
        out: The page.
        policies: Folder of the pretrained policies.
    """
    given = sys.argv[1:]
    command = (
        shlex.join(["python", "-m", "dtao_agents.results", *given]) if given else "make results"
    )

    def say(line: str) -> None:
        print(line, flush=True)

    make_results(read_results_plan(config), folder, out, policies, say, command)


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except (CheckpointError, ConfigError, PolicyError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command continues")
