"""Adapters from chain vectors to the rules: issuance, emission shares, division of emission, whole blocks.

Each category of vectors has one function (inputs, label of the era) -> results by name, here, in
`conformance_pool.py` or in `conformance_lifecycle.py`. It turns integer rao into tokens, calls the functions of
`dtao_gym.protocol` that the engine calls, and floors to a whole rao where the chain floors. No other code of the
package counts in rao.
"""

import math
from typing import Any

import numpy as np

from dtao_gym.conformance_vectors import (
    OWNER_CUT_U16,
    RAO,
    SUPPLY_RAO,
    U16,
    U63,
    U64,
    Inputs,
    VectorError,
    emission_rao,
    floor_rao,
    floors,
    rules_of,
    tokens,
)
from dtao_gym.protocol import allocation, coinbase, flows, pool
from dtao_gym.protocol.gate import GATE_EXPONENT, GATE_QUANTILE, GATE_RANK
from dtao_gym.protocol.issuance import emission_per_block


def block_emission(inputs: Inputs, era: str) -> dict[str, Any]:
    """TAO minted per block."""
    if "repeat" not in inputs:
        return {"block_emission_rao": emission_rao(inputs.rao("total_issuance_rao"))}
    issuance = inputs.rao("start_issuance_rao")
    for _ in range(inputs.count("repeat")):
        issuance += inputs.rao("blocks_per_repeat") * emission_rao(issuance)
    return {"total_issuance_rao": issuance}


def alpha_emission(inputs: Inputs, era: str) -> dict[str, Any]:
    """Alpha minted per block."""
    issuance = inputs.rao("alpha_in_rao") + inputs.rao("alpha_out_rao")
    return {"alpha_emission_rao": emission_rao(issuance)}


def market(n: int, **columns: np.ndarray) -> allocation.Market:
    """Market of `n` subnets; columns that are not given are 0, except that emission is enabled."""
    columns.setdefault("emission_enabled", np.ones(n))
    return allocation.Market(
        *(columns.get(name, np.zeros(n)) for name in allocation.Market._fields)
    )


def shares_of(rule: str, subnets: allocation.Market, inputs: Inputs) -> np.ndarray:
    """Emission shares under a rule, with the settings among the inputs."""
    n = len(subnets.moving_price)
    settings = allocation.RuleSettings(
        share_exponent=inputs.number("share_exponent", 1.0),
        gate_bar=inputs.number("gate_bar", 0.0),
        gate_exponent=inputs.number("gate_exponent", GATE_EXPONENT),
        flow_cutoff=inputs.number("flow_cutoff", 0.0),
        norm_exponent=inputs.number("norm_exponent", 1.0),
    )
    rank = inputs.rao("gate_rank", GATE_RANK)
    quantile, shares = inputs.number("gate_quantile", GATE_QUANTILE), np.empty(n)
    rule_id, rest = allocation.ALLOCATIONS[rule], allocation.NO_REST
    if "gate_bar" not in inputs:
        settings = allocation.with_measured_bar(
            rule_id, subnets, settings, rest, rank, quantile, shares, np.empty(n)
        )
    allocation.emission_shares(rule_id, subnets, settings, rest, shares)
    return shares


def price_shares(inputs: Inputs, era: str) -> dict[str, Any]:
    """Shares under the price rules."""
    rule, prices = rules_of(era).allocation, inputs.numbers("moving_prices")
    if not rule.startswith("price"):
        raise VectorError(f"era: got {era!r}, where prices do not decide; allowed are price eras")
    n = len(prices)
    subnets = market(
        n,
        moving_price=prices,
        miner_burned=inputs.numbers("miner_burned", n, 0.0),
        root_proportion=inputs.numbers("root_prop", n, 1.0),
        emission_enabled=inputs.numbers("emission_enabled", n, 1.0),
    )
    return _with_emission(shares_of(rule, subnets, inputs), inputs)


def _with_emission(shares: np.ndarray, inputs: Inputs) -> dict[str, Any]:
    emission = inputs.tokens("block_emission_rao", 0)
    return {"shares": shares, "tao_emission_rao": [floor_rao(emission * share) for share in shares]}


