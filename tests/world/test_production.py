"""Builders inside the engine: stocks day by day, the public signal, targets, and what a dissolution ends."""

import numpy as np
import pytest

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.prehistory import parameters_of_world
from dtao_gym.world.shocks import ECONOMY, normal, philox, uniform

STEADY = {"arrivals_per_slot_year": 0.0}
QUIET = STEADY | {"trade_speed": 0.0, "revenue_share": 0.0, "root_claim_hazard": 0.0}
LONG = 1e9


def rows(batch: Batch, *names: str, world: int = 0) -> list[np.ndarray]:
    """Copies of rows of one world."""
    return [batch.state.row(name)[world].copy() for name in names]


def shocks_of(batch: Batch, world: int = 0) -> np.ndarray:
    """(3 normal numbers and 1 uniform one, subnets) of the day to come: luck, opinion, signal, success."""
    record, draws = batch.state.worlds[world], []
    for stream in batch.state.row("stream_id")[world]:
        key = int(record["world_key"]), int(record["episode"]), 0, int(record["day"])
        a, b, c, d = (np.uint64(word & (2**64 - 1)) for word in philox(*key, int(stream), ECONOMY))
        draws.append((normal(a), normal(b), normal(c), uniform(d)))
    return np.array(draws).T


# --- stocks


@pytest.mark.parametrize(("stages", "delay"), [(3, 30.0), (1, 1.0), (2, 2.0), (3, 0.0)])
def test_production_by_hand(stages, delay):
    config = Config.make(
        STEADY, genesis="drawn", n_subnets=4, delay_stages=stages, delay_days=delay, influence=True,
        influence_share=0.2, signal_noise_sd=0.2, success_probability=0.6, curvature=0.6,
    )  # fmt: skip
    batch = Batch(config)
    p, state = batch.parameters[0], batch.state
    random = np.random.default_rng(0)
    for name in ("research_share", "influence_share", "spend_rate"):
        state.row(name)[0] = random.uniform(0.05, 0.2, 4)
    state.row("influence_stock")[0] = random.uniform(0.0, 1.0, 4)
    for _ in range(3):
        short, knowledge, influence, treasury, able, opinion = rows(
            batch, "short_stock", "knowledge", "influence_stock", "treasury", "ability", "opinion"
        )
        pipeline = state.section("pipeline")[0].copy()
        luck_number, opinion_number, noise, chance = shocks_of(batch)
        share, influence_share, spend = rows(
            batch, "research_share", "influence_share", "spend_rate"
        )
        day = int(state.worlds["day"][0])
        batch.step()

        budget = spend * treasury  # of yesterday's treasury, never of today's income
        assert rows(batch, "budget")[0] == pytest.approx(budget, rel=1e-14)
        research = share * (1 - influence_share) * budget
        work = (1 - share) * (1 - influence_share) * budget
        made = able * config.research_productivity * research**0.6
        expected = (1 - p["short_decay"]) * short + able * 0.1 * work**0.6
        assert rows(batch, "short_stock")[0] == pytest.approx(expected, rel=1e-12)
        moving = [made, *((stages / delay) * pipeline if delay else ())]
        staged = [
            z + come - gone for z, come, gone in zip(pipeline, moving[:-1], moving[1:], strict=True)
        ]
        for stage, expected_stage in zip(state.section("pipeline")[0], staged, strict=True):
            assert stage == pytest.approx(expected_stage, rel=1e-12)
        luck = np.exp(0.8 * luck_number - 0.32) * np.where(chance < 0.6, 1 / 0.6, 0.0)
        arrived = moving[-1] * luck
        expected_knowledge = (1 - p["knowledge_decay"]) * knowledge + arrived
        assert rows(batch, "knowledge")[0] == pytest.approx(expected_knowledge, rel=1e-12)
        attention = (1 - p["influence_decay"]) * influence + 0.05 * (
            influence_share * budget
        ) ** 0.6
        assert rows(batch, "influence_stock")[0] == pytest.approx(attention, rel=1e-12)
        heard = p["opinion_persistence"] * opinion + p["opinion_innovation_sd"] * opinion_number
        assert rows(batch, "opinion")[0] == pytest.approx(heard, rel=1e-12)
        shown = (1.5 * expected + expected_knowledge + attention) * np.exp(0.2 * noise)
        place = day % batch.layout.signal_days
        assert state.section("signal_history")[0, place] == pytest.approx(shown, rel=1e-12)

        world = state.worlds[0]
        true = expected + expected_knowledge
        true += 0.5 / 3 * (expected_knowledge.sum() - expected_knowledge)
        assert rows(batch, "true_value")[0] == pytest.approx(true, rel=1e-12)
        cost = (budget * (1 - 0.5 * influence_share)).sum()
        assert world["welfare"] == pytest.approx(true.sum() - cost, rel=1e-12)


