"""Ask whether subnet markets crowd out long-term research: `python probe.py configs/probe_quick.yaml [--run-dir FOLDER]`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from dtao_agents.probe.gates import GATES, Gate, GateError, table_of
from dtao_agents.probe.pipeline import run
from dtao_agents.probe.plan import read_plan
from dtao_agents.probe.report import answer
from rich.console import Console

from dtao_gym.world.config import ConfigError

RUNS = Path("runs")


def main(arguments: Sequence[str], gates: Sequence[Gate] = GATES) -> None:
    """Parse, run, print the answer. Exits with 1 and a table of what failed where a gate does not hold."""

    def places(
        config: tyro.conf.Positional[Path],
        run_dir: Annotated[
            Path | None,
            tyro.conf.arg(help="Folder of the run; runs/<name of the file> if not given."),
        ] = None,
    ) -> tuple[Path, Path]:
        """Check the model against its oracles and controls, then say whether subnet markets crowd out research.

        What a killed probe has finished is kept in the folder of the run, and is not done again.

        Args:
            config: What to run, in YAML.
        """
        return config, run_dir or RUNS / config.stem

    config, folder = tyro.cli(places, args=arguments)
    try:
        findings = run(read_plan(config), folder, gates)
    except GateError as error:
        Console(width=120).print(table_of(error.failed))
        sys.exit(f"error: {error}")
    Console(width=100).print(answer(findings), highlight=False)
    print(f"The page: {folder}/report.html  (report.md, results.json beside it)")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on")
