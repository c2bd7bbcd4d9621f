"""Users' allocation rules in the engine: in a batch with the chain's rules, in environments, and with faults."""

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import dtao_gym
from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from tests.world.toy import arrays, assert_sound

REPOSITORY = Path(__file__).resolve().parents[2]


@dtao_gym.allocation_rule("by_price")
def by_price(market):
    """The chain's rule `price`, written by a user."""
    total = market.moving_price.sum()
    return market.moving_price / total if total > 0.0 else np.zeros_like(market.moving_price)


@dtao_gym.allocation_rule("goes_wrong_when_old")
def goes_wrong_when_old(market):
    """Proper shares on every market that a rule is tried on, and a negative one for a subnet of a great age."""
    shares = np.full(market.age_days.size, 1.0 / market.age_days.size)
    if market.age_days.max() > 1e5:
        shares[0] = -shares[0]
    return shares


SMALL = {"n_subnets": 5, "arrivals_per_slot_year": 0.0}


def test_a_users_rule_is_the_chains_if_it_says_the_same():
    # the whole market, so that the frozen part does not matter
    mine, chains = (
        Batch(Config.make(allocation=rule, arrivals_per_slot_year=0.0), seeds=[3])
        for rule in ("by_price", "price")
    )
    for batch in (mine, chains):
        batch.step(days=20)
        assert_sound(batch)
    assert mine.state.row("emission_share") == pytest.approx(
        chains.state.row("emission_share"), rel=1e-9
    )
    assert mine.state.row("spot_price") == pytest.approx(chains.state.row("spot_price"), rel=1e-9)


def test_it_works_in_a_batch_with_others_and_leaves_them_alone():
    configs = [
        Config.make(SMALL, allocation=rule) for rule in ("price_burn", "by_price", "uniform")
    ]
    batch, without = Batch(configs, seeds=[1, 1, 1]), Batch(configs[::2], seeds=[1, 1])
    for both in (batch, without):
        both.step(days=10)
    assert arrays(batch, slice(0, 1)) == arrays(without, slice(0, 1))
    assert arrays(batch, slice(2, 3)) == arrays(without, slice(1, 2))
    hhi = batch.state.worlds["emission_hhi"]
    assert len(set(hhi)) == 3
    assert_sound(batch)


def test_what_the_frozen_subnets_get_is_their_share_of_the_prices():
    batch = Batch(Config.make(SMALL, allocation="by_price"))
    batch.step()
    share = batch.state.row("emission_share").sum()
    assert share == pytest.approx(1.0 - batch.state.worlds["rest_share"][0], rel=1e-12)


def test_it_works_in_environments():
    env = gym.make("dtao_gym/Staker-v0", allocation="by_price", n_subnets=4)
    env.reset(seed=0)
    info = env.step(env.action_space.sample())[4]
    assert (info["emission_share"] > 0.0).all()
    envs = gym.make_vec(
        "dtao_gym/Staker-v0",
        num_envs=3,
        vectorization_mode="vector_entry_point",
        allocation="by_price",
        n_subnets=4,
    )
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())
    envs.close()


def test_a_rule_that_goes_wrong_is_named_and_nothing_has_changed():
    batch = Batch(Config.make(SMALL, allocation="goes_wrong_when_old"), 3)
    batch.step()
    batch.state.row("start_block")[1] = -1e10
    before = arrays(batch)
    with pytest.raises(
        dtao_gym.RuleError, match=r"'goes_wrong_when_old'.*negative.*world 1, day 1"
    ):
        batch.step()
    assert arrays(batch) == before
    # and once the cause is gone the worlds run on
    batch.state.row("start_block")[1] = 0.0
    batch.step()
    assert batch.state.worlds["day"].tolist() == [2, 2, 2]


def test_a_rule_of_the_chain_without_code_is_refused_before_a_world_starts(monkeypatch):
    monkeypatch.setitem(ALLOCATIONS, "without_code", -1)
    for frozen in ("prices", "share"):
        config = Config.make(SMALL, allocation="without_code", frozen_subnets=frozen)
        with pytest.raises(dtao_gym.RuleError, match="'without_code' is not implemented"):
            Batch(config)


def test_a_yaml_file_names_a_rule_by_its_import_path_in_any_process(tmp_path):
    (tmp_path / "my_rules.py").write_text(
        "import numpy as np\n\n\ndef square_root(market):\n"
        "    weight = np.sqrt(market.moving_price)\n"
        "    total = weight.sum()\n"
        "    return weight / total if total > 0.0 else weight\n"
    )
    (tmp_path / "world.yaml").write_text("allocation: my_rules:square_root\nn_subnets: 4\n")
    program = (
        "import gymnasium as gym, dtao_gym\n"
        "env = gym.make('dtao_gym/Staker-v0', config='world.yaml')\n"
        "env.reset(seed=0)\n"
        "print(env.step(env.action_space.sample())[4]['emission_share'].sum())\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{REPOSITORY}:{tmp_path}", "PATH": ""},
    )
    assert run.returncode == 0, run.stderr
    assert 0.0 < float(run.stdout) < 1.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pryce", "allocation: unknown emission rule 'pryce'"),
        ("no_such_module:rule", "allocation: .*importing no_such_module failed"),
        ("numpy:no_such_rule", "allocation: .*module numpy has no 'no_such_rule'"),
        ("math:pi", "allocation: .*function is needed"),
    ],
)
def test_a_name_that_leads_to_no_rule_is_one_clear_line(name, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Config.make(allocation=name)
    assert "\n" not in str(caught.value)