def taoflow(inputs: Inputs, era: str) -> dict[str, Any]:
    """Averages of flows; shares by flow, or by net flow if the protocol's flow is given."""
    if "stored_u64" in inputs:
        scales = {"2^63-1": U63, "2^64-1": U64}
        base = inputs.rao("stored_u64") / scales[inputs.text("scale", tuple(scales))]
        blocks = 1e5
        left = flows.flow_ema_decay(base, blocks)
        return {"alpha": base, "half_life_blocks": blocks * math.log(0.5) / math.log(left)}
    if "ema_flow_rao" in inputs:
        base = inputs.number("alpha", flows.FLOW_EMA_BASE)
        once = flows.flow_ema_decay(base, 1.0)
        flow = flows.next_flow_ema(
            inputs.number("ema_flow_rao"), inputs.number("block_net_flow_rao"), once
        )
        idle = inputs.number("then_zero_flow_blocks", 0.0)
        left = flows.flow_ema_decay(base, idle)
        return {"ema_flow_rao": flows.next_flow_ema(flow, 0.0, left)}
    net = "protocol_ema_flows" in inputs
    users = inputs.numbers("user_ema_flows" if net else "ema_flows")
    n = len(users)
    protocol = inputs.numbers("protocol_ema_flows", n) if net else np.zeros(n)
    enabled = inputs.numbers("emission_enabled", n, 1.0)
    subnets = market(n, user_flow_ema=users, protocol_flow_ema=protocol, emission_enabled=enabled)
    factor = flows.net_flow_factor(users, protocol)
    return _with_emission(shares_of("net_flow" if net else "tao_flow", subnets, inputs), inputs) | {
        "norm_factor": factor,
        "net_flows": [
            flows.net_flow(user, own, factor) for user, own in zip(users, protocol, strict=True)
        ],
    }


def root_proportion(inputs: Inputs, era: str) -> dict[str, Any]:
    """Root's weight against a subnet's alpha."""
    weight = inputs.rao("tao_weight_u64") / U64
    amounts = inputs.tokens("root_tao_rao"), inputs.tokens("alpha_issuance_rao")
    return {"tao_weight": weight, "root_proportion": coinbase.root_proportion(weight, *amounts)}


def pending_split(inputs: Inputs, era: str) -> dict[str, Any]:
    """Division of minted alpha; whether root is paid."""
    if "moving_prices" in inputs:
        total = inputs.numbers("moving_prices").sum()
        return {"root_sell_flag": bool(coinbase.root_sell_open(False, total))}
    cut = inputs.rao("owner_cut_u16", OWNER_CUT_U16) / U16
    owner, miners, validators, root = coinbase.split_alpha_out(
        inputs.tokens("alpha_out_rao"),
        cut if inputs.flag("owner_cut_enabled", True) else 0.0,
        inputs.number("root_proportion"),
    )
    is_open = inputs.flag("root_sell_flag", True)
    results = {
        "owner_cut": owner,
        "server": miners,
        "validator": validators,
        "root": root if is_open else 0.0,
        "recycled": 0.0 if is_open else root,
        "pending_alpha_swapped": root if is_open else 0.0,
        "pending_emission": miners + validators,
    }
    inputs.number("price", 1.0)
    reserves = inputs.tokens("tao_reserve_rao", 0), inputs.tokens("alpha_reserve_rao", 0)
    if not inputs.rao("mechanism", 1):  # swaps are one to one
        results["pending_root_tao"] = results["root"]
    elif min(reserves) > 0.0:
        results["pending_root_tao"] = pool.sell(*reserves, 0.5, results["root"], 0.0, 0.0)[0]
    return floors(results)


def subnet_terms(inputs: Inputs, era: str) -> dict[str, Any]:
    """TAO and alpha that enter a pool in a block, and the TAO that buys alpha instead."""
    injection = rules_of(era).injection
    if injection == "direct":
        raise VectorError(f"era: got {era!r}, which has no pools")
    minted = inputs.tokens("alpha_emission_rao")
    needs_block = injection in ("subsidy", "block_emission")
    tao_in, alpha_in, excess = coinbase.subnet_terms(
        coinbase.INJECTIONS[injection],
        inputs.tokens("tao_emission_rao"),
        inputs.number("price"),
        minted,
        inputs.number("root_proportion", None if injection == "root_proportion" else 0.0),
        inputs.tokens("block_emission_rao", None if needs_block else 0),
    )
    return floors({"tao_in": tao_in, "alpha_in": alpha_in, "alpha_out": minted, "excess": excess})


