"""Every policy is found under its name, and is played only where it fits."""

import shutil

import numpy as np
import pytest
from dtao_agents.evaluation.evaluate import evaluation_config, play
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.registry import (
    fits,
    learned,
    learned_in,
    policies_of,
    registered,
)
from dtao_agents.roles.registry import policy_roles
from dtao_agents.roles.staker_policies import buy_and_hold
from dtao_agents.training.ppo import train

from dtao_gym.world.config import Config, ConfigError
from tests.agents.worlds import WORLD, builder_settings, episodes, settings


def test_everything_scripted_is_registered_and_the_required_rows_are_there():
    for role, its in policy_roles().items():
        entries = policies_of(role)
        assert set(its.scripted) - {"all_root"} <= set(entries)
        assert {"do_nothing", "random"} <= set(entries)
        assert all(entry.role == role for entry in entries.values())
    assert {"buy_and_hold", "wash_trading", "pump", "in_and_out"} <= set(policies_of("staker"))
    assert registered("builder", "closed_form").kind == "ceiling"
    assert registered("builder", "register_to_be_dissolved").kind == "exploit"


@pytest.mark.parametrize(
    ("role", "name", "message"),
    [
        ("miner", "random", "role: got 'miner'"),
        ("staker", "closed_form", "policy: got 'closed_form'"),
    ],
)
def test_unknown_names_are_refused(role, name, message):
    with pytest.raises(ConfigError, match=message):
        registered(role, name)


def test_buy_and_hold_trades_on_the_first_day_only():
    worlds = episodes([0, 1])
    traded = []
    for _ in range(5):
        worlds.step(buy_and_hold(worlds.observe(), worlds.batch, []))
        traded.append(worlds.batch.state.stakers["traded"][:, 0].copy())
    assert (traded[0] > 990.0).all()
    assert not np.any(traded[1:])
    alpha = worlds.batch.state.section("staker_alpha")[:, 0]
    assert (alpha > 0.0).all()


def test_buy_and_hold_is_no_other_policy():
    config = evaluation_config(settings().env)
    found = play(buy_and_hold, config, range(3)).values["log_growth"]
    for name in ("market_weight", "do_nothing"):
        other = play(registered("staker", name).policy, config, range(3)).values["log_growth"]
        assert (np.abs(found - other) > 1e-4).all()


def test_learned_policies_come_from_folders_and_fit_their_own_worlds(tmp_path):
    made = settings(total_timesteps=128)
    for name in ("mine", "owner", "empty"):
        (tmp_path / name).mkdir()
    train(made, tmp_path / "mine")
    builder = builder_settings(total_timesteps=128)
    train(builder, tmp_path / "owner")
    found = learned_in(tmp_path)
    assert {name: (entry.role, entry.kind) for name, entry in found.items()} == {
        "mine": ("staker", "learned"),
        "owner": ("builder", "learned"),
    }
    entry = learned(tmp_path / "mine", "other name")
    assert entry.name == "other name"
    assert fits(entry, "staker", made.env)
    assert not fits(entry, "builder", builder.env)
    assert not fits(entry, "staker", Config.make(WORLD, n_subnets=5))
    assert fits(found["owner"], "builder", builder.env)
    decides_all = Config.make(builder.env, builder_decides="all")
    assert not fits(found["owner"], "builder", decides_all)
    shutil.copyfile(tmp_path / "owner/policy.json", tmp_path / "mine/policy.json")
    with pytest.raises(PolicyError):
        learned_in(tmp_path)


def test_an_exploit_needs_what_it_exploits():
    composition = builder_settings().env
    entry = registered("builder", "register_to_be_dissolved")
    assert not fits(entry, "builder", composition)
    assert fits(entry, "builder", Config.make(composition, builder_decides="all"))
    assert fits(registered("builder", "do_nothing"), "builder", composition)
    assert not fits(registered("staker", "do_nothing"), "builder", composition)
