"""Issuance: how much TAO and alpha a block mints (subtensor `coinbase/block_emission.rs`)."""

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import next_power_of_two

SUPPLY_CAP = 21e6
"""Supply that TAO, and the alpha of each subnet, approaches and never passes (tokens)."""

BLOCKS_PER_DAY = 7200
"""Blocks of 12 seconds in a day."""


@inlined_rule
def emission_per_block(remaining_supply):
    """Tokens minted per block while `remaining_supply` of the 21 million are still to come.

    The rate is 1 token and halves whenever half of what remained has been issued: with S issued of T it is
    2**-floor(log2(1 / (1 - S/T))), and 0 once nothing remains. TAO and every alpha follow the same curve.
    The chain further floors the result to a whole rao (1e-9).
    """
    if remaining_supply > 0.0:
        # rounding may lift a fraction of a fresh supply above 1, where the curve does not exist
        return min(next_power_of_two(max(remaining_supply / SUPPLY_CAP, 1e-300)), 1.0)
    return 0.0
