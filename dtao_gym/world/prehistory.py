"""Before genesis: the market that a world starts from, and the stocks of its builders.

A real market has prices, but no data on stocks. Each subnet is given the stocks of a reference builder as old as the subnet
that spent the same every day, times a factor for each subnet at which stakers would pay today's price. One number for all
subnets, the multiple, is the price over the capitalised payments of users.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from dtao_gym.compiling import kernel
from dtao_gym.economy.technology import ability, next_stock, output
from dtao_gym.economy.valuation import value_of_stocks
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.config import N_DRAWN, Config, ConfigError
from dtao_gym.world.parameters import parameters, parameters_of, price_of_capital
from dtao_gym.world.shocks import GENESIS, TYPES, generator, normal, philox
from dtao_gym.world.snapshot import Snapshot

ROOT_STAKE_IF_DRAWN_TAO = 5.31e6
ISSUANCE_IF_DRAWN_TAO = 11.014e6
YOUNGEST_DAYS = 30
"""Age whose stocks younger subnets are given: the stocks of a builder's first weeks are no measure of its value."""
STEADY_STATE_DAYS = 40_000


@kernel
def _profile_kernel(records, research_share, budget, stages, table):
    """Stocks of a new builder, day by day: short-term, knowledge, pipeline."""
    p = parameters_of(records[0])
    short = output(1.0, p.short_productivity, (1.0 - research_share) * budget, p.curvature)
    research = output(1.0, p.research_productivity, research_share * budget, p.curvature)
    for day in range(1, table.shape[0]):
        table[day, 0] = next_stock(table[day - 1, 0], p.short_decay, short)
        arriving = research
        for j in range(2, 2 + stages):
            leaving = p.stage_rate * table[day - 1, j]
            table[day, j] = table[day - 1, j] - leaving + arriving
            arriving = leaving
        table[day, 1] = next_stock(table[day - 1, 1], p.knowledge_decay, arriving)


@kernel
def _worths_kernel(records, table, worth):
    """Capital value of stocks: of each row, to the informed and to the uninformed."""
    p = parameters_of(records[0])
    for i in range(table.shape[0]):
        pipeline = 0.0
        for j in range(2, table.shape[1]):
            pipeline = (pipeline + table[i, j]) * p.stage_discount
        pipeline *= p.pipeline_visible
        short, knowledge = table[i, 0], table[i, 1]
        worth[i, 0] = value_of_stocks(
            short, knowledge, pipeline, p.worth_of_short, p.worth_of_knowledge
        )
        worth[i, 1] = p.pooled_capitalisation * ((1.0 + p.hype) * short + knowledge)


@kernel
def _draws_kernel(key, episode, streams, numbers):
    """Types and values of builders: two standard normal numbers for each stream."""
    for i in range(streams.size):
        a, b, _, _ = philox(key, episode, 0, 0, np.uint64(streams[i]), TYPES)
        numbers[i, 0], numbers[i, 1] = normal(a), normal(b)


@kernel
def _abilities_kernel(type_sd, normals, out):
    """Abilities for standard normal numbers."""
    for i in range(out.size):
        out[i] = ability(type_sd, normals[i])


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def kept(maxsize: int) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Decorator of a function of a configuration: results are kept while the snapshot's files have the same content."""

    def decorate(function: Any) -> Any:
        @functools.lru_cache(maxsize=maxsize)
        def of_content(snapshot: Snapshot | None, config: Config, *rest: int) -> Any:
            return function(config, *rest)

        @functools.wraps(function)
        def call(config: Config, *rest: int) -> Any:
            return of_content(_loaded(config), config, *rest)

        return call

    return decorate


def _loaded(config: Config) -> Snapshot | None:
    """The snapshot that a world starts from, another object if its files have changed; None for drawn markets."""
    return None if config.is_drawn else Snapshot.load(config.genesis)


@kept(maxsize=64)
def market(config: Config, key: int = 0, episode: int = 0) -> Snapshot:
    """The market that a world starts from: a snapshot, or drawn by key."""
    if config.genesis == "drawn":
        return _drawn(config, key, episode)
    return _loaded(config) or _symmetric(config)


def market_size(config: Config) -> int:
    """Number of subnets of the market."""
    snapshot = _loaded(config)
    return (config.n_subnets or N_DRAWN) if snapshot is None else snapshot.n_subnets


