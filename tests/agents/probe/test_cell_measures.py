"""Claims C2 and C7 in the equilibria of a probe: which are measured, and what their records are kept under."""

from dtao_agents.cache import key_of
from dtao_agents.probe.cell_measures import cell_measures
from dtao_agents.probe.cells import Cell

from tests.agents.probe.synthetic import LOWEST, solve
from tests.agents.probe.tiny import plan_of

CORE = {
    "institutions": ["price", "root_vote"],
    "pruning": [True],
    "moving_prices": ["fast", "slow"],
    "primary": True,
}
LATER = {"institutions": ["tao_flow"], "pruning": [True]}
INFLUENCE = {"institutions": ["price"], "pruning": [True], "strategy": "influence"}
REMEDIES = {
    "institutions": ["price"],
    "pruning": [True],
    "references": False,
    "doses": [{}, {"hype": 0.0}, {"pruning": False}],
}


def measured(plan, log_odds=lambda cell: 0.0) -> list[tuple[str, str]]:
    """Kind and name of each measurement, without its claim."""
    return [(m.kind, m.arm.cell.name) for m in cell_measures(plan, solve(plan, log_odds))]


def test_merit_and_welfare_are_measured_in_the_primary_cells_with_the_fast_price():
    plan = plan_of(CORE, LATER, claims="quick")
    assert measured(plan) == [
        ("merit", "price, direct, pruning, fast"),
        ("welfare", "price, direct, pruning, fast"),
        ("merit", "root_vote, direct, pruning, fast"),
        ("welfare", "root_vote, direct, pruning, fast"),
    ]


def test_influence_and_remedies_are_measured_where_the_plan_has_them():
    plan = plan_of(INFLUENCE, REMEDIES, claims="quick")
    assert [kind for kind, _ in measured(plan)] == ["influence", "remedy", "remedy"]


def test_a_plan_without_claims_measures_none():
    assert measured(plan_of(CORE, INFLUENCE, REMEDIES, claims="none")) == []


def test_a_bound_is_an_equilibrium_and_an_indeterminate_cell_is_none():
    def log_odds(cell: Cell) -> float | str | None:
        return {"price": LOWEST, "root_vote": None}.get(cell.institution, 0.0)

    found = measured(plan_of(CORE, claims="quick"), log_odds)
    assert {name for _, name in found} == {"price, direct, pruning, fast"}


def test_a_measurement_depends_on_its_equilibria():
    plan = plan_of(CORE, claims="quick")

    def keys(value: float) -> list[str]:
        solutions = solve(plan, lambda cell: value if cell.institution == "price" else 0.0)
        return [key_of(m.inputs) for m in cell_measures(plan, solutions)]

    assert [a == b for a, b in zip(keys(0.0), keys(-1.0), strict=True)] == [
        False,
        False,
        True,
        True,
    ]
    assert len(set(keys(0.0))) == 4
