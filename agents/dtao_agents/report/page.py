"""Report page in a folder: report.html and report.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dtao_agents.files import write_atomically
from dtao_agents.report.blocks import Block
from dtao_agents.report.glossary import GLOSSARY
from dtao_agents.report.html import page_html
from dtao_agents.report.inline import Term
from dtao_agents.report.markdown import page_markdown


def write_page(
    folder: Path,
    title: str,
    blocks: Sequence[Block],
    facts: Mapping[str, str] | None = None,
    glossary: Mapping[str, Term] = GLOSSARY,
) -> None:
    """Write report.html, which loads nothing, and report.md into a folder.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    title : str
        The only heading of level 1.
    blocks : sequence of Block
        Content in its order; see `blocks.py`.
    facts : mapping of str to str, optional
        How the page was made, shown at its end.
    glossary : mapping of str to Term
        Terms that are explained where a section uses them first.

    Raises
    ------
    ValueError
        Two blocks have the same anchor, or the target of a link is not allowed. Nothing is written.
    """
    pages = {
        "report.html": page_html(title, blocks, facts or {}, glossary),
        "report.md": page_markdown(title, blocks, facts or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        write_atomically(folder / name, page.encode())
