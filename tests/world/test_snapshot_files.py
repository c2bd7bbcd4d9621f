"""Refused snapshots: each message names the file, the place, the value and what is allowed."""

import pytest

from dtao_gym.world.snapshot import (
    Snapshot,
    SnapshotError,
)
from tests.world.tables import CHAIN, TABLE, without, write


def cell(column: str, value: str) -> str:
    """The table with another value for netuid 3."""
    rows = [line.split(",") for line in TABLE.splitlines()]
    rows[2][rows[0].index(column)] = value
    return "\n".join(map(",".join, rows))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("tao_reserve", "many", r"netuid 3 \(line 3\): got 'many'; a number is needed"),
        ("tao_reserve", "", r"netuid 3 \(line 3\): got ''; a number is needed"),
        ("spot_price", "nan", r"netuid 3 \(line 3\): got 'nan'; a number is needed"),
        ("registered_block", "1.5", r"netuid 3 \(line 3\): got '1.5'; a whole number"),
        ("registered_block", "-1", r"netuid 3 \(line 3\): got '-1'; a whole number from 0"),
        ("registered_block", "9" * 400, r"netuid 3 \(line 3\): got '9+.*; a whole number from 0"),
        ("netuid", "x", r"netuid x \(line 3\): got 'x'; a whole number"),
        ("emission_enabled", "yes", r"netuid 3 \(line 3\): got 'yes'; true or false is needed"),
        ("netuid", "7", r": 7 is in 2 rows; allowed is 1 row a subnet"),
        ("netuid", "0", r": 0 is root, which is no row; its TAO goes into root_stake_tao"),
        ("netuid", "65536", r"netuid 65536: got 65536; allowed is 1 to 65535"),
        ("registered_block", "1001", r"netuid 3: got 1001; allowed is 0 to 1000, the block"),
        ("tao_reserve", "0", r"netuid 3: got 0.0; allowed is above 0"),
        ("tao_reserve", "-50", r"netuid 3: got -50.0; allowed is above 0"),
        ("tao_reserve", "5e10", r"netuid 3: got 5\d+.0; allowed is .* not rao"),
        ("alpha_reserve", "0", r"netuid 3: got 0.0; allowed is above 0"),
        ("alpha_reserve", "inf", r"netuid 3: got inf; allowed is above 0"),
        ("alpha_outstanding", "-1", r"netuid 3: got -1.0; allowed is 0 to 21000000"),
        (
            "alpha_outstanding",
            "20999900",
            r"together with alpha_reserve, allowed is at most 21000000",
        ),
        ("spot_price", "0", r"netuid 3: got 0.0; allowed is above 0"),
        ("spot_price", "-0.1", r"netuid 3: got -0.1; allowed is above 0"),
        ("spot_price", "11", r"netuid 3: got 11.0; .*0.00901; allowed is 0.01 to 0.99"),
        ("spot_price", "1e-9", r"netuid 3: got 1e-09; .*; allowed is 0.01 to 0.99"),
        ("moving_price", "-0.1", r"netuid 3: got -0.1; allowed is 0 to"),
        ("miner_burned", "1.01", r"netuid 3: got 1.01; allowed is 0 to 1$"),
        ("miner_burned", "-0.01", r"netuid 3: got -0.01; allowed is 0 to 1$"),
        (
            "user_flow_ema",
            "1395813.1",
            r"netuid 3: got 1395813.1; allowed is .*TAO per block, not rao",
        ),
        ("protocol_flow_ema", "-1001", r"netuid 3: got -1001.0; allowed is -1000 to 1000"),
        ("user_flow_ema", "nan", r"netuid 3 \(line 3\): got 'nan'; a number is needed"),
    ],
)
def test_refuses_a_cell(tmp_path, column, value, message):
    path = write(tmp_path, cell(column, value))
    with pytest.raises(SnapshotError, match=rf"mine\.csv: column '{column}'.*{message}"):
        Snapshot.from_csv(path)


