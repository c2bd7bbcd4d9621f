"""The leaderboard: its page, its agreement with RESULTS.md, and how a policy gets its rows."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from dtao_agents.commands import evaluate, leaderboard
from dtao_agents.evaluation.arena import play_entry
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.registry import registered
from dtao_agents.evaluation.statistics import bootstrap, span
from dtao_agents.package_data import POLICIES
from dtao_agents.results.leaderboard import (
    ARENAS,
    RECORD,
    Row,
    arena_table,
    from_results,
    measure,
    page,
    read_leaderboard,
)
from dtao_agents.results.page import score_forms
from dtao_agents.results.plan import read_results_plan
from dtao_agents.roles.registry import agent_role

from dtao_gym.world.config import ConfigError
from tests.agents.worlds import settings

ROOT = Path(__file__).resolve().parents[3]
BOARD = read_leaderboard()


def arena_of(name: str):
    return next(arena for arena in BOARD.arenas if arena.scenario.name == name)


def test_the_page_is_that_of_the_record():
    written = (ROOT / "docs" / "leaderboard.md").read_text()
    assert written == page(BOARD), "run: dtao leaderboard --out docs/leaderboard.md"
    text = [line for line in written.splitlines() if not line.startswith("|")]
    assert max(map(len, text)) <= 100


def test_each_arena_is_sorted_and_ceilings_have_no_place():
    for arena in BOARD.arenas:
        rows = [line.strip("| ").split("|") for line in arena_table(arena)[2:-1]]
        scores = [float(row[3].split()[0].replace(",", "")) for row in rows]
        assert scores == sorted(scores, reverse=True)
        places = [row[1].strip() for row in rows if row[2].strip() != "ceiling"]
        assert places == [str(k + 1) for k in range(len(places))]
        assert all(row[1].strip() == "-" for row in rows if row[2].strip() == "ceiling")


@pytest.mark.parametrize("name", ["staker_quickstart", "builder_market", "builder_fee"])
def test_rows_are_those_of_the_results_page(name):
    results = (ROOT / "RESULTS.md").read_text()
    section = re.split(r"\n##", results.partition(f"### {name}\n")[2])[0]
    arena = arena_of(name)
    form, _ = score_forms(arena.scenario)
    (learned,) = [row for row in arena.rows if row.kind == "learned"]
    interval = span(bootstrap(np.array(learned.scores)), form)
    by_seed = ", ".join(f"{score:{form}}" for score in learned.scores)
    assert f"Learned: {interval}; by training seed {by_seed}." in " ".join(section.split())
    shown = dict(re.findall(r"^\| (\w+)(?: \(ceiling\))? +\| +([-+.,\d]+) \|", section, re.M))
    others = {row.policy: f"{row.scores[0]:{form}}" for row in arena.rows if row.kind != "learned"}
    assert shown == others


def test_worlds_are_those_of_the_plan():
    plan = read_results_plan(ROOT / "configs" / "results.yaml")
    scenarios = {scenario.name: scenario for scenario in plan.scenarios()}
    for name in ("root_reborn", "momentum_stakers"):
        assert arena_of(name).scenario.config == scenarios[name].config
    for name in ("staker_quickstart", "builder_market", "builder_fee"):
        published = json.loads((POLICIES / name / "published.json").read_text())
        arena = arena_of(name)
        assert arena.scenario.world == published["world"]
        assert arena.scenario.seeds == published["evaluation_seeds"]
        (learned,) = [row for row in arena.rows if row.kind == "learned"]
        assert learned.scores[published["training_seed"]] == pytest.approx(published["value"])
    assert [arena.scenario.name for arena in BOARD.arenas] == list(ARENAS)


# --- results.json


def results_file(folder: Path) -> Path:
    """A results.json with made-up scores of two policies in every arena."""
    plan = read_results_plan(ROOT / "configs" / "results.yaml")
    scores = []
    for arena in BOARD.arenas:
        metric, name = agent_role(arena.scenario.role).score, arena.scenario.name
        for seed, value in ((0, 1.0), (1, 2.0)):
            scores.append({"scenario": name, "policy": "mine", "kind": "learned", "training_seed": seed, metric: value})  # fmt: skip
        scores.append({"scenario": name, "policy": "half", "kind": "scripted", "training_seed": None, metric: 3.0})  # fmt: skip
    content = {"facts": BOARD.facts, "plan": plan.model_dump(mode="json"), "scores": scores}
    path = folder / "results.json"
    path.write_text(json.dumps(content))
    return path


def test_results_replace_the_rows_and_keep_the_entries(tmp_path):
    mine = Row(policy="theirs", kind="learned", scores=(9.0,))
    arenas = (BOARD.arenas[0].model_copy(update={"entries": (mine,)}), *BOARD.arenas[1:])
    record = tmp_path / "record.json"
    record.write_text(BOARD.model_copy(update={"arenas": arenas}).to_json())
    path, out = results_file(tmp_path), tmp_path / "page.md"
    leaderboard.main(["--record", str(record), "--results", str(path), "--out", str(out)])
    board = read_leaderboard(record)
    assert board.arenas[0].entries == (mine,)
    for arena in board.arenas:
        assert [(row.policy, row.scores) for row in arena.rows] == [
            ("mine", (1.0, 2.0)),
            ("half", (3.0,)),
        ]
        assert arena.scenario.config == arena_of(arena.scenario.name).scenario.config
    assert out.read_text() == page(board)
    assert "| theirs " in out.read_text()


def test_files_that_are_no_results_are_named(tmp_path):
    path = results_file(tmp_path)
    content = json.loads(path.read_text())
    content["scores"] = [row for row in content["scores"] if row["scenario"] != "builder_fee"]
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="got no results of builder_fee"):
        from_results(path)
    for text in ("{}", "[", "3"):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"is no results\.json of `make results`"):
            from_results(path)
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read"):
        read_leaderboard(tmp_path / "none.json")
    broken = json.loads(RECORD.read_text())
    row = broken["arenas"][0]["rows"][0]
    for changed, message in (
        ([row | {"policy": "a|b"}], "arenas.0.rows.0.policy: got 'a|b'"),
        ([row | {"scores": []}], "arenas.0.rows.0.scores: got"),
        ([row, row], "staker_quickstart: got a policy twice"),
    ):
        broken["arenas"][0]["rows"] = changed
        path.write_text(json.dumps(broken))
        with pytest.raises(ConfigError, match=re.escape(message)):
            read_leaderboard(path)


# --- a policy that is to be entered


def test_a_policy_plays_where_it_fits(tmp_path):
    found = measure(Path("builder_fee"), BOARD, episodes=3)
    assert [arena.scenario.name for arena, _ in found] == ["builder_fee"]
    arena = found[0][0]
    few = arena.scenario.model_copy(update={"seeds": 3})
    half = play_entry(few, registered("builder", "half")).values["consumption"].mean()
    ((score,),) = [row.scores for _, row in found]
    assert score == pytest.approx(half, rel=0.01)  # which is what it has learned
    for seed in (0, 1):
        shutil.copytree(POLICIES / "builder_fee", tmp_path / "mine" / f"seed_{seed}")
        made = settings(seed=seed).to_yaml()
        (tmp_path / "mine" / f"seed_{seed}" / "config.yaml").write_text(made)
    ((_, row),) = measure(tmp_path / "mine", BOARD, episodes=3)
    assert row == Row(policy="mine", kind="learned", scores=(score, score))


def test_the_command_prints_the_row_and_the_entry(capsys, tmp_path):
    evaluate.main(["builder_fee", "--leaderboard", "--episodes", "2"])
    shown = capsys.readouterr().out
    assert shown.startswith("Builder: paid by a fee, the optimum known (builder_fee)\n")
    assert "| **policies/builder_fee** " in shown
    assert shown.endswith("On 2 evaluation seeds: to be entered, leave out --episodes.\n")
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.slow
def test_the_entry_of_a_published_policy_is_its_row(capsys, tmp_path):
    evaluate.main(["builder_fee", "--leaderboard"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("builder_")]
    entry = Row.model_validate_json(line.partition(": ")[2])
    seed = json.loads((POLICIES / "builder_fee" / "published.json").read_text())["training_seed"]
    (row,) = [row for row in arena_of("builder_fee").rows if row.kind == "learned"]
    assert entry.scores == pytest.approx((row.scores[seed],))
    arenas = [
        arena.model_copy(update={"entries": (entry,)})
        if arena.scenario.name == "builder_fee"
        else arena
        for arena in BOARD.arenas
    ]
    record = tmp_path / "record.json"
    record.write_text(BOARD.model_copy(update={"arenas": tuple(arenas)}).to_json())
    assert "| policies/builder_fee " in page(read_leaderboard(record))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("staker_quickstart", "value"),
        ("root_reborn", "market_weight"),
        ("momentum_stakers", "value"),
        ("builder_market", "half"),
    ],
)
def test_rows_are_what_the_engine_gives(name, policy):
    scenario = arena_of(name).scenario
    role = agent_role(scenario.role)
    values = play_entry(scenario, registered(scenario.role, policy), 2).values[role.score]
    (row,) = [row for row in arena_of(name).rows if row.policy == policy]
    assert values.mean() == pytest.approx(row.scores[0], rel=1e-9)


def test_what_fits_no_arena_is_refused(tmp_path, capsys):
    with pytest.raises(PolicyError, match="fits no arena, allowed are policies for one of staker_"):
        measure(Path("builder_fee"), BOARD.model_copy(update={"arenas": BOARD.arenas[:1]}))
    (tmp_path / "config.yaml").write_text(settings().to_yaml())
    with pytest.raises(SystemExit) as stopped:
        evaluate.main([str(tmp_path), "--leaderboard"])
    assert "policy.json: is missing, for the training has not finished" in str(stopped.value.code)
    for arguments in (["a", "b"], ["a", "--replay"]):
        with pytest.raises(SystemExit) as stopped:
            evaluate.main([*arguments, "--leaderboard"])
        assert "--leaderboard: got it with" in str(stopped.value.code)
