"""The subnets of a snapshot that are not simulated, and the simulated ones' part of the emission in their presence.

They are frozen: prices, demand and root income stay as at genesis. With `frozen_subnets: share` they respond alike under every
rule: they grow, dilute and follow common news as the simulated subnets do, and have no news of their own, because the news of many
subnets averages out. So the simulated subnets together are paid a part of the emission that is the same under every rule at genesis
and afterwards follows their own news: eight subnets that have had good news are paid more.
There is no such part for flows: under the flow rules, and rules of users, the simulated subnets keep the share of genesis.

Gated rules compare each subnet with a bar that is measured on all of them, so the frozen subnets' demands are kept as a list.
"""

from dtao_gym.compiling import inlined_rule, rule
from dtao_gym.protocol.allocation import (
    GATED_RULES,
    DemandSums,
    Rest,
    rules_reading,
    total_demand,
)

PRICE_RULES = rules_reading("moving_price")
VOTE_RULES = rules_reading("votes")


@rule
def rest_of_market(world, frozen, allocation, one_pot):
    """Frozen subnets as input of an allocation rule, a `Rest`; with `one_pot` they have a share under every rule."""
    count = int(world.rest_count)
    demands, listed, passed = frozen[0, :count], frozen[1, :count], frozen[2, :count]
    if one_pot:
        share = share_of_rest(world, allocation)
        return Rest(0.0, 0.0, 0.0, 0.0, share, demands, listed, passed)
    demand = DemandSums(
        world.rest_count,
        world.rest_moving_price,
        world.rest_burn_weighted,
        world.rest_root_weighted,
    )
    enabled = DemandSums(
        world.rest_enabled_count,
        world.rest_enabled_moving_price,
        world.rest_enabled_burn_weighted,
        world.rest_enabled_root_weighted,
    )
    return Rest(
        total_demand(allocation, demand),
        total_demand(allocation, enabled),
        world.rest_moving_price,
        world.rest_enabled_moving_price,
        0.0 if allocation in GATED_RULES else world.rest_share,
        demands,
        listed,
        passed,
    )


@inlined_rule
def part_beside_rest(excess, rest_share):
    """Part of their emission share at genesis that the simulated subnets get.

    Parameters
    ----------
    excess : float
        Their weight over what it would be without news of their own.
    rest_share : float
        Share of the frozen subnets at genesis, whose weight has no such factor.
    """
    return excess / ((1.0 - rest_share) * excess + rest_share)


@rule
def share_of_rest(world, allocation):
    """Emission share of the frozen subnets where they respond alike under every rule."""
    part = 1.0
    if allocation in PRICE_RULES:
        part = part_beside_rest(world.price_excess, world.rest_share)
    elif allocation in VOTE_RULES:
        part = world.vote_part
    return 1.0 - part * (1.0 - world.rest_share)
