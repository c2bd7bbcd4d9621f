"""Negative controls: settings in which no institution can crowd research out, or none can do anything at all.

Each is a function of a size and of changes of the technology, and returns checks. The changes are forced upon every
world of a control, over its own settings: a technology that is not the one the control is about must be found out.
Shares are compared in log-odds. The sizes used as gates are small, since most of what is checked here is exact: a
symmetry, an identity, a payoff that is constant. `scripts/controls.py` runs them at full size.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.game import Payoffs, log_odds, share_of
from dtao_agents.equilibrium.inference import is_constant, paired_difference
from dtao_agents.equilibrium.nash import Equilibrium, solve
from dtao_agents.evaluation.statistics import bootstrap
from dtao_agents.oracles.simulated import SOLVER, alpha_pay
from dtao_agents.oracles.simulated import game as frictionless_game
from dtao_agents.probe.checks import Check, of_share
from dtao_agents.probe.market_controls import (
    dilution_is_inert,
    lives,
    moves_as_real_ones_do,
    of_gap,
    one_pot,
    paired_effect,
)
from dtao_agents.probe.size import Changes, Control, Size, world
from dtao_gym.economy.builder_theory import (
    Technology,
    fee_values,
    planner_values,
    planners_milestone,
    research_share,
    spending_weights,
)
from dtao_gym.economy.horizons import for_constant_policy, spending_weights_over
from dtao_gym.protocol.coinbase import TAO_WEIGHT
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.genesis import end_of_life

INSTITUTIONS = (
    "uniform",
    "price",
    "price_burn",
    "price_burn_gate",
    "tao_flow",
    "net_flow",
    "root_vote",
)
"""Allocation rules of the probe."""
PAYMENTS = ("alpha", "direct")
DELAYS = (30.0, 180.0, 360.0)
LOG_3 = 1.0986122886681098
EXACT_PAY = 1e-6
"""Largest relative difference of pay that is equal but for the order of sums."""
EXACT_ODDS = 0.05
"""Tolerance, log-odds, where the expected share is exact but for what a parabola misses."""
GRANT_ODDS = 0.1
"""The same where stocks are at a steady state only on average; that of the simulated oracles."""
SAME = 1e-9
"""Relative difference of two runs that must agree but for the order of sums."""


class _EqualSeeds:
    """A game in which every seed counts alike, whatever its subnet earns and however long it lives."""

    capitalisation: float | None = None

    def __init__(self, game: BuilderGame):
        self.game = game

    def payoffs(self, research_share: float, candidates: np.ndarray) -> Payoffs:
        return _over_their_mean(self.game.payoffs(research_share, candidates))

    def influence_payoffs(self, influence_share: float, candidates: np.ndarray) -> Payoffs:
        """The same for shares of influence in the budget."""
        return _over_their_mean(self.game.influence_payoffs(influence_share, candidates))


def _over_their_mean(payoffs: Payoffs) -> Payoffs:
    level = payoffs.values.mean(axis=1, keepdims=True)  # 0 where a subnet gets no emission
    return payoffs._replace(values=payoffs.values / np.where(level > 0.0, level, 1.0))


def _game(size: Size, config: Config) -> _EqualSeeds:
    return _EqualSeeds(BuilderGame(config, range(size.seeds)))


def _solved(size: Size, config: Config, start: float = 0.3) -> Equilibrium:
    return solve(_game(size, config), start, size.solver)


def _name(allocation: str, payment: str, pruning: bool | None = None) -> str:
    after = {None: "", True: ", pruning", False: ", no pruning"}[pruning]
    return f"{allocation}, {payment}{after}"


def identical_technologies(size: Size, technology: Changes) -> list[Check]:
    """NC1: research that is product under another name.

    Half of the budget is the equilibrium wherever value is paid at all: what a builder loses with three quarters for
    research is what it loses with three quarters for product, seed by seed.
    """
    same: dict[str, Any] = {
        "delay_days": 0.0,
        "knowledge_half_life_days": 30.0,
        "research_productivity": 0.1,
        "hype": 0.0,
        "spillover": 0.0,
        "research_luck_sd": 0.0,
        "salvage": 0.0,  # heirs would find knowledge, but no product
    }
    one_to_three = share_of(np.array([-LOG_3, LOG_3]))
    checks = []
    for allocation, payment, pruning in _arms():
        # what is paid by flows is a difference of large ones, the larger the faster people trade: its rounding grows
        quiet = PREDICTABLE if "flow" in allocation else {}
        arm = {"allocation": allocation, "payment": payment, "pruning": pruning}
        config = world(size, technology, **quiet | same | arm)
        values = (
            _game(size, config)
            .payoffs(0.5, np.array([one_to_three[0], 0.5, one_to_three[1]]))
            .values
        )
        gain = bootstrap(values[:, 2] - values[:, 0], resamples=1_000)
        ok = abs(gain.value) <= EXACT_PAY and not is_constant(values)
        where = (
            f"{_name(allocation, payment, pruning)}: pay at r = 3/4 less pay at r = 1/4, relative"
        )
        checks.append(
            Check("NC1", where, 0.0, gain.value, ok, gain.low, gain.high, f"{EXACT_PAY:g}")
        )
    return checks


def _arms() -> Iterator[tuple[str, str, bool]]:
    for allocation in INSTITUTIONS:
        for payment in PAYMENTS:
            if (allocation, payment) != ("uniform", "direct"):
                yield from ((allocation, payment, pruning) for pruning in (False, True))


def fee_is_the_planner(size: Size, technology: Changes) -> list[Check]:
    """NC2: builders who are paid their own value choose as a planner would without spillovers, at every delay.

    Twice: with drawn ends of life against the closed form for just these ends, and in a world without frictions against
    the plain one.
    """
    checks = []
    seeds = size.seeds
    size = size._replace(cap_days=8_000)
    for delay in DELAYS:
        fee: dict[str, Any] = {"payment": "fee", "delay_days": delay}
        alike: dict[str, Any] = {
            "type_sd": 0.0,
            "research_luck_sd": 0.0,
        }  # nothing is drawn but the ends
        config = world(size, technology, **fee, **alike, finance=False, pruning=False)
        ends = [end_of_life(config, (j + 0.5) / seeds) for j in range(seeds)]
        alive = np.array([np.mean([end > day for end in ends]) for day in range(max(ends))])
        paid = spending_weights_over(
            Technology(delay_days=delay), fee_values(), for_constant_policy(alive)
        )
        name = f"fee, delay {delay:g} d"
        expected = float(log_odds(research_share(paid)))
        found = solve(BuilderGame(config, range(seeds)), 0.5, size.solver)
        checks.append(of_share("NC2", f"{name}, drawn ends", expected, found, EXACT_ODDS))
        plain = Technology(delay_days=delay, spillover=0.0)
        expected = float(log_odds(research_share(spending_weights(plain, planner_values(plain)))))
        found = solve(frictionless_game(**fee | dict(technology)), 0.5, SOLVER)
        checks.append(of_share("NC2", f"{name}, frictionless", expected, found, EXACT_ODDS))
    return checks


def speed_of_the_moving_price(size: Size, technology: Changes) -> list[Check]:
    """NC3: a moving average delays all of a builder's pay alike, so that its speed is no reason to choose otherwise."""
    arm: dict[str, Any] = {"allocation": "price", "payment": "direct", "pruning": False}
    gap = paired_effect(
        *(
            world(size, technology, **arm, finance=False, moving_price_variant=speed)
            for speed in ("slow", "fast")
        )
    )
    return [of_gap("NC3", "price, direct: slow less fast", gap)]


