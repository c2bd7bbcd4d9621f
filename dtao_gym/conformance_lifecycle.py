"""Adapters from chain vectors to the rules: registration, dissolution, stake, the root network."""

import math
from typing import Any

import numpy as np

from dtao_gym.conformance_vectors import (
    OWNER_CUT_U16,
    RAO,
    U16,
    Inputs,
    VectorError,
    floor_rao,
    floors,
    rules_of,
    tokens,
)
from dtao_gym.protocol import lifecycle, root_vote, stake
from dtao_gym.protocol.pool import spot_price


def lock_cost(inputs: Inputs, era: str) -> dict[str, Any]:
    """Cost of a registration, its interval, the pool that it starts."""
    if "lock_cost_rao" in inputs:
        return _seeding(inputs, era)
    results = {}
    if "stored_interval" in inputs:
        interval = lifecycle.effective_interval(
            inputs.rao("stored_interval"), inputs.tokens("block_emission_rao", RAO)
        )
        results["effective_interval"] = interval = math.floor(interval)
        if "last_lock_rao" not in inputs:
            return results
    else:
        interval = inputs.rao("reduction_interval")
    last = inputs.rao("last_lock_rao")
    fall = math.floor(lifecycle.fall_of_lock_cost(float(last), float(interval)))
    cost = lifecycle.lock_cost_after(
        float(last),
        float(inputs.rao("min_lock_rao")),
        inputs.rao("last_lock_block"),
        inputs.rao("current_block"),
        float(fall),
    )
    return {**results, "lock_cost_rao": int(cost)}


def _seeding(inputs: Inputs, era: str) -> dict[str, Any]:
    median = inputs.number("median_price", 1.0)
    if "subnet_prices_excluding_root" in inputs:
        median = lifecycle.median_price(inputs.numbers("subnet_prices_excluding_root"))
    seeding = "median_price" if "median_price" in inputs else rules_of(era).seeding
    lock = inputs.tokens("lock_cost_rao")
    tao, alpha, burned = lifecycle.seed_pool(
        lifecycle.SEEDINGS[seeding], lock, inputs.tokens("min_lock_rao", RAO), median
    )
    amounts = {"tao_reserve": tao, "alpha_reserve": alpha, "tao_burned": burned}
    # nothing is minted to holders, and nothing stays locked
    amounts |= {"alpha_out": 0.0, "locked": 0.0}
    return floors(amounts) | {"initial_price": spot_price(tao, alpha, 0.5)}


def dissolution(inputs: Inputs, era: str) -> dict[str, Any]:
    """Subnet to prune, payments to stakers, refund of the owner."""
    if "moving_prices" in inputs:
        return _pruning(inputs)
    results = {}
    if "lock_cost_rao" in inputs:
        refund = lifecycle.owner_refund(
            inputs.tokens("lock_cost_rao"),
            inputs.rao("owner_cut_u16", OWNER_CUT_U16) / U16,
            inputs.tokens("alpha_issuance_rao"),
            inputs.number("price"),
            inputs.flag("legacy"),
        )
        # the chain floors the deduction
        results["owner_refund_rao"] = -floor_rao(-refund)
        if "tao_pot_rao" not in inputs:
            return results
    paid, recycled = lifecycle.divided_pot(
        inputs.rao("tao_pot_rao"),
        inputs.rao_list("staker_alpha"),
        inputs.rao("protocol_alpha", 0) + inputs.rao("alpha_reserve", 0),
    )
    return {**results, "staker_tao_rao": paid, "recycled_tao_rao": recycled}


def _pruning(inputs: Inputs) -> dict[str, Any]:
    keys = inputs.numbers("moving_prices")
    registered = inputs.numbers("registered_at", len(keys))
    block, period = inputs.rao("current_block"), inputs.rao("immunity_period")
    immune = np.array([lifecycle.is_immune(start, block, period) for start in registered], float)
    index = lifecycle.subnet_to_prune(keys, registered, immune)
    return {"pruned_index": None if index < 0 else int(index)}


def dividends(inputs: Inputs, era: str) -> dict[str, Any]:
    """Dividends of hotkeys and of their stakers, claims of root."""
    if "rate_before" in inputs:
        rate, added = inputs.number("rate_before"), inputs.number("stake_added_rao")
        watermark = stake.watermark_after_staking(0.0, rate, added)
        later = rate + inputs.number("rate_increment_later")
        return {
            "root_claimed_watermark_rao": math.floor(watermark),
            "owed_right_after_staking_rao": math.floor(stake.owed(rate, added, watermark)),
            "owed_after_increment_rao": math.floor(stake.owed(later, added, watermark) + 1e-6),
        }
    if "root_stake_rao" in inputs:
        return _root_claims(inputs)
    if "nominators" in inputs:
        return _nominators(inputs)
    if "stakes" in inputs:
        stakes, pending = inputs.numbers("stakes"), inputs.tokens("pending_alpha_rao")
        if inputs.number("incentive_sum", 0.0) > 0.0:
            raise VectorError(
                "inputs.incentive_sum: got a positive sum, allowed is 0: otherwise consensus divides the alpha"
            )
        whole = stake.alpha_of_validators(0.5 * pending, 0.5 * pending, 0.0)
        parts = stake.in_proportion(whole, stakes)
        return {"alpha_to_each_rao": [floor_rao(part) for part in parts]}
    return _hotkeys(inputs)


