"""Starting states: all accounts are those of the snapshot, and the frozen subnets are there in sum."""

import numpy as np
import pytest

from dtao_gym.protocol.allocation import ALLOCATIONS, CHAIN_RULES, GATED_RULES, SUM_RULES
from dtao_gym.protocol.institutions import ERAS
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.genesis import genesis, layout_of
from dtao_gym.world.ledger import ALPHA_HOLDERS, audit, tao_total
from dtao_gym.world.prehistory import parameters_of_world
from dtao_gym.world.snapshot import SNAPSHOT_NAMES, Snapshot
from tests.world.toy import CHAIN, COLUMNS, snapshot

JUNE, APRIL = SNAPSHOT_NAMES[:2]
SIZES = [1, 5, 127, None]


def start(seed: int = 0, episode: int = 0, **config):
    return genesis(Config.make(config), seed, episode)


# --- accounts


@pytest.mark.parametrize("name", [JUNE, APRIL])
@pytest.mark.parametrize("n_subnets", SIZES)
def test_the_ledger_starts_from_the_sum_of_its_accounts(name, n_subnets):
    state = start(genesis=name, n_subnets=n_subnets, n_stakers=3, wealth_tao=2000.0)
    chain = Snapshot.named(name)
    world = state.worlds[0]
    # pools and root are the chain's at every size; purses, treasuries, `outside` and stakers are not
    liquid = world["purse_informed"] + world["purse_uninformed"] + world["outside"]
    expected = chain.tao_reserve.sum() + chain.root_stake_tao + liquid
    expected += state.row("treasury").sum() + 3 * 2000.0
    assert tao_total(state)[0] == pytest.approx(expected, rel=1e-14)
    assert world["tao_genesis"] == tao_total(state)[0]
    assert world["minted"] == world["recycled"] == world["burned"] == world["authors"] == 0.0
    assert audit(state, 1e-14).ok


@pytest.mark.parametrize("name", [JUNE, APRIL])
def test_all_alpha_has_a_holder(name):
    state = start(genesis=name, staker_share_of_alpha_out=0.7, informed_share_stakers=0.25)
    held = sum(state.row(holder) for holder in ALPHA_HOLDERS)[0]
    outstanding = Snapshot.named(name).alpha_outstanding
    assert held == pytest.approx(outstanding, rel=1e-14)
    stakers = (state.row("informed_alpha") + state.row("uninformed_alpha"))[0]
    assert stakers == pytest.approx(0.7 * outstanding, rel=1e-14)
    assert state.row("informed_alpha")[0] == pytest.approx(0.25 * stakers, rel=1e-14)
    assert not state.section("staker_alpha").any()


def test_root_and_purses_are_divided_by_who_is_informed():
    state = start(informed_share_stakers=0.4, purse_share=0.25)
    world, root = state.worlds[0], Snapshot.named(JUNE).root_stake_tao
    assert world["root_informed"] + world["root_uninformed"] == pytest.approx(root, rel=1e-15)
    assert world["root_informed"] == pytest.approx(0.4 * root, rel=1e-15)
    for who in ("informed", "uninformed"):
        purse, staked = world[f"purse_{who}"], world[f"root_{who}"]
        assert purse / (purse + staked) == pytest.approx(0.25, rel=1e-14)


def test_stakers_start_in_root():
    state = start(n_stakers=2, wealth_tao=123.0)
    assert (state.stakers["root"] == 123.0).all()
    assert (state.stakers["wealth"] == 123.0).all()


def test_the_outside_account_is_stationary_unless_given():
    assert start(outside_initial_tao=0.0).worlds["outside"][0] == 0.0
    assert start(outside_initial_tao=77.0).worlds["outside"][0] == 77.0
    # with trade too slow to move prices, what comes in on the first day is what goes out
    batch = Batch(
        Config.make(PREDICTABLE, trade_speed=0.0, momentum=0.0, arrivals_per_slot_year=0.0)
    )
    before = float(batch.state.worlds["outside"][0])
    batch.step()
    assert batch.state.worlds["outside"][0] == pytest.approx(before, rel=2e-3)


def test_prices_start_where_stakers_think_them_right():
    state = start()
    price = Snapshot.named(JUNE).spot_price
    batch = Batch(Config.make(PREDICTABLE, arrivals_per_slot_year=0.0))
    assert batch.state.row("spot_price")[0] == pytest.approx(price, rel=1e-9)
    batch.step()
    # the target of the first day, from the value of genesis and no error of opinion yet
    assert batch.state.row("target_price")[0] == pytest.approx(
        state.row("target_price")[0], rel=1e-9
    )


def test_a_users_snapshot_is_taken_as_it_is(tmp_path):
    path = snapshot(tmp_path)
    state = start(genesis=path)
    for row in (
        "tao_reserve",
        "alpha_reserve",
        "alpha_outstanding",
        "moving_price",
        "miner_burned",
    ):
        assert state.row(row)[0].tolist() == list(COLUMNS[row])
    assert state.row("pool_tao_weight")[0].tolist() == [0.5] * 4
    assert state.row("stream_id")[0].tolist() == list(COLUMNS["netuid"])
    assert state.row("start_block")[0].tolist() == list(COLUMNS["registered_block"])
    assert state.row("emission_enabled")[0].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert state.worlds["block"][0] == CHAIN["block"]
    assert state.worlds["chain_issuance"][0] == CHAIN["chain_issuance_tao"]
    assert state.worlds["block_emission"][0] == 0.5


