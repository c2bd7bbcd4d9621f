"""Tasks on every backend: the same results in the same order, whatever is killed meanwhile."""

import json
import os
import pickle
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from dtao_agents import backends
from dtao_agents.backends import BackendError, Task, TaskError, run_tasks
from dtao_agents.cli import run_command
from dtao_agents.probe.cells import all_cells
from dtao_agents.probe.pipeline import run

from tests.agents.backend_tasks import (
    PATIENCE_SECONDS,
    appends,
    dies,
    fails,
    fails_strangely,
    first_waits_for_last,
    prices,
    prices_unless_on,
    sleeps,
    wait_for,
)
from tests.agents.probe.tiny import GATES, tiny_plan
from tests.agents.results.small_plan import content

REPOSITORY = Path(__file__).resolve().parents[2]


def ray_test(test):
    """Mark a test that starts a Ray cluster; warnings of Ray itself are not ours."""
    return pytest.mark.slow(pytest.mark.filterwarnings("default:::ray")(test))


def price_tasks(n: int) -> list[Task]:
    return [Task(f"prices {seed}", prices, {"seed": seed}) for seed in range(n)]


# --- results


def test_results_are_the_same_bytes_in_this_process_and_in_others():
    here, there = (run_tasks(price_tasks(5), backend, 2) for backend in ("local", "processes"))
    assert pickle.dumps(here) == pickle.dumps(there)
    assert len({result["prices"].tobytes() for result in here}) == 5


def test_results_are_in_the_order_of_the_tasks_and_reported_as_they_come(tmp_path):
    reported = []
    path = tmp_path / "last"
    tasks = [
        Task(f"task {k}", first_waits_for_last, {"index": k, "last": 3, "path": path})
        for k in range(4)
    ]
    results = run_tasks(tasks, "processes", 2, lambda *done: reported.append(done))
    assert results == [0, 1, 2, 3]
    assert sorted(reported) == [(k, k) for k in range(4)]
    assert reported[-1] == (0, 0)


@pytest.mark.parametrize("backend", ["local", "processes"])
def test_tasks_share_nothing(backend):
    shared: list[int] = []
    tasks = [Task(f"task {k}", appends, {"values": shared}) for k in range(3)]
    assert run_tasks(tasks, backend, 1) == [[0], [0], [0]]
    assert shared == []


def test_no_tasks_start_nothing():
    assert run_tasks([], "processes", 2) == []


# --- failures


@pytest.mark.parametrize("backend", ["local", "processes"])
def test_an_exception_of_a_task_keeps_its_type_and_names_the_task(backend):
    saved = []
    tasks = [Task(f"number {k}", fails, {"number": k}) for k in range(3)]
    with pytest.raises(ValueError, match="broken") as caught:
        run_tasks(tasks, backend, 1, lambda index, result: saved.append(index))
    assert caught.value.__notes__ == ["in task number 1"]
    assert saved == [0]


def test_an_exception_that_cannot_be_sent_is_reported_as_text():
    with pytest.raises(TaskError, match="TwoPartError: half done") as caught:
        run_tasks([Task("strange", fails_strangely)], "processes", 1)
    assert caught.value.__notes__ == ["in task strange"]
    assert "in fails_strangely" in str(caught.value.__cause__)


def test_a_function_that_cannot_be_sent_is_an_error_on_every_backend():
    with pytest.raises(Exception, match="pickle") as caught:
        run_tasks([Task("anonymous", lambda: 1)])
    assert caught.value.__notes__ == [
        "in task anonymous, whose function and arguments must be picklable"
    ]


def test_a_killed_worker_loses_nothing(tmp_path):
    """Two of six tasks kill their process; each is run again, and no other is."""
    tasks = [
        Task(f"task {k}", dies, {"folder": tmp_path, "times": int(k in (1, 4)), "result": k})
        for k in range(6)
    ]
    assert run_tasks(tasks, "processes", 2) == list(range(6))
    started = sorted(path.name for path in tmp_path.iterdir())
    assert started == ["0-0", "1-0", "1-1", "2-0", "3-0", "4-0", "4-1", "5-0"]


def test_a_task_that_kills_every_worker_is_named(tmp_path):
    task = Task("greedy", dies, {"folder": tmp_path, "times": 99, "result": 0})
    with pytest.raises(TaskError, match="greedy: its process was killed 3 times"):
        run_tasks([task], "processes", 2)
    assert len(list(tmp_path.iterdir())) == 1 + backends.RETRIES


def test_ctrl_c_stops_workers(tmp_path):
    def interrupt(index: int, result: None) -> None:
        raise KeyboardInterrupt

    tasks = [
        Task("long", sleeps, {"folder": tmp_path}),
        Task("short", wait_for, {"path": tmp_path / "process"}),
    ]
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(tasks, "processes", 2, interrupt)
    assert time.monotonic() - started < 120
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)


# --- settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "dask"}, "backend: got 'dask', allowed are local, processes, ray"),
        ({"workers": 0}, "workers: got 0, allowed are 1 and more"),
        ({"cpus_per_task": 0}, "cpus_per_task: got 0, allowed are 1 and more"),
        ({"address": "head:6379"}, "address: got 'head:6379', allowed is one with .* ray"),
    ],
)
def test_settings_out_of_range_are_named(arguments, message):
    with pytest.raises(BackendError, match=message):
        run_tasks(price_tasks(1), **arguments)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BackendError, match=r'not installed: pip install "dtao-gym\[ray\]"'):
        run_tasks(price_tasks(1), "ray")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "0"], "workers: got 0, allowed are 1 and more"),
        (["--ray-address", "head:6379"], "address: got 'head:6379', allowed is one with the "),
    ],
)
def test_results_refuse_bad_flags_in_one_line(tmp_path, flags, message):
    with pytest.raises(SystemExit) as stopped:
        run_command("results", [*results_flags(tmp_path), *flags], "dtao results")
    assert str(stopped.value.code).startswith(f"error: {message}")
    assert "\n" not in str(stopped.value.code)
    assert not (tmp_path / "runs" / "trainings").exists()


