"""Command of the learned oracles: `python -m dtao_agents.oracles.learned [names] [--quick]`."""

# ruff: noqa: E402
import sys
from typing import Annotated

from dtao_gym.command_line import require_extra

require_extra("python -m dtao_agents.oracles.learned", "train")

import torch
import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dtao_agents.oracles.learned.runs import LearnedNumber, results_path, run, write_results
from dtao_agents.oracles.learned.settings import configured, read
from dtao_agents.oracles.table import UNITS, WIDTH, OracleCheck
from dtao_gym.world.config import ConfigError


def table_of(learned: list[LearnedNumber]) -> Table:
    """Table for the terminal: one row per number and learner, with the range over starts."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("id")
    table.add_column("quantity", ratio=1, overflow="fold")
    table.add_column("by")
    for name in ("expected", "learned", "to", "tolerance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("hold", justify="right", no_wrap=True)
    groups: dict[tuple[str, str, str], list[OracleCheck]] = {}
    for each in learned:
        key = (each.check.id, each.check.setting, each.algorithm)
        groups.setdefault(key, []).append(each.check)
    before = ""
    for (id, setting, algorithm), checks in groups.items():
        passed = sum(check.ok for check in checks)
        table.add_row(
            id,
            "" if setting == before else escape(setting),
            algorithm,
            f"{checks[0].expected:.6g}",
            f"{min(check.got for check in checks):.6g}",
            f"{max(check.got for check in checks):.6g}",
            f"{checks[0].tolerance:.1g}{UNITS[checks[0].measure]}",
            f"{passed} of {len(checks)}",
            style=None if passed == len(checks) else "bold red",
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
    """Learn the oracles of kind L and write configs/oracles/results; exit status 1 if one fails."""
    torch.set_num_threads(1)  # more threads are slower for networks this small
    files = configured()
    for name in names:
        if name not in files:
            raise ConfigError(f"names: got {name!r}, allowed are {', '.join(files)}")
    console, numbers = Console(width=WIDTH), []
    for name in names or files:
        settings = read(files[name])
        settings = settings.shortened() if quick else settings
        with Console(stderr=True).status(name) as status:
            learned = list(run(settings, status.update))
        console.print(table_of(learned))
        if not quick:
            write_results(name, settings, learned)
            console.print(f"Written: {results_path(name).name}")
        numbers += learned
    failed = [each for each in numbers if not each.check.ok]
    print(f"{len(numbers) - len(failed)} of {len(numbers)} learned numbers hold.")
    if failed:
        sys.exit("failed: " + ", ".join(dict.fromkeys(each.check.id for each in failed)))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except ConfigError as error:
        sys.exit(f"error: {error}")
