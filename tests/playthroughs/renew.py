"""Rewrite the playthroughs, all or those named.

python tests/playthroughs/renew.py [price_burn_staker ...]
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from tests.playthroughs.rollouts import FOLDER, names, text_of  # noqa: E402


def main() -> None:
    chosen = sys.argv[1:] or names()
    if unknown := sorted(set(chosen) - set(names())):
        sys.exit(f"{unknown[0]}: unknown, allowed are {', '.join(names())}")
    for name in chosen:
        (FOLDER / f"{name}.txt").write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
