"""The command that compares emission rules: its tables, files and errors."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.world.snapshot import Snapshot

REPOSITORY = Path(__file__).parents[1]
APRIL = "mainnet-2026-04-11"
ANSWERED = [name for name in ALLOCATIONS if name != "root_vote"]

MODULE = """\
import dtao_gym

@dtao_gym.allocation_rule("squared")
def squared(market):
    weight = market.moving_price**2
    total = weight.sum()
    return weight / total if total > 0.0 else weight
"""


def normalised(weight: np.ndarray) -> np.ndarray:
    return weight / weight.sum()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a user's module."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "my_rules.py").write_text(MODULE)
    return folder


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the command where the user's module lies."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "dtao_gym.rules", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(folder)},
    )


def test_command_prints_tables_in_100_columns(folder):
    pytest.importorskip("tyro")
    done = command(folder, "--top", "3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "mainnet-2026-06-14, block 8,404,076: 128 subnets, 0.5 TAO per block"
    assert sum("125 others" in line for line in lines) == 1
    for rule in ANSWERED[1:]:
        assert any(line.startswith(f"{rule}* ") for line in lines), rule
    assert any(line.startswith("uniform  ") for line in lines)
    assert "Left out: root_vote needs votes" in done.stdout
    assert "moving_price (price)" in done.stdout


def test_command_with_own_rule_writes_what_it_prints(folder):
    pytest.importorskip("tyro")
    pytest.importorskip("matplotlib")
    done = command(
        folder, APRIL, "--rules", "price", "my_rules:squared", "--plot", "p.png", "--csv", "t.csv",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    price = Snapshot.named(APRIL).moving_price
    assert report["rules"]["my_rules:squared"]["shares"] == pytest.approx(normalised(price**2))
    assert report["rules"]["price"]["hhi"] == pytest.approx((normalised(price) ** 2).sum())
    with (folder / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["netuid", "spot_price", "moving_price", "price", "my_rules:squared"]
    assert len(rows) == 127
    assert sum(float(row["my_rules:squared"]) for row in rows) == pytest.approx(3600.0)
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "p.png").stat().st_size > 20_000


def test_command_takes_a_snapshot_of_ones_own(folder):
    pytest.importorskip("tyro")
    data = REPOSITORY / "dtao_gym" / "data" / f"{APRIL}.csv"
    lines = data.read_text().splitlines()[:4]
    (folder / "mine.csv").write_text("\n".join(lines))
    (folder / "mine.json").write_text(data.with_suffix(".json").read_text())
    done = command(folder, "mine.csv", "--rules", "uniform")
    assert done.returncode == 0, done.stderr
    assert "3 subnets" in done.stdout
    assert "1,200.00" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rules", "nope"], "error: unknown emission rule 'nope'; allowed are uniform,"),
        (["nope"], "error: unknown snapshot 'nope'; allowed are"),
        (
            ["--rules", "my_rules:nope"],
            "error: emission rule 'my_rules:nope': module my_rules has no",
        ),
        (["--rules", "price", "--plot", "x/y.png"], "error: --plot x/y.png: [Errno 2]"),
        (
            ["--rules", "price", "--csv", "x/y.csv"],
            "error: [Errno 2] No such file or directory: 'x/y",
        ),
        (["--top", "0"], "error: --top: got 0, allowed is 1 or more"),
    ],
)
def test_command_refuses_in_one_line(folder, arguments, message):
    pytest.importorskip("tyro")
    done = command(folder, *arguments)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "compiling the engine" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(message)
