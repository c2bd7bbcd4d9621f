"""Parameters record of the kernels: the numbers of a configuration, and constants derived from them."""

from typing import NamedTuple

import numpy as np

from dtao_gym.economy.news import mean_of_jumps, square_of_jumps
from dtao_gym.economy.technology import (
    DAYS_PER_YEAR,
    decay_per_day,
    discount_per_day,
    kept_per_day,
    stage_rate,
)
from dtao_gym.economy.valuation import capitalisation, stage_discount
from dtao_gym.protocol.coinbase import (
    CHAIN_BOUGHT,
    DESTROYED,
    FUNDS,
    INJECTIONS,
    ROOT_DIVIDENDS,
)
from dtao_gym.protocol.gate import GATE_RANK
from dtao_gym.protocol.institutions import PRUNE_KEYS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.protocol.lifecycle import MAX_SUBNETS, SEEDINGS
from dtao_gym.protocol.plugins import allocation_id
from dtao_gym.views import constants
from dtao_gym.world.config import N_DRAWN, Config
from dtao_gym.world.config_people import LONG

MOVING_PRICE_BASE = {"fast": 1_288_490 / 2**32, "slow": 3e-6}
"""Weight of one block in the moving price at full age: mainnet's of 2026 (storage), and the code's default."""
CLAIM_HAZARD, FUND_CLAIM_HAZARD = 0.14, 0.02
"""Part of unclaimed root dividends that is claimed in a day: of claimable alpha, once a week; of root funds."""
PAYMENTS = {"alpha": 0, "direct": 1, "fee": 2}
"""Pay of owners: their cut in alpha, or in TAO out of the injection, or fees of users instead."""
ALPHA_PAY, DIRECT_PAY, FEE_PAY = PAYMENTS.values()
_LOCK_OF_SNAPSHOTS_TAO, _LOCK_OF_DRAWN_TAO = 250.0, 500.0
_DEFAULT_REVENUE_SHARE = Config.model_fields["revenue_share"].default


class Parameters(NamedTuple):
    """Parameters as the kernels read them, one record per world; they may change between days."""

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
    gate_measured: int
    gate_rank: int
    frozen_share: int
    halving: int
    twap: int
    dilution: int
    wealth_weights: int
    payment: int
    finance: int
    influence: int
    pipeline_visible: int
    knowledge_disclosed: int
    short_sales: int
    readers_ahead: int
    spans_per_day: int
    moving_price_base: float
    moving_price_cap: float
    moving_price_halving_blocks: float
    share_exponent: float
    gate_bar: float
    gate_quantile: float
    gate_exponent: float
    flow_ema_kept: float
    flow_cutoff: float
    norm_exponent: float
    immunity_blocks: float
    prune_lottery_sd: float
    arrivals_per_day: float
    entry_value_tao: float
    entry_value_sd: float
    min_lock_tao: float
    lock_interval_blocks: float
    governance_blocks: float
    emission_off_hazard: float
    emission_on_hazard: float
    equal_funds: float
    initial_treasury_tao: float
    dilution_reference_alpha: float
    informed_share_voters: float
    voter_spillover_weight: float
    favourite_share: float
    favourites: float
    collusion: float
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
    min_reserve_before: float
    min_reserve_after: float
    ruin_fraction: float
    revenue_share: float
    short_productivity: float
    research_productivity: float
    curvature: float
    short_decay: float
    knowledge_decay: float
    stage_rate: float
    research_luck_sd: float
    success_probability: float
    spillover: float
    hype: float
    influence_productivity: float
    influence_decay: float
    influence_dissipation: float
    type_sd: float
    salvage: float
    fixed_budget_tao: float
    spend_rate: float
    research_share: float
    influence_share: float
    owner_sale_fraction: float
    reinvest_share: float
    income_factor: float
    fee_per_value: float
    milestone_grant_tao: float
    cost_weight: float
    welfare_log_discount: float
    payoff_log_discount: float
    worth_of_short: float
    worth_of_knowledge: float
    stage_discount: float
    miner_sale_fraction: float
    validator_sale_fraction: float
    insider_sale_per_span: float
    claimed_per_span: float
    root_swap_share: float
    outside_return: float
    purse_share: float
    purse_rebalance: float
    purse_use_per_span: float
    trade_of_pool_per_span: float
    price_of_capital: float
    pooled_capitalisation: float
    signal_noise_sd: float
    opinion_persistence: float
    opinion_innovation_sd: float
    opinion_bias: float
    news_sd: float
    news_kept: float
    news_spread: float
    news_size_exponent: float
    news_volatility_sd: float
    news_volatility_kept: float
    jump_chance: float
    jump_up: float
    jump_down: float
    jump_up_share: float
    jump_mean: float
    jump_square: float
    market_sd: float
    signal_gain: float
    prior_kept: float
    settled_alpha: float
    portfolio_rate: float
    scarcity_elasticity: float
    staker_share_of_alpha_out: float
    momentum: float
    yield_sensitivity: float
    trade_speed_per_span: float


