"""Adapters from chain vectors to the rules: the gate of emission, validators' funds of root alpha."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.conformance_emission import market
from dtao_gym.conformance_vectors import RAO, U16, Inputs, floor_rao, floors, tokens
from dtao_gym.protocol import allocation, pool, root_fund
from dtao_gym.protocol.gate import BAR_REFRESH_BLOCKS, GATE_EXPONENT, GATE_RANK

GATE_QUANTILE_OF_CODE = 0.61
"""Default of the chain's code; root has set 0.75."""
RATE_UNIT = 2.0**-32
"""Smallest number of shares per root TAO that the chain can store."""


def gate_rank(inputs: Inputs, era: str) -> dict[str, Any]:
    """The bar of the gate, by rank or quantile, and the shares behind it."""
    prices, rank = inputs.numbers("moving_prices"), inputs.rao("rank", GATE_RANK)
    n = len(prices)
    subnets = market(
        n,
        moving_price=prices,
        miner_burned=inputs.numbers("miner_burned", n, 0.0),
        emission_enabled=inputs.numbers("emission_enabled", n, 1.0),
    )
    settings = allocation.RuleSettings(
        share_exponent=1.0,
        gate_bar=inputs.number("stored_bar", 0.0),
        gate_exponent=inputs.number("exponent", GATE_EXPONENT),
        flow_cutoff=0.0,
        norm_exponent=1.0,
    )
    rule = allocation.ALLOCATIONS["price_burn_gate_rank" if rank > 0 else "price_burn_gate"]
    quantile, rest = inputs.number("quantile", GATE_QUANTILE_OF_CODE), allocation.NO_REST
    demand, shares = np.empty(n), np.empty(n)
    due = inputs.rao("block", 0) % BAR_REFRESH_BLOCKS == 0.0
    if due or settings.gate_bar == 0.0:
        settings = allocation.with_measured_bar(
            rule, subnets, settings, rest, rank, quantile, demand, shares
        )
    allocation.demand_shares(subnets, settings, rest, demand)
    allocation.emission_shares(rule, subnets, settings, rest, shares)
    emission = inputs.tokens("block_emission_rao", 0)
    return {
        "bar_after": settings.gate_bar,
        "demand_shares": demand,
        "shares": shares,
        "tao_emission_rao": [floor_rao(emission * share) for share in shares],
    }


class Fund(NamedTuple):
    """A fund and the pools of its holdings, in tokens; arrays have one entry per pool."""

    tao: np.ndarray
    alpha: np.ndarray
    weight: np.ndarray
    held: np.ndarray
    slot: float
    """TAO of the fund on root."""

    def values(self) -> np.ndarray:
        """What each holding would fetch, in whole rao."""
        return np.array([whole(root_fund.realisable_value(*row, 1.0)) for row in self.rows()])

    def nav(self) -> float:
        """Value of the fund."""
        return self.values().sum() + self.slot

    def rows(self):
        """TAO, alpha, weight and holding of each pool."""
        return zip(self.tao, self.alpha, self.weight, self.held, strict=True)


def whole(amount: float) -> float:
    """An amount in tokens, floored to whole rao."""
    return tokens(floor_rao(amount))


def rao_of(name: str, amounts: np.ndarray) -> dict[str, list[int]]:
    """Whole rao of some amounts, by name; amounts that are whole within rounding stay as they are."""
    return {f"{name}_rao": [floor_rao(amount) for amount in amounts]}


def _fund(inputs: Inputs) -> Fund:
    pools = list(inputs.parts("pools").values())
    return Fund(
        np.array([part.tokens("tao_reserve_rao") for part in pools]),
        np.array([part.tokens("alpha_reserve_rao") for part in pools]),
        np.array([part.between_0_and_1("quote_weight", 0.5) for part in pools]),
        inputs.token_list("holdings_rao", len(pools)),
        inputs.tokens("root_slot_rao"),
    )


def _nav(inputs: Inputs) -> dict[str, Any]:
    fund = _fund(inputs)
    return floors({"nav": fund.nav()}) | rao_of("values", fund.values())


def _deposit_in_place(inputs: Inputs) -> dict[str, Any]:
    fund = _fund(inputs)
    credits = inputs.token_list("credits_rao", len(fund.held))
    gains = [
        root_fund.value_and_gain(*row, credit, 1.0)[1]
        for row, credit in zip(fund.rows(), credits, strict=True)
    ]
    after = fund._replace(held=fund.held + credits)
    return _granted(inputs, credits, fund.nav(), whole(sum(gains)), after)


def _deposit_curated(inputs: Inputs) -> dict[str, Any]:
    fund = _fund(inputs)
    n = len(fund.held)
    credits = inputs.token_list("credits_rao", n)
    done = root_fund.curated_deposit(
        fund.tao, fund.alpha, fund.weight, credits, inputs.weights("root_weights", n)
    )
    sold = fund._replace(tao=done.tao_reserves_sold, alpha=done.alpha_reserves_sold)
    after = Fund(
        done.tao_reserves,
        done.alpha_reserves,
        fund.weight,
        fund.held + done.alpha_bought,
        fund.slot + done.root_added,
    )
    results = _granted(inputs, credits, sold.nav(), after.nav() - sold.nav(), after)
    reserves = rao_of("tao_reserves_after", after.tao) | rao_of("alpha_reserves_after", after.alpha)
    return results | reserves if results["accepted"] else results


