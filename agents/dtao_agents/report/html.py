"""Page as one HTML file that loads nothing: styles, script, charts and downloads are inside."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

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
    anchor_of,
)
from dtao_agents.report.drawing import draw
from dtao_agents.report.inline import Marks, Term, to_html
from dtao_agents.report.tables import (
    CellValue,
    Column,
    as_columns,
    is_numeric,
    number_of,
    text_of,
    to_csv,
)

STYLE, SCRIPT = (
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
)
RESERVED_ANCHORS = ("top", "main", "contents", "glossary", "facts")
"""Anchors of the page itself; those that begin with "term-" are the glossary's."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<meta name="description" content="{description}">
<title>{title}</title>
<style>{style}</style>
</head>
<body id="top">
<a class="skip" href="#main">Skip to the text</a>
<header class="page-header"><h1>{title}</h1></header>
<div class="page">
<nav class="contents" id="contents" aria-label="Contents">{contents}</nav>
<main id="main" tabindex="-1">
{main}
</main>
</div>
<footer class="page-footer">{facts}</footer>
<script>{script}</script>
</body>
</html>
"""


def page_html(
    title: str,
    blocks: Sequence[Block],
    facts: Mapping[str, str],
    glossary: Mapping[str, Term],
) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    title : str
    blocks : sequence of Block
    facts : mapping of str to str
        How the page was made, shown in its footer.
    glossary : mapping of str to Term
        Terms that are marked where they are used.

    Raises
    ------
    ValueError
        Two blocks have the same anchor, or the target of a link is not allowed.
    """
    anchors = heading_anchors(blocks)
    writer = _Writer(Marks(glossary))
    main = writer.page(blocks, anchors)
    contents = [
        (block.level, block.text, anchor)
        for block, anchor in zip(_headings(blocks), anchors, strict=True)
    ]
    main += _glossary(writer.marks)
    if writer.marks.used:
        contents.append((2, "Words", "glossary"))
    answers = [" ".join(block.sentences) for block in blocks if isinstance(block, Answer)]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return _PAGE.format(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:",
        description=escape(" ".join([*answers, title])[:300]),
        title=escape(title),
        style=STYLE,
        contents=_contents(contents),
        main=main,
        facts=_facts(facts),
        script=SCRIPT,
    )


def _headings(blocks: Sequence[Block]) -> list[Heading]:
    return [block for block in blocks if isinstance(block, Heading)]


def heading_anchors(blocks: Sequence[Block]) -> list[str]:
    """Return the anchors of headings in their order; those made from texts are numbered where they repeat.

    Raises
    ------
    ValueError
        A given anchor repeats or is one of the page's own.
    """
    headings = _headings(blocks)
    taken: set[str] = set(RESERVED_ANCHORS)
    for heading in headings:
        if heading.anchor in taken or heading.anchor.startswith(("term-", "chart-", "table-")):
            raise ValueError(
                f"anchor: got {heading.anchor!r} for {heading.text!r}, allowed are anchors that no "
                "other heading, chart, table or term has"
            )
        taken |= {heading.anchor} - {""}
    anchors = []
    for heading in headings:
        anchor = heading.anchor
        if not anchor:
            anchor = made = re.sub("^(term|chart|table)-", r"the-\1-", anchor_of(heading.text))
            number = 2
            while anchor in taken:
                anchor, number = f"{made}-{number}", number + 1
            taken.add(anchor)
        anchors.append(anchor)
    return anchors


def _contents(headings: Sequence[tuple[int, str, str]]) -> str:
    """Return the list of contents: headings of level 2, with those of level 3 inside."""
    items: list[tuple[str, list[str]]] = []
    for level, text, anchor in headings:
        link = f'<a href="#{anchor}">{escape(text)}</a>'
        if level == 2 or not items:
            items.append((link, []))
        elif level == 3:
            items[-1][1].append(f"<li>{link}</li>")
    listed = "".join(
        f"<li>{link}{'<ul>' + ''.join(inner) + '</ul>' if inner else ''}</li>"
        for link, inner in items
    )
    return f"<details open><summary>Contents</summary><ul>{listed}</ul></details>" if items else ""


def _glossary(marks: Marks) -> str:
    if not marks.used:
        return ""
    terms = sorted(marks.used.values(), key=lambda term: term.name.lower())
    listed = "\n".join(
        f'<div><dt id="{term.anchor}">{escape(term.name)}</dt>'
        f'<dd id="{term.anchor}-text">{escape(term.definition)}</dd></div>'
        for term in terms
    )
    return f'\n<h2 id="glossary">Words</h2>\n<dl class="glossary">\n{listed}\n</dl>'


