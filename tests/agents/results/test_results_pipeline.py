"""The whole of it at a tiny size: the page, the policies, what is kept, what a kill leaves."""

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from dtao_agents.cache import Store
from dtao_agents.evaluation.evaluate import evaluation_config, play_in_batches
from dtao_agents.evaluation.policy_files import load_policy
from dtao_agents.evaluation.registry import policies_of, registered
from dtao_agents.evaluation.statistics import bootstrap
from dtao_agents.results.pipeline import make_results
from dtao_agents.results.plan import make_results_plan
from dtao_agents.results.pretrained import evaluate_again, published_number, read_published
from dtao_agents.results.tasks import Task, run_tasks

from tests.agents.results.small_plan import content, small_plan
from tests.agents.worlds import settings

REPOSITORY = Path(__file__).resolve().parents[3]


def run(plan, folder):
    """Lines that were said, and the findings."""
    said: list[str] = []
    found = make_results(
        plan, folder / "run", folder / "RESULTS.md", folder / "policies", said.append
    )
    return said, found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, its folder and its findings."""
    folder = tmp_path_factory.mktemp("results")
    _, found = run(small_plan(folder), folder)
    return folder, found


def files_of(folder: Path) -> dict[Path, int]:
    """Everything that was kept, and when it was written."""
    kept = [*(folder / "cache").iterdir(), *(folder / "trainings").rglob("*")]
    return {path: path.stat().st_mtime_ns for path in kept}


def test_the_page_has_its_tables_within_100_columns(finished):
    folder, _ = finished
    page = (folder / "RESULTS.md").read_text()
    lines = page.splitlines()
    long = [line for line in lines if len(line) > 100 and str(folder) not in line]
    assert not long
    for title in ("Learned against scripted", "Networks", "Arena", "Exploits", "Made with"):
        assert f"## {title}" in page
    for name in policies_of("staker"):
        assert re.search(rf"^\| {name} +\|", page, re.MULTILINE)
    for fact in ("make results", "training seeds: 0, 1", "SHA-256", "commit", "numba"):
        assert fact in page


def test_intervals_are_over_training_seeds_and_defeats_are_told(finished):
    folder, found = finished
    home = found.homes["staker"]
    config = evaluation_config(settings().env)
    learned = []
    for seed in (0, 1):
        (place,) = (folder / "run" / "trainings").glob(f"staker-seed{seed}-*")
        outcome = play_in_batches(load_policy(place), config, 4, 1)
        learned.append(outcome.values["log_growth"].mean())
    np.testing.assert_allclose(found.by_training_seed(home, "staker"), learned, rtol=1e-9)
    other = play_in_batches(registered("staker", "value").policy, config, 4, 1)
    expected = bootstrap(np.array(learned) - other.values["log_growth"].mean())
    np.testing.assert_allclose(found.minus(home, "staker", "value"), expected, rtol=1e-9)
    verdict = found.verdict(home, "staker")
    page = " ".join((folder / "RESULTS.md").read_text().split())
    assert verdict.not_beaten  # after a thousand steps
    assert f"staker does not beat {', '.join(verdict.not_beaten)}." in page
    for name in verdict.not_beaten:
        assert not found.minus(home, "staker", name).low > 0.0
    beaten = set(policies_of("staker")) - set(verdict.not_beaten)
    assert all(found.minus(home, "staker", name).low > 0.0 for name in beaten)


def test_a_ceiling_is_shown_but_need_not_be_beaten(finished):
    folder, found = finished
    home = found.homes["fees"]
    assert "closed_form" in found.others(home)
    assert "closed_form" not in found.verdict(home, "fees").not_beaten
    assert "closed_form (ceiling)" in (folder / "RESULTS.md").read_text()
    assert "0.500 in closed form" in (folder / "RESULTS.md").read_text()


def test_networks_are_paired_by_training_seed(finished):
    _, found = finished
    first, second = (found.by_training_seed(found.homes[n], n) for n in ("staker", "plain"))
    pair = found.paired(found.plan.comparisons[0])
    assert pair.difference == bootstrap(first - second)
    expected = "staker" if pair.difference.low > 0 else "plain"
    if pair.difference.low <= 0 <= pair.difference.high:
        expected = "no difference shown"
    assert pair.better == expected


def test_learned_policies_play_the_arena_where_they_fit(finished):
    folder, _ = finished
    rows = list(csv.DictReader((folder / "run" / "arena.csv").read_text().splitlines()))
    seeds = {(row["scenario"], row["training_seed"]) for row in rows if row["policy"] == "staker"}
    assert seeds == {(s, k) for s in ("staker", "rich", "other_owners") for k in ("0", "1")}
    assert not [row for row in rows if row["policy"] == "plain" and row["scenario"] != "plain"]
    assert "No learned policy fits." in (folder / "RESULTS.md").read_text()
    results = json.loads((folder / "run" / "results.json").read_text())
    assert set(results["verdicts"]) == {"staker", "plain", "fees", "rich", "other_owners", "many"}


def test_pretrained_policies_are_the_medians_and_are_found_anew(finished):
    folder, found = finished
    assert {path.name for path in (folder / "policies").iterdir()} == {"staker", "fees"}
    for name in ("staker", "fees"):
        published, content = read_published(folder / "policies" / name)
        means = found.by_training_seed(found.homes[name], name)
        assert published.value == min(means)  # the lower of the two in the middle
        assert means[published.training_seed] == published.value
        assert evaluate_again(folder / "policies" / name) == pytest.approx(published.value)
        assert published_number(published.value) in (folder / "RESULTS.md").read_text()
        assert content["role"] == found.homes[name].role


def test_a_second_run_does_nothing(finished):
    folder, found = finished
    before, page = files_of(folder / "run"), (folder / "RESULTS.md").read_bytes()
    said, _ = run(found.plan, folder)
    assert len(said) == 1
    assert files_of(folder / "run") == before
    assert (folder / "RESULTS.md").read_bytes() == page


def test_a_changed_row_is_done_again_and_no_other(finished, tmp_path):
    folder, found = finished
    fields = content(folder)
    fields["rows"][2]["overrides"] = {"learning_rate": 0.001}
    before = files_of(folder / "run")
    said, _ = run(make_results_plan(fields), folder)
    done = [line.split("  ")[-1] for line in said[:-1]]
    assert [line for line in done if line.startswith("train")] == [
        "train fees seed 0",
        "train fees seed 1",
    ]
    assert [line for line in done if line.startswith("play")] == [
        "play fees fees seed 0",
        "play fees fees seed 1",
    ]
    after = files_of(folder / "run")
    assert {path: after[path] for path in before} == before
    run(found.plan, folder)  # back to what the other tests expect
    assert (
        evaluate_again(folder / "policies" / "fees")
        == read_published(folder / "policies" / "fees")[0].value
    )


def test_a_training_whose_policy_is_gone_is_done_again(tmp_path):
    fields = content(tmp_path) | {"comparisons": [], "arena": None}
    plan = make_results_plan(fields | {"rows": fields["rows"][:1]})
    run(plan, tmp_path)
    (place,) = (tmp_path / "run" / "trainings").glob("staker-seed1-*")
    before = (place / "policy.safetensors").read_bytes()
    (place / "policy.safetensors").unlink()
    said, _ = run(plan, tmp_path)
    assert [line.split("  ")[-1] for line in said[:-1]] == ["train staker seed 1"]
    assert (place / "policy.safetensors").read_bytes() == before


def fails(number: int) -> tuple[int, dict]:
    """A task that does not end well."""
    raise ValueError(f"task {number} is broken")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_failure_is_told_and_not_kept(tmp_path, workers):
    tasks = [Task(f"bad {k}", f"key{k}", fails, (k,)) for k in range(2)]
    with pytest.raises(ValueError, match="is broken"):
        run_tasks(tasks, Store(tmp_path), workers, lambda task, done: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tmp_path):
    """Two processes train; all is killed in the middle of both; the same command ends as one that was left alone."""
    fields = content(tmp_path, workers=2, comparisons=[], arena=None)
    long = {"total_timesteps": 8_192}
    fields["rows"] = [fields["rows"][0] | {"overrides": long}]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(fields))
    places = {}
    for name in ("killed", "whole"):
        parts = {"folder": name, "out": f"{name}.md", "policies": f"{name}_policies"}
        places[name] = [
            x for flag, part in parts.items() for x in (f"--{flag}", f"{tmp_path}/{part}")
        ]
    command = [sys.executable, "-m", "dtao_agents.results", "--config", f"{tmp_path}/plan.yaml"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, *places["killed"]], cwd=REPOSITORY, env=environment)
    trainings = tmp_path / "killed" / "trainings"
    deadline = time.monotonic() + 300
    while len({path.parent for path in trainings.glob("*/checkpoints/step_*")}) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.0)  # workers end with their parent
    steps = [
        max(int(p.stem[5:]) for p in place.glob("checkpoints/step_*"))
        for place in trainings.iterdir()
    ]
    assert all(0 < done < long["total_timesteps"] for done in steps)
    logs = {place: (place / "metrics.csv").stat().st_mtime_ns for place in trainings.iterdir()}
    time.sleep(1.0)
    assert logs == {place: (place / "metrics.csv").stat().st_mtime_ns for place in logs}
    assert not (tmp_path / "killed.md").exists()

    for name in ("killed", "whole"):
        subprocess.run([*command, *places[name]], cwd=REPOSITORY, env=environment, check=True)
    weights = {
        name: sorted(
            hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (tmp_path / name / "trainings").glob("*/policy.safetensors")
        )
        for name in places
    }
    assert len(weights["whole"]) == 2
    assert weights["killed"] == weights["whole"]
    published = [read_published(tmp_path / f"{name}_policies" / "staker")[0] for name in places]
    assert published[0] == published[1]
    record = json.loads((tmp_path / "killed" / "results.json").read_text())
    assert all(training["resumed"] for training in record["trainings"]["staker"])