def full_block(inputs: Inputs, era: str) -> dict[str, Any]:
    """One coinbase of several subnets."""
    rules = rules_of(era)
    if rules.injection == "direct":
        raise VectorError(f"era: got {era!r}, which has no pools")
    emission = inputs.tokens("block_emission_rao")
    root = inputs.rao("tao_weight_u64") / U64 * inputs.tokens("root_tao_rao")
    base, halving = inputs.number("base_alpha"), inputs.number_or_null("halving_blocks")
    subnets = list(inputs.parts("subnets").values())
    moving = np.array([subnet.number("moving") for subnet in subnets])
    gate = bool(coinbase.root_sell_open(False, moving.sum()))
    is_open = gate or rules.root_gate == "open"
    law = coinbase.EmissionLaw(
        injection=coinbase.INJECTIONS[rules.injection],
        owner_cut=inputs.rao("owner_cut_u16", OWNER_CUT_U16) / U16,
        root_weighted_tao=root,
        destroyed_part=1.0 if rules.chain_bought == "destroyed" else 0.0,
        sold_part=1.0 if is_open and rules.root_dividend == "sold" else 0.0,
        limits=rules.limits,
    )
    shares = shares_of(rules.allocation, _market_of_block(subnets, root), inputs)
    results = []
    for subnet, share in zip(subnets, shares, strict=True):
        result = _one_subnet(subnet, law, emission, share, is_open)
        age = subnet.number_or_null("blocks_since_start")
        decay = coinbase.moving_price_decay(coinbase.moving_price_rate(base, age, halving), 1.0)
        result["moving_price_after"] = coinbase.next_moving_price(
            subnet.number("moving"), result["price_after"], decay
        )
        results.append(result)
    issued = sum(result["tao_in_rao"] + result["excess_tao_rao"] for result in results)
    return {"root_sell_flag": gate, "subnets": results, "tao_issued_rao": issued}


def _market_of_block(subnets: list[Inputs], root: float) -> allocation.Market:
    def column(name: str, default: float) -> np.ndarray:
        return np.array([subnet.number(name, default) for subnet in subnets])

    enabled = [float(subnet.flag("emission_enabled", True)) for subnet in subnets]
    proportions = [
        coinbase.root_proportion(1.0, root, subnet.tokens("alpha_in") + subnet.tokens("alpha_out"))
        for subnet in subnets
    ]
    return market(
        len(subnets),
        moving_price=column("moving", 0.0),
        miner_burned=column("miner_burned", 0.0),
        emission_enabled=np.array(enabled),
        user_flow_ema=column("ema_flow_after_update", 0.0),
        protocol_flow_ema=column("protocol_ema_flow_after_update", 0.0),
        root_proportion=np.array(proportions),
        votes=column("votes", 0.0),
    )


def _one_subnet(
    subnet: Inputs, law: coinbase.EmissionLaw, emission: float, share: float, is_open: bool
) -> dict[str, Any]:
    tao, alpha, out = (subnet.tokens(name) for name in ("tao", "alpha_in", "alpha_out"))
    minted = emission_per_block(
        tokens(max(SUPPLY_RAO - subnet.rao("alpha_in") - subnet.rao("alpha_out"), 0))
    )
    weight, root = subnet.between_0_and_1("quote_weight", 0.5), law.root_weighted_tao
    before = pool.spot_price(tao, alpha, weight)
    span = coinbase.coinbase_span(
        1.0, emission * share, emission, minted, coinbase.SubnetPool(tao, alpha, weight, out), law
    )
    proceeds, sold = 0.0, 0.0
    tao_after, alpha_after = span.tao_reserve, span.alpha_reserve
    if span.root_alpha_to_sell > 0.0:
        proceeds, sold, _, tao_after, alpha_after = pool.sell(
            tao_after,
            alpha_after,
            span.pool_tao_weight,
            span.root_alpha_to_sell,
            0.0,
            0.0,
            law.limits,
        )
    share_before = coinbase.root_proportion(1.0, root, alpha + out)
    tao_in, _, excess = coinbase.subnet_terms(
        law.injection, emission * share, before, minted, share_before, emission
    )
    issuance = alpha + out + span.alpha_injected + minted - law.destroyed_part * span.alpha_bought
    share_after = coinbase.root_proportion(1.0, root, issuance)
    owner, miners, validators, _ = coinbase.split_alpha_out(minted, law.owner_cut, share_after)
    recycled = 0.0 if is_open else span.root_alpha
    kept = (1.0 - law.destroyed_part) * span.alpha_bought
    return floors(
        {
            "tao_in": tao_in,
            "alpha_in": span.alpha_injected,
            "excess_tao": excess - span.tao_unused,
            "alpha_bought": span.alpha_bought,
            "alpha_out": minted,
            "owner_cut": owner,
            "server": miners,
            "validator": validators,
            "pending_emission": miners + validators,
            "root_alpha": span.root_alpha if is_open else 0.0,
            "root_alpha_recycled": recycled,
            "root_alpha_sold": sold,
            "root_tao": proceeds,
            "tao_reserve": tao_after,
            "alpha_reserve": alpha_after,
            "alpha_outstanding": out + kept + minted - sold - recycled,
        }
    ) | {
        "share": share,
        "tao_emission_rao": emission * share * RAO,
        "root_proportion": share_after,
        "price_before": before,
        "price_after": pool.spot_price(tao_after, alpha_after, span.pool_tao_weight),
    }


ADAPTERS = {
    adapter.__name__: adapter
    for adapter in (
        block_emission,
        alpha_emission,
        price_shares,
        taoflow,
        root_proportion,
        pending_split,
        subnet_terms,
        full_block,
    )
}
"""Adapters by category."""
