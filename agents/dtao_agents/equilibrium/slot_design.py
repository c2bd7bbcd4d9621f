"""Designed deviations: all builders of a world deviate at once, and each one's own effect is separated.

In the two worlds of a mirrored pair, on the same shocks, the builder of slot i plays the population's strategy plus and
minus a step, with a sign s_i. Over a block of pairs the signs are the rows of a Hadamard matrix, so that

- what builder j does to the payoff of builder i cancels, since their signs are orthogonal, and
- all effects of even order cancel, since the pair is mirrored.

The mean of s_i x payoff_i is then the step times builder i's own marginal payoff, up to effects of the third order: one pair
tells as much as a pair for every slot. Blocks of different worlds are independent, so that they carry the standard errors
(replicate blocks: Plackett & Burman 1946 for the design, Wolter 2007, chapter 4, for the jackknife).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np


class SlotPayoffs(NamedTuple):
    """Results of worlds in which every builder plays a strategy of its own.

    Attributes
    ----------
    values : `(worlds, slots)`
        Payoff of the first builder of each slot, TAO.
    informed, plain : `(worlds,)`
        Capital value and daily value of the stocks, summed over the run; the ratio of their sums is c_bar in days.
    """

    values: np.ndarray
    informed: np.ndarray
    plain: np.ndarray


class SlotGame(Protocol):
    """A market of builders with one strategy each.

    A strategy has a number for each decision. The population plays one strategy in each class of builders.
    """

    @property
    def slots(self) -> int:
        """Builders at genesis."""
        ...

    @property
    def decisions(self) -> tuple[str, ...]:
        """Names of the numbers of a strategy."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def bounds(self) -> np.ndarray:
        """Lowest and highest number of each decision, `(2, decisions)`."""
        ...

    @property
    def estimated(self) -> bool:
        """Whether readers need c_bar."""
        ...

    def class_of(self, seeds: np.ndarray) -> np.ndarray:
        """Return the class of every slot `(seeds, slots)`, an index into `classes`."""
        ...

    def play(
        self,
        population: np.ndarray,
        deviations: np.ndarray,
        seeds: np.ndarray,
        quantiles: np.ndarray,
        capitalisation: float | None,
    ) -> SlotPayoffs:
        """Play worlds to their ends.

        Parameters
        ----------
        population : `(classes, decisions)`
            Strategy of each class.
        deviations : `(worlds, slots, decisions)`
            Added to the strategies of the builders of genesis; later ones play the population's.
        seeds, quantiles : `(worlds,)`
            World seeds, and quantiles of the length of life.
        capitalisation : float, optional
            c_bar in days, None where the game needs none.
        """
        ...


def hadamard(columns: int) -> np.ndarray:
    """Return `(n, columns)` signs with orthogonal columns, n the least power of 2 from `columns`.

    Sylvester's construction. Raises ValueError for less than one column.
    """
    if columns < 1:
        raise ValueError(f"columns: got {columns}, allowed is 1 or more")
    matrix = np.ones((1, 1))
    while len(matrix) < columns:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix[:, :columns]


class Block(NamedTuple):
    """Worlds of one replicate: seeds, signs of the deviations, and quantiles of the length of life.

    Every second world mirrors the one before it. The quantiles are stratified within the block, in an order
    drawn apart from the signs.
    """

    seeds: np.ndarray
    signs: np.ndarray
    quantiles: np.ndarray


def block_of(game: SlotGame, first_seed: int, number: int) -> Block:
    """Return replicate `number` of the worlds from `first_seed`.

    The same worlds for all games with equal numbers of slots and decisions.
    """
    columns = game.slots * len(game.decisions)
    rows = hadamard(columns)
    pairs = len(rows)
    seeds = first_seed + number * pairs + np.arange(pairs)
    rng = np.random.default_rng([first_seed, number])
    quantiles = (rng.permutation(pairs) + rng.random()) / pairs
    signs = np.stack([rows, -rows], axis=1).reshape(2 * pairs, game.slots, len(game.decisions))
    return Block(np.repeat(seeds, 2), signs, np.repeat(quantiles, 2))


class Point(NamedTuple):
    """A population and the c_bar of its readers.

    Attributes
    ----------
    population : `(classes, decisions)`
        Strategies.
    capitalisation : float, optional
        c_bar in days.
    """

    population: np.ndarray
    capitalisation: float | None


def block_sums(
    game: SlotGame, point: Point, steps: np.ndarray, first_seed: int, numbers: Sequence[int]
) -> np.ndarray:
    """Play replicate blocks at one point and return their sums.

    Parameters
    ----------
    game : SlotGame
        The market.
    point : Point
        The population.
    steps : `(decisions,)`
        Sizes of the deviations.
    first_seed, numbers
        The worlds, see `block_of`.

    Returns
    -------
    `(blocks, 2 classes x decisions + 2)`
        Sums over worlds and slots of a class: sign x payoff / step for each class and decision, then payoff likewise,
        then the sums of capital and of daily values.

    Raises
    ------
    ValueError
        Payoffs that are not finite.
    """
    blocks = [block_of(game, first_seed, number) for number in numbers]
    seeds = np.concatenate([block.seeds for block in blocks])
    signs = np.concatenate([block.signs for block in blocks])
    quantiles = np.concatenate([block.quantiles for block in blocks])
    played = game.play(point.population, signs * steps, seeds, quantiles, point.capitalisation)
    if not np.isfinite(played.values).all():
        raise ValueError("payoffs: got numbers that are not finite, allowed are finite ones")
    member = game.class_of(seeds)[..., None] == np.arange(len(game.classes))
    marginal = np.einsum("wi,wid,wic->wcd", played.values, signs / steps, member)
    level = np.einsum("wi,wic->wc", played.values, member)[..., None] * np.ones(steps.size)
    columns = [marginal.reshape(len(seeds), -1), level.reshape(len(seeds), -1)]
    columns += [played.informed[:, None], played.plain[:, None]]
    return np.hstack(columns).reshape(len(blocks), len(seeds) // len(blocks), -1).sum(axis=1)


def residuals(sums: np.ndarray, point: Point) -> np.ndarray:
    """Return the equilibrium conditions at a point, all 0 in equilibrium.

    Parameters
    ----------
    sums : `(..., 2 n + 2)`
        Sums over blocks, from `block_sums`.
    point : Point
        Where they were played.

    Returns
    -------
    `(..., n)` or `(..., n + 1)`
        Marginal payoff of each class and decision over the level of its payoff; where c_bar is estimated, ln of its
        estimate less ln of the c_bar that readers used.
    """
    n = (sums.shape[-1] - 2) // 2
    level = sums[..., n : 2 * n]
    marginal = np.divide(sums[..., :n], level, out=np.zeros_like(level), where=level > 0.0)
    if point.capitalisation is None:
        return marginal
    estimate = np.log(sums[..., -2] / sums[..., -1]) - np.log(point.capitalisation)
    return np.concatenate([marginal, estimate[..., None]], axis=-1)
