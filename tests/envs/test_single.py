"""The single environment: Gymnasium's contract, info, copies, arrays, and errors."""

import copy
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dtao_gym.envs.roles import ROLES
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker.observation import observation_size
from dtao_gym.envs.staker.role import target_action
from tests.envs.single_worlds import ID, IDS, both_roles, start, zero_action

# --- Gymnasium


@both_roles
@pytest.mark.parametrize("era", ["price_burn", "root_reborn"])
@pytest.mark.filterwarnings("ignore:.*has no windows")  # the checker tries 'human' too
@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_gymnasium_checker_accepts_the_environment(render_mode, era, role):
    if render_mode is None:
        check_env(gym.make(IDS[role], n_subnets=3, era=era).unwrapped, skip_render_check=True)
    else:
        pytest.importorskip("matplotlib")
        check_env(gym.make(IDS[role], n_subnets=3, era=era, render_mode=render_mode).unwrapped)


def test_step_returns_the_types_of_gymnasiums_contract():
    obs, reward, terminated, truncated, info = start().step(np.zeros(8, np.float32))
    assert (obs.dtype, obs.shape) == (np.float32, (observation_size(6),))
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert type(info) is dict


def test_info_has_the_entries_that_its_docstring_lists():
    env = start()
    info = env.step(target_action(np.eye(7)[1]))[4]
    state = env.episodes.batch.state
    listed = SingleEnv(n_subnets=6).episodes.market_info.__doc__
    assert set(info) == {"day", "wealth", "root_tao", "traded_tao", "welfare", "emission_hhi", "price_sum",
                         "registrations", "dissolutions", "true_value", "spot_price", "emission_share"}  # fmt: skip
    listed += ROLES["staker"].info.__doc__
    assert all(name in listed for name in info)
    assert info["day"] == 1
    assert info["wealth"] == state.stakers["wealth"][0, 0]
    assert info["root_tao"] == state.stakers["root"][0, 0]
    assert info["traded_tao"] == pytest.approx(1000.0, rel=1e-3)
    spent = state.row("budget")[0].sum()  # a cost, since it is paid out of treasuries
    assert info["welfare"] == pytest.approx(info["true_value"].sum() - spent)
    assert info["emission_hhi"] == pytest.approx((info["emission_share"] ** 2).sum())
    assert info["price_sum"] == pytest.approx(info["spot_price"].sum())
    np.testing.assert_array_equal(info["true_value"], state.row("true_value")[0])
    np.testing.assert_array_equal(info["emission_share"], state.row("emission_share")[0])


@both_roles
@pytest.mark.parametrize(
    "wrap",
    [
        gym.wrappers.RecordEpisodeStatistics,
        lambda env: gym.wrappers.TimeLimit(env, 3),
        gym.wrappers.NormalizeObservation,
        gym.wrappers.NormalizeReward,
        gym.wrappers.ClipAction,
        lambda env: gym.wrappers.RescaleAction(env, np.float32(0), np.float32(1)),
        lambda env: gym.wrappers.FrameStackObservation(env, 3),
        gym.wrappers.Autoreset,
    ],
    ids=[
        "statistics",
        "time limit",
        "normalise",
        "reward",
        "clip",
        "rescale",
        "stack",
        "autoreset",
    ],
)
def test_wrappers_of_gymnasium_work(wrap, role):
    env = wrap(gym.make(IDS[role], n_subnets=3, horizon_days=5))
    env.action_space.seed(0)
    for episode in range(2):
        env.reset(seed=episode)
        truncated, steps = False, 0
        while not truncated:
            obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
            steps += 1
            assert env.observation_space.contains(obs)
            assert math.isfinite(reward)
            assert not terminated
        assert steps == (
            3 if isinstance(env, gym.wrappers.TimeLimit) and env._max_episode_steps == 3 else 5
        )
    if "episode" in info:
        assert info["episode"]["l"] == 5