def test_a_moving_price_above_one_counts_as_one(tmp_path):
    state = start(genesis=snapshot(tmp_path, moving_price=(3.0, 0.3, 0.2, 0.2)))
    assert state.row("moving_price")[0].tolist() == [1.0, 0.3, 0.2, 0.2]


# --- which subnets


def test_april_has_one_subnet_less():
    assert layout_of(Config(genesis=APRIL)).n_subnets == 127
    assert layout_of(Config(genesis=JUNE)).n_subnets == 128
    with pytest.raises(ConfigError, match="n_subnets: got 128, allowed are 1 to 127"):
        layout_of(Config(genesis=APRIL, n_subnets=128))


@pytest.mark.parametrize("n", [1, 3, 64, 128])
def test_the_largest_are_the_deepest_pools_in_the_order_of_the_snapshot(n):
    state = start(n_subnets=n)
    chain = Snapshot.named(JUNE)
    chosen = state.row("stream_id")[0]
    assert (np.diff(chosen) > 0).all()
    assert set(chosen) == set(chain.largest(n).netuid)
    assert state.row("tao_reserve")[0].min() == np.sort(chain.tao_reserve)[-n]


def sampled(seed: int, episode: int = 0, **config) -> list[float]:
    state = start(seed, episode, n_subnets=8, selection="sample", **config)
    return state.row("stream_id")[0].tolist()


def test_a_sample_depends_on_seed_and_episode():
    samples = [tuple(sampled(seed, episode)) for seed in range(5) for episode in range(5)]
    assert len(set(samples)) == 25
    assert all(len(set(s)) == 8 and list(s) == sorted(s) for s in samples)


def test_a_sample_depends_on_nothing_else():
    expected = sampled(3, 2)
    for change in (
        {"era": "launch"},
        {"tao_weight": 0.1, "spans_per_day": 24},
        {"world_seed": 99},
        {"n_stakers": 2},
    ):
        assert sampled(3, 2, **change) == expected
    batch = Batch(Config(n_subnets=8, selection="sample"), 3, seeds=[1, 2, 3])
    batch.step()
    batch.reset(2, 3, 2)
    assert batch.state.row("stream_id")[2].tolist() == expected


def test_evaluation_worlds_have_samples_of_their_own():
    evaluation = [tuple(sampled(seed, split="evaluation")) for seed in range(5)]
    assert len(set(evaluation)) == 5
    assert not set(evaluation) & {tuple(sampled(seed)) for seed in range(5)}


def test_every_subnet_can_be_sampled():
    seen = {netuid for seed in range(120) for netuid in sampled(seed)}
    assert len(seen) == 128


# --- the subnets that are not simulated


@pytest.mark.parametrize("name", [JUNE, APRIL])
@pytest.mark.parametrize("n_subnets", [1, 5, 100])
def test_what_is_left_out_is_there_in_sum(name, n_subnets):
    part, whole = start(genesis=name, n_subnets=n_subnets), start(genesis=name)
    chain = Snapshot.named(name)
    some, everything = part.worlds[0], whole.worlds[0]
    moving, burned = part.row("moving_price")[0], part.row("miner_burned")[0]
    enabled = part.row("emission_enabled")[0]
    all_moving = np.minimum(chain.moving_price, 1.0)
    claims = all_moving * (1 - chain.miner_burned)
    for rest, mine, total in (
        ("rest_count", n_subnets, chain.n_subnets),
        ("rest_moving_price", moving.sum(), all_moving.sum()),
        ("rest_price_sum", moving.sum(), all_moving.sum()),
        ("rest_burn_weighted", (moving * (1 - burned)).sum(), claims.sum()),
        ("rest_enabled_count", enabled.sum(), chain.emission_enabled.sum()),
        ("rest_enabled_moving_price", moving @ enabled, all_moving @ chain.emission_enabled),
        ("rest_enabled_burn_weighted", (moving * (1 - burned)) @ enabled, claims @ chain.emission_enabled),
        ("aggregate", part.row("tao_reserve").sum(), chain.tao_reserve.sum()),
    ):  # fmt: skip
        assert some[rest] + mine == pytest.approx(total, rel=1e-13), rest
        assert everything[rest] == 0.0, rest
    assert some["moving_price_sum"] == pytest.approx(everything["moving_price_sum"], rel=1e-13)
    assert some["rest_root_income"] > everything["rest_root_income"] == 0.0


GATED = {CHAIN_RULES[number].name for number in GATED_RULES}
LISTED_RULES = {rule.name for rule in SUM_RULES} | GATED