# --- results and Ray


def results_flags(folder: Path) -> list[str]:
    """Arguments of `dtao results` for a plan of two trainings."""
    plan = content(folder, comparisons=[], arena=None, workers=2)
    plan["rows"] = plan["rows"][:1]
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    places = {"config": "plan.yaml", "folder": "runs", "out": "page.md", "policies": "policies"}
    return [x for flag, name in places.items() for x in (f"--{flag}", str(folder / name))]


def made_results(folder: Path, *flags: str) -> dict[str, object]:
    """Trained weights and measured values of `dtao results`."""
    folder.mkdir()
    run_command("results", [*results_flags(folder), *flags], "dtao results")
    weights = sorted((folder / "runs" / "trainings").glob("*/policy.safetensors"))
    assert len(weights) == 2
    scores = json.loads((folder / "runs" / "results.json").read_text())["scores"]
    return {"weights": [path.read_bytes() for path in weights], "scores": scores}


@pytest.mark.slow
def test_training_seeds_are_the_same_on_every_backend(tmp_path):
    here = made_results(tmp_path / "local", "--backend", "local")
    assert made_results(tmp_path / "processes", "--backend", "processes", "--workers", "2") == here


@pytest.fixture
def cluster(monkeypatch):
    """A Ray cluster of two machines with a processor each, on this machine."""
    pytest.importorskip("ray", reason="Ray is the extra `ray`: make test-ray")
    from ray.cluster_utils import Cluster

    # machines of a real cluster have the package installed; these have the folders of pytest
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "agents"))))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield made, made.add_node(num_cpus=1)
    finally:
        made.shutdown()


def on_ray_tasks(node: str, folder: Path) -> list[Task]:
    folder.mkdir()
    arguments = {"node": node, "folder": folder}
    return [Task(f"prices {k}", prices_unless_on, {"seed": k, **arguments}) for k in range(5)]


@ray_test
def test_a_machine_of_a_ray_cluster_that_dies_loses_nothing(cluster, tmp_path):
    made, machine = cluster
    lost = []

    def kill(index: int, result: object) -> None:
        if not lost:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not (begun := list((tmp_path / "ray").glob(f"*-{machine.node_id}"))):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            lost.extend(path.name.partition("-")[0] for path in begun)
            made.remove_node(machine, allow_graceful=False)

    tasks = on_ray_tasks(machine.node_id, tmp_path / "ray")
    there = run_tasks(tasks, "ray", on_done=kill, address=made.address)
    here = run_tasks(on_ray_tasks(machine.node_id, tmp_path / "local"))
    assert pickle.dumps(there) == pickle.dumps(here)
    begun = sorted(path.name.partition("-")[0] for path in (tmp_path / "ray").iterdir())
    assert begun == sorted([*"01234", *lost])
    assert len(lost) == 1


def test_an_address_without_a_cluster_is_named():
    pytest.importorskip("ray", reason="Ray is the extra `ray`: make test-ray")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(BackendError, match=f"address: got '{address}', where Ray finds no cluster"):
        run_tasks(price_tasks(1), "ray", address=address)


def probe_records(folder: Path) -> dict[str, dict]:
    """Records of a probe without their times, by file."""
    found = {path.name: json.loads(path.read_text()) for path in (folder / "cells").iterdir()}
    for record in found.values():
        del record["sha256"]
        record.pop("seconds", None)  # gates have none
    return found


@ray_test
def test_a_probe_on_a_ray_cluster_that_loses_a_machine_has_the_same_records(cluster, tmp_path):
    made, machine = cluster

    def kill() -> None:
        while not list((tmp_path / "ray" / "cells").glob("*.json")):
            time.sleep(0.02)
        made.remove_node(machine, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    run(tiny_plan(), tmp_path / "ray", GATES, backend="ray", ray_address=made.address)
    killer.join()
    run(tiny_plan(), tmp_path / "local", GATES)
    there, here = probe_records(tmp_path / "ray"), probe_records(tmp_path / "local")
    assert len(here) == len(all_cells(tiny_plan())) + len(GATES)
    assert there == here


@ray_test
def test_a_ray_cluster_trains_seeds_and_names_failing_tasks(cluster, tmp_path):
    made, _ = cluster
    flags = ["--backend", "ray", "--ray-address", made.address]
    assert made_results(tmp_path / "ray", *flags) == made_results(tmp_path / "local")
    tasks = [Task(f"number {k}", fails, {"number": k}) for k in range(2)]
    with pytest.raises(ValueError, match="broken") as caught:
        run_tasks(tasks, "ray", address=made.address)
    assert caught.value.__notes__ == ["in task number 1"]
    with pytest.raises(TaskError, match="greedy: its process was killed 3 times"):
        run_tasks(
            [Task("greedy", dies, {"folder": tmp_path, "times": 99, "result": 0})],
            "ray",
            address=made.address,
        )
