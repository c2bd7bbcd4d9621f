"""Chain numbers: how `tests/golden/*.json` is read, run against the rules, and judged.

A file is a list of vectors `{name, era, source, kind, inputs, expected, tolerance[, note]}`; its stem is the
category. Each category has one adapter below, which turns integer rao into tokens, calls the functions of
`dtao_gym.protocol` that the engine calls, and floors to a whole rao where the chain floors.
"""

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.protocol import coinbase, pool
from dtao_gym.protocol.allocation import ALLOCATIONS, Rest, emission_shares
from dtao_gym.protocol.institutions import ERAS
from dtao_gym.protocol.issuance import emission_per_block

FOLDER = Path(__file__).parents[1] / "golden"
RAO = 10**9
U16, U64 = 2**16 - 1, 2**64 - 1
SUPPLY_RAO = 21_000_000 * RAO
NO_REST = Rest(0.0, 0.0, 0.0, 0.0)

LEFT_OUT = {
    "price/root_and_stable_price": "mechanism 0 is root, which trades one to one and is no pool here",
    "price/median_odd": "the median price seeds new subnets, and no subnet is registered yet",
    "price/median_even_zero_ignored": "the median price seeds new subnets, and no subnet is registered yet",
}
"""Vectors that no function of the package answers, and why."""

UNCHECKED = {
    "pending_split/launch_root_quarter_sold_at_price_one": {"pending_root_tao_rao"},  # mechanism 0
    "subnet_terms": {"alpha_out_rao"},  # the alpha emission by definition; full_block has it minted
    "pending_split/after_alpha_halving": {
        "recycled_rao"
    },  # 0 by the open gate; full_block has it shut
}
"""Fields of a vector or category that have no counterpart in a rule."""


@dataclass(frozen=True)
class Vector:
    """One vector; `id` is category and name."""

    id: str
    era: str
    inputs: dict
    expected: dict
    tolerance: dict

    @property
    def category(self) -> str:
        return self.id.split("/")[0]

    @property
    def rules(self):
        """The era of the package: the launch's where the label is that alone, else today's."""
        return ERAS["launch" if self.era == "launch" else "price_burn"]


def load(category: str = "*") -> dict[str, Vector]:
    """Vectors by id."""
    found = {}
    for path in sorted(FOLDER.glob(f"{category}.json")):
        for entry in json.loads(path.read_text()):
            key = f"{path.stem}/{entry['name']}"
            assert key not in found, f"{key} is there twice"
            found[key] = Vector(
                key, *(entry[k] for k in ("era", "inputs", "expected", "tolerance"))
            )
    return found


def check(vector: Vector, got: dict) -> None:
    """`|got - expected| <= max(abs, rel |expected|)` for every field that the vector expects."""
    skipped = UNCHECKED.get(vector.id, UNCHECKED.get(vector.category, set()))
    expected = {key: value for key, value in vector.expected.items() if key not in skipped}
    assert expected, f"{vector.id}: nothing is left to check"
    _compare(vector, vector.id, expected, got)


def _compare(vector: Vector, where: str, expected, got) -> None:
    if isinstance(expected, dict):
        for key, value in expected.items():
            _compare(vector, f"{where}.{key}", value, got[key])
    elif isinstance(expected, list):
        assert len(expected) == len(got), where
        for k, (one, other) in enumerate(zip(expected, got, strict=True)):
            _compare(vector, f"{where}[{k}]", one, other)
    elif isinstance(expected, bool):
        assert got is expected, where
    else:
        allowed = _allowed(vector.tolerance, where, expected)
        assert abs(got - expected) <= allowed, (
            f"{where}: got {got!r}, chain {expected!r} +- {allowed}"
        )


def _allowed(tolerance: dict, where: str, expected: float) -> float:
    field = where.rsplit(".", 1)[-1]
    absolute, relative = tolerance.get("abs", 0.0), tolerance.get("rel", 0.0)
    if "price" in field and "price_rel" in tolerance:
        absolute, relative = 0.0, tolerance["price_rel"]
    elif "_rao" not in field and absolute >= 1:
        absolute = 0.0  # a number of rao says nothing about a price or a share
    return max(absolute, relative * abs(expected))