def _hotkeys(inputs: Inputs) -> dict[str, Any]:
    earned, stakes = inputs.table("dividends"), inputs.parts("stake")
    held = {key: (part.number("alpha"), part.number("root_tao")) for key, part in stakes.items()}
    names = [name for name in earned if name in held]
    alpha, root_tao = np.array([held[name] for name in names]).reshape(-1, 2).T
    to_alpha, to_root = stake.split_dividends(
        inputs.tokens("pending_validator_alpha_rao"),
        inputs.tokens("pending_root_alpha_rao"),
        [earned[name] for name in names],
        alpha,
        root_tao,
        inputs.number("tao_weight"),
    )
    results = {}
    for kind, amounts in (("alpha", to_alpha), ("root_alpha", to_root)):
        by_name = dict.fromkeys(earned, 0.0) | dict(zip(names, amounts * RAO, strict=True))
        results[f"{kind}_dividends_rao"] = by_name
        results[f"total_{kind}_dividends_rao"] = sum(by_name.values())
    return results


def _nominators(inputs: Inputs) -> dict[str, Any]:
    stakes = inputs.table("nominators")
    if "owner" not in stakes:
        raise VectorError("inputs.nominators: owner is missing")
    dividend = inputs.tokens("hotkey_dividend_rao")
    take = inputs.rao("take_u16", OWNER_CUT_U16) / U16
    own, rest = stake.split_take(dividend, take)
    held = [tokens(int(amount)) for amount in stakes.values()]
    gains = stake.compound(dividend, take, held, list(stakes).index("owner"))
    by_name = {f"{name}_gain": gain for name, gain in zip(stakes, gains, strict=True)}
    return floors({"take": own, "to_stake_pool": rest} | by_name)


def _root_claims(inputs: Inputs) -> dict[str, Any]:
    held, rate, taken, claimed = inputs.tokens("root_stake_rao"), 0.0, 0.0, 0.0
    for _ in range(inputs.count("rounds", 1)):
        own, rest = stake.split_take(
            inputs.tokens("pending_root_alpha_rao"), inputs.rao("take_u16", OWNER_CUT_U16) / U16
        )
        rate, taken = stake.raised_rate(rate, rest, held), taken + own
        claimed += stake.owed(rate, held, claimed)
    return {"claimable_rate": rate} | floors({"validator_take": taken, "claimed_alpha": claimed})


def root_epoch(inputs: Inputs, era: str) -> dict[str, Any]:
    """The vote of the root network."""
    stakes = inputs.numbers("stakes")
    weights = inputs.matrix("weights", len(stakes))
    rank, trust, consensus, share = np.empty((4, weights.shape[1]))
    root_vote.root_epoch(
        stakes,
        weights,
        inputs.number("rho", root_vote.CONSENSUS_SLOPE),
        inputs.number("kappa", root_vote.CONSENSUS_MIDPOINT),
        rank,
        trust,
        consensus,
        share,
    )
    block_emission = inputs.tokens("block_emission_rao", RAO)
    emission = [floor_rao(block_emission * part) for part in share]
    return {
        "rank": rank,
        "trust": trust,
        "consensus": consensus,
        "share": share,
        "emission_rao": emission,
        "emission_rao_first_six": emission[:6],
    }


def misc(inputs: Inputs, era: str) -> dict[str, Any]:
    """Registration price of a neuron, conviction of a lock."""
    if "locked_rao" in inputs:
        locked, conviction = stake.rolled_lock(
            inputs.number("locked_rao"),
            inputs.number("conviction_rao", 0.0),
            inputs.rao("blocks"),
            inputs.rao("unlock_rate", stake.LOCK_TIME_CONSTANT_BLOCKS),
            inputs.rao("maturity_rate", stake.LOCK_TIME_CONSTANT_BLOCKS),
            inputs.flag("perpetual", False),
            inputs.flag("owner_lock", False),
            stake.LOCK_DUST_RAO,
        )
        return {"locked_rao": math.floor(locked), "conviction_rao": conviction}
    price = inputs.number("burn_rao")
    limits = inputs.number("min_burn_rao", 0.0), inputs.number("max_burn_rao", math.inf)
    if "increase_mult" in inputs:
        count, factor = inputs.rao("registrations", 1), inputs.number("increase_mult")
        return {"burn_rao": stake.bumped_registration_price(price, count, factor, *limits)}
    if "target_registrations" in inputs:
        count, target = inputs.rao("registrations"), inputs.rao("target_registrations")
        weight = inputs.number("adjustment_weight", stake.LAUNCH_REGISTRATION_WEIGHT)
        return {"burn_rao": stake.launch_registration_price(price, count, target, weight, *limits)}
    half_life = inputs.rao("half_life_blocks", stake.REGISTRATION_HALF_LIFE_BLOCKS)
    blocks = inputs.rao("blocks")

    def after(elapsed: int) -> float:
        return stake.decayed_registration_price(price, elapsed, half_life, *limits)

    path = {f"burn_after_{k}_blocks": after(k) for k in range(min(blocks, 10_000) + 1)}
    return {"burn_rao": after(blocks), **path}


ADAPTERS = {
    adapter.__name__: adapter for adapter in (lock_cost, dissolution, dividends, root_epoch, misc)
}
"""Adapters by category."""