def _symmetric(config: Config) -> Snapshot:
    """A market with all subnets at the medians of mainnet."""
    low, high = config.genesis_age_days
    ones = np.ones(market_size(config))
    return _as_snapshot(
        config,
        config.genesis_price_median * ones,
        config.genesis_pool_median * ones,
        config.genesis_alpha_out_median * ones,
        0.5 * (low + high) * ones,
    )


def _drawn(config: Config, key: int, episode: int) -> Snapshot:
    """A market with lognormal prices, pools and alpha as on mainnet, and uniform ages."""
    random = generator(key, episode, GENESIS)
    price, pool, alpha = random.standard_normal((3, market_size(config)))
    correlation = config.genesis_pool_correlation
    pool = correlation * price + np.sqrt(1.0 - correlation**2) * pool
    return _as_snapshot(
        config,
        config.genesis_price_median * np.exp(config.genesis_price_sd * price),
        config.genesis_pool_median * np.exp(config.genesis_pool_sd * pool),
        config.genesis_alpha_out_median * np.exp(config.genesis_alpha_out_sd * alpha),
        random.uniform(*config.genesis_age_days, price.size),
    )


def _as_snapshot(config: Config, price, pool, alpha, age_days) -> Snapshot:
    block = BLOCKS_PER_DAY * int(np.ceil(config.genesis_age_days[1]))
    # no pools hold more TAO than there is beside root
    free = 0.9 * (ISSUANCE_IF_DRAWN_TAO - ROOT_STAKE_IF_DRAWN_TAO)
    alpha_reserve = pool * min(1.0, free / pool.sum()) / price
    # no alpha has more than 21 million tokens
    alpha = np.minimum(alpha, 20e6 - np.minimum(alpha_reserve, 19e6))
    alpha_reserve = np.minimum(alpha_reserve, 19e6)
    n = price.size
    return Snapshot(
        name=config.genesis,
        date=None,
        block=block,
        root_stake_tao=ROOT_STAKE_IF_DRAWN_TAO,
        chain_issuance_tao=ISSUANCE_IF_DRAWN_TAO,
        netuid=np.arange(1, n + 1),
        registered_block=(block - BLOCKS_PER_DAY * age_days).astype(np.int64),
        tao_reserve=alpha_reserve * price,
        alpha_reserve=alpha_reserve,
        alpha_outstanding=alpha,
        spot_price=price,
        moving_price=np.minimum(price, 1.0),
        miner_burned=np.zeros(n),
        emission_enabled=np.ones(n, bool),
        user_flow_ema=np.zeros(n),
        protocol_flow_ema=np.zeros(n),
    )


class Prehistory(NamedTuple):
    """Stocks that prices imply; arrays have one entry per subnet of the market."""

    multiple: float
    """Price over capitalised payments of users."""
    profile: np.ndarray
    """Stocks of the reference builder, `(subnets, 2 + stages)`: short-term, knowledge, pipeline."""
    log_factor: np.ndarray
    """Log of the subnet's stocks over those of the reference builder; zero where values are drawn."""
    log_factor_sd: float
    """Its spread over the market, or that of the draws."""


@kept(maxsize=64)
def prehistory(config: Config, key: int = 0, episode: int = 0) -> Prehistory:
    """Stocks of the reference builder on each subnet, and the factors that lead to today's prices."""
    start = market(config, key, episode)
    profile = _profiles(config, start)
    log_worth = _log_worth(config, profile)
    drawn = config.genesis_values == "drawn"
    log_price = np.log(pool_price(start))
    if drawn or config.genesis == "drawn":
        # the multiple belongs to the distribution, not to a draw of it
        expected = _log_worth_by_age(config) if config.genesis == "drawn" else log_worth
        level = np.log(config.genesis_price_median) - float(expected.mean())
        spread = float(np.hypot(config.genesis_price_sd, 0.0 if drawn else expected.std()))
    else:
        level = float((log_price - log_worth).mean())
        spread = float((log_price - log_worth).std())
    if config.genesis_multiple is None:
        mean_ratio = np.exp(level + 0.5 * config.type_sd**2)
        multiple = float(mean_ratio / price_of_capital(config, 1.0))
    else:
        multiple = config.genesis_multiple
    worth_in_price = np.log(price_of_capital(config, multiple)) + log_worth
    if drawn:
        log_price = np.full(len(profile), np.log(config.genesis_price_median))
    return Prehistory(multiple, profile, log_price - worth_in_price, spread)


