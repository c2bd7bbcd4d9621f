"""NC9, NC10, POT and REALISM: each holds in the probe's market and fails in a mutated one."""

import json

import pytest
from dtao_agents.probe import market_controls
from dtao_agents.probe.checks import failures, from_records, to_records
from dtao_agents.probe.controls import CONTROLS
from dtao_agents.probe.market_controls import (
    DIRECT,
    INERT_ODDS,
    effect_of_subnets,
    slots_of_sample,
)
from dtao_agents.probe.size import GATE, world

from dtao_gym.world import config_people
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import chosen_subnets

SMALL = GATE._replace(seeds=8)
MUTANTS = {
    "NC9": {"scarcity_elasticity": 0.0},
    "POT": {"frozen_subnets": "prices"},
    "REALISM": {"trade_speed": 0.05},
}


@pytest.mark.parametrize("id", MUTANTS)
def test_a_control_holds_and_fails_in_its_mutant(id):
    size = GATE if id == "REALISM" else SMALL
    checks = CONTROLS[id](size, {})
    assert failures(checks) == []
    assert from_records(json.loads(json.dumps(to_records(checks)))) == checks
    assert failures(CONTROLS[id](size, MUTANTS[id]))


def test_the_predictable_population_fails_the_controls_of_the_market():
    people = {k: v for k, v in config_people.PREDICTABLE.items() if k != "news_sd"}
    size = SMALL._replace(population=people | {"news_sd": 0.0})
    for id in ("NC9", "REALISM"):
        assert failures(CONTROLS[id](size, {})), id


@pytest.mark.parametrize("id", ["NC3", "NC10"])
def test_effects_that_must_be_zero_are_small_with_few_seeds(id, monkeypatch):
    """Without news few seeds suffice."""
    monkeypatch.setattr(market_controls, "MANY_SEEDS", 48)
    size = SMALL._replace(cap_days=1_500, population={"news_sd": 0.0})
    checks = CONTROLS[id](size, {})
    assert failures(checks) == []
    assert all(abs(float(check.got)) < 0.05 for check in checks)


@pytest.mark.slow
def test_dilution_has_an_effect_where_demand_dies(monkeypatch):
    """In the first version of the market, stakers sell out the sooner the more alpha is issued."""
    monkeypatch.setattr(market_controls, "MANY_SEEDS", 48)
    size = SMALL._replace(cap_days=1_500, population=config_people.PREDICTABLE)
    prices, votes = CONTROLS["NC10"](size, {})
    assert prices.got < -3 * INERT_ODDS
    assert abs(votes.got) < 0.01


@pytest.mark.slow
def test_few_subnets_have_the_equilibrium_of_many():
    """Eight and thirty-two of 128 subnets, without news, have the same equilibrium; scripts/one_pot.py tests it with news."""
    size = SMALL._replace(cap_days=1_500, population={"news_sd": 0.0})
    for allocation in ("price", "root_vote"):
        config = world(size, {}, **DIRECT, allocation=allocation)
        few, many, gap = effect_of_subnets(config, range(48), wide=32)
        assert few.research_share is not None
        assert many.research_share is not None
        assert abs(gap.value) < INERT_ODDS


def test_the_deviating_builder_of_a_sample_has_its_row_in_the_snapshot():
    config = Config.make(n_subnets=8, selection="sample")
    rows = slots_of_sample(config, range(20))
    assert all(row == chosen_subnets(config, seed, 0)[seed % 8] for seed, row in enumerate(rows))
    assert len(set(rows)) > 10
