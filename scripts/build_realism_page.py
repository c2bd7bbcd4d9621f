"""Compare the fitted populations with the chain and write `docs/realism.md`.

    python scripts/build_realism_page.py

The numbers are written to `docs/realism.json`, and as tables between the two marks of the page.
"""

import json
from pathlib import Path

from dtao_gym.realism import realism_gate
from dtao_gym.realism.gate import PRESETS
from dtao_gym.realism.report import as_dict, page_tables

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "realism.md"
NUMBERS = REPOSITORY / "docs" / "realism.json"
SEED = 2_000_000
MARKETS = {
    "configs/spring_2026.yaml": ("spring-2026", 16),
    "quickstart": ("spring-2026", 64),
    "probe": ("spring-2026", 128),
    "configs/summer_2025.yaml": ("summer-2025", 16),
}
"""Period and number of worlds of each population or preset; markets of fewer subnets need more worlds."""


def main() -> None:
    facts = {
        config: as_dict(
            realism_gate(
                config if config in PRESETS else REPOSITORY / config,
                period_name=period,
                worlds=worlds,
                seed=SEED,
            )
        )
        for config, (period, worlds) in MARKETS.items()
    }
    NUMBERS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    before, _, after = split(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(before + page_tables(facts) + after, encoding="utf-8")
    for config, comparison in facts.items():
        print(f"{config}: J {comparison['j']}")


def split(page: str) -> tuple[str, str, str]:
    """Split a page into the text before the tables, the tables, and the text after."""
    first, last = "<!-- tables -->\n", "<!-- end of tables -->"
    start, end = page.index(first) + len(first), page.index(last)
    return page[:start], page[start:end], page[end:]


if __name__ == "__main__":
    main()
