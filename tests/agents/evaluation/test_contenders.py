"""Policies of several folders: what their world is, their names, and which can be compared."""

import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from dtao_agents.evaluation.contenders import (
    check_comparable,
    contender,
    find_folder,
    names_of,
    packaged_names,
    same_world,
)
from dtao_agents.evaluation.evaluate import compare, evaluate_folders
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.reports import report, report_several, unbeaten_line
from dtao_agents.package_data import POLICIES
from dtao_agents.roles.staker import STAKER
from rich.console import Console

from tests.agents.evaluation.test_evaluate import outcomes_of, verdict_of

STAKER_FOLDER, BUILDER_FOLDER = POLICIES / "staker_quickstart", POLICIES / "builder_fee"
WORLD = {"n_subnets": 4, "horizon_days": 10, "spans_per_day": 1, "genesis": "mainnet-2026-06-14"}


def copied(folder: Path, **changes) -> Path:
    """The pretrained staker in another folder, with another published.json; None: without one."""
    shutil.copytree(STAKER_FOLDER, folder)
    path = folder / "published.json"
    content = json.loads(path.read_text())
    path.unlink()
    if changes.get("world", WORLD) is not None:
        path.write_text(json.dumps(content | {"world": WORLD} | changes))
    return folder


def test_a_pretrained_policy_is_played_in_its_published_world():
    found = contender(STAKER_FOLDER)
    world = json.loads((STAKER_FOLDER / "published.json").read_text())["world"]
    assert {name: getattr(found.task, name) for name in world} == world
    assert (found.task.split, found.episodes, found.task_known) == ("evaluation", 256, True)


def test_two_files_alone_are_played_in_the_world_of_another_or_the_default_one(tmp_path):
    alone, known = copied(tmp_path / "alone", world=None), copied(tmp_path / "known")
    found = contender(alone)
    assert (found.task_known, found.task.n_subnets) == (False, 16)
    first, second = same_world([found, contender(known)])
    assert first.task == second.task == contender(known).task
    assert first.policy.architecture.n_subnets == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"role": "pkg.mod:ROLE"}, "role: got 'pkg.mod:ROLE', which would be imported"),
        ({"world": WORLD | {"allocation": "a:b"}}, "world.allocation: got 'a:b', which would be"),
        ({"world": WORLD | {"n_subnet": 3}}, "n_subnet: unknown parameter"),
        ({"world": 3}, "published.json: cannot be read: TypeError"),
        ({"evaluation_seeds": 1}, "evaluation_seeds: got 1, allowed are 2 to 65536"),
        ({"role": "builder"}, "policy.json and published.json are of different roles"),
    ],
)
def test_bad_published_files_are_named(tmp_path, changes, message):
    with pytest.raises(PolicyError, match=message) as caught:
        contender(copied(tmp_path / "mine", **changes))
    assert "\n" not in str(caught.value)


def test_packaged_policies_are_found_by_name():
    assert packaged_names() == [
        "builder_fee",
        "builder_market",
        "multi_agent/builder",
        "multi_agent/staker",
        "staker_quickstart",
    ]
    for name in packaged_names():
        assert find_folder(Path(name)) == POLICIES / name


def test_policies_are_named_after_folders_as_far_as_that_tells_them_apart(tmp_path):
    one, two = copied(tmp_path / "a" / "run"), copied(tmp_path / "b" / "run")
    made = [contender(one), contender(two)]
    assert names_of(made) == ["a/run", "b/run"]
    assert names_of(made[:1]) == ["run"]
    assert names_of(made[:1], ["run"]) == ["a/run"]
    with pytest.raises(PolicyError, match="allowed is each folder once"):
        names_of([made[0], made[0]])


def test_what_cannot_be_compared_is_refused():
    staker, builder = contender(STAKER_FOLDER), contender(BUILDER_FOLDER)
    with pytest.raises(PolicyError, match="builder_fee: got a builder, allowed is a staker"):
        check_comparable([staker, builder])
    with pytest.raises(PolicyError, match="builder_market: action_size: got 4, allowed is 1"):
        same_world([builder, contender(POLICIES / "builder_market")])


def test_several_policies_share_a_table_and_its_worlds(tmp_path):
    one, two = copied(tmp_path / "one"), copied(tmp_path / "two")
    verdict = evaluate_folders([one, two], episodes=3)
    assert verdict["evaluation_seeds"] == [0, 2]
    assert set(verdict["policies"]) == {"one", "two", *STAKER.scripted}
    assert verdict["policies"]["one"] == verdict["policies"]["two"]
    assert verdict["learned_minus"]["one"]["two"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    console = Console(width=100, file=StringIO())
    report_several(verdict, console)
    text = console.file.getvalue()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("one does NOT beat ")
    assert "two +0.0000" in lines[0]
    assert {path.name for path in one.iterdir()} == {path.name for path in STAKER_FOLDER.iterdir()}


def test_every_policy_that_is_not_beaten_is_named():
    minus = {"a": {"low": 0.1}, "b": {"low": 0.0}, "c": {"low": float("nan")}, "d": {"low": -2.5}}
    assert unbeaten_line("learned", minus, ["d"]) == (
        "learned does NOT beat 3 of 4 (paired lower bounds): b +0.0000, c +nan, d (a ceiling) -2.5000."
    )
    beaten = "learned beats all 1 others (paired lower bounds above 0)."
    assert unbeaten_line("learned", {"a": {"low": 0.1}}) == beaten


@pytest.mark.parametrize("width", [100, 80, 60])
def test_the_report_begins_with_them_and_fits(width):
    growths = {name: [0.1, 0.2, 0.3, 0.4] for name in STAKER.scripted}
    growths |= {"learned": [0.2, 0.3, 0.4, 0.5], "value": [0.9, 0.9, 0.9, 0.9]}
    console = Console(width=width, file=StringIO())
    report(verdict_of(growths), console)
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("learned does NOT beat 1 of ")
    assert "value" in " ".join(lines[:2])
    assert max(map(len, lines)) <= width
    row = next(line for line in lines if line.startswith("equal_weight"))
    assert "+0.25 [+0.15, +0.35]" in row
    left_out = {100: "", 80: "IQM", 60: "IQM, wealth, drawdown, turnover"}[width]
    said = f"Left out, for want of width: {left_out}." if left_out else "minus: paired by seed."
    assert said in " ".join(" ".join(lines).split())
    assert bool(left_out) == any(line.startswith("Left out") for line in lines)


def test_differences_are_to_the_named_policy():
    found = compare(outcomes_of({"x": [0.2, 0.3], "all_root": [0.1, 0.2]}), "staker", "x")
    assert found["learned_minus"].keys() == {"all_root"}
    assert found["learned_minus"]["all_root"]["value"] == pytest.approx(0.1)
