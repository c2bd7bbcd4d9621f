"""Plans: accepted content, messages, and the hash that fixes them."""

import pytest
import yaml
from dtao_agents.probe.cells import all_cells
from dtao_agents.probe.plan import Plan, base_world, make_plan, population_of, read_plan
from dtao_agents.probe.size import GATE, world

from dtao_gym.world.config import ConfigError
from tests.agents.probe.tiny import TINY, tiny_plan


def block(**fields) -> dict:
    return {"blocks": [{"name": "A"} | fields]}


@pytest.mark.parametrize("name", ["probe_quick", "probe_full"])
def test_the_committed_plans_have_valid_worlds(name):
    plan = read_plan(f"configs/{name}.yaml")
    cells = all_cells(plan)
    assert len(cells) > 10
    assert any(b.primary for b in plan.blocks)
    assert all(cell.config.horizon == "geometric" for cell in cells)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"seed": 3}, "seed: unknown setting"),
        ({"first_seed": -1}, "first_seed: got -1"),
        ({"start": float("nan")}, "start: got nan"),
        ({"claims": "some"}, "claims: got 'some'"),
        ({"blocks": []}, "blocks: got []"),
        ({"estimator": {"half": 1}}, "estimator.half: unknown setting"),
        ({"estimator": {"half_width": "x"}}, "estimator.half_width: got 'x'"),
        ({"estimator": {"least_blocks": 500}}, "least_blocks, most_blocks: got 16, 500, 256"),
        (block(payments=["fee"]), "blocks.0.payments.0: got 'fee'"),
        (block(payment=["direct"]), "did you mean 'payments'?"),
        (block(institutions=["price", "price"]), "institutions: got ['price', 'price']"),
        (block(estimator={"half": 1}), "blocks: A: estimator: half: unknown setting"),
        (block(estimator={"half_width": -1}), "blocks: A: estimator: half_width: got -1"),
        (block(estimator={"most_blocks": 4}), "got 16, 16, 4"),
        (block(sobol={"ranges": {"hype": [0, 1]}}), "blocks.0.sobol.ranges: got"),
        (block(named=["price"]), "named: got ['price'], allowed is none: not primary"),
        (block(named=["x"], primary=True), "named: got ['x'], allowed is some of ['price'"),
        ({"blocks": [{"name": "A"}, {"name": "A"}]}, "blocks: got names ['A', 'A']"),
        ({"blocks": [{"institutions": ["price"]}]}, "blocks.0.name"),
    ],
)
def test_a_bad_plan_is_one_line_that_names_the_setting(content, message):
    with pytest.raises(ConfigError) as error:
        make_plan(content)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_message_about_a_file_names_it(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("seed: 3\n")
    with pytest.raises(ConfigError, match=r"plan\.yaml: seed: unknown setting"):
        read_plan(path)
    path.write_text("- price\n")
    with pytest.raises(ConfigError, match=r"plan\.yaml: got list"):
        read_plan(path)


@pytest.mark.parametrize(
    "content",
    [
        block(institutions=["prise"]),
        block(doses=[{"hipe": 1.0}]),
        block(channels={"hipe": 1.0}),
        {"world": {"hipe": 1.0}},
    ],
)
def test_an_unknown_parameter_of_a_world_is_an_error_of_one_line(content):
    with pytest.raises(ConfigError, match=r"hipe|prise") as error:
        all_cells(make_plan(content))
    assert "\n" not in str(error.value)


def test_the_population_overrides_the_base_world_and_the_plan_overrides_both(tmp_path):
    path = tmp_path / "people.yaml"
    path.write_text(yaml.safe_dump({"n_subnets": 5, "trade_speed": 0.3, "momentum": 0.4}))
    plan = make_plan({"population": str(path), "world": {"momentum": 0.2}})
    assert population_of(plan) == {"n_subnets": 5, "trade_speed": 0.3, "momentum": 0.4}
    for config in (base_world(plan), *(cell.config for cell in all_cells(plan))):
        assert (config.n_subnets, config.trade_speed, config.momentum) == (5, 0.3, 0.2)


def test_an_error_in_the_population_names_its_file(tmp_path):
    path = tmp_path / "people.yaml"
    path.write_text("hipe: 1.0\n")
    with pytest.raises(ConfigError, match=r"people\.yaml.*hipe"):
        base_world(make_plan({"population": str(path)}))


def test_controls_test_a_given_population_unless_they_set_the_parameter():
    size = GATE._replace(population={"momentum": 0.1})
    assert world(size, {}).momentum == 0.1
    assert world(size, {}, momentum=0.0).momentum == 0.0


def test_settings_of_a_block_override_those_of_the_plan():
    plan = make_plan(block(estimator={"half_width": 0.5}) | {"estimator": {"pilot_blocks": 3}})
    estimator = plan.estimator_of(plan.blocks[0])
    assert (estimator.half_width, estimator.pilot_blocks) == (0.5, 3)


def test_a_plan_survives_its_own_yaml(tmp_path):
    path = tmp_path / "plan.yaml"
    plan = make_plan(TINY | {"first_seed": 5})
    path.write_text(plan.to_yaml())
    assert read_plan(path) == plan
    assert read_plan(path).fingerprint == plan.fingerprint


OTHER = {
    "blocks": [{"name": "A core", "institutions": ["price"], "primary": True}],
    "population": "people.yaml",
    "world": {},
    "first_seed": 1,
    "start": 0.3,
    "capitalisation": 100.0,
    "estimator": TINY["estimator"] | {"deviation": 0.3},
    "outcome_worlds": 9,
    "smallest_effect": 0.1,
    "claims": "full",
}
"""Another value of every field of the plan."""


def test_the_fingerprint_changes_with_every_field():
    assert set(OTHER) == set(Plan.model_fields)
    plans = [tiny_plan(), *(tiny_plan(**{name: value}) for name, value in OTHER.items())]
    assert len({plan.fingerprint for plan in plans}) == len(plans)
