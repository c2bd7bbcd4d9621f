"""Starting states: the subnets that are not simulated, governance's switches of emission, the root funds."""

from collections.abc import Iterable

import numpy as np

from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.genesis_rates import emission_rates
from dtao_gym.world.registrations import NO_DECISION
from dtao_gym.world.snapshot import Snapshot
from dtao_gym.world.state import State


def emission_enabled(snapshot: Snapshot, config: Config) -> np.ndarray:
    """Whether emission is enabled for each subnet of the market, after the decisions of day 0."""
    enabled = snapshot.emission_enabled.copy()
    for switch in config.emission_switches:
        if switch.day == 0:
            enabled[np.isin(snapshot.netuid, switch.netuids)] = switch.enabled
    return enabled


def _check_netuids(name: str, netuids: Iterable[int], snapshot: Snapshot) -> None:
    if unknown := [netuid for netuid in netuids if netuid not in snapshot.netuid]:
        raise ConfigError(f"{name}: got netuid {unknown[0]}, allowed are those of {snapshot.name}")


def place_switches(state: State, snapshot: Snapshot, chosen: np.ndarray, config: Config) -> None:
    """Write the days on which governance switches emission of simulated subnets, after day 0.

    Raises
    ------
    ConfigError
        An unknown netuid, or two days for one subnet with the same decision.
    """
    state.row("off_block")[0] = state.row("on_block")[0] = NO_DECISION
    for switch in config.emission_switches:
        _check_netuids("emission_switches", switch.netuids, snapshot)
        if switch.day == 0:
            continue
        row = state.row("on_block" if switch.enabled else "off_block")[0, : chosen.size]
        named = np.isin(snapshot.netuid[chosen], switch.netuids)
        if twice := snapshot.netuid[chosen][named & (row != NO_DECISION)].tolist():
            kind = "on" if switch.enabled else "off"
            raise ConfigError(
                f"emission_switches: got two days on which netuid {twice[0]} is switched {kind}, "
                "allowed is one after day 0"
            )
        row[named] = snapshot.block + switch.day * BLOCKS_PER_DAY


def place_rest(state: State, snapshot: Snapshot, chosen: np.ndarray, config: Config) -> None:
    """Write the frozen subnets: sums, their pools' TAO, and their payments to root."""
    rest = np.setdiff1d(np.arange(snapshot.n_subnets), chosen)
    full = np.minimum(snapshot.moving_price, 1.0)
    moving = full[rest] ** config.share_exponent
    demand = moving * (1.0 - snapshot.miner_burned[rest])
    all_enabled = emission_enabled(snapshot, config)
    enabled = all_enabled[rest]
    total = full[all_enabled].sum()
    issuance = snapshot.alpha_reserve[rest] + snapshot.alpha_outstanding[rest]
    emission, root_share = emission_rates(
        issuance, config.tao_weight * root_stake(config, snapshot)
    )
    root_alpha = 0.5 * (1.0 - config.owner_cut) * root_share * emission
    world = state.worlds[0]
    world["rest_count"] = rest.size
    world["rest_price_sum"] = full[rest].sum()
    world["rest_moving_price"] = moving.sum()
    world["rest_burn_weighted"] = demand.sum()
    world["rest_enabled_count"] = enabled.sum()
    world["rest_enabled_moving_price"] = moving[enabled].sum()
    world["rest_enabled_burn_weighted"] = demand[enabled].sum()
    world["rest_root_weighted"] = (demand * root_share).sum()
    world["rest_enabled_root_weighted"] = (demand * root_share)[enabled].sum()
    # under rules whose shares are not weights over a sum, the rest keeps its share of the prices of genesis
    world["rest_share"] = full[rest][enabled].sum() / total if total > 0.0 else 0.0
    world["price_excess"] = world["vote_part"] = 1.0
    world["rest_root_income"] = (root_alpha * snapshot.spot_price[rest]).sum()
    world["aggregate"] = snapshot.tao_reserve[rest].sum()
    _list_demands(state, demand if demand.sum() > 0.0 else moving, enabled)


def _list_demands(state: State, demand: np.ndarray, enabled: np.ndarray) -> None:
    """Write the list of the frozen subnets' demands, largest first."""
    order = np.argsort(-demand, kind="stable")
    total = demand.sum()
    listed = state.frozen[0, :, : demand.size]
    listed[0] = demand[order] / total if total > 0.0 else 0.0
    listed[1] = enabled[order]


def place_funds(state: State, snapshot: Snapshot, chosen: np.ndarray, config: Config) -> None:
    """Write parts and weights of the root funds; they hold nothing yet."""
    funds, weights = state.funds[0], state.section("fund_weight")[0]
    funds["part"][0] = 1.0
    for k, fund in enumerate(config.curated_funds, start=1):
        funds["part"][k] = fund.part
        funds["part"][0] -= fund.part
        _check_netuids("curated_funds", (n for n, _ in fund.weights if n != 0), snapshot)
        total = sum(weight for _, weight in fund.weights)
        for netuid, weight in fund.weights:
            slot = np.flatnonzero(snapshot.netuid[chosen] == netuid)
            weights[k, slot] = weight / total
        # what is meant for subnets that are not simulated stays on root: their prices are constant
        funds["root_weight"][k] = max(1.0 - weights[k].sum(), 0.0)
    funds["part"][0] = max(funds["part"][0], 0.0)


def root_stake(config: Config, snapshot: Snapshot) -> float:
    """TAO staked on root by the scripted classes."""
    return snapshot.root_stake_tao if config.root_stake_tao is None else config.root_stake_tao
