"""Negative controls: settings in which no institution crowds out research or no decision matters.

Each control is a function of a size and of changes of the technology that returns checks. The changes override the
control's own world parameters: a control must fail under a technology that it does not assume. Shares are compared in
log-odds. The sizes of gates are small, since most checks are exact (a symmetry, an identity, a constant payoff);
`scripts/controls.py` runs the controls at full size.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.game import Payoffs, log_odds, share_of
from dtao_agents.equilibrium.inference import is_constant, paired_difference
from dtao_agents.equilibrium.nash import Equilibrium, solve
from dtao_agents.evaluation.statistics import bootstrap
from dtao_agents.oracles.frictionless import SOLVER, frictionless_game, planners_grant
from dtao_agents.oracles.table import SHARE_TOLERANCE
from dtao_agents.probe.checks import Check, log_odds_check
from dtao_agents.probe.market_controls import (
    demand_survives,
    dilution_is_inert,
    no_effect_check,
    one_pot,
    paired_effect,
    realistic_prices,
)
from dtao_agents.probe.size import Changes, Control, Size, world
from dtao_gym.economy.builder_theory import (
    Technology,
    fee_values,
    planner_values,
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
    "price_burn_gate_rank",
    "tao_flow",
    "net_flow",
    "root_vote",
)
"""Allocation rules of the probe."""
PAYMENTS = ("alpha", "direct")
DELAYS = (30.0, 180.0, 360.0)
"""Mean days from research to knowledge in NC2."""
EXACT_PAY = 1e-6
"""Largest relative difference of pay that is equal up to the order of summation."""
EXACT_ODDS = 0.05
"""Tolerance, log-odds, where the expected share is exact up to the error of the fitted parabola."""
GRANT_ODDS = SHARE_TOLERANCE["S"]
"""Tolerance, log-odds, where stocks are at their steady state only on average."""
SAME = 1e-9
"""Relative difference of two runs that are equal up to the order of summation."""


class _EqualSeeds:
    """A game with the payoffs of each seed divided by their mean, so that seeds weigh the same."""

    capitalisation: float | None = None

    def __init__(self, game: BuilderGame):
        self.game = game

    def payoffs(self, research_share: float, candidates: np.ndarray) -> Payoffs:
        return _over_their_mean(self.game.payoffs(research_share, candidates))

    def influence_payoffs(self, influence_share: float, candidates: np.ndarray) -> Payoffs:
        """Payoffs of shares of influence in the budget."""
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
    """NC1: research with the technology of product.

    Half of the budget is the equilibrium wherever pay depends on value: three quarters for research and three quarters
    for product earn the same, seed by seed.
    """
    same: dict[str, Any] = {
        "delay_days": 0.0,
        "knowledge_half_life_days": 30.0,
        "research_productivity": 0.1,
        "hype": 0.0,
        "spillover": 0.0,
        "research_luck_sd": 0.0,
        "salvage": 0.0,  # a new builder would inherit knowledge, but no product
    }
    one_to_three = share_of(np.array([-np.log(3.0), np.log(3.0)]))
    checks = []
    for allocation, payment, pruning in _arms():
        # net flows are differences of large flows; fast trade would amplify their rounding
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


def fee_equals_planner(size: Size, technology: Changes) -> list[Check]:
    """NC2: builders who are paid their own value choose as a planner without spillovers, at every delay.

    Two tests: with random ends, against the closed form for these ends; in a world without frictions, against the
    closed form of an infinite horizon.
    """
    checks = []
    seeds = size.seeds
    size = size._replace(cap_days=8_000)
    for delay in DELAYS:
        fee: dict[str, Any] = {"payment": "fee", "delay_days": delay}
        alike: dict[str, Any] = {
            "type_sd": 0.0,
            "research_luck_sd": 0.0,
        }  # only the ends are random
        config = world(size, technology, **fee, **alike, finance=False, pruning=False)
        ends = [end_of_life(config, (j + 0.5) / seeds) for j in range(seeds)]
        alive = np.array([np.mean([end > day for end in ends]) for day in range(max(ends))])
        paid = spending_weights_over(
            Technology(delay_days=delay), fee_values(), for_constant_policy(alive)
        )
        name = f"fee, delay {delay:g} d"
        expected = float(log_odds(research_share(paid)))
        equilibrium = solve(BuilderGame(config, range(seeds)), 0.5, size.solver)
        setting = f"{name}, random ends"
        checks.append(log_odds_check("NC2", setting, expected, equilibrium, EXACT_ODDS))
        plain = Technology(delay_days=delay, spillover=0.0)
        expected = float(log_odds(research_share(spending_weights(plain, planner_values(plain)))))
        equilibrium = solve(frictionless_game(**fee | dict(technology)), 0.5, SOLVER)
        setting = f"{name}, frictionless"
        checks.append(log_odds_check("NC2", setting, expected, equilibrium, EXACT_ODDS))
    return checks


def speed_of_the_moving_price(size: Size, technology: Changes) -> list[Check]:
    """NC3: a moving average delays all pay alike, so that its speed has no effect."""
    arm: dict[str, Any] = {"allocation": "price", "payment": "direct", "pruning": False}
    gap = paired_effect(
        *(
            world(size, technology, **arm, finance=False, moving_price_variant=speed)
            for speed in ("slow", "fast")
        )
    )
    return [no_effect_check("NC3", "price, direct: slow less fast", gap)]


def milestone_grant(size: Size, technology: Changes) -> list[Check]:
    """NC4: a milestone grant leads an uninformed market to the planner's research share."""
    market = {"informed_share_stakers": 0.0, "milestone_grant_tao": planners_grant()}
    game = frictionless_game(**market | dict(technology))
    planner = spending_weights(Technology(), planner_values(Technology()))
    expected = float(log_odds(research_share(planner)))
    equilibrium = solve(game, 0.6, SOLVER)
    setting = "price, alpha, milestone grant"
    return [log_odds_check("NC4", setting, expected, equilibrium, GRANT_ODDS)]


