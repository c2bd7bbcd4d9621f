"""Starting states: a snapshot of the chain, the holders of its tokens, and the stakers' first TAO."""

import numpy as np

from dtao_gym.compiling import kernel
from dtao_gym.economy.technology import discount_per_day
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.lifecycle import (
    MAX_SUBNETS,
    PRUNING_SINCE_BLOCK,
    RESERVE_COUNTS_SINCE_BLOCK,
)
from dtao_gym.protocol.root_vote import MAX_ROOT_VALIDATORS, validator_stakes
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.demand import start_news
from dtao_gym.world.genesis_market import (
    emission_enabled,
    place_funds,
    place_rest,
    place_switches,
    root_stake,
)
from dtao_gym.world.genesis_rates import (
    emission_rates,
    has_no_pools,
    place_rates,
    stationary_outside,
)
from dtao_gym.world.ledger import tao_total
from dtao_gym.world.parameters import entry_lock
from dtao_gym.world.prehistory import (
    builders,
    check_size,
    kept,
    market,
    n_stages,
    parameters_of_world,
    pool_price,
)
from dtao_gym.world.production import note_values
from dtao_gym.world.registrations import EMPTY, NEVER, NO_DECISION
from dtao_gym.world.shocks import END, EVALUATION_BIT, GENESIS, NEWS, generator
from dtao_gym.world.snapshot import Snapshot
from dtao_gym.world.state import Layout, State
from dtao_gym.world.table import Table, arrays_of

REST_OF_ALPHA = {
    "miner_alpha": 3 / 8,
    "owner_alpha": 3 / 8,
    "validator_alpha": 1 / 8,
    "idle_alpha": 1 / 8,
}
"""Division of the alpha that stakers do not hold: 15, 15, 5 and 5 % of the outstanding alpha at the default."""
NEVER_ENDS = 2**62
"""Last day of a world whose episodes have a fixed length."""


@kernel
def _values_kernel(table):
    """Value of the stocks of each subnet at genesis."""
    a = arrays_of(table)
    note_values(a.fields[0], a.at, a.parameters[0])


@kernel
def _news_kernel(table):
    """Size of owners' news at genesis."""
    a = arrays_of(table)
    for slot in range(a.fields.shape[2]):
        start_news(a.fields[0], a.worlds[0], a.parameters[0], slot)


def layout_of(config: Config) -> Layout:
    """Sizes of the arrays that a configuration needs; ConfigError for too many subnets or slots."""
    wanted = check_size(config)
    if wanted + config.empty_slots > MAX_SUBNETS:
        raise ConfigError(
            f"empty_slots: got {config.empty_slots} with {wanted} subnets, allowed are {MAX_SUBNETS} slots in all"
        )
    return Layout(
        n_subnets=wanted + config.empty_slots,
        n_stakers=config.n_stakers,
        price_days=config.momentum_lag_days,
        signal_days=config.signal_lag_days + 1,
        pipeline_stages=n_stages(config),
        n_validators=_n_validators(config),
        n_funds=1 + len(config.curated_funds),
    )


def _n_validators(config: Config) -> int:
    if config.root_validators is not None:
        return config.root_validators
    return MAX_ROOT_VALIDATORS if config.era_part("allocation") == "root_vote" else 0


def world_key(config: Config, seed: int) -> int:
    """Key of a world's random numbers; evaluation worlds have the top bit set, training worlds never."""
    return seed | (EVALUATION_BIT if config.split == "evaluation" else 0)


def chosen_subnets(config: Config, key: int, episode: int) -> np.ndarray:
    """Rows of the snapshot that are simulated, in the snapshot's order."""
    snapshot, n = market(config, key, episode), check_size(config)
    if config.selection == "sample":
        order = generator(key, episode, GENESIS).permutation(snapshot.n_subnets)
    else:
        order = np.lexsort((snapshot.netuid, -snapshot.tao_reserve))
    return np.sort(order[:n])


def genesis(config: Config, seed: int, episode: int) -> State:
    """One world at the start of an episode; its draws depend on (seed, episode) alone."""
    key = world_key(config, seed)
    # only a sample of subnets, and a drawn market, depend on the key
    drawn = config.selection == "sample" or config.genesis == "drawn"
    state, chosen = _unkeyed(config, *(key, episode) if drawn else (0, 0))
    state = state.copy()
    world = state.worlds[0]
    world["world_key"] = key
    world["episode"] = episode
    world["last_day"] = _last_day(config, key, episode)
    world["news_factor"] = _news_factor(config, key, episode)
    _place_builders(state, chosen, config)
    place_rates(state, config)
    world["demand_level"], world["alpha_part_of_wealth"] = 1.0, _alpha_part_of_wealth(state)
    if config.outside_initial_tao is None:
        world["outside"] = stationary_outside(state, config)
    world["tao_genesis"] = tao_total(state)[0]
    return state


