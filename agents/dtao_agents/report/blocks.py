"""Blocks of a report page. `html.py` and `markdown.py` write them.

Text fields may contain inline markup: ``**strong**``, ```code``` and ``[label](target)``, where a target begins
with ``https://``, ``http://``, ``mailto:``, ``#``, or is a relative path. Everything else is literal. Terms of the
glossary are marked where a section uses them first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.report.charts import Figure
from dtao_agents.report.tables import CellValue, Column, check_rows

ANCHOR = re.compile(r"[a-z][a-z0-9-]*")
"""Form of an anchor."""


def anchor_of(text: str) -> str:
    """Return an anchor made of the letters and digits of a text."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    name = "-".join(words)[:60].strip("-")
    return name if name[:1].isalpha() else f"section-{name}".rstrip("-")


@dataclass(frozen=True)
class Heading:
    """A heading with an anchor.

    Attributes
    ----------
    text : str
        Without markup.
    level : int
        2 to 4; the title of the page is the only heading of level 1.
    anchor : str
        Fragment of its address; made from the text where empty.
    """

    text: str
    level: int = 2
    anchor: str = ""

    def __post_init__(self) -> None:
        if self.level not in (2, 3, 4):
            raise ValueError(f"level: got {self.level!r}, allowed are 2, 3 and 4")
        if self.anchor and not ANCHOR.fullmatch(self.anchor):
            raise ValueError(
                f"anchor: got {self.anchor!r}, allowed are small letters, digits and hyphens "
                "that begin with a letter"
            )


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Answer:
    """The answer on the first screen, in large type: one to three sentences, and a note in small type."""

    sentences: Sequence[str]
    note: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.sentences, str) or not 1 <= len(self.sentences) <= 3:
            raise ValueError(f"sentences: got {self.sentences!r}, allowed are one to three texts")


@dataclass(frozen=True)
class Bullets:
    """A list; numbered where the order matters."""

    items: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True)
class Code:
    """Preformatted text, such as a file or a command."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows under headings, in a container of their own that scrolls, with a download as CSV.

    Attributes
    ----------
    columns : sequence of Column or str
        A text is a column with the default format.
    rows : sequence of sequences of cells
        A cell is a text, a number, an `Estimate` or None. A column without text is aligned as numbers are.
    caption : str
    name : str
        Name of the CSV file without its ending; made from the caption where empty.
    folded : bool
        Whether readers have to open it.
    """

    columns: Sequence[Column | str]
    rows: Sequence[Sequence[CellValue]]
    caption: str
    name: str = ""
    folded: bool = False

    def __post_init__(self) -> None:
        check_rows(self.columns, self.rows)
        if not self.caption.strip():
            raise ValueError(
                "caption: got no text, allowed is a text that says what the table shows"
            )

    @property
    def file_name(self) -> str:
        """Name of the CSV file."""
        return f"{self.name or anchor_of(self.caption)}.csv"


@dataclass(frozen=True)
class Chart:
    """A chart with the finding as its title; its values follow as a folded table.

    Attributes
    ----------
    title : str
        States the finding: "Prices crowd out more research than votes".
    figure : Figure
        Made by a class of `charts.py`.
    alt : str
        The result in words, for readers who do not see the chart.
    caption : str
        How to read it.
    name : str
        Name of the CSV file of its values without its ending; made from the title where empty.
    """

    title: str
    figure: Figure
    alt: str
    caption: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        for field in ("title", "alt"):
            if not getattr(self, field).strip():
                raise ValueError(f"{field}: got no text, allowed is a sentence with the result")

    @property
    def values(self) -> Table:
        """Table of its values."""
        columns, rows = self.figure.values()
        name = self.name or anchor_of(self.title)
        return Table(columns, rows, f"Values of the chart: {self.title}", name, folded=True)


@dataclass(frozen=True)
class Details:
    """Blocks that readers unfold; printed in full."""

    summary: str
    blocks: Sequence["Block"]

    def __post_init__(self) -> None:
        if any(isinstance(block, Heading | Answer | Details) for block in self.blocks):
            raise ValueError("blocks: got a heading, an answer or a fold, allowed are other blocks")


@dataclass(frozen=True)
class Citation:
    """A BibTeX entry, with a button that copies it."""

    bibtex: str


Block = Heading | Paragraph | Answer | Bullets | Code | Table | Chart | Details | Citation

__all__ = [
    "Answer",
    "Block",
    "Bullets",
    "CellValue",
    "Chart",
    "Citation",
    "Code",
    "Column",
    "Details",
    "Estimate",
    "Heading",
    "Paragraph",
    "Table",
    "anchor_of",
]
