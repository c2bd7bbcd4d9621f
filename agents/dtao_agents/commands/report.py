"""`dtao report [FOLDER]`: rebuild the page of a probe from its records, without computing anything."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dtao_agents.probe.answer import sentences
from dtao_agents.probe.evidence import read_evidence
from dtao_agents.probe.report import write_report
from dtao_gym import command_line
from dtao_gym.world.config import ConfigError


def main(arguments: Sequence[str], program: str = "dtao report") -> None:
    """Parse, rebuild the page and print the answer; errors end the process with one line."""

    def options(
        folder: tyro.conf.Positional[Path] = Path("results/probe"),
        out: Annotated[
            Path | None, tyro.conf.arg(help="Folder of the page; that of the run if not given.")
        ] = None,
    ) -> tuple[Path, Path]:
        """Rebuild report.html and report.md from the records of a probe; takes seconds.

        Args:
            folder: Folder of a finished run.
        """
        return folder, out or folder

    folder, out = tyro.cli(options, prog=program, args=arguments)
    try:
        evidence = read_evidence(folder)
        write_report(evidence, out)
    except ConfigError as error:
        sys.exit(f"error: {command_line.hinted(str(error))}")
    command_line.console().print(" ".join(sentences(evidence)), highlight=False)
    print(f"The page: {out}/report.html  (with report.md)")
