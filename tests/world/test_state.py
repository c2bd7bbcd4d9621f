"""The ledger notices every coin, and states copy, save and load without half measures."""

import pickle
from itertools import pairwise

import numpy as np
import pytest

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.ledger import ALPHA_HOLDERS, TAO_ACCOUNTS, audit, tao_total
from dtao_gym.world.state import WORLD_DTYPE, Layout, State, Subnets
from tests.world.toy import random_orders

TAO_ROWS = ("tao_reserve", "treasury")
ALPHA_ROWS = (*ALPHA_HOLDERS, "alpha_reserve", "alpha_outstanding")
ALPHA_COUNTERS = ("alpha_genesis", "alpha_minted", "alpha_recycled")
SECTIONS = ("staker_alpha", "staker_claimable")
TAO_COUNTERS = ("tao_genesis", "minted")


@pytest.fixture(scope="module")
def lived_in() -> State:
    """Three worlds after a few busy days; every account that can hold something does."""
    batch = Batch(Config(n_subnets=4, n_stakers=2, wealth_tao=50_000.0), 3)
    random = np.random.default_rng(0)
    for _ in range(4):
        batch.step(random_orders(batch, random, scale=0.0))
    return batch.state


@pytest.fixture
def state(lived_in) -> State:
    return lived_in.copy()


def account(state: State, name: str) -> np.ndarray:
    """View of one account: a row, a section, a field of the world or the stakers' root."""
    if name == "root":
        return state.stakers["root"]
    if name in SECTIONS:
        return state.section(name)
    return state.row(name) if name in Subnets._fields else state.worlds[name]


# --- the audit


def test_the_ledger_balances(state):
    checked = audit(state)
    assert checked.ok
    assert checked.tao_error.shape == checked.alpha_error.shape == (3,)
    assert max(checked.tao_error.max(), checked.alpha_error.max()) < 1e-13


@pytest.mark.parametrize("sign", [1, -1], ids=["added", "removed"])
@pytest.mark.parametrize("name", [*TAO_ACCOUNTS, *TAO_ROWS, "root", *TAO_COUNTERS])
def test_tao_added_or_removed_anywhere_is_noticed(state, name, sign):
    where = account(state, name)[1:2]  # of the world in the middle
    where[(0,) * where.ndim] += sign * 2e-9 * tao_total(state)[1]
    checked = audit(state)
    assert not checked.ok
    assert checked.tao_error[1] > 1e-9
    assert checked.tao_error[[0, 2]].max() < 1e-13


@pytest.mark.parametrize("sign", [1, -1], ids=["added", "removed"])
@pytest.mark.parametrize("name", [*ALPHA_ROWS, *ALPHA_COUNTERS, *SECTIONS])
def test_alpha_added_or_removed_anywhere_is_noticed(state, name, sign):
    where = account(state, name)[1]
    issued = (state.row("alpha_genesis") + state.row("alpha_minted"))[1, -1]
    where[..., -1] += sign * 2e-9 * issued
    checked = audit(state)
    assert not checked.ok
    assert checked.alpha_error[1] > 1e-9
    assert checked.alpha_error[[0, 2]].max() < 1e-13


def test_whatever_else_a_state_holds_is_no_money(state):
    """A row or field that is added to the state must be audited, or be listed here."""
    names = [*Subnets._fields, *WORLD_DTYPE.names]
    unnoticed = set()
    for name in names:
        changed = state.copy()
        values = account(changed, name)
        values += np.asarray(1e6, values.dtype)
        if audit(changed).ok:
            unnoticed.add(name)
    assert unnoticed == {
        *(
            "pool_tao_weight",
            "spot_price",
            "moving_price",
            "emission_share",
            "alpha_emission",
            "start_block",
        ),
        *("miner_burned", "emission_enabled", "moving_rate", "moving_decay"),
        *("off_block", "on_block", "has_funds", "funds_open"),
        *("dilution_alpha", "registered_block", "started", "lock_tao", "legacy"),
        *("reserve_counts", "user_flow_ema", "protocol_flow_ema", "protocol_flow", "flow_mark"),
        *("vote_share", "knowledge_disclosed", "genesis_block", "equal_weights", "rule_error"),
        *("gate_bar", "last_lock", "last_lock_block", "registrations", "dissolutions"),
        *("rest_price_sum", "rest_root_weighted", "rest_enabled_root_weighted", "rest_share"),
        *("true_value", "informed_value", "opinion", "target_price", "stake_yield", "stream_id"),
        *(
            "news",
            "news_variance",
            "common_news",
            "common_variance",
            "price_excess",
            "vote_part",
            "news_volatility",
            "news_character",
            "news_factor",
            "belief",
            "prior",
            "valuation",
        ),
        *("demand_level", "alpha_part_of_wealth"),
        *("ability", "short_stock", "knowledge", "influence_stock", "owner_number"),
        *("spend_rate", "research_share", "influence_share", "owner_sale_fraction"),
        # what has gone into treasuries or out of them, or will
        *(
            "budget",
            "income",
            "grant_due",
            "granted",
            "consumed",
            "first_owner_payoff",
            "consumed_by_predecessors",
        ),
        *("last_day", "welfare_sum", "research_sum", "work_sum", "influence_sum"),
        *("informed_value_sum", "plain_value_sum"),
        *("world_key", "episode", "day", "block", "chain_issuance", "block_emission"),
        *("rest_count", "rest_moving_price", "rest_burn_weighted", "rest_root_income"),
        *("rest_enabled_count", "rest_enabled_moving_price", "rest_enabled_burn_weighted"),
        *("informed_weight", "moving_price_sum", "root_yield"),
        *("price_sum", "emission_hhi", "welfare"),
        *("revenue_paid", "revenue_rationed"),
    }


