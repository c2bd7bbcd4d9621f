"""Evaluation: metrics by hand, pairing, and files."""

import csv
import json

import dtao_agents.evaluation.evaluate as evaluating
import numpy as np
import pytest
from dtao_agents.evaluation.evaluate import (
    compare,
    evaluation_config,
    play,
    play_in_batches,
    to_csv,
)
from dtao_agents.evaluation.reports import CAVEAT, LEARNED, report
from dtao_agents.roles.builder import BUILDER
from dtao_agents.roles.builder_policies import SCRIPTED as BUILDERS
from dtao_agents.roles.builder_policies import constant
from dtao_agents.roles.episodes import EpisodeMetrics, started_episodes
from dtao_agents.roles.staker import STAKER
from dtao_agents.roles.staker_policies import SCRIPTED as STAKERS
from rich.console import Console

from dtao_gym.envs.staker.role import target_action
from dtao_gym.world.config import Config
from tests.agents.worlds import FEE_ARM, WORLD, builder_settings, settings

CONFIG = evaluation_config(settings().env)


def all_in(observation, batch, rngs):
    """Everything into the first subnet, at once."""
    weights = np.zeros((batch.n_worlds, batch.layout.n_subnets + 1))
    weights[:, 1] = 1.0
    return target_action(weights)


def test_doing_nothing_earns_root_and_trades_nothing():
    outcome = play(STAKERS["all_root"], CONFIG, range(3))
    assert (outcome.values["log_growth"] > 0.0).all()
    assert not outcome.values["turnover"].any()
    np.testing.assert_allclose(outcome.values["max_drawdown"], 0.0, atol=1e-6)
    np.testing.assert_allclose(
        outcome.values["final_wealth"], 1000.0 * np.exp(outcome.values["log_growth"])
    )


def test_figures_agree_with_the_path_of_wealth():
    outcome = play(all_in, CONFIG, range(2))
    assert outcome.path.shape == (WORLD["horizon_days"] + 1,)
    assert outcome.path[0] == 0.0
    assert outcome.path[-1] == pytest.approx(outcome.values["log_growth"].mean())
    one = play(all_in, CONFIG, range(1))
    falls = 1.0 - np.exp(one.path - np.maximum.accumulate(one.path))
    assert one.values["max_drawdown"][0] == pytest.approx(falls.max())
    assert one.values["max_drawdown"][0] > 0.0
    # everything is bought once, on the first of 20 days, and some fees and impact are lost on the way
    assert one.values["turnover"][0] == pytest.approx(365.0 / 20, rel=0.05)


def test_a_ruined_staker_stays_as_it_was():
    config = Config.make(CONFIG, ruin_fraction=0.9999)
    outcome = play(all_in, config, range(2))
    assert outcome.path.size == 21
    assert (outcome.values["log_growth"] < 0.0).all()
    assert outcome.path[1] == outcome.path[-1]
    assert (
        outcome.values["turnover"] > 300.0
    ).all()  # all of wealth on the only day that was lived


def test_results_do_not_depend_on_the_size_of_batches(monkeypatch):
    whole = play_in_batches(STAKERS["random"], CONFIG, 5, threads=1)
    monkeypatch.setattr(evaluating, "WORLDS_PER_BATCH", 2)
    parts = play_in_batches(STAKERS["random"], CONFIG, 5, threads=1)
    for name in STAKER.metrics:
        np.testing.assert_array_equal(whole.values[name], parts.values[name])
    np.testing.assert_allclose(whole.path, parts.path)


def test_evaluation_worlds_are_the_other_split_whatever_the_training_seed():
    assert CONFIG.split == "evaluation"
    shifted = settings(env=WORLD | {"world_seed": 99}).env
    assert evaluation_config(shifted) == CONFIG


def outcomes_of(growths: dict[str, list[float]]) -> dict[str, EpisodeMetrics]:
    """Made-up outcomes with given growths."""
    made = {}
    for name, growth in growths.items():
        values = np.array(growth)
        columns = (values, 1000.0 * np.exp(values), values * 0.0, values * 0.0)
        found = dict(zip(STAKER.metrics, columns, strict=True))
        made[name] = EpisodeMetrics(found, np.zeros(3))
    return made


def test_differences_are_paired_by_seed():
    base = [0.0, 1.0, 5.0, -2.0]
    found = compare(outcomes_of({LEARNED: [x + 0.1 for x in base], "all_root": base}))
    # unpaired, a difference of 0.1 would drown in the spread of the seeds
    paired = found["learned_minus"]["all_root"]
    assert paired == pytest.approx({"value": 0.1, "low": 0.1, "high": 0.1})
    estimate = found["policies"]["all_root"]["log_growth"]
    assert estimate["value"] == 1.0
    assert estimate["low"] < -1.0 < 3.0 < estimate["high"]
    assert found["policies"]["all_root"]["log_growth_iqm"]["value"] == 0.5


def verdict_of(growths: dict[str, list[float]]) -> dict:
    head = {"role": "staker", "days": 20, "evaluation_seeds": [0, 3], "caveat": CAVEAT}
    return head | compare(outcomes_of(growths))


