"""Training seeds in one comparison: intervals are over training seeds, never over episodes of one policy."""

import csv
import json
import shutil
from io import StringIO

import numpy as np
import pytest
from dtao_agents.commands import evaluate as command
from dtao_agents.evaluation.entrants import (
    compare_entrants,
    difference,
    entrant,
    estimate,
    find_entrant,
    mean_path,
)
from dtao_agents.evaluation.evaluate import evaluate, evaluate_folders
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.reports import LEARNED, report
from dtao_agents.evaluation.statistics import bootstrap, interquartile_mean
from dtao_agents.package_data import POLICIES
from dtao_agents.roles.episodes import EpisodeMetrics
from dtao_agents.roles.staker import STAKER
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.seeds import train_one
from rich.console import Console

from tests.agents.evaluation.test_evaluate import outcomes_of
from tests.agents.worlds import WORLD, builder_settings, settings


def episodes(*growths: list[float]) -> list[EpisodeMetrics]:
    """Made-up episodes with given growths, one list for each training seed."""
    return [outcomes_of({"x": growth})["x"] for growth in growths]


SEEDS = episodes([0.0, 2.0], [1.0, 3.0], [4.0, 8.0])


def test_a_training_seed_counts_by_its_mean_over_episodes():
    assert estimate(SEEDS, "log_growth") == bootstrap(np.array([1.0, 2.0, 6.0]))
    assert estimate(SEEDS[:1], "log_growth") == bootstrap(np.array([0.0, 2.0]))
    middle = estimate(SEEDS, "log_growth", interquartile_mean)
    assert middle == bootstrap(np.array([1.0, 2.0, 6.0]))


def test_a_policy_without_training_seeds_is_a_number_to_subtract():
    other = episodes([0.5, 1.5])
    assert difference(SEEDS, other, "log_growth") == bootstrap(np.array([0.0, 1.0, 5.0]))
    assert difference(other, SEEDS, "log_growth") == bootstrap(-np.array([0.0, 1.0, 5.0]))
    assert difference(other, SEEDS[:1], "log_growth") == bootstrap(np.array([0.5, -0.5]))


def test_the_same_training_seeds_are_paired_and_others_are_not():
    shifted = episodes([0.1, 2.1], [1.1, 3.1], [4.1, 8.1])
    paired = difference(shifted, SEEDS, "log_growth")
    assert paired == pytest.approx((0.1, 0.1, 0.1))
    apart = difference(shifted, SEEDS, "log_growth", paired=False)
    assert apart.value == pytest.approx(0.1)
    # as wide as two independent means: the seeds have the means 1, 2, 6
    assert apart.low < -2.0 < 2.0 < apart.high
    fewer = difference(shifted, SEEDS[:2], "log_growth")
    assert fewer.value == pytest.approx(3.1 - 1.5)


def test_pairing_follows_from_the_training_seeds():
    played = {
        "a": SEEDS,
        "b": episodes([0.1, 2.1], [1.1, 3.1], [4.1, 8.1]),
        "root": episodes([0.0, 0.0]),
    }
    same = compare_entrants(played, "staker", "b", {"a": (0, 1, 2), "b": (0, 1, 2)})
    assert same["learned_minus"]["a"] == pytest.approx({"value": 0.1, "low": 0.1, "high": 0.1})
    others = compare_entrants(played, "staker", "b", {"a": (0, 1, 2), "b": (5, 6, 7)})
    assert others["learned_minus"]["a"]["low"] < -2.0


def test_shorter_paths_stay_at_their_end():
    made = [EpisodeMetrics({}, np.array(path)) for path in ([0.0, 1.0], [0.0, 2.0, 4.0])]
    np.testing.assert_array_equal(mean_path(made), [0.0, 1.5, 2.5])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two training seeds of a staker."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    for seed in (3, 4):
        train_one(settings(seed=seed), folder / f"seed_{seed}")
    return folder