@pytest.mark.parametrize("allocation", sorted(LISTED_RULES))
@pytest.mark.parametrize("era", ERAS)
def test_a_part_of_the_market_has_the_shares_of_the_whole(era, allocation):
    rules = {"era": era, "allocation": allocation, "spans_per_day": 1, "n_stakers": 0}
    rules["arrivals_per_slot_year"] = 0.0
    part, whole = (Batch(Config.make(rules, n_subnets=n)) for n in (7, None))
    for batch in (part, whole):
        batch.step()
    shares = dict(
        zip(whole.state.row("stream_id")[0], whole.state.row("emission_share")[0], strict=True)
    )
    expected = [shares[netuid] for netuid in part.state.row("stream_id")[0]]
    assert part.state.row("emission_share")[0] == pytest.approx(expected, rel=1e-13)
    assert part.state.worlds["minted"] == whole.state.worlds["minted"]


@pytest.mark.parametrize("allocation", sorted(set(ALLOCATIONS) - LISTED_RULES))
def test_under_other_rules_the_rest_keeps_its_share_of_the_prices(allocation):
    part = Batch(Config.make(allocation=allocation, n_subnets=50, arrivals_per_slot_year=0.0))
    part.step()
    chain = Snapshot.named(JUNE)
    among = np.isin(chain.netuid, part.state.row("stream_id")[0])
    expected = chain.moving_price[among].sum() / chain.moving_price.sum()
    assert part.state.row("emission_share").sum() == pytest.approx(expected, rel=1e-12)
    assert (part.state.row("emission_share") >= 0.0).all()


# --- slots, values and eras without pools


def test_empty_slots_hold_nothing_and_are_taken_first():
    config = Config.make(
        n_subnets=4, empty_slots=3, arrivals_per_slot_year=12.0, entry_value_tao=1e6
    )
    state = genesis(config, 0, 0)
    empty = state.row("registered_block")[0] < 0
    assert empty.tolist() == [False] * 4 + [True] * 3
    assert len(set(state.row("stream_id")[0])) == 7
    for name in (
        "tao_reserve",
        "alpha_reserve",
        "alpha_outstanding",
        "true_value",
        "treasury",
        "started",
    ):
        assert (state.row(name)[0][empty] == 0.0).all(), name
    batch = Batch(config)
    while batch.state.worlds["registrations"][0] < 3:
        batch.step()
    assert batch.state.worlds["dissolutions"][0] == 0
    assert (batch.state.row("registered_block") >= 0).all()


def test_too_many_slots_are_refused():
    with pytest.raises(ConfigError, match="empty_slots: got 1 with 128 subnets, allowed are 128"):
        layout_of(Config(empty_slots=1))


def test_drawn_values_depend_on_seed_and_episode_alone():
    draw = {"genesis_values": "drawn", "genesis_price_sd": 1.0, "genesis_stocks": "steady_state"}
    values = [
        start(seed, episode, **draw).row("informed_value")[0]
        for seed in (0, 1)
        for episode in (0, 1)
    ]
    assert len({v.tobytes() for v in values}) == 4
    again = start(0, 0, era="launch", **draw).row("informed_value")[0]
    assert again.tobytes() == values[0].tobytes()
    logs = np.log(np.concatenate(values))
    assert logs.std() == pytest.approx(1.0, abs=0.1)
    # with nobody deceived, stakers would pay the median price for the median of these stocks
    honest = {"hype": 0.0, "informed_share_stakers": 1.0} | draw
    value = np.concatenate([start(seed, **honest).row("informed_value")[0] for seed in range(4)])
    price = float(parameters_of_world(Config.make(honest))["price_of_capital"]) * value
    assert np.median(price) == pytest.approx(0.0058, rel=0.15)


def test_without_pools_all_tao_is_on_root():
    state, chain = start(era="pre_dtao"), Snapshot.named(JUNE)
    for name in ("tao_reserve", "alpha_reserve", "alpha_outstanding", "spot_price", *ALPHA_HOLDERS):
        assert not state.row(name).any(), name
    root = sum(state.worlds[f"root_{who}"][0] for who in ("informed", "uninformed", "validators"))
    assert root == pytest.approx(chain.root_stake_tao + chain.tao_reserve.sum(), rel=1e-14)
    assert state.validators["stake"].sum() == pytest.approx(1.0, rel=1e-12)
    assert audit(state, 1e-14).ok


def test_root_income_of_the_frozen_subnets_is_what_they_would_pay():
    whole = Batch(Config())
    income = start(n_subnets=1).worlds["rest_root_income"][0]
    state = whole.state
    price = whole.state.row("spot_price")[0]
    root = 0.18 * Snapshot.named(JUNE).root_stake_tao
    issuance = state.row("alpha_reserve")[0] + state.row("alpha_outstanding")[0]
    paid = (
        0.5
        * (1 - 11796 / 65535)
        * root
        / (root + issuance)
        * state.row("alpha_emission")[0]
        * price
    )
    left_out = state.row("stream_id")[0] != start(n_subnets=1).row("stream_id")[0]
    assert income == pytest.approx(paid[left_out].sum(), rel=1e-9)
