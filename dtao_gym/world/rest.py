"""The subnets of a snapshot that are not simulated, and what the simulated ones are paid beside them.

They are frozen: prices, demand and root income stay as at genesis. With `frozen_subnets: share` they answer alike under every
rule: they grow, dilute and follow news common to all as the simulated subnets do, and have no news of their own, since that of many
subnets averages out. So the simulated ones together are paid a part of the emission that is the same under every rule at genesis,
and afterwards follows what their own news makes of them: eight that have had good news are paid more, not the same.
Flows have no such part: under the flow rules, and rules of users, the simulated subnets keep the share of genesis.
"""

from dtao_gym.compiling import inlined_rule, rule
from dtao_gym.protocol.allocation import (
    PRICE,
    PRICE_BURN_GATE,
    PRICE_ROOTPROP,
    ROOT_VOTE,
    UNIFORM,
    Rest,
)


@rule
def rest_of_market(world, allocation):
    """The frozen subnets as the allocation rule sees them."""
    demand, enabled = world.rest_burn_weighted, world.rest_enabled_burn_weighted
    if allocation == UNIFORM:
        demand, enabled = world.rest_count, world.rest_enabled_count
    elif allocation == PRICE:
        demand, enabled = world.rest_moving_price, world.rest_enabled_moving_price
    elif allocation == PRICE_ROOTPROP:
        demand, enabled = world.rest_root_weighted, world.rest_enabled_root_weighted
    return Rest(
        demand,
        enabled,
        world.rest_moving_price,
        world.rest_enabled_moving_price,
        world.rest_share,
    )


@inlined_rule
def part_beside_rest(excess, rest_share):
    """Part of what they had at genesis that the simulated subnets get when their weight is `excess` times what it would be
    without news of their own, while that of the others, `rest_share` of all at genesis, is not.
    """
    return excess / ((1.0 - rest_share) * excess + rest_share)


@rule
def share_of_rest(world, allocation):
    """Share of the emission that goes to the frozen subnets where they answer alike under every rule."""
    part = 1.0
    if PRICE <= allocation <= PRICE_BURN_GATE:
        part = part_beside_rest(world.price_excess, world.rest_share)
    elif allocation == ROOT_VOTE:
        part = world.vote_part
    return 1.0 - part * (1.0 - world.rest_share)
