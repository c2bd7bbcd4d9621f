"""Small problems of one decision each: contests, trades with pools, portfolios, a research project at constant returns.

A game has players who act at once; most have one. Actions lie in [-1, 1]. Payoffs depend on actions and on drawn
shocks, and nothing here knows the answer.
"""

from typing import Any, Protocol

import numba
import numpy as np

from dtao_gym.economy.builder_theory import SOCIAL_DISCOUNT, Technology, discount_with_hazard
from dtao_gym.envs.builder import LOGIT_SCALE
from dtao_gym.protocol import pool

EQUAL_WEIGHTS = 0.5
WEEKS = 52
BETS = 250


class Game(Protocol):
    """Players who each choose `actions` numbers in [-1, 1] once."""

    players: int
    actions: int

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Shocks of `n` games, `(n, ...)`."""
        ...

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """`(..., players)` for actions `(..., players, actions)`; shocks broadcast over the leading axes."""
        ...

    def measured(self, actions: np.ndarray) -> list[float]:
        """What the oracle names, of actions `(players, actions)`."""
        ...


def share(action: Any) -> Any:
    """A share of what one has, 0.002 to 0.998, as builders choose theirs."""
    return 1.0 / (1.0 + np.exp(-LOGIT_SCALE * np.asarray(action, float)))


class Certain:
    """A game without luck."""

    players, actions = 1, 1

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Nothing: zeros `(1,)`, one game stands for all."""
        return np.zeros(1)


