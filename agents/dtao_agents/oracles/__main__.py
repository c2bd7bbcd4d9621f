"""Command that prints the oracles: `python -m dtao_agents.oracles [--kind A|S|all] [--json FILE]`."""

# ruff: noqa: E402
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from dtao_gym.command_line import require_extra

PROGRAM = "python -m dtao_agents.oracles"
require_extra(PROGRAM)

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dtao_agents.files import write_atomically
from dtao_agents.oracles.collect import collect
from dtao_agents.oracles.table import UNITS, WIDTH, OracleCheck, to_json


def _table(checks: Sequence[OracleCheck]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("id")
    table.add_column("", width=1)
    table.add_column("quantity", ratio=1, overflow="fold")
    for name in ("expected", "got", "tolerance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict")
    before = ("", "")
    for check in checks:
        quantity, _, case = check.setting.rpartition(": ")
        same = case and (check.id, quantity) == before
        table.add_row(
            "" if check.id == before[0] else check.id,
            check.kind,
            escape(f"    {case}" if same else check.setting),
            f"{check.expected:.8g}",
            f"{check.got:.8g}",
            f"{check.tolerance:.1g}{UNITS[check.measure]}",
            "holds" if check.ok else "FAILS",
            style=None if check.ok else "bold red",
        )
        before = (check.id, quantity)
    return table


def main(
    kind: Annotated[Literal["A", "S", "all"], tyro.conf.arg(help="Which rows.")] = "all",
    json: Annotated[Path | None, tyro.conf.arg(help="File to write the rows to as well.")] = None,
) -> None:
    """Compare the numbers of the model with the expected ones; exit status 1 if one does not agree."""
    console = Console(width=WIDTH)
    with Console(stderr=True).status("oracles") as status:
        rows = collect(kind, status.update)
    console.print(_table(rows))
    if json is not None:
        write_atomically(json, to_json(rows).encode())
    failed = [row for row in rows if not row.ok]
    print(f"{len(rows) - len(failed)} of {len(rows)} rows hold.")
    if failed:
        sys.exit("failed: " + ", ".join(dict.fromkeys(row.id for row in failed)))


if __name__ == "__main__":
    tyro.cli(main, prog=PROGRAM)
