"""Each channel can be switched off alone; institutions share their shocks; names of subnets do not matter."""

import numpy as np
import pytest

from dtao_gym.economy.technology import discount_per_day
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.genesis import NEVER_ENDS, end_of_life
from dtao_gym.world.ledger import TAO_ACCOUNTS
from dtao_gym.world.state import ROW_OF, Subnets
from tests.world.toy import arrays

STEADY = PREDICTABLE | {"genesis": "drawn", "arrivals_per_slot_year": 0.0}
STOCKS = ("short_stock", "knowledge", "true_value", "informed_value")
BUILDERS = (*STOCKS, "influence_stock", "treasury", "budget", "income", "consumed", "ability")


def differing(one: Batch, other: Batch) -> set[str]:
    """Names of rows, sections and fields of the world in which two batches differ."""
    names = {n for n in Subnets._fields if (one.state.row(n) != other.state.row(n)).any()}
    names |= {
        n for n in one.layout.sections if (one.state.section(n) != other.state.section(n)).any()
    }
    fields = one.state.worlds.dtype.names
    return names | {n for n in fields if (one.state.worlds[n] != other.state.worlds[n]).any()}


def pair(days: int = 60, common: dict | None = None, **switch) -> tuple[Batch, Batch]:
    """The same world with and without a switch, after so many days from a common start."""
    base = Config.make(STEADY | (common or {}))
    one, other = Batch(base, 2), Batch(Config.make(base, **switch), 2)
    other.state.restore(one.state)
    other.parameters["price_of_capital"] = one.parameters["price_of_capital"]
    for batch in (one, other):
        batch.step(days=days)
    return one, other


INFORMED = {"informed_share_stakers": 1.0, "informed_share_voters": 1.0, "allocation": "root_vote"}
"""Nobody reads the public signal, neither stakers nor voters."""


@pytest.mark.parametrize(
    ("switch", "shown"),
    [
        ({"hype": 0.0}, {"signal_history", "belief"}),
        ({"signal_noise_sd": 0.0}, {"signal_history", "belief"}),
        ({"signal_gain": 0.1}, {"belief"}),
        ({"readers_ahead": True}, {"belief"}),
        (
            {"news_sd": 0.03},
            {"news", "news_variance", "news_volatility", "common_news", "common_variance"},
        ),
        ({"mean_one_opinions": True}, set()),
        ({"prior_half_life_days": 30.0}, set()),
        ({"opinion_noise_sd": 0.0}, {"opinion"}),
        ({"momentum": 0.0}, set()),
        ({"yield_sensitivity": 1.0}, set()),
        ({"influence_productivity": 0.0}, {"signal_history", "belief", "influence_stock"}),
        ({"pooled_capitalisation": 100.0}, set()),
    ],
)
def test_what_only_the_uninformed_fall_for_does_nothing_where_all_are_informed(switch, shown):
    one, other = pair(60, INFORMED | {"influence": True, "influence_share": 0.3}, **switch)
    assert differing(one, other) == shown


UNINFORMED = {"informed_share_stakers": 0.0, "informed_share_voters": 0.0}


@pytest.mark.parametrize(
    "switch",
    [
        {"hype": 0.0},
        {"signal_noise_sd": 0.0},
        {"opinion_noise_sd": 0.0},
        {"mean_one_opinions": True},
        {"news_sd": 0.03},
        {"signal_gain": 0.1},
        {"readers_ahead": True},
        {"settled_alpha": 2e7},
        {"momentum": 0.0},
        {"yield_sensitivity": 1.0},
        {"influence_productivity": 0.0},
        {"dilution": False},
    ],
)
def test_and_moves_prices_but_no_technology_where_nobody_is(switch):
    common = UNINFORMED | {"influence": True, "influence_share": 0.3, "finance": False}
    one, other = pair(60, common, **switch)
    changed = differing(one, other)
    assert {"target_price", "spot_price", "income"} <= changed
    assert not changed & {*STOCKS, "treasury", "budget", "ability", "pipeline"}


def test_switches_of_the_signal_change_it_by_their_own_factor():
    common = UNINFORMED | {"influence": True, "influence_share": 0.3}
    for switch, shown in (
        ({}, lambda s, k, h, noise: (1.5 * s + k + h) * noise),
        ({"hype": 0.0}, lambda s, k, h, noise: (s + k + h) * noise),
        ({"signal_noise_sd": 0.0}, lambda s, k, h, noise: 1.5 * s + k + h),
        ({"influence_productivity": 0.0}, lambda s, k, h, noise: (1.5 * s + k) * noise),
    ):
        one, other = pair(1, common, **switch)
        state = one.state
        stocks = [state.row(n) for n in ("short_stock", "knowledge", "influence_stock")]
        signal = state.section("signal_history")[:, 0]
        noise = signal / (1.5 * stocks[0] + stocks[1] + stocks[2])
        signals = other.state.section("signal_history")[:, 0]
        assert signals == pytest.approx(shown(*stocks, noise), rel=1e-12)


