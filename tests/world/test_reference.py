"""The engine against the same market written a second time in plain NumPy (`benchmarks/numpy_market.py`)."""

import numpy as np
import pytest

from benchmarks.numpy_builders import SECTIONS
from benchmarks.numpy_market import NumpyMarket
from benchmarks.numpy_rules import arrivals, minted_per_block, normals, philox
from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS
from dtao_gym.protocol.institutions import ERAS, HISTORY
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.parameters import PAYMENTS
from dtao_gym.world.state import STAKER_DTYPE, WORLD_DTYPE, State, Subnets

DAYS = 30
TOLERANCE = 1e-9
MOST_DAYS = {"tao_flow": 5, "net_flow": 12}
"""What is paid by flows is a small difference of large ones, the more so with news, and enlarges its rounding from day to day."""
INTERNAL = {"moving_rate", "moving_decay"}
"""Rows that the engine prepares once a day, and that mean nothing after it."""

NEWS = {
    "news_sd": 0.03, "news_spread": 0.8, "news_size_exponent": 0.25, "news_volatility_sd": 1.0,
    "jump_chance": 0.05, "jump_up": 0.3, "jump_down": 0.4, "market_sd": 0.012, "trade_speed": 1.0,
}  # fmt: skip
"""News far livelier than by default."""
ONE_POT = {"frozen_subnets": "share", "n_subnets": 5}
ALIVE = {"portfolio_days": 5.0, "scarcity_elasticity": 1.0, "insider_holding_days": 30.0}
SETTINGS = {
    "whole chain": {"n_subnets": None},
    "defaults": {},
    "one span": {"spans_per_day": 1},
    "24 spans": {"spans_per_day": 24},
    "240 spans": {"spans_per_day": 240},
    "twap, two stakers": {"n_stakers": 2, "execution": "twap", "wealth_tao": 20_000.0},
    "three stakers, rich": {"n_stakers": 3, "wealth_tao": 100_000.0},
    "nobody learns": {"n_stakers": 0},
    "claims kept": {"root_swap_share": 0.0},
    "claims divided, all at once": {"root_swap_share": 0.6, "root_claim_hazard": 1.0},
    "opinions by wealth, yield": {"opinion_weights": "wealth", "yield_sensitivity": 0.5},
    "news": NEWS,
    "news, all subnets, regimes": NEWS
    | {"n_subnets": None, "news_factor_low": 0.7, "news_factor_high": 2.5},
    "slow beliefs ahead of agents": {
        "signal_gain": 0.05,
        "readers_ahead": True,
        "signal_lag_days": 3,
    },
    "scarcity, money, insiders who sell later": ALIVE | {"trade_speed": 0.9},
    "scarcity, all subnets": ALIVE | NEWS | {"n_subnets": None},
    "mean-one opinions, settled alpha": {"mean_one_opinions": True, "settled_alpha": 2e6},
    "fast traders": {"trade_speed": 1.0, "max_trade_of_pool": 1.0, "max_purse_use": 0.5},
    "no dilution, no momentum, no lag": {"dilution": False, "momentum": 0.0, "signal_lag_days": 0},
    "slow moving price": {"moving_price_variant": "slow", "moving_price_halving_blocks": 0.0},
    "fees of both kinds": {"pool_fee": 0.01, "flat_fee_tao": 0.01, "min_order_tao": 1.0},
    "sample of evaluation": {"selection": "sample", "split": "evaluation", "world_seed": 2**63 - 9},
    "no halving, no revenue": {"halving": False, "revenue_share": 0.0},
    "empty outside": {
        "outside_initial_tao": 0.0,
        "reinvest_share": 1.0,
        "miner_sale_fraction": 0.0,
    },
}
VARIATIONS = {
    "many spans, two stakers": {"spans_per_day": 12, "n_stakers": 2, "wealth_tao": 20_000.0},
    "gate, kept claims": {"root_gate": "chain", "root_swap_share": 0.5, "root_claim_hazard": 0.5},
    "no halving, users' purses": {"halving": False, "revenue_share": 0.6, "spans_per_day": 1},
    "all subnets": {"n_subnets": None, "pool_fee": 0.003, "flat_fee_tao": 0.001},
    "a market without news": PREDICTABLE,
    "a sample": {"selection": "sample", "yield_sensitivity": 0.5, "opinion_weights": "wealth"},
}
VOTES = {"root_column_share": 0.2, "vote_power": 2.0, "vote_cut": 0.8, "root_validators": 7}
RULES = {
    "uniform": {"root_gate": "open"},
    "price": {"share_exponent": 0.5, "n_subnets": None},
    "price_burn": {"share_exponent": 2.0, "root_gate": "chain"},
    "price_rootprop": {"spans_per_day": 12},
    "price_burn_gate": {"gate_quantile": 0.6, "share_exponent": 1.5, "spans_per_day": 24},
    "price_burn_gate, bar given": {"gate_bar": 0.009},
    "tao_flow": {"flow_cutoff": -0.005, "flow_ema_base": 1e-3},
    "tao_flow, above a cutoff": {"flow_cutoff": 0.002, "norm_exponent": 0.5},
    "net_flow": {"norm_exponent": 2.0, "flow_ema_base": 1e-4},
    "net_flow, all": {"n_subnets": None, "flow_cutoff": -1.0},
    "root_vote": {"consensus_slope": 30.0},
    "root_vote, votes for root": VOTES,
    "price, one pot": ONE_POT | {"share_exponent": 0.5},
    "price_burn, one pot": ONE_POT,
    "price_rootprop, one pot": ONE_POT,
    "price_burn_gate, one pot": ONE_POT | {"gate_quantile": 0.6},
    "tao_flow, one pot": ONE_POT,
    "root_vote, one pot": ONE_POT,
    "root_vote, news": {
        "news_sd": 0.03,
        "signal_gain": 0.2,
        "market_sd": 0.01,
        "readers_ahead": True,
    },
    "root_vote, spillovers": {"spillover": 2.0, "voter_spillover_weight": 0.5},
}
"""Rules of allocation, each with other numbers than the chain's."""
LIFECYCLE = {
    "the era's rules": {},
    "newcomers with news and a trusted price": NEWS
    | {
        "prior_half_life_days": 10.0,
        "settled_alpha": 2e6,
        "start_delay_days": 1,
        "signal_gain": 0.1,
    },
    "no pruning, empty slots": {"pruning": False, "empty_slots": 3, "start_delay_days": 3},
    "from empty slots to pruning": {"empty_slots": 2, "pruning": True, "immunity_days": 5.0},
    "by share, lottery": {"pruning": True, "prune_key": "share", "prune_lottery_sd": 1.0},
    "by price, lottery": {"pruning": True, "prune_key": "moving_price", "prune_lottery_sd": 0.3},
    "seeded with the lock": {"seeding": "median_price", "chain_bought": "protocol"},
    "seeded with the minimum": {"seeding": "minimum", "min_lock_tao": 10.0, "pruning": True},
    "enabled by governance": {"entrants_enabled": False, "governance_days": 2.0, "pruning": True},
    "values drawn": {"genesis_values": "drawn", "pruning": True, "n_stakers": 2},
    "drawn, no pruning, one span": {
        "genesis_values": "drawn",
        "empty_slots": 4,
        "spans_per_day": 1,
        "prune_lottery_sd": 1.0,
    },
    "all rich founders": {"entry_value_tao": 1e6, "lock_interval_days": 1.0, "pruning": True},
}
BUILDERS = {
    "influence": {"influence": True, "influence_share": 0.3},
    "influence of no use": {"influence_share": 0.3, "influence_productivity": 0.2},
    "grants": {"milestone_grant_tao": 800.0},
    "no delay": {"delay_days": 0.0, "pipeline_visible": False},
    "delay of many stages": {"delay_stages": 12, "delay_days": 30.0},
    "every day a stage": {"delay_stages": 2, "delay_days": 2.0, "signal_noise_sd": 0.0},
    "rare success": {"success_probability": 0.3, "delay_days": 5.0, "research_luck_sd": 1.5},
    "sure success": {"research_luck_sd": 0.0, "milestone_grant_tao": 100.0},
    "pipeline unseen": {"pipeline_visible": False, "informed_share_stakers": 0.9},
    "all informed": {"informed_share_stakers": 1.0, "influence": True, "influence_share": 0.2},
    "nearly no curvature": {"curvature": 0.7},
    "much curvature": {"curvature": 0.3, "short_productivity": 1.0},
    "spillover without hype": {"spillover": 2.0, "hype": 0.0},
    "half-lives": {"short_half_life_days": 7.0, "knowledge_half_life_days": 30.0},
    "nothing salvaged": {"salvage": 0.0, "pruning": True, "type_sd": 1.0},
    "all salvaged": {"salvage": 1.0, "pruning": True, "finance": False, "empty_slots": 2},
    "all alike": {"type_sd": 0.0, "genesis": "symmetric"},
    "a drawn market": {"genesis": "drawn", "n_subnets": 12, "builder_discount_per_year": 0.6},
    "half the income": {"income_factor": 0.5},
    "more income": {"income_factor": 1.7, "payment": "direct"},
    "income beyond what is outside": {"income_factor": 100.0, "outside_initial_tao": 0.0},
    "fees beyond what is outside": {
        "payment": "fee",
        "fee_per_value": 100.0,
        "outside_initial_tao": 0.0,
    },
    "patient valuers": {"valuer_discount_per_year": 0.01, "pooled_capitalisation": 50.0},
    "no hope": {"genesis_multiple": 1.0, "cost_weight": 0.4},
    "disclosed": {"disclosure": "knowledge"},
    "steady state": {"genesis_stocks": "steady_state", "finance": False},
    "alone": {"n_subnets": 1},
    "two": {"n_subnets": 2, "spillover": 1.0},
}
FAVOURITES = {"favourite_share": 0.5, "collusion": 0.5}
BUSY = {
    "arrivals_per_slot_year": 12.0,
    "immunity_days": 0.0,
    "entry_lock_tao": 150.0,
    "entry_value_tao": 2000.0,
    "lock_interval_days": 3.0,
    "outside_initial_tao": 1e5,
}
"""Some twelve founders in a month."""