PARAMETERS_DTYPE = np.dtype(
    [
        (name, np.int64 if kind is int else np.float64)
        for name, kind in Parameters.__annotations__.items()
    ]
)
parameters_of = constants


def parameters(config: Config) -> np.ndarray:
    """Record of a configuration, `PARAMETERS_DTYPE`; derived constants are computed here alone.

    `price_of_capital` is 0 where the price multiple is fitted at genesis: `prehistory.parameters_of_world` fills it in.
    """
    derived = _law(config) | _technology(config) | _stakers(config) | _per_span(config)
    record = np.zeros((), PARAMETERS_DTYPE)
    for name in Parameters._fields:
        record[name] = derived[name] if name in derived else config.era_part(name)
    return record


def price_of_capital(config: Config, multiple: float) -> float:
    """TAO per alpha for each TAO of capital value, where prices are `multiple` times the users' payments."""
    # without revenue the price of a unit of value keeps the scale of the default revenue
    return (config.revenue_share or _DEFAULT_REVENUE_SHARE) * multiple / SUPPLY_CAP


def _law(config: Config) -> dict[str, float]:
    allocation, rule_address = allocation_id(config.era_part("allocation"))
    least, tested = config.era_part("min_reserve"), config.era_part("min_reserve_tested")
    return {
        "min_reserve_before": least if tested == "before" else 0.0,
        "min_reserve_after": least if tested == "after" else 0.0,
        "allocation": allocation,
        "rule_address": rule_address,
        "injection": INJECTIONS[config.era_part("injection")],
        "bought_destroyed": CHAIN_BOUGHT[config.era_part("chain_bought")] == DESTROYED,
        "root_dividend": ROOT_DIVIDENDS[config.era_part("root_dividend")],
        "root_gate_open": root_gate(config) == "open",
        "prune_key": PRUNE_KEYS[config.era_part("prune_key")],
        "seeding": SEEDINGS[config.era_part("seeding")],
        "halving": halves(config),
        "payment": PAYMENTS[config.payment],
        "knowledge_disclosed": config.disclosure == "knowledge",
        "gate_measured": config.gate_bar is None,
        "gate_rank": gate_rank(config),
        "frozen_share": config.frozen_subnets == "share",
        "gate_bar": config.gate_bar or 0.0,
        "immunity_blocks": BLOCKS_PER_DAY * config.immunity_days,
        "arrivals_per_day": config.arrivals_per_slot_year / DAYS_PER_YEAR,
        "lock_interval_blocks": BLOCKS_PER_DAY * config.era_part("lock_interval_days"),
        "governance_blocks": BLOCKS_PER_DAY * config.governance_days,
        "moving_price_base": config.moving_price_base
        or MOVING_PRICE_BASE[config.moving_price_variant],
        "moving_price_cap": 1.0 if config.moving_price_clipped else np.inf,
    }


def _per_span(config: Config) -> dict[str, float]:
    """Rates of a span that compound to the daily ones, and the part of flow averages that a span keeps."""
    blocks = BLOCKS_PER_DAY / config.spans_per_day
    rates = {
        "insider_sale_per_span": _per_day(config.insider_holding_days),
        "claimed_per_span": claim_hazard(config),
        "purse_use_per_span": config.max_purse_use,
        "trade_of_pool_per_span": config.max_trade_of_pool,
        "trade_speed_per_span": config.trade_speed,
    }
    with np.errstate(divide="ignore"):  # a rate of 1
        per_span = {name: rate_per_span(rate, config.spans_per_day) for name, rate in rates.items()}
    return per_span | {
        "flow_ema_kept": np.exp(blocks * np.log1p(-config.era_part("flow_ema_base")))
    }


