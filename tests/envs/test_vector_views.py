"""Seeds, pictures, attributes and options of many worlds, compared with Gymnasium's own vector environment."""

import functools
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dtao_gym.envs.builder.role import Builder
from dtao_gym.envs.seeds import world_seed
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker import role as staker_role
from dtao_gym.envs.vector import MarketVectorEnv
from dtao_gym.world.config import ConfigError

SETTINGS = {"n_subnets": 4, "horizon_days": 3}


def zeros(envs: gym.vector.VectorEnv) -> np.ndarray:
    return np.zeros(envs.action_space.shape, np.float32)


# --- seeds


@pytest.mark.parametrize("way", ["sync", "async", "vector_entry_point"])
def test_worlds_without_seeds_differ_and_their_seeds_start_them_again(way, same):
    made = functools.partial(gym.make_vec, "dtao_gym/Staker-v0", 3, vectorization_mode=way)
    envs, others = made(**SETTINGS), made(**SETTINGS)
    try:
        envs.reset(), others.reset()
        seen = envs.step(zeros(envs))[0]
        assert not np.array_equal(seen, others.step(zeros(envs))[0])
        assert len({row.tobytes() for row in seen}) == 3
        told = envs.get_attr("np_random_seed")
        others.reset(seed=list(told))
        assert same(others.step(zeros(envs))[0], seen)
        assert same(others.get_attr("np_random_seed"), told)
    finally:
        envs.close(), others.close()


def test_the_native_seeds_are_consecutive_and_told():
    envs = MarketVectorEnv(3, **SETTINGS)
    first, *rest = envs.np_random_seed
    assert rest == [first + 1, first + 2]
    assert MarketVectorEnv(3, **SETTINGS).np_random_seed[0] != first
    envs.reset(seed=envs.np_random_seed)
    assert envs.np_random_seed == (first, first + 1, first + 2)
    assert MarketVectorEnv(3, world_seed=5, **SETTINGS).np_random_seed == (5, 6, 7)


def test_a_batch_folds_large_seeds_as_single_environments_do(same):
    envs, single = MarketVectorEnv(2, **SETTINGS), SingleEnv(**SETTINGS)
    obs = envs.reset(seed=2**63 - 1)[0]
    assert envs.np_random_seed == (2**63 - 1, world_seed(2**63))
    for k in range(2):
        assert same(obs[k], single.reset(seed=2**63 - 1 + k)[0])
    assert same(envs.reset(seed=envs.np_random_seed)[0], obs)


@pytest.mark.parametrize("seed", [True, [1, False], 1.5, -1])
def test_bad_seeds_are_refused(seed, state_bytes):
    envs = MarketVectorEnv(2, **SETTINGS)
    envs.reset(seed=1)
    before = state_bytes(envs.episodes)
    with pytest.raises(ConfigError, match=r"seed: got .*, allowed are whole numbers from 0, None"):
        envs.reset(seed=seed)
    assert state_bytes(envs.episodes) == before


def test_unknown_options_are_refused(state_bytes):
    envs = MarketVectorEnv(2, **SETTINGS)
    envs.reset(seed=1)
    before = state_bytes(envs.episodes)
    with pytest.raises(ValueError, match="options: got mask, allowed is reset_mask"):
        envs.reset(options={"mask": np.ones(2, bool)})
    assert state_bytes(envs.episodes) == before


# --- pictures


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
@pytest.mark.parametrize("role", ["staker", "builder"])
def test_pictures_equal_those_of_single_environments(role, render_mode, mode, same):
    pytest.importorskip("matplotlib")
    settings = SETTINGS | {"render_mode": render_mode}
    ours = MarketVectorEnv(2, role, autoreset_mode=mode, **settings)
    theirs = SyncVectorEnv([lambda: SingleEnv(role, **settings)] * 2, autoreset_mode=mode)
    ours.reset(seed=3), theirs.reset(seed=3)
    for step in range(5):
        done = ours.step(zeros(ours))[3]
        theirs.step(zeros(ours))
        if done.all() and mode == AutoresetMode.DISABLED:
            for envs in (ours, theirs):
                envs.reset(options={"reset_mask": np.array([True, True])})
        if render_mode == "ansi" or step in (0, 4):
            assert same(ours.render(), theirs.render())
    assert same(ours.call("render"), ours.render())


