"""Files of fitted populations: YAML with the fit's report as a comment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_population(path: Path, values: Mapping[str, Any], report: list[str]) -> None:
    """Write parameters as YAML below the lines of a report."""
    comment = "\n".join(f"# {line}".rstrip() for line in report)
    content = "\n".join(f"{name}: {str(value).lower()}" for name, value in values.items())
    path.write_text(f"{comment}\n{content}\n", encoding="utf-8")
