"""Bounds of parameters: at the smallest and the largest accepted value of each, two days end in finite numbers."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.world.batch import Batch
from dtao_gym.world.checked import _kinds
from dtao_gym.world.config import Config, ConfigError
from tests.world.toy import assert_sound

NUMBERS = {
    name: field
    for name, field in Config.model_fields.items()
    if _kinds(field.annotation) == {float} and "tuple" not in str(field.annotation)
}
WORLDS = (
    {"n_subnets": 3, "empty_slots": 1, "arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6},
    {"genesis": "drawn", "n_subnets": 3, "genesis_values": "drawn", "influence": True},
    {"n_subnets": 3, "payment": "fee", "era": "net_flow", "root_validators": 8},
    {
        "n_subnets": 3,
        "genesis_multiple": 70.0,
        "genesis_stocks": "steady_state",
        "informed_share_stakers": 0.0,
        "opinion_weights": "wealth",
    },
)


def extremes(name: str) -> list[float]:
    """The smallest and the largest values that the bounds of a field accept, and the smallest above zero."""
    values = []
    for bound in NUMBERS[name].metadata:
        for kind, towards in (("ge", None), ("gt", math.inf), ("le", None), ("lt", -math.inf)):
            value = getattr(bound, kind, None)
            if value is not None:
                values.append(float(value) if towards is None else math.nextafter(value, towards))
    return sorted({*values, 5e-324})


def numbers_of(batch: Batch):
    """All arrays of floats of a state and its parameters, by name."""
    for name in batch.state.ARRAYS:
        array = getattr(batch.state, name)
        for column in array.dtype.names or ():
            yield f"{name}.{column}", array[column]
        if array.dtype.names is None:
            yield name, array
    for column in batch.parameters.dtype.names or ():
        yield f"parameters.{column}", batch.parameters[column]


def assert_finite(batch: Batch) -> None:
    for name, array in numbers_of(batch):
        open_ended = name == "parameters.moving_price_cap"
        assert np.isfinite(array).all() or open_ended, name


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_smallest_and_a_largest_value(name):
    values = [value for value in extremes(name) if value != 5e-324]
    assert len(values) == 2 or (len(values) == 1 and values[0] > 0.0), values


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NUMBERS)
def test_the_extremes_of_a_number_give_finite_worlds(name):
    accepted = 0
    for value in extremes(name):
        for world in WORLDS:
            try:
                config = Config.make(world | {name: value})
            except ConfigError:
                continue
            accepted += 1
            batch = Batch(config)
            batch.step(days=2)
            assert_finite(batch)
            assert_sound(batch)
    assert accepted > 0


@pytest.mark.filterwarnings("error")
def test_extremes_of_many_numbers_at_once_give_finite_worlds():
    random, accepted = np.random.default_rng(0), 0
    for _ in range(1000):
        chosen = [name for name in NUMBERS if random.random() < 0.05]
        fields = {name: float(random.choice(extremes(name))) for name in chosen}
        try:
            config = Config.make(WORLDS[random.integers(len(WORLDS))] | fields)
        except ConfigError:
            continue
        accepted += 1
        batch = Batch(config)
        batch.step(days=2)
        assert_finite(batch)
    assert accepted > 50


def test_drawn_markets_hold_no_more_tao_than_there_is():
    for seed in range(5):
        wild = {"genesis_pool_median": 1e6, "genesis_pool_sd": 3.0, "genesis_price_sd": 3.0}
        batch = Batch(Config.make(wild, genesis="drawn", n_subnets=64, world_seed=seed))
        assert batch.state.row("tao_reserve").sum() < 11e6 - 5e6
        batch.step(days=2)
        assert_sound(batch)


STRICT = """
import numpy as np
np.seterr(all="raise")
import gymnasium, dtao_gym
for role in ("Staker", "Builder"):
    env = gymnasium.make(f"dtao_gym/{role}-v0", n_subnets=4)
    env.reset(seed=0)
    env.step(env.action_space.sample())
print("done")
"""


def test_environments_are_made_where_numpy_raises_all_errors():
    done = subprocess.run(
        [sys.executable, "-c", STRICT],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
