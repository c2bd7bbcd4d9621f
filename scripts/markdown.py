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


def escaped(text: str) -> str:
    """Return a text in which `*`, `_`, `<` and `>` outside of code are characters, not Markdown."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_<>])", r"\\\1", part) for part in parts
    )
