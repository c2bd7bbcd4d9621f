"""Cells of tables as text and as CSV."""

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from dtao_agents.evaluation.statistics import Estimate, span

CellValue = str | int | float | Estimate | None
DEFAULT_FORM = ".2f"
NOTHING = "–"
"""Text of an empty cell."""
FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.\s]|$)")
"""Beginning of a text that a spreadsheet would compute."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
        Heading, with the unit.
    form : str
        Format specification of its numbers, such as ``+.2f`` or ``.0%``. With the default, whole numbers
        have no decimals.
    """

    name: str
    form: str = DEFAULT_FORM

    def __post_init__(self) -> None:
        try:
            format(0.5, self.form)
        except (TypeError, ValueError):
            raise ValueError(
                f"form: got {self.form!r}, allowed is a format specification such as '.2f'"
            ) from None


def as_columns(columns: Sequence[Column | str]) -> list[Column]:
    """Return columns, those given as text with the default format."""
    return [Column(column) if isinstance(column, str) else column for column in columns]


def check_rows(columns: Sequence[Column | str], rows: Sequence[Sequence[CellValue]]) -> None:
    """Raise ValueError unless there are columns, and each row has a cell of an allowed kind for each of them."""
    if not columns:
        raise ValueError("columns: got none, allowed is one or more")
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(
                f"rows[{number}]: got {len(row)} cells, allowed are {len(columns)}, one for each column"
            )
        for column, cell in zip(as_columns(columns), row, strict=True):
            if not (cell is None or isinstance(cell, str | Estimate) or _is_number(cell)):
                raise ValueError(
                    f"rows[{number}], {column.name}: got {type(cell).__name__}, "
                    "allowed are text, a number, an Estimate and None"
                )


def _is_number(cell: object) -> bool:
    try:
        float(cell)  # pyright: ignore[reportArgumentType] - numbers of NumPy too
    except (TypeError, ValueError):
        return False
    return not isinstance(cell, str)


def text_of(cell: CellValue, form: str) -> str:
    """Return a cell as readers see it; what is missing or not a number is a dash."""
    match cell:
        case None:
            return NOTHING
        case str():
            return cell
        case Estimate():
            return span(cell, form) if math.isfinite(cell.value) else NOTHING
        case bool():
            return "yes" if cell else "no"
        case Integral() if form == DEFAULT_FORM:
            return f"{int(cell):,}"
        case _:
            return format(float(cell), form) if math.isfinite(cell) else NOTHING


def number_of(cell: CellValue) -> float | None:
    """Return the number that a cell is sorted by, None where it has none."""
    if cell is None or isinstance(cell, str):
        return None
    number = float(cell.value if isinstance(cell, Estimate) else cell)
    return number if math.isfinite(number) else None


def is_numeric(cells: Sequence[CellValue]) -> bool:
    """Return whether a column has numbers and no text but dashes."""
    texts = [cell for cell in cells if isinstance(cell, str) and cell not in ("", "-", NOTHING)]
    return not texts and any(number_of(cell) is not None for cell in cells)


def to_csv(columns: Sequence[Column | str], rows: Sequence[Sequence[CellValue]]) -> str:
    """Return a table as CSV with numbers in full precision.

    An estimate becomes three columns: its value, and the ends of its interval. Texts that a spreadsheet would
    compute begin with an apostrophe.
    """
    shown = as_columns(columns)
    wide = [any(isinstance(row[k], Estimate) for row in rows) for k in range(len(shown))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] = []
    for column, interval in zip(shown, wide, strict=True):
        name = _plain(column.name)
        header += [name, f"{name}, 95% low", f"{name}, 95% high"] if interval else [name]
    writer.writerow(header)
    for row in rows:
        fields: list[str] = []
        for cell, interval in zip(row, wide, strict=True):
            fields += _fields(cell, 3 if interval else 1)
        writer.writerow(fields)
    return out.getvalue()


def _fields(cell: CellValue, count: int) -> list[str]:
    if isinstance(cell, Estimate):
        return [repr(float(number)) if math.isfinite(number) else "" for number in cell]
    if cell is None:
        first = ""
    elif isinstance(cell, str):
        first = _plain(cell)
    elif isinstance(cell, bool):
        first = text_of(cell, "")
    elif isinstance(cell, Integral):
        first = str(int(cell))
    else:
        first = repr(float(cell)) if math.isfinite(cell) else ""
    return [first, *[""] * (count - 1)]


def _plain(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) else text
