"""Starting states: a snapshot of the chain, the people who hold its tokens, and the learners' first TAO."""

import functools

import numpy as np

from dtao_gym.compiling import kernel
from dtao_gym.economy.technology import discount_per_day
from dtao_gym.protocol.coinbase import DIRECT, INJECTIONS, root_proportion
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.lifecycle import PRUNING_SINCE_BLOCK, RESERVE_COUNTS_SINCE_BLOCK
from dtao_gym.protocol.plugin_calls import FAULTS, NOT_IMPLEMENTED
from dtao_gym.protocol.plugins import RuleError
from dtao_gym.protocol.root_vote import MAX_ROOT_VALIDATORS, validator_stakes
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.demand import start_news
from dtao_gym.world.ledger import tao_total
from dtao_gym.world.parameters import entry_lock, root_gate
from dtao_gym.world.prehistory import (
    builders,
    check_size,
    market,
    n_stages,
    parameters_of_world,
    pool_price,
)
from dtao_gym.world.production import note_values
from dtao_gym.world.registrations import EMPTY, NEVER
from dtao_gym.world.shocks import END, GENESIS, NEWS, generator
from dtao_gym.world.snapshot import MAX_SUBNETS, Snapshot
from dtao_gym.world.spans import all_root, share_out
from dtao_gym.world.state import Layout, State
from dtao_gym.world.table import Table, arrays_of

REST_OF_ALPHA = {
    "miner_alpha": 3 / 8,
    "owner_alpha": 3 / 8,
    "validator_alpha": 1 / 8,
    "idle_alpha": 1 / 8,
}
"""How the alpha that stakers do not hold is divided: 15, 15, 5 and 5 % of the outstanding at the default."""
NEVER_ENDS = 2**62
"""Last day of a world whose episodes have a fixed length."""


@kernel
def _rates_kernel(issuance, root_weighted_tao, emission, root_share):
    """Emission per block and root proportion for each alpha issuance."""
    for i in range(issuance.size):
        emission[i] = emission_per_block(SUPPLY_CAP - issuance[i])
        root_share[i] = root_proportion(1.0, root_weighted_tao, issuance[i])


@kernel
def _shares_kernel(table):
    """Emission shares at genesis: what the first span will find, and the sum of moving prices."""
    a = arrays_of(table)
    root = all_root(a.worlds[0], a.stakers[0])
    share_out(a.fields[0], a.scratch, a.at, a.worlds[0], a.parameters[0], root, 1.0)


@kernel
def _values_kernel(table):
    """The worth of the stocks of each subnet at genesis."""
    a = arrays_of(table)
    note_values(a.fields[0], a.at, a.parameters[0])


@kernel
def _news_kernel(table):
    """The character of owners' news at genesis."""
    a = arrays_of(table)
    for slot in range(a.fields.shape[2]):
        start_news(a.fields[0], a.worlds[0], a.parameters[0], slot)


