"""TAO and alpha are conserved under all rules and orders, and when subnets are created and dissolved."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.institutions import ERAS, PRUNE_KEYS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.lifecycle import SEEDINGS
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from tests.world.toy import CHAIN, assert_sound, random_orders, toy

part = st.sampled_from([0.0, 1.0]) | st.floats(1e-6, 1.0)
PARAMETERS = st.fixed_dictionaries(
    {"era": st.sampled_from(sorted(ERAS))},
    optional={
        "spans_per_day": st.sampled_from([1, 2, 4, 24]),
        "allocation": st.sampled_from(sorted(ALLOCATIONS)),
        "injection": st.sampled_from(sorted(INJECTIONS)),
        "chain_bought": st.sampled_from(sorted(CHAIN_BOUGHT)),
        "root_dividend": st.sampled_from(sorted(ROOT_DIVIDENDS)),
        "share_exponent": st.floats(0.5, 2.0),
        "gate_bar": st.just(0.0) | st.floats(1e-6, 0.1),
        "gate_quantile": st.floats(0.5, 0.9),
        "gate_rank": st.integers(1, 128),
        "gate_exponent": st.floats(1.0, 8.0),
        "emission_off_hazard": part,
        "emission_on_hazard": part,
        "equal_funds": st.floats(1.0, 1e6),
        "flow_ema_base": st.floats(1e-7, 1e-3),
        "flow_cutoff": st.floats(-1.0, 1.0),
        "norm_exponent": st.floats(0.25, 4.0),
        "pruning": st.booleans(),
        "prune_key": st.sampled_from(sorted(PRUNE_KEYS)),
        "prune_lottery_sd": st.floats(0.0, 2.0),
        "immunity_days": st.sampled_from([0.0, 5.0, 120.0]),
        "arrivals_per_slot_year": st.sampled_from([0.0, 0.42, 12.0]),
        "entry_value_tao": st.sampled_from([10.0, 600.0, 1e5]),
        "seeding": st.sampled_from(sorted(SEEDINGS)),
        "min_lock_tao": st.sampled_from([0.1, 1.0, 100.0]),
        "lock_interval_days": st.sampled_from([0.1, 8.0]),
        "start_delay_days": st.sampled_from([0, 1, 7]),
        "entrants_enabled": st.booleans(),
        "governance_days": st.sampled_from([0.0, 10.0]),
        "vote_power": st.floats(0.5, 3.0),
        "vote_cut": part,
        "root_column_share": st.floats(0.0, 0.99),
        "informed_share_voters": part,
        "root_gate": st.sampled_from(["open", "chain"]),
        "execution": st.sampled_from(["first_span", "twap"]),
        "opinion_weights": st.sampled_from(["fixed", "wealth"]),
        "moving_price_variant": st.sampled_from(["fast", "slow"]),
        "moving_price_halving_blocks": st.sampled_from([0.0, 201_600.0]),
        "pool_fee": st.floats(0.0, 0.01),
        "flat_fee_tao": st.floats(0.0, 0.01),
        "min_order_tao": st.floats(0.0, 1.0),
        "tao_weight": part,
        "owner_cut": part,
        "validator_take": st.sampled_from([0.0, 11796 / 65535]),
        "halving": st.booleans(),
        "dilution": st.booleans(),
        "revenue_share": st.just(0.0) | st.floats(1e-3, 0.6),
        "owner_sale_fraction": part,
        "miner_sale_fraction": part,
        "validator_sale_fraction": part,
        "root_claim_hazard": part,
        "root_swap_share": part,
        "outside_return": part,
        "outside_initial_tao": st.sampled_from([0.0, 1e5]),
        "purse_rebalance": part,
        "max_purse_use": part,
        "max_trade_of_pool": part,
        "spend_rate": st.floats(0.0, 0.2),
        "reinvest_share": part,
        "initial_treasury_tao": st.floats(0.0, 3000.0),
        "staker_share_of_alpha_out": st.floats(0.3, 0.9),
        "informed_share_stakers": part,
        "wealth_tao": st.sampled_from([1.0, 1000.0, 100_000.0]),
        "trade_speed": part,
        "news_sd": st.floats(0.0, 0.2),
        "market_sd": st.floats(0.0, 0.2),
        "jump_chance": st.floats(0.0, 0.3),
        "signal_gain": st.floats(0.001, 1.0),
        "insider_holding_days": st.floats(1.0, 1e9),
        "portfolio_days": st.floats(1.0, 1e9),
        "scarcity_elasticity": st.floats(0.0, 2.0),
        "prior_half_life_days": st.floats(0.0, 365.0),
        "momentum": part,
        "yield_sensitivity": st.floats(0.0, 2.0),
        "opinion_noise_sd": part,
        "signal_noise_sd": st.floats(0.0, 0.5),
        "selection": st.sampled_from(["largest", "sample"]),
        "split": st.sampled_from(["train", "evaluation"]),
        # markets at genesis and the stocks behind their prices
        "genesis": st.sampled_from(["drawn", "symmetric"]),
        "genesis_values": st.sampled_from(["from_price", "drawn"]),
        "genesis_stocks": st.sampled_from(["history", "steady_state"]),
        "genesis_price_median": st.floats(1e-4, 1.0),
        "genesis_price_sd": st.floats(0.0, 3.0),
        "genesis_multiple": st.sampled_from([1.0, 141.6, 1e5]),
        "pool_depth": st.sampled_from([0.01, 1.0]),
        "horizon": st.sampled_from(["fixed", "geometric"]),
        # builders: what they make, spend and are paid
        "payment": st.sampled_from(["alpha", "direct", "fee"]),
        "finance": st.booleans(),
        "fixed_budget_tao": st.sampled_from([0.1, 10.0, 1000.0]),
        "milestone_grant_tao": st.just(0.0) | st.floats(1.0, 1e5),
        "income_factor": st.sampled_from([0.0, 0.5, 1.0, 3.0, 100.0]),
        "fee_per_value": st.sampled_from([0.3, 100.0]),
        "research_share": part,
        "influence": st.booleans(),
        "influence_share": st.floats(0.0, 0.9),
        "delay_days": st.sampled_from([3.0, 30.0, 180.0, 720.0]),
        "spillover": st.floats(0.0, 2.0),
        "hype": st.floats(0.0, 4.0),
        "curvature": st.floats(0.3, 0.8),
        "research_luck_sd": st.floats(0.0, 1.5),
        "success_probability": st.floats(0.05, 1.0),
        "type_sd": part,
        "salvage": part,
        "favourite_share": part,
        "pipeline_visible": st.booleans(),
    },
).map(lambda rules: rules if "genesis" not in rules else rules | {"halving": None})


SLOTS = {"empty_slots": 2, "root_validators": 8}


@functools.cache
def reused(n_subnets: int, n_stakers: int) -> Batch:
    return Batch(Config(n_subnets=n_subnets, n_stakers=n_stakers, **SLOTS), 4)


def with_pools(changes: dict) -> dict:
    """Fees need pools: before there were any, owners are paid in TAO."""
    no_pools = "direct" in (
        changes.get("injection"),
        ERAS[changes.get("era", "price_burn")].injection,
    )
    return changes | {"payment": "direct"} if no_pools else changes


def begin(rules, sizes, seed) -> Batch:
    """Four worlds, each at the start of an episode under rules of its own."""
    batch = reused(*sizes)
    for world, changes in enumerate(rules):
        batch.configs[world] = Config(n_subnets=sizes[0], n_stakers=sizes[1], **SLOTS)
        batch.set_parameters([world], **with_pools(changes))
        batch.reset(world, seed, world)
    return batch


FOUR = st.lists(PARAMETERS, min_size=4, max_size=4)


@settings(max_examples=200)
@given(
    FOUR,
    st.sampled_from([(1, 1), (5, 1), (5, 2), (9, 3), (126, 2)]),
    st.integers(0, 2**32 - 1),
)
def test_money_is_conserved_whatever_the_rules_and_the_orders(rules, sizes, seed):
    batch = begin(rules, sizes, seed)
    random = np.random.default_rng(seed)
    for days in (1, 1, 1, 30, 1):
        batch.step(random_orders(batch, random), days)
        assert_sound(batch)


@pytest.mark.slow
@settings(max_examples=100)
@given(FOUR, st.sampled_from([(1, 1), (5, 1), (9, 3)]), st.integers(0, 2**32 - 1))
def test_money_is_conserved_for_five_years_whatever_the_rules(rules, sizes, seed):
    batch = begin(rules, sizes, seed)
    random = np.random.default_rng(seed)
    for _ in range(5):
        batch.step(random_orders(batch, random, scale=0.0), 365)
        assert_sound(batch)


CROWDED = {
    "arrivals_per_slot_year": 4.0,
    "immunity_days": 20.0,
    "entry_value_tao": 3000.0,
    "outside_initial_tao": 1e6,
}
"""So many newcomers that every slot changes hands."""


FLAGS = {"emission_off_hazard": 0.02, "emission_on_hazard": 0.05}


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
def test_money_is_conserved_for_five_years_of_128_subnets_that_come_and_go(era):
    batch = Batch(Config.make(CROWDED, era=era, n_stakers=2, **FLAGS), 2)
    random = np.random.default_rng(0)
    for _ in range(61):
        batch.step(random_orders(batch, random, scale=0.0), 30)
        assert_sound(batch)
    gone = batch.state.worlds["dissolutions"]
    assert (gone > 128).all() if ERAS[era].pruning else not gone.any()


@pytest.mark.parametrize("era", ERAS)
def test_money_is_conserved_through_entry_and_pruning(era):
    config = Config.make(CROWDED, era=era, n_subnets=6, empty_slots=3, pruning=True, n_stakers=2)
    batch = Batch(config, 3)
    random = np.random.default_rng(1)
    for _ in range(80):
        batch.step(random_orders(batch, random, scale=0.0), 3)
        assert_sound(batch)
    assert (batch.state.worlds["registrations"] > 9).all()
    assert (batch.state.worlds["dissolutions"] > 3).all()


BUILDERS = (
    {"payment": "direct", "milestone_grant_tao": 300.0, "income_factor": 2.0},
    {"payment": "fee", "finance": False, "salvage": 1.0, "horizon": "geometric"},
    {"influence": True, "influence_share": 0.4, "income_factor": 0.3, "genesis": "drawn"},
)


@pytest.mark.parametrize("builders", BUILDERS)
@pytest.mark.parametrize("era", ERAS)
def test_money_is_conserved_for_five_years_of_builders_paid_otherwise(era, builders):
    sizes = {"n_subnets": 4, "empty_slots": 2, "n_stakers": 2}
    builders = with_pools(builders | {"era": era})
    batch = Batch(Config.make(CROWDED | sizes, pruning=True, **builders), 2)
    random = np.random.default_rng(2)
    for _ in range(20):
        batch.step(random_orders(batch, random, scale=0.0), 92)
        assert_sound(batch)
    assert (batch.state.worlds["registrations"] > 3).all()


@pytest.mark.parametrize("era", ERAS)
def test_everything_minted_is_block_emission(tmp_path, era):
    batch = toy(tmp_path, config={"era": era, "halving": False})
    batch.step(days=10)
    world = batch.state.worlds[0]
    assert world["minted"] == pytest.approx(10 * BLOCKS_PER_DAY * 0.5, rel=1e-12)
    issued = world["chain_issuance"] - CHAIN["chain_issuance_tao"]
    assert issued == pytest.approx(world["minted"] - world["recycled"], rel=1e-9)
