"""Parameters of the chain's rules: the era and its overrides, registrations, votes."""

from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS, ROOT_DIVIDENDS, TAO_WEIGHT
from dtao_gym.protocol.flows import FLOW_EMA_BASE
from dtao_gym.protocol.gate import GATE_EXPONENT, GATE_QUANTILE
from dtao_gym.protocol.institutions import ERAS, PRUNE_KEYS
from dtao_gym.protocol.lifecycle import IMMUNITY_DAYS, MAX_SUBNETS, SEEDINGS
from dtao_gym.protocol.pool import MAX_FEE
from dtao_gym.protocol.root_vote import (
    CONSENSUS_MIDPOINT,
    CONSENSUS_SLOPE,
    MAX_ROOT_VALIDATORS,
    VALIDATOR_TOP5,
)
from dtao_gym.protocol.stake import VALIDATOR_TAKE
from dtao_gym.world.checked import Checked

MAX_CURATED_FUNDS = 4
MAX_FUND_WEIGHT = 1 / 16
"""Largest weight of a subnet in a curated fund (spec 450)."""
LEAST_DESTINATIONS = 8
"""Smallest number of destinations of a curated fund (spec 450)."""


def rate(default: float | None, description: str, ge: float = 0.0, le: float = 1.0) -> Any:
    """A field with bounds 0 and 1, or narrower ones."""
    return Field(default, description=description, ge=ge, le=le)


class EmissionSwitch(Checked, frozen=True, extra="forbid"):
    """A decision of governance on the emission of some subnets."""

    day: int = Field(ge=0, le=12_000, description="Day of the episode from which it holds.")
    netuids: tuple[int, ...] = Field(min_length=1, description="The subnets.")
    enabled: bool = Field(description="Whether their emission is on from then on.")


class CuratedFund(Checked, frozen=True, extra="forbid"):
    """A root fund whose dividends are sold and spent by weights."""

    part: float = Field(gt=0.0, le=1.0, description="Part of all root stake with the fund.")
    weights: tuple[tuple[int, float], ...] = Field(
        description="Weight of each netuid, in YAML a mapping; 0 is the root slot. Scaled to the sum 1, at most 1/16 for"
        " each subnet."
    )

    @field_validator("weights", mode="before")
    @classmethod
    def _from_mapping(cls, weights: Any) -> Any:
        return tuple(weights.items()) if isinstance(weights, dict) else weights

    @model_validator(mode="after")
    def _at_most_a_sixteenth(self) -> Self:
        netuids, weights = [n for n, _ in self.weights], [w for _, w in self.weights]
        total = sum(weights)
        if len(set(netuids)) < max(len(netuids), LEAST_DESTINATIONS):
            raise ValueError(f"{LEAST_DESTINATIONS} or more destinations, each named once")
        if min(weights) < 0.0 or not 0.0 < total < np.inf:
            raise ValueError("weights of 0 or more with a positive sum")
        for netuid, weight in self.weights:
            if netuid != 0 and weight > MAX_FUND_WEIGHT * total * (1.0 + 1e-9):
                raise ValueError(
                    f"at most 1/16 of the sum for a subnet; netuid {netuid} has {weight / total:.4g}"
                )
        return self


