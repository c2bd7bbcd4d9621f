"""The page of the documentation shows the committed numbers."""

import json
from pathlib import Path

from dtao_gym.realism import MOMENTS, PERIODS, observed_panel
from dtao_gym.realism.gate import observed_estimate
from dtao_gym.realism.report import page_tables

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "realism.md").read_text(encoding="utf-8")
FACTS = json.loads((DOCS / "realism.json").read_text(encoding="utf-8"))


def test_tables_of_the_page_are_the_committed_numbers():
    tables = PAGE.split("<!-- tables -->\n")[1].split("<!-- end of tables -->")[0]
    assert tables == page_tables(FACTS)


def test_committed_real_moments_are_those_of_the_packaged_closes():
    assert {facts["period"] for facts in FACTS.values()} == {"spring-2026", "summer-2025"}
    for facts in FACTS.values():
        real = observed_estimate(facts["period"])
        for k, name in enumerate(MOMENTS):
            written = facts["moments"][name]["real"]
            assert abs(written - real.value[k]) <= 1e-5 * abs(real.value[k]) + 1e-9, name


def test_no_gate_fails_on_the_page():
    assert {"quickstart", "probe", "configs/spring_2026.yaml"} <= set(FACTS)
    assert " FAIL |" not in PAGE


def test_the_page_gives_the_sizes_of_the_panels():
    for name, period in PERIODS.items():
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
        days, subnets = (int(cell) for cell in line.strip("|").split("|")[1:])
        assert (days, subnets) == observed_panel(name).price.shape
        assert days == period.days