def _last_day(config: Config, key: int, episode: int) -> int:
    if config.horizon == "fixed":
        return NEVER_ENDS
    return end_of_life(config, generator(key, episode, END).random())


def _alpha_part_of_wealth(state: State) -> float:
    """Part of scripted stakers' wealth that is in alpha, at spot prices."""
    world, price = state.worlds[0], state.row("spot_price")[0]
    held = state.row("informed_alpha")[0] + state.row("uninformed_alpha")[0]
    alpha = float((price * held).sum())
    accounts = ("purse_informed", "root_informed", "purse_uninformed", "root_uninformed")
    total = alpha + float(sum(world[name] for name in accounts))
    return alpha / total if total > 0.0 else 0.0


def _news_factor(config: Config, key: int, episode: int) -> float:
    low, high = np.log([config.news_factor_low, config.news_factor_high])
    if low == high:
        return config.news_factor_low
    return float(np.exp(low + (high - low) * generator(key, episode, NEWS).random()))


def end_of_life(config: Config, quantile: float) -> int:
    """Last day of an episode with a geometric length, at a quantile from 0 to 1.

    Each day is the last with the chance 1 - gamma, where gamma is the social discount factor of a day; the end is no later
    than `horizon_cap_days`.
    """
    days = np.log1p(-quantile) / np.log(discount_per_day(config.social_discount_per_year))
    return int(min(max(np.ceil(days), 1.0), config.horizon_cap_days))


@kept(maxsize=64)
def _unkeyed(config: Config, key: int, episode: int) -> tuple[State, np.ndarray]:
    """A world without its builders, and the rows of the market that it simulates."""
    snapshot = market(config, key, episode)
    chosen = chosen_subnets(config, key, episode)
    state = State(layout_of(config), 1)
    _place_subnets(state, snapshot, chosen, config)
    _place_empty_slots(state, snapshot, chosen.size)
    place_rest(state, snapshot, chosen, config)
    place_funds(state, snapshot, chosen, config)
    _place_people(state, snapshot, config)
    _place_voters(state, config)
    if has_no_pools(config):
        _turn_alpha_into_root_stake(state)
    return state, chosen


def _place_subnets(state: State, snapshot: Snapshot, chosen: np.ndarray, config: Config) -> None:
    outstanding = snapshot.alpha_outstanding[chosen]
    price = pool_price(snapshot)[chosen]
    weight = snapshot.tao_weight[chosen]
    issuance = snapshot.alpha_reserve[chosen] + outstanding
    stakers = config.staker_share_of_alpha_out * outstanding
    rows = {
        "tao_reserve": config.pool_depth * snapshot.tao_reserve[chosen],
        "alpha_reserve": config.pool_depth * snapshot.alpha_reserve[chosen],
        "pool_tao_weight": weight,
        "spot_price": price,
        "moving_price": np.minimum(
            snapshot.moving_price[chosen], 1.0 if config.moving_price_clipped else np.inf
        ),
        "alpha_emission": emission_rates(issuance)[0],
        "alpha_outstanding": outstanding,
        "alpha_genesis": config.pool_depth * snapshot.alpha_reserve[chosen] + outstanding,
        "start_block": snapshot.registered_block[chosen],
        "miner_burned": snapshot.miner_burned[chosen],
        "emission_enabled": emission_enabled(snapshot, config)[chosen],
        "informed_alpha": config.informed_share_stakers * stakers,
        "uninformed_alpha": stakers - config.informed_share_stakers * stakers,
        "treasury": config.initial_treasury_tao,
        "target_price": price,
        "stream_id": snapshot.netuid[chosen],
    }
    for name, part in REST_OF_ALPHA.items():
        rows[name] = part * (outstanding - stakers)
    rows |= {
        "dilution_alpha": config.pool_depth * snapshot.alpha_reserve[chosen] + outstanding,
        "registered_block": snapshot.registered_block[chosen],
        "started": 1.0,
        "legacy": snapshot.registered_block[chosen] < PRUNING_SINCE_BLOCK,
        "reserve_counts": snapshot.registered_block[chosen] >= RESERVE_COUNTS_SINCE_BLOCK,
        "flow_mark": config.pool_depth * snapshot.tao_reserve[chosen],
        "user_flow_ema": snapshot.user_flow_ema[chosen],
        "protocol_flow_ema": snapshot.protocol_flow_ema[chosen],
    }
    n = chosen.size
    for name, values in rows.items():
        state.row(name)[0, :n] = values
    place_switches(state, snapshot, chosen, config)
    state.worlds["equal_weights"] = (weight == 0.5).all()
    state.section("price_history")[0, :, :n] = price


