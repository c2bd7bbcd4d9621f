"""Snapshots: what the packaged ones say about mainnet, and how a user's own file is read or refused."""

import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.world.snapshot import (
    COLUMNS,
    SNAPSHOT_NAMES,
    Snapshot,
    SnapshotError,
)
from dtao_gym.world.snapshot_files import IMPUTABLE_COLUMNS, OPTIONAL_COLUMNS
from tests.world.tables import CHAIN, TABLE, without, write

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "dtao_gym" / "data"
JUNE, APRIL = "mainnet-2026-06-14", "mainnet-2026-04-11"

# --- what the packaged snapshots say about mainnet


def test_june_is_the_chain_of_that_day():
    june = Snapshot.named(JUNE)
    assert (june.name, june.date, june.block) == (JUNE, "2026-06-14", 8_404_076)
    assert june.netuid.tolist() == list(range(1, 129))
    assert june.root_stake_tao == 5313952.355577243
    assert june.spot_price.sum() == pytest.approx(1.309, abs=5e-4)
    quantiles = np.quantile(june.tao_reserve, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert quantiles == pytest.approx([1392, 3948, 7658, 14747, 62756], abs=0.6)
    assert june.tao_reserve.max() == pytest.approx(188_234, abs=0.5)
    held = june.root_stake_tao + june.tao_reserve.sum()
    assert june.root_stake_tao / held == pytest.approx(0.730, abs=5e-4)
    assert june.imputed == OPTIONAL_COLUMNS


def test_april_lacks_the_subnet_that_was_no_market_yet():
    april = Snapshot.named(APRIL)
    assert (april.name, april.date, april.block) == (APRIL, "2026-04-11", 7_946_984)
    assert april.n_subnets == 127
    assert 96 not in april.netuid
    assert april.spot_price.max() < 0.1
    assert april.root_stake_tao == 5025713.524
    assert april.imputed == OPTIONAL_COLUMNS[1:]
    # moving prices are real: close to the price, and not equal to it
    lag = np.abs(np.log(april.moving_price / april.spot_price))
    assert 0.0 < np.median(lag) < 0.01


def test_flows_are_the_chains_or_follow_from_those_of_a_month():
    april = Snapshot.named(APRIL)
    flow = dict(zip(april.netuid.tolist(), april.user_flow_ema.tolist(), strict=True))
    # on chain 6,384,602.7 rao per block; else TAO of 30 days, at this rate for two half-lives
    assert flow[5] == pytest.approx(0.0063846027230, rel=1e-10)
    assert flow[6] == pytest.approx(-3434.229507309 / (30 * 7200) * 0.75, rel=1e-11)
    assert flow[1] == 0.0
    assert np.count_nonzero(april.user_flow_ema) == 40  # 7 on chain, of which one is 0, and 34
    assert not april.protocol_flow_ema.any()


def test_june_has_the_flows_of_april_where_the_subnet_is_still_the_same():
    june, april = Snapshot.named(JUNE), Snapshot.named(APRIL)
    flow = dict(zip(april.netuid.tolist(), april.user_flow_ema.tolist(), strict=True))
    old = june.registered_block < april.block
    expected = [flow.get(k, 0.0) if o else 0.0 for k, o in zip(june.netuid, old, strict=True)]
    assert june.user_flow_ema.tolist() == expected
    assert 0 < (~old).sum() < 10
    assert not june.protocol_flow_ema.any()


@pytest.mark.parametrize(("name", "off_half"), [(JUNE, 77), (APRIL, 25)])
def test_many_mainnet_pools_are_weighted(name, off_half):
    weight = Snapshot.named(name).tao_weight
    assert np.count_nonzero((weight < 0.499) | (weight > 0.501)) == off_half
    assert 0.48 < weight.min() < weight.max() < 0.86


@pytest.mark.parametrize("name", SNAPSHOT_NAMES)
def test_packaged_snapshot_has_its_provenance(name):
    snapshot = Snapshot.named(name)
    facts = json.loads((DATA / f"{name}.json").read_text())
    assert {"source", "licence", "cleaning", "notes", "chain_issuance_derivation"} <= set(facts)
    assert tuple(facts["columns_imputed"]) == snapshot.imputed
    assert facts["name"] == name == f"mainnet-{facts['date']}"


def test_every_table_of_the_package_has_a_name():
    assert sorted(path.stem for path in DATA.glob("*.csv")) == sorted(SNAPSHOT_NAMES)
    assert sorted(path.stem for path in DATA.glob("*.json")) == sorted(SNAPSHOT_NAMES)


@pytest.mark.skipif("DTAO_RAW_DATA" not in os.environ, reason="DTAO_RAW_DATA: raw captures")
def test_packaged_data_is_what_the_script_makes(tmp_path):
    script = REPOSITORY / "scripts" / "build_snapshots.py"
    subprocess.run(
        [sys.executable, script, os.environ["DTAO_RAW_DATA"], "--output", tmp_path],
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert len(list(tmp_path.iterdir())) == 2 * len(SNAPSHOT_NAMES)
    for made in tmp_path.iterdir():
        assert made.read_bytes() == (DATA / made.name).read_bytes(), made.name


def test_packaged_snapshot_is_read_once():
    assert Snapshot.named(JUNE) is Snapshot.named(JUNE)


def test_unknown_name_lists_the_known_ones_and_the_way_to_a_file():
    with pytest.raises(SnapshotError, match=rf"'mainnet'; allowed are '{JUNE}', '{APRIL}'.*\.csv"):
        Snapshot.named("mainnet")


# --- what a snapshot is


def test_file_is_read_as_written(tmp_path):
    mine = Snapshot.from_csv(write(tmp_path, name="toy", date="2026-01-01"))
    assert (mine.name, mine.date, mine.block) == ("toy", "2026-01-01", 1000)
    assert (mine.root_stake_tao, mine.chain_issuance_tao) == (500.0, 10_000.0)
    assert mine.netuid.tolist() == [7, 3, 12]
    assert mine.miner_burned.tolist() == [0.25, 0.0, 1.0]
    assert mine.emission_enabled.tolist() == [True, False, True]
    assert mine.user_flow_ema.tolist() == [0.01, -0.02, 0.0]
    assert mine.protocol_flow_ema.tolist() == [0.004, 0.0, -0.001]
    assert mine.age_blocks.tolist() == [900, 800, 0]
    assert mine.imputed == ()
    for column, dtype in COLUMNS.items():
        assert getattr(mine, column).dtype == dtype


def test_every_digit_of_a_number_survives(tmp_path):
    table = TABLE.replace("1000,2000", "1000.0000000000001,2000")
    assert Snapshot.from_csv(write(tmp_path, table)).alpha_reserve[0] == 1000.0000000000001


def test_order_of_columns_spaces_and_empty_lines_do_not_matter(tmp_path):
    rows = [line.split(",") for line in TABLE.splitlines()]
    table = "\ufeff" + "\r\n\r\n".join(" , ".join(reversed(row)) for row in rows)
    path = write(tmp_path)
    plain = Snapshot.from_csv(path)
    path.write_text(table, encoding="utf-8")
    for column in COLUMNS:
        assert np.array_equal(getattr(Snapshot.from_csv(path), column), getattr(plain, column)), (
            column
        )


def test_optional_columns_are_imputed_and_said_to_be(tmp_path):
    table = without(*OPTIONAL_COLUMNS)
    mine = Snapshot.from_csv(write(tmp_path, table))
    assert np.array_equal(mine.moving_price, mine.spot_price)
    assert not mine.miner_burned.any()
    assert mine.emission_enabled.all()
    assert not mine.user_flow_ema.any()
    assert not mine.protocol_flow_ema.any()
    assert mine.imputed == OPTIONAL_COLUMNS


def test_columns_imputed_by_the_source_are_said_to_be(tmp_path):
    mine = Snapshot.from_csv(
        write(tmp_path, without("emission_enabled"), columns_imputed=["miner_burned"])
    )
    assert mine.imputed == ("miner_burned", "emission_enabled")
    mine = Snapshot.from_csv(write(tmp_path, columns_imputed=sorted(IMPUTABLE_COLUMNS)))
    assert mine.imputed == IMPUTABLE_COLUMNS == tuple(c for c in COLUMNS if c in IMPUTABLE_COLUMNS)


def test_the_last_registration_may_be_known(tmp_path):
    plain = Snapshot.from_csv(write(tmp_path))
    assert plain.last_lock_tao is None
    assert plain.last_registration_block is None
    mine = Snapshot.from_csv(write(tmp_path, last_lock_tao=460, last_registration_block=990))
    assert (mine.last_lock_tao, mine.last_registration_block) == (460.0, 990)
    assert isinstance(mine.last_lock_tao, float)
    two = mine.take([2, 0])
    assert (two.last_lock_tao, two.last_registration_block) == (460.0, 990)


def test_keywords_override_the_json(tmp_path):
    path = write(tmp_path, name="theirs")
    mine = Snapshot.from_csv(
        path, name="mine", block=2000, root_stake_tao=1, chain_issuance_tao=9e6
    )
    assert (mine.name, mine.block, mine.root_stake_tao, mine.chain_issuance_tao) == (
        "mine",
        2000,
        1,
        9e6,
    )
    path.with_suffix(".json").unlink()
    assert Snapshot.from_csv(path, **CHAIN).name == "mine"


def test_weight_follows_the_price_and_snaps_to_constant_product():
    def weight(price: float) -> float:
        return make(spot_price=[price]).tao_weight[0]

    assert weight(0.05) == 0.5  # 50 TAO, 1000 alpha
    assert weight(0.05 * (1 + 3e-6)) == 0.5  # a weight of 0.5 - 7.5e-7
    assert weight(0.05 * (1 + 5e-6)) == pytest.approx(0.5 - 1.25e-6, abs=1e-11)
    assert weight(0.15) == pytest.approx(0.25, rel=1e-15)


def make(**columns: list) -> Snapshot:
    """One subnet, made without a file."""
    row = {
        "netuid": [1],
        "registered_block": [0],
        "tao_reserve": [50.0],
        "alpha_reserve": [1000.0],
        "alpha_outstanding": [2000.0],
        "spot_price": [0.05],
        "moving_price": [0.05],
        "miner_burned": [0.0],
        "emission_enabled": [True],
        "user_flow_ema": [0.0],
        "protocol_flow_ema": [0.0],
    }
    return Snapshot(name="made", date=None, **CHAIN, **{**row, **columns})


def test_snapshot_cannot_be_changed():
    values = [50.0]
    made = make(tao_reserve=values)
    with pytest.raises(FrozenInstanceError):
        made.block = 2
    for column in (*COLUMNS, "tao_weight", "age_blocks"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(made, column)[0] = 0
    mutable = np.array([50.0])
    made = make(tao_reserve=mutable)
    mutable[0] = 1.0
    assert made.tao_reserve[0] == 50.0


def test_snapshot_made_without_a_file_is_checked_too():
    with pytest.raises(
        SnapshotError, match=r"snapshot 'made': column 'spot_price', netuid 1: got -1"
    ):
        make(spot_price=[-1.0])
    with pytest.raises(SnapshotError, match="vectors of one length"):
        make(spot_price=[0.05, 0.05])


def test_take_keeps_the_order_asked_for(tmp_path):
    mine = Snapshot.from_csv(write(tmp_path, columns_imputed=["miner_burned"]))
    two = mine.take([2, 0])
    assert two.netuid.tolist() == [12, 7]
    assert two.tao_reserve.tolist() == [80.0, 50.0]
    assert two.tao_weight.tolist() == mine.tao_weight[[2, 0]].tolist()
    assert (two.block, two.root_stake_tao, two.imputed) == (1000, 500.0, ("miner_burned",))
    assert mine.take(np.array([1])).netuid.tolist() == [3]
    with pytest.raises(SnapshotError, match="'netuid': 7 is in 2 rows"):
        mine.take([0, 0])


def test_largest_is_by_tao_reserve_and_ties_go_to_the_lower_netuid(tmp_path):
    mine = Snapshot.from_csv(write(tmp_path))
    assert mine.largest(2).netuid.tolist() == [12, 3]
    assert mine.largest(3).netuid.tolist() == [12, 3, 7]
    assert Snapshot.named(JUNE).largest(3).netuid.tolist() == [64, 4, 51]
    for n in (0, 4):
        with pytest.raises(SnapshotError, match=f"its {n} largest subnets; allowed is 1 to 3"):
            mine.largest(n)
