"""Emission rules on several snapshots: comparisons in order, and the command with its tables and files."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.comparison import Comparison, compare_rules
from dtao_gym.protocol.plugins import RuleError
from dtao_gym.world.snapshot import Snapshot, SnapshotError

REPOSITORY = Path(__file__).parents[1]
JUNE, APRIL, SEPTEMBER = "mainnet-2026-06-14", "mainnet-2026-04-11", "mainnet-2026-09-06"


@pytest.mark.parametrize("several", [list, tuple])
def test_several_snapshots_give_a_tuple_in_their_order(several):
    names = several([SEPTEMBER, JUNE])
    comparisons = compare_rules(["price", "price_burn"], names)
    assert isinstance(comparisons, tuple)
    assert [c.snapshot.name for c in comparisons] == [SEPTEMBER, JUNE]
    for name, comparison in zip(names, comparisons, strict=True):
        alone = compare_rules(["price", "price_burn"], name)
        assert isinstance(alone, Comparison)
        assert comparison.rules == alone.rules == ("price", "price_burn")
        assert comparison.shares.tolist() == alone.shares.tolist()
        assert comparison.imputed == alone.imputed


def test_a_list_of_one_gives_a_tuple_of_one_and_snapshots_may_be_mixed():
    (only,) = compare_rules("price", [JUNE])
    assert only.snapshot is Snapshot.named(JUNE)
    path = str(REPOSITORY / "dtao_gym" / "data" / f"{APRIL}.csv")
    first, second = compare_rules(snapshot=[Snapshot.named(SEPTEMBER), path])
    assert (first.snapshot.name, second.snapshot.name) == (SEPTEMBER, APRIL)
    assert first.rules == second.rules


def test_rules_may_be_an_iterator_and_settings_hold_for_every_snapshot():
    comparisons = compare_rules(iter(["price", "uniform"]), [JUNE, SEPTEMBER], share_exponent=2.0)
    for comparison in comparisons:
        assert comparison.rules == ("price", "uniform")
        squared = comparison.snapshot.moving_price**2 * comparison.snapshot.emission_enabled
        assert comparison.shares[0] == pytest.approx(squared / squared.sum(), rel=1e-12)


def test_what_several_snapshots_refuse():
    with pytest.raises(SnapshotError, match="empty list of snapshots; one or more are needed"):
        compare_rules("price", [])
    with pytest.raises(SnapshotError, match="unknown snapshot 'nope'; allowed are"):
        compare_rules("price", [JUNE, "nope"])
    # an array of one snapshot's length fits no other
    with pytest.raises(RuleError, match=r"arrays of one length .*miner_burned 128"):
        compare_rules("price_burn", [JUNE, SEPTEMBER], miner_burned=np.zeros(128))


# --- the command


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the command in a folder."""
    pytest.importorskip("tyro")
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "dtao_gym.rules", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(folder), "PATH": os.environ["PATH"]},
    )


def test_command_prints_the_tables_of_each_and_one_side_by_side(tmp_path):
    done = command(tmp_path, JUNE, APRIL, SEPTEMBER, "mainnet-2025-02-13", "--top", "2")
    assert done.returncode == 0, done.stderr
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith(f"{JUNE}, block 8,404,076: 128 subnets")
    assert any(line.startswith(f"{SEPTEMBER}, block 9,005,759: 124 subnets") for line in lines)
    closing = lines[[line.startswith("Side by side") for line in lines].index(True) :]
    assert closing[1].split() == [JUNE, APRIL, SEPTEMBER, "mainnet-2025-02-13"]
    (price,) = [line.split() for line in closing if line.startswith("price ")]
    assert price[4:7] == ["0.0197", "23.8%", "127"]  # April has moving prices
    assert price[1:4] == ["0.0171", "20.2%", "128*"]  # June has not
    (gate,) = [line.split() for line in closing if line.startswith("price_burn_gate_rank ")]
    assert gate[7:10] == ["0.0690", "50.5%", "70"]
    (flow,) = [line.split() for line in closing if line.startswith("tao_flow ")]
    assert flow[7:10] == ["-", "-", "0*"]  # no flow is known


def test_command_with_one_snapshot_has_no_closing_table(tmp_path):
    done = command(tmp_path, SEPTEMBER, "--rules", "price")
    assert done.returncode == 0, done.stderr
    assert "Side by side" not in done.stdout


def test_names_too_long_for_a_column_are_broken(tmp_path):
    data = REPOSITORY / "dtao_gym" / "data" / f"{APRIL}.csv"
    (tmp_path / "mine.csv").write_text(data.read_text())
    facts = json.loads(data.with_suffix(".json").read_text())
    facts["name"] = "a snapshot of my own [with a long name]"
    (tmp_path / "mine.json").write_text(json.dumps(facts))
    done = command(tmp_path, "mine.csv", JUNE, "--rules", "price")
    assert done.returncode == 0, done.stderr
    assert "[with a long name]" in done.stdout
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 100


def test_files_of_several_snapshots(tmp_path):
    pytest.importorskip("matplotlib")
    done = command(
        tmp_path, JUNE, SEPTEMBER, "--rules", "price", "uniform", "--json", "--csv", "t.csv",
        "--plot", "p.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert [report["snapshot"] for report in reports] == [JUNE, SEPTEMBER]
    assert [len(report["netuid"]) for report in reports] == [128, 124]
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "snapshot", "netuid", "spot_price", "moving_price", "price", "uniform",
    ]  # fmt: skip
    assert [row["snapshot"] for row in rows] == [JUNE] * 128 + [SEPTEMBER] * 124
    for name in (JUNE, SEPTEMBER):
        paid = sum(float(row["price"]) for row in rows if row["snapshot"] == name)
        assert paid == pytest.approx(3600.0)
    width, height = np.frombuffer((tmp_path / "p.png").read_bytes()[16:24], ">u4")
    assert (width, height) == (1210, 2 * 528)  # a row of panels for each
