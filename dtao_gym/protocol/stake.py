"""Stake as the chain keeps it: one holder, one hotkey, one lock at a time.

The engine moves whole classes of holders and needs only the sums; these are the rules behind the sums.
Source: subtensor `coinbase/run_coinbase.rs`, `staking/claim_root.rs`, `staking/lock.rs` and
`subnets/registration.rs`. Amounts may be in any unit, times are in blocks.
"""

import math

import numpy as np

VALIDATOR_TAKE = 11796 / 65535
"""Part of a dividend that a validator keeps, default and maximum; the owner's cut is the same number."""

LOCK_TIME_CONSTANT_BLOCKS = 934_866
"""Time constant of locked alpha and of conviction: 130 days."""

LOCK_DUST_RAO = 100
"""Locked alpha and conviction below which a lock is removed (`LOCK_STATE_ZERO_THRESHOLD`)."""

REGISTRATION_HALF_LIFE_BLOCKS = 360
"""Blocks in which the price of a neuron halves."""

REGISTRATION_FLOOR_TAO, REGISTRATION_CEILING_TAO = 5e-4, 100.0
"""Range of the price of a neuron."""

LAUNCH_REGISTRATION_WEIGHT = 0.97
"""Weight of the old price when the launch adjusted the price of a neuron, once in 360 blocks."""

# --- dividends of a subnet's hotkeys


def root_part(alpha, root_tao, tao_weight):
    """Part of a hotkey's dividend that its root stake earned: w r / (alpha + w r); 0 without stake."""
    weighted = np.asarray(root_tao, dtype=float) * tao_weight
    total = np.asarray(alpha, dtype=float) + weighted
    return np.divide(weighted, total, out=np.zeros_like(total), where=total > 0.0)


def in_proportion(amount, claims):
    """`amount` divided in proportion to `claims` (hotkeys,), at least 0; zeros if all claims are 0."""
    claims = np.asarray(claims, dtype=float)
    total = claims.sum()
    return amount * claims / total if total > 0.0 else np.zeros_like(claims)


def split_dividends(validator_alpha, root_alpha, dividends, alpha, root_tao, tao_weight):
    """Dividends of the hotkeys of a subnet in alpha and in root's alpha.

    The validators' alpha goes in proportion to the part of the dividends that alpha stake earned, root's in
    proportion to the part that root stake earned.

    Parameters
    ----------
    validator_alpha, root_alpha : float
        Alpha to divide.
    dividends : (hotkeys,) array_like
        In any scale.
    alpha, root_tao : (hotkeys,) array_like
        Stake of each hotkey.
    tao_weight : float
        Weight of a TAO on root against an alpha.

    Returns
    -------
    tuple of (hotkeys,) float64
        Alpha dividends and root alpha dividends.
    """
    from_root = root_part(alpha, root_tao, tao_weight)
    dividends = np.asarray(dividends, dtype=float)
    return (
        in_proportion(validator_alpha, dividends * (1.0 - from_root)),
        in_proportion(root_alpha, dividends * from_root),
    )


def alpha_of_validators(miners_alpha, validators_alpha, incentive_sum):
    """Alpha for validators at an epoch; includes the miners' part while no miner has any incentive."""
    return validators_alpha if incentive_sum > 0.0 else validators_alpha + miners_alpha


def split_take(dividend, take):
    """Parts of a dividend: (validator, nominators)."""
    own = dividend * take
    return own, dividend - own


def compound(dividend, take, stakes, owner):
    """Gain of each staker of a hotkey (stakers,): the take is first staked for `owner`, and shares in the rest."""
    own, rest = split_take(dividend, take)
    grown = np.array(stakes, dtype=float)
    grown[owner] += own
    gains = in_proportion(rest, grown)
    gains[owner] += own
    return gains


# --- claims of root stakers


def raised_rate(rate, alpha, root_stake):
    """Alpha that a root TAO may claim in all, after `alpha` more for the whole root stake of a hotkey.

    Where that is more alpha than TAO, the chain stakes the alpha for the owner of the hotkey and leaves the rate.
    """
    return rate + alpha / root_stake if root_stake > 0.0 and alpha <= root_stake else rate


def owed(rate, root_stake, claimed):
    """Alpha that can be claimed now; `claimed` is the watermark: alpha that was claimed, or never due."""
    return max(rate * root_stake - claimed, 0.0)


def watermark_after_staking(claimed, rate, added):
    """Watermark after new stake, which has no claim on the past."""
    return claimed + rate * added


def watermark_after_unstaking(claimed, rate, removed):
    """Watermark after unstaking, at least 0: stakers who leave without claiming lose the claim."""
    return max(claimed - rate * removed, 0.0)


# --- price of a neuron


def decayed_registration_price(price, blocks, half_life, floor, ceiling):
    """Price after `blocks` blocks without a registration; it stays as it is where `half_life` is 0."""
    left = 0.5 ** (blocks / half_life) if half_life > 0 else 1.0
    return min(max(price * left, floor), ceiling)


def bumped_registration_price(price, registrations, factor, floor, ceiling):
    """Price after some registrations, each of which multiplies it by `factor` (at least 1)."""
    return min(max(price * max(factor, 1.0) ** registrations, floor), ceiling)


def launch_registration_price(price, registrations, target, weight, floor, ceiling):
    """Price after an interval of the launch: nearer to price x (registrations + target) / (2 target)."""
    wanted = price * (registrations + target) / (2.0 * target)
    return min(max(weight * price + (1.0 - weight) * wanted, floor), ceiling)


# --- locks


def _decay(blocks, time_constant):
    return math.exp(-blocks / time_constant) if time_constant > 0 else 0.0


def rolled_lock(
    locked,
    conviction,
    blocks,
    unlock_blocks,
    maturity_blocks,
    perpetual=False,
    owner=False,
    dust=0.0,
):
    """(locked, conviction) of a lock after `blocks` blocks; both 0 where both are below `dust`.

    Locked alpha decays with the time constant `unlock_blocks` unless it is `perpetual`; conviction follows it
    with the time constant `maturity_blocks`. A lock on the owner's hotkey has full conviction at once.
    """
    if blocks > 0:
        mature = _decay(blocks, maturity_blocks)
        left = _decay(blocks, unlock_blocks)
        if perpetual:
            left, gained = 1.0, 1.0 - mature
        elif unlock_blocks == maturity_blocks:
            gained = blocks / maturity_blocks * mature if maturity_blocks > 0 else 0.0
        elif unlock_blocks <= 0 or maturity_blocks <= 0:
            gained = 0.0
        else:
            gained = unlock_blocks * (left - mature) / (unlock_blocks - maturity_blocks)
        conviction = mature * conviction + max(gained, 0.0) * locked
        locked *= left
    conviction = locked if owner else conviction
    return (0.0, 0.0) if max(locked, conviction) < dust else (locked, conviction)
