"""Tables in pages of the documentation that a script renews."""

from pathlib import Path

TABLE_MARK = "<!-- table -->"


def replace_table(page: Path, lines: list[str]) -> None:
    """Replace everything after the mark of a page by the lines of a table."""
    before = page.read_text(encoding="utf-8").split(TABLE_MARK)[0]
    page.write_text(before + TABLE_MARK + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