def test_spillover_changes_what_users_get_and_nothing_else():
    one, other = pair(60, {"revenue_share": 0.0, "allocation": "price"}, spillover=0.0)
    assert differing(one, other) == {"true_value", "welfare", "welfare_sum"}
    own = other.state.row("short_stock") + other.state.row("knowledge")
    assert other.state.row("true_value") == pytest.approx(own, rel=1e-14)


def test_luck_changes_knowledge_and_no_other_draw():
    one, other = pair(60, {"finance": False}, research_luck_sd=0.0)
    changed = differing(one, other)
    assert {"knowledge", "informed_value", "target_price"} <= changed
    untouched = {"opinion", "short_stock", "budget", "treasury", "pipeline", "ability"}
    assert not changed & untouched


def test_without_influence_a_share_for_it_is_nothing():
    off, zero = pair(60, {"influence_share": 0.4}, influence=True, influence_share=0.0)
    assert differing(off, zero) == set()
    off, spent = pair(60, {"finance": False}, influence=True)
    spent.state.row("influence_share")[:] = 0.4
    before = off.state.row("short_stock").copy()
    for batch in (off, spent):
        batch.step()
    assert (spent.state.row("short_stock") < off.state.row("short_stock")).all()
    assert (spent.state.row("influence_stock") > 0.0).all()
    assert not off.state.row("influence_stock").any()
    assert before.any()


def test_influence_only_raises_the_signal():
    common = {"influence": True, "influence_share": 0.3, "finance": False}
    useless, useful = pair(90, common | {"influence_productivity": 0.0},
                           influence_productivity=0.1)  # fmt: skip
    for name in STOCKS:
        assert (useless.state.row(name) == useful.state.row(name)).all(), name
    assert (useful.state.section("signal_history") > useless.state.section("signal_history")).all()
    assert (useless.state.worlds["welfare"] == useful.state.worlds["welfare"]).all()


def test_dilution_divides_the_target_by_the_growth_of_issuance():
    diluted, _ = pair(50)
    plain = Batch(Config.make(STEADY, dilution=False), 2)
    plain.state.restore(diluted.state)
    issued = diluted.state.row("alpha_reserve") + diluted.state.row("alpha_outstanding")
    growth = issued / diluted.state.row("alpha_genesis")
    assert (growth > 1.0).all()
    assert growth.max() > 1.1
    for batch in (diluted, plain):
        batch.step()
    ratio = plain.state.row("target_price") / diluted.state.row("target_price")
    assert ratio == pytest.approx(growth, rel=1e-12)
    assert not differing(diluted, plain) & {*STOCKS, "opinion", "signal_history", "pipeline"}


def test_pruning_is_nothing_where_nobody_arrives():
    one, other = pair(60, pruning=False)
    assert differing(one, other) == set()


def test_without_pruning_arrivals_find_no_slot():
    busy = {"arrivals_per_slot_year": 6.0, "entry_value_tao": 1e6, "immunity_days": 0.0}
    full, kept = pair(120, busy, pruning=False)
    assert (full.state.worlds["dissolutions"] > 0).all()
    nobody, _ = pair(120, {"arrivals_per_slot_year": 0.0})
    assert differing(kept, nobody) == set()


def test_finance_decides_where_budgets_come_from_and_nothing_else():
    # treasuries that happen to pay the fixed budget
    config = STEADY | {"reinvest_share": 0.0, "fixed_budget_tao": 8.0, "spend_rate": 1 / 32}
    config |= {"initial_treasury_tao": 256.0, "cost_weight": 1.0, "outside_initial_tao": 1e4}
    on, off = (Batch(Config.make(config, finance=finance), 2) for finance in (True, False))
    assert differing(on, off) == set()
    for batch in (on, off):
        batch.step()
    money = {f"{place}_{who}" for place in ("purse", "root") for who in ("informed", "uninformed")}
    assert differing(on, off) == {"treasury", "outside"} | money
    assert (on.state.row("treasury") == 248.0).all()
    assert (off.state.row("treasury") == 256.0).all()


# --- the same shocks everywhere

LAWS = (
    {"allocation": "price"},
    {"allocation": "root_vote"},
    {"allocation": "uniform", "payment": "direct"},
    {"allocation": "tao_flow", "payment": "fee"},
    {"allocation": "price_burn", "milestone_grant_tao": 100.0, "moving_price_variant": "slow"},
    {"allocation": "net_flow", "spans_per_day": 24, "tao_weight": 0.05},
    {"era": "root_reborn", "emission_off_hazard": 0.02, "emission_on_hazard": 0.1},
)


def test_all_institutions_have_the_same_luck_opinions_and_signals():
    common = STEADY | {"root_validators": 64, "finance": False}
    batch = Batch([Config.make(common, **law) for law in LAWS], seeds=[7] * len(LAWS))
    batch.step(days=120)
    assert len({row.tobytes() for row in batch.state.row("spot_price")}) == len(LAWS)
    for name in ("opinion", "knowledge", "short_stock", "ability", "true_value", "last_day"):
        rows = batch.state.row(name) if name in ROW_OF else batch.state.worlds[name][:, None]
        assert (rows == rows[0]).all(), name
    signal = batch.state.section("signal_history")
    assert (signal == signal[0]).all()


