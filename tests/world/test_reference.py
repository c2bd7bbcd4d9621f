"""The engine against the same market written a second time in plain NumPy (`benchmarks/numpy_market.py`)."""

import numpy as np
import pytest

from benchmarks.numpy_market import NumpyMarket, minted_per_block, normals, philox
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.state import LEARNER_DTYPE, WORLD_DTYPE, State, Subnets

DAYS = 30
TOLERANCE = 1e-9
INTERNAL = {"moving_rate", "moving_decay"}
"""Rows that only the engine has: what it prepares once a day."""
SECTIONS = ("learner_alpha", "learner_claimable", "price_history", "signal_history")

ERAS = ("price_burn", "launch")
SETTINGS = {
    "whole chain": {"n_subnets": None},
    "defaults": {},
    "one span": {"spans_per_day": 1},
    "24 spans": {"spans_per_day": 24},
    "240 spans": {"spans_per_day": 240},
    "twap, two learners": {"n_learners": 2, "execution": "twap", "wealth_tao": 20_000.0},
    "three learners, rich": {"n_learners": 3, "wealth_tao": 100_000.0},
    "nobody learns": {"n_learners": 0},
    "claims kept": {"root_swap_share": 0.0},
    "claims divided, all at once": {"root_swap_share": 0.6, "root_claim_hazard": 1.0},
    "opinions by wealth, yield": {"opinion_weights": "wealth", "yield_sensitivity": 0.5},
    "fast traders": {"trade_speed": 1.0, "max_trade_of_pool": 1.0, "max_purse_use": 0.5},
    "no dilution, no momentum, no lag": {"dilution": False, "momentum": 0.0, "signal_lag_days": 0},
    "slow moving price": {"moving_price_variant": "slow", "moving_price_halving_blocks": 0.0},
    "uniform shares, open gate": {"allocation": "uniform", "root_gate": "open"},
    "fees of both kinds": {"pool_fee": 0.01, "flat_fee_tao": 0.01, "min_order_tao": 1.0},
    "sample of evaluation": {"selection": "sample", "split": "evaluation", "world_seed": 2**63 - 9},
    "no halving, no revenue": {"halving": False, "revenue_share": 0.0},
    "empty outside": {
        "outside_initial_tao": 0.0,
        "reinvest_share": 1.0,
        "miner_sale_fraction": 0.0,
    },
}


def configured(era: str, **settings) -> Config:
    return Config.make(era=era, **({"n_subnets": 12} | settings))


def run_both(
    config: Config, prepare=None, days: int = DAYS, worlds: int = 3
) -> tuple[Batch, State]:
    """Engine and reference from the same start, under the same erratic orders."""
    batch = Batch(config, worlds)
    if prepare is not None:
        prepare(batch.state)
        weight = batch.state.row("pool_tao_weight")
        price = batch.state.row("tao_reserve") / batch.state.row("alpha_reserve")
        batch.state.row("spot_price")[...] = price * (1.0 - weight) / weight
    market = NumpyMarket(config, batch.state)
    rng = np.random.default_rng(1)
    shape = (worlds, config.n_learners, batch.layout.n_subnets)
    for day in range(days):
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


def relative_errors(engine: State, reference: State) -> dict[str, float]:
    """Largest error of every row, section, account and learner's figure.

    Relative to the value, or where a difference of large numbers leaves less than a millionth of the
    row's largest entry, to that millionth: its digits are not carried by either side.
    """

    def error(a, b):
        if a.size == 0:
            return 0.0
        a, b = a.astype(float), b.astype(float)
        scale = np.maximum(np.abs(a), 1e-6 * np.abs(a).max())
        return float((np.abs(a - b) / np.where(scale > 0.0, scale, 1.0)).max())

    found = {
        name: error(engine.row(name), reference.row(name))
        for name in Subnets._fields
        if name not in INTERNAL
    }
    found |= {name: error(engine.section(name), reference.section(name)) for name in SECTIONS}
    found |= {n: error(engine.worlds[n], reference.worlds[n]) for n in WORLD_DTYPE.names}
    # a learner that spends its last TAO keeps rounding: its root counts as part of its wealth
    for name in LEARNER_DTYPE.names:
        a, b = engine.learners[name], reference.learners[name]
        wealth = np.maximum(engine.learners["wealth"], 1e-9)
        found[f"learner's {name}"] = error(1.0 + a / wealth, 1.0 + b / wealth)
    return found


def assert_agree(batch: Batch, reference: State) -> None:
    bad = {k: v for k, v in relative_errors(batch.state, reference).items() if not v <= TOLERANCE}
    assert not bad
    assert batch.audit().ok


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(s, id=name, marks=[pytest.mark.slow] if s.get("spans_per_day", 4) > 4 else [])
        for name, s in SETTINGS.items()
    ],
)
@pytest.mark.parametrize("era", ERAS)
def test_engine_and_reference_agree_over_a_month(era, settings):
    assert_agree(*run_both(configured(era, **settings)))


@pytest.mark.parametrize("era", ERAS)
def test_they_agree_where_all_weights_are_one_half(era):
    def balance(state):
        state.row("pool_tao_weight")[...] = 0.5

    assert_agree(*run_both(configured(era), balance))


@pytest.mark.parametrize("era", ERAS)
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


def test_they_agree_while_the_gate_of_root_is_shut():
    def shut(state):
        for name in state.worlds.dtype.names:
            if name.startswith("rest_"):
                state.worlds[name] = 0.0

    batch, reference = run_both(configured("price_burn"), shut)
    assert (batch.state.worlds["moving_price_sum"] < 1.0).all()
    assert (batch.state.row("alpha_recycled") > 0.0).all()
    assert_agree(batch, reference)
    batch, reference = run_both(configured("launch", root_gate="chain"), shut)
    assert (batch.state.worlds["moving_price_sum"] < 1.0).all()
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", ERAS)
def test_they_agree_on_switched_off_burned_and_young_subnets(era):
    def vary(state):
        state.row("emission_enabled")[:, ::3] = 0.0
        state.row("miner_burned")[:, 1::3] = [[0.3, 1.0, 0.0, 0.9]]
        state.row("start_block")[:, 2::4] = state.worlds["block"][0] - 1000.0

    batch, reference = run_both(configured(era), vary)
    assert (batch.state.row("emission_share")[:, ::3] == 0.0).all()
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("enabled", [0.0, 1.0])
def test_they_agree_where_nobody_has_a_claim_on_emission(era, enabled):
    def nobody(state):
        for name in state.worlds.dtype.names:
            if name.startswith("rest_"):
                state.worlds[name] = 0.0
        state.row("miner_burned")[...] = 1.0
        state.row("emission_enabled")[...] = enabled

    batch, reference = run_both(configured(era, allocation="price_burn"), nobody)
    paid = batch.state.row("emission_share").sum(1)
    assert paid == pytest.approx(np.full(batch.n_worlds, enabled))
    assert_agree(batch, reference)


@pytest.mark.parametrize("era", ERAS)
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


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
def test_they_agree_on_the_clock_of_the_chain(era):
    assert_agree(*run_both(configured(era, n_subnets=5, spans_per_day=7200), days=1))


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
