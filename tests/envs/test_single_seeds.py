"""Seeds of a single environment: reproducible episodes, and no look-ahead."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.envs import seeds
from dtao_gym.envs.single import SingleEnv
from dtao_gym.world.config import ConfigError
from tests.envs.single_worlds import both_roles, start

REPOSITORY = Path(__file__).resolve().parents[2]


def rollout(env: SingleEnv, steps: int = 8, **reset) -> bytes:
    """Return the observations of an episode with random actions, as bytes."""
    rng = np.random.default_rng(1)
    observations = [env.reset(**reset)[0]]
    for _ in range(steps):
        observations.append(env.step(rng.uniform(-1, 1, env.action_space.shape))[0])
    return np.stack(observations).tobytes()


@both_roles
def test_a_seed_fixes_everything(role):
    env = start(role=role)
    assert rollout(env, seed=5) == rollout(env, seed=5) == rollout(start(role=role), seed=5)
    assert rollout(env, seed=5) != rollout(env, seed=6)


def test_seed_zero_is_a_seed():
    env = start(seed=9)
    zero = rollout(env, seed=0)
    assert zero == rollout(env, seed=0)
    assert zero != rollout(env, seed=9)
    rollout(env, seed=9)
    assert rollout(env, seed=0) == zero


@both_roles
def test_episodes_of_a_seed_are_numbered(role):
    env = SingleEnv(role=role, n_subnets=6)
    four = [rollout(env, seed=3)] + [rollout(env) for _ in range(3)]
    assert len(set(four)) == 4
    assert [rollout(env, seed=3)] + [rollout(env, steps=k) for k in (8, 0, 8)] == [
        *four[:2],
        four[2][: len(four[2]) // 9],
        four[3],
    ]


@pytest.mark.parametrize("seed", [0, 11])
def test_without_a_seed_the_configured_seed_is_used(seed):
    env = SingleEnv(n_subnets=6, world_seed=seed)
    assert env.np_random_seed == seed
    assert rollout(env) == rollout(SingleEnv(n_subnets=6), seed=seed)
    assert env.np_random_seed == seed


@both_roles
def test_without_any_seed_environments_differ_and_tell_their_seeds(role):
    envs = [SingleEnv(role, n_subnets=6) for _ in range(3)]
    told = [env.np_random_seed for env in envs]
    played = [rollout(env) for env in envs]
    assert len(set(told)) == len(set(played)) == 3
    assert [env.np_random_seed for env in envs] == told
    assert all(2**61 <= seed < 2**62 for seed in told)
    again = SingleEnv(role, n_subnets=6)
    assert [rollout(again, seed=seed) for seed in told] == played
    assert again.np_random_seed == told[-1]


def test_a_seed_is_told_as_it_was_given():
    env = SingleEnv(n_subnets=6)
    for seed in (0, 7, np.int64(9), np.uint64(2**63 + 5), 2**64, 2**200):
        one = rollout(env, seed=seed)
        assert env.np_random_seed == seed
        assert rollout(env) != one
        assert env.np_random_seed == seed
        assert rollout(env, seed=env.np_random_seed) == one


def test_large_seeds_are_folded_to_different_ones():
    """They keep clear of seeds that people count, and of those drawn from entropy."""
    large = [2**63, 2**63 + 1, 2**64 - 1, 2**64, 2**64 + 1, 2**128, 2**200 + 3]
    folded = [seeds.world_seed(seed) for seed in large]
    assert folded == [seeds.world_seed(seed) for seed in large]
    assert len(set(folded)) == len(large)
    assert all(2**62 <= seed < 2**63 for seed in folded)
    assert [seeds.world_seed(seed) for seed in (0, 5, 2**63 - 1)] == [0, 5, 2**63 - 1]
    env = SingleEnv(n_subnets=6)
    env.reset(seed=2**64)
    assert env.episodes.seeds == [seeds.world_seed(2**64)]


@both_roles
def test_training_and_evaluation_worlds_differ(role):
    train, evaluation = start(role=role), start(role=role, split="evaluation")
    for seed in (0, 1, 2**63 - 1):
        assert rollout(train, seed=seed) != rollout(evaluation, seed=seed)
    keys = [env.episodes.batch.state.worlds["world_key"][0] for env in (train, evaluation)]
    assert [int(key) >> 63 for key in keys] == [0, 1]


def test_sampled_subnets_depend_on_the_episode_and_on_the_seed():
    def chosen(env):
        return env.episodes.batch.state.row("stream_id")[0].astype(int).tolist()

    env = SingleEnv(n_subnets=6, selection="sample")
    sampled = []
    for seed in (1, None, None, 1, None, None):
        env.reset(seed=seed)
        sampled.append(chosen(env))
    assert sampled[:3] == sampled[3:]
    assert len({tuple(subnets) for subnets in sampled}) == 3


def test_another_process_simulates_the_same_world():
    program = f"""
import sys; sys.path[:0] = [{str(REPOSITORY)!r}, {str(Path(__file__).parent)!r}]
import hashlib
from test_single_seeds import SingleEnv, rollout
print(hashlib.sha256(rollout(SingleEnv(n_subnets=6), seed=5)).hexdigest())
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    here = hashlib.sha256(rollout(SingleEnv(n_subnets=6), seed=5)).hexdigest()
    assert run.stdout.strip() == here


def test_global_random_state_is_neither_read_nor_changed():
    env = SingleEnv(n_subnets=6)
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    one = rollout(env, seed=5)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert rollout(env, seed=5) == one


@both_roles
@pytest.mark.parametrize("seed", [True, False, np.True_, -1, 1.0, "3"], ids=repr)
def test_a_refused_seed_changes_nothing(state_bytes, role, seed):
    env = start(seed=1, role=role)
    before = state_bytes(env.episodes)
    message = re.escape(f"seed: got {seed!r}, allowed are whole numbers from 0, None")
    with pytest.raises(ConfigError, match=message):
        env.reset(seed=seed)
    assert state_bytes(env.episodes) == before
    assert env.np_random_seed == 1
    env.reset()


def test_unknown_options_are_refused(state_bytes):
    env = start(seed=1)
    before = state_bytes(env.episodes)
    with pytest.raises(ValueError, match="options: got weights, allowed are none"):
        env.reset(options={"weights": 3})
    assert state_bytes(env.episodes) == before
    env.reset(options={})


# --- no look-ahead


@both_roles
def test_future_shocks_change_observations_only_after_they_happen(same, role):
    """Two worlds whose random numbers differ from day 5 on have equal observations until then only."""
    env, other = start(seed=0, role=role), start(seed=0, role=role)
    rng = np.random.default_rng(2)
    for day in range(12):
        if day == 5:
            other.episodes.batch.state.worlds["world_key"] = 99
            assert same(env.episodes.observe(), other.episodes.observe())
            assert same(env.episodes.info(), other.episodes.info())
        action = rng.uniform(-1, 1, env.action_space.shape)
        alike = same(env.step(action)[:2], other.step(action)[:2])
        assert alike == (day < 5), day


def test_the_shock_of_a_day_reaches_the_signal_only_after_its_lag():
    """Without trade, a jump of value reaches the observation only once the signal lag has passed."""
    quiet = {"trade_speed": 0.0, "revenue_share": 0.0, "signal_noise_sd": 0.0, "signal_lag_days": 4}
    env, other = start(**quiet), start(**quiet)
    other.episodes.batch.state.row("short_stock")[:] *= 3.0
    nothing = np.full(8, -1.0)
    shown = [not np.array_equal(env.step(nothing)[0], other.step(nothing)[0]) for _ in range(8)]
    assert shown == [False] * 4 + [True] * 4
