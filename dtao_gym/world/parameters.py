"""What the kernels read of a configuration: numbers alone, with derived constants worked out."""

from typing import NamedTuple

import numpy as np

from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, DESTROYED, INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.institutions import PRUNE_KEYS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.protocol.lifecycle import SEEDINGS
from dtao_gym.protocol.plugins import allocation_id
from dtao_gym.world.config import Config
from dtao_gym.world.state import unpacker

MOVING_PRICE_BASE = {"fast": 1 - 2 ** (-1 / 3000), "slow": 3e-6}
"""Weight of one block in the moving price at full age: mainnet's speed of 2026, and the code's default."""
DAYS_PER_YEAR = 365.0
_REFERENCE_REVENUE_SHARE = 0.2


class Parameters(NamedTuple):
    """What the kernels read of a configuration, one record per world; may change between days."""

    allocation: int
    rule_address: int
    injection: int
    bought_destroyed: int
    root_dividend: int
    root_gate_open: int
    pruning: int
    prune_key: int
    seeding: int
    start_delay_days: int
    entrants_enabled: int
    gate_from_quantile: int
    halving: int
    twap: int
    dilution: int
    wealth_weights: int
    spans_per_day: int
    moving_price_base: float
    moving_price_halving_blocks: float
    share_exponent: float
    gate_bar: float
    gate_quantile: float
    flow_ema_base: float
    flow_cutoff: float
    norm_exponent: float
    immunity_blocks: float
    prune_lottery_sd: float
    arrivals_per_day: float
    entry_value_tao: float
    entry_value_sd: float
    entry_true_value: float
    entry_price_sd: float
    min_lock_tao: float
    lock_interval_blocks: float
    governance_blocks: float
    initial_treasury_tao: float
    dilution_reference_alpha: float
    informed_share_voters: float
    vote_power: float
    vote_cut: float
    consensus_midpoint: float
    consensus_slope: float
    tao_weight: float
    owner_cut: float
    validator_take: float
    pool_fee: float
    flat_fee_tao: float
    min_order_tao: float
    min_reserve: float
    ruin_fraction: float
    revenue_share: float
    owner_sale_fraction: float
    miner_sale_fraction: float
    validator_sale_fraction: float
    root_claim_hazard: float
    root_swap_share: float
    outside_return: float
    purse_share: float
    purse_rebalance: float
    max_purse_use: float
    max_trade_of_pool: float
    spend_rate: float
    reinvest_share: float
    price_per_value: float
    signal_noise_sd: float
    opinion_persistence: float
    opinion_innovation_sd: float
    momentum: float
    yield_sensitivity: float
    trade_speed: float
    value_persistence: float
    value_innovation_sd: float


PARAMETERS_DTYPE = np.dtype(
    [
        (name, np.int64 if kind is int else np.float64)
        for name, kind in Parameters.__annotations__.items()
    ]
)
parameters_of = unpacker(Parameters, "source.{name}")


def parameters(config: Config) -> np.ndarray:
    """The record of a configuration, `PARAMETERS_DTYPE`; derived constants are computed here and nowhere else."""
    opinion = 2.0 ** (-1.0 / config.opinion_noise_half_life_days)
    value = 2.0 ** (-1.0 / config.value_half_life_days)
    # without revenue the price of a unit of value keeps the scale of the default revenue
    revenue = config.revenue_share or _REFERENCE_REVENUE_SHARE
    capital = revenue * config.genesis_multiple * config.pooled_capitalisation
    price_per_value = capital / SUPPLY_CAP
    allocation, rule_address = allocation_id(config.era_part("allocation"))
    derived = {
        "allocation": allocation,
        "rule_address": rule_address,
        "injection": INJECTIONS[config.era_part("injection")],
        "bought_destroyed": CHAIN_BOUGHT[config.era_part("chain_bought")] == DESTROYED,
        "root_dividend": ROOT_DIVIDENDS[config.era_part("root_dividend")],
        "root_gate_open": config.era_part("root_gate") == "open",
        "prune_key": PRUNE_KEYS[config.era_part("prune_key")],
        "seeding": SEEDINGS[config.era_part("seeding")],
        "gate_from_quantile": config.gate_bar is None,
        "gate_bar": config.gate_bar or 0.0,
        "immunity_blocks": BLOCKS_PER_DAY * config.immunity_days,
        "arrivals_per_day": config.arrivals_per_slot_year / DAYS_PER_YEAR,
        "entry_true_value": config.entry_price_median / price_per_value,
        "lock_interval_blocks": BLOCKS_PER_DAY * config.era_part("lock_interval_days"),
        "governance_blocks": BLOCKS_PER_DAY * config.governance_days,
        "twap": config.execution == "twap",
        "wealth_weights": config.opinion_weights == "wealth",
        "moving_price_base": config.moving_price_base
        or MOVING_PRICE_BASE[config.moving_price_variant],
        "price_per_value": price_per_value,
        "opinion_persistence": opinion,
        "opinion_innovation_sd": config.opinion_noise_sd * (1.0 - opinion**2) ** 0.5,
        "value_persistence": value,
        "value_innovation_sd": config.value_log_sd * (1.0 - value**2) ** 0.5,
    }
    record = np.zeros((), PARAMETERS_DTYPE)
    for name in Parameters._fields:
        record[name] = derived[name] if name in derived else config.era_part(name)
    return record
