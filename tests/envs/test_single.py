"""One world with one learner: Gymnasium's contract, seeds, ends, rewards, copies, errors."""

import copy
import hashlib
import math
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtao_gym.envs.roles import ROLES
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker.role import target_action
from dtao_gym.world.config import ConfigError

ID = "dtao_gym/Staker-v0"
IDS = {"staker": ID, "builder": "dtao_gym/Builder-v0"}
both_roles = pytest.mark.parametrize("role", IDS)
REPOSITORY = Path(__file__).resolve().parents[2]


def start(seed: int = 0, **overrides) -> SingleEnv:
    env = SingleEnv(**({"n_subnets": 6} | overrides))
    env.reset(seed=seed)
    return env


# --- Gymnasium


def nothing(env: gym.Env) -> np.ndarray:
    """Zeros of the shape of an action."""
    return np.zeros(env.action_space.shape, np.float32)


@both_roles
@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_gymnasium_checker_has_nothing_to_say(render_mode, role):
    if render_mode is None:
        check_env(gym.make(IDS[role], n_subnets=3).unwrapped, skip_render_check=True)
    else:
        pytest.importorskip("matplotlib")
        check_env(gym.make(IDS[role], n_subnets=3, render_mode=render_mode).unwrapped)


def test_step_returns_the_types_that_gymnasium_names():
    obs, reward, terminated, truncated, info = start().step(np.zeros(8, np.float32))
    assert (obs.dtype, obs.shape) == (np.float32, (78,))
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert type(info) is dict


def test_info_is_what_its_docstring_lists():
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


# --- seeds


def rollout(env: SingleEnv, steps: int = 8, **reset) -> bytes:
    rng = np.random.default_rng(1)
    seen = [env.reset(**reset)[0]]
    for _ in range(steps):
        seen.append(env.step(rng.uniform(-1, 1, env.action_space.shape))[0])
    return np.stack(seen).tobytes()


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


def test_without_a_seed_episodes_are_those_of_the_configured_one():
    assert rollout(SingleEnv(n_subnets=6, world_seed=11)) == rollout(
        SingleEnv(n_subnets=6), seed=11
    )


@both_roles
def test_training_and_evaluation_worlds_differ(role):
    train, evaluation = start(role=role), start(role=role, split="evaluation")
    for seed in (0, 1, 2**63 - 1):
        assert rollout(train, seed=seed) != rollout(evaluation, seed=seed)
    keys = [env.episodes.batch.state.worlds["world_key"][0] for env in (train, evaluation)]
    assert [int(key) >> 63 for key in keys] == [0, 1]


def test_sampled_subnets_change_with_the_episode_and_are_those_of_the_seed():
    def chosen(env):
        return env.episodes.batch.state.row("stream_id")[0].astype(int).tolist()

    env = SingleEnv(n_subnets=6, selection="sample")
    found = []
    for seed in (1, None, None, 1, None, None):
        env.reset(seed=seed)
        found.append(chosen(env))
    assert found[:3] == found[3:]
    assert len({tuple(subnets) for subnets in found}) == 3