def _facts(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(fact))}</dd></div>"
        for name, fact in facts.items()
    )
    return f'<h2 id="facts">How this page was made</h2><dl class="facts">{rows}</dl>'


class _Writer:
    """Blocks as HTML; counts charts and tables, and remembers which terms a section has marked."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self._charts = 0
        self._tables = 0

    def page(self, blocks: Sequence[Block], anchors: Sequence[str]) -> str:
        """Return blocks in their order; `anchors` are those of the headings."""
        rest = iter(anchors)
        return "\n".join(
            self._heading(block, next(rest)) if isinstance(block, Heading) else self._block(block)
            for block in blocks
        )

    def _heading(self, heading: Heading, anchor: str) -> str:
        self.marks.begin_section()
        text = escape(heading.text)
        link = f'<a class="anchor" href="#{anchor}" aria-label="Link to: {text}">#</a>'
        return f'<h{heading.level} id="{anchor}">{text} {link}</h{heading.level}>'

    def _text(self, text: str) -> str:
        return to_html(text, self.marks)

    def _block(self, block: Block) -> str:
        match block:
            case Paragraph(text):
                return f"<p>{self._text(text)}</p>"
            case Answer(sentences, note):
                lines = "".join(f"<p>{self._text(sentence)}</p>" for sentence in sentences)
                small = f'<p class="note">{self._text(note)}</p>' if note else ""
                return f'<section class="answer" aria-label="Answer">{lines}{small}</section>'
            case Bullets(items, numbered):
                tag = "ol" if numbered else "ul"
                return f"<{tag}>{''.join(f'<li>{self._text(i)}</li>' for i in items)}</{tag}>"
            case Code(text):
                return _scrolling(f"<pre><code>{escape(text)}</code></pre>", "Code")
            case Table():
                return self._table(block)
            case Chart():
                return self._chart(block)
            case Details(summary, inner):
                body = "\n".join(self._block(each) for each in inner)
                return _fold(escape(summary), body)
            case Citation(bibtex):
                code = _scrolling(f"<pre><code>{escape(bibtex)}</code></pre>", "BibTeX entry")
                button = '<button type="button" class="copy" hidden>Copy</button>'
                return f'<div class="citation">{button}{code}</div>'
            case Heading():
                raise ValueError("blocks: got a heading in a fold, allowed are other blocks")

    def _chart(self, chart: Chart) -> str:
        self._charts += 1
        caption = f"<figcaption>{self._text(chart.caption)}</figcaption>" if chart.caption else ""
        return (
            f'<figure class="chart" id="chart-{self._charts}">'
            f'<p class="chart-title">{escape(chart.title)}</p>\n{draw(chart.figure, chart.alt)}\n'
            f"{caption}{self._table(chart.values)}</figure>"
        )

    def _table(self, table: Table) -> str:
        self._tables += 1
        columns = as_columns(table.columns)
        numeric = [is_numeric([row[k] for row in table.rows]) for k in range(len(columns))]
        heads = "".join(
            f'<th scope="col"{_aligned(right)}>{escape(column.name)}</th>'
            for column, right in zip(columns, numeric, strict=True)
        )
        rows = "\n".join(_row(row, columns, numeric) for row in table.rows)
        caption = escape(table.caption)
        visible = "" if table.folded else f"<caption>{caption}</caption>"
        markup = f"<table>{visible}<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table>"
        data = quote("\ufeff" + to_csv(table.columns, table.rows))
        download = (
            f'<p class="tools"><a download="{escape(table.file_name)}" '
            f'href="data:text/csv;charset=utf-8,{data}">CSV'
            f'<span class="unseen"> of: {caption}</span></a></p>'
        )
        body = _scrolling(markup, table.caption) + download
        whole = _fold(caption, body) if table.folded else body
        return f'<div class="table" id="table-{self._tables}">{whole}</div>'


def _scrolling(content: str, name: str) -> str:
    """Return content in a container that scrolls, by keyboard too."""
    return f'<div class="scroll" role="region" aria-label="{escape(name)}" tabindex="0">{content}</div>'


def _fold(summary: str, body: str) -> str:
    return f'<details class="fold"><summary>{summary}</summary>\n{body}</details>'


def _aligned(right: bool) -> str:
    return ' class="number"' if right else ""


def _row(row: Sequence[CellValue], columns: Sequence[Column], numeric: Sequence[bool]) -> str:
    cells = []
    for place, (cell, column, right) in enumerate(zip(row, columns, numeric, strict=True)):
        text, number = escape(text_of(cell, column.form)), number_of(cell)
        value = "" if number is None else f' data-value="{number!r}"'
        if place == 0 and not right:
            cells.append(f'<th scope="row">{text}</th>')
        else:
            cells.append(f"<td{_aligned(right)}{value}>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>"
