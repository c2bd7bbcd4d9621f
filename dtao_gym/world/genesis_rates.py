"""Rates of a starting state: emission, shares, yields, and the stationary balance of `outside`."""

import numpy as np

from dtao_gym.compiling import kernel
from dtao_gym.protocol.coinbase import DIRECT, INJECTIONS, root_proportion
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.plugin_calls import FAULTS, NOT_IMPLEMENTED
from dtao_gym.protocol.plugins import RuleError
from dtao_gym.world.config import Config
from dtao_gym.world.funds import all_root
from dtao_gym.world.parameters import root_gate
from dtao_gym.world.prehistory import parameters_of_world
from dtao_gym.world.spans import share_out
from dtao_gym.world.state import State
from dtao_gym.world.table import Table, WorldArrays, arrays_of


@kernel
def _rates_kernel(issuance, root_weighted_tao, emission, root_share):
    """Emission per block and root proportion for each alpha issuance."""
    for i in range(issuance.size):
        emission[i] = emission_per_block(SUPPLY_CAP - issuance[i])
        root_share[i] = root_proportion(1.0, root_weighted_tao, issuance[i])


@kernel
def _shares_kernel(table):
    """Emission shares at genesis, as the first span will compute them, and the sum of moving prices."""
    a = arrays_of(table)
    w = WorldArrays(
        a.fields[0],
        a.worlds[0],
        a.stakers[0],
        a.validators[0],
        a.funds[0],
        a.fund_owed[0],
        a.frozen[0],
        a.parameters[0],
        a.orders[0],
        a.scratch,
        a.ballots,
        a.at,
    )
    share_out(w, all_root(w.world, w.stakers, w.funds), 1.0)


def emission_rates(issuance, root_weighted_tao: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(emission per block, root proportion) for each alpha issuance, given the weighted TAO of root."""
    issuance = np.atleast_1d(np.asarray(issuance, float))
    emission, root_share = np.empty_like(issuance), np.empty_like(issuance)
    _rates_kernel(issuance, root_weighted_tao, emission, root_share)
    return emission, root_share


def has_no_pools(config: Config) -> bool:
    """Whether the era has no pools (before February 2025)."""
    return INJECTIONS[config.era_part("injection")] == DIRECT


def place_rates(state: State, config: Config) -> None:
    """Write shares and yields as the first span will find them, for the first observation."""
    world = state.worlds[0]
    records = np.atleast_1d(parameters_of_world(config))
    table = Table(state, records).working()
    _shares_kernel(table.address)
    if np.isnan(state.row("emission_share")).any():
        rule = config.era_part("allocation")
        raise RuleError(f"allocation rule {rule!r} {FAULTS[NOT_IMPLEMENTED]}")
    world["emission_hhi"] = (state.row("emission_share")[0] ** 2).sum()

    emission = BLOCKS_PER_DAY * state.row("alpha_emission")[0]
    validators = 0.5 * (1.0 - config.owner_cut) * emission
    root = world["root_informed"] + world["root_uninformed"] + state.stakers["root"].sum()
    issuance = state.row("alpha_genesis")[0]
    root_share = emission_rates(issuance, config.tao_weight * root)[1]
    kept = 1.0 - config.validator_take
    staking = ("owner_alpha", "validator_alpha", "informed_alpha", "uninformed_alpha")
    staked = sum(state.row(name)[0] for name in staking)
    dividends = validators * (1.0 - root_share) * kept
    state.row("stake_yield")[0] = np.divide(
        dividends, staked, out=np.zeros_like(staked), where=staked > 0
    )
    always = root_gate(config) == "open"
    if root > 0.0 and (always or world["moving_price_sum"] > 1.0):
        income = (validators * root_share * state.row("spot_price")[0]).sum()
        income += BLOCKS_PER_DAY * world["rest_root_income"]
        world["root_yield"] = income * kept / root


def stationary_outside(state: State, config: Config) -> float:
    """Balance of `outside`, TAO, at which its income on the first day equals what it returns."""
    price, share = state.row("spot_price")[0], state.row("emission_share")[0]
    paid_in_tao = config.payment == "direct" or has_no_pools(config)
    minted = float((BLOCKS_PER_DAY * state.row("alpha_emission")[0] * price).sum())
    emitted = BLOCKS_PER_DAY * float(state.worlds["block_emission"][0] * share.sum())
    own_value = float(state.row("short_stock")[0].sum() + state.row("knowledge")[0].sum())
    users = config.revenue_share * float(state.row("true_value")[0].sum())

    miners = 0.5 * (1.0 - config.owner_cut) * minted
    cashed_out = config.miner_sale_fraction * miners
    cashed_out += config.validator_sale_fraction * config.validator_take * miners
    owners, fees = config.owner_cut * minted * config.owner_sale_fraction, 0.0
    if paid_in_tao:
        owners = config.owner_cut * emitted
    elif config.payment == "fee":
        owners = fees = config.fee_per_value * own_value
    if has_no_pools(config):
        cashed_out = 0.5 * (1.0 - config.owner_cut) * emitted
        owners += users
    consumed = owners * (1.0 - config.reinvest_share) if config.finance else owners
    spent = config.spend_rate * float(state.row("treasury")[0].sum()) * config.finance
    income = cashed_out + consumed + spent - users - fees
    # where no balance is stationary, the payments of the first day
    balance = income / config.outside_return if config.outside_return > 0.0 else 0.0
    return max(balance, users + fees)
