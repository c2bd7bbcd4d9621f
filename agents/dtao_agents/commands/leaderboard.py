"""`dtao leaderboard`: print the leaderboard, or write its page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dtao_agents.files import write_atomically
from dtao_agents.results.leaderboard import RECORD, from_results, page, read_leaderboard
from dtao_gym import command_line
from dtao_gym.world.config import ConfigError


def leaderboard(
    out: Annotated[
        Path | None, tyro.conf.arg(help="File of the page; printed if not given.")
    ] = None,
    results: Annotated[
        Path | None,
        tyro.conf.arg(help="A results.json of `make results`, which replaces the project's rows."),
    ] = None,
    record: Annotated[
        Path | None,
        tyro.conf.arg(help="Record that the page is made from; the project's if not given."),
    ] = None,
) -> None:
    """Print the tables of learned and scripted policies, or write their page; takes seconds.

    A policy of your own: dtao evaluate PATH --leaderboard
    """
    record = record or RECORD
    board = read_leaderboard(record) if record.exists() or results is None else None
    if results is not None:
        board = from_results(results, board)
        write_atomically(record, board.to_json().encode())
    assert board is not None
    if out is None:
        print(page(board), end="")
        return
    write_atomically(out, page(board).encode())
    print(f"Written: {out}")


def main(arguments: Sequence[str], program: str = "dtao leaderboard") -> None:
    """Parse and write; errors end the process with one line."""
    command_line.call(leaderboard, program, (ConfigError, OSError), arguments)