def configured(era: str, **settings) -> Config:
    return Config.make(era=era, **({"n_subnets": 12} | settings))


def run_both(
    config: Config, prepare=None, days: int = DAYS, worlds: int = 3, eras=()
) -> tuple[Batch, State]:
    """Engine and reference from the same start, under the same erratic orders.

    `prepare` changes the state before; `eras` are changes of the configuration, `(day, settings)`.
    """
    rule = config.era_part("allocation")
    if rule == "net_flow" or (rule == "tao_flow" and config.news_sd > 0.0):
        days = min(days, MOST_DAYS[rule])
    batch = Batch(config, worlds)
    if prepare is not None:
        prepare(batch.state)
        refresh(batch.state)
    market = NumpyMarket(config, batch.state)
    rng = np.random.default_rng(1)
    shape = (worlds, config.n_stakers, batch.layout.n_subnets)
    for day in range(days):
        for when, settings in eras:
            if when == day:
                batch.set_parameters(**settings)
                market.configure(batch.configs[0])
        orders = rng.normal(0.0, config.wealth_tao / 20, shape)
        # sales are in alpha, of which there is more; now and then everything goes
        orders *= np.where(orders < 0.0, rng.choice([0.01, 10.0, 1e6], shape), 1.0)
        if day % 5 == 4:
            batch.step(days=1)
            market.step(days=1)
        else:
            batch.step(orders)
            market.step(orders)
    return batch, market.state()


