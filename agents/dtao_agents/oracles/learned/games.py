"""One-shot games with closed-form solutions: contests, trades, portfolios, constant returns.

Players act simultaneously; most games have one player. Actions lie in [-1, 1]. Payoffs depend on actions and on drawn
shocks. The solutions are in `dtao_gym.economy.closed_forms` and are not used here.
"""

from typing import Any, Protocol

import numba
import numpy as np

from dtao_gym.economy.builder_theory import SOCIAL_DISCOUNT, Technology, discount_with_hazard
from dtao_gym.envs.builder.actions import BUDGET_LOGIT_SCALE
from dtao_gym.protocol import pool

EQUAL_POOL_WEIGHTS = 0.5
"""Weight of TAO in a pool."""
WEEKS = 52
"""Weeks in the year of a `Portfolio`."""
BETS = 250
"""Number of bets in `Bets`."""
PAYOFF_SCALE_TAO = 40.0
"""TAO in a unit of payoff of `ConstantReturns`."""


class OneShotGame(Protocol):
    """A game in which each player acts once.

    Attributes
    ----------
    players : int
        Number of players.
    actions : int
        Numbers in [-1, 1] that a player chooses.
    """

    players: int
    actions: int

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Shocks of `n` plays, `(n, ...)`."""
        ...

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Payoffs `(..., players)` of actions `(..., players, actions)`; leading axes broadcast with shocks."""
        ...

    def measurements(self, actions: np.ndarray) -> list[float]:
        """Numbers that the oracle asks for, from actions `(players, actions)`."""
        ...


def share(action: Any) -> Any:
    """Share of an amount, 0.002 to 0.998, on the logistic scale of a builder's budget action."""
    return 1.0 / (1.0 + np.exp(-BUDGET_LOGIT_SCALE * np.asarray(action, float)))


