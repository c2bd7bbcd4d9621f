"""Textbook results: welfare, growth, contests, signal jamming, portfolios, trades, small MDPs.

Each function states its assumptions. They call the rules of `dtao_gym.protocol` where one exists, so that the rules of the
engine are what is checked against a formula.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dtao_gym.economy.builder_theory import (
    SOCIAL_DISCOUNT,
    Technology,
    Uses,
    research_share,
    substitution,
    weight_ratio,
)
from dtao_gym.economy.valuation import capitalisation
from dtao_gym.protocol.pool import alpha_for_tao, spot_price, tao_for_alpha, trade_to_reach

EQUAL_WEIGHTS = 0.5
"""TAO weight of a constant-product pool."""


def bisect(rises: Callable[[float], float], low: float, high: float) -> float:
    """Zero of an increasing function between `low` and `high`, to a few units of the last place."""
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if rises(middle) < 0.0 else (low, middle)
    return 0.5 * (low + high)


# --- welfare of a wrong mix, and of unequal subnets


def relative_welfare(share: float, best_share: float, curvature: float = 0.5) -> float:
    """Value at a research share over that at the best share of the same budget."""
    ratio = weight_ratio(best_share, curvature)

    def value(r: float) -> float:
        return (1.0 - r) ** curvature + ratio * r**curvature

    return value(share) / value(best_share)


def loss_of_shift(share: float, shift: float, curvature: float = 0.5) -> float:
    """Relative loss of value where the share misses the best one by `shift` in log-odds, to second order."""
    return curvature * (1.0 - curvature) * share * (1.0 - share) * shift**2 / 2.0


def identified_set(share: float, loss: float, curvature: float = 0.5) -> tuple[float, float]:
    """Interval of research shares that lose no more than a relative `loss` where `share` is the best one."""

    def spared(r: float) -> float:
        return relative_welfare(r, share, curvature) - (1.0 - loss)

    return bisect(spared, 0.0, share), bisect(lambda r: -spared(r), share, 1.0)


def best_budgets(subnets: Sequence[Uses], budget: float, curvature: float = 0.5) -> np.ndarray:
    """Best division of a budget among subnets with these spending weights, `(subnets,)`, TAO."""
    merit = np.array([_merit(paid, curvature) for paid in subnets])
    return budget * merit / merit.sum()


def value_of_budgets(
    subnets: Sequence[Uses], budgets: Sequence[float] | np.ndarray, curvature: float = 0.5
) -> float:
    """Present value of budgets, each spent at its subnet's best mix."""
    values = (
        _merit(paid, curvature) ** (1.0 - curvature) * budget**curvature
        for paid, budget in zip(subnets, budgets)
    )
    return float(sum(values))


def _merit(paid: Uses, curvature: float) -> float:
    return sum(weight ** substitution(curvature) for weight in paid)


def aggregate_research_share(
    subnets: Sequence[Uses], budgets: np.ndarray, curvature: float = 0.5
) -> float:
    """Part of research in the spending of all subnets together, influence left out."""
    shares = [research_share(paid, curvature) for paid in subnets]
    return float(np.average(shares, weights=budgets))


# --- constant returns


def longest_delay(technology: Technology, discount: float = SOCIAL_DISCOUNT) -> float:
    """Fixed delay (days) below which research beats product at constant returns; 0 where it never does."""
    t = technology
    research = t.research_productivity * (1.0 + t.spillover)
    research *= capitalisation(discount, t.knowledge_decay)
    advantage = research / (t.short_productivity * capitalisation(discount, t.short_decay))
    return max(math.log(advantage) / -math.log(discount), 0.0)


def internal_growth(technology: Technology, share: float, income_per_stock: float) -> float:
    """Growth per day at constant returns of a builder that spends `income_per_stock` of its stocks."""
    t = technology

    def shortfall(growth: float) -> float:
        short = (1.0 - share) * t.short_productivity / (growth + t.short_decay)
        passing = t.stage_rate / (growth + t.stage_rate) if t.stages else 1.0
        research = share * t.research_productivity * passing**t.stages
        return 1.0 - income_per_stock * (short + research / (growth + t.knowledge_decay))

    return bisect(shortfall, 0.0, 1.0)


def growth_hurdle(technology: Technology, growth: float) -> float:
    """Ratio of research to short productivity at which both finance the same growth."""
    t = technology
    waiting = ((growth + t.stage_rate) / t.stage_rate) ** t.stages if t.stages else 1.0
    return (growth + t.knowledge_decay) / (growth + t.short_decay) * waiting


# --- contests and signals


def last_place_slope(players: int) -> float:
    """Decrease of the chance of being last per noise sd of one's score, among equals, normal noise."""
    u, step = np.linspace(-12.0, 12.0, 24_001, retstep=True)
    density = np.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
    above = np.array([0.5 * math.erfc(x / math.sqrt(2.0)) for x in u])
    return float((players - 1) * np.sum(density**2 * above ** (players - 2)) * step)