def test_report_fits_and_says_plainly_what_is_beaten(capsys):
    growths = {name: [0.1, 0.2, 0.3, 0.4] for name in STAKERS}
    growths |= {LEARNED: [0.2, 0.3, 0.4, 0.5], "random": [0.2, 0.3, 0.4, 0.5]}
    report(verdict_of(growths), Console(width=100))
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [(line.split() or [""])[0] for line in lines]
    assert all(heads.count(name) == 1 for name in growths if name != LEARNED)
    assert "learned beats random: NO (paired lower bound +0.000)" in text
    assert "learned beats all_root: yes (paired lower bound +0.100)" in text
    assert "one training run" in text
    assert set(STAKER.to_beat) <= set(STAKERS)


def test_rows_hold_every_seed_of_every_policy():
    rows = list(
        csv.DictReader(
            to_csv(
                {
                    name: [it]
                    for name, it in outcomes_of({LEARNED: [0.1, 0.2], "random": [1 / 3, 0]}).items()
                }
            ).splitlines()
        )
    )
    assert [(row["policy"], row["seed"]) for row in rows] == [
        (LEARNED, "0"),
        (LEARNED, "1"),
        ("random", "0"),
        ("random", "1"),
    ]
    assert float(rows[2]["log_growth"]) == 1 / 3
    json.dumps(verdict_of({LEARNED: [0.1, 0.2], **{name: [0.0, 0.0] for name in STAKER.to_beat}}))


# --- builders

BUILDER_CONFIG = evaluation_config(
    builder_settings(env=FEE_ARM | {"horizon_cap_days": 200}).env, "builder"
)


def test_a_builder_is_judged_by_consumption_until_drawn_ends():
    """Whatever training rewarded."""
    trained = builder_settings(env=FEE_ARM | {"twin_world": True, "reward_noise": True}).env
    config = evaluation_config(trained, "builder")
    assert (config.split, config.horizon) == ("evaluation", "geometric")
    assert [config.twin_world, config.reward_noise, config.terminal_value] == [False] * 3
    outcome = play(constant(0.4), BUILDER_CONFIG, range(4), role="builder")
    np.testing.assert_allclose(outcome.values["research_share"], 0.4, atol=1e-6)
    assert outcome.path[-1] == pytest.approx(outcome.values["consumption"].mean())
    assert (outcome.values["days"] <= 200).all()
    assert not outcome.values["dissolved"].any()
    worlds = started_episodes("builder", BUILDER_CONFIG, range(4))
    last = worlds.batch.state.worlds["last_day"]
    np.testing.assert_array_equal(outcome.values["days"], last)


def test_results_of_builders_do_not_depend_on_the_size_of_batches(monkeypatch):
    whole = play_in_batches(BUILDERS["random"], BUILDER_CONFIG, 5, 1, "builder")
    monkeypatch.setattr(evaluating, "WORLDS_PER_BATCH", 2)
    parts = play_in_batches(BUILDERS["random"], BUILDER_CONFIG, 5, 1, "builder")
    for name in BUILDER.metrics:
        np.testing.assert_array_equal(whole.values[name], parts.values[name])
    np.testing.assert_allclose(whole.path, parts.path)


def test_nothing_counts_after_a_dissolution():
    crowd = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}
    env = {
        "n_subnets": 4,
        "days_per_step": 3,
        "prune_lottery_sd": 2.0,
        "horizon_cap_days": 90,
    } | crowd
    config = evaluation_config(builder_settings(env=env).env, "builder")
    outcome = play(BUILDERS["half"], config, range(12), role="builder")
    assert 0 < outcome.values["dissolved"].sum() <= 12
    worlds = started_episodes("builder", config, range(12))
    for _ in range(30):
        worlds.step(BUILDERS["half"](worlds.observe(), worlds.batch, []))
    # undiscounted under drawn ends, and of the first owner alone
    payoff = worlds.batch.state.row("first_owner_payoff")[:, 0]
    np.testing.assert_allclose(outcome.values["consumption"], payoff, rtol=1e-9)
    assert (worlds.batch.state.row("consumed")[:, 0] > payoff + 1.0).any()


@pytest.mark.parametrize(
    ("share", "within"), [(0.5, True), (0.54, True), (0.56, False), (0.1, False)]
)
def test_the_learned_share_is_held_against_the_closed_form(share, within):
    values = {"research_share": np.array([share, share]), "days": np.array([10.0, 30.0])}
    found = BUILDER.analyse(EpisodeMetrics(values, np.zeros(1)), BUILDER_CONFIG)["research"]
    assert found["closed_form_share"] == pytest.approx(0.5)
    assert found["difference"] == pytest.approx(np.log(share / (1 - share)), abs=1e-9)
    assert found["within_tolerance"] == within
    alpha = Config.make(BUILDER_CONFIG, payment="alpha")
    analysis = BUILDER.analyse(EpisodeMetrics(values, np.zeros(1)), alpha)
    assert "closed_form_share" not in analysis["research"]


def test_report_on_a_builder_fits_and_gives_the_share(capsys):
    outcomes = {
        name: play(policy, BUILDER_CONFIG, range(3), role="builder")
        for name, policy in {LEARNED: constant(0.3), **BUILDERS}.items()
    }
    verdict = {"role": "builder", "evaluation_seeds": [0, 2], "caveat": CAVEAT}
    verdict |= compare(outcomes, "builder")
    verdict |= BUILDER.analyse(outcomes[LEARNED], BUILDER_CONFIG)
    report(verdict, Console(width=100))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    assert "learned research share: 0.300 (log-odds -0.847); closed form 0.500 (+0.000)" in text
    assert "log-odds: NO (difference -0.847)" in text
    assert set(BUILDER.to_beat) <= set(BUILDERS)
