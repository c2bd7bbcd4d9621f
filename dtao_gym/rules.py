"""A comparison of emission rules as tables, a picture, CSV or JSON.

python -m dtao_gym.rules [SNAPSHOT ...] [--rules price price_burn my_module:my_rule] [--plot FILE]

For several snapshots the tables of each are followed by one that has them side by side; JSON becomes a list, CSV gets a
first column `snapshot`, and a picture a row of panels for each.
"""

import csv as csv_files
import json as json_text
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from dtao_gym import command_line
from dtao_gym.comparison import REFERENCE, Comparison, compare_rules, ordered
from dtao_gym.protocol.plugins import RuleError
from dtao_gym.tables import Column, fits, parts_that_fit, print_table
from dtao_gym.world.snapshot import SNAPSHOT_NAMES, SnapshotError

if TYPE_CHECKING:
    from rich.console import Console

RULES_PER_TABLE = 8
"""More rules than this are printed in several tables."""
SNAPSHOTS_PER_TABLE = 4
"""More snapshots than this are printed side by side in several tables."""
RULE_WIDTH = 21
"""Characters for the name of a rule beside several snapshots."""
SNAPSHOT_WIDTH = 18
"""Characters for a snapshot beside others, as many as a packaged one's name has."""
LOOK: dict[str, Any] = {"title_justify": "left", "box": None, "pad_edge": False}
"""Arguments of tables."""


def print_report(comparison: Comparison, top: int, console: "Console") -> None:
    """Print the TAO a day of each subnet and the figures of each rule.

    A star marks a rule that reads columns that the snapshot fills by assumption.
    """
    from rich.markup import escape

    snapshot = comparison.snapshot
    console.print(
        f"{escape(snapshot.name)}, block {snapshot.block:,}: {snapshot.n_subnets} subnets, "
        f"{comparison.tao_per_block:g} TAO per block",
        highlight=False,
    )

    def fit(part: slice) -> bool:
        return fits(console, *_subnet_table(comparison, top, part), **LOOK)

    for part in parts_that_fit(len(comparison.rules), RULES_PER_TABLE, fit):
        columns, rows = _subnet_table(comparison, top, part)
        styles = ["dim" if row[0].endswith("others") else None for row in rows]
        print_table(console, columns, rows, styles, title="TAO a day", **LOOK)
    print_table(console, RULE_COLUMNS, _rule_rows(comparison), title="\nRules", **LOOK)
    for line in notes(comparison):
        console.print(escape(line), highlight=False)


def print_side_by_side(comparisons: Sequence[Comparison], console: "Console") -> None:
    """Print the figures of each rule on several snapshots side by side."""

    def fit(part: slice) -> bool:
        return fits(console, *_side_by_side(comparisons[part]), **LOOK)

    title = "\nSide by side: HHI, top 5, subnets paid; * reads assumptions"
    for part in parts_that_fit(len(comparisons), SNAPSHOTS_PER_TABLE, fit):
        print_table(console, *_side_by_side(comparisons[part]), title=title, **LOOK)


def notes(comparison: Comparison) -> list[str]:
    """Lines on assumptions behind the numbers, and on rules that are missing."""
    lines = []
    if assumed := {name: columns for name, columns in comparison.imputed.items() if columns}:
        groups: dict[tuple[str, ...], list[str]] = {}
        for name, columns in assumed.items():
            groups.setdefault(columns, []).append(name)
        listed = "; ".join(f"{', '.join(c)} ({', '.join(names)})" for c, names in groups.items())
        lines.append(f"* reads what the snapshot fills by assumption: {listed}.")
    if "emission_enabled" in comparison.snapshot.imputed:
        lines.append("That emission is enabled for every subnet is assumed too.")
    lines += [f"Left out: {name} {why}." for name, why in comparison.left_out.items()]
    return lines


def _marked(comparison: Comparison, name: str) -> str:
    return name + ("*" if comparison.imputed[name] else "")


def _heading(name: str) -> str:
    """A name broken into lines of at most 8 characters where possible."""
    lines = [""]
    for part in name.replace("_", "_\n").replace(".", ".\n").replace(":", ":\n").split("\n"):
        if len(lines[-1]) + len(part) > 8:
            lines.append("")
        lines[-1] += part
    return "\n".join(filter(None, lines))


def _subnet_table(
    comparison: Comparison, top: int, chosen: slice
) -> tuple[list[Column], list[list[str]]]:
    """Columns and rows of the TAO a day of the largest subnets under some of the rules."""
    from rich.markup import escape

    columns = [Column("netuid"), Column("price", rank=1)]
    for name in comparison.rules[chosen]:
        columns.append(Column(escape(_heading(_marked(comparison, name)))))
    paid = comparison.tao_per_day[chosen]
    order = ordered(comparison)
    shown, rest = order[:top], order[top:]
    rows = []
    for k in shown:
        price = f"{comparison.snapshot.spot_price[k]:.5f}"
        netuid = str(comparison.snapshot.netuid[k])
        rows.append([netuid, price, *(f"{tao:,.2f}" for tao in paid[:, k])])
    if rest.size:
        totals = paid[:, rest].sum(1)
        rows.append([f"{rest.size} others", "", *(f"{tao:,.2f}" for tao in totals)])
    return columns, rows


RULE_COLUMNS = (
    Column("rule", justify="left", fold=RULE_WIDTH),
    Column("TAO\na day"),
    Column("HHI"),
    Column("top 5", rank=1),
    Column("Nakamoto\ncoefficient", rank=4),
    Column("subnets\npaid", rank=2),
    Column(f"moved against\n{REFERENCE}", rank=3),
)


