"""C1: control over emission against closed forms, and what must hold for every institution."""

import numpy as np
import pytest
from dtao_agents.claims import control
from dtao_agents.claims.control import (
    ARENA,
    BEFORE,
    INSTITUTIONS,
    NAKAMOTO,
    ControlSettings,
    concentration,
    concentrations,
    control_of,
    forced_shares,
    institution_world,
    measure,
    pareto_stakes,
    recorded_stakes,
)
from dtao_agents.claims.control_worlds import (
    Push,
    Trials,
    best_responses,
    counted_vote,
    endow,
    pushes,
    stake_trials,
    targets,
    vote_trials,
    warmed_up,
    world_of,
)

from dtao_gym.protocol.coinbase import moving_price_decay, next_moving_price
from dtao_gym.protocol.pool import alpha_for_tao, spot_price, tao_for_alpha
from dtao_gym.world.config_people import LONG

SPANS, DAYS, POOL, PRICE, ROOT = 4, 30, 9.5e5, 0.05, 1e7
MOTIONLESS = ARENA | {
    "genesis": "symmetric",
    "n_subnets": 4,
    "spans_per_day": SPANS,
    "genesis_pool_median": POOL,
    "genesis_price_median": PRICE,
    "emission_per_subnet_tao": 1.0,
    "root_stake_tao": ROOT,
    "moving_price_halving_blocks": 0.0,
    "injection": "block_emission",
    "trade_speed": 0.0,
    "miner_sale_fraction": 0.0,
    "validator_sale_fraction": 0.0,
    "owner_sale_fraction": 0.0,
    "insider_holding_days": LONG,
    "root_claim_hazard": 0.0,
    "revenue_share": 0.0,
    "pool_fee": 0.0,
}
"""Four equal subnets in which nobody trades and emission is nothing beside the pools."""
TINY = ControlSettings.model_validate(
    {
        "worlds": 2,
        "stakes": (1e-3, 0.01, 0.1, 0.35),
        "subnets": (1, 4),
        "warmup_days": 10,
        "holders": 100,
        "world": {"spans_per_day": 1, "n_subnets": 16},
    }
)


def changed(settings, **changes):
    """Settings with fields replaced and checked."""
    return ControlSettings.model_validate(settings.model_dump() | changes)


# --- closed forms


@pytest.mark.parametrize("part", [0.001, 0.05, 0.3])
@pytest.mark.parametrize("speed", ["fast", "slow"])
def test_a_purchase_without_friction_moves_the_share_by_the_closed_form(part, speed):
    config = world_of(MOTIONLESS, allocation="price", moving_price_variant=speed)
    warm = warmed_up(config, [0], 0)
    forced = stake_trials(warm, [part], [Push("largest", 1, DAYS)], DAYS).control[0, 0, 0]

    decay = moving_price_decay({"fast": 3e-4, "slow": 3e-6}[speed], 7200 / SPANS)
    tao, alpha, moving, share = POOL, POOL / PRICE, PRICE, 0.25
    for _ in range(DAYS * SPANS):
        share = moving / (moving + 3.0 * PRICE)
        moving = next_moving_price(moving, spot_price(tao, alpha, 0.5), decay)
        order = part * ROOT / (DAYS * SPANS)
        tao, alpha = tao + order, alpha - alpha_for_tao(tao, alpha, 0.5, order)
    assert spot_price(tao, alpha, 0.5) == pytest.approx(PRICE * (1.0 + part * ROOT / POOL) ** 2)
    # what one subnet gains the other three lose
    assert forced == pytest.approx(200.0 * (share - 0.25), rel=2e-3)


def test_the_cost_without_friction_is_the_fee_of_a_round_trip():
    fee, part = 0.005, 0.05
    push = [Push("largest", 1, DAYS)]
    costs = []
    for charged in (0.0, fee):
        config = world_of(MOTIONLESS | {"pool_fee": charged}, allocation="price")
        costs.append(stake_trials(warmed_up(config, [0], 0), [part], push, DAYS).cost[0, 0, 0])
    paid = part * ROOT * (1.0 - fee)
    alpha = alpha_for_tao(POOL, POOL / PRICE, 0.5, paid)
    back = tao_for_alpha(POOL + paid, POOL / PRICE - alpha, 0.5, alpha * (1.0 - fee))
    # dividends, the same up to the fee, cancel
    assert costs[1] - costs[0] == pytest.approx(part * ROOT - back, rel=0.02)