def test_a_masked_reset_adds_no_point_to_the_other_pictures(same):
    envs, plain = (MarketVectorEnv(2, render_mode="ansi", **SETTINGS) for _ in range(2))
    for one in (envs, plain):
        one.reset(seed=0)
        one.step(zeros(one))
    envs.reset(seed=9, options={"reset_mask": np.array([True, False])})
    assert envs.render()[0] != plain.render()[0]
    assert envs.render()[1] == plain.render()[1]
    points = [len(one._pictures[1]._points) for one in (envs, plain)]
    assert points == [2, 2]


def test_only_some_worlds_may_be_drawn():
    pytest.importorskip("matplotlib")
    envs = MarketVectorEnv(3, render_mode="rgb_array", render_worlds=1, **SETTINGS)
    whole = MarketVectorEnv(3, render_mode="rgb_array", **SETTINGS)
    envs.reset(seed=0), whole.reset(seed=0)
    frames = envs.render()
    assert isinstance(frames, tuple)
    assert [frame.shape for frame in frames] == [(600, 800, 3)] * 3
    assert (frames[0] == whole.render()[0]).all()
    assert not frames[1].any()
    assert not frames[2].any()
    texts = MarketVectorEnv(2, render_mode="ansi", render_worlds=1, **SETTINGS)
    texts.reset(seed=0)
    assert texts.render()[1] == ""


def test_without_a_render_mode_rendering_warns():
    envs = MarketVectorEnv(2, **SETTINGS)
    envs.reset(seed=0)
    with pytest.warns(UserWarning, match=r"without a render_mode: pass it to gym.make_vec"):
        assert envs.render() is None


def test_a_batch_can_be_filmed(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (SyntaxWarning, DeprecationWarning))  # of moviepy's code
        pytest.importorskip("moviepy")
        ffmpeg = pytest.importorskip("imageio_ffmpeg")
    record = pytest.importorskip("gymnasium.wrappers.vector").RecordVideo
    made = gym.make_vec(
        "dtao_gym/Staker-v0", 4, render_mode="rgb_array", render_worlds=1, **SETTINGS
    )
    envs = record(
        made, str(tmp_path / "film"), record_first_only=True, episode_trigger=lambda k: k == 0
    )
    envs.reset(seed=0)
    for _ in range(5):
        envs.step(zeros(made))
    envs.close()
    (file,) = (tmp_path / "film").iterdir()
    frames, seconds = ffmpeg.count_frames_and_secs(file)
    assert frames == SETTINGS["horizon_days"] + 1
    assert seconds == pytest.approx(frames / made.metadata["render_fps"], abs=0.05)


# --- attributes


def test_attributes_of_worlds_equal_those_of_single_environments(same):
    ours = MarketVectorEnv(2, **SETTINGS)
    theirs = SyncVectorEnv([lambda: SingleEnv(**SETTINGS)] * 2)
    ours.reset(seed=3), theirs.reset(seed=3)
    for name in ("observation_space", "action_space", "render_mode", "np_random_seed"):
        assert ours.get_attr(name) == theirs.get_attr(name), name
    assert ours.get_attr("max_episode_steps") == theirs.get_attr("max_episode_steps") == (3, 3)
    assert ours.get_attr("spec") == (None, None)
    configs = ours.get_attr("config")
    assert [config.model_dump(exclude={"world_seed"}) for config in configs] == [
        config.model_dump(exclude={"world_seed"}) for config in theirs.get_attr("config")
    ]
    assert ours.get_attr("n_subnets") == (4, 4)
    infos = ours.step(zeros(ours))[4]
    for k, info in enumerate(ours.call("info")):
        assert all(np.array_equal(info[name], infos[name][k]) for name in info)
    assert same(np.stack(ours.call("observe")), ours.episodes.observe())
    with pytest.raises(AttributeError, match="worlds: got 'wings', allowed are info"):
        ours.get_attr("wings")
    with pytest.raises(TypeError, match="call: got arguments of 'info', allowed are none"):
        ours.call("info", 3)