def test_statistics_of_an_episode_are_its_log_growth():
    env = gym.wrappers.RecordEpisodeStatistics(gym.make(ID, n_subnets=3, horizon_days=5))
    first = env.reset(seed=0)[1]["wealth"]
    for _ in range(5):
        info = env.step(target_action([1.0, 1.0, 0.0, 0.0]))[4]
    assert info["episode"]["r"] == pytest.approx(math.log(info["wealth"] / first), abs=1e-12)


def test_videos_can_be_recorded(tmp_path):
    pytest.importorskip("moviepy")
    pytest.importorskip("matplotlib")
    env = gym.make(ID, n_subnets=3, horizon_days=3, render_mode="rgb_array")
    env = gym.wrappers.RecordVideo(env, str(tmp_path / "video"), disable_logger=True)
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.sample())
    env.close()
    assert list(tmp_path.glob("video/*.mp4"))


# --- copies and arrays


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.parametrize("render_mode", [None, "ansi"])
@both_roles
def test_a_copy_made_during_an_episode_continues_identically(copied, render_mode, role, play, same):
    env = start(horizon_days=9, render_mode=render_mode, role=role)
    play(env, np.random.default_rng(0), 5)
    twin = copied(env)
    one, two = np.random.default_rng(1), np.random.default_rng(1)
    assert same(play(env, one, 4), play(twin, two, 4))
    assert same(env.reset(), twin.reset())
    assert same(play(env, one, 4), play(twin, two, 4))
    assert env.render_mode is None or env.render() == twin.render()


@both_roles
def test_a_copy_is_independent(play, state_bytes, rng, role):
    env = start(role=role)
    twin = copy.deepcopy(env)
    before = state_bytes(twin.episodes)
    play(env, rng, 3)
    assert state_bytes(twin.episodes) == before


@both_roles
def test_results_are_fresh_arrays(same, role):
    env = start(horizon_days=3, role=role)
    kept = [env.reset(seed=0)]
    for _ in range(3):
        kept.append(env.step(zero_action(env)))
    kept.append(env.reset(seed=0))
    arrays = [
        a for result in kept for a in (result[0], *result[-1].values()) if isinstance(a, np.ndarray)
    ]
    arrays += [getattr(env.episodes.batch.state, name) for name in env.episodes.batch.state.ARRAYS]
    for k, one in enumerate(arrays):
        for other in arrays[:k]:
            assert not np.shares_memory(one, other)


def test_actions_are_neither_modified_nor_retained():
    env = start()
    action = np.linspace(-1, 1, 8, dtype=np.float32)
    before = action.copy()
    one = env.step(action)[0]
    assert (action == before).all()
    twin = start()
    assert np.array_equal(twin.step(before)[0], one)
    action[:] = -1.0
    assert np.array_equal(env.step(before)[0], twin.step(before)[0])


# --- errors: one line that names the wrong value, and an unchanged state


@pytest.mark.parametrize(
    ("entry", "value", "shown"),
    [
        (0, math.nan, "nan"),
        (3, math.inf, "inf"),
        (7, -math.inf, "-inf"),
        (5, 1.5, "1.5"),
        (1, -1.25, "-1.25"),
    ],
)
def test_a_bad_action_names_world_entry_and_value(entry, value, shown, state_bytes, play, rng):
    env = start()
    play(env, rng, 2)
    before = state_bytes(env.episodes)
    action = np.zeros(8)
    action[entry] = value
    with pytest.raises(
        ValueError,
        match=rf"action: got {shown}\S* at world 0, entry {entry}, allowed are numbers from -1 to 1",
    ):
        env.step(action)
    assert state_bytes(env.episodes) == before


@pytest.mark.parametrize("action", [np.zeros(7), np.zeros((1, 8)), 0.0, None, np.zeros((8, 1))])
def test_an_action_of_the_wrong_shape_is_refused(action, state_bytes):
    env = start()
    before = state_bytes(env.episodes)
    with pytest.raises(ValueError, match=r"action: got shape \(.*\), allowed is \(8,\)"):
        env.step(action)
    assert state_bytes(env.episodes) == before


