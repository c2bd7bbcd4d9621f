"""The page about demand has the rows of its command."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_command_prints_the_rows_of_the_page():
    """A few worlds and days: the headings and the names of rows, not the numbers."""
    done = subprocess.run(
        [sys.executable, "scripts/living_demand.py", "--worlds", "1", "--years", "0.05"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    printed = [line.split(" | ")[:2] for line in done.stdout.splitlines()]
    page = (ROOT / "docs" / "living_demand.md").read_text().split("<!-- table -->\n")[1]
    shown = [line.strip("| ").split(" | ")[:2] for line in page.splitlines()]
    del shown[1]  # the rule below the headings
    assert printed == shown
