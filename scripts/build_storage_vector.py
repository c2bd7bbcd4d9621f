"""Build the golden vector of one block of mainnet: what each subnet was paid, from the chain's storage.

    python scripts/build_storage_vector.py SOURCE_DIR [--output FOLDER]

SOURCE_DIR holds `EMISSION_STORAGE` and `STORAGE_GLOBALS` of `scripts/captures.py`. The vector replaces the one of its name in
FOLDER/full_block.json, or becomes the last. Inputs are the subnets in the emission set before the block; expected are the
TAO and the alpha that entered each pool, and the TAO of the chain's purchase.

Outstanding alpha is not stored there: it follows from the root proportion. Nor are the weights of the pools: where a weight of
1/2 misses a number by more than a rao, the weight is that of the price at which the block injected.
"""

import json
import sys
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.conformance import check_vector, run_vector  # noqa: E402
from dtao_gym.conformance_vectors import U64  # noqa: E402
from scripts.captures import EMISSION_STORAGE, options  # noqa: E402
from scripts.emission_storage import RAO, alpha_issuance, read_storage  # noqa: E402

NAME = "mainnet_block_9005760"
WEIGHT_DIGITS = 10
PAID = {
    "tao_in_rao": "tao_in_emission_rao",
    "alpha_in_rao": "alpha_in_emission_rao",
    "excess_tao_rao": "excess_tao_rao",
}
"""Results of a block, and the columns that hold them."""


def subnet_inputs(row: dict[str, str], weighted_root_rao: float) -> dict:
    """What the block read of one subnet."""
    alpha_in = int(row["alpha_reserve_rao"])
    return {
        "tao": int(row["tao_reserve_rao"]),
        "alpha_in": alpha_in,
        "alpha_out": round(alpha_issuance(row, weighted_root_rao)) - alpha_in,
        "moving": float(row["moving_price"]),
        "miner_burned": float(row["miner_burned"]),
        "emission_enabled": row["emission_enabled"] == "1",
    }


def block_vector(folder: Path) -> dict:
    """Make the vector from the captures in a folder, with all weights 1/2."""
    rows, chain = read_storage(folder / EMISSION_STORAGE)
    rows = [row for row in rows if row["started"] == "1"]
    root_rao = round(chain["root_tao"] * RAO)
    return {
        "name": NAME,
        "era": "root_reborn",
        "source": (
            "NoBSRecruiter/tao-subnet-trader tests/fixtures/golden/emission_parity/b9005760.json@bfa925ec"
        ),
        "kind": "chain-storage",
        "inputs": {
            "block_emission_rao": round(chain["block_emission_tao"] * RAO),
            "root_tao_rao": root_rao,
            "tao_weight_u64": int(Fraction(str(chain["tao_weight"])) * U64),
            "base_alpha": chain["moving_price_base"],
            "halving_blocks": chain["moving_price_halving_blocks"],
            "gate_rank": chain["emission_bar_rank"],
            "gate_exponent": chain["emission_gate_exponent"],
            "subnets": [subnet_inputs(row, chain["tao_weight"] * root_rao) for row in rows],
        },
        "expected": {
            "subnets": [
                {result: int(row[column]) for result, column in PAID.items()} for row in rows
            ]
        },
        "tolerance": {"abs": 1},
    }


def infer_weights(vector: dict) -> list[float]:
    """Write the weights of TAO that prices of the block imply into the inputs, and return them."""
    subnets, expected = vector["inputs"]["subnets"], vector["expected"]["subnets"]
    weights = []
    results = run_vector("full_block", vector)["subnets"]
    for subnet, got, paid in zip(subnets, results, expected, strict=True):
        if all(abs(got[name] - paid[name]) <= vector["tolerance"]["abs"] for name in PAID):
            continue
        # all of the emission enters the pool unless some is left to buy with; amounts were rounded down
        entered = paid["tao_in_rao"] + 0.5 if paid["excess_tao_rao"] else got["tao_emission_rao"]
        price = entered / (paid["alpha_in_rao"] + 0.5)
        weight = subnet["tao"] / (price * subnet["alpha_in"] + subnet["tao"])
        subnet["quote_weight"] = round(weight, WEIGHT_DIGITS)
        weights.append(weight)
    return weights


def main() -> None:
    given = options(__doc__, ROOT / "tests" / "golden")
    vector = block_vector(given.source_dir)
    weights = infer_weights(vector)
    vector["note"] = (
        "alpha_out from the root proportion, which the block used as stored before it; "
        f"quote_weight of {len(weights)} subnets from the prices of the block, else 1/2"
    )
    failures, worst = check_vector("full_block", vector)
    assert not failures, failures
    path = given.output / "full_block.json"
    others = json.loads(path.read_text("utf-8")) if path.exists() else []
    vectors = [other for other in others if other["name"] != NAME] + [vector]
    path.write_text(json.dumps(vectors, indent=1) + "\n", encoding="utf-8")
    print(
        f"{path}: {len(vector['inputs']['subnets'])} subnets, {len(weights)} weights of TAO from "
        f"{min(weights):.8f} to {max(weights):.8f}, worst error {worst:.2f} of the tolerance"
    )


if __name__ == "__main__":
    main()
