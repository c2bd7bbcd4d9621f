"""Small worlds for tests: a user's snapshot of a few subnets, and orders that try everything."""

import json
from pathlib import Path

import numpy as np

from dtao_gym.protocol.issuance import SUPPLY_CAP
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

COLUMNS = {
    "netuid": (1, 2, 3, 4),
    "registered_block": (0, 1_000_000, 2_000_000, 2_990_000),
    "tao_reserve": (5000.0, 1200.0, 300.0, 80.0),
    "alpha_reserve": (100_000.0, 60_000.0, 30_000.0, 20_000.0),
    "alpha_outstanding": (2_000_000.0, 1_000_000.0, 400_000.0, 50_000.0),
    "spot_price": (0.05, 0.02, 0.01, 0.004),
    "moving_price": (0.4, 0.3, 0.2, 0.2),
    "miner_burned": (0.0, 0.5, 0.0, 1.0),
    "emission_enabled": (True, True, False, True),
}
"""Pools of weight 1/2; the moving prices add to more than 1, so that the gate for root is open."""
CHAIN = {"block": 3_000_000, "root_stake_tao": 50_000.0, "chain_issuance_tao": 11e6}


def snapshot(folder: Path, **changes) -> str:
    """Path of a snapshot with four subnets; changes replace columns (one value stands for all) and facts."""
    facts = {key: changes.get(key, value) for key, value in CHAIN.items()}
    columns = {key: changes.get(key, value) for key, value in COLUMNS.items()}
    n = max(len(values) for values in columns.values() if isinstance(values, tuple))
    columns = {
        key: values if isinstance(values, tuple) else (values,) * n
        for key, values in columns.items()
    }
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(repr, row)).lower() for row in rows)]
    path = folder / "toy.csv"
    path.write_text("\n".join(lines))
    path.with_suffix(".json").write_text(json.dumps(facts))
    return str(path)


def toy(folder: Path, n_worlds: int = 1, config: dict | None = None, **changes) -> Batch:
    """A batch on such a snapshot."""
    return Batch(Config.make(config, genesis=snapshot(folder, **changes)), n_worlds)


def random_orders(batch: Batch, random: np.random.Generator, scale: float = 2.0) -> np.ndarray:
    """Orders of all sizes: parts and multiples of wealth and holdings, many of them impossible, some zero."""
    shape = (batch.n_worlds, batch.layout.n_stakers, batch.layout.n_subnets)
    size = 10 ** random.uniform(-6, scale, shape)
    wealth = batch.state.stakers["wealth"][:, :, None]
    buys = size * wealth / batch.layout.n_subnets
    sales = -size * np.maximum(batch.state.section("staker_alpha"), 1e-3)
    kind = random.integers(0, 3, shape)
    return np.select([kind == 0, kind == 1], [buys, sales], 0.0)


def arrays(batch: Batch, worlds=slice(None)) -> list[bytes]:
    """The state of some worlds, bit by bit."""
    return [getattr(batch.state, name)[worlds].tobytes() for name in batch.state.ARRAYS]


def assert_sound(batch: Batch) -> None:
    """Conserved to 1e-9, finite, within the caps where emission halves."""
    state = batch.state
    checked = batch.audit(1e-9)
    assert checked.ok, checked
    assert np.isfinite(state.fields).all()
    for array in (state.worlds, state.stakers):
        for name in array.dtype.names:
            assert np.isfinite(array[name]).all(), name
    cap, halves = SUPPLY_CAP * (1 + 1e-14), batch.parameters["halving"] == 1
    issuance = state.row("alpha_reserve") + state.row("alpha_outstanding")
    assert (issuance[halves] <= cap).all()
    assert (state.worlds["chain_issuance"][halves] <= cap).all()
    assert (state.row("moving_price") >= 0.0).all()
    assert (state.row("moving_price") <= 1.0).all()
    assert ((state.row("pool_tao_weight") >= 0.01) & (state.row("pool_tao_weight") <= 0.99)).all()
    shares = state.row("emission_share").sum(1)
    assert (shares <= 1.0 + 1e-12).all()
