"""A page of headings, paragraphs, lists, tables and figures, written as Markdown and as one HTML file."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dtao_agents.evaluation.statistics import Estimate, span
from dtao_agents.files import write_atomically

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; }
th, td { border-bottom: 1px solid #ccc; padding: .25em .7em; text-align: left; vertical-align: top; }
img { max-width: 100%; } pre { background: #f5f5f5; padding: .7em; overflow-x: auto; font-size: 12px; }
.answer { background: #eef4fb; border-left: 4px solid #4477aa; padding: .6em 1em; font-size: 16px; }
"""


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 or 2."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; the answer is highlighted."""

    text: str
    answer: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Preformatted text, such as a file."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text under headings."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption; `name` is its file name next to the Markdown file."""

    name: str
    caption: str
    png: bytes = field(repr=False)


Block = Heading | Text | Bullets | Code | Table | Picture


def estimate_text(estimate: Estimate | None, digits: int = 2) -> str:
    """Value and interval with some decimals, or a dash for None."""
    return "-" if estimate is None else span(estimate, f".{digits}f")


def to_markdown(blocks: Sequence[Block]) -> str:
    """Page as Markdown; pictures are separate files."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text, answer):
            return f"> {text}" if answer else text
        case Bullets(items):
            return "\n".join(f"- {item}" for item in items)
        case Code(text):
            return f"```\n{text.rstrip()}\n```"
        case Table(columns, rows):
            lines = [columns, ["---"] * len(columns), *rows]
            return "\n".join(f"| {' | '.join(_cell(c) for c in line)} |" for line in lines)
        case Picture(name, caption):
            return f"![{caption}]({name})\n\n{caption}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def to_html(blocks: Sequence[Block], title: str) -> str:
    """Page as one self-contained HTML file."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    escape = html.escape
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Text(text, answer):
            return f'<p class="answer">{escape(text)}</p>' if answer else f"<p>{escape(text)}</p>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Table(columns, rows):
            head = "".join(f"<th>{escape(c)}</th>" for c in columns)
            lines = ("".join(f"<td>{escape(c)}</td>" for c in row) for row in rows)
            return f"<table><tr>{head}</tr>" + "".join(f"<tr>{r}</tr>" for r in lines) + "</table>"
        case Picture(_, caption, png):
            data = base64.b64encode(png).decode()
            alt = escape(caption)
            return f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{alt}</figcaption></figure>'


def write_page(folder: Path, title: str, blocks: Sequence[Block]) -> None:
    """Write report.md with its pictures, and report.html, into a folder."""
    for block in blocks:
        if isinstance(block, Picture):
            write_atomically(folder / block.name, block.png)
    write_atomically(folder / "report.md", to_markdown(blocks).encode())
    write_atomically(folder / "report.html", to_html(blocks, title).encode())
