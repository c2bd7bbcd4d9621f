"""Plans: accepted content, and their cells."""

import pytest
import yaml
from dtao_agents.equilibrium.nash import QUICK
from dtao_agents.probe.plan import (
    REFERENCE,
    all_cells,
    base_world,
    make_plan,
    population_of,
    read_plan,
)
from dtao_agents.probe.size import GATE, world

from dtao_gym.world.config import ConfigError


def test_the_quick_plan_has_the_cells_of_the_theory():
    plan = read_plan("configs/probe_quick.yaml")
    cells = all_cells(plan)
    assert len(cells) == 7
    assert len({cell.name for cell in cells}) == 7
    assert {cell.institution for cell in cells} == {"price", "tao_flow", "root_vote", REFERENCE}
    assert plan.seeds == 1024
    assert plan.solver.grid_near == QUICK.grid_near


@pytest.mark.parametrize(
    ("institutions", "part"),
    [
        (["price", "root_vote"], "allocation"),
        (["price_burn", "price_burn_gate_rank"], "allocation"),
        (["fund_in_place", "fund_curated"], "root_dividend"),
    ],
)
def test_institutions_differ_in_one_part_alone(institutions, part):
    plan = make_plan({"institutions": institutions})
    one, other = (
        next(c for c in all_cells(plan) if c.name == f"{name}, direct, pruning, slow")
        for name in plan.institutions
    )
    differing = {
        name
        for name, value in one.config.model_dump().items()
        if getattr(other.config, name) != value
    }
    assert differing == {part}
    assert one.config.horizon == "geometric"
    assert one.config.horizon_cap_days == 8000
    assert one.config.halving is False


def test_the_reference_has_no_finance_no_pruning_and_no_signal_to_capitalise():
    cell = all_cells(make_plan({}))[0]
    assert (cell.config.payment, cell.config.finance, cell.config.pruning) == ("fee", False, False)
    assert not cell.estimated


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"seed": 3}, "seed: unknown setting"),
        ({"seeds": 1}, "seeds: got 1"),
        ({"payments": ["fee"]}, "got 'fee'"),
        ({"solver": {"grid": 3}}, "solver.grid: unknown setting"),
        ({"solver": {"grid_near": 6}}, "grid_near: got 6"),
        ({"institutions": ["price", "price"]}, "institutions: got"),
    ],
)
def test_a_bad_plan_is_one_line_that_names_the_setting(content, message):
    with pytest.raises(ConfigError) as error:
        make_plan(content)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_parameter_of_the_world_or_the_population_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="hipe"):
        base_world(make_plan({"world": {"hipe": 1.0}}))
    path = tmp_path / "people.yaml"
    path.write_text("hipe: 1.0\n")
    with pytest.raises(ConfigError, match=r"people\.yaml.*hipe"):
        base_world(make_plan({"population": str(path)}))


def test_the_population_overrides_the_base_world_and_the_plan_overrides_both(tmp_path):
    path = tmp_path / "people.yaml"
    path.write_text(yaml.safe_dump({"n_subnets": 5, "trade_speed": 0.3, "momentum": 0.4}))
    plan = make_plan({"population": str(path), "world": {"momentum": 0.2}})
    for cell in all_cells(plan):
        assert (cell.config.n_subnets, cell.config.trade_speed, cell.config.momentum) == (
            5,
            0.3,
            0.2,
        )


def test_gates_test_the_population_of_the_plan(tmp_path):
    path = tmp_path / "people.yaml"
    path.write_text("momentum: 0.1\n")
    assert population_of(make_plan({"population": str(path)})) == {"momentum": 0.1}
    assert population_of(make_plan({})) == {}
    size = GATE._replace(population={"momentum": 0.1})
    assert world(size, {}).momentum == 0.1
    assert (
        world(size, {}, momentum=0.0).momentum == 0.0
    )  # a control's own settings override the population


def test_a_plan_survives_its_own_yaml(tmp_path):
    plan = make_plan({"seeds": 5, "world": {"n_subnets": 3}})
    path = tmp_path / "plan.yaml"
    path.write_text(plan.to_yaml())
    assert read_plan(path) == plan
