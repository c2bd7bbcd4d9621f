"""Build the packaged mainnet snapshots from raw captures of the chain.

    python scripts/build_snapshots.py SOURCE_DIR [--output FOLDER]

SOURCE_DIR holds the captures `JUNE_SNAPSHOT` and `APRIL_SNAPSHOT` of `scripts/captures.py`, one row per netuid including
root, and `FLOWS`, flows of some subnets. Each snapshot becomes a table `mainnet-DATE.csv` and its provenance
`mainnet-DATE.json`, which lists the cleaning: columns are renamed and keep their digits, root becomes a number of the
provenance, columns that a capture lacks are imputed, and a subnet without a market is dropped.

The day on which pools began was not captured: `mainnet-2025-02-13` is derived from the rules, from `DAY_ONE`, which lists
the subnets, and from `REGISTRATIONS`. `mainnet-2026-09-06` is the storage of one block, `EMISSION_STORAGE`, with ages from the
capture of June (see `scripts/emission_storage.py`).
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.replay.reserves import BLOCK_TIMES  # noqa: E402
from dtao_gym.world.snapshot import COLUMNS, Snapshot  # noqa: E402
from scripts.captures import (  # noqa: E402
    APRIL_SNAPSHOT,
    DAY_ONE,
    EMISSION_STORAGE,
    FLOWS,
    JUNE_SNAPSHOT,
    PACKAGE_DATA,
    REGISTRATIONS,
    options,
    read_rows,
    sha256,
)
from scripts.emission_storage import september  # noqa: E402

(LAUNCH_BLOCK, _), (JUNE_BLOCK, _) = BLOCK_TIMES
"""Root's last epoch (see the block_derivation of mainnet-2026-04-11), and 2026-06-14 09:03 UTC."""
APRIL_BLOCKS = (7_940_553, 7_947_753)
"""The day 2026-04-11 UTC, from `JUNE_BLOCK` at 12 s per block."""
FLOW_HALF_LIFE_BLOCKS = 216_000
"""30 days."""
WARM_UP_HALF_LIVES = 2
"""Age of an estimated flow average that started at 0: 60 days at its present rate."""

NO_BURN = "0: not in the capture"
ENABLED = "true: not in the capture"
NO_PROTOCOL_FLOW = "0: not in the capture"
COPIED = (
    "Every number that is not imputed is copied digit for digit; columns are renamed and chosen."
)
NO_ROOT = "Root (netuid 0) is no row: its TAO is root_stake_tao."