def test_training_seeds_are_evaluated_as_one(trained):
    verdict = evaluate(trained, episodes=3)
    assert json.loads((trained / "evaluation.json").read_text()) == json.loads(json.dumps(verdict))
    assert verdict["training_seeds"] == (3, 4)
    means = [verdict["by_training_seed"][seed]["mean"] for seed in ("3", "4")]
    for seed, mean in zip((3, 4), means, strict=True):
        alone = evaluate(trained / f"seed_{seed}", episodes=3)
        assert alone["policies"][LEARNED]["log_growth"]["value"] == pytest.approx(mean)
    own = verdict["policies"][LEARNED]["log_growth"]
    assert own == pytest.approx(bootstrap(np.array(means))._asdict())
    with (trained / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    mine = [row["training_seed"] for row in rows if row["policy"] == LEARNED]
    assert mine == ["3"] * 3 + ["4"] * 3
    assert {row["training_seed"] for row in rows if row["policy"] != LEARNED} == {""}
    console = Console(width=100, file=StringIO())
    report(verdict, console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    assert "by training seed 3, 4: " in text
    assert "over training seeds (learned: 2)" in text


def test_runs_seeds_and_policies_share_a_table(trained, capsys):
    command.main([str(trained), str(trained / "seed_3"), "staker_quickstart", "--episodes", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [(line.split() or [""])[0] for line in lines]
    table = heads[heads.index("policy") :]
    names = ("mine", "seed_3", "staker_quickstart", *STAKER.scripted)
    assert all(table.count(name) == 1 for name in names)
    verdict = evaluate_folders([trained, trained / "seed_3"], episodes=3)
    assert "(mine: 2)" in verdict["caveat"]
    assert list(verdict["several"]) == ["mine", "seed_3"]


def test_seeds_that_cannot_be_pooled_are_named(trained, tmp_path):
    assert find_entrant(trained) == trained
    assert find_entrant(POLICIES / "staker_quickstart") == POLICIES / "staker_quickstart"
    shutil.copytree(trained / "seed_3", tmp_path / "seed_3")
    with pytest.raises(PolicyError, match=r"got one training seed, allowed is it alone: .*seed_3"):
        entrant(tmp_path)
    unfinished = tmp_path / "seed_4"
    unfinished.mkdir()
    (unfinished / "config.yaml").write_text(settings(seed=4).to_yaml())
    with pytest.raises(PolicyError, match=r"seed_4/policy\.json: is missing, for the training has"):
        entrant(tmp_path)
    shutil.rmtree(unfinished)
    train_one(settings(seed=4, env=WORLD | {"wealth_tao": 5.0}), unfinished)
    with pytest.raises(PolicyError, match="got training seeds of different worlds"):
        entrant(tmp_path)
    for seed in (3, 4):
        made = MultiAgentConfig.make({"stakers": 2, "seed": seed})
        (tmp_path / f"seed_{seed}" / "config.yaml").write_text(made.to_yaml())
    with pytest.raises(SystemExit) as stopped:
        command.main([str(tmp_path)])
    assert "got several seeds of many learners, allowed is one of them" in str(stopped.value.code)


def test_a_run_of_many_learners_is_refused_among_others(tmp_path):
    (tmp_path / "config.yaml").write_text(MultiAgentConfig.make({"stakers": 2}).to_yaml())
    shutil.copytree(POLICIES / "multi_agent" / "staker", tmp_path / "staker")
    for more in ([], ["--replay"]):
        with pytest.raises(SystemExit) as stopped:
            command.main([str(tmp_path), "staker_quickstart", *more])
        assert str(stopped.value.code) == (
            f"error: {tmp_path}: got a run of many learners, allowed is one policy of it: {tmp_path}/staker"
        )


def test_builders_show_the_share_of_each_training_seed(tmp_path):
    for seed in (0, 1):
        train_one(builder_settings(seed=seed, total_timesteps=128), tmp_path / f"seed_{seed}")
    console = Console(width=100, file=StringIO())
    report(evaluate(tmp_path, episodes=2), console)
    text = console.file.getvalue()
    assert "seed 0: learned research share: " in text
    assert "seed 1: learned research share: " in text