def _rule_rows(comparison: Comparison) -> list[list[str]]:
    """Figures of each rule, for `RULE_COLUMNS`."""
    from rich.markup import escape

    rows = []
    for k, name in enumerate(comparison.rules):
        paid = comparison.subnets_paid[k] > 0
        rows.append(
            [
                escape(_marked(comparison, name)),
                f"{comparison.total_tao_per_day[k]:,.1f}",
                f"{comparison.hhi[k]:.4f}" if paid else "-",
                f"{comparison.top5_share[k]:.1%}" if paid else "-",
                str(comparison.nakamoto[k]) if paid else "-",
                str(comparison.subnets_paid[k]),
                f"{comparison.distance[k]:.1%}",
            ]
        )
    return rows


def _side_by_side(comparisons: Sequence[Comparison]) -> tuple[list[Column], list[list[str]]]:
    """Columns and rows of the figures of each rule on some of the snapshots."""
    from rich.markup import escape

    columns = [Column("rule", justify="left", fold=RULE_WIDTH, width=RULE_WIDTH)]
    for comparison in comparisons:
        name = "\n".join(textwrap.wrap(comparison.snapshot.name, SNAPSHOT_WIDTH))
        heading = escape(f"{name}\n   HHI  top 5 paid")
        columns.append(Column(heading, justify="left"))
    names = dict.fromkeys(rule for comparison in comparisons for rule in comparison.rules)
    rows = [
        [escape(name), *(_figures(comparison, name) for comparison in comparisons)]
        for name in names
    ]
    return columns, rows


def _figures(comparison: Comparison, name: str) -> str:
    """HHI, part of the five best paid and number paid under a rule; a star marks assumptions."""
    if name not in comparison.rules:
        return ""
    k = comparison.rules.index(name)
    n_paid, mark = int(comparison.subnets_paid[k]), "*" if comparison.imputed[name] else " "
    if n_paid == 0:
        return f"{'-':>6} {'-':>6} {n_paid:>3}{mark}"
    hhi, top5 = comparison.hhi[k], comparison.top5_share[k]
    return f"{hhi:6.4f} {top5:6.1%} {n_paid:>3}{mark}"


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain numbers and texts; undefined numbers are None."""

    def number(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    rules = {
        name: {
            "tao_per_day": number(comparison.total_tao_per_day[k]),
            "hhi": number(comparison.hhi[k]),
            "top5_share": number(comparison.top5_share[k]),
            "nakamoto": int(comparison.nakamoto[k]),
            "subnets_paid": int(comparison.subnets_paid[k]),
            f"distance_from_{REFERENCE}": number(comparison.distance[k]),
            "imputed": list(comparison.imputed[name]),
            "shares": comparison.shares[k].tolist(),
        }
        for k, name in enumerate(comparison.rules)
    }
    return {
        "snapshot": comparison.snapshot.name,
        "block": comparison.snapshot.block,
        "tao_per_block": comparison.tao_per_block,
        "netuid": comparison.snapshot.netuid.tolist(),
        "rules": rules,
        "left_out": comparison.left_out,
    }


def write_csv(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write one row per subnet, largest first: netuid, prices, and TAO a day under each rule.

    For several comparisons the name of the snapshot is the first column; a rule that one of them lacks is empty there.
    """
    several = len(comparisons) > 1
    names = list(dict.fromkeys(rule for comparison in comparisons for rule in comparison.rules))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv_files.writer(file, lineterminator="\n")
        header = ["netuid", "spot_price", "moving_price", *names]
        writer.writerow(["snapshot", *header] if several else header)
        for comparison in comparisons:
            snapshot = comparison.snapshot
            paid = dict(zip(comparison.rules, comparison.tao_per_day, strict=True))
            for k in ordered(comparison):
                prices = snapshot.spot_price[k], snapshot.moving_price[k]
                taos = [float(paid[name][k]) if name in paid else "" for name in names]
                row = [int(snapshot.netuid[k]), *map(float, prices), *taos]
                writer.writerow([snapshot.name, *row] if several else row)


def run(arguments: Sequence[str] | None = None, program: str = "python -m dtao_gym.rules") -> None:
    """The command line of `python -m dtao_gym.rules` and `dtao rules`."""
    command_line.require_extra(program)
    import tyro

    def main(
        snapshot: tyro.conf.Positional[tuple[str, ...]] = SNAPSHOT_NAMES[:1],
        rules: Annotated[
            tuple[str, ...],
            tyro.conf.arg(
                help="Rules to compare, your own by import path; none: all built-in ones."
            ),
        ] = (),
        top: int = 20,
        plot: Path | None = None,
        csv: Path | None = None,
        json: bool = False,
    ) -> None:
        """Compare what emission rules would pay the subnets of a real state of the chain, or of several.

        Args:
            snapshot: Names of packaged snapshots, or paths of CSV files.
            top: Subnets that are shown one by one, largest first by the mean over the rules.
            plot: File for a picture, with a row of panels per snapshot.
            csv: File for a table with one row per subnet; for several snapshots their names come first.
            json: Print JSON instead of tables, for several snapshots a list.
        """
        if top < 1:
            raise RuleError(f"--top: got {top}, allowed is 1 or more")
        comparisons = compare_rules(rules or None, snapshot)
        if csv is not None:
            write_csv(comparisons, csv)
        if plot is not None:
            from dtao_gym.rules_figure import draw

            draw(comparisons, top, plot)
        if json:
            content = [as_dict(comparison) for comparison in comparisons]
            print(json_text.dumps(content if len(content) > 1 else content[0]))
            return
        console = command_line.console()
        for number, comparison in enumerate(comparisons):
            if number:
                console.print()
            print_report(comparison, top, console)
        if len(comparisons) > 1:
            print_side_by_side(comparisons, console)

    command_line.call(main, program, (RuleError, SnapshotError, OSError), arguments)


if __name__ == "__main__":
    run()
