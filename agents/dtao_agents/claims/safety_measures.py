"""Wealth paths of staking rules in one market, and measures of return and risk: Sharpe ratios, drawdowns, Kelly shares.

Every rule starts from the same saved state, at the end of days in which the staker is all in root; TAO is the numeraire.
Wealth is liquidation wealth: what the whole position would fetch, fees and own price impact included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dtao_agents.roles.episodes import started_episodes
from dtao_agents.roles.policies import Policy, action_generators
from dtao_agents.roles.staker_policies import all_root_weights, market_weights
from dtao_gym.envs.staker.role import target_action
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.batch import Batch
from dtao_gym.world.parameters import DAYS_PER_YEAR

LEAST_WEALTH = 1e-12
"""Wealth, TAO, that counts as nothing left."""


@dataclass(frozen=True)
class BuyOnce:
    """Buys the weights of the market on one day, all at once, and never trades again.

    Attributes
    ----------
    day : int
        Day of the world on which it buys.
    """

    day: int

    def __call__(
        self, observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Return actions `(n_worlds, n_subnets + 2)` float32."""
        actions = target_action(market_weights(observation, batch))
        actions[:, -1] = np.where(batch.state.worlds["day"] == self.day, 1.0, -1.0)
        return actions


class WealthPath(NamedTuple):
    """Daily accounts of one policy in several worlds, from the day of entry on.

    Attributes
    ----------
    wealth : `(days + 1, worlds)`
        Liquidation wealth, TAO; that of a ruined staker stays.
    root : `(days + 1, worlds)`
        TAO staked on root.
    paid : `(days, worlds)` bool
        Whether root earned dividends on the day.
    """

    wealth: np.ndarray
    root: np.ndarray
    paid: np.ndarray


class Market:
    """Evaluation worlds of one configuration, in the state in which a staker enters.

    Parameters
    ----------
    config : TaskConfig
        One day per step; the horizon is counted from genesis.
    seeds : sequence of int
        World seeds.
    entry_day : int
        Days that the staker waits in root before each path starts.
    threads : int
        Threads that share the worlds.

    Raises
    ------
    ValueError
        For steps of several days, and an entry after the horizon.
    """

    def __init__(
        self, config: TaskConfig, seeds: Sequence[int], entry_day: int = 0, threads: int = 1
    ):
        if config.days_per_step != 1:
            raise ValueError(f"days_per_step: got {config.days_per_step}, allowed is 1")
        if not 0 <= entry_day < config.horizon_days:
            raise ValueError(
                f"entry_day: got {entry_day}, allowed are 0 to {config.horizon_days - 1}"
            )
        self.episodes = started_episodes("staker", config, seeds, threads)
        self.days = self.episodes.max_steps - entry_day
        self.entry_day = entry_day
        waiting = target_action(all_root_weights(self.episodes.observe(), self.episodes.batch), 0.0)
        for _ in range(entry_day):
            self.episodes.step(waiting)
        self.entered = self.episodes.batch.state.copy()

    def play(self, policy: Policy) -> WealthPath:
        """Return the path of a policy from the day of entry to the horizon."""
        episodes, state = self.episodes, self.episodes.batch.state
        state.restore(self.entered)
        rngs, alive = action_generators(episodes.batch), np.ones(episodes.n_worlds, bool)
        wealth, root, paid = [_account(state, "wealth")], [_account(state, "root")], []
        for _ in range(self.days):
            terminated = episodes.step(policy(episodes.observe(), episodes.batch, rngs))[1]
            wealth.append(np.where(alive, _account(state, "wealth"), wealth[-1]))
            root.append(np.where(alive, _account(state, "root"), root[-1]))
            paid.append(state.worlds["root_yield"] > 0.0)
            alive &= ~terminated
        return WealthPath(np.array(wealth), np.array(root), np.array(paid))


def _account(state, name: str) -> np.ndarray:
    return state.stakers[name][:, 0].copy()


# ------------------------------------------------------------ measures of a path


def annual_growth(path: WealthPath) -> np.ndarray:
    """Return the log growth of wealth a year, costs of entry and exit included, `(worlds,)`."""
    days = len(path.wealth) - 1
    growth = np.log(np.maximum(path.wealth[-1], LEAST_WEALTH) / path.wealth[0])
    return growth * (DAYS_PER_YEAR / days)


def largest_fall(path: WealthPath) -> np.ndarray:
    """Return the largest fall of wealth from an earlier high, as part of it, `(worlds,)` from 0 to 1."""
    return (1.0 - path.wealth / np.maximum.accumulate(path.wealth)).max(axis=0)


def returns(path: WealthPath, invest_days: int) -> np.ndarray:
    """Return daily returns on wealth after the first `invest_days`, `(days - invest_days, worlds)`."""
    wealth = np.maximum(path.wealth[invest_days:], LEAST_WEALTH)
    return wealth[1:] / wealth[:-1] - 1.0


def volatility(path: WealthPath, invest_days: int) -> np.ndarray:
    """Return the standard deviation of daily log returns, annualised, `(worlds,)`."""
    return np.log1p(returns(path, invest_days)).std(axis=0) * np.sqrt(DAYS_PER_YEAR)


def root_share(path: WealthPath, invest_days: int) -> np.ndarray:
    """Return the mean part of wealth on root, `(worlds,)`; claims on dividends are not root."""
    wealth = np.maximum(path.wealth[invest_days:], LEAST_WEALTH)
    return (path.root[invest_days:] / wealth).mean(axis=0)


def paid_days(path: WealthPath) -> np.ndarray:
    """Return the part of days on which root earned dividends, `(worlds,)`."""
    return path.paid.mean(axis=0)


# ------------------------------------------------------------ excess returns


def excess_moments(own: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return means over days of e, e squared, and e times root's return, with e = own - root, `(worlds, 3)`.

    Parameters
    ----------
    own, root : `(days, worlds)`
        Daily returns of a portfolio and of root in the same worlds.
    """
    excess = own - root
    return np.stack([excess, excess**2, excess * root]).mean(axis=1).T


def sharpe_ratio(moments: np.ndarray) -> np.ndarray:
    """Return the Sharpe ratio a year of `excess_moments` `(..., 3)`, `(...)`; 0 where excess returns do not vary."""
    mean, square = moments[..., 0], moments[..., 1]
    variance = square - mean**2
    varies = variance > 1e-18
    deviation = np.sqrt(np.where(varies, variance, 1.0))
    return np.where(varies, mean / deviation, 0.0) * np.sqrt(DAYS_PER_YEAR)


def kelly_share(moments: np.ndarray) -> np.ndarray:
    """Return the share of wealth in a portfolio that maximises log growth, the rest being in root, `(...)`.

    From the second-order expansion of E log(1 + R + f e) in the daily returns: f = (E e - E e R) / E e squared. In continuous
    time that is Merton's (mu - cov) / sigma squared for log utility (Merton 1969, Kelly 1956). Not clipped; 0 where excess
    returns do not vary.

    Parameters
    ----------
    moments : `(..., 3)`
        `excess_moments`, or means of them over worlds.
    """
    mean, square, product = moments[..., 0], moments[..., 1], moments[..., 2]
    varies = square > 1e-18
    return np.where(varies, (mean - product) / np.where(varies, square, 1.0), 0.0)


def root_by_kelly(moments: np.ndarray) -> np.ndarray:
    """Return root's share where the portfolio's is `kelly_share`, without debt or short sales, from 0 to 1."""
    return 1.0 - np.clip(kelly_share(moments), 0.0, 1.0)
