"""`dtao probe CONFIG [--run-dir FOLDER]`: ask whether subnet markets crowd out long-term research."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dtao_agents.backends import BackendError
from dtao_agents.package_data import find_config
from dtao_agents.probe.answer import sentences
from dtao_agents.probe.gates import GATES, Gate, GateError, table_of
from dtao_agents.probe.pipeline import run
from dtao_agents.probe.plan import read_plan
from dtao_agents.probe.report import write_report
from dtao_gym import command_line
from dtao_gym.file_kinds import PROBE, check_kind
from dtao_gym.world.config import ConfigError

RUNS = Path("runs")
GATE_WIDTH = 120
"""Columns of the table of failed gates."""


def main(
    arguments: Sequence[str], program: str = "dtao probe", gates: Sequence[Gate] = GATES
) -> None:
    """Parse, run and print the answer; errors end the process with one line.

    Where gates fail that void every arm, the failed checks are printed as a table and the exit status is 1.
    """

    def options(
        config: tyro.conf.Positional[Path],
        run_dir: Annotated[
            Path | None,
            tyro.conf.arg(help="Folder of the run; runs/<name of the file> if not given."),
        ] = None,
        backend: Annotated[
            Literal["local", "processes", "ray"],
            tyro.conf.arg(help="Where parts are computed; ray: docs/clusters.md."),
        ] = "processes",
        workers: Annotated[
            int | None, tyro.conf.arg(help="Parts at a time; one per processor if not given.")
        ] = None,
        blocks: Annotated[
            tuple[str, ...],
            tyro.conf.arg(
                help="Blocks to compute now, by the beginnings of their names; all if none."
            ),
        ] = (),
    ) -> tuple[Path, Path, str, int | None, tuple[str, ...]]:
        """Check the model against its oracles and controls, then measure every claim of the debate.

        Finished parts of an interrupted probe are kept in the folder of the run and not computed again.

        Args:
            config: Plan in YAML, or the name of a packaged configuration.
        """
        return config, run_dir or RUNS / config.stem, backend, workers, blocks

    config, folder, backend, workers, blocks = tyro.cli(options, prog=program, args=arguments)
    try:
        path = find_config(config)
        check_kind(path, PROBE)
        evidence = run(
            read_plan(path), folder, gates, backend=backend, workers=workers, blocks=blocks
        )
    except GateError as error:
        console = command_line.console()
        console.width = max(console.width, GATE_WIDTH)
        console.print(table_of(error.failed))
        sys.exit(f"error: {error}")
    except (ConfigError, BackendError) as error:
        sys.exit(f"error: {command_line.hinted(str(error))}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command continues")
    write_report(evidence, folder)
    command_line.console().print(" ".join(sentences(evidence)), highlight=False)
    print(f"The page: {folder}/report.html  (with report.md, results.json)")
