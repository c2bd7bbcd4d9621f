"""The soak draws legal worlds from the fields of the configuration, repeats itself, and names what trips."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from dtao_gym.envs.task import TaskConfig
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.batch import Batch
from scripts import soak, soak_cases, soak_draw

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("cls", [TaskConfig, ReplayConfig])
def test_every_parameter_is_drawn_or_listed(cls):
    """A new parameter without bounds needs a row in `CHOICES`: its name is in the error."""
    random = np.random.default_rng(0)
    for name, field in cls.model_fields.items():
        if name not in (*soak_draw.PLACED, *soak_draw.SPECIAL, *soak_draw.FIXED):
            soak_draw.value_of(random, name, field)


def test_drawn_parameters_are_legal_and_cover_what_they_should():
    random = np.random.default_rng(1)
    sizes = [soak_draw.sizes(random) for _ in range(100)]
    drawn = [TaskConfig.make(soak_draw.draw(random, size)) for size in sizes]
    assert {config.era for config in drawn} == set(soak_draw.ERAS)
    assert {config.genesis for config in drawn} == {*soak_draw.PACKAGED, "drawn", "symmetric"}
    assert {config.payment for config in drawn} == {"alpha", "direct", "fee"}
    assert any(config.curated_funds for config in drawn)
    assert any(config.emission_switches for config in drawn)


def test_a_case_is_a_function_of_seed_and_number(monkeypatch):
    monkeypatch.setattr(soak_cases, "ROUNDS", 2)
    first = [soak.run_case(3, case) for case in (0, 1, soak.EVERY - 1)]
    assert [soak.run_case(3, case) for case in (0, 1, soak.EVERY - 1)] == first
    assert len({outcome.world_days for outcome in first}) == 3


def test_every_environment_has_its_turn():
    kinds = {soak.kind_of(case) for case in range(soak.EVERY * len(soak.ENVIRONMENTS))}
    assert kinds == {"batch", *soak.ENVIRONMENTS}


@pytest.mark.parametrize(
    ("array", "field", "value", "told"),
    [
        ("worlds", "purse_informed", 1e9, "audit"),
        ("worlds", "welfare", np.nan, "worlds.welfare"),
        ("worlds", "outside", -1.0, "audit"),
    ],
)
def test_what_does_not_hold_is_told_with_its_world(array, field, value, told):
    batch = Batch(TaskConfig.make(n_subnets=2), 3)
    soak_cases.check(batch)
    getattr(batch.state, array)[field][1] = value
    with pytest.raises(soak_cases.Trip, match=f"^world 1, day 0: .*{told}") as trip:
        soak_cases.check(batch)
    assert trip.value.parameters is batch.configs[1]


def test_a_failure_prints_the_command_and_the_parameters(capsys):
    total = soak.Total()
    parameters = soak.as_yaml(TaskConfig.make(era="launch", n_subnets=3))
    total.add(soak.Outcome(17, "batch", 0, "Trip: world 0", parameters), "python scripts/soak.py --seed 2")  # fmt: skip
    line, rest = capsys.readouterr().out.split("\n", 1)
    assert line == "FAILED python scripts/soak.py --seed 2 --case 17: Trip: world 0"
    assert TaskConfig.make(yaml.safe_load(rest)).era == "launch"


def test_observations_beyond_their_space_are_told():
    with pytest.raises(soak_cases.Trip, match=r"^observation\[1\] is"):
        soak_cases.check_numbers("observation", np.array([1.0, 1.5]), None, 1.0)


@pytest.mark.slow
def test_the_command_plays_and_ends_with_a_status():
    command = [sys.executable, "scripts/soak.py", "--seed", "5", "--case", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("1 cases")
