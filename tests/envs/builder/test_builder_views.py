"""The builder in every interface: Gymnasium's contract, bit identity, hostile input, copies."""

import copy
import functools
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dtao_gym.envs.builder.observation import observation_size as builder_size
from dtao_gym.envs.builder.role import Builder
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.vector import MarketVectorEnv
from dtao_gym.world.config import ConfigError
from tests.envs.builder.builder_worlds import CROWDED, FEES, TWINS, random_actions, start

ID = "dtao_gym/Builder-v0"
SETTINGS = {"n_subnets": 4, "horizon_days": 6}
MODES = list(AutoresetMode)


@functools.cache
def risky() -> dict:
    """Settings of the weakest subnet under frequent registrations, which end many episodes early."""
    weakest = start().episodes.batch.state.row("moving_price")[0].argmin()
    return SETTINGS | CROWDED | {"builder_slot": int(weakest)}


def vector(n: int, **overrides) -> MarketVectorEnv:
    return MarketVectorEnv(n, "builder", **(SETTINGS | overrides))


# --- Gymnasium


@pytest.mark.parametrize(
    "overrides", [{}, TWINS, {"influence": True, "builder_decides": "composition"}]
)
def test_gymnasium_checker_accepts_the_environment(overrides):
    check_env(gym.make(ID, n_subnets=3, **overrides).unwrapped, skip_render_check=True)


@pytest.mark.filterwarnings("ignore:.*has no windows")  # the checker tries 'human' too
@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_gymnasium_checker_accepts_rendering(render_mode):
    pytest.importorskip("matplotlib")
    check_env(gym.make(ID, n_subnets=3, render_mode=render_mode).unwrapped)


def test_checker_of_stable_baselines_accepts_the_environment():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(gym.make(ID, n_subnets=3).unwrapped, warn=True)


def test_step_returns_the_types_of_gymnasiums_contract():
    obs, reward, terminated, truncated, info = start().step(np.zeros(4, np.float32))
    assert (obs.dtype, obs.shape) == (np.float32, (builder_size(4),))
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert type(info) is dict


def test_info_has_the_entries_that_its_docstrings_list():
    env = start()
    info = env.step(np.zeros(4, np.float32))[4]
    listed = env.episodes.market_info.__doc__ + Builder.info.__doc__
    assert all(name in listed for name in info)
    own = Builder.info.__doc__.split("each `(rows,)`.")[1].replace("\n", " ")
    own = own.replace("(TAO of the last day)", "").replace("(TAO since genesis)", "")
    own = own.replace("(in force)", "").replace("(TAO a day; research in all stages)", "")
    names = {name.strip(" .") for part in own.split(";") for name in part.split(",")}
    assert names <= set(info)
    state, p = env.episodes.batch.state, env.config
    assert info["day"] == 1
    for name in ("treasury", "budget", "income", "consumed", "short_stock", "knowledge", "ability"):
        assert info[name] == state.row(name)[0, 0]
    assert info["pipeline"] == state.section("pipeline")[0, :, 0].sum()
    assert info["consumed"] == pytest.approx((1 - p.reinvest_share) * info["income"])
    assert info["own_price"] == info["spot_price"][0]
    assert info["own_emission_share"] == info["emission_share"][0]
    assert not info["pruned"]


def test_worlds_of_a_builder_have_no_staker():
    env = start(n_subnets=5)
    assert env.config.n_stakers == 0
    assert env.episodes.batch.state.stakers.shape == (1, 0)
    info = env.step(np.zeros(4))[4]
    assert "wealth" not in info
    assert all(np.asarray(value).size > 0 for value in info.values())
    assert set(info) >= {
        "treasury",
        "research_share",
        "own_price",
        "welfare",
        "true_value",
        "pruned",
    }


# --- equal to a loop over single environments


def pair(mode: AutoresetMode, n: int, **overrides) -> tuple[MarketVectorEnv, SyncVectorEnv]:
    settings = risky() | overrides
    ours = MarketVectorEnv(n, "builder", autoreset_mode=mode, **settings)
    one = functools.partial(gym.make, ID, **settings)
    return ours, SyncVectorEnv([one] * n, autoreset_mode=mode)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_equal_to_single_environments_over_ends_of_episodes(mode, threads, same, rng):
    n = 18 if threads > 1 else 5
    ours, theirs = pair(mode, n)
    ours.episodes.batch.threads = threads
    assert same(ours.reset(seed=7), theirs.reset(seed=7))
    ends = np.zeros(2, int)
    for _ in range(28):
        drawn = random_actions(ours, rng)
        mine = ours.step(drawn)
        assert same(mine, theirs.step(drawn))
        ended = mine[2] | mine[3]
        ends += [mine[2].sum(), mine[3].sum()]
        if mode == AutoresetMode.DISABLED and ended.any():
            again = [e.reset(options={"reset_mask": ended.copy()}) for e in (ours, theirs)]
            assert same(*again)
    assert (ends >= 3).all()


