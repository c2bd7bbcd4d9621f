"""Measures of merit in the worlds of a cell: rank correlations of pay and value, and responses of income to spending."""

from typing import Any, NamedTuple

import numpy as np

from dtao_agents.equilibrium.slot_design import hadamard
from dtao_agents.probe.cells import Cell
from dtao_agents.probe.plan import Plan
from dtao_agents.probe.solutions import played
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import layout_of

YEAR_DAYS = 360
SAMPLE_DAYS = 30
"""Days between two samples of a rank correlation."""
YEARS = 5
"""Length of the worlds in which rank correlations are measured."""
FEWEST_SUBNETS = 3
"""Number of subnets below which a rank correlation is not taken."""
IMPULSE_DAY = 180
"""Day at whose end impulses are added."""
IMPULSE_TAO = 20.0
"""Size of an impulse, as a multiple of the output of one TAO: within the linear range, and far above rounding."""
LARGEST_PART = 0.5
"""Largest impulse, as part of the stock to which it is added."""
HORIZONS = (30, 180, 720)
"""Days over which income is summed."""
USES = ("product", "research", "influence")
"""Uses of a builder's budget. Product is short-term work."""
BLOCKS = 64
"""Replicate blocks of impulses: worlds for each row of a Hadamard matrix."""


def worlds_of_length(
    cell: Cell,
    plan: Plan,
    population: np.ndarray,
    capitalisation: float | None,
    worlds: int,
    last_day: int,
    threads: int = 1,
    **changes: Any,
) -> Batch:
    """Return worlds of a cell after their first day, which all end on `last_day`, with changes of the world.

    Payoffs are undiscounted.
    """
    sized = plan.model_copy(update={"outcome_worlds": worlds})
    patience = cell.config.social_discount_per_year
    changes |= {"horizon_cap_days": 1, "builder_discount_per_year": patience}
    batch = played(cell, sized, population, capitalisation, threads, **changes)
    batch.state.worlds["last_day"] = last_day
    return batch


# ------------------------------------------------------------ rank correlations


class Merit(NamedTuple):
    """Rank correlations with contributed value, -1 to 1.

    Attributes
    ----------
    shares, incomes : `(worlds, years)`
        Correlations of emission shares and of owners' incomes of the day, means over the samples of a year. 0 where all are
        equal; NaN where no sample of the year had enough subnets.
    """

    shares: np.ndarray
    incomes: np.ndarray


def merit_of(
    cell: Cell,
    plan: Plan,
    population: np.ndarray,
    capitalisation: float | None,
    years: int = YEARS,
    threads: int = 1,
    **changes: Any,
) -> Merit:
    """Measure how well pay and contributed value agree in the equilibrium of a cell.

    Parameters
    ----------
    cell, plan, population, capitalisation
        As in `dtao_agents.probe.solutions.played`.
    years : int
        Length of the worlds.
    threads : int
        Threads that share the worlds.
    **changes
        World parameters.
    """
    last = years * YEAR_DAYS
    worlds = plan.outcome_worlds
    batch = worlds_of_length(
        cell, plan, population, capitalisation, worlds, last, threads, **changes
    )
    batch.step(days=SAMPLE_DAYS - 1)
    samples = [_correlations(batch, cell.config)]
    while len(samples) * SAMPLE_DAYS < last:
        batch.step(days=SAMPLE_DAYS)
        samples.append(_correlations(batch, cell.config))
    by_year = np.array(samples).reshape(years, -1, 2, batch.n_worlds)
    known = np.isfinite(by_year)
    total, count = np.where(known, by_year, 0.0).sum(axis=1), known.sum(axis=1)
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return Merit(means[:, 0].T, means[:, 1].T)