def _place_empty_slots(state: State, snapshot: Snapshot, n: int) -> None:
    empty = {"registered_block": EMPTY, "start_block": NEVER, "pool_tao_weight": 0.5}
    # keys of random numbers that no subnet of the snapshot has
    free = np.setdiff1d(np.arange(1, 2 * MAX_SUBNETS + 1), snapshot.netuid)
    empty |= {"off_block": NO_DECISION, "on_block": NO_DECISION}
    empty |= {"dilution_alpha": 1.0, "stream_id": free[: state.layout.n_subnets - n]}
    for name, values in empty.items():
        state.row(name)[0, n:] = values


def _place_builders(state: State, chosen: np.ndarray, config: Config) -> None:
    """Write stocks and abilities of builders, and the public signal of them."""
    world, record = state.worlds[0], np.atleast_1d(parameters_of_world(config))
    n = chosen.size
    streams = state.row("stream_id")[0, :n]
    stocks, able = builders(config, chosen, streams, world["world_key"], world["episode"])
    state.row("ability")[0, :n] = able
    state.row("short_stock")[0, :n] = stocks[:, 0]
    state.row("knowledge")[0, :n] = stocks[:, 1]
    state.section("pipeline")[0, :, :n] = stocks[:, 2:].T
    table = Table(state, record)
    _values_kernel(table.address)
    _news_kernel(table.address)
    for name in ("spend_rate", "research_share", "influence_share", "owner_sale_fraction"):
        state.row(name)[0, :n] = record[name]
    shown = (1.0 + config.hype) * state.row("short_stock")[0] + state.row("knowledge")[0]
    state.section("signal_history")[0] = shown
    state.row("belief")[0] = shown
    if config.disclosure == "knowledge":
        state.row("knowledge_disclosed")[0] = state.row("knowledge")[0]
    if config.genesis_values == "drawn":
        state.row("dilution_alpha")[0, :n] = config.dilution_reference_alpha
    world["welfare"] = state.row("true_value").sum()


def _place_people(state: State, snapshot: Snapshot, config: Config) -> None:
    world = state.worlds[0]
    informed = config.informed_share_stakers
    root = root_stake(config, snapshot)
    purses = root * config.purse_share / (1.0 - config.purse_share)
    world["block"] = world["genesis_block"] = snapshot.block
    known = config.entry_lock_tao is None and snapshot.last_lock_tao is not None
    world["last_lock"] = snapshot.last_lock_tao if known else entry_lock(config)
    last = snapshot.last_registration_block
    world["last_lock_block"] = snapshot.registered_block.max() if last is None else last
    world["chain_issuance"] = snapshot.chain_issuance_tao
    world["block_emission"] = emission_rates(snapshot.chain_issuance_tao)[0][0]
    if config.is_drawn:
        world["block_emission"] = (
            config.emission_per_subnet_tao * snapshot.n_subnets / BLOCKS_PER_DAY
        )
    world["root_informed"] = informed * root
    world["root_uninformed"] = root - informed * root
    world["purse_informed"] = informed * purses
    world["purse_uninformed"] = purses - informed * purses
    world["informed_weight"] = informed
    world["outside"] = config.outside_initial_tao or 0.0
    state.stakers["root"] = config.wealth_tao
    state.stakers["wealth"] = config.wealth_tao
    state.stakers["first_wealth"] = config.wealth_tao
    state.stakers["log_wealth"] = np.log(config.wealth_tao)
    world["price_sum"] = state.row("spot_price").sum()


def _place_voters(state: State, config: Config) -> None:
    if state.layout.n_validators:
        top5 = config.validator_top5
        state.validators["stake"] = validator_stakes(state.layout.n_validators, top5)
        state.validators["root_share"] = config.root_column_share


def _turn_alpha_into_root_stake(state: State) -> None:
    """Undo the chain's change of February 2025: no pools, and all stake is TAO on root."""
    world = state.worlds[0]
    pools = state.row("tao_reserve")[0].sum()
    world["root_informed"] += world["informed_weight"] * pools
    world["root_uninformed"] += pools - world["informed_weight"] * pools
    emptied = ("tao_reserve", "alpha_reserve", "alpha_outstanding", "alpha_genesis", "spot_price")
    emptied += ("moving_price", "alpha_emission", "target_price", "flow_mark", *REST_OF_ALPHA)
    for name in (*emptied, "informed_alpha", "uninformed_alpha"):
        state.row(name)[0] = 0.0
    state.row("pool_tao_weight")[0] = 0.5
    world["equal_weights"] = True
    state.section("price_history")[0] = 0.0
    for name in ("moving_price", "burn_weighted", "root_weighted"):
        world[f"rest_{name}"] = world[f"rest_enabled_{name}"] = 0.0
    state.frozen[...] = 0.0
    world["rest_root_income"] = world["rest_price_sum"] = 0.0
    world["price_sum"] = 0.0