def refresh(state: State) -> None:
    """Bring what the engine keeps of reserves and weights up to date with them."""
    tao, alpha, weight = map(state.row, ("tao_reserve", "alpha_reserve", "pool_tao_weight"))
    price = np.divide(tao, alpha, out=np.zeros_like(tao), where=alpha > 0.0)
    state.row("spot_price")[...] = price * (1.0 - weight) / weight
    state.row("flow_mark")[...] = tao
    state.worlds["equal_weights"] = (weight == 0.5).all()


def relative_errors(engine: State, reference: State, floor: float) -> dict[str, float]:
    """Largest error of every row, section, account and staker's figure.

    Relative to the value, or where a difference of large numbers leaves less than `floor` times the row's
    largest entry, to that: its digits are not carried by either side.
    """

    def error(a: np.ndarray, b: np.ndarray, least: np.ndarray | float = 0.0) -> float:
        if a.size == 0:
            return 0.0
        a, b = a.astype(float), b.astype(float)
        scale = np.maximum(np.maximum(np.abs(a), floor * np.abs(a).max()), least)
        return float((np.abs(a - b) / np.where(scale > 0.0, scale, 1.0)).max())

    # a flow is what reserves differ by, and its digits end where theirs do
    per_day = 1e-4 * engine.row("tao_reserve")
    least = {
        "user_flow_ema": per_day / BLOCKS_PER_DAY,
        "protocol_flow_ema": per_day / BLOCKS_PER_DAY,
    }
    least |= {"protocol_flow": per_day, "recycled": 1.0}
    # what nobody holds is rounding
    least |= {f"{account}_uninformed": 1.0 for account in ("purse", "root")}
    found = {
        name: error(engine.row(name), reference.row(name), least.get(name, 0.0))
        for name in Subnets._fields
        if name not in INTERNAL
    }
    found |= {name: error(engine.section(name), reference.section(name)) for name in SECTIONS}
    found |= {
        n: error(engine.worlds[n], reference.worlds[n], least.get(n, 0.0))
        for n in WORLD_DTYPE.names
    }
    # a staker that spends its last TAO keeps rounding: its root counts as part of its wealth
    for name in STAKER_DTYPE.names:
        a, b = engine.stakers[name], reference.stakers[name]
        wealth = np.maximum(engine.stakers["wealth"], 1e-9)
        found[f"staker's {name}"] = error(1.0 + a / wealth, 1.0 + b / wealth)
    return found


