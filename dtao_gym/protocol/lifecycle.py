"""Life cycle of a subnet: cost of registration, seeding of its pool, pruning, payments on dissolution.

Source: subtensor `coinbase/root.rs`, `subnets/subnet.rs`, `staking/stake_utils.rs` and `staking/remove_stake.rs`.
Amounts may be in any unit, the same for all of one call. The chain counts in rao and rounds down at every
step; these functions do not.
"""

from dtao_gym.compiling import inlined_rule, rule

SEEDINGS = {"minimum": 0, "median_price": 1}
"""Reserves of a new pool.

* `minimum`: the minimum lock in TAO and as much alpha; the rest of the lock is burned (until April 2026).
* `median_price`: the whole lock, and the alpha that it is worth at the median price (from April 2026).
"""
MINIMUM, MEDIAN_PRICE = SEEDINGS.values()

MAX_SUBNETS = 128
"""Largest number of subnets of the chain (`SubnetLimit`)."""

IMMUNITY_DAYS = 120.0
"""Age below which a subnet is not pruned: 864,000 blocks."""

PRUNING_SINCE_BLOCK = 6_457_000
"""About the block of 17 September 2025: subnets registered before it are legacy subnets."""

RESERVE_COUNTS_SINCE_BLOCK = 8_322_000
"""About the block of 3 June 2026 (spec 413): the pool's own alpha of later subnets takes part in a payout."""


@inlined_rule
def effective_interval(stored_interval, block_emission):
    """Blocks in which the lock cost falls by one lock; `block_emission` in TAO per block."""
    return stored_interval * block_emission


@inlined_rule
def fall_of_lock_cost(last_lock, interval):
    """Fall of the lock cost in a block. The chain floors it to a whole rao."""
    return last_lock / interval if interval > 0.0 else 0.0


@inlined_rule
def lock_cost_after(last_lock, min_lock, last_lock_block, block, fall):
    """Cost of a registration at `block` if it falls by `fall` in every block since the last one.

    Twice the last lock less the fall since then, at least `min_lock`; before the first registration
    (`last_lock_block` 0) it starts from one lock.
    """
    start = last_lock if last_lock_block == 0 else 2.0 * last_lock
    return max(start - fall * max(block - last_lock_block, 0), min_lock)


@inlined_rule
def lock_cost(last_lock, min_lock, last_lock_block, block, interval):
    """Cost of a registration from the interval: the last lock after one interval, `min_lock` within two."""
    fall = fall_of_lock_cost(last_lock, interval)
    return lock_cost_after(last_lock, min_lock, last_lock_block, block, fall)


@inlined_rule
def seed_pool(seeding, lock, min_lock, median):
    """(tao_reserve, alpha_reserve, burned) of a new subnet; `seeding` is an id of `SEEDINGS`.

    `lock` and `min_lock` in TAO, `median` in TAO per alpha, above 0 (`median_price`).
    """
    if seeding == MINIMUM:
        tao_reserve = min(min_lock, lock)
        return tao_reserve, tao_reserve, lock - tao_reserve
    return lock, lock / median, 0.0


@rule
def _positive_at(values, place):
    """The positive number with `place` positive numbers before it in ascending order."""
    for i in range(values.size):
        below, not_above = 0, 0
        for j in range(values.size):
            if values[j] > 0.0:
                below += values[j] < values[i]
                not_above += values[j] <= values[i]
        if values[i] > 0.0 and below <= place < not_above:
            return values[i]
    return 0.0


@rule
def median_price(spot_prices):
    """Median of the positive spot prices, the mean of the middle two if even in number; 1.0 if there is none."""
    count = 0
    for i in range(spot_prices.size):
        count += spot_prices[i] > 0.0
    if count == 0:
        return 1.0
    return 0.5 * (
        _positive_at(spot_prices, (count - 1) // 2) + _positive_at(spot_prices, count // 2)
    )


@inlined_rule
def is_immune(registered_block, block, immunity_blocks):
    """Whether a subnet is still too young to be pruned."""
    return block < registered_block + immunity_blocks


@rule
def subnet_to_prune(key, registered_block, immune):
    """Index of the subnet that makes room for a new one, -1 if all are immune.

    The lowest key (the chain's is the moving price) among those not immune; ties go to the one registered first,
    then to the lowest index. Arrays with one entry per subnet; an entry of `immune` counts if it is not 0.
    """
    lowest = -1
    for i in range(key.size):
        if immune[i]:
            continue
        lower = lowest < 0 or key[i] < key[lowest]
        if lower or (key[i] == key[lowest] and registered_block[i] < registered_block[lowest]):
            lowest = i
    return lowest


@inlined_rule
def alpha_that_is_paid(staked_alpha, protocol_alpha, alpha_reserve, reserve_counts):
    """Alpha among which the pot of a dissolved subnet is divided.

    The alpha of stakers and protocol and, for subnets registered since spec 413, the pool's own.
    """
    total = staked_alpha + protocol_alpha
    return total + alpha_reserve if reserve_counts else total


def divided_pot(pot, staked_alpha, protocol_alpha):
    """Divide the pot of a dissolved subnet in whole rao, by the largest remainder.

    The protocol, whose part is recycled, is one of the claimants; of equal remainders those of stakers come first, in
    their order. A pot without any alpha is recycled.

    Parameters
    ----------
    pot : int
        TAO of the pool, rao.
    staked_alpha : sequence of int
        Alpha of each staker, rao.
    protocol_alpha : int
        Alpha of the protocol, and of the pool itself where that counts, rao.

    Returns
    -------
    tuple of (list of int, int)
        TAO of each staker, and TAO recycled.
    """
    claims = [*staked_alpha, protocol_alpha]
    total = sum(claims)
    if total == 0:
        return [0] * len(staked_alpha), pot
    parts = [pot * claim // total for claim in claims]
    by_remainder = sorted(range(len(claims)), key=lambda i: -(pot * claims[i] % total))
    for i in by_remainder[: pot - sum(parts)]:
        parts[i] += 1
    return parts[:-1], parts[-1]


@inlined_rule
def dissolution_payout(pot, alpha, total_alpha):
    """TAO of the pot that a holder of `alpha` gets; the chain recycles the protocol's part."""
    return pot * alpha / total_alpha if total_alpha > 0.0 else 0.0


@inlined_rule
def owner_refund(lock, owner_cut, alpha_issuance, price, legacy):
    """TAO that the owner of a dissolved subnet gets back: the lock less the owner cut at today's price.

    Only `legacy` subnets, registered before September 2025, get it; later ones nothing.
    """
    return max(lock - alpha_issuance * owner_cut * price, 0.0) if legacy else 0.0
