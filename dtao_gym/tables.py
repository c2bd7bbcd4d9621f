"""Tables on terminals of any width: columns are left out, least important first, and numbers are never cut."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    heading : str
        May have several lines.
    rank : int
        0: the column is always shown. Of the others those of the highest rank are left out first.
    justify : {"left", "right"}
    fold : int, optional
        Characters that a column of text needs at least, which is folded where it has no more; None: it is never folded.
    width : int, optional
        Most characters of a column that is folded.
    style : str, optional
        As rich names it.
    """

    heading: str
    rank: int = 0
    justify: Any = "right"
    fold: int | None = None
    width: int | None = None
    style: str | None = None


Rows = Sequence[Sequence[str]]


def print_table(
    console: "Console",
    columns: Sequence[Column],
    rows: Rows,
    styles: Sequence[str | None] = (),
    **options: Any,
) -> None:
    """Print a table without the columns that the console has no room for, and say which these are.

    Parameters
    ----------
    console : Console
    columns : sequence of Column
    rows : sequence of sequences of str
        A cell for each column.
    styles : sequence of str or None
        Styles of the first rows.
    **options
        Arguments of `rich.table.Table`.
    """
    shown = list(range(len(columns)))
    droppable = sorted((k for k in shown if columns[k].rank), key=lambda k: (columns[k].rank, k))
    left_out = []
    while droppable and not _fits(console, columns, rows, shown, options):
        left_out.append(droppable.pop())
        shown.remove(left_out[-1])
    table = _table(columns, rows, shown, styles, options)
    if _fits(console, columns, rows, shown, options):
        console.print(table, highlight=False)
    else:  # lines that a terminal breaks are better than numbers that are cut
        usual, console.width = console.width, _needed(console, columns, rows, shown, options)
        console.print(table, highlight=False, crop=False)
        console.width = usual
    if left_out:
        names = ", ".join(" ".join(columns[k].heading.split()) for k in sorted(left_out))
        console.print(f"Left out, for want of width: {names}.", highlight=False, markup=False)


def fits(console: "Console", columns: Sequence[Column], rows: Rows, **options: Any) -> bool:
    """Return whether a console has room for all columns of a table."""
    return _fits(console, columns, rows, range(len(columns)), options)


def parts_that_fit(n: int, most: int, fits_in: Callable[[slice], bool]) -> list[slice]:
    """Divide `n` columns among tables, as many in each as fit, at most `most` and at least one.

    ``fits_in(part)`` says whether a table of these columns fits.
    """
    for size in range(min(n, most), 1, -1):
        parts = [slice(first, first + size) for first in range(0, n, size)]
        if all(fits_in(part) for part in parts):
            return parts
    return [slice(first, first + 1) for first in range(n)]


def _fits(
    console: "Console",
    columns: Sequence[Column],
    rows: Rows,
    shown: Sequence[int],
    options: dict[str, Any],
) -> bool:
    return _needed(console, columns, rows, shown, options) <= console.width


def _needed(
    console: "Console",
    columns: Sequence[Column],
    rows: Rows,
    shown: Sequence[int],
    options: dict[str, Any],
) -> int:
    """Characters of the widest line, where columns of text are folded as far as they can be."""
    from rich.measure import Measurement

    plain = [column._replace(heading=_folded(column, column.heading)) for column in columns]
    folded = [
        [_folded(column, cell) for column, cell in zip(columns, row, strict=False)] for row in rows
    ]
    table = _table(plain, folded, shown, (), options | {"title": None})
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _folded(column: Column, cell: str) -> str:
    if column.fold is None:
        return cell
    return "\n".join("-" * min(len(line), column.fold) for line in cell.split("\n"))


def _table(
    columns: Sequence[Column],
    rows: Rows,
    shown: Sequence[int],
    styles: Sequence[str | None],
    options: dict[str, Any],
) -> "Table":
    from rich.table import Table

    table = Table(**options)
    for k in shown:
        column = columns[k]
        table.add_column(
            column.heading,
            justify=column.justify,
            style=column.style,
            no_wrap=column.fold is None,
            overflow="fold",
            max_width=column.width,
        )
    for row, style in zip_longest(rows, styles[: len(rows)]):
        table.add_row(*(row[k] for k in shown), style=style)
    return table