def tokens(rao: int) -> float:
    """Whole tokens, rounded once from the exact number."""
    return float(Fraction(rao, RAO))


def floor_rao(amount: float) -> int:
    """Whole rao of an amount in tokens. What is within 1e-6 rao of the next whole number is that number."""
    return math.floor(amount * RAO + 1e-6)


def tao_weight(u64: int) -> float:
    """Root's weight, as the chain stores it."""
    return u64 / U64


def emission_rao(issuance_rao: int) -> int:
    """Emission per block at an issuance; what remains is formed from integers."""
    return floor_rao(emission_per_block(tokens(SUPPLY_RAO - issuance_rao)))


# --- adapters, one for each category


def block_emission(vector: Vector) -> dict:
    inputs = vector.inputs
    if "repeat" not in inputs:
        return {"block_emission_rao": emission_rao(inputs["total_issuance_rao"])}
    issuance = inputs["start_issuance_rao"]
    for _ in range(inputs["repeat"]):
        issuance += inputs["blocks_per_repeat"] * emission_rao(issuance)
    return {"total_issuance_rao": issuance}


def alpha_emission(vector: Vector) -> dict:
    issuance = vector.inputs["alpha_in_rao"] + vector.inputs["alpha_out_rao"]
    return {"alpha_emission_rao": emission_rao(issuance)}


def price(vector: Vector) -> dict:
    inputs = vector.inputs
    reserves = float(inputs["tao_reserve"]), float(inputs["alpha_reserve"])
    return {"price": pool.spot_price(*reserves, inputs["quote_weight"])}


def swap_balancer(vector: Vector) -> dict:
    inputs = vector.inputs
    weight = inputs["quote_weight"]
    if (
        "delta_in_rao" in inputs
    ):  # pools of a few rao, below what an order may leave: the curve alone
        reserves = float(inputs["tao_reserve_rao"]), float(inputs["alpha_reserve_rao"])
        amount = float(inputs["delta_in_rao"])
        return {
            "sell_out_rao": math.floor(pool.tao_for_alpha(*reserves, weight, amount)),
            "buy_out_rao": math.floor(pool.alpha_for_tao(*reserves, weight, amount)),
        }
    if "exponent" in inputs:  # (x / (x + dx))**(w1 / w2) is what a sale leaves of one TAO
        sold = pool.tao_for_alpha(1.0, float(inputs["reserve"]), weight, float(inputs["delta"]))
        return {"ratio_power": 1.0 - sold}
    if "price_limit" in inputs:
        alpha = tokens(inputs.get("alpha_reserve_rao", 0))
        tao = tokens(inputs.get("tao_reserve_rao", 0))
        tao_in, alpha_in = pool.trade_to_reach(
            tao, alpha, weight, inputs["price_now"], inputs["price_limit"]
        )
        return {"alpha_in_rao": floor_rao(alpha_in), "tao_in_rao": floor_rao(tao_in)}
    tao, alpha = tokens(inputs["tao_reserve_rao"]), tokens(inputs["alpha_reserve_rao"])
    before = pool.spot_price(tao, alpha, weight)
    if "tao_injected_rao" in inputs:
        tao_in, alpha_in = tokens(inputs["tao_injected_rao"]), tokens(inputs["alpha_injected_rao"])
        after = pool.weight_after_injection(tao, alpha, weight, tao_in, alpha_in, before)
        return {
            "quote_weight_after": after,
            "price_after": pool.spot_price(tao + tao_in, alpha + alpha_in, after),
        }
    amount, rate = tokens(inputs["amount_rao"]), inputs["fee_u16"] / U16
    buys = inputs["side"] == "buy"
    order = pool.buy if buys else pool.sell
    fee_rao = floor_rao(order(tao, alpha, weight, amount, rate, 0.0)[2] if buys else amount * rate)
    # the chain takes a whole number of rao, which is another rate for orders of a few rao
    fee = tokens(fee_rao)
    out, _, fee_tao, tao, alpha = order(tao, alpha, weight, amount, fee / amount, 0.0)
    if not buys:  # the chain's price is that before the author sells the fee
        tao, alpha = tao + fee_tao, alpha - fee
    return {
        "fee_rao": fee_rao,
        "amount_out_rao": floor_rao(out),
        "price_before": before,
        "price_after": pool.spot_price(tao, alpha, weight),
    }


