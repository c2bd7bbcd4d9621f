"""Control over emission of a single actor: the same worlds with and without its orders, vote or root fund.

The difference of the emission shares of the last span is exact: both worlds draw the same random numbers, and all others
react to the actor within the engine.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.protocol.root_vote import CONSENSUS_MIDPOINT, CONSENSUS_SLOPE, root_epoch
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_law import LEAST_DESTINATIONS, MAX_FUND_WEIGHT
from dtao_gym.world.state import State

SHARE_POINTS = 100.0
"""Share points in the whole emission; two vectors of shares differ by at most twice as many."""
ORDERS = ("largest", "steepest", "leading")
"""Orders in which an actor picks subnets: by emission share; by moving price over TAO reserve, which is the push of the price
by a small purchase; or by that push among the quarter with the largest shares."""
FUND_TARGETS = round(1.0 / MAX_FUND_WEIGHT)
"""Subnets of an actor's root fund: the fewest that take all that the fund spends."""
UNUSED_FUND = {
    "part": 1e-12,
    "weights": {0: 1.0 - LEAST_DESTINATIONS * MAX_FUND_WEIGHT}
    | dict.fromkeys(range(1, LEAST_DESTINATIONS + 1), MAX_FUND_WEIGHT),
}
"""A curated fund that holds next to nothing until an actor takes it over."""


class Push(NamedTuple):
    """A strategy of an actor that stakes: equal orders, in TAO, over some subnets and over the last days."""

    order: str
    """One of `ORDERS`, read off the state when the actor starts."""
    subnets: int
    order_days: int
    """Number of days, up to the end of the window, over which the stake is spent."""


class Trials(NamedTuple):
    """Outcomes of all strategies, `(worlds, stakes, strategies)`."""

    control: np.ndarray
    """L1 distance of the emission shares that the actor forces, share points, 0 to 200."""
    cost: np.ndarray
    """Liquidation wealth that it loses against all its stake on root, TAO; negative for a gain."""


def pushes(
    subnets: Sequence[int], order_days: Sequence[int], orders: Sequence[str] = ORDERS
) -> list[Push]:
    """Return all strategies with these numbers of subnets and of days."""
    return [Push(*chosen) for chosen in itertools.product(orders, subnets, order_days)]


def targets(state: State, world: int, order: str, subnets: int) -> np.ndarray:
    """Return slots of the subnets that an actor picks, best first, `(at most subnets,)` int."""
    share = state.row("emission_share")[world]
    tao = state.row("tao_reserve")[world]
    push = np.divide(state.row("moving_price")[world], tao, out=np.zeros_like(tao), where=tao > 0.0)
    open_to_stake = state.row("emission_enabled")[world] * state.row("started")[world] > 0.0
    key = share if order == "largest" else push
    if order == "leading":
        least = np.quantile(share[open_to_stake], 0.75) if open_to_stake.any() else 0.0
        key = np.where(share >= least, push, -np.inf)
    ranked = np.argsort(-np.where(open_to_stake, key, -np.inf), kind="stable")
    return ranked[: min(subnets, int(open_to_stake.sum()))]


def endow(state: State, part: np.ndarray) -> np.ndarray:
    """Give each world's staker a part of all root stake, taken from the scripted holders in proportion.

    The level of demand stays: the part of their wealth that scripted stakers want in alpha is raised with their loss.

    Parameters
    ----------
    state : State
        With one staker per world.
    part : `(worlds,)`
        At least 0, below 1.

    Returns
    -------
    `(worlds,)`
        Stake of the actor, TAO, besides the little that the staker had.
    """
    world, staker = state.worlds, state.stakers
    accounts = ("root_informed", "root_uninformed", "root_validators")
    stake = part * sum(world[name] for name in accounts)
    held = state.row("informed_alpha") + state.row("uninformed_alpha")
    populations = (*accounts[:2], "purse_informed", "purse_uninformed")
    before = (state.row("spot_price") * held).sum(1) + sum(world[name] for name in populations)
    after = before - part * (world["root_informed"] + world["root_uninformed"])
    world["alpha_part_of_wealth"] *= before / after
    for name in accounts:
        world[name] *= 1.0 - part
    staker["root"][:, 0] += stake
    for name in ("wealth", "first_wealth"):
        staker[name][:, 0] += stake
    return stake