def test_another_process_sees_the_same_world():
    program = f"""
import sys; sys.path[:0] = [{str(REPOSITORY)!r}, {str(Path(__file__).parent)!r}]
import hashlib
from test_single import SingleEnv, rollout
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
def test_a_refused_seed_changes_nothing(state_bytes, role):
    env = start(seed=1, role=role)
    before = state_bytes(env.episodes)
    with pytest.raises(
        ConfigError, match="seed: got 9223372036854775808, allowed are whole numbers from 0 to"
    ):
        env.reset(seed=2**63)
    assert state_bytes(env.episodes) == before
    env.reset()


# --- no look-ahead


@both_roles
def test_future_shocks_do_not_show_and_then_do(same, role):
    """Two worlds whose random numbers differ from day 5 on look alike until then, and not after."""
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
    """With nobody trading on it, a jump of value shows once the signal is old enough."""
    quiet = {"trade_speed": 0.0, "revenue_share": 0.0, "signal_noise_sd": 0.0, "signal_lag_days": 4}
    env, other = start(**quiet), start(**quiet)
    other.episodes.batch.state.row("short_stock")[:] *= 3.0
    nothing = np.full(8, -1.0)
    shown = [not np.array_equal(env.step(nothing)[0], other.step(nothing)[0]) for _ in range(8)]
    assert shown == [False] * 4 + [True] * 4


# --- rewards and ends


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**63 - 1),
    wealth=st.floats(1.0, 100_000.0),
    era=st.sampled_from(["price_burn", "launch"]),
    execution=st.sampled_from(["first_span", "twap"]),
    days=st.integers(1, 28),
)
def test_rewards_add_up_to_the_log_growth_of_liquidation_wealth(seed, wealth, era, execution, days):
    env = SingleEnv(
        n_subnets=3,
        wealth_tao=wealth,
        era=era,
        execution=execution,
        days_per_step=days,
        ruin_fraction=1e-9,
    )
    first = env.reset(seed=seed)[1]["wealth"]
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(12):
        _, reward, _, _, info = env.step(rng.uniform(-1, 1, 5))
        total += reward
        assert total == pytest.approx(math.log(info["wealth"] / first), abs=1e-10)
    assert first == wealth


@both_roles
def test_the_horizon_truncates(role):
    env = start(horizon_days=5, role=role)
    ends = [env.step(nothing(env))[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]


def test_ruin_terminates_and_is_no_truncation():
    """A position too large for its pool loses more than the half; also on the day of the horizon."""
    for horizon in (5, 1):
        env = start(n_subnets=1, wealth_tao=100_000.0, ruin_fraction=0.9999, horizon_days=horizon)
        _, reward, terminated, truncated, info = env.step(target_action([0.0, 1.0]))
        assert (terminated, truncated) == (True, False)
        assert info["wealth"] < 0.9999 * 100_000.0
        assert reward == pytest.approx(math.log(info["wealth"] / 100_000.0))


def test_time_limit_ends_an_episode_before_the_horizon():
    env = start(horizon_days=5, max_episode_steps=2)
    assert [env.step(np.zeros(8))[3] for _ in range(2)] == [False, True]
    env = gym.make(ID, n_subnets=6, max_episode_steps=2)
    env.reset(seed=0)
    assert [env.step(env.action_space.sample())[3] for _ in range(2)] == [False, True]


@both_roles
def test_a_drawn_end_terminates_and_the_world_stands_still(role):
    """Its day is drawn by key: here one in fifty ends an episode."""
    ends = []
    for seed in range(6):
        settings = {"horizon": "geometric", "social_discount_per_year": 0.999, "days_per_step": 3}
        env = start(seed=seed, n_subnets=2, role=role, ruin_fraction=1e-9, **settings)
        last = int(env.episodes.batch.state.worlds["last_day"][0])
        terminated, steps = False, 0
        while not terminated:
            _, _, terminated, truncated, info = env.step(nothing(env))
            steps += 1
            assert not truncated
            assert terminated == (3 * steps >= last)
        assert info["day"] == last
        ends.append(last)
    assert len(set(ends)) > 3


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "9"])
def test_a_wrong_time_limit_is_refused(wrong):
    with pytest.raises(ConfigError, match="max_episode_steps: got"):
        SingleEnv(n_subnets=6, max_episode_steps=wrong)


# --- several days a step, orders over the day


@both_roles
def test_days_per_step_skips_days(role):
    env = start(days_per_step=7, horizon_days=21, role=role)
    seen = [env.step(-np.ones(env.action_space.shape)) for _ in range(3)]
    assert [int(info["day"]) for *_, info in seen] == [7, 14, 21]
    assert [truncated for _, _, _, truncated, _ in seen] == [False, False, True]


def test_a_week_is_seven_days_with_orders_on_the_first(same):
    action = target_action([1.0, 2.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    week, days = start(days_per_step=7), start()
    nothing = np.full(8, -1.0)
    weekly = week.step(action)
    daily = [days.step(action if day == 0 else nothing) for day in range(7)]
    assert same(weekly[0], daily[-1][0])
    assert weekly[1] == pytest.approx(sum(step[1] for step in daily), abs=1e-12)
    assert weekly[4]["wealth"] == daily[-1][4]["wealth"]
    assert weekly[4]["traded_tao"] == daily[0][4]["traded_tao"] > 0


def test_orders_spread_over_the_day_move_the_price_less():
    action = target_action(np.eye(7)[6])
    wealth, traded = {}, {}
    for execution in ("first_span", "twap"):
        env = start(execution=execution, wealth_tao=5000.0)
        info = env.step(action)[4]
        wealth[execution], traded[execution] = info["wealth"], info["traded_tao"]
        assert env.episodes.batch.audit().ok
    assert traded["twap"] == pytest.approx(traded["first_span"], rel=1e-3)
    assert wealth["twap"] != wealth["first_span"]


# --- copies


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.parametrize("render_mode", [None, "ansi"])
@both_roles
def test_a_copy_made_in_an_episode_goes_on_identically(copied, render_mode, role, play, same):
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
        kept.append(env.step(nothing(env)))
    kept.append(env.reset(seed=0))
    arrays = [
        a for result in kept for a in (result[0], *result[-1].values()) if isinstance(a, np.ndarray)
    ]
    arrays += [getattr(env.episodes.batch.state, name) for name in env.episodes.batch.state.ARRAYS]
    for k, one in enumerate(arrays):
        for other in arrays[:k]:
            assert not np.shares_memory(one, other)


def test_actions_are_not_changed_and_not_kept():
    env = start()
    action = np.linspace(-1, 1, 8, dtype=np.float32)
    before = action.copy()
    one = env.step(action)[0]
    assert (action == before).all()
    twin = start()
    assert np.array_equal(twin.step(before)[0], one)
    action[:] = -1.0
    assert np.array_equal(env.step(before)[0], twin.step(before)[0])


# --- errors: one line that names what was got, and nothing has changed


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        (0, math.nan, "nan"),
        (3, math.inf, "inf"),
        (7, -math.inf, "-inf"),
        (5, 1.5, "1.5"),
        (1, -1.25, "-1.25"),
    ],
)
def test_a_bad_action_names_world_entry_and_value(entry, value, said, state_bytes, play, rng):
    env = start()
    play(env, rng, 2)
    before = state_bytes(env.episodes)
    action = np.zeros(8)
    action[entry] = value
    with pytest.raises(
        ValueError,
        match=rf"action: got {said}\S* at world 0, entry {entry}, allowed are numbers from -1 to 1",
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


def test_actions_of_any_number_type_are_taken(same):
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
            {"render_mode": "human"},
            "render_mode: got 'human', allowed are 'ansi', 'rgb_array', None",
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
def test_actions_in_any_memory_are_taken_and_compile_nothing(role, form):
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
    seen = other.step(odd)
    assert len(type(env.episodes.role).step_kernel.overloads) == compiled
    env.reset(seed=0)
    assert np.array_equal(env.step(action)[0], seen[0])