def test_what_users_get_is_what_builders_contribute():
    config = Config.make(n_subnets=6, empty_slots=2, spillover=1.3, arrivals_per_slot_year=2.0)
    batch = Batch(config, 3)
    for _ in range(20):
        batch.step(days=20)
        short, knowledge = batch.state.row("short_stock"), batch.state.row("knowledge")
        contributed = (short + 2.3 * knowledge).sum(axis=1)
        assert batch.state.row("true_value").sum(axis=1) == pytest.approx(contributed, rel=1e-12)
    assert (batch.state.worlds["registrations"] > 2).all()


def pulse(stages: int, delay: float, days: int) -> np.ndarray:
    """Knowledge at the end of each day after one day of research, from zero stocks and without decay."""
    config = Config.make(
        QUIET, genesis="symmetric", n_subnets=1, type_sd=0.0, research_luck_sd=0.0,
        knowledge_half_life_days=LONG, delay_stages=stages, delay_days=delay, reinvest_share=0.0,
    )  # fmt: skip
    batch = Batch(config)
    for name in ("short_stock", "knowledge"):
        batch.state.row(name)[:] = 0.0
    batch.state.section("pipeline")[:] = 0.0
    batch.state.row("spend_rate")[:] = batch.state.row("research_share")[:] = 1.0
    knowledge = []
    for _ in range(days):
        batch.step()
        knowledge.append(batch.state.row("knowledge")[0, 0])
    assert batch.state.row("treasury")[0, 0] == 0.0
    made = config.research_productivity * config.initial_treasury_tao**0.5
    return np.array(knowledge) / made


@pytest.mark.parametrize(("stages", "delay"), [(1, 1.0), (1, 20.0), (3, 3.0), (3, 30.0), (5, 50.0)])
def test_research_arrives_after_a_delay_with_the_mean_and_spread_of_its_stages(stages, delay):
    knowledge = pulse(stages, delay, int(15 * delay) + 10)
    assert (knowledge[:stages] == 0.0).all()  # a day in each stage at least
    assert knowledge[stages] > 0.0
    arrived = np.diff(knowledge, prepend=0.0)
    days = np.arange(arrived.size)
    rate = stages / delay
    assert arrived.sum() == pytest.approx(1.0, rel=1e-4)
    mean = (days * arrived).sum() / arrived.sum()
    assert mean == pytest.approx(delay, rel=1e-3)
    variance = (days**2 * arrived).sum() / arrived.sum() - mean**2
    assert variance == pytest.approx(stages * (1 - rate) / rate**2, rel=1e-2, abs=1e-3)


def test_without_delay_research_is_knowledge_tonight():
    assert pulse(3, 0.0, 3) == pytest.approx([1.0, 1.0, 1.0], rel=1e-8)


def test_luck_spreads_knowledge_and_adds_nothing_to_its_mean():
    config = Config.make(STEADY, genesis="drawn", n_subnets=3, finance=False, delay_days=20.0)
    plain = Batch(Config.make(config, research_luck_sd=0.0))
    for changes in ({"research_luck_sd": 1.0}, {"success_probability": 0.1}):
        lucky = Batch(Config.make(config, **changes), 200, seeds=[0] * 200)
        # one genesis, two hundred fates
        lucky.state.worlds["world_key"] = 1000 + np.arange(200)
        lucky.state.row("knowledge")[:] = 0.0
        lucky.step(days=200)
        if plain.state.worlds["day"][0] == 0:
            plain.state.row("knowledge")[:] = 0.0
            plain.step(days=200)
        knowledge, expected = lucky.state.row("knowledge"), plain.state.row("knowledge")[0]
        spread = knowledge.std(axis=0)
        assert (np.abs(knowledge.mean(axis=0) - expected) < 4.0 * spread / 200**0.5).all()
        assert (spread > 0.05 * expected).all()


