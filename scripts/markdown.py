"""Parts of pages in Markdown."""

import re
from collections.abc import Iterable, Sequence

TEXTS = ("meaning", "content")
"""Headings of columns of text, which the style of the site keeps wide where they are the last."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [
        f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *map(tuple, rows))
    ]
    return ["{.described}", *lines] if header[-1] in TEXTS else lines


def overview(
    title: str,
    text: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    pages: Iterable[str],
) -> str:
    """Return a page with a table, and a hidden table of contents of other pages, given by file name."""
    contents = ["```{toctree}", ":hidden:", *(page.removesuffix(".md") for page in pages), "```"]
    return "\n".join([f"# {title}", "", text, "", *table(header, rows), "", *contents, ""])


def escaped(text: str) -> str:
    """Return a text in which `*`, `_`, `<` and `>` outside of code are characters, not Markdown."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_<>])", r"\\\1", part) for part in parts
    )
