"""The engine against a second implementation in plain NumPy (`benchmarks/numpy_market.py`)."""

import numpy as np
import pytest

from benchmarks.numpy_rules import arrivals, minted_per_block, normals, philox
from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS
from dtao_gym.protocol.institutions import ERAS, HISTORY
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.parameters import PAYMENTS
from tests.world.reference import (
    BUILDERS,
    BUSY,
    DAYS,
    FAVOURITES,
    FUNDS,
    LIFECYCLE,
    RICH_PAIR,
    RULES,
    SETTINGS,
    SWITCHES,
    TWO_FUNDS,
    VARIATIONS,
    assert_agree,
    configured,
    decide_anything,
    nobody_on_root,
    run_both,
    vary_people,
    without_rest,
)


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


@pytest.mark.parametrize("dividend", ["sold", "claimable", "tao", "fund_in_place"])
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


@pytest.mark.parametrize("era", ["launch", "subsidy", "net_flow", "price_burn", "root_curated"])
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

    # with funds some pools would be sold empty up to rounding, which decides all that follows
    tested = {"min_reserve_tested": "after"} if era == "root_curated" else {}
    config = configured(era, spans_per_day=24, curated_funds=TWO_FUNDS, **tested)
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
    """Owners with a refund due, alpha that the chain has bought, pools that count in a payout."""
    lock = np.resize([50.0, 2e4, 1e5, 1.0], state.row("lock_tao").shape)
    state.row("lock_tao")[...] = lock * (state.row("registered_block") >= 0.0)
    state.row("legacy")[:, ::2] = 1.0
    state.row("reserve_counts")[:, ::3] = 1.0
    state.row("protocol_alpha")[...] = 0.5 * state.row("idle_alpha")
    state.row("idle_alpha")[...] -= state.row("protocol_alpha")
    state.worlds["burned"] = np.resize([1500.0, 1e6], state.n_worlds)
    state.worlds["tao_genesis"] += state.worlds["burned"]


def test_they_agree_on_a_pool_that_starts_with_all_alpha_there_can_be():
    rich = {"entry_lock_tao": 1e5, "entry_value_tao": 1e6, "outside_initial_tao": 1e7}
    rich |= {"lock_interval_days": 365.0, "n_subnets": None}
    config = configured("price_burn", **(BUSY | rich))
    # before holdings of it, of which some end as the rounding of 21 million
    batch, reference = run_both(config, days=4, worlds=2)
    assert (batch.state.row("alpha_genesis") == SUPPLY_CAP).any()
    assert_agree(batch, reference)


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


@pytest.mark.parametrize("settings", FUNDS.values(), ids=FUNDS)
@pytest.mark.parametrize("era", ["root_reborn", "root_curated"])
def test_they_agree_on_root_funds(era, settings):
    batch, reference = run_both(configured(era, **settings), vary_people, worlds=2)
    assert (batch.state.funds["redeemed"].sum(1) > 0.0).all()
    assert settings.get("n_stakers") == 0 or (batch.state.stakers["fund_claim"] > 0.0).all()
    assert_agree(batch, reference)


@pytest.mark.parametrize("days", [8, 13, 26])
@pytest.mark.parametrize("settings", [BUSY, {"root_claim_hazard": 0.5, "root_swap_share": 0.6}])
def test_they_agree_when_root_dividends_become_funds_and_again_claims(settings, days):
    changes = [
        (4, {"era": "root_curated"}),
        (8, {"era": "price_burn"}),
        (13, {"era": "root_reborn"}),
        (17, {"root_dividend": "sold"}),
        (20, {"root_dividend": "claimable"}),
        (23, {"root_dividend": "fund_curated", "gate_rank": 4}),
    ]
    config = configured("price_burn", curated_funds=TWO_FUNDS, **RICH_PAIR | settings)
    batch, reference = run_both(config, vary_people, days=days, worlds=2, eras=changes)
    assert batch.state.row("scripted_claimable").any() == (days == 13)
    assert_agree(batch, reference)


@pytest.mark.parametrize("n_stakers", [0, 2])
@pytest.mark.parametrize("era", ["price_burn", "root_curated"])
def test_they_agree_on_funds_where_no_scripted_holder_has_root_stake(era, n_stakers):
    config = configured(era, curated_funds=TWO_FUNDS, n_stakers=n_stakers)
    changes = [(5, {"era": "root_reborn"})]
    assert_agree(*run_both(config, nobody_on_root, days=10, eras=changes))


@pytest.mark.parametrize("settings", SWITCHES.values(), ids=SWITCHES)
@pytest.mark.parametrize("era", ["price_burn", "root_reborn"])
def test_they_agree_on_switches_of_emission(era, settings):
    def plan(state):
        vary_people(state)
        day = state.worlds["block"][0] + BLOCKS_PER_DAY * np.arange(state.layout.n_subnets)
        state.row("off_block")[:, ::2] = day[::2] + 100.0
        state.row("on_block")[:, ::3] = day[::3] + 3.5 * BLOCKS_PER_DAY
        state.row("on_block")[:, 4] = day[4]  # on the day on which it is switched off
        state.row("off_block")[:, 1], state.row("on_block")[:, 1] = day[0], day[1]

    batch, reference = run_both(configured(era, **BUSY | settings), plan)
    assert (batch.state.row("emission_enabled") == 0.0).any() or "empty_slots" in settings
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
