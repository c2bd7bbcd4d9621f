"""Parameters of behaviour: technology, builders, money, and stakers' valuations."""

from typing import Any, Literal

from pydantic import Field

from dtao_gym.world.checked import Checked
from dtao_gym.world.config_law import rate

LONG = 1e9
"""Half-life in days that means no decay."""
PREDICTABLE: dict[str, Any] = {
    "news_sd": 0.0,
    "signal_gain": 1.0,
    "readers_ahead": False,
    "mean_one_opinions": False,
    "prior_half_life_days": 0.0,
    "settled_alpha": 0.0,
    "portfolio_days": LONG,
    "scarcity_elasticity": 0.0,
    "insider_holding_days": LONG,
    "opinion_noise_sd": 0.3,
    "opinion_noise_half_life_days": 20.0,
    "momentum": 0.1,
    "trade_speed": 0.05,
    "max_trade_of_pool": 0.25,
    "max_purse_use": 0.2,
}
"""A population without news, whose demand declines: every channel of demand and beliefs is off, and price gaps close by a
twentieth a day. Oracles and negative controls start from it; its results say nothing about the real market.
"""


class People(Checked, frozen=True):
    """Behaviour of all classes. Rates are per day unless the name says otherwise; amounts are TAO."""

    # technology: value is in TAO a day
    short_productivity: float = Field(
        0.1, ge=1e-9, le=10.0, description="Value of short-term work per (TAO a day)**curvature."
    )
    research_productivity: float = Field(
        0.007476904609,
        ge=1e-9,
        le=10.0,
        description="Knowledge from research per (TAO a day)**curvature.",
    )
    curvature: float = Field(0.5, ge=0.3, le=0.8, description="Exponent of spending in output.")
    short_half_life_days: float = Field(
        30.0, ge=7.0, le=LONG, description="Half-life of short-term value."
    )
    knowledge_half_life_days: float = Field(
        720.0, ge=7.0, le=LONG, description="Half-life of knowledge."
    )
    delay_days: float = Field(
        180.0,
        ge=0.0,
        le=720.0,
        description="Mean days from research to knowledge: 0, or at least delay_stages.",
    )
    delay_stages: int = Field(
        3, ge=1, le=12, description="Stages of the pipeline from research to knowledge."
    )
    research_luck_sd: float = Field(
        0.8,
        ge=0.0,
        le=1.5,
        description="Luck of arriving knowledge, standard deviation of the log.",
    )
    success_probability: float = Field(
        1.0, ge=0.05, le=1.0, description="Chance that arriving knowledge is of use; 1: always."
    )
    spillover: float = Field(
        0.5,
        ge=0.0,
        le=2.0,
        description="Value of knowledge to all other subnets together, over its value to its own.",
    )
    hype: float = Field(
        0.5,
        ge=0.0,
        le=4.0,
        description="Part by which the public signal overstates short-term value.",
    )
    influence: bool = Field(False, description="Let builders spend on influence.")
    influence_productivity: float = Field(
        0.05, ge=0.0, le=0.2, description="Influence per (TAO a day)**curvature."
    )
    influence_half_life_days: float = Field(
        30.0, ge=7.0, le=180.0, description="Half-life of influence."
    )
    influence_dissipation: float = rate(
        0.5, "Part of spending on influence that is a social cost; the rest is a transfer."
    )
    type_sd: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Spread of builders' ability, standard deviation of the log.",
    )
    salvage: float = rate(
        0.5, "Part of a dissolved subnet's knowledge that passes to the new subnet."
    )

    # builders
    social_discount_per_year: float = rate(0.20, "Discount of welfare a year.", ge=0.001, le=0.999)
    builder_discount_per_year: float = rate(
        0.20, "Discount of builders' consumption a year.", ge=0.001, le=0.999
    )
    finance: bool = Field(
        True, description="Let builders spend out of treasuries; off: a fixed budget from outside."
    )
    fixed_budget_tao: float = Field(10.0, ge=0.1, le=1000.0, description="Fixed budget, TAO a day.")
    initial_treasury_tao: float = Field(
        150.0, ge=0.0, le=3000.0, description="Treasury of each subnet at the start, TAO."
    )
    spend_rate: float = rate(1 / 30, "Part of a treasury spent in a day.", le=0.2)
    reinvest_share: float = rate(
        0.7, "Part of the owner's income that enters the treasury; the rest is consumed."
    )
    research_share: float = rate(
        0.3, "Research over research and short-term work, for scripted builders."
    )
    influence_share: float = rate(0.0, "Influence over the budget, for scripted builders.", le=0.9)
    owner_sale_fraction: float = rate(1.0, "Part of the owner's daily alpha that is sold.")
    cost_weight: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Weight of spending in welfare; None: 1 with finance, else 0.",
    )
    income_factor: float = Field(
        1.0,
        ge=0.0,
        le=100.0,
        description="Factor on owners' income, paid by or to outside: gives equal budgets in welfare tables.",
    )
    fee_per_value: float = Field(
        0.3,
        gt=0.0,
        le=100.0,
        description="Fee of users under payment `fee`, as part of a subnet's own value.",
    )

    # money
    revenue_share: float = rate(
        0.2, "Part of their value that users pay by buying alpha, which is recycled.", le=0.6
    )
    miner_sale_fraction: float = rate(0.57, "Part of the miners' daily alpha that is sold.")
    validator_sale_fraction: float = rate(0.3, "Part of the validators' daily take that is sold.")
    insider_holding_days: float = Field(
        90.0,
        ge=1.0,
        le=LONG,
        description="Mean days for which miners and validators keep the alpha that they do not sell at once.",
    )
    root_claim_hazard: float | None = rate(
        None,
        "Part of unclaimed root dividends that is claimed in a day; None: 0.14, of funds 0.02.",
    )
    root_swap_share: float = rate(
        1.0, "Part of claims that is sold for TAO; the rest is kept as alpha."
    )
    outside_return: float = rate(
        1 / 30, "Part of the outside account that returns to purses in a day."
    )
    outside_initial_tao: float | None = Field(
        None,
        ge=0.0,
        le=21e6,
        description="Outside account at genesis, TAO; None: the stationary balance.",
    )
    purse_share: float = rate(0.10, "Liquid part of a population's TAO.", ge=0.02, le=0.5)
    purse_rebalance: float = rate(
        1 / 30, "Part of the gap to that share that is closed in a day, between purse and root."
    )
    max_purse_use: float = rate(0.5, "Largest part of purses spent in a day.")
    max_trade_of_pool: float = rate(
        0.9, "Largest daily trade of scripted stakers, as part of the reserve."
    )
    short_sales: bool = Field(
        False,
        description="Let scripted stakers trade without limit of purse, holding or pool, as closed forms assume.",
    )
    staker_share_of_alpha_out: float = Field(
        0.6, ge=0.3, le=0.9, description="Stakers' part of alpha outstanding at genesis."
    )

    # stakers
    informed_share_stakers: float = rate(0.3, "Informed part of purses and holdings at genesis.")
    opinion_weights: Literal["fixed", "wealth"] = Field(
        "fixed", description="Weights of opinions: shares of wealth at genesis, or of today."
    )
    pooled_capitalisation: float = Field(
        502.69,
        ge=1e-3,
        le=10_000.0,
        description="Value of a subnet to the uninformed, in days of its signal.",
    )
    genesis_multiple: float | None = Field(
        None,
        ge=1e-3,
        le=1e5,
        description="Price over capitalised payments of users; None: fitted to prices at genesis.",
    )
    valuer_discount_per_year: float = rate(
        0.20, "Discount a year of the informed, who capitalise stocks.", ge=0.001, le=0.9999
    )
    pipeline_visible: bool = Field(True, description="Let the informed count research under way.")
    signal_noise_sd: float = rate(
        0.1, "Noise of the public signal, standard deviation of the log.", le=0.5
    )
    signal_lag_days: int = Field(
        7, ge=0, le=90, description="Age in days of the public signal when it is read."
    )
    opinion_noise_sd: float = rate(
        0.01927, "Error of opinion of the uninformed, standard deviation of the log."
    )
    opinion_noise_half_life_days: float = Field(
        1.0, ge=1.0, le=365.0, description="Half-life of that error."
    )
    mean_one_opinions: bool = Field(
        True, description="Correct errors of opinion to a factor of mean one."
    )

    # news, which readers know and agents do not observe (`dtao_gym.economy.news`)
    news_sd: float = Field(
        0.05127,
        ge=0.0,
        le=0.2,
        description="Daily standard deviation of news at a pool of 20,000 TAO; 0: no news.",
    )
    news_half_life_days: float = Field(
        240.0, ge=30.0, le=LONG, description="Half-life of the level of news."
    )
    news_spread: float = Field(
        0.04885,
        ge=0.0,
        le=2.0,
        description="Spread of the size of news over owners, standard deviation of the log.",
    )
    news_size_exponent: float = rate(
        0.1802, "Exponent of the pool's TAO by which news and jumps shrink."
    )
    news_volatility_sd: float = Field(
        0.7206,
        ge=0.0,
        le=2.0,
        description="Clusters of volatility: standard deviation of the log of its fast part.",
    )
    news_volatility_half_life_days: float = Field(
        3.73, ge=0.1, le=365.0, description="Half-life of those clusters."
    )
    jump_chance: float = rate(
        0.01514, "Chance of a jump in a day, at a pool of 20,000 TAO.", le=0.3
    )
    jump_up: float = Field(0.2382, ge=0.0, le=0.8, description="Mean of upward jumps, in logs.")
    jump_down: float = Field(
        0.04388, ge=0.0, le=2.0, description="Mean of downward jumps, in logs."
    )
    jump_up_share: float = rate(0.7301, "Part of jumps that are upward.")
    market_sd: float = Field(
        0.01466,
        ge=0.0,
        le=0.2,
        description="Daily standard deviation of news common to all subnets.",
    )
    news_factor_low: float = Field(
        1.0,
        ge=0.1,
        le=10.0,
        description="Lowest factor of an episode on `news_sd` and `market_sd`; drawn uniformly in logs.",
    )
    news_factor_high: float = Field(
        1.0,
        ge=0.1,
        le=10.0,
        description="Highest factor of an episode on `news_sd` and `market_sd`.",
    )
    signal_gain: float = rate(
        0.05, "Weight of a day's reading of the signal in readers' belief.", ge=0.001
    )
    readers_ahead: bool = Field(
        True, description="Let readers read the signal a day before agents observe it."
    )
    prior_half_life_days: float = Field(
        249.9,
        ge=0.0,
        le=365.0,
        description="Half-life of the credit from a newcomer's seed price; 0: no credit.",
    )
    settled_alpha: float = Field(
        2000000.0,
        ge=0.0,
        le=21e6,
        description="Alpha issuance below which dilution does not count.",
    )

    momentum: float = rate(0.0, "Exponent of the past price change in the uninformed target.")
    momentum_lag_days: int = Field(20, ge=1, le=60, description="Days of that price change.")
    yield_sensitivity: float = rate(
        0.0, "Weight of yearly stake yield above the mean in the uninformed target.", le=2.0
    )
    trade_speed: float = rate(
        1.0, "Part of the gap to the target that scripted stakers trade in a day."
    )
    portfolio_days: float = Field(
        60.0,
        ge=1.0,
        le=LONG,
        description="Days in which valuations move to the level at which alpha is the same part of stakers' wealth as at"
        " genesis; the longest: never.",
    )
    scarcity_elasticity: float = Field(
        2.0,
        ge=0.0,
        le=5.0,
        description="Exponent of scarcity: targets rise as stakers' part of a subnet's alpha falls.",
    )
    dilution: bool = Field(True, description="Let target prices fall as alpha issuance grows.")