def tullock_effort(players: int, prize: float, exponent: float = 1.0) -> float:
    """Effort of each player in a symmetric Tullock contest: chance effort**exponent over the sum.

    Raises
    ------
    ValueError
        For an exponent above players / (players - 1), where taking part does not pay.
    """
    limit = players / (players - 1)
    if not 0.0 < exponent <= limit:
        raise ValueError(f"exponent: got {exponent}, allowed is above 0 up to {limit:g}")
    return exponent * prize * (players - 1) / players**2


def tullock_efforts_of_two(first_prize: float, second_prize: float) -> tuple[float, float]:
    """Efforts of two players with different prizes, exponent 1."""
    common = first_prize * second_prize / (first_prize + second_prize) ** 2
    return first_prize * common, second_prize * common


class SignalJamming(NamedTuple):
    """Steady state of a builder that raises a noisy signal which the market filters (Stein 1989)."""

    variance: float
    """Variance of the market's prediction error of the state."""
    kalman_gain: float
    effort: float
    waste: float
    """Cost of the effort, which misleads nobody."""


def signal_jamming(
    persistence: float,
    state_variance: float,
    noise_variance: float,
    pay: float,
    cost: float,
    discount: float = SOCIAL_DISCOUNT,
) -> SignalJamming:
    """Equilibrium effort where pay is `pay` times the market's estimate and effort m costs cost m**2 / 2.

    Parameters
    ----------
    persistence, state_variance : float
        AR(1) coefficient of the state, and variance of its innovation.
    noise_variance : float
        Variance of the noise of the signal.
    pay, cost : float
        Pay per unit of estimate, and curvature of the cost.
    discount : float
        Discount factor of a period.
    """
    b = noise_variance * (1.0 - persistence**2) - state_variance
    variance = 0.5 * (-b + math.sqrt(b * b + 4.0 * state_variance * noise_variance))
    gain = variance / (variance + noise_variance)
    effort = pay * gain / (cost * (1.0 - discount * persistence * (1.0 - gain)))
    return SignalJamming(variance, gain, effort, 0.5 * cost * effort**2)


# --- portfolios


def merton_share(
    expected_return: float, root_return: float, volatility: float, risk_aversion: float = 1.0
) -> float:
    """Best part of wealth in a risky asset at constant relative risk aversion (Merton 1969), per year."""
    return (expected_return - root_return) / (risk_aversion * volatility**2)


def kelly_share(up_probability: float, up: float, down: float, root_return: float = 0.0) -> float:
    """Part of wealth with the best expected log growth on a bet of `up` or -`down` over root's return."""
    odds = up_probability / down - (1.0 - up_probability) / up
    return (1.0 + root_return) * odds


def log_growth(
    share: float, up_probability: float, up: float, down: float, root_return: float = 0.0
) -> float:
    """Expected log growth of the bet of `kelly_share` with a part of wealth on it."""
    gain = math.log(1.0 + root_return + share * up)
    loss = math.log(1.0 + root_return - share * down)
    return up_probability * gain + (1.0 - up_probability) * loss


# --- best trades with constant-product pools


class BestBuy(NamedTuple):
    """Best purchase from one pool of a buyer that knows the value."""

    tao_in: float
    alpha_out: float
    profit: float
    price_after: float


def best_buy(tao: float, alpha: float, value: float, fee: float = 0.0) -> BestBuy:
    """Most profitable purchase where an alpha is worth `value` TAO; `fee` is a part of the input."""
    price = spot_price(tao, alpha, EQUAL_WEIGHTS)
    net, _ = trade_to_reach(tao, alpha, EQUAL_WEIGHTS, price, value * (1.0 - fee))
    out = alpha_for_tao(tao, alpha, EQUAL_WEIGHTS, net)
    paid = net / (1.0 - fee)
    after = spot_price(tao + net, alpha - out, EQUAL_WEIGHTS)
    return BestBuy(paid, out, value * out - paid, after)


def water_filling(
    tao: Sequence[float], alpha: Sequence[float], value: Sequence[float], budget: float
) -> tuple[float, np.ndarray]:
    """Division of a budget over pools that brings each pool bought to the price value / mu.

    Returns
    -------
    mu : float
        Value of the last TAO, at least 1; at 1 less than the budget is spent.
    trades : np.ndarray
        TAO into each pool, `(pools,)`.
    """
    reserves = np.array(tao, dtype=float)
    root = np.sqrt(np.array(value) * reserves * np.array(alpha))
    bought = np.zeros(len(reserves), bool)
    scale = 0.0  # square root of mu: the lowest at which the pools bought so far take no more than the budget
    for best in np.argsort(-root / reserves):
        if root[best] / reserves[best] <= scale:
            break
        bought[best] = True
        scale = root[bought].sum() / (budget + reserves[bought].sum())
    mu = max(scale, 1.0) ** 2
    trades = [
        trade_to_reach(t, a, EQUAL_WEIGHTS, spot_price(t, a, EQUAL_WEIGHTS), v / mu)[0]
        for t, a, v in zip(tao, alpha, value)
    ]
    return mu, np.array(trades)


