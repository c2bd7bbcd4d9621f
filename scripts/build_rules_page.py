"""Renew the table of eras in `docs/rules.md` from the eras of the package.

python scripts/build_rules_page.py
"""

from pathlib import Path

from dtao_gym.protocol.institutions import ERAS, Era

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rules.md"
FIRST, LAST = "<!-- eras -->\n", "<!-- end of eras -->"
COLUMNS = (
    "`era`",
    "spec version",
    "from",
    "`allocation`",
    "`injection`",
    "alpha bought by the chain",
    "root's alpha",
    "fee",
    "pruning",
)


def cells(era: Era) -> tuple[str, ...]:
    """One row of the table."""
    bought = f"`{era.chain_bought}`"
    if era.injection in ("alpha_emission", "direct"):
        bought = "none"
    fee = "-"
    if era.pool_fee > 0.0:
        fee = f"{era.pool_fee:.2%}"
    elif era.flat_fee_tao > 0.0:
        fee = f"{era.flat_fee_tao * 1e9:,.0f} rao"
    return (
        f"`{era.name}`",
        f"{era.spec_version or 'before 233'}",
        era.since if era.spec_version else "before",
        f"`{era.allocation}`",
        f"`{era.injection}`",
        bought,
        f"`{era.root_dividend}`",
        fee,
        f"lowest {era.prune_key.replace('_', ' ')}" if era.pruning else "none",
    )


def table() -> str:
    """The table in Markdown."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, ERAS.values())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    start, end = page.index(FIRST) + len(FIRST), page.index(LAST)
    PAGE.write_text(page[:start] + table() + page[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