def _granted(
    inputs: Inputs, credits: np.ndarray, nav: float, added: float, after: Fund
) -> dict[str, Any]:
    """Results of a deposit that adds a value to a fund of a NAV; the credits are recycled where it is dust."""
    stakers, shares = inputs.tokens("stakers_root_rao"), inputs.tokens("shares_rao")
    value = whole(root_fund.stakers_part(added, stakers, inputs.tokens("escrow_root_rao")))
    minted = whole(root_fund.shares_for(value, shares, nav))
    increment = math.floor(minted / stakers / RATE_UNIT) * RATE_UNIT if stakers > 0.0 else 0.0
    if not (minted > 0.0 and increment > 0.0):
        return {"accepted": False} | rao_of("recycled_alpha", credits)
    amounts = {
        "nav_before": nav,
        "value_added": added,
        "stakers_value": value,
        "shares_minted": minted,
        "shares_after": shares + minted,
        "root_slot_after": after.slot,
    }
    grown = rao_of("holdings_after", after.held) | {"rate_increment": increment}
    return {"accepted": True} | floors(amounts) | grown


def _stake_in(inputs: Inputs) -> dict[str, Any]:
    """Purchase of shares by TAO, which buys as the fund is composed; an empty fund keeps it on root."""
    fund, amount = _fund(inputs), inputs.tokens("amount_rao")
    rate, values, nav = inputs.rao("fee_u16", 33) / U16, fund.values(), fund.nav()
    spent = amount * values / nav if nav > 0.0 else 0.0 * values
    after, bought = fund._replace(slot=fund.slot + amount - spent.sum()), np.zeros(len(values))
    for i, (tao, alpha, weight, _) in enumerate(fund.rows()):
        order = pool.buy(tao, alpha, weight, spent[i], rate, 0.0)
        bought[i], after.tao[i], after.alpha[i] = order[0], order[3], order[4]
    after = after._replace(held=fund.held + bought)
    added = after.nav() - nav
    minted = root_fund.shares_for(added, inputs.tokens("shares_rao"), nav)
    amounts = {"value_added": added, "shares_minted": minted, "root_slot_after": after.slot}
    return floors(amounts) | rao_of("alpha_bought", bought)


def _owed(inputs: Inputs) -> dict[str, Any]:
    rate, stake = inputs.rao("rate_raw_2_32") * RATE_UNIT, inputs.tokens("root_stake_rao")
    claimed = inputs.number("claimed_shares_rao") / RAO
    return floors({"owed_shares": root_fund.owed_shares(rate, stake, claimed)})


def _stake_change(inputs: Inputs) -> dict[str, Any]:
    rate, stake = inputs.rao("rate_raw_2_32") * RATE_UNIT, inputs.tokens("root_stake_rao")
    change = inputs.number("stake_change_rao") / RAO
    claimed = root_fund.watermark_after_change(
        inputs.number("claimed_shares_rao") / RAO, rate, change
    )
    owed = root_fund.owed_shares(rate, stake + change, claimed)
    return floors({"claimed_after": claimed, "owed_shares": owed})


def _claim(inputs: Inputs) -> dict[str, Any]:
    fund, shares = _fund(inputs), inputs.tokens("shares_rao")
    owed, nav = min(inputs.tokens("owed_shares_rao"), shares), fund.nav()
    part = owed / shares if shares > 0.0 else 0.0
    sold = np.array([whole(part * alpha) for alpha in fund.held])
    fetched = np.array(
        [
            whole(pool.tao_for_alpha(tao, alpha, weight, amount))
            for (tao, alpha, weight, _), amount in zip(fund.rows(), sold, strict=True)
        ]
    )
    taken = whole(part * fund.slot)
    proceeds, entitlement = fetched.sum() + taken, whole(part * nav)
    by_nav = inputs.text("pays", ("nav", "proceeds")) == "nav"
    paid = root_fund.claim_payment(proceeds, entitlement) if by_nav else proceeds
    amounts = {
        "nav_before": nav,
        "entitlement": entitlement,
        "proceeds": proceeds,
        "paid": paid,
        "shares_after": shares - owed,
        "root_slot_after": fund.slot - taken + proceeds - paid,
    }
    left = rao_of("holdings_after", fund.held - sold)
    return floors(amounts) | left | rao_of("tao_reserves_after", fund.tao - fetched)


def _trade_budget(inputs: Inputs) -> dict[str, Any]:
    cap = inputs.rao("turnover_cap_u16") / U16
    budget = whole(root_fund.trade_budget(inputs.tokens("nav_rao"), cap))
    level = inputs.rao_or_null("level_rao")
    available = root_fund.trade_allowance(
        budget, None if level is None else tokens(level), inputs.rao("blocks_since")
    )
    left = available - inputs.tokens("tao_mid_rao")
    accepted = left >= -0.5 / RAO
    results = floors({"budget": budget, "available": available}) | {"accepted": accepted}
    return results | (floors({"level_after": left}) if accepted else {})


def _trade_limit(inputs: Inputs) -> dict[str, Any]:
    moving = [inputs.number("moving_price")]
    if "fast_moving_price" in inputs:
        moving.append(inputs.number("fast_moving_price"))
    buys = inputs.text("side", ("buy", "sell")) == "buy"
    limit, accepted = root_fund.trade_limit(buys, inputs.number("spot_price"), *moving)
    return {"price_limit": limit, "accepted": accepted}


OPERATIONS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "nav": _nav,
    "deposit_in_place": _deposit_in_place,
    "deposit_curated": _deposit_curated,
    "stake_in": _stake_in,
    "owed": _owed,
    "stake_change": _stake_change,
    "claim": _claim,
    "trade_budget": _trade_budget,
    "trade_limit": _trade_limit,
}
"""Function of the inputs for every operation on a fund."""


def root_fund_vector(inputs: Inputs, era: str) -> dict[str, Any]:
    """An operation on a validator's fund."""
    return OPERATIONS[inputs.text("operation", tuple(OPERATIONS))](inputs)


ADAPTERS = {"gate_rank": gate_rank, "root_fund": root_fund_vector}
"""Adapters by category."""