def test_all_institutions_have_the_same_arrivals():
    common = {
        "genesis": "drawn", "n_subnets": 4, "empty_slots": 12, "arrivals_per_slot_year": 2.0,
        "entry_value_tao": 1e6, "outside_initial_tao": 1e6, "root_validators": 64,
        "pruning": False, "finance": False, "start_delay_days": 0,
    }  # fmt: skip
    batch = Batch([Config.make(common, **law) for law in LAWS], seeds=[7] * len(LAWS))
    batch.step(days=120)
    assert 3 < batch.state.worlds["registrations"][0] <= 12
    for name in ("registered_block", "ability", "opinion", "short_stock", "knowledge"):
        rows = batch.state.row(name)
        assert (rows == rows[0]).all(), name


@pytest.mark.parametrize("law", range(len(LAWS)))
def test_relabelling_the_subnets_relabels_the_outcome(law):
    config = Config.make(
        LAWS[law], genesis="drawn", n_subnets=6, influence=True, influence_share=0.2,
        favourite_share=0.5, arrivals_per_slot_year=12.0, entry_value_tao=1e6, immunity_days=10.0,
        outside_initial_tao=1e6, prune_lottery_sd=1.0, start_delay_days=1,
    )  # fmt: skip
    batch, relabelled = Batch(config, 3), Batch(config, 3)
    order = np.random.default_rng(law).permutation(6)
    relabelled.state.fields[...] = batch.state.fields[:, :, order]
    for one in (batch, relabelled):
        one.step(days=40)
    assert (batch.state.worlds["dissolutions"] > 0).all()
    for name in ("root_slot", "shares", "deposited"):
        expected = batch.state.funds[name]
        assert relabelled.state.funds[name] == pytest.approx(expected, rel=1e-9), name
    mine, theirs = relabelled.state.fields, batch.state.fields[:, :, order]
    scale = np.maximum(np.abs(theirs).max(axis=2, keepdims=True), 1e-3)
    assert (np.abs(mine - theirs) <= 1e-9 * scale).all()
    for name in (*TAO_ACCOUNTS, "welfare_sum", "registrations", "dissolutions"):
        assert relabelled.state.worlds[name] == pytest.approx(
            batch.state.worlds[name], rel=1e-9, abs=1e-6
        ), name


# --- ends of episodes


def test_ends_are_the_quantiles_of_a_daily_chance():
    config = Config(horizon="geometric", horizon_cap_days=12_000)
    gamma = discount_per_day(0.2)
    for day in (1, 2, 500, 1624, 5000):
        reached = 1.0 - gamma**day  # chance that day `day` is the last or has been
        assert end_of_life(config, reached * (1 - 1e-9)) == day
        assert end_of_life(config, reached * (1 + 1e-9)) == day + 1
    assert end_of_life(config, 0.0) == 1
    ends = np.array([end_of_life(config, (j + 0.5) / 4000) for j in range(4000)])
    assert ends.mean() == pytest.approx(1.0 / (1.0 - gamma), rel=0.01)
    capped = Config(horizon="geometric", horizon_cap_days=1000)
    assert max(end_of_life(capped, q) for q in (0.1, 0.9, 0.999999)) == 1000


def test_a_hasty_society_ends_its_worlds_earlier():
    hasty = Config(horizon="geometric", social_discount_per_year=0.8)
    assert end_of_life(hasty, 0.5) < 0.2 * end_of_life(Config(horizon="geometric"), 0.5)


def test_worlds_stand_still_from_their_last_day_on():
    config = Config.make(STEADY, n_subnets=3, horizon="geometric", social_discount_per_year=0.999)
    batch, daily = Batch(config, 30), Batch(config, 30)
    last = batch.state.worlds["last_day"].copy()
    assert len(set(last)) > 15
    longest = int(last.max())
    batch.step(days=longest + 5)
    assert (batch.state.worlds["day"] == last).all()
    frozen = arrays(batch)
    for day in range(longest):
        still = last <= day
        before = arrays(daily, still)
        daily.step()
        moved = dict(zip(daily.state.ARRAYS, before, strict=True))
        after = dict(zip(daily.state.ARRAYS, arrays(daily, still), strict=True))
        assert moved == after
    assert arrays(daily) == frozen
    batch.step(days=3)
    assert arrays(batch) == frozen


def test_ends_belong_to_the_key_of_a_world_and_not_to_its_law():
    common = {"genesis": "drawn", "horizon": "geometric", "root_validators": 64}
    batch = Batch([Config.make(common, **law) for law in LAWS], seeds=[9] * len(LAWS))
    assert len(set(batch.state.worlds["last_day"])) == 1
    many = Batch(Config.make(common), 40)
    assert len(set(many.state.worlds["last_day"])) > 30
    assert (Batch(Config(n_subnets=2)).state.worlds["last_day"] == NEVER_ENDS).all()