def assert_agree(batch: Batch, reference: State, overdrawn: bool = False) -> None:
    # a flow is a small difference of reserves, and what is paid by flows has no more digits; net flow is a
    # difference of flows, which its normalisation brings near zero
    allocation = batch.configs[0].era_part("allocation")
    errors = relative_errors(batch.state, reference, 1e-2 if "flow" in allocation else 1e-6)
    tolerance = 1e-7 if allocation == "net_flow" else TOLERANCE
    bad = {name: error for name, error in errors.items() if not error <= tolerance}
    assert not bad
    audit = batch.audit()
    assert overdrawn or audit.ok  # short sales leave negative accounts
    assert (audit.tao_error < 1e-9).all()
    assert (audit.alpha_error < 1e-9).all()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(s, id=name, marks=[pytest.mark.slow] if s.get("spans_per_day", 4) > 4 else [])
        for name, s in SETTINGS.items()
    ],
)
@pytest.mark.parametrize("era", ["launch", "price_burn"])
def test_engine_and_reference_agree_over_a_month(era, settings):
    assert_agree(*run_both(configured(era, **settings)))


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("settings", VARIATIONS.values(), ids=VARIATIONS)
def test_they_agree_in_every_era(era, settings):
    assert_agree(*run_both(configured(era, **settings), days=20, worlds=2))


@pytest.mark.parametrize("era", ["launch_v3", "net_flow", "price_burn"])
@pytest.mark.parametrize("name", RULES)
def test_they_agree_on_every_rule_of_allocation(name, era):
    config = configured(era, **({"allocation": name.split(",")[0]} | RULES[name]))
    assert_agree(*run_both(config, vary_people, days=15, worlds=2))


@pytest.mark.parametrize("dividend", ["sold", "claimable", "tao"])
@pytest.mark.parametrize("bought", CHAIN_BOUGHT)
@pytest.mark.parametrize("injection", [name for name in INJECTIONS if name != "direct"])
def test_they_agree_on_every_way_into_a_pool(injection, bought, dividend):
    def misprice(state):
        """Shares above the price in every other subnet, below it in the others."""
        without_rest(state)
        state.row("moving_price")[...] *= np.resize([1.0, 8.0], state.layout.n_subnets)

    parts = {"injection": injection, "chain_bought": bought, "root_dividend": dividend}
    config = configured("price_burn", **parts, allocation="price", moving_price_variant="slow")
    batch, reference = run_both(config, misprice, days=10, worlds=2)
    dear = batch.state.row("spot_price") > batch.state.row("emission_share")
    assert dear.any()
    assert not dear.all()
    kept = batch.state.row("protocol_alpha").any()
    assert kept == (bought == "protocol" and injection != "alpha_emission")
    assert_agree(batch, reference)


def vary_people(state):
    """Some subnets switched off, some burned, some young, some not started, and flows that differ."""
    n = state.layout.n_subnets
    block = state.worlds["block"][0]
    state.row("emission_enabled")[:, ::5] = 0.0
    state.row("miner_burned")[:, 1::3] = np.resize(
        [0.3, 1.0, 0.0, 0.9], state.row("miner_burned")[0, 1::3].shape
    )
    state.row("start_block")[:, 2::4] = block - 1000.0
    late = slice(3, n, 4)
    state.row("started")[:, late] = 0.0
    state.row("start_block")[:, late] = block + 7200.0 * np.arange(1.0, 1.0 + len(range(n)[late]))
    for name in ("moving_price", "alpha_emission", "user_flow_ema", "protocol_flow_ema"):
        state.row(name)[:, late] = 0.0
    state.row("user_flow_ema")[:, ::2] += 0.002 * np.arange(state.n_worlds)[:, None] - 0.001
    state.row("protocol_flow_ema")[:, ::3] = [[0.003], [-0.001], [0.0]][: state.n_worlds]