def test_votes_count_as_in_the_engine_and_as_in_theory():
    warm = warmed_up(institution_world(TINY, "root_vote", "fast"), [3], 5)
    votes = warm.state.row("vote_share")[0]
    whole = warm.state.row("emission_share")[0].sum()
    np.testing.assert_allclose(counted_vote(votes, 0.0, 0), votes / votes.sum(), rtol=1e-12)
    np.testing.assert_allclose(
        whole * counted_vote(votes, 0.0, 0), warm.state.row("emission_share")[0]
    )
    # trust in the others' subnets is 1 - part, in the favourite it is 1
    part, sigmoid = 0.3, lambda trust: 1.0 / (1.0 + np.exp(-10.0 * (trust - 32767 / 65535)))
    weight = (1.0 - part) * votes * sigmoid(1.0 - part)
    weight[2] = ((1.0 - part) * votes[2] + part) * sigmoid(1.0)
    np.testing.assert_allclose(counted_vote(votes, part, 2), weight / weight.sum(), rtol=1e-9)


def test_a_lone_voter_controls_everything():
    config = world_of(MOTIONLESS, allocation="root_vote")
    trials = vote_trials(warmed_up(config, [0], 0), [1.0], 1)
    votes = warmed_up(config, [0], 1).state.row("vote_share")[0]
    np.testing.assert_allclose(trials.control[0, 0], 200.0 * (1.0 - votes), rtol=1e-12)


def test_control_by_vote_does_not_depend_on_the_names_of_subnets():
    random = np.random.default_rng(0)
    votes, order = random.dirichlet(np.ones(9)), random.permutation(9)
    for subnet in range(9):
        there = counted_vote(votes[order], 0.2, int(np.flatnonzero(order == subnet)[0]))
        np.testing.assert_allclose(there, counted_vote(votes, 0.2, subnet)[order], rtol=1e-12)


# --- properties of all institutions


@pytest.mark.parametrize("institution", INSTITUTIONS)
def test_no_stake_forces_nothing_and_more_stake_forces_no_less(institution):
    forced = forced_shares(TINY, institution, "fast")
    assert (np.diff(forced.control.mean(0)) >= 0.0).all()
    assert forced.control[:, -1].min() > 0.0
    assert forced.control.max() <= 200.0 + 1e-9
    none = TINY.model_copy(update={"stakes": (0.0,)})
    # a fund of 1e-12 of all root stake stands for none
    least = 1e-9 if institution == "fund_curated" else 0.0
    assert forced_shares(none, institution, "fast").control.max() <= least


def test_staking_does_not_force_shares_that_nobody_prices():
    forced = {}
    for rule in ("uniform", "root_vote"):
        warm = warmed_up(institution_world(TINY, rule, "fast"), [0], 0)
        forced[rule] = stake_trials(warm, [0.1], pushes((1,), (30,)), DAYS).control
    assert not forced["uniform"].any()
    assert 0.0 < forced["root_vote"].max() < 1.0  # through the treasuries of builders alone


def test_an_actor_takes_its_stake_from_the_others_and_money_is_conserved():
    warm = warmed_up(institution_world(TINY, "price", "fast"), [0, 1], 3)
    root = warm.state.worlds["root_informed"].copy()
    stake = endow(warm.state, np.array([0.0, 0.25]))
    assert stake[0] == 0.0
    assert stake[1] > 1e5
    np.testing.assert_allclose(warm.state.worlds["root_informed"], root * [1.0, 0.75])
    warm.step(days=2)
    assert warm.audit().ok


def test_targets_are_open_to_stake_and_in_their_order():
    state = warmed_up(institution_world(TINY, "price", "fast"), [0], 0).state
    share = state.row("emission_share")[0]
    state.row("emission_enabled")[0, share.argmax()] = 0.0
    largest = targets(state, 0, "largest", 99)
    assert largest.size == 15
    assert share.argmax() not in largest
    assert (np.diff(share[largest]) <= 0.0).all()
    push = state.row("moving_price")[0] / state.row("tao_reserve")[0]
    assert targets(state, 0, "steepest", 1) == largest[push[largest].argmax()]
    leading = targets(state, 0, "leading", 4)
    assert set(leading) == set(largest[:4])
    assert (np.diff(push[leading]) <= 0.0).all()


def test_the_best_response_knows_nothing_of_its_own_world():
    # strategy 1 is the best in all worlds but the first, whose luck favours strategy 0
    outcomes = np.array([[[9.0, 1.0]], [[0.0, 4.0]], [[0.0, 4.0]]])
    assert best_responses(Trials(outcomes, -outcomes)).control[:, 0].tolist() == [1.0, 0.0, 0.0]
    better = np.array([[[0.0, 1.0], [0.0, 0.5]]] * 2)
    chosen = best_responses(Trials(better, -better))
    assert chosen.control.tolist() == [[1.0, 1.0]] * 2
    assert chosen.cost.tolist() == [[-1.0, -1.0]] * 2
    with pytest.raises(ValueError, match="worlds: got 1"):
        best_responses(Trials(outcomes[:1], outcomes[:1]))