@pytest.mark.parametrize("name", [*TAO_ACCOUNTS, "treasury", "root"])
def test_a_debt_is_noticed_even_where_the_sum_is_right(state, name):
    debtor = account(state, name)[1:2]
    first = (0,) * debtor.ndim
    amount = debtor[first] + 1.0
    debtor[first] -= amount
    state.worlds["outside" if name != "outside" else "authors"][1] += amount
    checked = audit(state)
    assert checked.tao_error.max() < 1e-12
    assert not checked.ok


@pytest.mark.parametrize("name", [*ALPHA_HOLDERS, *SECTIONS])
def test_a_debt_of_alpha_is_noticed_even_where_the_sum_is_right(state, name):
    debtor = account(state, name)[1]
    first = (0,) * debtor.ndim
    amount = debtor[first] + 1.0
    debtor[first] -= amount
    state.row("idle_alpha" if name != "idle_alpha" else "miner_alpha")[1, 0] += amount
    checked = audit(state)
    assert checked.alpha_error.max() < 1e-12
    assert not checked.ok


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", [*TAO_ACCOUNTS, *TAO_ROWS, "root", *ALPHA_ROWS, *ALPHA_COUNTERS, *SECTIONS, "minted"]
)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_number_that_is_none_is_noticed(state, name, value):
    where = account(state, name)[1:2]
    where[(0,) * where.ndim] = value
    assert not audit(state).ok


def test_money_that_changes_hands_is_no_error(state):
    state.worlds["purse_informed"] -= 1.0
    state.worlds["outside"] += 0.25
    state.row("treasury")[:, 0] += 0.75
    state.row("miner_alpha")[:] -= 0.5
    state.section("staker_alpha")[:, 0] += 0.5
    assert audit(state).ok


# --- copies and files


def same(one: State, other: State) -> bool:
    return all(np.array_equal(getattr(one, a), getattr(other, a)) for a in State.ARRAYS)


def test_a_copy_is_independent(state, lived_in):
    twin = state.copy()
    assert same(twin, state)
    twin.fields[:] = 0.0
    twin.worlds["day"] = -1
    twin.stakers["root"] = -1.0
    assert same(state, lived_in)


def test_restore_brings_back_the_very_bits(state):
    saved = state.copy()
    arrays = [getattr(state, name) for name in State.ARRAYS]
    state.fields *= 2.0
    state.worlds["outside"] += 1.0
    state.restore(saved)
    assert same(state, saved)
    # views that others hold stay views of the state
    assert all(
        getattr(state, name) is array for name, array in zip(State.ARRAYS, arrays, strict=True)
    )


def test_a_state_travels_through_a_file_and_a_pickle(state, tmp_path):
    state.save(tmp_path / "state.npz")
    loaded = State(state.layout, 3)
    loaded.load(tmp_path / "state.npz")
    assert same(loaded, state)
    assert same(pickle.loads(pickle.dumps(state)), state)


def test_a_state_is_loaded_by_the_name_it_was_saved_under(state, tmp_path):
    state.save(tmp_path / "state")
    state.load(tmp_path / "state")


@pytest.mark.parametrize(
    ("layout", "n_worlds"),
    [
        (Layout(4, 2, signal_days=8), 2),
        (Layout(5, 2, signal_days=8), 3),
        (Layout(4, 1, signal_days=8), 3),
        (Layout(4, 2, price_days=21, signal_days=8), 3),
    ],
    ids=["worlds", "subnets", "stakers", "days"],
)
def test_a_state_of_another_shape_is_refused_whole(state, tmp_path, layout, n_worlds):
    other = State(layout, n_worlds)
    with pytest.raises(ValueError, match=r"state: got 3 worlds .*allowed is"):
        other.restore(state)
    state.save(tmp_path / "state.npz")
    with pytest.raises(ValueError, match=r"state\.npz: .* has .*shape .*allowed is"):
        other.load(tmp_path / "state.npz")
    assert not other.fields.any()
    assert not other.worlds["tao_genesis"].any()
    assert not other.stakers["root"].any()


@pytest.mark.parametrize("bad", State.ARRAYS)
@pytest.mark.parametrize("how", ["shape", "dtype", "missing"])
def test_a_broken_file_leaves_the_state_as_it_was(state, lived_in, tmp_path, bad, how):
    arrays = {name: getattr(state, name) for name in State.ARRAYS}
    changed = {"shape": lambda a: a[:-1], "dtype": lambda a: np.zeros(a.shape, np.int8)}
    if how == "missing":
        del arrays[bad]
    else:
        arrays[bad] = changed[how](arrays[bad])
    if bad != "fields":
        arrays["fields"] = arrays["fields"] * 2.0
    np.savez(tmp_path / "state.npz", **arrays)
    with pytest.raises((ValueError, KeyError), match=bad):
        state.load(tmp_path / "state.npz")
    assert same(state, lived_in)


def test_a_file_with_code_in_it_is_refused(state, lived_in, tmp_path):
    arrays = {name: getattr(state, name) for name in State.ARRAYS}
    arrays["stakers"] = np.array([print], dtype=object)
    np.savez(tmp_path / "state.npz", **arrays)
    with pytest.raises(ValueError, match="allow_pickle"):
        state.load(tmp_path / "state.npz")
    assert same(state, lived_in)


def test_sections_follow_each_other_without_gap_or_overlap():
    layout = Layout(3, n_stakers=2, price_days=5, signal_days=4, pipeline_stages=3)
    edges = [(s.start, s.stop) for s in layout.sections.values()]
    assert edges[0][0] == len(Subnets._fields)
    assert all(a[1] == b[0] for a, b in pairwise(edges))
    assert State(layout, 2).fields.shape == (2, edges[-1][1], 3)
    assert layout.n_rows == edges[-1][1]