def swap_constant_product(vector: Vector) -> dict:
    inputs = vector.inputs
    tao, alpha = tokens(inputs["tao_reserve_rao"]), tokens(inputs["alpha_reserve_rao"])
    before = pool.spot_price(tao, alpha, 0.5)
    order = pool.buy if inputs["side"] == "stake" else pool.sell
    amount, flat_fee = tokens(inputs["amount_rao"]), tokens(inputs["flat_fee_rao"])
    out, _, _, tao, alpha = order(tao, alpha, 0.5, amount, 0.0, flat_fee)
    return {
        "alpha_out_rao": floor_rao(out),
        "tao_out_rao": floor_rao(out),
        "tao_reserve_after_rao": floor_rao(tao),
        "alpha_reserve_after_rao": floor_rao(alpha),
        "price_before": before,
        "price_after": pool.spot_price(tao, alpha, 0.5),
    }


def moving_price(vector: Vector) -> dict:
    inputs = vector.inputs
    moving, age = float(inputs["moving_price"]), inputs["blocks_since_start"] or 0
    for _ in range(inputs["updates"]):
        rate = coinbase.moving_price_rate(
            inputs["base_alpha"], float(age), float(inputs["halving_blocks"] or 0)
        )
        decay = coinbase.moving_price_decay(rate, 1.0)
        moving = coinbase.next_moving_price(moving, float(inputs["spot_price"]), decay)
        age += bool(inputs.get("age_grows"))
    return {"moving_price": moving}


def _shares(allocation: str, subnets: list[dict]) -> np.ndarray:
    def column(name: str, default: float) -> np.ndarray:
        return np.array([float(subnet.get(name, default)) for subnet in subnets])

    shares = np.empty(len(subnets))
    columns = column("moving", 0.0), column("miner_burned", 0.0), column("emission_enabled", 1.0)
    emission_shares(ALLOCATIONS[allocation], *columns, NO_REST, shares)
    return shares


def price_shares(vector: Vector) -> dict:
    inputs = vector.inputs
    names = {"moving_prices": "moving", "miner_burned": "miner_burned"}
    names["emission_enabled"] = "emission_enabled"
    columns = {names[key]: inputs[key] for key in names if key in inputs}
    subnets = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    shares = _shares(vector.rules.allocation, subnets)
    emission = tokens(inputs.get("block_emission_rao", 0))
    return {"shares": shares, "tao_emission_rao": [floor_rao(emission * share) for share in shares]}


def root_proportion(vector: Vector) -> dict:
    weight = tao_weight(vector.inputs["tao_weight_u64"])
    amounts = tokens(vector.inputs["root_tao_rao"]), tokens(vector.inputs["alpha_issuance_rao"])
    return {
        "tao_weight": weight,
        "root_proportion": coinbase.root_proportion(weight, *amounts),
    }


def pending_split(vector: Vector) -> dict:
    inputs = vector.inputs
    if "moving_prices" in inputs:
        return {"root_sell_flag": coinbase.root_sell_open(False, sum(inputs["moving_prices"]))}
    owner, miners, validators, root = coinbase.split_alpha_out(
        tokens(inputs["alpha_out_rao"]),
        inputs["owner_cut_u16"] / U16,
        float(inputs["root_proportion"]),
    )
    return {
        "owner_cut_rao": floor_rao(owner),
        "server_rao": floor_rao(miners),
        "validator_rao": floor_rao(validators),
        "root_rao": floor_rao(root),
        "pending_alpha_swapped_rao": floor_rao(root),
        "pending_emission_rao": floor_rao(miners + validators),
    }


def subnet_terms(vector: Vector) -> dict:
    inputs = vector.inputs
    tao_in, alpha_in, excess = coinbase.subnet_terms(
        coinbase.INJECTIONS[vector.rules.injection],
        tokens(inputs["tao_emission_rao"]),
        float(inputs["price"]),
        tokens(inputs["alpha_emission_rao"]),
        inputs.get("root_proportion", 0.0),
    )
    return {
        "tao_in_rao": floor_rao(tao_in),
        "alpha_in_rao": floor_rao(alpha_in),
        "excess_rao": floor_rao(excess),
    }


