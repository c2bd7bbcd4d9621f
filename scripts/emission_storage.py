"""The storage of one block in September 2026 as a snapshot: what it holds, and what follows from it.

The capture `EMISSION_STORAGE` has one row per netuid without root: what the chain had stored before a block, and what that
block then paid. `STORAGE_GLOBALS` has the numbers about the chain. Outstanding alpha follows from root proportions, prices from
reserves, ages from an older capture where the subnet is still the same one.
"""

import json
import math
from pathlib import Path

import numpy as np

from dtao_gym.replay.reserves import BLOCK_TIMES
from scripts.captures import STORAGE_GLOBALS, read_rows, sha256

RAO = 10**9
(LAUNCH_BLOCK, _), (JUNE_BLOCK, _) = BLOCK_TIMES
LEAST_ALPHA_PER_BLOCK = 0.5
"""A subnet with less alpha in all, for each block since its registration or the launch, is a younger one."""

NO_FLOW = "0: not in the capture"


def read_storage(path: Path) -> tuple[list[dict[str, str]], dict]:
    """Read the rows in the order of netuids, and the numbers about the chain from the same folder."""
    rows = sorted(read_rows(path), key=lambda row: int(row["netuid"]))
    return rows, json.loads((path.parent / STORAGE_GLOBALS).read_text("utf-8"))


def alpha_issuance(row: dict[str, str], weighted_root: float) -> float:
    """All alpha of a subnet, I, from its root proportion r = weighted_root / (weighted_root + I).

    `weighted_root` is the weight of TAO times root's TAO; the result has its unit.
    """
    proportion = float(row["root_proportion"])
    return weighted_root * (1.0 - proportion) / proportion


def first_block(block: int, issuance: float, tao: float, alpha: float, seed_price: float) -> int:
    """Block since which a subnet mints, from its issuance at `block`: 1 alpha a block beside the pool's first alpha.

    The pool was seeded at `seed_price`, in TAO per alpha, and trades keep tao * alpha: it held
    sqrt(tao * alpha / seed_price) alpha.
    """
    return block - round(issuance - math.sqrt(tao * alpha / seed_price))


def registrations(
    rows: list[dict[str, str]],
    issuance: dict[str, float],
    block: int,
    june: Path,
    seed_price: float,
) -> tuple[dict[str, int], list[str], list[str]]:
    """Return the registration block of each row, the netuids registered since June, and those since shortly before.

    Pools registered since June are taken to be seeded at `seed_price`, earlier ones at the median price of June.
    """
    captured = {row["netuid"]: row for row in read_rows(june) if row["netuid"] != "0"}
    june_price = float(np.median([float(row["alpha_price_tao"]) for row in captured.values()]))
    blocks, since, shortly_before = {}, [], []
    for row in rows:
        netuid, old = row["netuid"], captured[row["netuid"]]
        tao, alpha = float(old["tao_in_pool_tao"]), float(old["alpha_in_pool"])
        issued = alpha + float(old["alpha_out_pool"])
        blocks[netuid] = int(old["registered_at_block"])
        age = block - max(blocks[netuid], LAUNCH_BLOCK)
        if issuance[netuid] < issued:
            tao, alpha = (int(row[f"{token}_reserve_rao"]) / RAO for token in ("tao", "alpha"))
            blocks[netuid] = first_block(block, issuance[netuid], tao, alpha, seed_price)
            since.append(netuid)
        elif issuance[netuid] < LEAST_ALPHA_PER_BLOCK * age:
            blocks[netuid] = first_block(JUNE_BLOCK, issued, tao, alpha, june_price)
            shortly_before.append(netuid)
    return blocks, since, shortly_before


def _tokens(rao: str) -> str:
    """An amount of rao in whole tokens, with every digit."""
    whole, rest = divmod(int(rao), RAO)
    return f"{whole}.{rest:09d}"