def _correlations(batch: Batch, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Rank correlation of emission shares and of incomes with contributed value, each `(worlds,)`."""
    row = batch.state.row
    value = row("short_stock") + (1.0 + config.spillover) * row("knowledge")
    counted = (row("registered_block") >= 0.0) & (row("started") > 0.0)
    counted &= row("emission_enabled") > 0.0
    return (
        rank_correlation_of(row("emission_share"), value, counted),
        rank_correlation_of(row("income"), value, counted),
    )


def rank_correlation_of(pay: np.ndarray, value: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation over the counted subnets of each world.

    Parameters
    ----------
    pay, value : `(worlds, subnets)`
        Ties share their mean rank.
    counted : `(worlds, subnets)` bool
        Subnets that count.

    Returns
    -------
    `(worlds,)`
        0 where one side does not vary, NaN where fewer than `FEWEST_SUBNETS` count.
    """

    def ranks(values: np.ndarray) -> np.ndarray:
        rounded = np.round(values, 12)
        own, other = rounded[..., None], rounded[:, None, :]
        rank = ((other < own) + 0.5 * (other == own)) @ counted[..., None].astype(float)
        rank = rank[..., 0]
        mean = (rank * counted).sum(axis=1, keepdims=True) / np.maximum(number, 1)[:, None]
        return (rank - mean) * counted

    number = counted.sum(axis=1)
    a, b = ranks(np.asarray(pay, float)), ranks(np.asarray(value, float))
    norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    found = np.divide((a * b).sum(axis=1), norm, out=np.zeros(norm.shape), where=norm > 0.0)
    return np.where(number >= FEWEST_SUBNETS, found, np.nan)


# ------------------------------------------------------------ impulse responses


class Responses(NamedTuple):
    """Effects of impulses on the income of the builders that get them.

    Attributes
    ----------
    income : `(worlds, slots, uses, horizons)`
        Additional income, TAO.
    tao : `(worlds, slots, uses)`
        Size of the impulses, TAO of spending; 0 for builders that are not those of genesis. Influence is added at the
        spending level of product.
    stock : `(worlds, slots, uses)`
        Size of the impulses as added to stocks, TAO a day.
    next_influence : `(worlds, slots)`
        Output of the next TAO of influence at its present spending, over that at the spending level of product.
    """

    income: np.ndarray
    tao: np.ndarray
    stock: np.ndarray
    next_influence: np.ndarray


def influence_for_product(responses: Responses, horizon: int) -> np.ndarray:
    """Return sums over the builders of a world, `(worlds, 2)`: income by influence of the units of product, by product.

    Unit by unit, since impulses of product grow with ability and those of influence do not.
    """
    product, influence = USES.index("product"), USES.index("influence")
    size, other = responses.stock[..., product], responses.stock[..., influence]
    units = np.divide(size, other, out=np.zeros(size.shape), where=other > 0.0)
    exchanged = (responses.income[:, :, influence, horizon] * units).sum(axis=1)
    return np.stack([exchanged, responses.income[:, :, product, horizon].sum(axis=1)], axis=1)


def responses_of(
    cell: Cell,
    plan: Plan,
    population: np.ndarray,
    capitalisation: float | None,
    blocks: int = BLOCKS,
    size: float = IMPULSE_TAO,
    threads: int = 1,
) -> Responses:
    """Measure what additional spending on one day adds to a builder's income.

    The output of one TAO more is added to a stock: spending of the day after `IMPULSE_DAY`, of the evening before for research.
    All builders get an impulse of one use at once, with the signs of a Hadamard matrix, once as they are and once mirrored
    on the same shocks: what the impulse of one builder does to the income of another cancels, and so do effects of the second
    order. Uses have runs of their own, so that no use adds noise to another.

    Parameters
    ----------
    cell, plan, population, capitalisation
        As in `dtao_agents.probe.solutions.played`.
    blocks : int
        Replicates of the design.
    size : float
        Multiple of the output of one TAO that is added; results are per TAO.
    threads : int
        Threads that share the worlds.

    Raises
    ------
    ValueError
        Builders that consume nothing, so that their income leaves no trace.
    """
    config = cell.config
    consumed = 1.0 - config.reinvest_share if config.finance else 1.0
    if consumed <= 0.0:
        raise ValueError(f"reinvest_share: got {config.reinvest_share}, allowed is below 1")
    rows = hadamard(layout_of(config).n_subnets)
    last = IMPULSE_DAY + HORIZONS[-1]
    worlds = blocks * len(rows)
    batch = worlds_of_length(cell, plan, population, capitalisation, worlds, last, threads)
    batch.step(days=IMPULSE_DAY - 1)
    tao, stock, next_influence = _impulses(batch, config, size)
    signs = np.tile(rows, (blocks, 1))
    saved = batch.state.copy()
    effects = []
    for use in range(len(USES)):
        mirrored = []
        for side in (1.0, -1.0):
            batch.state.restore(saved)
            _add(batch, config, use, side * signs * stock[..., use])
            mirrored.append(_payoffs(batch))
        effects.append(0.5 * (mirrored[0] - mirrored[1]) / consumed)
    income = np.stack(effects, axis=2) * signs[:, :, None, None] * (tao > 0.0)[..., None]
    return Responses(income, tao, stock, next_influence)


def _impulses(
    batch: Batch, config: Config, size: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Impulses in TAO and as additions to stocks, `(worlds, slots, uses)`, and the ratio of `Responses.next_influence`."""
    row = batch.state.row
    budget, ability = row("budget"), row("ability")
    influence = budget * row("influence_share") * config.influence
    research = (budget - influence) * row("research_share")
    work = budget - influence - research

    def one_more(factor: np.ndarray | float, spending: np.ndarray) -> np.ndarray:
        return factor * ((spending + 1.0) ** config.curvature - spending**config.curvature)

    outputs = np.stack(
        [
            one_more(ability * config.short_productivity, work),
            one_more(ability * config.research_productivity, research),
            one_more(config.influence_productivity, work),
        ],
        axis=-1,
    )
    # influence may have no stock: a reader cannot tell it from product
    present = np.stack([row("short_stock"), _research_stock(batch), row("short_stock")], axis=-1)
    largest = LARGEST_PART * np.maximum(present, 0.0) / np.maximum(outputs, 1e-300)
    here = (row("owner_number") == 0.0) & (row("registered_block") >= 0.0)
    tao = np.minimum(size, largest) * here[..., None]
    at_work = np.maximum(one_more(1.0, work), 1e-300)
    return tao, tao * outputs, one_more(1.0, influence) / at_work


def _research_stock(batch: Batch) -> np.ndarray:
    """Stock that research enters, a view `(worlds, slots)`: the first stage, or knowledge where there is no delay."""
    pipeline = batch.state.section("pipeline")
    return pipeline[:, 0] if pipeline.shape[1] else batch.state.row("knowledge")


def _add(batch: Batch, config: Config, use: int, stock: np.ndarray) -> None:
    """Add impulses of one use, so that tomorrow evening's stocks hold those of product and influence in full."""
    name = USES[use]
    if name == "product":
        batch.state.row("short_stock")[:] += stock * 2.0 ** (1.0 / config.short_half_life_days)
    elif name == "research":
        _research_stock(batch)[:] += stock
    else:
        kept = 2.0 ** (-1.0 / config.influence_half_life_days)
        batch.state.row("influence_stock")[:] += stock / kept


def _payoffs(batch: Batch) -> np.ndarray:
    """Consumption of the builders of genesis until each horizon, `(worlds, slots, horizons)`."""
    payoffs, done = [], 0
    for horizon in HORIZONS:
        batch.step(days=horizon - done)
        done = horizon
        payoffs.append(batch.state.row("first_owner_payoff").copy())
    return np.stack(payoffs, axis=-1)
