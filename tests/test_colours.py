"""Colours of figures: contrast to white, pairs that colour-blind people can tell apart, one colour per policy."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from dtao_agents.roles import builder_policies, staker_policies

from dtao_gym import colours
from dtao_gym.colours import colour_of
from dtao_gym.protocol.allocation import ALLOCATIONS

# Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as seen without red and without green cones.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.089]])


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast_to_white(colour: str) -> float:
    """Contrast of the Web Content Accessibility Guidelines 2.2."""
    return 1.05 / (float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(rgb, 0.0, 1.0)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_contrast_is_that_of_the_guidelines():
    assert contrast_to_white("#000000") == pytest.approx(21.0)
    assert contrast_to_white("#777777") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(
    "colour",
    [*colours.PALETTE.values(), *colours.SUBNETS, colours.MUTED, colours.INK, colours.FAINT_INK],
)
def test_colours_stand_out_from_white(colour):
    assert contrast_to_white(colour) >= 3.0


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("table", ["STAKER_POLICIES", "BUILDER_POLICIES", "RULES"])
def test_colours_of_a_set_are_told_apart(table, sight):
    used = sorted({colours.PALETTE[hue] for hue in getattr(colours, table).values()})
    seen = {colour: lab(SIGHT[sight] @ linear(colour)) for colour in used}
    for one, two in combinations(used, 2):
        assert np.linalg.norm(seen[one] - seen[two]) > 12.0, (one, two)


@pytest.mark.parametrize(
    ("policies", "table"),
    [
        (staker_policies.SCRIPTED, "STAKER_POLICIES"),
        (staker_policies.EXPLOITS, "STAKER_POLICIES"),
        (builder_policies.SCRIPTED, "BUILDER_POLICIES"),
        (builder_policies.EXPLOITS, "BUILDER_POLICIES"),
        (ALLOCATIONS, "RULES"),
    ],
)
def test_every_policy_and_rule_of_the_package_has_its_own_line(policies, table):
    assert set(policies) <= set(getattr(colours, table))


def test_policies_of_both_roles_share_their_colour():
    for name in set(colours.STAKER_POLICIES) & set(colours.BUILDER_POLICIES):
        assert colours.STAKER_POLICIES[name] == colours.BUILDER_POLICIES[name]
    named = [*colours.STAKER_POLICIES, *colours.BUILDER_POLICIES, *colours.RULES]
    assert len(set(named)) == len(named) - len({"learned", "do_nothing", "random"})


def test_one_player_under_several_names():
    assert colour_of("ppo") == colour_of("PPO") == colour_of("learned")
    assert colour_of("root") == colour_of("hold") == colour_of("do nothing")
    assert colour_of("market-weight") == colour_of("market")


def test_unknown_names_keep_a_colour_that_no_main_player_has():
    names = [f"policy_{k}" for k in range(40)]
    given = [colour_of(name) for name in names]
    assert len(set(given)) > 4
    assert not {colour_of("learned"), colour_of("root"), colour_of("random")} & set(given)
    code = f"from dtao_gym.colours import colour_of; print([colour_of(n) for n in {names}])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.strip() == str(given)  # other processes hash strings differently


def test_colours_need_no_matplotlib():
    code = "import sys, dtao_gym.colours; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