def full_block(vector: Vector) -> dict:
    inputs, rules = vector.inputs, vector.rules
    owner_cut = 11796 / U16
    gate = sum(subnet["moving"] for subnet in inputs["subnets"]) > 1.0
    root_open = rules.root_gate == "open" or gate
    emission = tokens(inputs["block_emission_rao"])
    root = tao_weight(inputs["tao_weight_u64"]) * tokens(inputs["root_tao_rao"])
    injection = coinbase.INJECTIONS[rules.injection]
    sells = 1.0 if root_open and rules.root_dividend == "sold" else 0.0
    results = []
    for subnet, share in zip(
        inputs["subnets"], _shares(rules.allocation, inputs["subnets"]), strict=True
    ):
        tao, alpha, out = (tokens(subnet[key]) for key in ("tao", "alpha_in", "alpha_out"))
        minted = emission_per_block(tokens(SUPPLY_RAO - subnet["alpha_in"] - subnet["alpha_out"]))
        before = pool.spot_price(tao, alpha, 0.5)
        span = coinbase.coinbase_span(
            1.0, emission * share, minted, tao, alpha, 0.5, out, root, owner_cut, injection, sells
        )
        root_tao, root_sold = 0.0, 0.0
        tao_after, alpha_after = span.tao_reserve, span.alpha_reserve
        if sells > 0.0:
            root_tao, root_sold, _, tao_after, alpha_after = pool.sell(
                tao_after, alpha_after, 0.5, span.root_alpha, 0.0, 0.0
            )
        share_before = coinbase.root_proportion(1.0, root, alpha + out)
        tao_in, _, excess = coinbase.subnet_terms(
            injection, emission * share, before, minted, share_before
        )
        assert span.tao_reserve == pytest.approx(tao + tao_in + excess, rel=1e-15)
        share_after = coinbase.root_proportion(
            1.0, root, alpha + out + span.alpha_injected + minted
        )
        owner, miners, validators, root_alpha = coinbase.split_alpha_out(
            minted, owner_cut, share_after
        )
        assert root_alpha == pytest.approx(span.root_alpha, rel=1e-14)
        rate = coinbase.moving_price_rate(
            inputs["base_alpha"],
            float(subnet.get("blocks_since_start", 0)),
            float(inputs.get("halving_blocks", 0)),
        )
        after = pool.spot_price(tao_after, alpha_after, span.pool_tao_weight)
        recycled = 0.0 if root_open else span.root_alpha
        outstanding = out + span.alpha_bought + minted - root_sold - recycled
        results.append(
            {
                "share": share,
                "tao_emission_rao": emission * share * RAO,
                "tao_in_rao": floor_rao(tao_in),
                "alpha_in_rao": floor_rao(span.alpha_injected),
                "excess_tao_rao": floor_rao(excess),
                "alpha_bought_rao": floor_rao(span.alpha_bought),
                "alpha_out_rao": floor_rao(minted),
                "owner_cut_rao": floor_rao(owner),
                "root_proportion": share_after,
                "server_rao": floor_rao(miners),
                "validator_rao": floor_rao(validators),
                "pending_emission_rao": floor_rao(miners + validators),
                "root_alpha_rao": floor_rao(span.root_alpha) if root_open else 0,
                "root_alpha_recycled_rao": floor_rao(recycled),
                "root_alpha_sold_rao": floor_rao(root_sold),
                "root_tao_rao": floor_rao(root_tao),
                "tao_reserve_rao": floor_rao(tao_after),
                "alpha_reserve_rao": floor_rao(alpha_after),
                "alpha_outstanding_rao": floor_rao(outstanding),
                "price_before": before,
                "price_after": after,
                "moving_price_after": coinbase.next_moving_price(
                    subnet["moving"], after, coinbase.moving_price_decay(rate, 1.0)
                ),
            }
        )
    return {
        "root_sell_flag": gate,
        "subnets": results,
        "tao_issued_rao": sum(
            result["tao_in_rao"] + result["excess_tao_rao"] for result in results
        ),
    }


ADAPTERS = {
    adapter.__name__: adapter
    for adapter in (
        block_emission,
        alpha_emission,
        price,
        swap_balancer,
        swap_constant_product,
        moving_price,
        price_shares,
        root_proportion,
        pending_split,
        subnet_terms,
        full_block,
    )
}