# --- concentration


@pytest.mark.parametrize("n", [1, 2, 5, 64, 101])
def test_equal_actors(n):
    equal = concentration(np.full(n, 3.0))
    assert equal.nakamoto == n // 2 + 1
    assert equal.top5 == pytest.approx(min(5 / n, 1.0))
    assert equal.hhi == pytest.approx(1.0 / n)
    assert equal.gini == pytest.approx(0.0, abs=1e-12)


def test_one_actor_with_everything():
    alone = concentration(np.array([0.0, 7.0, 0.0, 0.0]))
    assert (alone.nakamoto, alone.top5, alone.hhi, alone.gini) == (1, 1.0, 1.0, 0.75)


def test_indices_do_not_depend_on_names_or_units():
    control = np.random.default_rng(1).pareto(1.2, (3, 40))
    for index, other in zip(
        concentration(control), concentration(5.0 * control[:, ::-1]), strict=True
    ):
        np.testing.assert_allclose(index, other, rtol=1e-12)
    pairs = np.abs(control[0][:, None] - control[0]).mean()
    assert concentration(control).gini[0] == pytest.approx(pairs / (2.0 * control[0].mean()))


@pytest.mark.parametrize("control", [np.zeros(3), np.array([1.0, -1e-9]), np.array([])])
def test_nobody_in_control_is_an_error(control):
    with pytest.raises(ValueError, match="control: got"):
        concentration(control)


def test_control_between_the_steps_of_the_ladder():
    forced = control_of(
        np.array([0.0, 0.05, 0.1, 0.15, 0.2]), (0.1, 0.2), np.array([[4.0, 6.0], [4.0, 3.0]])
    )
    assert forced.tolist() == [[0.0, 2.0, 4.0, 5.0, 6.0], [0.0, 2.0, 4.0, 4.0, 4.0]]


def test_recorded_stakes_are_those_of_the_chain():
    validators = recorded_stakes("validators-2025-01")
    assert validators.size == 64
    assert validators.sum() == pytest.approx(1.0)
    assert validators[0] == pytest.approx(1894367.1250 / 5443637.0, rel=1e-4)
    assert validators[:11].sum() == pytest.approx(0.99997, abs=1e-5)
    assert concentration(validators).nakamoto == 3
    hotkeys = recorded_stakes("hotkeys-2023-03")
    assert hotkeys.size == 512
    assert (np.diff(hotkeys) <= 0.0).all()


def test_a_smaller_exponent_is_more_concentrated():
    top5 = [pareto_stakes(1000, exponent)[:5].sum() for exponent in (1.0, 1.2, 1.6, 50.0)]
    assert top5 == sorted(top5, reverse=True)
    assert top5[-1] < 0.01


# --- findings


def test_findings():
    said = []
    settings = changed(TINY, institutions=("price", "root_vote"), speeds=("slow",), reported=(0.1,))
    findings = measure(settings, said.append)
    assert said == ["C1: votes", "C1: price, slow moving price"]
    named = concentrations(settings)
    by_vote = {
        f.setting: f for f in findings if f.institution == "root_vote" and f.measure == NAKAMOTO
    }
    assert set(by_vote) == set(named)
    assert by_vote[BEFORE].estimate == (3.0, 3.0, 3.0)
    assert by_vote[BEFORE].verdict == "refuted"
    assert by_vote["512 hotkeys of March 2023"].verdict == "supported"
    market = {f.setting: f for f in findings if f.institution == "price" and f.measure == NAKAMOTO}
    less = {
        f.setting: f.estimate.value
        for f in findings
        if f.institution == "price" and f.measure.endswith(f"by {BEFORE}")
    }
    for name in named:
        setting = f"slow, {name}"
        assert less[setting] == market[setting].estimate.value - 3.0
    costs = {f.institution: f for f in findings if f.measure == "cost of a share point"}
    assert costs["root_vote"].estimate == (0.0, 0.0, 0.0)
    assert costs["root_vote"].samples == 0
    assert costs["price"].estimate.value > 0.0
    assert costs["price"].samples == 2
    assert findings == measure(settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"institutions": ("uniform",)}, "institutions: got"),
        ({"stakes": (0.2, 0.1)}, "stakes: got"),
        ({"stakes": (0.001, 0.01, 0.1)}, "the largest of 64 validators of January 2025"),
        ({"reported": (0.02,)}, "reported: got"),
        ({"order_days": (31,)}, "order_days, subnets: got"),
        ({"pareto_exponents": (-1.0,)}, "pareto_exponents: got -1.0"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        changed(TINY, **changes)


def test_quick_settings_are_valid():
    assert ControlSettings.model_validate(control.QUICK.model_dump()) == control.QUICK