def milestone_grant(size: Size, technology: Changes) -> list[Check]:
    """NC4: a grant for knowledge on its arrival, just so large that an uninformed market does what a planner would."""
    market = {"informed_share_stakers": 0.0}
    config = frictionless_game(**market).config
    batch = Batch(config)
    one_of_each = np.zeros((1, 1, 3 + batch.layout.pipeline_stages))
    pay_of_knowledge = float(alpha_pay(config)(batch, one_of_each)[0, 1])
    grant = planners_milestone(Technology()) * pay_of_knowledge
    played = frictionless_game(**market | {"milestone_grant_tao": grant} | dict(technology))
    planner = spending_weights(Technology(), planner_values(Technology()))
    expected = float(log_odds(research_share(planner)))
    found = solve(played, 0.6, SOLVER)
    return [of_share("NC4", "price, alpha, milestone grant", expected, found, GRANT_ODDS)]


def names_and_units(size: Size, technology: Changes) -> list[Check]:
    """NC5: the order of the subnets changes nothing but the order of the outcome, and the unit of TAO only amounts."""
    checks = []
    for allocation in ("price", "tao_flow", "root_vote"):
        config = world(size, technology, allocation=allocation, payment="direct", n_stakers=0)
        there = f"{_name(allocation, 'direct')}: slots permuted, largest difference"
        gap = _gap_of_permuted_slots(config, min(size.seeds, 8))
        checks.append(Check("NC5", there, 0.0, gap, gap <= SAME, tolerance=f"{SAME:g} rel."))
        there = f"{_name(allocation, 'direct')}: TAO in tenths, income over ten times the other"
        ratio = _income_in_tenths(size, technology, allocation)
        ok = abs(ratio - 1.0) <= SAME
        checks.append(Check("NC5", there, 1.0, ratio, ok, tolerance=f"{SAME:g}"))
    return checks


def _gap_of_permuted_slots(config: Config, seeds: int, days: int = 360) -> float:
    batch, permuted = Batch(config, seeds), Batch(config, seeds)
    order = np.random.default_rng(0).permutation(batch.layout.n_subnets)
    permuted.state.fields[...] = batch.state.fields[:, :, order]
    batch.step(days=days)
    permuted.step(days=days)
    mine, theirs = permuted.state.fields, batch.state.fields[:, :, order]
    scale = np.maximum(np.abs(theirs).max(axis=2, keepdims=True), 1e-3)
    return float((np.abs(mine - theirs) / scale).max())