@pytest.mark.parametrize(
    "overrides",
    [
        TWINS | {"immunity_days": 30.0},
        {"horizon": "geometric", "social_discount_per_year": 0.999, "days_per_step": 7},
        {"influence": True, "builder_decides": "composition", "empty_slots": 2},
        FEES | {"terminal_value": True, "reward_noise": True},
        {"selection": "sample", "split": "evaluation", "era": "launch"},
    ],
    ids=["twins", "geometric", "composition", "fees", "sample"],
)
def test_equal_to_single_environments_under_other_settings(overrides, same, rng):
    ours, theirs = pair(AutoresetMode.NEXT_STEP, 3, **overrides)
    assert same(ours.reset(seed=[3, 9, 9]), theirs.reset(seed=[3, 9, 9]))
    for _ in range(16):
        drawn = random_actions(ours, rng)
        assert same(ours.step(drawn), theirs.step(drawn))


@pytest.mark.parametrize("overrides", [{}, TWINS], ids=["plain", "twins"])
def test_batch_size_position_and_threads_do_not_matter(overrides, same, rng):
    many, one = vector(40, threads=2, **overrides), vector(1, **overrides)
    assert same(many.reset(seed=list(range(40)))[0][33:34], one.reset(seed=33)[0])
    for _ in range(8):
        drawn = random_actions(many, rng)
        assert same([x[33:34] for x in many.step(drawn)[:4]], list(one.step(drawn[33:34])[:4]))


def test_stable_baselines_view_equals_a_loop_over_single_environments(same, rng):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv

    from dtao_gym.envs.sb3 import MarketVecEnv

    ours = MarketVecEnv(5, "builder", **risky())
    theirs = DummyVecEnv([functools.partial(gym.make, ID, **risky())] * 5)
    ours.seed(7), theirs.seed(7)
    assert same(ours.reset(), theirs.reset())
    ends = {True: 0, False: 0}
    for _ in range(24):
        drawn = rng.uniform(-1, 1, (5, 4)).astype(np.float32)
        mine, wanted = ours.step(drawn), theirs.step(drawn)
        assert same(mine[:3], wanted[:3])
        for info, other in zip(mine[3], wanted[3], strict=True):
            assert info.get("TimeLimit.truncated", False) == other["TimeLimit.truncated"]
            assert same(info.get("terminal_observation"), other.get("terminal_observation"))
            if "episode" in info:
                ends[info["TimeLimit.truncated"]] += 1
                assert info["episode"]["consumed"] == other["consumed"]
                assert info["episode"]["l"] == other["day"]
    assert min(ends.values()) >= 2


# --- conservation, spaces, arrays


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        TWINS | {"influence": True},
        FEES,
        {"payment": "direct"},
        {"era": "launch", "empty_slots": 1, "arrivals_per_slot_year": 12.0},
        {"genesis": "drawn", "income_factor": 2.0},
        {"n_subnets": 1, "initial_treasury_tao": 0.0},
        CROWDED,
    ],
    ids=["plain", "twins", "fees", "direct", "launch", "drawn", "one", "crowded"],
)
def test_random_play_conserves_money_and_stays_in_the_space(overrides, rng):
    envs = vector(3, **({"horizon_days": 150} | overrides))
    obs, infos = envs.reset(seed=0)
    for day in range(160):
        assert envs.observation_space.contains(obs), f"day {day}: {obs.min()} to {obs.max()}"
        drawn = random_actions(envs, rng)
        obs, reward, _, _, infos = envs.step(np.sign(drawn) if day % 3 == 0 else drawn)
        assert np.isfinite(reward).all()
    assert envs.episodes.batch.audit().ok
    assert all(np.isfinite(rows).all() for rows in infos.values())


def test_results_are_fresh_arrays():
    for overrides in ({}, TWINS):
        env = start(**overrides)
        kept = [env.reset(seed=0)] + [env.step(np.zeros(4, np.float32)) for _ in range(3)]
        arrays = [x for r in kept for x in (r[0], *r[-1].values()) if isinstance(x, np.ndarray)]
        state = env.episodes.batch.state
        arrays += [getattr(state, name) for name in state.ARRAYS]
        for k, one in enumerate(arrays):
            assert not any(np.shares_memory(one, other) for other in arrays[:k])


def test_actions_are_neither_modified_nor_retained():
    env, twin = start(), start()
    action = np.linspace(-1, 1, 4, dtype=np.float32)
    before = action.copy()
    assert np.array_equal(env.step(action)[0], twin.step(before)[0])
    assert (action == before).all()
    action[:] = -1.0
    assert np.array_equal(env.step(before)[0], twin.step(before)[0])


# --- errors: one line that names the wrong value, and an unchanged state