def _rates(issuance, root_weighted_tao: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(emission per block, root proportion) for each issuance; compiled once, on disk, for all processes."""
    issuance = np.atleast_1d(np.asarray(issuance, float))
    emission, root_share = np.empty_like(issuance), np.empty_like(issuance)
    _rates_kernel(issuance, root_weighted_tao, emission, root_share)
    return emission, root_share


def layout_of(config: Config) -> Layout:
    """Sizes of the arrays that a configuration needs."""
    wanted = check_size(config)
    if wanted + config.empty_slots > MAX_SUBNETS:
        raise ConfigError(
            f"empty_slots: got {config.empty_slots} beside {wanted} subnets, allowed are {MAX_SUBNETS} slots in all"
        )
    return Layout(
        n_subnets=wanted + config.empty_slots,
        n_stakers=config.n_stakers,
        price_days=config.momentum_lag_days,
        signal_days=config.signal_lag_days + 1,
        pipeline_stages=n_stages(config),
        n_validators=_n_validators(config),
    )


def _n_validators(config: Config) -> int:
    if config.root_validators is not None:
        return config.root_validators
    return MAX_ROOT_VALIDATORS if config.era_part("allocation") == "root_vote" else 0


def world_key(config: Config, seed: int) -> int:
    """Key of a world's random numbers; evaluation worlds have the top bit set, training worlds never."""
    return seed | (1 << 63 if config.split == "evaluation" else 0)


def chosen_subnets(config: Config, key: int, episode: int) -> np.ndarray:
    """Rows of the snapshot that are simulated, in the snapshot's order."""
    snapshot, n = market(config, key, episode), check_size(config)
    if config.selection == "sample":
        order = generator(key, episode, GENESIS).permutation(snapshot.n_subnets)
    else:
        order = np.lexsort((snapshot.netuid, -snapshot.tao_reserve))
    return np.sort(order[:n])


def genesis(config: Config, seed: int, episode: int) -> State:
    """One world at block zero of an episode."""
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
    _place_rates(state, config)
    world["demand_level"], world["alpha_part_of_wealth"] = 1.0, _alpha_part_of_wealth(state)
    if config.outside_initial_tao is None:
        world["outside"] = _stationary_outside(state, config)
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
    """Day on which an episode ends whose every day is the last with the chance 1 - gamma, at a quantile from 0 to 1.

    gamma is the social discount of a day; the end is no later than `horizon_cap_days`.
    """
    days = np.log1p(-quantile) / np.log(discount_per_day(config.social_discount_per_year))
    return int(min(max(np.ceil(days), 1.0), config.horizon_cap_days))


@functools.lru_cache(maxsize=64)
def _unkeyed(config: Config, key: int, episode: int) -> tuple[State, np.ndarray]:
    """A world without its builders, and the rows of the market that it simulates."""
    snapshot = market(config, key, episode)
    chosen = chosen_subnets(config, key, episode)
    state = State(layout_of(config), 1)
    _place_subnets(state, snapshot, chosen, config)
    _place_empty_slots(state, snapshot, chosen.size)
    _place_rest(state, snapshot, chosen, config)
    _place_people(state, snapshot, config)
    _place_voters(state, config)
    if _has_no_pools(config):
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
        "alpha_emission": _rates(issuance)[0],
        "alpha_outstanding": outstanding,
        "alpha_genesis": config.pool_depth * snapshot.alpha_reserve[chosen] + outstanding,
        "start_block": snapshot.registered_block[chosen],
        "miner_burned": snapshot.miner_burned[chosen],
        "emission_enabled": snapshot.emission_enabled[chosen],
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
    state.worlds["equal_weights"] = (weight == 0.5).all()
    state.section("price_history")[0, :, :n] = price


def _place_empty_slots(state: State, snapshot: Snapshot, n: int) -> None:
    empty = {"registered_block": EMPTY, "start_block": NEVER, "pool_tao_weight": 0.5}
    # keys of random numbers that no subnet of the snapshot has
    free = np.setdiff1d(np.arange(1, 2 * MAX_SUBNETS + 1), snapshot.netuid)
    empty |= {"dilution_alpha": 1.0, "stream_id": free[: state.layout.n_subnets - n]}
    for name, values in empty.items():
        state.row(name)[0, n:] = values


def _place_builders(state: State, chosen: np.ndarray, config: Config) -> None:
    """Stocks and types of builders, and what everybody sees of them."""
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


def _place_rest(state: State, snapshot: Snapshot, chosen: np.ndarray, config: Config) -> None:
    """The subnets that are not simulated: sums, their pools' TAO, and what they pay root."""
    rest = np.setdiff1d(np.arange(snapshot.n_subnets), chosen)
    full = np.minimum(snapshot.moving_price, 1.0)
    moving = full[rest] ** config.share_exponent
    demand = moving * (1.0 - snapshot.miner_burned[rest])
    enabled = snapshot.emission_enabled[rest]
    total = full[snapshot.emission_enabled].sum()
    issuance = snapshot.alpha_reserve[rest] + snapshot.alpha_outstanding[rest]
    emission, root_share = _rates(issuance, config.tao_weight * root_stake(config, snapshot))
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
    # what is no weight over a sum: the rest keeps its share of the prices of genesis
    world["rest_share"] = full[rest][enabled].sum() / total if total > 0.0 else 0.0
    world["price_excess"] = world["vote_part"] = 1.0
    world["rest_root_income"] = (root_alpha * snapshot.spot_price[rest]).sum()
    world["aggregate"] = snapshot.tao_reserve[rest].sum()


def _place_people(state: State, snapshot: Snapshot, config: Config) -> None:
    world = state.worlds[0]
    informed = config.informed_share_stakers
    root = root_stake(config, snapshot)
    purses = root * config.purse_share / (1.0 - config.purse_share)
    world["block"] = world["genesis_block"] = snapshot.block
    world["last_lock"] = entry_lock(config)
    world["last_lock_block"] = snapshot.registered_block.max()
    world["chain_issuance"] = snapshot.chain_issuance_tao
    world["block_emission"] = _rates(snapshot.chain_issuance_tao)[0][0]
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


def root_stake(config: Config, snapshot: Snapshot) -> float:
    """TAO staked on root by everybody but learners."""
    return snapshot.root_stake_tao if config.root_stake_tao is None else config.root_stake_tao


def _place_voters(state: State, config: Config) -> None:
    if state.layout.n_validators:
        top5 = config.validator_top5
        state.validators["stake"] = validator_stakes(state.layout.n_validators, top5)
        state.validators["root_share"] = config.root_column_share


def _has_no_pools(config: Config) -> bool:
    return INJECTIONS[config.era_part("injection")] == DIRECT


def _turn_alpha_into_root_stake(state: State) -> None:
    """Undo what the chain did in February 2025: there are no pools, and all stake is TAO on root."""
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
    world["rest_root_income"] = world["rest_price_sum"] = 0.0
    world["price_sum"] = 0.0


def _place_rates(state: State, config: Config) -> None:
    """Shares and yields as the first span will find them, so that the first observation is not blank."""
    world = state.worlds[0]
    records = np.atleast_1d(parameters_of_world(config))
    table = Table(state, records).working()
    _shares_kernel(table.address)
    if world["rule_error"] == NOT_IMPLEMENTED:
        rule = config.era_part("allocation")
        raise RuleError(f"allocation rule {rule!r} {FAULTS[NOT_IMPLEMENTED]}")
    world["emission_hhi"] = (state.row("emission_share")[0] ** 2).sum()

    emission = BLOCKS_PER_DAY * state.row("alpha_emission")[0]
    validators = 0.5 * (1.0 - config.owner_cut) * emission
    root = world["root_informed"] + world["root_uninformed"] + state.stakers["root"].sum()
    issuance = state.row("alpha_genesis")[0]
    root_share = _rates(issuance, config.tao_weight * root)[1]
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


def _stationary_outside(state: State, config: Config) -> float:
    """Balance at which what `outside` takes in on the first day is what it returns."""
    price, share = state.row("spot_price")[0], state.row("emission_share")[0]
    paid_in_tao = config.payment == "direct" or _has_no_pools(config)
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
    if _has_no_pools(config):
        cashed_out = 0.5 * (1.0 - config.owner_cut) * emitted
        owners += users
    consumed = owners * (1.0 - config.reinvest_share) if config.finance else owners
    spent = config.spend_rate * float(state.row("treasury")[0].sum()) * config.finance
    income = cashed_out + consumed + spent - users - fees
    # where no balance is stationary, what is paid on the first day
    balance = income / config.outside_return if config.outside_return > 0.0 else 0.0
    return max(balance, users + fees)