# --- targets


def test_targets_by_hand():
    config = Config.make(
        PREDICTABLE | STEADY, genesis="drawn", n_subnets=5, hype=0.8, momentum=0.4, yield_sensitivity=1.5,
        informed_share_stakers=0.35, signal_lag_days=3, momentum_lag_days=4, trade_speed=0.3,
        influence=True, influence_share=0.2, delay_days=20.0,
    )  # fmt: skip
    batch = Batch(config)
    p, state, prices, signals = parameters_of_world(config), batch.state, [], []
    for _ in range(12):
        place = int(state.worlds["day"][0]) % batch.layout.signal_days
        prices.append(rows(batch, "spot_price")[0])
        opinion, short, knowledge, gain = rows(
            batch, "opinion", "short_stock", "knowledge", "stake_yield"
        )
        alpha_in, alpha_out, first = rows(
            batch, "alpha_reserve", "alpha_outstanding", "alpha_genesis"
        )
        pipeline = state.section("pipeline")[0].copy()
        batch.step()
        signals.append(state.section("signal_history")[0, place].copy())
    # the signal of four evenings before: three days old on the evening of the decision
    signal, past = signals[-5], prices[-5]
    # what a step reads of the evening before it
    trend = np.clip(np.log(prices[-1] / past), -1.0, 1.0)
    tilt = np.exp(opinion + 0.4 * trend + 1.5 * 365 * (gain - gain.mean()))
    q = p["stage_discount"]
    informed = p["worth_of_short"] * short
    informed += p["worth_of_knowledge"] * (knowledge + [q**3, q**2, q] @ pipeline)
    pooled = 0.35 * informed + 0.65 * config.pooled_capitalisation * signal * tilt
    expected = p["price_of_capital"] * pooled / ((alpha_in + alpha_out) / first)
    assert rows(batch, "target_price")[0] == pytest.approx(expected, rel=1e-12)


def test_who_does_not_see_the_pipeline_does_not_pay_for_it():
    seen, unseen = (
        Batch(Config.make(QUIET, n_subnets=4, pipeline_visible=v, genesis_multiple=100.0))
        for v in (True, False)
    )
    p, state = seen.parameters[0], unseen.state
    plain = p["worth_of_short"] * state.row("short_stock")[0]
    plain += p["worth_of_knowledge"] * state.row("knowledge")[0]
    assert state.row("informed_value")[0] == pytest.approx(plain, rel=1e-12)
    short, knowledge, value = rows(seen, "short_stock", "knowledge", "informed_value")
    without = p["worth_of_short"] * short + p["worth_of_knowledge"] * knowledge
    assert (value > 1.01 * without).all()


# --- the end of an owner and the end of a world

CROWDED = {
    "arrivals_per_slot_year": 6.0, "entry_value_tao": 1e6, "entry_value_sd": 0.0,
    "outside_initial_tao": 1e6, "immunity_days": 0.0, "start_delay_days": 0,
}  # fmt: skip


def until_pruned(batch: Batch, also: Batch | None = None) -> tuple[int, object]:
    """Step to the first dissolution, the other batch too: the slot, and the state of the evening before."""
    for _ in range(400):
        before = batch.state.copy()
        batch.step()
        if also is not None:
            also.step()
        gone = batch.state.row("owner_number")[0] > before.row("owner_number")[0]
        if gone.any():
            return int(gone.argmax()), before
    raise AssertionError("nobody went")


@pytest.mark.parametrize("salvage", [0.0, 0.5, 1.0])
def test_an_entrant_finds_salvaged_knowledge_and_nothing_else(salvage):
    config = Config.make(CROWDED, n_subnets=5, salvage=salvage, influence=True, influence_share=0.1)
    batch = Batch(config)
    # the same world without founders, to know what the slot held on the evening
    left_alone = Batch(Config.make(config, arrivals_per_slot_year=0.0))
    slot, before = until_pruned(batch, left_alone)
    kept = salvage * left_alone.state.row("knowledge")[0, slot]
    state = batch.state
    assert state.row("knowledge")[0, slot] == kept
    assert (state.section("signal_history")[0, :, slot] == kept).all()
    assert not state.section("pipeline")[0, :, slot].any()
    for name in ("short_stock", "influence_stock", "grant_due", "income", "budget", "opinion"):
        assert state.row(name)[0, slot] == 0.0, name
    assert state.row("treasury")[0, slot] == config.initial_treasury_tao
    assert state.row("ability")[0, slot] not in before.row("ability")[0]
    assert state.row("influence_share")[0, slot] == 0.1
    p = batch.parameters[0]
    assert state.row("informed_value")[0, slot] == pytest.approx(p["worth_of_knowledge"] * kept)
    others = np.delete(state.row("knowledge")[0], slot).sum()
    assert state.row("true_value")[0, slot] == pytest.approx(kept + 0.5 * others / 4, rel=1e-12)
    batch.step()
    reference = state.row("dilution_alpha")[0, slot]
    assert reference == config.dilution_reference_alpha