def _set_all(state: State, source: State, world: int) -> None:
    """Copy one world of another state into every world."""
    for name in State.ARRAYS:
        getattr(state, name)[...] = getattr(source, name)[world]


def warmed_up(config: Config, seeds: Sequence[int], days: int) -> Batch:
    """Return worlds that have run for some days without an actor, which fills the averages of flows and prices."""
    batch = Batch(config, len(seeds), seeds=seeds)
    if days:
        batch.step(days=days)
    return batch


def stake_trials(
    warm: Batch,
    parts: Sequence[float],
    strategies: Sequence[Push],
    days: int,
    threads: int = 1,
) -> Trials:
    """Run an actor that stakes, with every stake and strategy, against the same world with its stake left on root.

    Parameters
    ----------
    warm : Batch
        Worlds at the start of the window, with one staker each and one configuration.
    parts : sequence of float
        Stakes of the actor as parts of all root stake, at least 0, below 1.
    strategies : sequence of Push
    days : int
        Length of the window.
    threads : int
    """
    n = 1 + len(strategies)
    trial = Batch(warm.configs[0], len(parts) * n, threads=threads)
    shape = (warm.n_worlds, len(parts), len(strategies))
    control, cost = np.empty(shape), np.empty(shape)
    for k in range(warm.n_worlds):
        _set_all(trial.state, warm.state, k)
        chosen = [targets(warm.state, k, push.order, push.subnets) for push in strategies]
        stake = endow(trial.state, np.repeat(np.asarray(parts, float), n)).reshape(len(parts), n)
        orders = np.zeros((len(parts), n, 1, trial.layout.n_subnets))
        for day in range(days):
            for row, (push, slots) in enumerate(zip(strategies, chosen, strict=True), start=1):
                active = day >= days - push.order_days and slots.size
                amount = (
                    stake[:, row] / (push.order_days * slots.size)
                    if active
                    else 0.0 * stake[:, row]
                )
                orders[:, row, 0, slots] = amount[:, None]
            trial.step(orders.reshape(trial.n_worlds, 1, -1))
        control[k] = _moved(trial.state.row("emission_share").reshape(len(parts), n, -1))
        wealth = trial.state.stakers["wealth"].reshape(len(parts), n)
        cost[k] = wealth[:, :1] - wealth[:, 1:]
    return Trials(control, cost)


def fund_trials(
    warm: Batch, parts: Sequence[float], days: int, orders: Sequence[str] = ORDERS
) -> Trials:
    """Run an actor that curates the root fund of a part of all root stake, against dividends kept in place.

    It spends the fund's dividends, which belong to its stakers, on 16 subnets in one of the orders; the cost is 0.

    Parameters
    ----------
    warm : Batch
        Worlds at the start of the window, with `UNUSED_FUND`.
    parts, days, orders
        As for `stake_trials`.
    """
    n = 1 + len(orders)
    trial = Batch(warm.configs[0], len(parts) * n)
    control = np.empty((warm.n_worlds, len(parts), len(orders)))
    part = np.repeat(np.asarray(parts, float), n).reshape(len(parts), n)
    part[:, 0] = UNUSED_FUND["part"]
    for k in range(warm.n_worlds):
        _set_all(trial.state, warm.state, k)
        weights = np.zeros((n, trial.layout.n_subnets))
        for row, order in enumerate(orders, start=1):
            weights[row, targets(warm.state, k, order, FUND_TARGETS)] = MAX_FUND_WEIGHT
        funds = trial.state.funds
        funds["part"][:, 1] = np.maximum(part.ravel(), UNUSED_FUND["part"])
        funds["part"][:, 0] = 1.0 - funds["part"][:, 1]
        trial.state.section("fund_weight")[:, 1] = np.tile(weights, (len(parts), 1))
        funds["root_weight"][:, 1] = np.tile(1.0 - weights.sum(1), len(parts))
        trial.step(days=days)
        control[k] = _moved(trial.state.row("emission_share").reshape(len(parts), n, -1))
    return Trials(control, np.zeros_like(control))