def test_the_message_about_shape_shows_the_shape_that_was_passed():
    with pytest.raises(ValueError, match=r"action: got shape \(7,\), allowed is \(8,\)"):
        start().step(np.zeros(7))


@pytest.mark.parametrize("value", [1e300, 1 + 1j])
def test_an_action_that_float32_cannot_hold_is_refused_like_others(value):
    with pytest.raises(ValueError, match="action: got"):
        start().step(np.full(8, value))


def test_actions_of_any_number_type_are_accepted(same):
    steps = [start().step(kind(np.eye(8)[2])) for kind in (list, np.float64, np.float32, np.int64)]
    for other in steps[1:]:
        assert same(steps[0], other)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"role": "miner"}, "role: got 'miner', allowed are staker, builder"),
        ({"n_stakers": 2}, "n_stakers: got 2, allowed is 1"),
        ({"role": "builder", "n_stakers": 1}, "n_stakers: got 1, allowed is 0"),
        ({"role": "builder", "builder_slot": 9}, "builder_slot: got 9, allowed are 0 to 5"),
        ({"role": "builder", "empty_slots": 2, "builder_slot": 7}, "builder_slot: got 7, allowed"),
        ({"reward_noise": True}, "reward_noise: got True with payment 'alpha', allowed"),
        (
            {"terminal_value": True, "payment": "fee"},
            "terminal_value: got True with .*'fee', False",
        ),
        ({"twin_world": True}, "twin_world: got True with pruning and arrivals"),
        (
            {"twin_world": True, "pruning": False},
            "twin_world: got True, allowed is False where a s",
        ),
        ({"n_subnet": 3}, "n_subnet: unknown parameter, got 3; did you mean 'n_subnets'"),
        ({"n_subnets": 129}, "n_subnets: got 129, allowed"),
        ({"config": 5}, "config: got int, allowed are"),
        (
            {"render_mode": "film"},
            "render_mode: got 'film', allowed are 'ansi', 'rgb_array', 'human', None",
        ),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        SingleEnv(**({"n_subnets": 6} | wrong))


def test_rendering_without_a_mode_warns_and_shows_nothing():
    env = start()
    with pytest.warns(UserWarning, match="without a render_mode"):
        assert env.render() is None


@pytest.mark.parametrize("role", ["staker", "builder"])
@pytest.mark.parametrize("form", ["read-only", "every other entry", "not aligned"])
def test_actions_in_any_memory_layout_are_accepted_without_compilation(role, form):
    env, other = (SingleEnv(role, n_subnets=4) for _ in range(2))
    for one in (env, other):
        one.reset(seed=0)
    action = env.action_space.sample()
    env.step(action)
    compiled = len(type(env.episodes.role).step_kernel.overloads)
    odd = {
        "read-only": action.copy(),
        "every other entry": np.repeat(action, 2)[::2],
        "not aligned": np.frombuffer(b"." + action.tobytes(), np.uint8)[1:].view(np.float32),
    }[form]
    odd.flags.writeable = False
    result = other.step(odd)
    assert len(type(env.episodes.role).step_kernel.overloads) == compiled
    env.reset(seed=0)
    assert np.array_equal(env.step(action)[0], result[0])


@pytest.mark.parametrize(
    "env_id", ["dtao_gym/Staker-v0", "dtao_gym/Builder-v0", "dtao_gym/Replay-v0"]
)
def test_a_second_thread_is_refused_while_one_steps(env_id):
    env = gym.make(env_id, disable_env_checker=True)
    env.reset(seed=1)
    action = np.zeros(env.action_space.shape, np.float32)
    with (
        env.unwrapped.episodes.batch.one_thread,
        pytest.raises(RuntimeError, match="batch: got a step while another thread steps it"),
    ):
        env.step(action)
    env.step(action)