HEADER, *ROWS = TABLE.splitlines()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", r"columns \['netuid', 'registered_block', .* are missing"),
        (HEADER, r"0 rows of subnets; allowed are 1 to 128"),
        (without("tao_reserve"), r"columns \['tao_reserve'\] are missing; only \['moving_price'"),
        (TABLE.replace("spot_price", "price"), r"unknown columns \['price'\]; allowed are"),
        (TABLE.replace("moving", "spot"), r"columns \['spot_price'\] are there more than once"),
        (TABLE + "13,1,2", r"line 5 has 3 values; the header has 11"),
        (
            "\n".join([HEADER] + [f"{k},0,1,10,10,0.1,0.1,0,true,0,0" for k in range(1, 130)]),
            r"129 rows of subnets; allowed are 1 to 128",
        ),
        (
            TABLE.replace("50.0", "5000.0").replace("0.05", "5").replace(",0.1,", ",10,"),
            r"root_stake_tao and column 'tao_reserve' add up to 10580 TAO; .* at most .* 10000 TAO",
        ),
    ],
    ids=["empty", "no rows", "missing", "unknown", "repeated", "short row", "129 rows", "totals"],
)
def test_refuses_a_table(tmp_path, table, message):
    with pytest.raises(SnapshotError, match=rf"mine\.csv: {message}"):
        Snapshot.from_csv(write(tmp_path, table))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"block": 1000.5}, r"csv: block is 1000.5; a whole number is needed"),
        ({"block": True}, r"csv: block is True; a whole number is needed"),
        ({"block": -1}, r"csv: block is -1; allowed is 0 to"),
        ({"root_stake_tao": "5"}, r"csv: root_stake_tao is '5'; a number is needed"),
        (
            {"root_stake_tao": 5e15},
            r"csv: root_stake_tao is 5000000000000000.0; allowed is 0 to 21000000",
        ),
        ({"chain_issuance_tao": float("nan")}, r"csv: chain_issuance_tao is nan; allowed is"),
        ({"last_lock_tao": "460"}, r"csv: last_lock_tao is '460'; a number is needed"),
        ({"last_lock_tao": None}, r"csv: last_lock_tao is None; a number is needed"),
        ({"last_lock_tao": -1}, r"csv: last_lock_tao is -1.0; allowed is 0 to 21000000"),
        ({"last_registration_block": 1.5}, r"csv: last_registration_block is 1.5; a whole number"),
        ({"last_registration_block": 1001}, r"csv: last_registration_block is 1001; .* 0 to 1000"),
        ({"columns_imputed": ["tao_reserve"]}, r"json: columns_imputed .*; allowed are \['regist"),
        ({"columns_imputed": ["netuid"]}, r"json: columns_imputed is \['netuid'\]; allowed are"),
        ({"name": 5}, r"json: name is 5; a text is needed"),
    ],
)
def test_refuses_a_fact_about_the_chain(tmp_path, facts, message):
    with pytest.raises(SnapshotError, match=rf"mine\.{message}"):
        Snapshot.from_csv(write(tmp_path, **facts))


@pytest.mark.parametrize("key", CHAIN)
def test_refuses_to_guess_a_number_of_the_chain(tmp_path, key):
    path = write(tmp_path)
    path.with_suffix(".json").unlink()
    given = {name: value for name, value in CHAIN.items() if name != key}
    with pytest.raises(
        SnapshotError, match=rf"mine\.csv: {key} is missing; write it into mine.json"
    ):
        Snapshot.from_csv(path, **given)


@pytest.mark.parametrize(("text", "message"), [("{", "not JSON"), ("[]", "got a list; an object")])
def test_refuses_a_broken_json(tmp_path, text, message):
    path = write(tmp_path)
    path.with_suffix(".json").write_text(text)
    with pytest.raises(SnapshotError, match=rf"mine\.json: {message}"):
        Snapshot.from_csv(path)


def test_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SnapshotError, match=r"nowhere\.csv: cannot be read"):
        Snapshot.from_csv(tmp_path / "nowhere.csv")
