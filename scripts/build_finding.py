"""The paragraph of README.md on the finding of the probe, from the committed records.

    python scripts/build_finding.py [--folder results/probe]

Rebuilds it between the two comments of the README; `tests/test_readme_finding.py` compares.
"""

import argparse
import textwrap
from pathlib import Path

from dtao_agents.probe.answer import paragraph
from dtao_agents.probe.evidence import Evidence, read_evidence

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
RECORDS = ROOT / "results/probe"
BEGIN, END = "<!-- finding: begin -->", "<!-- finding: end -->"


def finding(evidence: Evidence) -> str:
    """Lines between the comments."""
    missing = evidence.analysis.missing
    blocks = ", ".join(dict.fromkeys(cell.block for cell in missing))
    done = len(evidence.analysis.cells) - len(missing)
    lines = [paragraph(evidence)]
    rest = f"; what is missing is of the blocks {blocks}" if missing else ""
    lines.append(
        f"{done} of {len(evidence.analysis.cells)} planned cells have been computed{rest}."
    )
    return "\n\n".join(textwrap.fill(line, 130) for line in lines)


def with_finding(readme: str, evidence: Evidence) -> str:
    """Text of the README with the paragraph of this evidence."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{finding(evidence)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=RECORDS)
    evidence = read_evidence(parser.parse_args().folder)
    README.write_text(with_finding(README.read_text(), evidence))


if __name__ == "__main__":
    main()