def pool_price(start: Snapshot) -> np.ndarray:
    """Prices by the pools' reserves; the price column of a snapshot is rounded."""
    weight = start.tao_weight
    return (1.0 - weight) * start.tao_reserve / (weight * start.alpha_reserve)


def _log_worth(config: Config, profile: np.ndarray) -> np.ndarray:
    """Log of the capital value of rows of stocks to the market."""
    worth = np.empty((len(profile), 2))
    _worths_kernel(np.atleast_1d(parameters(config)), profile, worth)
    informed = config.informed_share_stakers
    return np.log(informed * worth[:, 0] + (1.0 - informed) * worth[:, 1])


def _log_worth_by_age(config: Config) -> np.ndarray:
    """`_log_worth` over the ages of a drawn market."""
    if config.genesis_stocks == "steady_state":
        return _log_worth(config, _table(config, STEADY_STATE_DAYS)[-1:])
    low, high = config.genesis_age_days
    ages = np.arange(int(low), int(high) + 1, 10)
    return _log_worth(config, _table(config, int(high) + 1)[np.maximum(ages, YOUNGEST_DAYS)])


def _profiles(config: Config, start: Snapshot) -> np.ndarray:
    if config.genesis_stocks == "steady_state":
        return np.repeat(_table(config, STEADY_STATE_DAYS)[-1:], start.n_subnets, axis=0)
    ages = np.maximum(start.age_blocks // BLOCKS_PER_DAY, YOUNGEST_DAYS)
    return _table(config, int(ages.max()))[ages]


def _table(config: Config, days: int) -> np.ndarray:
    steady = config.genesis_stocks == "steady_state"
    share = config.research_share if steady else config.genesis_research_share
    budget = config.genesis_budget_tao
    if steady and not config.finance:
        budget = config.fixed_budget_tao
    stages = n_stages(config)
    table = np.zeros((max(days, YOUNGEST_DAYS) + 1, 2 + stages))
    _profile_kernel(np.atleast_1d(parameters(config)), share, budget, stages, table)
    return table


def n_stages(config: Config) -> int:
    """Stages of the research pipeline; none without delay."""
    return config.delay_stages if config.delay_days > 0.0 else 0


def builders(
    config: Config, chosen: np.ndarray, streams: np.ndarray, key: int, episode: int
) -> tuple[np.ndarray, np.ndarray]:
    """Stocks and abilities of the chosen subnets' builders at genesis.

    An expensive subnet has an abler builder on average, and abilities keep their spread `type_sd`: the log ability is the
    part of the log factor that this spread explains, plus noise.

    Parameters
    ----------
    config : Config
    chosen : np.ndarray
        Rows of the market.
    streams : np.ndarray
        Their keys of random numbers.
    key, episode : int
        Key of the world, and the episode.

    Returns
    -------
    stocks : np.ndarray
        `(subnets, 2 + stages)`: short-term, knowledge, pipeline.
    ability : np.ndarray
        `(subnets,)`.
    """
    before = prehistory(config, *(key, episode) if config.genesis == "drawn" else (0, 0))
    numbers = np.empty((streams.size, 2))
    _draws_kernel(np.uint64(key), np.uint64(episode), streams.astype(float), numbers)
    factor, sd = before.log_factor[chosen], config.type_sd
    if config.genesis_values == "drawn":
        factor = factor + before.log_factor_sd * numbers[:, 1]
    spread = before.log_factor_sd**2
    part = min(1.0, sd**2 / spread) if spread > 0.0 else 0.0
    normals = np.zeros(streams.size)
    if sd > 0.0:
        noise_sd = np.sqrt(max(sd**2 - part**2 * spread, 0.0))
        normals = (noise_sd * numbers[:, 0] + part * (factor + 0.5 * sd**2)) / sd
    able = np.empty(streams.size)
    _abilities_kernel(sd, normals, able)
    return np.exp(factor)[:, None] * before.profile[chosen], able


@kept(maxsize=256)
def parameters_of_world(config: Config) -> np.ndarray:
    """Parameters record of a world, with the multiple fitted to prices where none is configured."""
    record = parameters(config)
    if config.genesis_multiple is None:
        record["price_of_capital"] = price_of_capital(config, prehistory(config).multiple)
    return record


def check_size(config: Config) -> int:
    """Number of simulated subnets; ConfigError for more than the market has."""
    available = market_size(config)
    wanted = config.n_subnets or available
    if wanted > available:
        raise ConfigError(
            f"n_subnets: got {wanted}, allowed are 1 to {available} in {config.genesis}"
        )
    return wanted