def rate_per_span(daily_rate: float, spans_per_day: int) -> float:
    """Rate of a span that compounds to a daily rate."""
    return -np.expm1(np.log1p(-daily_rate) / spans_per_day)


def claim_hazard(config: Config) -> float:
    """Part of unclaimed root dividends that is claimed in a day."""
    if config.root_claim_hazard is not None:
        return config.root_claim_hazard
    return FUND_CLAIM_HAZARD if config.era_part("root_dividend") in FUNDS else CLAIM_HAZARD


def gate_rank(config: Config) -> int:
    """Rank of the gate's bar: in drawn worlds the same part of the market is above it as on the chain."""
    if config.gate_rank is not None:
        return config.gate_rank
    if not config.is_drawn:
        return GATE_RANK
    return max(round(GATE_RANK * (config.n_subnets or N_DRAWN) / MAX_SUBNETS), 1)


def halves(config: Config) -> bool:
    """Whether emission halves with issuance."""
    return not config.is_drawn if config.halving is None else config.halving


def root_gate(config: Config) -> str:
    """`chain` or `open`: by default open in drawn worlds, whose few subnets would shut the chain's gate."""
    if config.root_gate is None and config.is_drawn:
        return "open"
    return config.era_part("root_gate")


def entry_lock(config: Config) -> float:
    """Last registration lock before genesis, TAO."""
    if config.entry_lock_tao is not None:
        return config.entry_lock_tao
    return _LOCK_OF_DRAWN_TAO if config.is_drawn else _LOCK_OF_SNAPSHOTS_TAO


def _technology(config: Config) -> dict[str, float]:
    social = discount_per_day(config.social_discount_per_year)
    builder = discount_per_day(config.builder_discount_per_year)
    # where episodes end by chance, the chance is the social discount
    ends = social if config.horizon == "geometric" else 1.0
    cost = config.cost_weight
    return {
        "short_decay": decay_per_day(config.short_half_life_days),
        "knowledge_decay": decay_per_day(config.knowledge_half_life_days),
        "influence_decay": decay_per_day(config.influence_half_life_days),
        "stage_rate": stage_rate(config.delay_days, config.delay_stages),
        "influence_share": config.influence_share if config.influence else 0.0,
        "cost_weight": (1.0 if config.finance else 0.0) if cost is None else cost,
        "welfare_log_discount": np.log(social / ends),
        "payoff_log_discount": np.log(builder / ends),
    }


def _per_day(days: float) -> float:
    """Daily rate of an event that takes `days` days on average; 0 for `LONG`."""
    return 1.0 / days if days < LONG else 0.0


def _kept(half_life_days: float) -> float:
    return kept_per_day(half_life_days) if half_life_days > 0.0 else 0.0  # 0: the channel is off


def _stakers(config: Config) -> dict[str, float]:
    opinion = _kept(config.opinion_noise_half_life_days)
    discount = discount_per_day(config.valuer_discount_per_year)
    leaving = stage_rate(config.delay_days, config.delay_stages)
    multiple = config.genesis_multiple
    return {
        "twap": config.execution == "twap",
        "wealth_weights": config.opinion_weights == "wealth",
        "worth_of_short": capitalisation(discount, decay_per_day(config.short_half_life_days)),
        "worth_of_knowledge": capitalisation(
            discount, decay_per_day(config.knowledge_half_life_days)
        ),
        "stage_discount": stage_discount(discount, leaving),
        "price_of_capital": price_of_capital(config, multiple) if multiple else 0.0,
        "opinion_persistence": opinion,
        "opinion_innovation_sd": config.opinion_noise_sd * (1.0 - opinion**2) ** 0.5,
        "opinion_bias": 0.5 * config.opinion_noise_sd**2 if config.mean_one_opinions else 0.0,
        "news_kept": _kept(config.news_half_life_days),
        "news_volatility_kept": _kept(config.news_volatility_half_life_days),
        "jump_mean": mean_of_jumps(config.jump_up_share, config.jump_up, config.jump_down),
        "jump_square": square_of_jumps(config.jump_up_share, config.jump_up, config.jump_down),
        "prior_kept": _kept(config.prior_half_life_days),
        "portfolio_rate": _per_day(config.portfolio_days),
    }
