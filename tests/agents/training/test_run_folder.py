"""The folder of a run: metrics that survive a kill, a manifest that says what made it."""

import json

import pytest
from dtao_agents.training.run_folder import METRICS, RunLog, read_metrics, write_manifest

from tests.agents.worlds import settings


def row(timesteps: int) -> dict:
    return dict.fromkeys(METRICS, 0.5) | {"timesteps": timesteps}


def test_metrics_after_the_checkpoint_are_dropped(tmp_path):
    with RunLog(tmp_path, 400) as log:
        for timesteps in (100, 200, 300):
            log.add(row(timesteps))
    with RunLog(tmp_path, 400, 200) as log:
        log.add(row(301))
    assert [found["timesteps"] for found in read_metrics(tmp_path / "metrics.csv")] == [
        100,
        200,
        301,
    ]


def test_a_row_cut_off_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "metrics.csv"
    with RunLog(tmp_path, 400) as log:
        log.add(row(100))
    with path.open("a") as file:
        file.write("200,0.5,0.")
    assert [found["timesteps"] for found in read_metrics(path)] == [100]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"\x00",
        b"steps\n1\n",
        b'timesteps,a\n"1,2',
        b"timesteps,a\nx,1\n1e3,2\n5,y\n5\n5,1,2\n",
    ],
)
def test_rows_of_something_else_are_left_out(tmp_path, content):
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    assert read_metrics(path) == []
    path.write_bytes(b"timesteps,a\n100,0.5\n" + content.split(b"\n", 1)[-1])
    assert read_metrics(path)[0] == {"timesteps": 100, "a": "0.5"}
    with RunLog(tmp_path, 400, 100) as log:  # goes on from it
        log.add(row(200))
    assert [found["timesteps"] for found in read_metrics(path)][-1] == 200


def test_manifest_names_versions_seeds_and_sources(tmp_path):
    write_manifest(tmp_path, settings(seed=2), status="running")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["status"] == "running"
    assert manifest["seed"] == 2
    assert manifest["first_world_seed"] == 2 * 2**20
    assert len(manifest["source_fingerprint"]) == 64
    assert {"torch", "numpy", "numba", "stable-baselines3", "gymnasium"} <= set(
        manifest["packages"]
    )
