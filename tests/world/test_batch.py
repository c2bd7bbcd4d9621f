"""Properties of worlds that advance: money is conserved, and results depend on the world's own keys alone."""

import copy
import hashlib
import os
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.protocol.institutions import ERAS
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.ledger import TAO_ACCOUNTS
from tests.world.toy import arrays, assert_sound, random_orders

REPOSITORY = Path(__file__).resolve().parents[2]

# --- a world is its own


RULES = [
    {"era": "price_burn"},
    {"era": "launch"},
    {"era": "launch", "spans_per_day": 24},
    {"era": "price_burn", "execution": "twap", "opinion_weights": "wealth"},
    {"era": "price_burn", "allocation": "uniform", "tao_weight": 0.05, "spans_per_day": 1},
    {"era": "price_burn", "selection": "sample", "trade_speed": 0.9},
    {"era": "launch", "split": "evaluation", "root_gate": "chain", "halving": False},
    {"era": "root_reborn", "emission_off_hazard": 0.1, "emission_on_hazard": 0.2},
]


def mixed(n_worlds: int) -> list[Config]:
    """Configurations that differ in everything but the sizes of arrays."""
    sizes = {"n_subnets": 6, "n_stakers": 2, "wealth_tao": 20_000.0}
    return [Config.make(sizes | RULES[k % len(RULES)], world_seed=100 + k) for k in range(n_worlds)]


def orders_of(world: int, day: int) -> np.ndarray:
    return np.random.default_rng([world, day]).normal(0.0, 500.0, (2, 6))


def live(configs: list[Config], worlds: list[int], threads: int, days: int = 6) -> Batch:
    """Some worlds, advanced together, each under its own orders."""
    batch = Batch(
        [configs[w] for w in worlds], seeds=[configs[w].world_seed for w in worlds], threads=threads
    )
    for day in range(days):
        batch.step(np.array([orders_of(w, day) for w in worlds]))
    return batch


@pytest.fixture(scope="module")
def alone() -> list[list[bytes]]:
    """Each of 40 different worlds, run by itself."""
    configs = mixed(40)
    return [arrays(live(configs, [w], threads=1)) for w in range(40)]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 15, 16, 17, 40])
def test_a_world_of_a_batch_is_the_world_that_runs_alone(alone, size, threads):
    batch = live(mixed(40), list(range(size)), threads)
    for world in range(size):
        assert arrays(batch, slice(world, world + 1)) == alone[world], world


def test_the_place_in_the_batch_does_not_matter(alone):
    order = np.random.default_rng(0).permutation(40).tolist()
    batch = live(mixed(40), order, threads=2)
    for place, world in enumerate(order):
        assert arrays(batch, slice(place, place + 1)) == alone[world]


def test_days_at_once_are_days_one_by_one():
    one, many = (Batch(Config(n_subnets=5), 3) for _ in range(2))
    orders = random_orders(one, np.random.default_rng(0), scale=0.0)
    one.step(orders)
    for _ in range(9):
        one.step()
    many.step(orders, 10)
    before = many.state.stakers["traded"]
    assert before.any()  # of the first day, the one with orders
    one.state.stakers["traded"] = before
    assert arrays(one) == arrays(many)


def test_a_reset_world_starts_again_and_leaves_the_others_alone():
    batch = Batch(Config(n_subnets=5), 3)
    first = arrays(batch, slice(1, 2))
    batch.step(days=3)
    others = arrays(batch, slice(0, 1)), arrays(batch, slice(2, 3))
    batch.reset(1, 1, 0)
    assert arrays(batch, slice(1, 2)) == first
    assert (arrays(batch, slice(0, 1)), arrays(batch, slice(2, 3))) == others


def test_a_restored_batch_takes_the_same_way_again():
    batch = Batch(Config(n_subnets=5), 3)
    batch.step(days=3)
    saved = batch.state.copy()
    batch.step(days=5)
    expected = arrays(batch)
    batch.state.restore(saved)
    batch.step(days=5)
    assert arrays(batch) == expected


@pytest.mark.parametrize("change", [{"seeds": [7]}, {"split": "evaluation"}, {"episode": 1}])
def test_other_keys_are_other_worlds(change):
    def end(split="train", seeds=(0,), episode=0):
        batch = Batch(Config(n_subnets=5, split=split), 1, seeds=seeds)
        batch.reset(0, seeds[0], episode)
        batch.step(days=2)
        return batch.state.row("true_value").tobytes()

    assert end() == end()
    assert end(**change) != end()