def _moved(shares: np.ndarray) -> np.ndarray:
    """Distance of shares `(stakes, 1 + strategies, subnets)` from those of the first row of each stake."""
    return SHARE_POINTS * np.abs(shares[:, 1:] - shares[:, :1]).sum(-1)


def counted_vote(votes: np.ndarray, part: float, subnet: int) -> np.ndarray:
    """Return emission shares where one voter gives its whole vote to a subnet and all others vote alike.

    Parameters
    ----------
    votes : `(subnets,)`
        Votes of the others, at least 0.
    part : float
        Stake of the voter as part of the whole, 0 to 1.
    subnet : int
        Its choice.
    """
    ballots = np.zeros((2, 1 + votes.size))
    ballots[0, 1:] = votes
    ballots[1, 1 + subnet] = 1.0
    results = np.zeros((4, 1 + votes.size))
    stakes = np.array([1.0 - part, part])
    root_epoch(stakes, ballots, CONSENSUS_SLOPE, CONSENSUS_MIDPOINT, *results)
    return results[3, 1:]


def vote_trials(warm: Batch, parts: Sequence[float], days: int) -> Trials:
    """Count the votes of the window's last day again, with a voter's whole vote on each subnet in turn; voting is free.

    The others vote as they would have. What the actor's votes of earlier days change in their opinions, through builders'
    budgets, is left out; in the engine it adds 0.3 % to the control.

    Parameters
    ----------
    warm : Batch
        Worlds at the start of the window, which are advanced to its end.
    parts, days
        As for `stake_trials`.
    """
    warm.step(days=days)
    votes, shape = warm.state.row("vote_share"), (warm.n_worlds, len(parts), warm.layout.n_subnets)
    control = np.empty(shape)
    for k, i, subnet in itertools.product(*map(range, shape)):
        forced = counted_vote(votes[k], parts[i], subnet) - counted_vote(votes[k], 0.0, subnet)
        control[k, i, subnet] = SHARE_POINTS * np.abs(forced).sum()
    return Trials(control, np.zeros(shape))


def best_responses(trials: Trials) -> Trials:
    """Return outcomes of the strategy that is best in the other worlds, `(worlds, stakes)`.

    Choosing by the other worlds keeps the actor from knowing the luck of its own. It may leave a part of its stake on root,
    so that the strategies of smaller stakes are open to it too.

    Parameters
    ----------
    trials : Trials
        Trials in two or more worlds, stakes ascending.
    """
    n, stakes, strategies = trials.control.shape
    if n < 2:
        raise ValueError(f"worlds: got {n}, allowed are 2 or more")
    control, cost = np.empty((n, stakes)), np.empty((n, stakes))
    for k in range(n):
        others = np.delete(trials.control, k, axis=0).mean(0)
        for i in range(stakes):
            j, strategy = divmod(int(others[: i + 1].argmax()), strategies)
            control[k, i], cost[k, i] = trials.control[k, j, strategy], trials.cost[k, j, strategy]
    return Trials(control, cost)


def world_of(world: dict[str, Any], **institution: Any) -> Config:
    """Return the configuration of an arena: no registrations, orders spread over the day, one staker."""
    fixed = {"pruning": False, "arrivals_per_slot_year": 0.0, "horizon": "fixed"}
    fixed |= {"execution": "twap", "n_stakers": 1, "wealth_tao": 1.0}
    return Config.make(world | fixed, **institution)