def decide_anything(state):
    """Builders who spend nothing or much, on anything, and sell what they like."""
    rng = np.random.default_rng(3)
    shape = state.row("spend_rate").shape
    state.row("spend_rate")[...] = rng.uniform(0.0, 0.2, shape) * (rng.random(shape) < 0.9)
    for name in ("research_share", "influence_share", "owner_sale_fraction"):
        state.row(name)[...] = np.clip(rng.uniform(-0.2, 1.2, shape), 0.0, 1.0)


def without_rest(state):
    """Nothing but the simulated subnets has a claim on emission."""
    for name in state.worlds.dtype.names:
        if name.startswith("rest_"):
            state.worlds[name] = 0.0


@pytest.mark.parametrize("era", ERAS)
def test_they_agree_where_all_weights_are_one_half(era):
    def balance(state):
        state.row("pool_tao_weight")[...] = 0.5

    batch, reference = run_both(configured(era), balance)
    assert batch.state.worlds["equal_weights"].all()
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", ERAS)
def test_they_agree_on_switched_off_burned_young_and_unstarted_subnets(era):
    batch, reference = run_both(configured(era, arrivals_per_slot_year=0.0), vary_people)
    assert (batch.state.row("emission_share")[:, ::5] == 0.0).all()
    assert (batch.state.row("started") == 1.0).all()
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", ["launch", "tao_flow", "price_burn"])
def test_they_agree_when_emission_halves_inside_a_day(era):
    def bring_close(state):
        state.worlds["chain_issuance"] = 15.75e6 - 8_000.0  # halves within a span of the third day
        missing = 10.5e6 - 20_000.0 - state.row("alpha_genesis")
        few = missing * (np.arange(state.layout.n_subnets) % 2)
        for name in ("idle_alpha", "alpha_outstanding", "alpha_genesis"):
            state.row(name)[...] += few

    batch, reference = run_both(configured(era), bring_close)
    assert (batch.state.worlds["block_emission"] == 0.25).all()
    assert len(np.unique(batch.state.row("alpha_emission"))) > 1
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", [name for name in ERAS if name != "pre_dtao"])
def test_they_agree_while_the_gate_of_root_is_shut(era):
    days = 4 if era == "net_flow" else 10
    batch, reference = run_both(configured(era, root_gate="chain"), without_rest, days=days)
    assert (batch.state.worlds["moving_price_sum"] < 1.0).all()
    assert (batch.state.row("alpha_recycled") > 0.0).all()
    assert_agree(batch, reference)


@pytest.mark.parametrize("allocation", [name for name in ALLOCATIONS if name != "uniform"])
@pytest.mark.parametrize("enabled", [0.0, 1.0])
def test_they_agree_where_nobody_has_a_claim_on_emission(allocation, enabled):
    def nobody(state):
        without_rest(state)
        state.row("miner_burned")[...] = 1.0
        state.row("emission_enabled")[...] = enabled
        state.row("user_flow_ema")[...] = -1.0

    config = configured("price_burn", allocation=allocation, arrivals_per_slot_year=0.0)
    batch, reference = run_both(config, nobody, days=10)
    paid = batch.state.row("emission_share").sum(1)
    part = {"tao_flow": 0.0, "net_flow": 0.0, "root_vote": None}.get(allocation, 1.0)
    assert part is None or paid == pytest.approx(np.full(batch.n_worlds, enabled * part))
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", ["launch", "subsidy", "net_flow", "price_burn"])
def test_they_agree_on_tiny_pools_and_weights_at_the_edge(era):
    def shrink(state):
        gone = state.row("tao_reserve").sum(1)
        for name in ("tao_reserve", "alpha_reserve"):
            state.row(name)[:, ::2] *= 1e-4
        weight = np.linspace(0.012, 0.988, state.layout.n_subnets)
        state.row("pool_tao_weight")[...] = weight
        state.row("alpha_genesis")[...] = state.row("alpha_reserve") + state.row(
            "alpha_outstanding"
        )
        state.worlds["tao_genesis"] += state.row("tao_reserve").sum(1) - gone

    config = configured(era, spans_per_day=24)
    assert_agree(*run_both(config, shrink, days=10))