TRAJECTORY = """
import hashlib, sys
import numpy as np
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
threads, n_subnets, days = map(int, sys.argv[1:])
rules = ("launch", "price_burn")
configs = [Config(n_subnets=n_subnets, era=era, world_seed=s) for s in range(16) for era in rules]
batch = Batch(configs, threads=threads)
digest = hashlib.sha256()
for day in range(0, days, 10):
    batch.step(np.random.default_rng(day).normal(0.0, 100.0, (32, 1, n_subnets)), 10)
    for name in batch.state.ARRAYS:
        digest.update(getattr(batch.state, name).tobytes())
print(digest.hexdigest())
"""


def trajectory(threads: int, n_subnets: int, days: int, **environment: str) -> str:
    """Hash of all states of 32 worlds, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", TRAJECTORY, str(threads), str(n_subnets), str(days)],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_every_process_takes_the_same_way():
    hashes = {
        trajectory(threads, 8, 60, PYTHONHASHSEED=str(threads), PYTHONPATH=str(REPOSITORY))
        for threads in (1, 2, 4)
    }
    assert len(hashes) == 1
    assert len(hashes.pop()) == hashlib.sha256().digest_size * 2


def test_threads_share_no_memory_that_one_of_them_has_freed():
    # with a single heap for all threads, a kernel that works in freed memory is soon found out
    alone = trajectory(1, 128, 100, PYTHONPATH=str(REPOSITORY))
    assert trajectory(4, 128, 100, PYTHONPATH=str(REPOSITORY), MALLOC_ARENA_MAX="1") == alone


# --- names of subnets do not matter


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("n_subnets", [6, None])
def test_relabelling_the_subnets_relabels_the_outcome(era, n_subnets):
    config = Config(era=era, n_subnets=n_subnets, wealth_tao=20_000.0)
    batch, relabelled = Batch(config, 2), Batch(config, 2)
    random = np.random.default_rng(0)
    order = random.permutation(batch.layout.n_subnets)
    relabelled.state.fields[...] = batch.state.fields[:, :, order]
    for _ in range(10):
        orders = random_orders(batch, random, scale=0.0)
        batch.step(orders)
        relabelled.step(orders[:, :, order])
    mine, theirs = relabelled.state.fields, batch.state.fields[:, :, order]
    scale = np.maximum(np.abs(theirs).max(axis=2, keepdims=True), 1e-3)
    assert (np.abs(mine - theirs) <= 1e-12 * scale).all()
    for name in (*TAO_ACCOUNTS, "moving_price_sum", "root_yield", "revenue_paid"):
        assert relabelled.state.worlds[name] == pytest.approx(
            batch.state.worlds[name], rel=1e-12, abs=1e-9
        ), name
    assert relabelled.state.stakers["wealth"] == pytest.approx(
        batch.state.stakers["wealth"], rel=1e-12
    )


# --- rules that change while worlds run


def test_an_era_can_change_between_days():
    batch = Batch(Config(n_subnets=5, wealth_tao=50_000.0), 4)
    random = np.random.default_rng(0)
    for era in ("price_burn", "launch", "price_burn"):
        batch.set_parameters(era=era)
        for _ in range(3):
            batch.step(random_orders(batch, random, scale=0.0))
            assert_sound(batch)
    # and the rules in force are those of the last era
    steady = Batch(Config(n_subnets=5), 4)
    assert batch.parameters.tobytes() == steady.parameters.tobytes()


def test_only_the_chosen_worlds_change():
    batch, untouched = (Batch(Config(n_subnets=5), 3) for _ in range(2))
    batch.set_parameters([1], era="launch", spans_per_day=24)
    assert [config.era for config in batch.configs] == ["price_burn", "launch", "price_burn"]
    batch.step(days=2)
    untouched.step(days=2)
    for world in range(3):
        worlds = slice(world, world + 1)
        assert (arrays(batch, worlds) == arrays(untouched, worlds)) == (world != 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tao_weight": 2}, "tao_weight: got 2"),
        ({"tao_wait": 0.1}, "did you mean 'tao_weight'"),
        ({"era": "launch", "n_stakers": 2}, "sizes of arrays are fixed"),
        ({"era": "launch", "n_subnets": 4}, "sizes of arrays are fixed"),
        ({"signal_lag_days": 3}, "sizes of arrays are fixed"),
        ({"momentum_lag_days": 3}, "sizes of arrays are fixed"),
    ],
)
def test_a_refused_change_changes_nothing(changes, message):
    batch = Batch(Config(n_subnets=5), 3)
    before = arrays(batch), batch.parameters.tobytes(), list(batch.configs)
    with pytest.raises(ConfigError, match=message):
        batch.set_parameters(**changes)
    assert (arrays(batch), batch.parameters.tobytes(), list(batch.configs)) == before


def test_a_world_that_is_not_there_cannot_be_changed():
    batch = Batch(Config(n_subnets=5), 3)
    before = batch.parameters.tobytes()
    with pytest.raises(IndexError):
        batch.set_parameters([0, 3], tao_weight=0.1)
    assert batch.parameters.tobytes() == before


# --- orders


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        (np.zeros((2, 1, 4)), r"got shape \(2, 1, 4\), allowed is \(2, 1, 5\)"),
        (np.zeros((1, 1, 5)), r"got shape \(1, 1, 5\), allowed is \(2, 1, 5\)"),
        (np.zeros((2, 5)), r"got shape \(2, 5\), allowed is \(2, 1, 5\)"),
        (np.zeros((2, 2, 5)), r"got shape \(2, 2, 5\), allowed is \(2, 1, 5\)"),
        (np.full((2, 1, 5), np.nan), r"got nan at world 0, staker 0, subnet 0, allowed are finite"),
        (np.array([0.0] * 8 + [np.inf, 0.0]).reshape(2, 1, 5), r"got inf at world 1, staker 0, subnet 3"),
        (np.array([0.0] * 9 + [-np.inf]).reshape(2, 1, 5), r"got -inf at world 1, staker 0, subnet 4"),
    ],
)  # fmt: skip
def test_bad_orders_are_refused_and_change_nothing(orders, message):
    batch = Batch(Config(n_subnets=5), 2)
    before = arrays(batch)
    with pytest.raises(ValueError, match=message):
        batch.step(orders)
    assert arrays(batch) == before


@pytest.mark.parametrize("days", [0, -1])
def test_time_only_goes_forward(days):
    batch = Batch(Config(n_subnets=5))
    before = arrays(batch)
    with pytest.raises(ValueError, match=f"days: got {days}, allowed is 1 or more"):
        batch.step(days=days)
    assert arrays(batch) == before


@pytest.mark.parametrize("days", [True, 1.0, np.float64(1.0), np.True_, "1", None])
def test_days_are_whole_numbers(days):
    batch = Batch(Config(n_subnets=5))
    before = arrays(batch)
    with pytest.raises(ValueError, match=re.escape(f"days: got {days!r}, allowed is 1 or more")):
        batch.step(days=days)
    assert arrays(batch) == before


def test_days_may_be_an_integer_of_numpy():
    one, other = Batch(Config(n_subnets=5)), Batch(Config(n_subnets=5))
    one.step(days=np.int64(3))
    other.step(days=3)
    assert arrays(one) == arrays(other)


def test_a_second_thread_is_refused_while_one_steps():
    batch, started, go_on = Batch(Config(n_subnets=5)), threading.Event(), threading.Event()
    run = batch._run

    def slow(*arguments):
        started.set()
        assert go_on.wait(60.0)
        run(*arguments)

    batch._run = slow
    thread = threading.Thread(target=batch.step)
    thread.start()
    assert started.wait(60.0)
    with pytest.raises(RuntimeError, match="batch: got a step while another thread steps it"):
        batch.step()
    go_on.set()
    thread.join()
    del batch._run
    batch.step()  # after an error as well
    assert batch.state.worlds["day"][0] == 2


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))]
)
def test_a_copy_steps_by_itself(copied):
    batch = Batch(Config(n_subnets=5))
    with batch.one_thread:
        other = copied(batch)
        other.step()
    assert other.state.worlds["day"][0] == 1


def test_orders_of_any_layout_and_type_are_the_same_orders():
    orders = np.random.default_rng(0).integers(-100, 500, (3, 1, 5))
    ends = set()
    for given_orders in (
        orders,
        orders.astype(np.float32),
        np.asfortranarray(orders),
        orders.tolist(),
    ):
        batch = Batch(Config(n_subnets=5), 3)
        batch.step(given_orders)
        ends.add(tuple(arrays(batch)))
    assert len(ends) == 1


def test_orders_are_not_written_to():
    orders = np.random.default_rng(0).normal(0.0, 100.0, (3, 1, 5))
    before = orders.copy()
    Batch(Config(n_subnets=5), 3).step(orders)
    assert np.array_equal(orders, before)


@pytest.mark.parametrize("size", [1e300, 1.7e308, 1e-300, 5e-324])
def test_orders_of_absurd_sizes_are_cut_to_what_is_there(size):
    batch = Batch(Config(n_subnets=5), 2)
    batch.step(np.full((2, 1, 5), 100.0))
    for sign in (1.0, -1.0, 1.0):
        batch.step(np.full((2, 1, 5), sign * size))
        assert_sound(batch)
    assert (batch.state.stakers["wealth"] > 900.0).all()


def test_an_order_without_cover_is_scaled_down():
    batch = Batch(Config(n_subnets=5, wealth_tao=1000.0, min_order_tao=0.0))
    batch.step(np.full((1, 1, 5), 1000.0))
    state = batch.state
    # all of it, and what root earned before the trades
    assert 1000.0 <= state.stakers["traded"][0, 0] < 1000.1
    assert (state.section("staker_alpha") > 0.0).all()


@pytest.mark.parametrize("numbers", [{"n_worlds": 0}, {"n_worlds": 2, "seeds": [1]}])
def test_a_batch_needs_worlds_and_as_many_seeds(numbers):
    with pytest.raises(ConfigError, match=r"got [01], allowed"):
        Batch(Config(n_subnets=5), **numbers)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_key_can_hold_is_refused(seed):
    with pytest.raises(ConfigError, match=rf"seed: got {seed}, allowed are .*0 to 2\*\*63 - 1"):
        Batch(Config(n_subnets=5), seeds=[seed])


def test_worlds_of_different_sizes_do_not_go_into_one_batch():
    with pytest.raises(ConfigError, match=r"config of world 1: got .*allowed is .*as in world 0"):
        Batch([Config(n_subnets=5), Config(n_subnets=6)])


# --- several stakers


def test_stakers_hold_what_they_bought_themselves():
    batch = Batch(Config(n_subnets=5, n_stakers=3, wealth_tao=1000.0), 4)
    orders = np.zeros((4, 3, 5))
    orders[:, 0, 1] = 200.0
    orders[:, 2, 3] = 300.0
    batch.step(orders)
    held = batch.state.section("staker_alpha")
    expected = np.zeros((3, 5), bool)
    expected[0, 1] = expected[2, 3] = True
    assert ((held > 0.0) == expected).all()
    root = batch.state.stakers["root"]
    assert root[:, 0] == pytest.approx(800.0, rel=1e-3)
    assert root[:, 1] == pytest.approx(1000.0, rel=1e-3)
    assert root[:, 2] == pytest.approx(700.0, rel=1e-3)
    sale = np.zeros((4, 3, 5))
    sale[:, 1] = -1e9  # of nothing
    before = held.copy()
    batch.step(sale)
    assert (held >= before).all()


def test_nobody_is_always_first():
    # two stakers place one order: the first pays less, and each is the first half the time
    batch = Batch(
        Config(n_subnets=2, n_stakers=2, wealth_tao=50_000.0, arrivals_per_slot_year=0.0), 600
    )
    batch.step(np.full((600, 2, 2), 20_000.0))
    held = batch.state.section("staker_alpha")
    assert (held[:, 0] != held[:, 1]).all()
    first = held[:, 0] > held[:, 1]
    assert (first[:, 0] == first[:, 1]).all()
    # five standard deviations of a fair coin
    assert abs(first[:, 0].mean() - 0.5) < 5 * 0.5 / np.sqrt(600)
    gain = held[:, 0] - held[:, 1]
    assert (np.abs(gain.mean(0)) < 5 * gain.std(0) / np.sqrt(600)).all()


def test_a_staker_that_does_nothing_is_scripted_money_in_root():
    # one staker of 1,000 TAO and two of 500 are the same market
    one = Batch(Config(n_subnets=5, n_stakers=1, wealth_tao=1000.0))
    two = Batch(Config(n_subnets=5, n_stakers=2, wealth_tao=500.0))
    for batch in (one, two):
        batch.step(days=30)
    for amount in (lambda s: s.stakers["root"], lambda s: s.section("staker_claimable")):
        assert amount(two.state).sum(1) == pytest.approx(amount(one.state).sum(1), rel=1e-12)
    assert two.state.stakers["wealth"][0, 0] == two.state.stakers["wealth"][0, 1]
    assert two.state.row("spot_price") == pytest.approx(one.state.row("spot_price"), rel=1e-12)
