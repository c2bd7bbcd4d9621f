"""Train, evaluate and publish: `dtao results`, or `python -m dtao_agents.results`."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dtao_gym.command_line import require_extra

PROGRAM = "python -m dtao_agents.results"


def main(arguments: Sequence[str], program: str = PROGRAM) -> None:
    """Parse and run; errors end the process with one line."""
    require_extra(program, "train")
    import tyro

    from dtao_agents.backends import Backend, BackendError, TaskError
    from dtao_agents.evaluation.policy_files import PolicyError
    from dtao_agents.package_data import find_config
    from dtao_agents.results.pipeline import make_results
    from dtao_agents.results.plan import read_results_plan
    from dtao_agents.training.checkpoints import CheckpointError
    from dtao_gym.world.config import ConfigError

    from_make = program == PROGRAM and not arguments
    command = "make results" if from_make else f"{program} {shlex.join(arguments)}".strip()

    def run(
        config: Path = Path("configs/results.yaml"),
        folder: Path = Path("runs/results"),
        out: Path = Path("RESULTS.md"),
        policies: Path = Path("policies"),
        backend: Backend = "processes",
        workers: int | None = None,
        ray_address: str | None = None,
    ) -> None:
        """Train all rows with all seeds, play the arena, write RESULTS.md and the pretrained policies.

        Finished parts of an interrupted run are kept, and the same command continues it.

        Args:
            config: Plan in YAML, or the name of a packaged configuration.
            folder: Trainings and everything that is measured.
            out: The page.
            policies: Folder of the pretrained policies.
            backend: What runs trainings and evaluations: this process, processes of this machine, or a Ray cluster.
            workers: Trainings or evaluations side by side; None: those of the plan, or all that a cluster has room for.
            ray_address: Address of the Ray cluster; None: RAY_ADDRESS, or the cluster of this machine.
        """
        plan = read_results_plan(find_config(config))
        make_results(plan, folder, out, policies, _say, command, backend, workers, ray_address)

    try:
        tyro.cli(run, prog=program, args=arguments)
    except (BackendError, CheckpointError, ConfigError, PolicyError, TaskError) as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        sys.exit(f"error: {error}{notes}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command continues")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    from dtao_agents.cli import run_command

    sys.exit(run_command("results", sys.argv[1:], PROGRAM))