class ConstantReturns:
    """A unit is spent on product or on research that arrives after exactly `delay_days`; both pay until a drawn end.

    A day is survived with the probability `discount`. Payoffs are undiscounted TAO over 40.
    """

    players, actions = 1, 1

    def __init__(
        self,
        delay_days: int,
        research_productivity: float,
        spillover: float = 0.0,
        discount: float = SOCIAL_DISCOUNT,
        hazard: float = 0.0,
    ):
        self.technology = Technology(
            short_productivity=1.0, research_productivity=research_productivity, spillover=spillover
        )
        self.delay = delay_days
        self.survival = discount_with_hazard(discount, hazard)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Last days, drawn in mirrored pairs."""
        u = rng.random((n + 1) // 2)
        u = np.concatenate([u, 1.0 - u])[:n]
        return np.floor(np.log(np.maximum(u, 1e-300)) / np.log(self.survival))

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        t, r = self.technology, share(actions[..., 0, 0])
        product = _paid(t.short_decay, shocks)
        research = _paid(t.knowledge_decay, shocks - self.delay)
        research = research * t.research_productivity * (1.0 + t.spillover)
        return ((product + r * (research - product)) / 40.0)[..., None]

    def measured(self, actions: np.ndarray) -> list[float]:
        return [float(share(actions[0, 0]))]


def _paid(decay: float, days: np.ndarray) -> np.ndarray:
    """Sum of (1 - decay)**t over t = 0 to `days`, nothing for negative ones."""
    return np.where(days < 0.0, 0.0, -np.expm1((days + 1.0) * np.log1p(-decay)) / decay)


class Contest(Certain):
    """Each player spends part of its prize; it gets effort**exponent over the sum of it, as emission is shared."""

    def __init__(self, prizes: list[float], exponent: float = 1.0, named: int = 1):
        self.prizes, self.exponent, self.named = np.array(prizes), exponent, named
        self.players = len(prizes)

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        effort = self.prizes * share(actions[..., 0])
        power = effort**self.exponent
        won = self.prizes * power / power.sum(-1, keepdims=True)
        return (won - effort) / self.prizes

    def measured(self, actions: np.ndarray) -> list[float]:
        """Efforts: of each player, or where one number is named their mean."""
        effort = self.prizes * share(actions[:, 0])
        return [float(effort.mean())] if self.named == 1 else effort.tolist()


@numba.vectorize
def _bought(tao, alpha, tao_in):
    return pool.alpha_for_tao(tao, alpha, EQUAL_WEIGHTS, tao_in)


@numba.vectorize
def _proceeds(tao, alpha, alpha_in):
    return pool.tao_for_alpha(tao, alpha, EQUAL_WEIGHTS, alpha_in)


def parts(action: np.ndarray) -> np.ndarray:
    """Parts of a whole, proportional to the positive part of actions; equal where none is positive."""
    positive = np.maximum(action, 0.0)
    total = positive.sum(-1, keepdims=True)
    equal = np.full_like(positive, 1.0 / positive.shape[-1])
    return np.where(total > 0.0, positive / np.where(total > 0.0, total, 1.0), equal)


class Pools(Certain):
    """A budget is spent on alpha of several pools, each worth `value` TAO to the buyer."""

    def __init__(self, tao: list[float], alpha: list[float], value: list[float], budget: float):
        self.tao, self.alpha, self.value = np.array(tao), np.array(alpha), np.array(value)
        self.budget, self.actions = budget, len(tao)

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        spent = self.budget * parts(actions)
        return (self.value * _bought(self.tao, self.alpha, spent)).sum(-1) / self.budget - 1.0

    def measured(self, actions: np.ndarray) -> list[float]:
        """Value of the last TAO (mean over what was spent), TAO into each pool."""
        spent = self.budget * parts(actions[0])
        left = self.alpha - _bought(self.tao, self.alpha, spent)
        price = (self.tao + spent) / left
        return [float((spent / self.budget) @ (self.value / price)), *spent.tolist()]


class Sale(Certain):
    """An amount of alpha is sold in parts to a pool that recovers in between; later parts are discounted."""

    def __init__(self, tao: float, alpha: float, amount: float, discount: float, n_parts: int):
        self.tao, self.alpha, self.amount = tao, alpha, amount
        self.discount, self.actions = discount ** np.arange(n_parts), n_parts

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        sold = self.amount * parts(actions)
        brought = (self.discount * _proceeds(self.tao, self.alpha, sold)).sum(-1)
        return brought / (self.amount * self.tao / self.alpha)

    def measured(self, actions: np.ndarray) -> list[float]:
        """The first seven parts, and the present value."""
        sold = self.amount * parts(actions[0])
        value = self.discount @ _proceeds(self.tao, self.alpha, sold)
        return [*sold.tolist()[:7], float(value)]


class Portfolio:
    """Part of wealth in a lognormal asset, restored every week for a year; the rest earns the root's return.

    Payoff: log of final wealth, or (W**(1 - risk_aversion) - 1) / (1 - risk_aversion). The action is the part itself.
    """

    players, actions = 1, 1

    def __init__(
        self, expected_return: float, root_return: float, volatility: float, risk_aversion: float
    ):
        self.risk_aversion = risk_aversion
        self.root = np.expm1(root_return / WEEKS)
        self.drift = (expected_return - 0.5 * volatility**2) / WEEKS
        self.sd = volatility / np.sqrt(WEEKS)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Weekly returns `(n, 52)`, in mirrored pairs."""
        z = rng.standard_normal(((n + 1) // 2, WEEKS))
        return np.expm1(self.drift + self.sd * np.concatenate([z, -z])[:n])

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        part = actions[..., 0, :]
        grown = 1.0 + self.root + part * (shocks - self.root)
        wealth = np.prod(np.maximum(grown, 1e-3), axis=-1)
        if self.risk_aversion == 1.0:
            return np.log(wealth)[..., None]
        power = 1.0 - self.risk_aversion
        return ((wealth**power - 1.0) / power)[..., None]

    def measured(self, actions: np.ndarray) -> list[float]:
        return [float(actions[0, 0])]


class Bets:
    """Part of wealth on each of 250 bets that gain `up` or lose `down`; payoff: log growth of a bet, times 100."""

    players, actions = 1, 1

    def __init__(self, up_probability: float, up: float, down: float, root_return: float):
        self.probability, self.up, self.down, self.root = up_probability, up, down, root_return

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Part of the bets that are won."""
        return rng.binomial(BETS, self.probability, n) / BETS

    def _growth(self, part: Any, won: Any) -> Any:
        gain = np.log(1.0 + self.root + part * self.up)
        return won * gain + (1.0 - won) * np.log(1.0 + self.root - part * self.down)

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        return 100.0 * self._growth(actions[..., 0, 0], shocks)[..., None]

    def measured(self, actions: np.ndarray) -> list[float]:
        """The part, and the expected log growth of a bet."""
        part = float(actions[0, 0])
        return [part, float(self._growth(part, self.probability))]


GAMES: dict[str, type] = {
    "constant_returns": ConstantReturns,
    "contest": Contest,
    "pools": Pools,
    "sale": Sale,
    "portfolio": Portfolio,
    "bets": Bets,
}
"""By the name that a configuration uses."""