def test_they_agree_through_the_history_of_the_chain():
    """Every set of rules since February 2025 for four days."""
    unchanged = dict.fromkeys(("injection", "chain_bought", "pruning", "seeding"))
    changes = [
        (4 * k, unchanged | period.changes | {"era": period.era, "spans_per_day": 8})
        for k, period in enumerate(HISTORY)
    ]
    config = configured(HISTORY[0].era, **BUSY)
    batch, reference = run_both(config, old_locks, days=4 * len(changes), eras=changes)
    assert batch.configs[0].era == HISTORY[-1].era
    assert (batch.state.worlds["dissolutions"] > 0).all()
    assert_agree(batch, reference)


def old_locks(state):
    """Owners who are owed what they locked, alpha that the chain has bought, pools that count in a payout."""
    lock = np.resize([50.0, 2e4, 1e5, 1.0], state.row("lock_tao").shape)
    state.row("lock_tao")[...] = lock * (state.row("registered_block") >= 0.0)
    state.row("legacy")[:, ::2] = 1.0
    state.row("reserve_counts")[:, ::3] = 1.0
    state.row("protocol_alpha")[...] = 0.5 * state.row("idle_alpha")
    state.row("idle_alpha")[...] -= state.row("protocol_alpha")
    state.worlds["burned"] = np.resize([1500.0, 1e6], state.n_worlds)
    state.worlds["tao_genesis"] += state.worlds["burned"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("settings", LIFECYCLE.values(), ids=LIFECYCLE)
def test_they_agree_on_registrations_and_dissolutions(era, settings):
    config = configured(era, **({"spans_per_day": 2} | BUSY | settings))
    batch, reference = run_both(config, old_locks, worlds=2)
    worlds = batch.state.worlds
    if config.era_part("pruning") and not config.empty_slots:
        assert worlds["dissolutions"].sum() > 0
        if config.era_part("seeding") == "median_price":  # nothing is burned, owners are refunded
            assert (worlds["burned"] < [1500.0, 1e6]).any()
    else:
        assert (worlds["registrations"] <= config.empty_slots).all() or config.era_part("pruning")
        assert worlds["registrations"].any() or not config.empty_slots
    assert_agree(batch, reference)


@pytest.mark.parametrize("finance", [True, False])
@pytest.mark.parametrize("payment", PAYMENTS)
@pytest.mark.parametrize("era", ["launch", "subsidy", "price_burn"])
def test_they_agree_on_every_way_to_pay_a_builder(era, payment, finance):
    settings = {"payment": payment, "finance": finance, "influence": True}
    batch, reference = run_both(configured(era, **settings), decide_anything)
    assert (batch.state.row("income") > 0.0).any()
    if not finance:
        assert batch.state.row("budget") == pytest.approx(10.0)
    assert_agree(batch, reference)


@pytest.mark.parametrize("settings", BUILDERS.values(), ids=BUILDERS)
def test_they_agree_on_what_builders_make(settings):
    settings = (BUSY if "salvage" in settings else {}) | settings
    batch, reference = run_both(configured("price_burn", **settings), decide_anything)
    if "salvage" in settings:
        assert batch.state.row("owner_number").any()
    if settings.get("genesis_multiple") == 1.0:  # users cannot pay for so large stocks
        assert (batch.state.worlds["revenue_rationed"] > 0.0).all()
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", ERAS)
def test_they_agree_on_builders_in_every_era(era):
    settings = {"influence": True, "milestone_grant_tao": 3000.0, "payment": "direct"}
    settings |= {"income_factor": 1.3, "empty_slots": 2, "pruning": True, "type_sd": 1.0}
    config = configured(era, **({"spans_per_day": 2} | BUSY | settings))
    batch, reference = run_both(config, decide_anything, worlds=2)
    assert batch.state.worlds["registrations"].all()
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", ["pre_dtao", "launch", "price_burn"])
def test_they_agree_when_grants_take_the_whole_emission(era):
    config = configured(era, milestone_grant_tao=1e5, payment="direct")
    batch, reference = run_both(config, decide_anything)
    world = batch.state.worlds
    assert world["granted"] == pytest.approx(BLOCKS_PER_DAY * world["block_emission"])
    assert_agree(batch, reference)


def test_they_agree_when_the_pay_of_builders_changes():
    changes = [
        (5, {"payment": "direct", "influence": True}),
        (10, {"finance": False, "milestone_grant_tao": 500.0, "pipeline_visible": False}),
        (15, {"payment": "fee", "finance": True, "horizon": "geometric"}),
        (20, {"payment": "alpha", "income_factor": 2.0, "short_half_life_days": 10.0}),
    ]
    assert_agree(*run_both(configured("price_burn"), decide_anything, eras=changes))


def test_they_agree_where_worlds_end_before_others():
    def end(state):
        decide_anything(state)
        state.worlds["last_day"] = [4, 17, 100]  # one within a step of days

    config = configured("price_burn", horizon="geometric", n_stakers=2)
    batch, reference = run_both(config, end)
    assert batch.state.worlds["day"].tolist() == [4, 17, DAYS]
    assert_agree(batch, reference)


@pytest.mark.parametrize("clipped", [True, False])
def test_they_agree_on_prices_above_one(clipped):
    market = {"genesis": "drawn", "genesis_price_median": 1.0, "moving_price_clipped": clipped}
    batch, reference = run_both(configured("price_burn", **market), decide_anything)
    assert (batch.state.row("spot_price") > 1.0).any()
    assert (batch.state.row("moving_price") > 1.0).any() == (not clipped)
    assert_agree(batch, reference)


@pytest.mark.parametrize("multiple", [1.0, 1e5])
@pytest.mark.parametrize("era", ["launch", "price_burn"])
def test_they_agree_on_short_sales(era, multiple):
    config = configured(
        era,
        **PREDICTABLE
        | {
            "short_sales": True,
            "max_trade_of_pool": 1.0,
            "trade_speed": 0.3,
            "genesis_multiple": multiple,
            "staker_share_of_alpha_out": 0.3,
            "arrivals_per_slot_year": 0.0,
        },
    )
    batch, reference = run_both(config, decide_anything)
    overdrawn = [batch.state.row("informed_alpha"), batch.state.worlds["purse_informed"]]
    assert [(account < 0.0).any() for account in overdrawn] == [multiple == 1.0, multiple > 1.0]
    assert_agree(batch, reference, overdrawn=True)


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("favourites", [0.01, 0.25, 1.0])
def test_they_agree_on_favourites(favourites, share):
    settings = FAVOURITES | BUSY | {"favourites": favourites, "root_column_share": share}
    config = configured("price_burn", allocation="root_vote", empty_slots=3, **settings)
    assert_agree(*run_both(config, decide_anything, days=15))


@pytest.mark.slow
@pytest.mark.parametrize("era", ["launch", "net_flow", "price_burn"])
def test_they_agree_on_the_clock_of_the_chain(era):
    assert_agree(*run_both(configured(era, n_subnets=5, spans_per_day=7200), days=1, worlds=1))


def test_words_of_the_reference_are_numpys():
    keys = np.array([0, 7, 2**63 + 5, 2**64 - 1], np.uint64)
    words = philox(keys, 3, 2, 41, keys, 1)
    for k, key in enumerate(keys.tolist()):
        key, counter = np.array([key, 3], np.uint64), np.array([2, 41, key, 1], np.uint64)
        expected = np.random.Philox(key=key, counter=counter).random_raw(4)
        assert (words[:, k] == expected).all()
    assert normals(np.array([0, 2**63], np.uint64)) == pytest.approx([-8.20954, 0.0], abs=1e-5)


def test_emission_of_the_reference_is_the_chains_formula():
    issued = np.array([0.0, 1.0, 10.4e6, 10.5e6, 15.7e6, 15.75e6, 20.9e6, 21e6])
    expected = [2.0 ** -np.floor(np.log2(21e6 / (21e6 - i))) if i < 21e6 else 0.0 for i in issued]
    assert minted_per_block(21e6 - issued).tolist() == expected


def test_founders_of_the_reference_are_poissons():
    chance = np.exp(-0.7) * 0.7 ** np.arange(4) / np.array([1, 1, 2, 6])
    edges = np.cumsum(chance)
    assert arrivals(edges - 1e-9, 0.7).tolist() == [0, 1, 2, 3]
    assert arrivals(edges + 1e-9, 0.7).tolist() == [1, 2, 3, 4]
    assert arrivals(np.array([0.0, 1.0]), 3.0).tolist() == [0, 32]
