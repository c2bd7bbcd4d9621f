"""Records of a world, its stakers, root validators and root funds, as `state.py` holds them."""

import numpy as np

WORLD_DTYPE = np.dtype(
    [
        ("world_key", np.uint64),
        ("episode", np.uint64),
        ("day", np.int64),
        ("block", np.float64),
        ("genesis_block", np.float64),
        ("last_day", np.int64),  # the world does not change from then on
        ("equal_weights", np.bool_),  # whether every pool has had weight 1/2 since genesis
        ("rule_error", np.int64),  # fault in the shares of a user's rule; 0: none
        # registrations
        ("last_lock", np.float64),
        ("last_lock_block", np.float64),
        ("registrations", np.int64),  # since genesis
        ("dissolutions", np.int64),  # since genesis
        ("tao_genesis", np.float64),
        ("chain_issuance", np.float64),
        ("block_emission", np.float64),
        # accounts (TAO)
        ("root_informed", np.float64),
        ("root_uninformed", np.float64),
        ("root_validators", np.float64),
        ("purse_informed", np.float64),
        ("purse_uninformed", np.float64),
        ("outside", np.float64),
        ("aggregate", np.float64),
        ("authors", np.float64),
        ("burned", np.float64),
        ("recycled", np.float64),
        ("minted", np.float64),
        # the frozen subnets (not simulated), as at genesis
        ("rest_count", np.float64),
        ("rest_price_sum", np.float64),  # of moving prices without exponent, for root's gate
        ("rest_moving_price", np.float64),
        ("rest_burn_weighted", np.float64),
        ("rest_root_weighted", np.float64),
        ("rest_enabled_count", np.float64),
        ("rest_enabled_moving_price", np.float64),
        ("rest_enabled_burn_weighted", np.float64),
        ("rest_enabled_root_weighted", np.float64),
        ("rest_share", np.float64),  # under rules whose shares are not weights over a sum
        ("rest_root_income", np.float64),  # TAO per block while the gate is open
        ("price_excess", np.float64),  # moving average of prices over those without own news
        ("vote_part", np.float64),  # part of their votes at genesis that the simulated subnets get
        # state of beliefs and statistics at the end of a day
        ("informed_weight", np.float64),
        ("alpha_part_of_wealth", np.float64),  # of scripted stakers at genesis
        ("demand_level", np.float64),  # factor on all target prices, by stakers' money
        ("common_news", np.float64),  # level of the news common to all subnets, logs
        ("common_variance", np.float64),
        ("news_factor", np.float64),  # factor on the size of news, drawn for the episode
        ("granted", np.float64),  # TAO of the day
        ("gate_bar", np.float64),  # demand share at which the gate lets half through
        ("has_funds", np.bool_),  # whether any root fund has had holdings since genesis
        ("funds_open", np.bool_),  # whether root dividends went to funds on the day before
        ("moving_price_sum", np.float64),
        ("price_sum", np.float64),  # spot prices of the simulated subnets
        ("emission_hhi", np.float64),  # sum of squared emission shares of the simulated subnets
        ("welfare", np.float64),  # sum of true values less costs, TAO a day
        ("root_yield", np.float64),  # TAO per TAO and day, at the last span
        ("revenue_paid", np.float64),  # TAO of the day
        ("revenue_rationed", np.float64),  # TAO of the day that `outside` could not pay
        # sums over the days since genesis, TAO; the first four discounted where the horizon is fixed
        ("welfare_sum", np.float64),
        ("research_sum", np.float64),
        ("work_sum", np.float64),  # research and short-term work
        ("influence_sum", np.float64),
        ("informed_value_sum", np.float64),
        ("plain_value_sum", np.float64),  # short-term value and knowledge
    ]
)

VALIDATOR_DTYPE = np.dtype(
    [
        ("stake", np.float64),  # share of the stake of all root validators
        ("root_share", np.float64),  # part of its vote for root itself
    ]
)

FUND_DTYPE = np.dtype(
    [
        ("part", np.float64),  # part of all root stake whose dividends go to the fund
        ("root_weight", np.float64),  # weight of the root slot in what a curated fund buys
        ("root_slot", np.float64),  # TAO on root that belongs to the fund
        ("shares", np.float64),
        ("rate", np.float64),  # shares granted per TAO of root stake since genesis
        ("value", np.float64),  # TAO that a sale of everything would fetch, at the end of the day
        ("deposited", np.float64),  # TAO since genesis, as valued when it came
        ("redeemed", np.float64),  # TAO paid to claimants since genesis
    ]
)

STAKER_DTYPE = np.dtype(
    [
        ("root", np.float64),  # root stake, TAO
        ("wealth", np.float64),  # proceeds of selling the whole position, TAO
        ("log_wealth", np.float64),
        ("first_wealth", np.float64),  # at the start of the episode
        ("ruined", np.bool_),  # whether wealth is below `ruin_fraction` of the first
        ("traded", np.float64),  # TAO exchanged with pools since the last decision
        ("fund_claim", np.float64),  # TAO that claiming all that root funds owe would pay
    ]
)
