"""Page as Markdown: the same blocks, charts as tables of their values."""

import re
from collections.abc import Mapping, Sequence

from dtao_agents.report.blocks import (
    Answer,
    Block,
    Bullets,
    Chart,
    Citation,
    Code,
    Details,
    Heading,
    Paragraph,
    Table,
)
from dtao_agents.report.inline import plain_markdown, to_markdown
from dtao_agents.report.tables import as_columns, is_numeric, text_of


def page_markdown(title: str, blocks: Sequence[Block], facts: Mapping[str, str]) -> str:
    """Return a page as Markdown.

    Parameters
    ----------
    title : str
    blocks : sequence of Block
    facts : mapping of str to str
        How the page was made, listed at its end.
    """
    parts = [f"# {plain_markdown(title)}", *map(_markdown, blocks)]
    if facts:
        listed = [
            f"- {plain_markdown(name)}: {plain_markdown(str(fact))}" for name, fact in facts.items()
        ]
        parts += ["## How this page was made", "\n".join(listed)]
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {plain_markdown(text)}"
        case Paragraph(text):
            return _paragraph(text)
        case Answer(sentences, note):
            return "\n>\n".join(f"> {_paragraph(text)}" for text in (*sentences, note) if text)
        case Bullets(items, numbered):
            return "\n".join(
                f"{f'{number}.' if numbered else '-'} {_paragraph(item)}"
                for number, item in enumerate(items, 1)
            )
        case Code(text) | Citation(text):
            return _fenced(text)
        case Table():
            return _table(block)
        case Chart():
            parts = [f"**{plain_markdown(block.title)}**", plain_markdown(block.alt)]
            parts += [_paragraph(block.caption)] if block.caption else []
            return "\n\n".join([*parts, _rows(block.values)])
        case Details(summary, inner):
            return "\n\n".join([f"**{plain_markdown(summary)}**", *map(_markdown, inner)])


def _paragraph(text: str) -> str:
    """Return a text as one line whose beginning is not read as a list, a quotation or a heading."""
    line = " ".join(to_markdown(text).split())
    line = re.sub(r"^([-+>#])", r"\\\1", line)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", line)


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _table(table: Table) -> str:
    return f"{plain_markdown(table.caption)}\n\n{_rows(table)}"


def _rows(table: Table) -> str:
    columns = as_columns(table.columns)
    numeric = [is_numeric([row[k] for row in table.rows]) for k in range(len(columns))]
    lines = [
        [_cell(column.name) for column in columns],
        ["---:" if right else "---" for right in numeric],
        *(
            [_cell(text_of(cell, column.form)) for cell, column in zip(row, columns, strict=True)]
            for row in table.rows
        ),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(plain_markdown(text).replace("|", "\\|").split())
