"""Traces: one subnet on the chain's clock, against the engine and the rules it should have followed."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.protocol.coinbase import moving_price_decay, moving_price_rate, next_moving_price
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.trace import MAX_BLOCKS, Trace, trace
from tests.world.toy import CHAIN, COLUMNS, snapshot

REPOSITORY = Path(__file__).resolve().parents[2]
STILL = {
    "insider_holding_days": 1e9,
    "trade_speed": 0.0, "owner_sale_fraction": 0.0, "miner_sale_fraction": 0.0,
    "validator_sale_fraction": 0.0, "root_claim_hazard": 0.0,
}  # fmt: skip
"""Nobody trades within the day."""


def test_a_day_of_a_trace_is_a_day_of_the_engine_at_7200_spans(tmp_path):
    config = Config.make(genesis=snapshot(tmp_path), n_stakers=0)
    path_of_subnet = trace(config, 2, 7200)
    batch = Batch(Config.make(config, spans_per_day=7200, revenue_share=0.0))
    assert path_of_subnet.block.tolist() == list(range(CHAIN["block"] + 1, CHAIN["block"] + 7201))
    without_users = trace(config, 2, 7200, revenue_share=0.0)
    batch.step()
    for name in ("tao_reserve", "alpha_reserve", "moving_price", "alpha_outstanding", "spot_price"):
        assert getattr(without_users, name)[-1] == pytest.approx(
            batch.state.row(name)[0, 1], rel=1e-12
        )
    # users pay at the end of the day, after its last block
    assert (path_of_subnet.tao_reserve == without_users.tao_reserve).all()


def test_a_trace_goes_on_into_the_next_days(tmp_path):
    config = Config.make(genesis=snapshot(tmp_path))
    long, short = trace(config, 3, 7300), trace(config, 3, 100)
    assert long.block.size == 7300
    assert (np.diff(long.block) == 1).all()
    for one, other in zip(long, short, strict=True):
        assert (one[:100] == other).all()


def test_blocks_follow_the_rules_one_by_one(tmp_path):
    config = Config.make(
        STILL, genesis=snapshot(tmp_path), era="launch", arrivals_per_slot_year=0.0
    )
    path_of_subnet = trace(config, 1, 50)
    moving, reserve = COLUMNS["moving_price"][0], COLUMNS["tao_reserve"][0]
    # 1 TAO a block less a halving, by price shares; the third subnet gets none
    paid = np.array(COLUMNS["moving_price"]) * np.array(COLUMNS["emission_enabled"])
    assert path_of_subnet.emission_share[0] == pytest.approx(moving / paid.sum(), rel=1e-12)
    assert path_of_subnet.tao_emission == pytest.approx(
        0.5 * path_of_subnet.emission_share, rel=1e-12
    )
    assert path_of_subnet.alpha_emission == pytest.approx(1.0)
    root = 0.5 * (1 - config.owner_cut) * 0.18 * CHAIN["root_stake_tao"]
    for k in range(50):
        price = (path_of_subnet.tao_reserve / path_of_subnet.alpha_reserve)[k]
        assert path_of_subnet.spot_price[k] == pytest.approx(price, rel=1e-14)
        issuance = path_of_subnet.alpha_reserve[k] + path_of_subnet.alpha_outstanding[k]
        sold = root / (0.18 * CHAIN["root_stake_tao"] + issuance)
        assert path_of_subnet.tao_reserve[k] - reserve == pytest.approx(
            path_of_subnet.tao_emission[k] - sold * price, abs=1e-5
        )
        rate = moving_price_rate(1_288_490 / 2**32, CHAIN["block"] + k + 0.0, 201_600.0)
        expected = next_moving_price(
            moving, path_of_subnet.spot_price[k], moving_price_decay(rate, 1.0)
        )
        assert path_of_subnet.moving_price[k] == pytest.approx(expected, rel=1e-8)
        moving, reserve = path_of_subnet.moving_price[k], path_of_subnet.tao_reserve[k]


def test_weighted_pools_have_the_price_of_their_weight():
    path_of_subnet = trace(Config.make(n_subnets=128), 40, 3)
    assert path_of_subnet.pool_tao_weight[0] > 0.8
    expected = (1 - path_of_subnet.pool_tao_weight) * path_of_subnet.tao_reserve
    expected /= path_of_subnet.pool_tao_weight * path_of_subnet.alpha_reserve
    assert path_of_subnet.spot_price == pytest.approx(expected, rel=1e-14)


def test_to_csv_keeps_every_digit(tmp_path):
    path_of_subnet = trace(Config.make(genesis=snapshot(tmp_path)), 4, 5)
    path = tmp_path / "blocks.csv"
    path_of_subnet.to_csv(path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0]) == list(Trace._fields)
    for name in Trace._fields:
        assert [float(row[name]) for row in rows] == getattr(path_of_subnet, name).tolist()


@pytest.mark.parametrize(
    ("netuid", "blocks", "message"),
    [
        (9, 5, "netuid: got 9, allowed are those of toy, 1 to 4"),
        (
            4,
            5,
            "netuid: got 4, which is in toy but not among the 2 subnets simulated; allowed are 1, 2",
        ),
        (1, 0, "blocks: got 0, allowed are 1 to 216000"),
        (1, MAX_BLOCKS + 1, "blocks: got 216001, allowed are 1 to 216000"),
        (1, 2.5, "blocks: got 2.5, allowed are 1 to 216000"),
    ],
)
def test_bad_requests(tmp_path, netuid, blocks, message):
    with pytest.raises(ConfigError) as error:
        trace({"genesis": snapshot(tmp_path), "n_subnets": 2}, netuid, blocks)
    assert str(error.value) == message


def command(*options: str) -> subprocess.CompletedProcess:
    arguments = [sys.executable, "-m", "dtao_gym.trace", *options]
    return subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_command_prints_head_and_tail(tmp_path):
    path = tmp_path / "blocks.csv"
    done = command("--netuid", "64", "--blocks", "30", "--shown", "3", "--csv", str(path))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "…" not in done.stdout
    assert [line[0] for line in lines[-7:]] == [
        "8404077", "8404078", "8404079", "...", "8404104", "8404105", "8404106"
    ]  # fmt: skip
    assert len(path.read_text().splitlines()) == 31


def test_the_command_refuses_in_one_line():
    done = command("--netuid", "640")
    assert done.returncode != 0
    assert (
        done.stderr.strip()
        == "error: netuid: got 640, allowed are those of mainnet-2026-06-14, 1 to 128"
    )