@pytest.mark.parametrize("overrides", [{}, TWINS], ids=["plain", "twins"])
def test_bad_actions_are_refused_and_change_nothing(overrides, state_bytes, rng):
    envs = vector(3, **overrides)
    envs.reset(seed=0)
    envs.step(random_actions(envs, rng))
    before = state_bytes(envs.episodes)
    for value, shown in ((math.nan, "nan"), (math.inf, "inf"), (-1.25, "-1.25"), (1e300, "inf")):
        bad = np.full((3, 4), 0.5)
        bad[2, 1] = value
        with pytest.raises(ValueError, match=f"action: got {shown} at world 2, entry 1, allowed"):
            envs.step(bad)
    for shape in ((3, 3), (2, 4), (4,), (3, 4, 1), (6, 4)):
        with pytest.raises(ValueError, match=r"action: got shape \(.*\), allowed is \(3, 4\)"):
            envs.step(np.zeros(shape))
    for kind in (complex, str, object, "datetime64[s]"):
        with pytest.raises(ValueError, match=r"action: got .* numbers, allowed are real ones"):
            envs.step(np.zeros((3, 4)).astype(kind))
    assert state_bytes(envs.episodes) == before


@pytest.mark.parametrize("action", [np.zeros(3), np.zeros((1, 4)), 0.0, None, [[0.0]] * 4])
def test_an_action_of_the_wrong_shape_is_refused_by_the_single_view(action, state_bytes):
    env = start()
    before = state_bytes(env.episodes)
    with pytest.raises(ValueError, match=r"action: got shape \(.*\), allowed is \(4,\)"):
        env.step(action)
    assert state_bytes(env.episodes) == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_stakers": 1}, "n_stakers: got 1, allowed is 0"),
        ({"n_stakers": 3}, "n_stakers: got 3, allowed is 0"),
        ({"builder_slot": 4}, "builder_slot: got 4, allowed are 0 to 3"),
        ({"builder_slot": 4, "empty_slots": 2}, "builder_slot: got 4, allowed are 0 to 3"),
        ({"builder_decides": "nothing"}, "builder_decides: got 'nothing', allowed"),
        ({"reward_noise": True}, "reward_noise: got True with payment 'alpha'"),
        ({"terminal_value": True}, "terminal_value: got True with payment 'alpha'"),
        ({"twin_world": True}, "twin_world: got True with pruning and arrivals"),
        (FEES | {"terminal_value": True, "horizon": "geometric"}, "terminal_value: got True"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ConfigError, match=message):
        SingleEnv("builder", **({"n_subnets": 4} | wrong))


@pytest.mark.parametrize("name", ["terminal_value", "reward_noise", "twin_world"])
def test_reward_options_of_builders_are_refused_for_stakers(name):
    with pytest.raises(ConfigError, match=f"{name}: got True, allowed is False where a staker"):
        SingleEnv("staker", n_subnets=4, pruning=False, **FEES, **{name: True})


def test_stepping_before_a_reset_is_refused():
    with pytest.raises(gym.error.ResetNeeded, match="never reset"):
        SingleEnv("builder", n_subnets=4).step(np.zeros(4))


# --- copies


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("overrides", [{"render_mode": "ansi"}, TWINS], ids=["plain", "twins"])
def test_a_copy_made_during_an_episode_continues_identically(copied, overrides, play, same):
    env = start(horizon_days=9, **overrides)
    play(env, np.random.default_rng(0), 5)
    twin = copied(env)
    one, two = np.random.default_rng(1), np.random.default_rng(1)
    assert same(play(env, one, 4), play(twin, two, 4))
    assert same(env.reset(), twin.reset())
    assert same(play(env, one, 4), play(twin, two, 4))
    assert env.render_mode is None or env.render() == twin.render()


@pytest.mark.parametrize("overrides", [{}, TWINS], ids=["plain", "twins"])
def test_a_saved_state_continues_identically_in_another_environment(
    overrides, tmp_path, play, same
):
    env = start(**overrides)
    play(env, np.random.default_rng(0), 5)
    env.episodes.batch.state.save(tmp_path / "state.npz")
    other = start(seed=5, **overrides)
    other.episodes.batch.state.load(tmp_path / "state.npz")
    other.episodes.reset_done()
    assert same(env.episodes.observe(), other.episodes.observe())
    one, two = np.random.default_rng(1), np.random.default_rng(1)
    assert same(play(env, one, 6), play(other, two, 6))


def test_a_seed_fixes_everything(play, same):
    def episode(env, **reset):
        return [env.reset(**reset), play(env, np.random.default_rng(1), 6)]

    env = start()
    first = episode(env, seed=5)
    second = episode(env)
    assert same(episode(start(), seed=5), first)
    assert same(episode(env, seed=5), first)
    assert same(episode(env), second)
    assert not same(first, second)
    assert not same(episode(env, seed=6), first)