def september(path: Path, june: Path) -> tuple[list[dict[str, str]], dict]:
    """Make a snapshot of the storage of September 2026: 128 subnets, of which four had not started."""
    storage, chain = read_storage(path)
    block, weighted_root = chain["inputs_block"], chain["tao_weight"] * chain["root_tao"]
    fresh = [row for row in storage if row["started"] == "0"]
    assert [row["netuid"] for row in fresh] == ["36", "59", "76", "86"]
    assert not any(float(row["moving_price"]) for row in fresh)
    started = [row for row in storage if row not in fresh]
    price = {
        row["netuid"]: int(row["tao_reserve_rao"]) / int(row["alpha_reserve_rao"])
        for row in storage
    }
    seed_price = float(np.median([price[row["netuid"]] for row in fresh]))
    issuance = {row["netuid"]: alpha_issuance(row, weighted_root) for row in started}
    blocks, since, before = registrations(started, issuance, block, june, seed_price)
    rows = [
        {
            "netuid": row["netuid"],
            "registered_block": str(blocks[row["netuid"]]),
            "tao_reserve": _tokens(row["tao_reserve_rao"]),
            "alpha_reserve": _tokens(row["alpha_reserve_rao"]),
            "alpha_outstanding": (
                f"{issuance[row['netuid']] - int(row['alpha_reserve_rao']) / RAO:.2f}"
            ),
            "spot_price": f"{price[row['netuid']]:.12g}",
            "moving_price": row["moving_price"],
            "miner_burned": row["miner_burned"],
            "emission_enabled": "true" if row["emission_enabled"] == "1" else "false",
            "user_flow_ema": "0",
            "protocol_flow_ema": "0",
        }
        for row in started
    ]
    return rows, _facts(path, june, chain, (since, before, fresh), seed_price)


def _facts(
    path: Path, june: Path, chain: dict, young: tuple[list, list, list], seed_price: float
) -> dict:
    """Return the provenance; `young` are subnets registered since June, shortly before it, and not started."""
    since, before, fresh = young
    names = ", ".join(since)
    return {
        "date": "2026-09-06",
        "block": chain["inputs_block"],
        "root_stake_tao": chain["root_tao"],
        "chain_issuance_tao": chain["total_issuance_tao"],
        "chain_issuance_derivation": "As stored.",
        "last_lock_tao": chain["last_lock_tao"],
        "last_registration_block": chain["last_registration_block"],
        "source": (
            "Storage of the Bittensor mainnet (spec 454) at block 9005759, and emission of the next block "
            "(2026-09-06 03:43 UTC), as published in NoBSRecruiter/tao-subnet-trader, "
            "tests/fixtures/golden/emission_parity/b9005760.json (bfa925ec)"
        ),
        "licence": "Facts read from a public chain; the repository that published them states no licence.",
        "columns_imputed": {
            "registered_block": (
                f"that of the capture of 2026-06-14 by netuid. For {names}, which have less alpha than then, "
                "and so were registered again: the block since which 1 alpha a block makes the alpha issued, "
                f"beside what a pool seeded at {seed_price:.4f} TAO, the median of the pools not started, "
                f"held at first. For {', '.join(before)}, too little alpha for its age in June already, the same "
                "from its state in June, at the median price then. These are estimates of the start: the registration "
                "may lie weeks before it, and alpha that the chain put into pools makes them early by days."
            ),
            "alpha_outstanding": (
                "from root_proportion r = w R / (w R + I) with w = 0.18 and R the TAO in root: I - alpha_reserve. "
                "r is a multiple of 2**-32, which gives I to 0.02 alpha; R and alpha that moved within the "
                "block may add an alpha or two"
            ),
            "spot_price": (
                "tao_reserve / alpha_reserve, a weight of 1/2: weights were 0.49999974 to 0.5. The prices at which "
                "that block injected agree to 4e-7, or to one rao"
            ),
            "user_flow_ema": NO_FLOW,
            "protocol_flow_ema": NO_FLOW,
        },
        "cleaning": [
            "Reserves are rao / 1e9; moving prices, burn and switches are copied digit for digit.",
            "Root (netuid 0) is no row: its TAO is root_stake_tao.",
            f"Netuids {', '.join(row['netuid'] for row in fresh)} are dropped, 124 subnets remain: registered "
            "but not started, with moving price 0, no emission, 462 to 709 TAO in the pool, and the root "
            "proportion that the subnet before them had at its end.",
        ],
        "notes": [
            "46 of 124 subnets have their emission switched off.",
            f"{len(since)} started subnets and {len(fresh)} that had not are younger than 2026-06-14: "
            f"{len(since) + len(fresh)} registrations in 84 days, one in 60,000 blocks.",
            "Subnets whose emission is off, and whose pool therefore got nothing, gained about 0.99 alpha a block "
            "since 2026-06-14, where 1 is minted.",
        ],
        "globals_sha256": sha256(path.parent / STORAGE_GLOBALS),
        "registrations_source_sha256": sha256(june),
    }
