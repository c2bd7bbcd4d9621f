"""The chain's clock: one subnet block by block."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.genesis import chosen_subnets, world_key
from dtao_gym.world.prehistory import market
from dtao_gym.world.state import ROW_OF, Subnets

MAX_BLOCKS = 30 * BLOCKS_PER_DAY


class Trace(NamedTuple):
    """One subnet after each block, every array `(blocks,)`. Amounts are whole TAO and alpha."""

    block: np.ndarray
    tao_reserve: np.ndarray
    alpha_reserve: np.ndarray
    pool_tao_weight: np.ndarray
    spot_price: np.ndarray
    """TAO per alpha."""
    moving_price: np.ndarray
    """TAO per alpha."""
    emission_share: np.ndarray
    """Share of the block's TAO, 0 to 1."""
    tao_emission: np.ndarray
    """TAO of the block for the subnet."""
    alpha_emission: np.ndarray
    """Alpha of the block for its participants."""
    alpha_outstanding: np.ndarray
    user_flow_ema: np.ndarray
    """Average net TAO that stakers bring, TAO per block."""
    protocol_flow_ema: np.ndarray
    """Average net TAO that the protocol puts in, TAO per block."""
    protocol_alpha: np.ndarray
    """Alpha that the chain has bought and kept."""
    staker_alpha: np.ndarray
    """Alpha of the scripted stakers."""

    def to_csv(self, path: str | Path) -> None:
        """Write one row per block, with all digits."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self._fields)
            writer.writerows(zip(*(column.tolist() for column in self), strict=True))


_COPIED = [name for name in Trace._fields if name in Subnets._fields]


def trace(
    config: "Config | dict | str | Path | None", netuid: int, blocks: int = 100, **overrides: Any
) -> Trace:
    """Play a world block by block (`spans_per_day` = 7200) and record one subnet.

    There are no stakers with orders. Daily events of the model (stakers' targets, votes, users' payments, registrations)
    stay daily; everything that the chain does in a block is done in each.

    Parameters
    ----------
    config : Config, dict, path or None
        As for `Config.make`.
    netuid : int
        A simulated subnet of the genesis snapshot.
    blocks : int
        Number of blocks from genesis on, 1 to 216,000 (30 days).
    **overrides
        Parameters that replace those of `config`.

    Raises
    ------
    ConfigError
        For a bad configuration, a netuid that is not simulated, or a bad number of blocks.
    """
    config = Config.make(config, **overrides)
    config = Config.make(config, spans_per_day=BLOCKS_PER_DAY, n_stakers=0)
    column = _column(config, netuid)
    if not isinstance(blocks, int | np.integer) or not 1 <= blocks <= MAX_BLOCKS:
        raise ConfigError(f"blocks: got {blocks!r}, allowed are 1 to {MAX_BLOCKS}")

    batch = Batch(config)
    orders = np.zeros((1, 0, batch.layout.n_subnets))
    parts = []
    for done in range(0, int(blocks), BLOCKS_PER_DAY):
        spans = min(int(blocks) - done, BLOCKS_PER_DAY)
        rows = np.empty((spans, len(Subnets._fields), batch.layout.n_subnets))
        first = batch.state.worlds["block"][0] + 1
        batch.advance(orders, 1, trace=rows)
        parts.append(_table(rows[:, :, column], first, batch.state.worlds["block_emission"][0]))
    return Trace(*map(np.concatenate, zip(*parts, strict=True)))


def _column(config: Config, netuid: int) -> int:
    """Index of a subnet in the arrays of a world."""
    snapshot = market(config)
    chosen = chosen_subnets(config, world_key(config, config.world_seed), 0)
    simulated = snapshot.netuid[chosen]
    if netuid in simulated:
        return int(np.flatnonzero(simulated == netuid)[0])
    if netuid in snapshot.netuid:
        raise ConfigError(
            f"netuid: got {netuid}, which is in {snapshot.name} but not among the {chosen.size} subnets "
            f"simulated; allowed are {', '.join(map(str, simulated))}"
        )
    raise ConfigError(
        f"netuid: got {netuid}, allowed are those of {snapshot.name}, "
        f"{snapshot.netuid.min()} to {snapshot.netuid.max()}"
    )


def _table(rows: np.ndarray, first_block: float, block_emission: float) -> Trace:
    """Trace of a day; `rows` is `(blocks, rows)` of the subnet."""
    columns = {name: rows[:, ROW_OF[name]] for name in _COPIED}
    stakers = rows[:, ROW_OF["informed_alpha"]] + rows[:, ROW_OF["uninformed_alpha"]]
    return Trace(
        block=np.int64(first_block) + np.arange(len(rows)),
        tao_emission=columns["emission_share"] * block_emission,
        staker_alpha=stakers,
        **columns,
    )