def test_entrants_draw_types_with_mean_one():
    batch = Batch(Config.make(CROWDED, n_subnets=8, empty_slots=24, pruning=False), 60)
    batch.step(days=240)
    able = np.log(batch.state.row("ability")[:, 8:])
    assert (batch.state.row("registered_block")[:, 8:] > 0).all()
    assert able.std() == pytest.approx(0.5, rel=0.05)
    assert np.exp(able).mean() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("horizon", ["fixed", "geometric"])
def test_consumption_goes_on_and_the_first_owners_payoff_ends_with_it(horizon):
    config = Config.make(CROWDED, n_subnets=4, horizon=horizon, builder_discount_per_year=0.9)
    batch = Batch(config, seeds=[3])
    daily = 0.1 ** (1 / 365) / (0.8 ** (1 / 365) if horizon == "geometric" else 1.0)
    consumed, payoff, number = np.zeros(4), np.zeros(4), np.zeros(4)
    for day in range(150):
        income_before = rows(batch, "consumed")[0]
        batch.step()
        now = rows(batch, "consumed")[0]
        eaten = now - income_before
        consumed += eaten
        payoff += daily**day * eaten * (number == 0)
        number = rows(batch, "owner_number")[0]
    assert batch.state.worlds["day"][0] == 150
    assert (number > 0).sum() > 0
    assert number.max() > 1
    assert rows(batch, "consumed")[0] == pytest.approx(consumed, rel=1e-12)
    assert rows(batch, "first_owner_payoff")[0] == pytest.approx(payoff, rel=1e-9)
    early = number > 0
    assert (rows(batch, "first_owner_payoff")[0][early] < consumed[early]).all()


def test_on_the_day_of_its_end_an_owner_still_consumes_what_it_earned():
    batch = Batch(Config.make(CROWDED, n_subnets=4))
    left_alone = Batch(Config.make(CROWDED, n_subnets=4, arrivals_per_slot_year=0.0))
    slot, before = until_pruned(batch, left_alone)
    for name in ("consumed", "first_owner_payoff"):
        ended, alive = batch.state.row(name)[0, slot], left_alone.state.row(name)[0, slot]
        assert ended == alive > before.row(name)[0, slot]
    earlier = batch.state.row("first_owner_payoff")[0, slot]
    batch.step(days=20)
    assert batch.state.row("first_owner_payoff")[0, slot] == earlier
    assert batch.state.row("consumed")[0, slot] > ended


def test_sums_over_the_run_are_those_of_its_days():
    batch = Batch(Config.make(STEADY, n_subnets=4, influence=True, influence_share=0.3))
    sums = dict.fromkeys(("welfare", "research", "work", "influence", "informed", "plain"), 0.0)
    for day in range(40):
        batch.step()
        weight = 0.8 ** (day / 365)
        budget, value, short, knowledge = rows(
            batch, "budget", "informed_value", "short_stock", "knowledge"
        )
        sums["welfare"] += weight * batch.state.worlds["welfare"][0]
        sums["research"] += weight * (0.3 * 0.7 * budget).sum()
        sums["work"] += weight * (0.7 * budget).sum()
        sums["influence"] += weight * (0.3 * budget).sum()
        sums["informed"] += value.sum()
        sums["plain"] += (short + knowledge).sum()
    names = {"informed": "informed_value_sum", "plain": "plain_value_sum"}
    for name, expected in sums.items():
        total = batch.state.worlds[names.get(name, f"{name}_sum")][0]
        assert total == pytest.approx(expected, rel=1e-12), name
