"""Learned numbers beside the expected ones: `python -m dtao_agents.oracles.learned [names] [--quick]`."""

import sys
from typing import Annotated

import torch
import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dtao_agents.oracles.learned.runs import Learned, results_path, run, write_results
from dtao_agents.oracles.learned.settings import configured, read
from dtao_agents.oracles.table import UNITS, WIDTH, Row
from dtao_gym.world.config import ConfigError


def table_of(found: list[Learned]) -> Table:
    """One row for each number and learner: the range of what its starts led to."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("id")
    table.add_column("what", ratio=1, overflow="fold")
    table.add_column("by")
    for name in ("expected", "learned", "to", "tolerance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("hold", justify="right", no_wrap=True)
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for each in found:
        groups.setdefault((each.row.id, each.row.setting, each.algorithm), []).append(each.row)
    before = ""
    for (id, setting, algorithm), rows in groups.items():
        held = sum(row.ok for row in rows)
        table.add_row(
            id,
            "" if setting == before else escape(setting),
            algorithm,
            f"{rows[0].expected:.6g}",
            f"{min(row.got for row in rows):.6g}",
            f"{max(row.got for row in rows):.6g}",
            f"{rows[0].tolerance:.1g}{UNITS[rows[0].measure]}",
            f"{held} of {len(rows)}",
            style=None if held == len(rows) else "bold red",
        )
        before = setting
    return table


def main(
    names: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(help="Configurations; all if none.")
    ] = (),
    quick: Annotated[
        bool, tyro.conf.arg(help="The short version, whose results are not written.")
    ] = False,
) -> None:
    """Learn what the oracles of kind L ask and write configs/oracles/results; exit status 1 if a number does not hold."""
    torch.set_num_threads(1)  # more wait for each other in networks this small
    files = configured()
    for name in names:
        if name not in files:
            raise ConfigError(f"names: got {name!r}, allowed are {', '.join(files)}")
    console, found = Console(width=WIDTH), []
    for name in names or files:
        settings = read(files[name])
        settings = settings.shortened() if quick else settings
        with Console(stderr=True).status(name) as status:
            learned = list(run(settings, status.update))
        console.print(table_of(learned))
        if not quick:
            write_results(name, settings, learned)
            console.print(f"Written: {results_path(name).name}")
        found += learned
    failed = [each for each in found if not each.row.ok]
    print(f"{len(found) - len(failed)} of {len(found)} learned numbers hold.")
    if failed:
        sys.exit("failed: " + ", ".join(dict.fromkeys(each.row.id for each in failed)))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except ConfigError as error:
        sys.exit(f"error: {error}")
