"""Measure the fitted populations, and the markets that are built on the default one, against the chain; write `docs/realism.md`.

    python scripts/build_realism_page.py

The numbers go to `docs/realism.json`, and from there between the two marks of the page.
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
"""Population or preset, the period that it is held against, and worlds: the fewer subnets, the more."""


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
    for config, found in facts.items():
        print(f"{config}: J {found['j']}")


def split(page: str) -> tuple[str, str, str]:
    """What stands before the tables, the tables, and what follows; the marks are not part of the tables."""
    first, last = "<!-- tables -->\n", "<!-- end of tables -->"
    start, end = page.index(first) + len(first), page.index(last)
    return page[:start], page[start:end], page[end:]


if __name__ == "__main__":
    main()
