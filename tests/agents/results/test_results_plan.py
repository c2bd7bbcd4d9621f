"""Plans: what is wrong is named before anything is trained."""

from pathlib import Path

import pytest
import yaml
from dtao_agents.results.kinds import KINDS, kind_of, settings_of
from dtao_agents.results.pipeline import training_task
from dtao_agents.results.plan import make_results_plan, read_results_plan

from dtao_gym.world.config import ConfigError
from tests.agents.results.small_plan import content, small_plan

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training_seeds": [0]}, r"training_seeds: got \[0\]"),
        ({"training_seeds": [0, 0]}, r"training_seeds: got \[0, 0\], allowed is each once"),
        ({"worker": 2}, "worker: unknown setting"),
        ({"rows": []}, "rows: got"),
        (
            {"comparisons": [{"name": "x", "first": "staker", "second": "nobody"}]},
            "comparison x: got 'nobody'",
        ),
    ],
)
def test_bad_plans_are_named(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        small_plan(tmp_path, **changes)


def test_rows_have_names_of_their_own(tmp_path):
    fields = content(tmp_path)
    with pytest.raises(ConfigError, match="each name once"):
        make_results_plan(fields | {"rows": [fields["rows"][0], fields["rows"][0]]})
    rich = fields["rows"][0] | {"name": "rich"}
    with pytest.raises(ConfigError, match="scenario rich: got the name of a row"):
        make_results_plan(fields | {"rows": [rich], "comparisons": []})


def test_an_unknown_kind_or_setting_is_named(tmp_path):
    plan = small_plan(tmp_path)
    with pytest.raises(ConfigError, match="row staker: kind: got 'genetic', allowed are single"):
        kind_of(plan.rows[0].model_copy(update={"kind": "genetic"}))
    row = plan.rows[0].model_copy(update={"overrides": {"hiden": 3}})
    with pytest.raises(ConfigError, match="row staker: hiden: unknown setting"):
        settings_of(plan, row, 0)


def test_overrides_lie_over_the_file(tmp_path):
    plan = small_plan(tmp_path)
    row = plan.rows[0].model_copy(update={"overrides": {"hidden": 5, "env": {"n_subnets": 6}}})
    made = settings_of(plan, row, 3)
    assert (made.hidden, made.seed, made.env.n_subnets, made.env.horizon_days) == (5, 3, 6, 20)


def test_only_what_decides_enters_the_hash_of_a_training(tmp_path):
    plan = small_plan(tmp_path)
    row = plan.rows[0]

    def key(row, seed=0, **changes):
        return training_task(plan.model_copy(update=changes), row, seed, tmp_path).key

    first = key(row)
    assert first == key(row, workers=2, threads=2, evaluation_seeds=7)
    assert first == key(row.model_copy(update={"name": "other", "publish": False}))
    assert first != key(row, seed=1)
    assert first != key(row.model_copy(update={"overrides": {"learning_rate": 0.1}}))


def test_the_published_plan_is_what_it_says(monkeypatch):
    """Five training seeds, and networks compared at 16 and 64 subnets with nothing else changed."""
    monkeypatch.chdir(REPOSITORY)
    plan = read_results_plan("configs/results.yaml")
    assert plan.training_seeds == (0, 1, 2, 3, 4)
    rows = {row.name: row for row in plan.rows}
    assert all(row.kind in KINDS for row in plan.rows)
    subnets = []
    for pair in plan.comparisons:
        first, second = (settings_of(plan, rows[name], 0) for name in (pair.first, pair.second))
        assert (first.network, second.network) == ("shared", "mlp")
        assert first == second.model_copy(update={"network": "shared"})
        subnets.append(first.env.n_subnets)
    assert subnets == [16, 64]
    assert plan.scenarios()


def test_a_file_that_is_no_plan_is_named(tmp_path):
    path = tmp_path / "results.yaml"
    path.write_text("- 1")
    with pytest.raises(ConfigError, match=r"results\.yaml: got list"):
        read_results_plan(path)
    path.write_text(yaml.safe_dump({"rows": [{"name": "a"}]}))
    with pytest.raises(ConfigError, match=r"results\.yaml: rows\.0\.config"):
        read_results_plan(path)
