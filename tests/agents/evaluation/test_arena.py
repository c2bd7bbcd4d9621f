"""The arena: scenarios from data, everybody on the same seeds, held-out owners at work."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from dtao_agents.evaluation.arena import (
    AmongRivals,
    Scenario,
    make_scenarios,
    play_arena,
    read_arena,
    tidy,
)
from dtao_agents.evaluation.registry import policies_of, registered
from dtao_agents.roles.registry import agent_role
from dtao_agents.roles.staker import STAKER

from dtao_gym.world.config import ConfigError
from tests.agents.worlds import WORLD, builder_episodes, episodes

ARENA = Path(__file__).resolve().parents[3] / "configs" / "arena.yaml"
MARKET = {"n_subnets": 4, "spans_per_day": 1, "days_per_step": 7, "horizon_cap_days": 70}


def scenario(**changes: object) -> Scenario:
    return make_scenarios([{"name": "small", "world": WORLD, "seeds": 3} | changes])[0]


def test_every_policy_plays_on_the_same_evaluation_seeds():
    scenarios = [scenario(), scenario(name="other", seeds=2)]
    entries = [*policies_of("staker").values(), *policies_of("builder").values()]
    scores = play_arena(scenarios, entries)
    names = [(score.scenario, score.policy) for score in scores]
    assert names == [(s.name, name) for s in scenarios for name in policies_of("staker")]
    by_name = dict(zip(names, scores, strict=True))
    for (where, name), score in by_name.items():
        assert tuple(score.values) == STAKER.metrics
        n_seeds = 3 if where == "small" else 2
        assert score.values["log_growth"].shape == (n_seeds,)
        # the same worlds: fewer seeds are the first of more
        np.testing.assert_array_equal(
            score.values["log_growth"][:2], by_name["small", name].values["log_growth"][:2]
        )
    assert all(s.config.split == "evaluation" and s.config.world_seed == 0 for s in scenarios)


def test_the_table_is_tidy():
    scores = play_arena(
        [scenario()], [registered("staker", "do_nothing"), registered("staker", "pump")]
    )
    rows = list(csv.DictReader(tidy(scores).splitlines()))
    assert len(rows) == 2 * 3 * len(STAKER.metrics)
    assert set(rows[0]) == {
        "scenario", "policy", "kind", "training_seed", "evaluation_seed", "metric", "value",
    }  # fmt: skip
    picked = [
        float(row["value"])
        for row in rows
        if (row["policy"], row["metric"]) == ("pump", "log_growth")
    ]
    np.testing.assert_array_equal(picked, scores[1].values["log_growth"])


def test_held_out_owners_decide_in_every_slot_but_the_players():
    worlds = builder_episodes([0, 1], n_subnets=4)
    policy = AmongRivals(registered("builder", "all_short"), "all_long")
    worlds.step(policy(worlds.observe(), worlds.batch, []))
    shares = worlds.batch.state.row("research_share")
    np.testing.assert_allclose(shares[:, 0], 0.002, rtol=1e-4)
    np.testing.assert_allclose(shares[:, 1:], 0.998, rtol=1e-4)


def test_beside_a_staker_all_owners_are_held_out():
    worlds = episodes([0, 1])
    policy = AmongRivals(registered("staker", "market_weight"), "all_long")
    worlds.step(policy(worlds.observe(), worlds.batch, []))
    np.testing.assert_allclose(worlds.batch.state.row("research_share"), 0.998, rtol=1e-4)


@pytest.mark.parametrize("role", ["staker", "builder"])
def test_owners_who_do_as_configured_change_nothing_and_others_do(role):
    world = WORLD if role == "staker" else MARKET
    name = "market_weight" if role == "staker" else "half"
    metric = agent_role(role).score
    values = {}
    for rivals in (None, "as_configured", "all_long"):
        made = scenario(role=role, world=world, rivals=rivals)
        score = play_arena([made], [registered(role, name)])[0]
        values[rivals] = score.values[metric]
    np.testing.assert_allclose(values["as_configured"], values[None], rtol=1e-5)
    assert (np.abs(values["all_long"] / values[None] - 1.0) > 1e-5).all()


def test_a_population_lies_under_the_world(tmp_path):
    path = tmp_path / "people.yaml"
    path.write_text(yaml.safe_dump({"momentum": 0.5, "wealth_tao": 5.0}))
    made = scenario(population=str(path), world=WORLD | {"wealth_tao": 7.0})
    assert (made.config.momentum, made.config.wealth_tao) == (0.5, 7.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"role": "miner"}, "role: got 'miner'"),
        ({"role": "replay"}, "role: got 'replay'"),
        ({"world": {"wealth_tao": 0.5}}, "scenario small: wealth_tao: got 0.5"),
        ({"rivals": "nobody"}, "scenario small: policy: got 'nobody'"),
        ({"rivals": "hlf"}, r"policy: got 'hlf', .*; did you mean 'half'\?"),
        ({"rivals": "random"}, "scenario small: rivals: got 'random'"),
        ({"seed": 3}, r"seed: unknown setting, got 3; did you mean 'seeds'\?"),
        ({"name": "two words"}, "name: got 'two words'"),
    ],
)
def test_bad_scenarios_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        scenario(**changes)


def test_a_name_is_there_once(tmp_path):
    twice = [{"name": "small"}, {"name": "small"}]
    with pytest.raises(ConfigError, match="each name once"):
        make_scenarios(twice)
    path = tmp_path / "arena.yaml"
    path.write_text(yaml.safe_dump({"scenarios": twice}))
    with pytest.raises(ConfigError, match=r"arena\.yaml: scenarios: got"):
        read_arena(path)
    path.write_text("[]")
    with pytest.raises(ConfigError, match="one entry 'scenarios'"):
        read_arena(path)


def test_the_published_arena_spans_what_it_should(monkeypatch):
    monkeypatch.chdir(ARENA.parents[1])
    found = read_arena(ARENA)
    stakers = [made for made in found if made.role == "staker"]
    wealth = [made.config.wealth_tao for made in stakers]
    assert (min(wealth), max(wealth)) == (1.0, 100_000.0)
    assert len({made.config.era for made in stakers}) >= 4
    assert {made.rivals for made in found if made.role == "builder"} >= {"all_short", "all_long"}
    assert any(made.population for made in stakers)