def test_parameters_can_be_set_for_each_world():
    envs, plain = MarketVectorEnv(2, **SETTINGS), MarketVectorEnv(2, **SETTINGS)
    envs.reset(seed=0), plain.reset(seed=0)
    envs.set_attr("trade_speed", [0.0, plain.config.trade_speed])
    assert envs.get_attr("trade_speed") == (0.0, plain.config.trade_speed)
    one, other = envs.step(zeros(envs))[0], plain.step(zeros(envs))[0]
    assert (one[0] != other[0]).any()
    assert (one[1] == other[1]).all()
    envs.set_attr("trade_speed", 0.0)
    assert envs.get_attr("trade_speed") == (0.0, 0.0)


@pytest.mark.parametrize(
    ("role", "name", "values", "message"),
    [
        ("staker", "n_subnets", 5, "set_attr: got 'n_subnets', allowed are parameters"),
        ("staker", "wings", 2, "set_attr: got 'wings', allowed are parameters"),
        ("staker", "horizon_days", 9, "set_attr: got 'horizon_days', allowed are parameters"),
        ("replay", "ruin_fraction", 0.5, "set_attr: got 'ruin_fraction', allowed are parameters"),
    ],
)
def test_other_attributes_cannot_be_set(role, name, values, message):
    with pytest.raises(AttributeError, match=message):
        MarketVectorEnv(2, role, **SETTINGS).set_attr(name, values)


@pytest.mark.parametrize(
    ("values", "message"),
    [([0.1, -3.0], "trade_speed: got -3.0"), ([0.1], "trade_speed: got 1 values, allowed are 2")],
)
def test_a_refused_value_changes_no_world(values, message):
    envs = MarketVectorEnv(2, **SETTINGS)
    before = envs.get_attr("trade_speed")
    with pytest.raises(ConfigError, match=message):
        envs.set_attr("trade_speed", values)
    assert envs.get_attr("trade_speed") == before


# --- arrays that users pass


@pytest.mark.parametrize("role", ["staker", "builder"])
def test_unusual_arrays_of_actions_compile_nothing_new(role, rng, same):
    from dtao_gym.envs.builder import actions as builder_actions

    kernels = {
        "staker": [staker_role._decode_kernel, staker_role._step_kernel],
        "builder": [builder_actions.decide_kernel, Builder.step_kernel],
    }[role]
    envs, plain = MarketVectorEnv(4, role, **SETTINGS), MarketVectorEnv(4, role, **SETTINGS)
    env = SingleEnv(role, **SETTINGS)
    envs.reset(seed=0), plain.reset(seed=0), env.reset(seed=0)
    drawn = rng.uniform(-1, 1, envs.action_space.shape).astype(np.float32)
    first = env.step(drawn[0])
    wanted = plain.step(drawn)
    before = [len(kernel.signatures) for kernel in kernels]
    frozen, wide = drawn.copy(), np.zeros((4, 2 * drawn.shape[1]), np.float32)
    frozen.flags.writeable = False
    wide[:, ::2] = drawn
    for given in (
        frozen,
        wide[:, ::2],
        np.asfortranarray(drawn),
        drawn.astype(">f4"),
        drawn.tolist(),
    ):
        envs.reset(seed=0), env.reset(seed=0)
        assert same(envs.step(given), wanted)
        assert same(env.step(given[0]), first)
    assert [len(kernel.signatures) for kernel in kernels] == before
