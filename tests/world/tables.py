"""A small snapshot on disk."""

import csv
import json
from pathlib import Path

from dtao_gym.world.snapshot import COLUMNS

CHAIN = {"block": 1000, "root_stake_tao": 500.0, "chain_issuance_tao": 10_000.0}
TABLE = """\
netuid,registered_block,tao_reserve,alpha_reserve,alpha_outstanding,spot_price,moving_price,miner_burned,emission_enabled,user_flow_ema,protocol_flow_ema
7,100,50.0,1000,2000,0.05,0.04,0.25,true,0.01,0.004
3,200,50.0,500,700,0.1,0.1,0,false,-0.02,0
12,1000,80.0,1000,0,0.02,0.03,1,true,0,-0.001
"""


def write(folder: Path, table: str = TABLE, **facts: object) -> Path:
    """A snapshot of three subnets, written as a user would."""
    path = folder / "mine.csv"
    path.write_text(table)
    path.with_suffix(".json").write_text(json.dumps({**CHAIN, **facts}))
    return path


def without(*dropped: str) -> str:
    """The table less some columns."""
    rows = list(csv.DictReader(TABLE.splitlines()))
    kept = [column for column in COLUMNS if column not in dropped]
    return "\n".join([",".join(kept)] + [",".join(row[c] for c in kept) for row in rows])