class DeterministicGame:
    """Base class of games of one player and one action without shocks."""

    players, actions = 1, 1

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Zeros `(1,)`: all plays are alike."""
        return np.zeros(1)


class ConstantReturns:
    """A unit is divided between product and research at constant returns; both pay until a random end.

    Payoffs are undiscounted; the probability of surviving a day replaces the discount factor.

    Parameters
    ----------
    delay_days : int
        Days from research to knowledge, not random.
    research_productivity : float
        Relative to that of product.
    spillover : float
        Value of a unit of knowledge to other subnets, added to the payoff.
    discount : float
        Probability of surviving a day, without the hazard.
    hazard : float
        Additional probability of an end on each day.
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
        """Last days, drawn in antithetic pairs."""
        u = rng.random((n + 1) // 2)
        u = np.concatenate([u, 1.0 - u])[:n]
        return np.floor(np.log(np.maximum(u, 1e-300)) / np.log(self.survival))

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Return payoffs `(..., players)`; see `OneShotGame.payoffs`."""
        t, r = self.technology, share(actions[..., 0, 0])
        product = _total_pay(t.short_decay, shocks)
        research = _total_pay(t.knowledge_decay, shocks - self.delay)
        research = research * t.research_productivity * (1.0 + t.spillover)
        return ((product + r * (research - product)) / PAYOFF_SCALE_TAO)[..., None]

    def measurements(self, actions: np.ndarray) -> list[float]:
        """Return the numbers that the oracle asks for, from actions `(players, actions)`."""
        return [float(share(actions[0, 0]))]


def _total_pay(decay: float, days: np.ndarray) -> np.ndarray:
    """Sum of (1 - decay)**t over t = 0 to `days`; 0 for negative days."""
    return np.where(days < 0.0, 0.0, -np.expm1((days + 1.0) * np.log1p(-decay)) / decay)


class Contest(DeterministicGame):
    """Tullock contest: a player wins its prize in proportion to effort**exponent.

    Effort is a part of the prize; prizes are shared as emission is.

    Parameters
    ----------
    prizes : list of float
        Prize of each player.
    exponent : float
        Returns to effort.
    named : int
        Efforts that the oracle names: 1 for the mean, else that of each player.
    """

    def __init__(self, prizes: list[float], exponent: float = 1.0, named: int = 1):
        self.prizes, self.exponent, self.named = np.array(prizes), exponent, named
        self.players = len(prizes)

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Return payoffs `(..., players)`; see `OneShotGame.payoffs`."""
        effort = self.prizes * share(actions[..., 0])
        power = effort**self.exponent
        won = self.prizes * power / power.sum(-1, keepdims=True)
        return (won - effort) / self.prizes

    def measurements(self, actions: np.ndarray) -> list[float]:
        """Effort of each player, or their mean where the oracle names one number."""
        effort = self.prizes * share(actions[:, 0])
        return [float(effort.mean())] if self.named == 1 else effort.tolist()


@numba.vectorize
def _bought(tao, alpha, tao_in):
    return pool.alpha_for_tao(tao, alpha, EQUAL_POOL_WEIGHTS, tao_in)


@numba.vectorize
def _proceeds(tao, alpha, alpha_in):
    return pool.tao_for_alpha(tao, alpha, EQUAL_POOL_WEIGHTS, alpha_in)


def parts(action: np.ndarray) -> np.ndarray:
    """Parts that sum to 1, proportional to positive actions; equal parts where no action is positive."""
    positive = np.maximum(action, 0.0)
    total = positive.sum(-1, keepdims=True)
    equal = np.full_like(positive, 1.0 / positive.shape[-1])
    return np.where(total > 0.0, positive / np.where(total > 0.0, total, 1.0), equal)


class Pools(DeterministicGame):
    """A budget is spent on the alpha of several pools.

    Parameters
    ----------
    tao, alpha : list of float
        Reserves of each pool.
    value : list of float
        TAO that an alpha of each pool is worth to the buyer.
    budget : float
        TAO to spend.
    """

    def __init__(self, tao: list[float], alpha: list[float], value: list[float], budget: float):
        self.tao, self.alpha, self.value = np.array(tao), np.array(alpha), np.array(value)
        self.budget, self.actions = budget, len(tao)

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Return payoffs `(..., players)`; see `OneShotGame.payoffs`."""
        spent = self.budget * parts(actions)
        return (self.value * _bought(self.tao, self.alpha, spent)).sum(-1) / self.budget - 1.0

    def measurements(self, actions: np.ndarray) -> list[float]:
        """Marginal value of a TAO, averaged over spending, and TAO into each pool."""
        spent = self.budget * parts(actions[0])
        left = self.alpha - _bought(self.tao, self.alpha, spent)
        price = (self.tao + spent) / left
        return [float((spent / self.budget) @ (self.value / price)), *spent.tolist()]


class Sale(DeterministicGame):
    """An amount of alpha is sold in parts to a pool that recovers in between; later parts are discounted.

    Parameters
    ----------
    tao, alpha : float
        Reserves of the pool before each part.
    amount : float
        Alpha to sell.
    discount : float
        Discount factor per part.
    n_parts : int
        Number of parts.
    """

    def __init__(self, tao: float, alpha: float, amount: float, discount: float, n_parts: int):
        self.tao, self.alpha, self.amount = tao, alpha, amount
        self.discount, self.actions = discount ** np.arange(n_parts), n_parts

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Return payoffs `(..., players)`; see `OneShotGame.payoffs`."""
        sold = self.amount * parts(actions)
        present_value = (self.discount * _proceeds(self.tao, self.alpha, sold)).sum(-1)
        return present_value / (self.amount * self.tao / self.alpha)

    def measurements(self, actions: np.ndarray) -> list[float]:
        """Alpha in the first seven parts, and the present value in TAO."""
        sold = self.amount * parts(actions[0])
        value = self.discount @ _proceeds(self.tao, self.alpha, sold)
        return [*sold.tolist()[:7], float(value)]


class Portfolio:
    """Constant part of wealth in a lognormal asset for a year, rebalanced weekly; the rest is on root.

    The action is the part itself. Payoff: CRRA utility of final wealth W,
    (W**(1 - risk_aversion) - 1) / (1 - risk_aversion), or log W at a risk aversion of 1.

    Parameters
    ----------
    expected_return, root_return, volatility : float
        Per year, continuously compounded.
    risk_aversion : float
        Relative risk aversion.
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
        """Weekly returns `(n, 52)`, in antithetic pairs."""
        z = rng.standard_normal(((n + 1) // 2, WEEKS))
        return np.expm1(self.drift + self.sd * np.concatenate([z, -z])[:n])

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Return payoffs `(..., players)`; see `OneShotGame.payoffs`."""
        part = actions[..., 0, :]
        growth = 1.0 + self.root + part * (shocks - self.root)
        wealth = np.prod(np.maximum(growth, 1e-3), axis=-1)
        if self.risk_aversion == 1.0:
            return np.log(wealth)[..., None]
        power = 1.0 - self.risk_aversion
        return ((wealth**power - 1.0) / power)[..., None]

    def measurements(self, actions: np.ndarray) -> list[float]:
        """Return the numbers that the oracle asks for, from actions `(players, actions)`."""
        return [float(actions[0, 0])]


class Bets:
    """Part of wealth on each of 250 bets; payoff: log growth per bet, times 100.

    Parameters
    ----------
    up_probability : float
        Probability that a bet is won.
    up, down : float
        Gain or loss of a bet over root, relative to the stake.
    root_return : float
        Return of all wealth on root, per bet.
    """

    players, actions = 1, 1

    def __init__(self, up_probability: float, up: float, down: float, root_return: float):
        self.probability, self.up, self.down, self.root = up_probability, up, down, root_return

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Part of the bets that are won, `(n,)`."""
        return rng.binomial(BETS, self.probability, n) / BETS

    def _growth(self, part: Any, won: Any) -> Any:
        gain = np.log(1.0 + self.root + part * self.up)
        return won * gain + (1.0 - won) * np.log(1.0 + self.root - part * self.down)

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Return payoffs `(..., players)`; see `OneShotGame.payoffs`."""
        return 100.0 * self._growth(actions[..., 0, 0], shocks)[..., None]

    def measurements(self, actions: np.ndarray) -> list[float]:
        """The part, and the expected log growth per bet."""
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
"""Games by their name in a configuration."""