def _income_in_tenths(size: Size, technology: Changes, allocation: str, days: int = 720) -> float:
    """Income where every amount of TAO is ten times as large, over ten times that where it is not.

    Budgets are fixed, so that what is made stays the same. Root's weight counts TAO against alpha and has the inverse
    unit.
    """
    incomes = []
    for unit in (1.0, 10.0):
        config = world(
            size,
            technology,
            genesis="symmetric",
            selection="largest",
            horizon="fixed",
            n_stakers=0,
            allocation=allocation,
            payment="direct",
            finance=False,
            pruning=False,
            moving_price_clipped=False,
            news_size_exponent=0.0,  # the size of a pool has a unit
            revenue_share=0.0,
            emission_per_subnet_tao=28.0 * unit,
            genesis_price_median=0.0058 * unit,
            genesis_pool_median=7658.0 * unit,
            root_stake_tao=1e6 * unit,
            tao_weight=TAO_WEIGHT / unit,
            outside_initial_tao=1e4 * unit,
        )
        batch = Batch(config, min(size.seeds, 8))
        batch.step(days=days)
        incomes.append(batch.state.row("consumed") / unit)
    paid = (incomes[0] != 0.0) | (incomes[1] != 0.0)  # flows may pay some subnets nothing at all
    ratio = incomes[1][paid] / incomes[0][paid]
    return float(ratio[np.abs(ratio - 1.0).argmax()])


def pay_for_nothing(size: Size, technology: Changes) -> list[Check]:
    """NC6: equal parts of the emission, paid directly, do not depend on the research share. There is no number to give."""
    config = world(size, technology, allocation="uniform", payment="direct", pruning=False)
    found = _solved(size, config)
    ok = found.verdict == "indeterminate" and found.research_share is None
    got = found.verdict if found.research_share is None else found.research_share
    return [Check("NC6", _name("uniform", "direct", False), "indeterminate", got, ok)]


def another_name(size: Size, technology: Changes) -> list[Check]:
    """NC7: the same institution under another name. The rules of a week in June 2026, given the price rule, are those
    of the probe: whatever is drawn or searched must not depend on what an institution is called.
    """
    eras = ("price_burn", "price_rootprop")
    checks = []
    for payment in PAYMENTS:
        arm = {"allocation": "price", "payment": payment}
        games = [_game(size, world(size, technology, **arm, pruning=True, era=era)) for era in eras]
        one, other = (game.payoffs(0.3, share_of(np.array([-1.8, 0.0, 1.8]))) for game in games)
        gap = float(np.abs(one.values - other.values).max())
        ok = gap == 0.0 and one.capitalisation == other.capitalisation
        where = f"{_name('price', payment, True)}: era price_burn less price_rootprop"
        checks.append(Check("NC7", f"{where}, pay", 0.0, gap, ok, tolerance="exact"))
    arm = {"allocation": "price", "payment": "alpha", "pruning": False}
    found = [_solved(size, world(size, technology, **arm, era=era)) for era in eras]
    difference = paired_difference(*found)
    ok = tuple(difference) == (0.0, 0.0, 0.0)
    where = f"{_name('price', 'alpha', False)}: the same, log-odds"
    checks.append(Check("NC7", where, 0.0, difference.value, ok, *difference[1:], "exact"))
    return checks


def influence_on_the_informed(size: Size, technology: Changes) -> list[Check]:
    """NC8: where all readers are informed, the best spending on influence is none."""
    candidates = np.array([0.0, 0.02, 0.1, 0.3])
    informed: dict[str, Any] = {
        "influence": True,
        "informed_share_stakers": 1.0,
        "informed_share_voters": 1.0,
        "pruning": False,
    }
    checks = []
    for allocation in INSTITUTIONS:
        for payment in PAYMENTS:
            config = world(size, technology, **informed, allocation=allocation, payment=payment)
            values = _game(size, config).influence_payoffs(0.0, candidates).values
            means = values.mean(axis=0)
            best = int(means.argmax())
            gain = bootstrap(values[:, 1 + int(means[1:].argmax())] - values[:, 0], resamples=1_000)
            where = f"{_name(allocation, payment)}: best of 0, 2, 10, 30 %; interval: gain of the next, relative"
            got = float(candidates[best])
            checks.append(Check("NC8", where, 0.0, got, best == 0, gain.low, gain.high, "exact"))
    return checks


CONTROLS: dict[str, Control] = {
    "NC1": identical_technologies,
    "NC2": fee_is_the_planner,
    "NC3": speed_of_the_moving_price,
    "NC4": milestone_grant,
    "NC5": names_and_units,
    "NC6": pay_for_nothing,
    "NC7": another_name,
    "NC8": influence_on_the_informed,
    "NC9": lives,
    "NC10": dilution_is_inert,
    "POT": one_pot,
    "REALISM": moves_as_real_ones_do,
}
"""The controls by id."""
