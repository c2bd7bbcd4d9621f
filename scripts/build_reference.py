"""Write the generated part of the reference, `docs/reference/generated`, from the code.

    python scripts/build_reference.py [FOLDER]

`docs/conf.py` does so whenever the site is built, so that the pages are in no commit. A feature, field, column or key
of an info without a description is an error.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "agents")]

from scripts import (  # noqa: E402
    reference_commands,
    reference_environments,
    reference_runs,
    reference_settings,
    reference_snapshots,
)

FOLDER = ROOT / "docs/reference/generated"
PARTS = (
    reference_environments,
    reference_settings,
    reference_commands,
    reference_runs,
    reference_snapshots,
)


def write_pages(folder: Path) -> list[Path]:
    """Write all pages into a folder and remove others; an unchanged page is not touched. Returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: text for part in PARTS for name, text in part.pages().items()}
    for path in folder.glob("*.md"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


if __name__ == "__main__":
    for page in write_pages(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(page)
