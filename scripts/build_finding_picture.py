"""The picture of the README's finding: how far each emission rule crowds out research, from the committed records.

    python scripts/build_finding_picture.py [--folder results/probe] [--output docs/images/finding.png]

The file holds a hash of the numbers it shows; `tests/test_finding_picture.py` compares it with the records.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "agents")]  # a checkout needs no installation

from dtao_agents.probe.evidence import RESULTS  # noqa: E402
from dtao_agents.report.glossary import plain_name  # noqa: E402

from dtao_gym import figures  # noqa: E402
from dtao_gym.colours import BAND, FAINT_INK, INK, MUTED, colour_of  # noqa: E402

RECORDS = ROOT / "results" / "probe"
PICTURE = ROOT / "docs" / "images" / "finding.png"
FAMILY = "crowding out"
WORDS = {
    "supported": "yes",
    "refuted": "no",
    "undecided": "undecided",
    "indeterminate": "no number",
    "void": "void",
}
"""Verdicts in the picture."""


class Row(NamedTuple):
    """One emission rule: its contrast in the main setting, and the estimates of the other settings."""

    institution: str
    estimate: tuple[float, float, float] | None
    verdict: str
    others: tuple[float, ...]


class Finding(NamedTuple):
    """Everything that the picture shows."""

    rows: tuple[Row, ...]
    setting: str
    smallest: float

    def digest(self) -> str:
        """Hash of the numbers, to five digits."""
        numbers = json.dumps(self, default=str)
        rounded = json.loads(numbers, parse_float=lambda text: f"{float(text):.5g}")
        return hashlib.sha256(json.dumps(rounded).encode()).hexdigest()


def read_finding(folder: Path = RECORDS) -> Finding:
    """Read the contrasts of the main setting, largest first: direct pay, pruning and a fast moving price where planned."""
    content = json.loads((folder / RESULTS).read_text())
    contrasts: dict[tuple[str, str], dict[str, Any]] = {}
    for contrast in content["contrasts"]:
        plain = (
            len(contrast["setting"].split(", ")) == 3
        )  # payment, pruning, moving price: no further change
        if contrast["family"] == FAMILY and plain:
            contrasts[contrast["institution"], contrast["setting"]] = contrast
    if not contrasts:
        raise ValueError(
            f"{folder / RESULTS}: got no contrast of {FAMILY!r}, allowed is one or more"
        )
    settings = {setting for _, setting in contrasts}
    main = max(sorted(settings), key=_preference)
    rows = []
    for (institution, setting), contrast in contrasts.items():
        if setting != main:
            continue
        others = [
            other["estimate"][0]
            for (name, where), other in contrasts.items()
            if name == institution and where != main and other["estimate"]
        ]
        estimate = contrast["estimate"]
        rows.append(
            Row(
                institution,
                (estimate[0], estimate[1], estimate[2]) if estimate else None,
                contrast["verdict"],
                tuple(sorted(others)),
            )
        )
    rows.sort(key=lambda row: -row.estimate[0] if row.estimate else np.inf)
    return Finding(tuple(rows), main, content["plan"]["smallest_effect"])


def _preference(setting: str) -> tuple[bool, bool, bool]:
    payment, pruning, moving_price = setting.split(", ")
    return payment == "direct", pruning == "pruning", moving_price == "fast"


def title(found: Finding) -> str:
    """What the contrasts say, in one sentence."""
    n = len(found.rows)
    yes, no = (sum(row.verdict == word for row in found.rows) for word in ("supported", "refuted"))
    if yes == 0 and no == 0:
        return f"Whether emission rules crowd out long-term research is undecided for all {n}"
    if yes == 0:
        return f"{no} of {n} emission rules do not crowd out long-term research; {n - no} undecided"
    rest = [f"{no} do not"] if no else []
    rest += [f"{n - yes - no} undecided"] if n > yes + no else []
    return f"{yes} of {n} emission rules crowd out long-term research" + "".join(
        f"; {part}" for part in rest
    )


def draw(found: Finding) -> Any:
    """Draw the finding as a figure of 800 pixels width."""
    rows = found.rows
    height = 150 + 34 * len(rows)
    figure = figures.new_figure(800, height)
    axes = figure.add_axes((0.335, 62 / height, 0.37, 1 - 146 / height))
    known = np.array([x for row in rows for x in (*(row.estimate or ()), *row.others)])
    low, high = min(-0.5, float(known.min())), max(0.5, float(known.max()))
    low, high = max(low, -1.5), min(high, 2.5)  # an interval beyond is cut, its numbers are written
    figures.style(axes, "", "")
    axes.axvspan(-found.smallest, found.smallest, color=BAND, linewidth=0.0)
    axes.axvline(0.0, color=MUTED, linewidth=1.0)
    for place, row in enumerate(rows):
        _draw_row(axes, place, row)
    axes.set_xlim(low - 0.1, high + 0.1)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [plain_name(row.institution) for row in rows])
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=9, labelcolor=INK)
    axes.set_xlabel(
        "less research than where users pay builders for their value, log-odds →",
        fontsize=8.5, color=FAINT_INK,
    )  # fmt: skip
    size = figures.NAME_SIZE
    above = {"transform": axes.get_xaxis_transform(), "fontsize": size, "va": "bottom"}
    axes.text(0.0, 1.02, "too small to count", color=FAINT_INK, ha="center", **above)
    figure.text(0.722, axes.get_position().y1 + 3 / height, "gap [95 % interval], crowds out?",
                fontsize=size, color=FAINT_INK, va="bottom")  # fmt: skip
    text = title(found)
    figure.text(
        0.012, 1 - 24 / height, text, fontsize=min(12.5, 12.5 * 73 / len(text)),
        weight="bold", color=INK, va="center",
    )  # fmt: skip
    figure.text(
        0.012, 1 - 48 / height, f"Large dots: {_words(found.setting)}. Small dots: the other settings.",
        fontsize=9, color=FAINT_INK, va="center",
    )  # fmt: skip
    return figure


def _draw_row(axes: Any, place: int, row: Row) -> None:
    colour = colour_of(row.institution)
    axes.plot(row.others, [place + 0.22] * len(row.others), "o", color=MUTED, markersize=3.2)
    text = WORDS[row.verdict]
    if row.estimate is None:
        text = f"no size; {text}"
    else:
        value, low, high = row.estimate
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        face = "white" if row.verdict != "supported" else colour
        axes.plot(value, place, "o", color=colour, markerfacecolor=face, markersize=8, mew=1.8)
        text = f"{value:+.2f} [{low:+.2f}, {high:+.2f}]  {text}"
    axes.annotate(
        text, (1.0, place), xytext=(8, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", fontsize=8.5, color=INK, va="center",
        weight="bold" if row.verdict == "supported" else "normal",
    )  # fmt: skip


def _words(setting: str) -> str:
    payment, pruning, moving_price = setting.split(", ")
    paid = "owners paid in TAO" if payment == "direct" else "owners paid in alpha"
    pruned = "the weakest subnets pruned" if pruning == "pruning" else "no subnet pruned"
    return f"{paid}, {pruned}, {moving_price} moving price"


def build(folder: Path = RECORDS, output: Path = PICTURE) -> str:
    """Write the picture and return its title."""
    found = read_finding(folder)
    figures.save(draw(found), output, found.digest())
    return title(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=RECORDS)
    parser.add_argument("--output", type=Path, default=PICTURE)
    options = parser.parse_args(arguments)
    print(build(options.folder, options.output))


if __name__ == "__main__":
    main()
