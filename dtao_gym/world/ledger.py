"""The ledger of a batch of worlds: balances that must hold, and payments outside of the day."""

from typing import NamedTuple

import numpy as np

from dtao_gym.protocol.issuance import SUPPLY_CAP
from dtao_gym.world.state import HOLDERS, State


class Audit(NamedTuple):
    """Relative errors of the ledger, `(n_worlds,)`, and the verdict."""

    tao_error: np.ndarray
    alpha_error: np.ndarray
    share_error: np.ndarray
    ok: bool


ALPHA_HOLDERS = (
    "owner_alpha",
    "miner_alpha",
    "validator_alpha",
    "informed_alpha",
    "uninformed_alpha",
    "idle_alpha",
    "protocol_alpha",
    "burned_alpha",
    "scripted_claimable",
)
ALPHA_SECTIONS = ("staker_alpha", "staker_claimable", "fund_alpha")
TAO_ACCOUNTS = (
    "root_informed",
    "root_uninformed",
    "root_validators",
    "purse_informed",
    "purse_uninformed",
    "outside",
    "aggregate",
    "authors",
    "burned",
    "recycled",
)


def tao_total(state: State) -> np.ndarray:
    """TAO of each world, `(n_worlds,)`: pools, treasuries, stakers, funds and every account."""
    total = state.row("tao_reserve").sum(1) + state.row("treasury").sum(1)
    total += state.stakers["root"].sum(1) + state.funds["root_slot"].sum(1)
    return total + sum(state.worlds[name] for name in TAO_ACCOUNTS)


def watermarks(state: State) -> np.ndarray:
    """Signed watermarks of the holders of root funds, as the chain keeps them, `(n_worlds, n_funds, n_holders)` shares.

    A holder with root stake s in a fund is owed rate x s less its watermark (`protocol/root_fund.py`). The state keeps what
    is owed.
    """
    scripted = np.stack([state.worlds[name] for name in HOLDERS], axis=1)
    root = np.concatenate([scripted, state.stakers["root"]], axis=1)
    granted = (state.funds["rate"] * state.funds["part"])[:, :, None] * root[:, None]
    return granted - state.fund_owed


def audit(
    state: State,
    tolerance: float = 1e-9,
    capped: np.ndarray | bool = False,
    signed: bool = False,
) -> Audit:
    """Check conservation: TAO per world, alpha per subnet in two ways, shares per root fund.

    TAO: the sum at genesis plus the TAO minted equals the sum of the accounts. Alpha: the outstanding alpha equals the sum
    of the holdings, and pool plus outstanding equals issuance at genesis plus minted less recycled. Shares: those of a fund
    equal the sum of what its holders are owed. No account may be negative or not finite.

    Parameters
    ----------
    state : State
    tolerance : float
        Largest relative error.
    capped : np.ndarray or bool
        `(n_worlds,)`: worlds where emission halves and no issuance, of TAO or of any alpha, may exceed 21 million.
    signed : bool
        Whether accounts may be negative (worlds with short sales).
    """
    expected = state.worlds["tao_genesis"] + state.worlds["minted"]
    tao_scale = np.maximum(expected, 1.0)
    tao_error = np.abs(tao_total(state) - expected) / tao_scale

    held = sum(state.row(name) for name in ALPHA_HOLDERS)
    for name in ALPHA_SECTIONS:
        held = held + state.section(name).sum(1)
    outstanding, reserve = state.row("alpha_outstanding"), state.row("alpha_reserve")
    issued = state.row("alpha_genesis") + state.row("alpha_minted") - state.row("alpha_recycled")
    alpha_scale = np.maximum(state.row("alpha_genesis") + state.row("alpha_minted"), 1.0)
    by_holder = np.abs(held - outstanding) / alpha_scale
    by_issuance = np.abs(reserve + outstanding - issued) / alpha_scale
    alpha_error = np.maximum(by_holder, by_issuance).max(1)

    shares = state.funds["shares"]
    share_scale = np.maximum(shares, 1.0)
    share_error = (np.abs(state.fund_owed.sum(2) - shares) / share_scale).max(1)

    tao = [state.worlds[name] for name in TAO_ACCOUNTS] + [*state.stakers["root"].T]
    tao += [*state.funds["root_slot"].T]
    tao += [*state.row("tao_reserve").T, *state.row("treasury").T]
    alpha = [state.row(name) for name in (*ALPHA_HOLDERS, "alpha_reserve")]
    for name in ALPHA_SECTIONS:
        alpha += [*state.section(name).swapaxes(0, 1)]
    least = np.inf if signed else tolerance
    sound = all(_sound(account, least * tao_scale) for account in tao)
    sound &= all(_sound(account, least * alpha_scale) for account in alpha)
    sound &= all(_sound(owed, least * share_scale) for owed in state.fund_owed.transpose(2, 0, 1))
    supply = np.maximum((reserve + outstanding).max(1), state.worlds["chain_issuance"])
    sound &= bool(
        (supply <= SUPPLY_CAP * (1.0 + tolerance))[np.broadcast_to(capped, supply.shape)].all()
    )
    errors = (tao_error, alpha_error, share_error)
    return Audit(*errors, sound and all(bool((error <= tolerance).all()) for error in errors))


def _sound(account: np.ndarray, rounding: np.ndarray) -> bool:
    return bool(np.isfinite(account).all() and (account >= -rounding).all())


def refill(state: State, rows: np.ndarray) -> None:
    """Refill stakers to their initial wealth, paid by `outside` as far as it can.

    The wealth after the refill is their new initial wealth.

    Parameters
    ----------
    state : State
    rows : np.ndarray
        `(n_worlds * n_stakers,)` bool, stakers of one world after the other.
    """
    for row in np.flatnonzero(rows):
        world, staker = divmod(int(row), state.stakers.shape[1])
        account, me = state.worlds[world], state.stakers[world, staker]
        gift = min(max(me["first_wealth"] - me["wealth"], 0.0), max(account["outside"], 0.0))
        account["outside"] -= gift
        me["root"] += gift
        me["wealth"] += gift
        me["log_wealth"] = np.log(max(me["wealth"], 1e-12))
        me["first_wealth"] = max(me["wealth"], 1e-12)
        me["ruined"] = False
