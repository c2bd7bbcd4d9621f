"""Builders before genesis: prices start where stakers think them right, and types fit to prices."""

import numpy as np
import pytest

from dtao_gym.economy import builder_theory
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import chosen_subnets, genesis
from dtao_gym.world.parameters import parameters
from dtao_gym.world.prehistory import builders, market, parameters_of_world, prehistory
from dtao_gym.world.snapshot import SNAPSHOT_NAMES, Snapshot

JUNE, APRIL = SNAPSHOT_NAMES[:2]
SIGMA = 0.5

# --- the target of the first day


@pytest.mark.parametrize("genesis_name", [JUNE, APRIL, "drawn", "symmetric"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pipeline_visible": False},
        {"hype": 0.0},
        {"hype": 4.0, "informed_share_stakers": 0.0},
        {"informed_share_stakers": 1.0, "pipeline_visible": False},
        {"informed_share_stakers": 0.7, "delay_days": 0.0},
        {"genesis_multiple": 20.0, "type_sd": 1.0},
        {"genesis_stocks": "steady_state", "research_share": 0.8},
        {"pool_depth": 0.1, "valuer_discount_per_year": 0.9},
        {"revenue_share": 0.0, "pooled_capitalisation": 100.0},
        {"spillover": 2.0, "payment": "direct", "allocation": "root_vote"},
    ],
)
def test_the_first_target_is_the_spot_price_of_every_subnet(genesis_name, changes):
    quiet = {"news_sd": 0.0, "opinion_noise_sd": 0.0, "arrivals_per_slot_year": 0.0}
    config = Config.make(changes, genesis=genesis_name, **quiet)
    batch = Batch(config, 2)
    spot = batch.state.row("spot_price").copy()
    batch.state.row("target_price")[:] = 0.0
    batch.step()
    assert batch.state.row("target_price") == pytest.approx(spot, rel=1e-9)


# --- the multiple


def unit_value(age_days: int, config: Config) -> float:
    """Stakers' value of a builder of this age that spends as configured, from zero stocks."""
    technology, day_zero = (
        builder_theory.Technology(),
        builder_theory.no_stocks(builder_theory.Technology()),
    )
    research = config.genesis_research_share * config.genesis_budget_tao
    spending = builder_theory.Uses(config.genesis_budget_tao - research, research)
    stocks = day_zero
    for _ in range(max(age_days, 30)):
        stocks = builder_theory.next_stocks(technology, stocks, spending)
    values = builder_theory.market_values(
        technology, config.informed_share_stakers, config.pooled_capitalisation
    )
    return builder_theory.total_value(stocks, values)