class Law(Checked, frozen=True):
    """Rules of the chain. Rates are per day unless the name says otherwise; amounts are TAO."""

    # the institution: None takes the era's
    era: str = Field(
        "price_burn", description="Rules of the chain: " + ", ".join(sorted(ERAS)) + "."
    )
    allocation: str | None = Field(
        None,
        description="Rule of the emission shares: "
        + ", ".join(ALLOCATIONS)
        + "; or a rule of your own, by name or import path (package.module:function).",
    )
    injection: str | None = Field(
        None,
        description="Rule of the cap on the alpha added to pools: " + ", ".join(INJECTIONS) + ".",
    )
    chain_bought: str | None = Field(
        None, description="Use of the alpha that the chain buys: " + ", ".join(CHAIN_BOUGHT) + "."
    )
    root_dividend: str | None = Field(
        None, description="Use of root's alpha dividends: " + ", ".join(ROOT_DIVIDENDS) + "."
    )
    root_gate: Literal["chain", "open"] | None = Field(
        None,
        description="Root is paid only while moving prices sum to more than 1 (chain), or always.",
    )
    pool_fee: float | None = Field(
        None, ge=0.0, le=MAX_FEE, description="Fee on the input of a swap."
    )
    flat_fee_tao: float | None = Field(
        None, ge=0.0, le=0.01, description="Flat fee of a stake operation, TAO, kept in the pool."
    )
    min_order_tao: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Smallest order of a staker, TAO, unless it sells a whole position.",
    )
    min_reserve: float | None = Field(
        None, gt=0.0, le=1.0, description="Smallest reserve of what comes out of a swap."
    )
    min_reserve_tested: Literal["before", "after"] | None = Field(
        None, description="When it is tested: before the swap, or on what is left after it."
    )
    moving_price_variant: Literal["fast", "slow"] = Field(
        "fast",
        description="Speed of the moving price: weight 3e-4 of a block as on mainnet in 2026, or the code's 3e-6.",
    )
    moving_price_base: float | None = Field(
        None,
        ge=1e-7,
        le=1e-3,
        description="Weight of one block in the moving price at full age; overrides the variant.",
    )
    moving_price_clipped: bool = Field(
        True, description="Clip prices at 1 TAO in the moving price, as on the chain."
    )
    moving_price_halving_blocks: float = Field(
        201_600.0,
        ge=0.0,
        le=400_000.0,
        description="Age at which a subnet's moving price has half its full speed; 0: no age factor.",
    )
    share_exponent: float = Field(
        1.0, ge=0.5, le=2.0, description="Exponent of the moving price in the price rules."
    )
    gate_bar: float | None = Field(
        None,
        ge=0.0,
        le=0.1,
        description="Demand share at which the gate lets half through, 0: no gate; None: measured by rank or quantile.",
    )
    gate_rank: int | None = Field(
        None,
        ge=1,
        le=MAX_SUBNETS,
        description="Rank of the demand share that is the bar under price_burn_gate_rank; None: 32, in drawn worlds"
        " a quarter of the subnets.",
    )
    gate_quantile: float = Field(
        GATE_QUANTILE,
        ge=0.5,
        le=0.9,
        description="Part of all demand at or above the bar under price_burn_gate.",
    )
    gate_exponent: float = Field(
        GATE_EXPONENT, ge=1.0, le=8.0, description="Steepness of the gate."
    )
    flow_ema_base: float = Field(
        FLOW_EMA_BASE, gt=0.0, le=1e-3, description="Weight of one block in the flow averages."
    )
    frozen_subnets: Literal["prices", "share"] = Field(
        "prices",
        description="Subnets that are not simulated: their prices stay as at genesis, or they respond alike under every"
        " rule, so that all institutions divide the same emission (`world/rest.py`).",
    )
    flow_cutoff: float = Field(
        0.0,
        ge=-1000.0,
        le=1000.0,
        description="Average flow below which a subnet gets nothing, TAO per block.",
    )
    norm_exponent: float = Field(
        1.0, ge=0.25, le=4.0, description="Exponent of the flow in the flow rules."
    )
    tao_weight: float = rate(TAO_WEIGHT, "Weight of root TAO against alpha.")
    owner_cut: float = rate(VALIDATOR_TAKE, "Owner's part of the alpha minted to participants.")
    validator_take: float = rate(
        VALIDATOR_TAKE, "Validators' part of dividends.", le=VALIDATOR_TAKE
    )
    halving: bool | None = Field(
        None,
        description="Halve emission as issuance grows; off: the rate of genesis. None: on, but off in drawn worlds.",
    )
    payment: Literal["alpha", "direct", "fee"] = Field(
        "alpha",
        description="Pay of owners: their cut in alpha, their cut in TAO out of the injection, or fees of users instead.",
    )
    milestone_grant_tao: float = Field(
        0.0,
        ge=0.0,
        le=1e5,
        description="Grant for each unit of knowledge that arrives, TAO, deducted from emission.",
    )
    disclosure: Literal["none", "knowledge"] = Field(
        "none", description="Knowledge of a subnet that allocation rules can read."
    )

    # registrations: None takes the era's
    pruning: bool | None = Field(
        None, description="Dissolve the weakest subnet for a newcomer to a full market."
    )
    prune_key: str | None = Field(
        None,
        description="Measure by which the weakest subnet is the lowest: "
        + ", ".join(PRUNE_KEYS)
        + ".",
    )
    prune_lottery_sd: float = Field(
        0.0,
        ge=0.0,
        le=2.0,
        description="Lognormal noise on that measure, standard deviation of the log.",
    )
    immunity_days: float = Field(
        IMMUNITY_DAYS,
        ge=0.0,
        le=720.0,
        description="Age in days below which no subnet is dissolved.",
    )
    arrivals_per_slot_year: float = Field(
        0.42,
        ge=0.0,
        le=12.0,
        description="Founders per year and slot that consider a registration.",
    )
    entry_value_tao: float = Field(
        600.0, gt=0.0, le=1e6, description="Median value of a slot to a founder, TAO."
    )
    entry_value_sd: float = Field(
        0.8, ge=0.0, le=3.0, description="Standard deviation of the log of that value."
    )
    entry_lock_tao: float | None = Field(
        None,
        ge=0.0,
        le=1e5,
        description="Last registration lock before genesis, TAO. None: 250, in drawn worlds 500.",
    )
    seeding: str | None = Field(
        None, description="Seeding of a new pool: " + ", ".join(SEEDINGS) + "."
    )
    min_lock_tao: float | None = Field(
        None, ge=0.1, le=1e4, description="Smallest registration lock, TAO."
    )
    lock_interval_days: float | None = Field(
        None,
        gt=0.0,
        le=365.0,
        description="Days in which the registration lock halves, at an emission of 1 TAO a block.",
    )
    start_delay_days: int | None = Field(
        None, ge=0, le=60, description="Days without emission and staking after a registration."
    )
    entrants_enabled: bool | None = Field(
        None, description="Give newcomers TAO emission at once, not after `governance_days`."
    )
    governance_days: float = Field(
        30.0,
        ge=0.0,
        le=3650.0,
        description="Age at which governance enables a newcomer's emission.",
    )
    emission_switches: tuple[EmissionSwitch, ...] = Field(
        (), description="Days on which governance switches the emission of subnets off or on."
    )
    emission_off_hazard: float = rate(
        0.0, "Chance a day that governance switches the emission of a subnet off."
    )
    emission_on_hazard: float = rate(
        0.0, "Chance a day that governance switches the emission of a disabled subnet on."
    )

    # root funds
    equal_funds: float = Field(
        16.0,
        ge=1.0,
        le=1e6,
        description="Number of equal funds as which a root fund is valued: 1 over the concentration of all validators' funds.",
    )
    curated_funds: tuple[CuratedFund, ...] = Field(
        (),
        max_length=MAX_CURATED_FUNDS,
        description="Funds that spend root's dividends by weights, under root_dividend: fund_curated.",
    )
    dilution_reference_alpha: float = Field(
        2e6,
        ge=1e5,
        le=2e7,
        description="Alpha issuance at which a newcomer's target price is undiluted.",
    )

    # votes
    root_validators: int | None = Field(
        None,
        ge=0,
        le=MAX_ROOT_VALIDATORS,
        description="Number of root validators that vote; None: 64 under root_vote, else 0.",
    )
    validator_top5: tuple[float, float, float, float, float] = Field(
        VALIDATOR_TOP5,
        description="Stake shares of the five largest validators; the others follow Zipf's law.",
    )
    informed_share_voters: float = rate(0.3, "Informed part of every root vote.")
    voter_spillover_weight: float = rate(
        1.0, "Part of the spillover of knowledge that informed voters score."
    )
    vote_power: float = Field(1.0, ge=0.5, le=3.0, description="Exponent of the score in a vote.")
    vote_cut: float = rate(0.0, "Part of the mean score below which a subnet gets no vote.")
    root_column_share: float = rate(
        0.0, "Part of every vote that goes to root itself and is paid to nobody.", le=0.99
    )
    consensus_midpoint: float = rate(CONSENSUS_MIDPOINT, "Trust at which consensus is one half.")
    consensus_slope: float = Field(
        CONSENSUS_SLOPE, ge=0.0, le=100.0, description="Slope of consensus."
    )
    favourite_share: float = rate(
        0.0, "Part of their vote that the five largest validators give to favourites."
    )
    favourites: float = Field(
        0.25, gt=0.0, le=1.0, description="Number of favourites, as part of the subnets."
    )
    collusion: float = rate(
        0.5, "Chance that one of these validators has the shared favourites instead of its own."
    )
