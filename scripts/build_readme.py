"""The generated parts of README.md: the finding of the probe, and the table of baselines.

    python scripts/build_readme.py [--folder results/probe]

The finding comes from the committed records, the table from RESULTS.md. Both stand between comments;
`tests/test_readme_front.py` compares.
"""

import argparse
import re
import textwrap
from pathlib import Path

from dtao_agents.evaluation.statistics import span
from dtao_agents.probe.analysis import MARKET, VOTE
from dtao_agents.probe.answer import against_both, sentences
from dtao_agents.probe.evidence import Evidence, read_evidence

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
RESULTS = ROOT / "RESULTS.md"
RECORDS = ROOT / "results/probe"
ROW = "staker_quickstart"
"""Row of RESULTS.md whose table is shown."""
INFORMED = "informed_share_stakers and informed_share_voters"
"""Dose of the caveat."""
ATTACKS = ("in_and_out", "pump", "wash_trading")
"""Policies that test the market for exploits, which are no baselines."""


def finding(evidence: Evidence) -> str:
    """Three sentences about one setting, a caveat, and what has not been computed."""
    told = sentences(evidence)
    told += against_both(evidence)[-1:]  # the others repeat the sentence on votes
    lines = [" ".join(told), caveat(evidence)]
    missing = evidence.analysis.missing
    if missing:
        blocks = ", ".join(dict.fromkeys(cell.block for cell in missing))
        total = len(evidence.analysis.cells)
        lines.append(
            f"{total - len(missing)} of {total} planned cells have been computed; missing are blocks {blocks}."
        )
    return "\n\n".join(textwrap.fill(line, 150) for line in lines)


def caveat(evidence: Evidence) -> str:
    """What the finding depends on most: how many stakers and voters are informed."""
    slopes = {
        contrast.institution: contrast.estimate
        for contrast in evidence.analysis.of("slope")
        if contrast.setting.startswith(f"direct, pruning, fast, from 0 to 0.6 of {INFORMED}")
        and contrast.estimate is not None
    }
    if not {MARKET, VOTE} <= set(slopes):
        return "This is a statement about a model."
    market, vote = (span(slopes[name], "+.2f") for name in (MARKET, VOTE))
    return (
        "This is a statement about a model, and rests on who is informed: stakers pay today for the future value of a subnet that they know of, "
        f"voters grade its present value. Where 60 % of both are informed instead of none, the gap changes by {market} under prices and by "
        f"{vote} by vote."
    )


def baselines(results: str) -> str:
    """Table of the policies of a row: mean log growth, wealth at the end of 1,000 TAO, and turnover."""
    section = results.split(f"\n### {ROW}\n")[1].split("\n### ")[0]
    head, _, *rows = re.findall(r"^\|(.*)\|$", section, re.M)
    names = [cell.strip() for cell in head.split("|")]
    shown = [names.index(name) for name in ("policy", "mean", "wealth", "turnover")]
    lines = ["| policy | log growth | 1,000 TAO became | turnover |", "| --- | --: | --: | --: |"]
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")]
        if cells[0] not in ATTACKS:
            lines.append(f"| {' | '.join(cells[k] for k in shown)} |")
    return "\n".join(lines)


def with_part(text: str, name: str, content: str) -> str:
    """Text with new content between the comments of a part."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def readme(text: str, evidence: Evidence) -> str:
    """Text of the README with its generated parts."""
    text = with_part(text, "finding", finding(evidence))
    return with_part(text, "baselines", baselines(RESULTS.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=RECORDS)
    README.write_text(readme(README.read_text(), read_evidence(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