def read(path: Path) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Read the row of root, and the rows of the subnets in the order of netuids."""
    root, *subnets = sorted(read_rows(path), key=lambda row: int(row["netuid"]))
    assert root["netuid"] == "0", f"{path}: no row for root"
    return root, subnets


def block_of_epochs(subnets: list[dict[str, str]], blocks: tuple[int, int]) -> int:
    """Return the only block of a range that fits the position of every subnet in its epoch.

    A subnet's epoch runs at the blocks where block + netuid + 2 is a multiple of tempo + 1. With tempos of 360 and 99 the
    pattern repeats every 36,100 blocks, five days, so that a day determines the block.
    """
    fits = [
        block
        for block in range(*blocks)
        if all(
            (block + int(row["netuid"]) + 2) % (int(row["tempo"]) + 1)
            == int(row["blocks_since_last_step"])
            for row in subnets
        )
    ]
    assert len(fits) == 1, f"the epochs of the subnets fit the blocks {fits}"
    return fits[0]


def user_flows(path: Path) -> tuple[dict[str, float], int, int]:
    """Return average user flows by netuid, TAO per block, and numbers of captured and estimated ones.

    An average that is not captured is estimated from the net flow of 30 days.
    """
    flows, known = {}, 0
    for row in read_rows(path):
        if average := row["ema_tao_flow_rao_per_block"]:
            flows[row["netuid"]] = float(average) / 1e9
            known += 1
        elif month := row["net_flow_30d_tao"]:
            rate = float(month) / FLOW_HALF_LIFE_BLOCKS  # 30 days are one half-life
            flows[row["netuid"]] = rate * (1.0 - 0.5**WARM_UP_HALF_LIVES)
    return flows, known, len(flows) - known


def flow_facts(path: Path) -> dict:
    """Provenance of the flows."""
    return {
        "flow_source": (
            "Flows of the stakers up to 2026-04-11, from sudoHayato/bittensor-research, "
            "data/shortlist_taostats_2026-04-11.json and data/fase*_v3_*.json (d2068f46), under MIT"
        ),
        "flow_source_sha256": sha256(path),
    }


def june(path: Path, flows: Path) -> tuple[list[dict[str, str]], dict]:
    """Clean the capture of June 2026.

    It has 128 subnets, and neither moving prices nor miner burn, emission switches and flows.
    """
    root, subnets = read(path)
    flow, _, _ = user_flows(flows)
    old = [row["netuid"] for row in subnets if int(row["registered_at_block"]) < APRIL_BLOCKS[0]]
    flow = {netuid: flow[netuid] for netuid in old if netuid in flow}
    assert {row["block"] for row in subnets} == {str(JUNE_BLOCK)}
    rows = [
        {
            "netuid": row["netuid"],
            "registered_block": row["registered_at_block"],
            "tao_reserve": row["tao_in_pool_tao"],
            "alpha_reserve": row["alpha_in_pool"],
            "alpha_outstanding": row["alpha_out_pool"],
            "spot_price": row["alpha_price_tao"],
            "moving_price": row["alpha_price_tao"],
            "miner_burned": "0",
            "emission_enabled": "true",
            "user_flow_ema": f"{flow.get(row['netuid'], 0.0):.12g}",
            "protocol_flow_ema": "0",
        }
        for row in subnets
    ]
    return rows, june_facts(float(root["tao_in_pool_tao"]), len(flow)) | flow_facts(flows)


def june_facts(root_stake_tao: float, known_flows: int) -> dict:
    """Return the provenance of June 2026; flows of `known_flows` subnets are those of April."""
    return {
        "date": "2026-06-14",
        "block": JUNE_BLOCK,
        "root_stake_tao": root_stake_tao,
        "chain_issuance_tao": 11.014e6,
        "chain_issuance_derivation": (
            "11,158,336.9 TAO at block 8692916 (2026-07-24), less 0.5 TAO for each of the 288,840 "
            "blocks between, is 11.0139 M; recycling is left out. Used for halving only."
        ),
        "source": (
            "Storage of the Bittensor mainnet at block 8404076 (2026-06-14 09:03 UTC), as published "
            "in JSONbored/metagraphed, registry/native/finney-subnets.json (52b6b1e16)"
        ),
        "licence": (
            "Facts read from a public chain. The repository that published them is under AGPL-3.0; "
            "none of its code or text is used."
        ),
        "columns_imputed": {
            "moving_price": "spot_price: not in the capture; in 2026 it followed within hours",
            "miner_burned": NO_BURN,
            "emission_enabled": ENABLED,
            "user_flow_ema": (
                f"that of mainnet-2026-04-11 by netuid for the {known_flows} subnets which that snapshot "
                f"knows of and which were registered before it, else 0: no flow is in the capture"
            ),
            "protocol_flow_ema": NO_PROTOCOL_FLOW,
        },
        "cleaning": [COPIED, NO_ROOT, "All 128 subnets are kept."],
        "notes": [
            "77 of 128 pools have a weight of TAO outside 0.499 to 0.501, 11 outside 0.49 to 0.51.",
            "Netuid 40 seems to have been registered again some days before: only 146 thousand alpha "
            "exist, far too few for the age that registered_block gives. Its pool weight of TAO, "
            "0.851, is the only one above 0.53. The row is kept as captured.",
        ],
    }


def april(path: Path, flows: Path) -> tuple[list[dict[str, str]], dict]:
    """Clean the capture of April 2026: 127 subnets with moving prices, some with flows; one is dropped."""
    root, subnets = read(path)
    flow, known, estimated = user_flows(flows)
    block = block_of_epochs(subnets, APRIL_BLOCKS)
    fresh = [row for row in subnets if float(row["alpha_out"]) == 0.0]
    assert [row["netuid"] for row in fresh] == ["96"]
    rows = [
        {
            "netuid": row["netuid"],
            "registered_block": row["registered_at_block"],
            "tao_reserve": row["tao_in"],
            "alpha_reserve": row["alpha_in"],
            "alpha_outstanding": row["alpha_out"],
            "spot_price": row["price_tao"],
            "moving_price": row["moving_price"],
            "miner_burned": "0",
            "emission_enabled": "true",
            "user_flow_ema": f"{flow.get(row['netuid'], 0.0):.12g}",
            "protocol_flow_ema": "0",
        }
        for row in subnets
        if row not in fresh
    ]
    return rows, april_facts(block, float(root["tao_in"]), known, estimated) | flow_facts(flows)


def april_facts(block: int, root_stake_tao: float, known: int, estimated: int) -> dict:
    """Return the provenance of April 2026, with numbers of known and estimated flows."""
    return {
        "date": "2026-04-11",
        "block": block,
        "block_derivation": (
            "Not in the capture. The blocks since the last epoch of all 128 subnets (tempos 360 and "
            "99) fit one block in 36,100, and 7946984 is the only one of 2026-04-11 (about 19:20 "
            "UTC). It also puts root's last epoch at block 4919910, about 20:15 UTC on 2025-02-13, "
            "the day on which dTAO began."
        ),
        "root_stake_tao": root_stake_tao,
        "chain_issuance_tao": 10.85e6,
        "chain_issuance_derivation": (
            "Near the straight line from 10.5 M TAO at the halving of mid-December 2025 to 11.1583 M "
            "on 2026-07-24. Counting back 0.5 TAO a block from there without recycling gives 10.785 M, "
            "a lower bound. Used for halving only, and far from the next threshold, 15.75 M."
        ),
        "source": (
            "Storage of the Bittensor mainnet on 2026-04-11, as published in "
            "sudoHayato/bittensor-research, data/subnets_snapshot_2026-04-11.json (d2068f46)"
        ),
        "licence": "Facts read from a public chain; their publisher's repository is under MIT.",
        "columns_imputed": {
            "miner_burned": NO_BURN,
            "emission_enabled": ENABLED,
            "user_flow_ema": (
                f"known on chain for {known} subnets; for {estimated} the net flow of 30 days over "
                f"{FLOW_HALF_LIFE_BLOCKS} blocks, times 1 - 2**-{WARM_UP_HALF_LIVES}, as if it had flowed "
                "at this rate for 60 days (the half-life is 30 days); else 0: not in the capture"
            ),
            "protocol_flow_ema": NO_PROTOCOL_FLOW,
        },
        "cleaning": [
            COPIED,
            NO_ROOT,
            "Netuid 96 is dropped, 127 subnets remain: registered but not started, 1.7 TAO and 0.6 "
            "alpha in its pool, no alpha outside, no moving price, a price of 2.83 TAO.",
        ],
        "notes": [
            "Reserves have four decimals, prices nine.",
            "25 of 127 pools have a weight of TAO outside 0.499 to 0.501, 2 outside 0.49 to 0.51; "
            "pools had concentrated liquidity then, of which the weight is a summary.",
            "The flow average of netuid 64 is 0 in the source, with a net flow of -11,666 TAO in 30 days; "
            "the source seems to show negative averages as 0. No flow rule pays either.",
        ],
    }


def registration_blocks(path: Path, netuids: list[int]) -> tuple[dict[int, int], list[int]]:
    """Return the registration block of each netuid, and the netuids whose block is interpolated.

    The source has only the last registration of a netuid. If that came after the launch, the netuid was registered again
    since, and its block is interpolated between the next known netuids.
    """
    last = {
        int(row["netuid"]): int(row["registered_block"])
        for row in read_rows(path)
        if row["registered_block"]  # root has none
    }
    known = {k: last[k] for k in netuids if last[k] < LAUNCH_BLOCK}
    blocks = np.interp(netuids, list(known), list(known.values())).round().astype(int).tolist()
    return dict(zip(netuids, blocks, strict=True)), [k for k in netuids if k not in known]


def launch(path: Path, registrations: Path) -> tuple[list[dict[str, str]], dict]:
    """Derive the state of the migration to dTAO: 64 subnets with pools of 1 TAO and 1 alpha."""
    netuids = [int(row["netuid"]) for row in read_rows(path)]
    registered, interpolated = registration_blocks(registrations, netuids)
    rows = [
        {
            "netuid": str(netuid),
            "registered_block": str(registered[netuid]),
            "tao_reserve": "1",
            "alpha_reserve": "1",
            "alpha_outstanding": "0",
            "spot_price": "1",
            "moving_price": f"{1 / len(netuids):.12g}",
            "miner_burned": "0",
            "emission_enabled": "true",
            "user_flow_ema": "0",
            "protocol_flow_ema": "0",
        }
        for netuid in netuids
    ]
    return rows, launch_facts(interpolated, registrations)


def launch_facts(interpolated: list[int], registrations: Path) -> dict:
    """Return the provenance of the launch, with the netuids whose registration is interpolated."""
    return {
        "date": "2025-02-13",
        "block": LAUNCH_BLOCK,
        "block_derivation": (
            "Root's last epoch, about 20:15 UTC, from the epoch counters of mainnet-2026-04-11. "
            "A price file dated 2025-02-14 16:00 UTC, block 4925837, agrees: 5,927 blocks are 19.8 hours."
        ),
        "root_stake_tao": 5.9e6,
        "root_stake_derivation": (
            "About 5.9 M: all stake was moved to root on that day. It fits the 6 M TAO on root, with "
            "which the documentation of taostats puts the age of equal weight of root and alpha at 70 "
            "days, and 71 % of an issuance of 8.3 M. No capture of the day was found."
        ),
        "chain_issuance_tao": 8.306e6,
        "chain_issuance_derivation": (
            "10.5 M TAO at the halving of mid-December 2025, less 1 TAO for each of the 2,194,000 "
            "blocks from this one to the middle of 2025-12-15; recycling is left out. Used for halving only."
        ),
        "source": (
            "The rules of the migration to dTAO (opentensor/subtensor, spec 233): 1 TAO and 1 alpha "
            "in each pool, no alpha outside. Subnets: those with a price at block 4925837 in "
            "alexlange1/backtesting, emissions_v2/emissions_v2_20250214.json (96b6444). Registrations: "
            "stevewoz1234567890/Bittensor-Discussion, subnets/NNN-*.md (d599780)"
        ),
        "licence": "Facts read from a public chain; the repositories that published them state no licence.",
        "columns_imputed": {
            "moving_price": (
                "1/64 each. The migration set it to the subnet's last share under the root vote, of "
                "which no record was found. A table of autumn 2024 (taostat/taostats-docs, 50 subnets) "
                "gives 0 to 7.9 %, but a day later 25 of the 64 subnets, with 0 to 3.1 % there, had "
                "one price, 0.0100 to 0.0108 TAO: pools that nobody had traded in had got equal shares."
            ),
            "miner_burned": NO_BURN,
            "emission_enabled": "true: there was no such switch",
            "user_flow_ema": "0: the chain did not count flows yet",
            "protocol_flow_ema": "0: the chain did not count flows yet",
        },
        "registrations_source_sha256": sha256(registrations),
        "cleaning": [
            NO_ROOT,
            f"registered_block of the netuids {', '.join(map(str, interpolated))}, which were registered "
            "again later, is interpolated between the next netuids with a known one.",
        ],
        "notes": [
            "A price of 1 TAO is that of a pool in which nothing has happened: within a day mining, "
            "root's sales and the first stakers bring it to about 0.01.",
        ],
    }


def write(folder: Path, rows: list[dict[str, str]], facts: dict, source: Path) -> Snapshot:
    """Write table and provenance, and read them back."""
    name = f"mainnet-{facts['date']}"
    facts = {"name": name, **facts}
    facts["source_sha256"] = sha256(source)
    table = folder / f"{name}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    provenance = table.with_suffix(".json")
    provenance.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return Snapshot.from_csv(table)


def main() -> None:
    given = options(__doc__, PACKAGE_DATA)
    for clean, file, second in (
        (june, JUNE_SNAPSHOT, FLOWS),
        (april, APRIL_SNAPSHOT, FLOWS),
        (launch, DAY_ONE, REGISTRATIONS),
        (september, EMISSION_STORAGE, JUNE_SNAPSHOT),
    ):
        path = given.source_dir / file
        snapshot = write(given.output, *clean(path, given.source_dir / second), path)
        low, high = snapshot.tao_weight.min(), snapshot.tao_weight.max()
        print(f"{snapshot.name}: {snapshot.n_subnets} subnets, TAO weights {low:.4f} to {high:.4f}")


if __name__ == "__main__":
    main()