def test_the_multiple_is_that_at_which_builders_are_as_able_as_the_mean():
    config, chain = Config(), Snapshot.named(JUNE)
    ages = (chain.age_blocks // 7200).astype(int)
    worth = np.array([unit_value(age, config) for age in ages])
    ratio = np.log(chain.spot_price) - np.log(config.revenue_share * worth / 21e6)
    expected = np.exp(ratio.mean() + SIGMA**2 / 2)
    fit = prehistory(config)
    assert fit.multiple == pytest.approx(expected, rel=1e-9)
    assert fit.multiple == pytest.approx(141.6, rel=0.02)
    assert fit.log_factor == pytest.approx(ratio - np.log(expected), rel=1e-9, abs=1e-9)
    assert fit.log_factor.mean() == pytest.approx(-(SIGMA**2) / 2, rel=1e-9)


def test_a_given_multiple_is_taken_and_stocks_answer_for_it():
    given, fitted = prehistory(Config(genesis_multiple=70.0)), prehistory(Config())
    assert given.multiple == 70.0
    shift = np.log(fitted.multiple / 70.0)
    assert given.log_factor == pytest.approx(fitted.log_factor + shift, rel=1e-9)


def test_without_revenue_the_price_of_capital_keeps_its_scale():
    with_users = parameters_of_world(Config(revenue_share=0.2))["price_of_capital"]
    assert parameters_of_world(Config(revenue_share=0.0))["price_of_capital"] == with_users
    more = parameters_of_world(Config(revenue_share=0.4))["price_of_capital"]
    assert more == pytest.approx(with_users, rel=1e-12)  # half the multiple for twice the revenue
    assert parameters(Config())["price_of_capital"] == 0.0  # fitted at genesis and not before


def test_all_drawn_worlds_have_one_multiple():
    config = Config(genesis="drawn")
    multiples = {prehistory(config, key, episode).multiple for key in (0, 1) for episode in (0, 5)}
    assert len(multiples) == 1
    records = Batch(config, 3).parameters["price_of_capital"]
    assert (records == records[0]).all()


def test_stocks_are_the_supposed_builders_times_a_factor():
    config = Config(type_sd=0.0)
    state, before = genesis(config, 0, 0), prehistory(config)
    factor = np.exp(before.log_factor)
    assert state.row("short_stock")[0] == pytest.approx(factor * before.profile[:, 0], rel=1e-12)
    assert state.row("knowledge")[0] == pytest.approx(factor * before.profile[:, 1], rel=1e-12)
    pipeline = state.section("pipeline")[0]
    assert pipeline == pytest.approx(factor * before.profile[:, 2:].T, rel=1e-12)


def test_a_steady_state_is_one():
    config = Config(genesis="symmetric", genesis_stocks="steady_state", research_share=0.6)
    budget = config.genesis_budget_tao
    expected = builder_theory.steady_stocks(
        builder_theory.Technology(), builder_theory.Uses(0.4 * budget, 0.6 * budget)
    )
    profile = prehistory(config).profile[0]
    assert profile == pytest.approx([expected.short, expected.knowledge, *expected.pipeline])


def test_symmetric_subnets_differ_in_their_types_alone():
    state = genesis(Config(genesis="symmetric", n_subnets=6), 3, 0)
    for name in ("tao_reserve", "spot_price", "short_stock", "knowledge", "informed_value"):
        assert len(set(state.row(name)[0])) == 1, name
    assert len(set(state.row("ability")[0])) == 6
    same = genesis(Config(genesis="symmetric", n_subnets=6, type_sd=0.0), 3, 0)
    assert (same.row("ability") == 1.0).all()


# --- types


def types(n_seeds: int, **config) -> tuple[np.ndarray, np.ndarray]:
    """(abilities, log factors), (seeds, subnets) each."""
    made = Config.make(config)
    able, factors = [], []
    for seed in range(n_seeds):
        state = genesis(made, seed, 0)
        chosen = chosen_subnets(made, seed, 0)
        able.append(state.row("ability")[0])
        factors.append(prehistory(made, *_key(made, seed)).log_factor[chosen])
    return np.array(able), np.array(factors)


def _key(config: Config, seed: int) -> tuple[int, int]:
    return (seed, 0) if config.genesis == "drawn" else (0, 0)


def test_types_of_a_snapshot_have_mean_one_and_keep_their_spread():
    able, _ = types(100)
    assert able.mean() == pytest.approx(1.0, abs=0.02)
    assert np.log(able).std() == pytest.approx(SIGMA, rel=0.02)
    assert np.log(able).mean() == pytest.approx(-(SIGMA**2) / 2, abs=0.01)


@pytest.mark.parametrize("name", [JUNE, "drawn"])
def test_types_keep_their_spread_even_where_it_is_above_that_of_prices(name):
    able, _ = types(100, genesis=name, n_subnets=64, type_sd=1.0, selection="sample")
    assert np.log(able).std() == pytest.approx(1.0, rel=0.03)
    assert able.mean() == pytest.approx(1.0, abs=0.08)


def test_a_dear_subnet_is_a_better_one_as_far_as_types_explain_prices():
    able, factors = types(100)
    spread = factors.std() ** 2
    slope, start = np.polyfit(factors.ravel(), np.log(able).ravel(), 1)
    expected = SIGMA**2 / spread
    assert slope == pytest.approx(expected, rel=0.03)
    middle = -(SIGMA**2) / 2
    assert start + slope * middle == pytest.approx(middle, abs=0.01)
    noise = np.log(able) - start - slope * factors
    assert noise.std() == pytest.approx(SIGMA * np.sqrt(1 - expected), rel=0.02)


@pytest.mark.parametrize("sd", [0.25, 0.5])
def test_types_of_large_drawn_worlds_have_mean_one(sd):
    able, _ = types(100, genesis="drawn", n_subnets=64, type_sd=sd)
    assert able.mean() == pytest.approx(1.0, abs=0.02)
    assert np.log(able).std() == pytest.approx(sd, rel=0.03)


def test_where_prices_say_nothing_types_are_drawn():
    able, _ = types(300, genesis="symmetric", n_subnets=16)
    assert able.mean() == pytest.approx(1.0, abs=0.03)
    assert np.log(able).std() == pytest.approx(SIGMA, rel=0.03)
    worlds = np.log(able).mean(axis=1)
    assert worlds.std() == pytest.approx(SIGMA / 4, rel=0.15)  # independent of each other


def test_types_are_drawn_by_key_of_world_and_subnet_alone():
    config = Config(n_subnets=8)
    first = genesis(config, 4, 2).row("ability")[0]
    for changes in ({"payment": "direct"}, {"allocation": "root_vote"}, {"spans_per_day": 1}):
        assert (genesis(Config.make(config, **changes), 4, 2).row("ability")[0] == first).all()
    assert not (genesis(config, 5, 2).row("ability")[0] == first).any()
    assert not (genesis(config, 4, 3).row("ability")[0] == first).any()
    # a subnet takes its type along when slots are relabelled
    chosen = chosen_subnets(config, 4, 2)
    streams = genesis(config, 4, 2).row("stream_id")[0]
    order = np.random.default_rng(0).permutation(8)
    stocks, able = builders(config, chosen[order], streams[order], 4, 2)
    assert (able == first[order]).all()
    assert (stocks == builders(config, chosen, streams, 4, 2)[0][order]).all()


# --- drawn markets


def test_drawn_markets_have_the_statistics_that_were_asked_for():
    config = Config(genesis="drawn", n_subnets=100)
    markets = [market(config, key, 0) for key in range(40)]
    price = np.log(np.concatenate([m.spot_price for m in markets]))
    pool = np.log(np.concatenate([m.tao_reserve for m in markets]))
    alpha = np.log(np.concatenate([m.alpha_outstanding for m in markets]))
    age = np.concatenate([m.age_blocks for m in markets]) / 7200
    assert np.exp(np.median(price)) == pytest.approx(0.0058, rel=0.05)
    assert price.std() == pytest.approx(0.74, rel=0.05)
    assert np.exp(np.median(pool)) == pytest.approx(7658.0, rel=0.08)
    assert pool.std() == pytest.approx(1.09, rel=0.05)
    assert np.corrcoef(price, pool)[0, 1] == pytest.approx(0.60, abs=0.04)
    assert np.exp(np.median(alpha)) == pytest.approx(2.48e6, rel=0.08)
    assert abs(np.corrcoef(price, alpha)[0, 1]) < 0.06
    assert age.min() >= 150.0 - 1e-3
    assert age.max() <= 900.0 + 1e-3
    assert age.mean() == pytest.approx(525.0, rel=0.03)


def test_a_drawn_world_emits_by_subnet_and_has_no_frozen_part():
    batch = Batch(Config(genesis="drawn", n_subnets=5, emission_per_subnet_tao=10.0))
    batch.step(days=3)
    world = batch.state.worlds[0]
    assert world["minted"] == pytest.approx(150.0, rel=1e-12)
    assert world["rest_count"] == world["aggregate"] == 0.0
    assert batch.layout.n_subnets == 5
    assert Batch(Config(genesis="drawn")).layout.n_subnets == 8
    assert world["last_lock"] == 500.0
    assert Batch(Config(n_subnets=2)).state.worlds["last_lock"][0] == 250.0
