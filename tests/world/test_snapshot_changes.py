"""A user's snapshot file is read whenever it is asked for: results follow its content, not its path."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.world import prehistory
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.prehistory import market, market_size, parameters_of_world
from dtao_gym.world.snapshot import Snapshot
from tests.world.toy import CHAIN, COLUMNS, arrays, snapshot

POOLS = COLUMNS["tao_reserve"]
DEEPER = {
    "tao_reserve": tuple(2.0 * x for x in POOLS),
    "spot_price": tuple(2.0 * x for x in COLUMNS["spot_price"]),
}
THREE = {name: values[:3] for name, values in COLUMNS.items()}


def test_a_changed_table_is_seen_by_new_worlds(tmp_path):
    config = Config(genesis=snapshot(tmp_path))
    before, multiple = Batch(config), prehistory.prehistory(config).multiple
    assert before.state.row("tao_reserve")[0].tolist() == list(POOLS)
    snapshot(tmp_path, **DEEPER)
    after = Batch(config)
    assert after.state.row("tao_reserve")[0].tolist() == list(DEEPER["tao_reserve"])
    # prices have doubled, and with them the multiple that explains them
    assert prehistory.prehistory(config).multiple == pytest.approx(2.0 * multiple, rel=1e-12)
    assert after.parameters["price_of_capital"] == pytest.approx(
        2.0 * before.parameters["price_of_capital"], rel=1e-12
    )
    before.reset(0, 0, 0)
    assert arrays(before) == arrays(after)
    assert before.parameters.tobytes() == after.parameters.tobytes()


def test_a_changed_json_is_seen_by_new_worlds(tmp_path):
    config = Config(genesis=snapshot(tmp_path))
    first = Batch(config).state.worlds["chain_issuance"][0]
    snapshot(tmp_path, chain_issuance_tao=9e6)
    assert (first, Batch(config).state.worlds["chain_issuance"][0]) == (
        CHAIN["chain_issuance_tao"],
        9e6,
    )


def test_a_path_belongs_to_the_present_folder(tmp_path, monkeypatch):
    for name, changes in (("one", {}), ("two", DEEPER)):
        (tmp_path / name).mkdir()
        snapshot(tmp_path / name, **changes)
    config, pools = Config(genesis="toy.csv"), []
    for name in ("one", "two", "one"):
        monkeypatch.chdir(tmp_path / name)
        pools.append(market(config).tao_reserve.tolist())
    assert pools == [list(POOLS), list(DEEPER["tao_reserve"]), list(POOLS)]


def test_another_number_of_subnets_is_seen_and_refused_by_a_batch_that_is_there(tmp_path):
    config = Config(genesis=snapshot(tmp_path))
    batch = Batch(config)
    before = arrays(batch)
    snapshot(tmp_path, **THREE)
    assert market_size(config) == 3
    assert Batch(config).layout.n_subnets == 3
    with pytest.raises(ConfigError, match=r"config of world 0: got .*n_subnets=3.*sizes of arrays"):
        batch.reset(0, 0, 0)
    assert arrays(batch) == before


def test_the_same_content_is_computed_once(tmp_path):
    config = Config(genesis=snapshot(tmp_path))
    first = market(config), parameters_of_world(config)
    snapshot(tmp_path)  # written again
    again = market(config), parameters_of_world(config)
    assert first[0] is again[0]
    assert first[1] is again[1]
    assert Snapshot.load("mainnet-2026-06-14") is market(Config())


def test_a_path_may_be_a_path_and_its_ending_in_capitals(tmp_path):
    path = Path(snapshot(tmp_path))
    capitals = tmp_path / "TOY.CSV"
    shutil.copy(path, capitals)
    shutil.copy(path.with_suffix(".json"), capitals.with_suffix(".json"))
    for given in (path, capitals, str(capitals)):
        config = Config.make(genesis=given)
        assert config.genesis == str(given)
        assert np.array_equal(market(config).tao_reserve, POOLS)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    snapshot(tmp_path)
    assert np.array_equal(market(Config(genesis="~/toy.csv")).tao_reserve, POOLS)
    assert Config(genesis="~/toy.csv").genesis == "~/toy.csv"