def sale_in_parts(
    tao: float, alpha: float, parts: Sequence[float] | np.ndarray, resilient: bool
) -> np.ndarray:
    """TAO proceeds of each part of a sale; a resilient pool returns to its reserves before the next part."""
    proceeds = []
    for part in parts:
        out = tao_for_alpha(tao, alpha, EQUAL_WEIGHTS, part)
        proceeds.append(out)
        if not resilient:
            tao, alpha = tao - out, alpha + part
    return np.array(proceeds)


def best_parts(tao: float, alpha: float, amount: float, discount: float) -> np.ndarray:
    """Best division of a sale over dates with a resilient pool: equal discounted marginal proceeds."""
    count = 1
    while True:
        factors = discount ** (0.5 * np.arange(count + 1))
        scale = (amount + count * alpha) / factors[:count].sum()
        if factors[count] * scale <= alpha:
            break
        count += 1
    sales = [
        trade_to_reach(
            tao,
            alpha,
            EQUAL_WEIGHTS,
            spot_price(tao, alpha, EQUAL_WEIGHTS),
            tao * alpha / (factor * scale) ** 2,
        )[1]
        for factor in factors
    ]
    return np.array(sales)


def price_of_daily_flows(alpha_reserve: float, alpha_sold: float, tao_bought: float) -> float:
    """Stationary price after a daily sale and purchase, where the pool then holds `alpha_reserve`."""
    return tao_bought / alpha_sold + tao_bought / alpha_reserve


# --- moving price


def moving_price_of_constant(blocks: float, base: float, halving_blocks: float) -> float:
    """Moving price after `blocks` blocks of a price of 1, starting from 0, in continuous time."""
    held_back = halving_blocks * math.log1p(blocks / halving_blocks) if halving_blocks else 0.0
    return -math.expm1(-base * (blocks - held_back))


def moving_average_factor(discount: float, weight: float) -> float:
    """Factor of a moving average (`weight` of today per day) on the present value of a pulse."""
    return weight * capitalisation(discount, weight)


# --- a research project as a decision process


class Project(NamedTuple):
    """Optimal policy of `research_project`."""

    value: np.ndarray
    """Value by knowledge and whether a project runs, `(levels, 2)`."""
    starts: np.ndarray
    """Whether to start a project at each level of knowledge when none runs, `(levels,)` bool."""


def research_project(
    discount: float, levels: int = 4, success: float = 0.1, loss: float = 0.01
) -> Project:
    """Optimal research of a builder with knowledge K below `levels`, by policy iteration.

    The builder earns K a day, plus 1 for short-term work; where no project runs it may start one instead of working.
    A running project ends with probability `success` a day and raises K by one, up to the top. Before that, K falls by
    one with probability `loss` a day.
    """
    states = [(k, z) for k in range(levels) for z in (0, 1)]
    starts = np.zeros(levels, bool)
    while True:
        reward, moves = np.zeros(len(states)), np.zeros((len(states), len(states)))
        for row, (k, z) in enumerate(states):
            starting = z == 0 and starts[k]
            reward[row] = k + (not starting)
            for probability, state in _project_moves(k, z, starting, levels, success, loss):
                moves[row, states.index(state)] += probability
        value = np.linalg.solve(np.eye(len(states)) - discount * moves, reward)
        value = value.reshape(levels, 2)
        shorter = 1.0 + discount * _after_loss(value[:, 0], loss)
        longer = discount * _after_loss(value[:, 1], loss)
        margin = 1e-12 * shorter * np.where(starts, -1.0, 1.0)  # a tie changes nothing, and ends
        better = longer > shorter + margin
        if (better == starts).all():
            return Project(value, starts)
        starts = better


def _after_loss(value: np.ndarray, loss: float) -> np.ndarray:
    lower = np.concatenate([value[:1], value[:-1]])
    return (1.0 - loss) * value + loss * lower


def _project_moves(k, z, starting, levels, success, loss):
    """(probability, next state) of a day."""
    for probability, left in ((1.0 - loss, k), (loss, max(k - 1, 0))):
        if z == 0:
            yield probability, (left, int(starting))
        else:
            yield probability * success, (min(left + 1, levels - 1), 0)
            yield probability * (1.0 - success), (left, 1)


def project_threshold(
    knowledge: int = 0, levels: int = 4, success: float = 0.1, loss: float = 0.01
) -> float:
    """Discount factor above which a project is started at this knowledge, below the top."""

    def started(discount: float) -> float:
        return 1.0 if research_project(discount, levels, success, loss).starts[knowledge] else -1.0

    return bisect(started, 0.0, 1.0 - 1e-9)


def single_project_threshold(success: float) -> float:
    """Threshold for one permanent gain of 1 a day: success g**2 = (1 - g (1 - success)) (1 - g)."""
    return 2.0 / (2.0 - success + math.sqrt(success**2 + 4.0 * success))