def names_and_units(size: Size, technology: Changes) -> list[Check]:
    """NC5: permuting subnets permutes the outcome, and changing the unit of TAO rescales it."""
    checks = []
    for allocation in ("price", "tao_flow", "root_vote"):
        config = world(size, technology, allocation=allocation, payment="direct", n_stakers=0)
        setting = f"{_name(allocation, 'direct')}: slots permuted, largest difference"
        gap = _gap_of_permuted_slots(config, min(size.seeds, 8))
        checks.append(Check("NC5", setting, 0.0, gap, gap <= SAME, tolerance=f"{SAME:g} rel."))
        setting = (
            f"{_name(allocation, 'direct')}: unit of 0.1 TAO, income over ten times that in TAO"
        )
        ratio = _income_ratio(size, technology, allocation)
        ok = abs(ratio - 1.0) <= SAME
        checks.append(Check("NC5", setting, 1.0, ratio, ok, tolerance=f"{SAME:g}"))
    return checks


def _gap_of_permuted_slots(config: Config, seeds: int, days: int = 360) -> float:
    batch, permuted = Batch(config, seeds), Batch(config, seeds)
    order = np.random.default_rng(0).permutation(batch.layout.n_subnets)
    permuted.state.fields[...] = batch.state.fields[:, :, order]
    batch.step(days=days)
    permuted.step(days=days)
    fields, expected = permuted.state.fields, batch.state.fields[:, :, order]
    scale = np.maximum(np.abs(expected).max(axis=2, keepdims=True), 1e-3)
    return float((np.abs(fields - expected) / scale).max())


def _income_ratio(size: Size, technology: Changes, allocation: str, days: int = 720) -> float:
    """Largest ratio of incomes when all amounts of TAO are multiplied by ten, over ten.

    Budgets are fixed, so that production stays the same. Root's weight compares TAO with alpha and has the inverse
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
            news_size_exponent=0.0,  # pool size has a unit
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
    paid = (incomes[0] != 0.0) | (incomes[1] != 0.0)  # flow rules may pay some subnets nothing
    ratio = incomes[1][paid] / incomes[0][paid]
    return float(ratio[np.abs(ratio - 1.0).argmax()])


def constant_pay(size: Size, technology: Changes) -> list[Check]:
    """NC6: equal shares of the emission, paid directly, leave the research share indeterminate."""
    config = world(size, technology, allocation="uniform", payment="direct", pruning=False)
    equilibrium = _solved(size, config)
    share = equilibrium.research_share
    ok = equilibrium.verdict == "indeterminate" and share is None
    got = equilibrium.verdict if share is None else share
    return [Check("NC6", _name("uniform", "direct", False), "indeterminate", got, ok)]


def renamed_institution(size: Size, technology: Changes) -> list[Check]:
    """NC7: the same institution under two names gives the same results.

    With the price rule, the era of one week in June 2026 equals that of the probe; neither random numbers nor the
    search may depend on the name.
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
    difference = paired_difference(
        *(_solved(size, world(size, technology, **arm, era=era)) for era in eras)
    )
    ok = tuple(difference) == (0.0, 0.0, 0.0)
    where = f"{_name('price', 'alpha', False)}: the same, log-odds"
    checks.append(Check("NC7", where, 0.0, difference.value, ok, *difference[1:], "exact"))
    return checks


def influence_on_the_informed(size: Size, technology: Changes) -> list[Check]:
    """NC8: where all stakers and voters are informed, the best spending on influence is zero."""
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
    "NC2": fee_equals_planner,
    "NC3": speed_of_the_moving_price,
    "NC4": milestone_grant,
    "NC5": names_and_units,
    "NC6": constant_pay,
    "NC7": renamed_institution,
    "NC8": influence_on_the_informed,
    "NC9": demand_survives,
    "NC10": dilution_is_inert,
    "POT": one_pot,
    "REALISM": realistic_prices,
}
"""Controls by id."""
