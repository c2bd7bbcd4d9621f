"""Gymnasium's own wrappers around single and vector environments, unchanged."""

import subprocess
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as vector_wrappers

import dtao_gym  # noqa: F401  registers the environments

STAKER, BUILDER = "dtao_gym/Staker-v0", "dtao_gym/Builder-v0"
SETTINGS = {"n_subnets": 4, "spans_per_day": 1, "horizon_days": 6}
both_roles = pytest.mark.parametrize("name", [STAKER, BUILDER])
episodic_modes = pytest.mark.parametrize(
    "mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP], ids=lambda mode: mode.value
)
# seen with 1.1.1: vector statistics go on counting after a same-step reset, and normalised observations keep the old space
old_gymnasium = pytest.mark.skipif(
    tuple(map(int, gym.__version__.split(".")[:2])) < (1, 4),
    reason="vector wrappers of older versions of Gymnasium",
)


def seeded(env: gym.Env | gym.vector.VectorEnv, seed: int = 0):
    """The environment with an action space that samples the same actions every time."""
    env.action_space.seed(seed)
    return env


def episode(env: gym.Env, seed: int = 0) -> tuple[list, list[float], list[bool], dict, dict]:
    """Observations, rewards, whether each step truncated, first and last info of an episode."""
    observation, first = seeded(env).reset(seed=seed)
    observations, rewards, cuts, ended = [observation], [], [], False
    last: dict = {}
    while not ended:
        observation, reward, terminated, truncated, last = env.step(env.action_space.sample())
        observations.append(observation)
        rewards.append(reward)
        cuts.append(truncated)
        ended = terminated or truncated
    return observations, rewards, cuts, first, last


@both_roles
def test_the_recorded_return_is_what_was_earned(name):
    env = wrappers.RecordEpisodeStatistics(gym.make(name, **SETTINGS))
    for seed in (3, 4):
        _, rewards, _, first, last = episode(env, seed)
        assert last["episode"]["r"] == pytest.approx(sum(rewards), abs=1e-12)
        assert last["episode"]["l"] == len(rewards) == 6
        if name == STAKER:
            earned = np.log(last["wealth"] / first["wealth"])
        else:
            scale = env.unwrapped.config.consumption_scale_tao
            earned = (last["consumed"] - first["consumed"]) / scale
        assert last["episode"]["r"] == pytest.approx(earned, abs=1e-9)
        assert abs(earned) > 1e-4
    assert env.episode_count == len(env.return_queue) == 2


@both_roles
def test_a_video_holds_every_frame(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (SyntaxWarning, DeprecationWarning))  # of moviepy's code
        pytest.importorskip("moviepy")
        ffmpeg = pytest.importorskip("imageio_ffmpeg")
    made = gym.make(name, render_mode="rgb_array", **SETTINGS)
    env = wrappers.RecordVideo(made, str(tmp_path / "videos"), episode_trigger=lambda k: k == 1)
    drawn = []
    for seed in (0, 1):
        _, rewards, *_ = episode(env, seed)
        drawn.append(env.render())
    env.close()
    (file,) = (tmp_path / "videos").iterdir()
    assert file.name == "rl-video-episode-1.mp4"
    frames, seconds = ffmpeg.count_frames_and_secs(file)
    assert frames == len(rewards) + 1
    assert seconds == pytest.approx(frames / made.metadata["render_fps"], abs=0.05)
    command = [ffmpeg.get_ffmpeg_exe(), "-i", file, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    pictures = np.frombuffer(raw, np.uint8).reshape(frames, *drawn[0].shape)
    # compression changes pixels a little; another episode changes them more
    far = [np.abs(pictures[-1].astype(float) - picture).mean() for picture in drawn]
    assert far[1] < 0.5 * far[0]
    assert far[1] < 3.0


@both_roles
def test_observations_are_normalised_by_what_was_observed(name):
    plain, env = gym.make(name, **SETTINGS), gym.make(name, **SETTINGS)
    env = wrappers.NormalizeObservation(env)
    seen = [o for seed in range(3) for o in episode(plain, seed)[0]]
    normal = [o for seed in range(3) for o in episode(env, seed)[0]]
    assert env.observation_space.shape == plain.observation_space.shape
    assert {(o.shape, o.dtype) for o in normal} == {(seen[0].shape, np.dtype(np.float32))}
    mean, variance = running(np.array(seen, float))
    np.testing.assert_allclose(env.obs_rms.mean, mean, atol=1e-5)
    np.testing.assert_allclose(env.obs_rms.var, variance, rtol=1e-3, atol=1e-5)
    varied = variance > 1e-3
    assert varied.any()
    wanted = (seen[-1] - mean) / np.sqrt(variance + 1e-8)
    np.testing.assert_allclose(normal[-1][varied], wanted[varied], atol=1e-3)


def running(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of rows and of a ten-thousandth of a row of mean 0 and variance 1, where counts begin."""
    n, prior = len(rows), 1e-4
    mean = rows.sum(0) / (n + prior)
    variance = ((rows**2).sum(0) + prior) / (n + prior) - mean**2
    return mean, variance


@both_roles
@pytest.mark.parametrize("how", ["wrapper", "make"])
def test_a_time_limit_truncates_and_changes_nothing_else(name, how):
    whole = episode(gym.make(name, **SETTINGS))
    if how == "wrapper":
        env = wrappers.TimeLimit(gym.make(name, **SETTINGS), 4)
    else:
        env = gym.make(name, max_episode_steps=4, **SETTINGS)
    observations, rewards, cuts, *_ = episode(env)
    assert cuts == [False, False, False, True]
    assert rewards == whole[1][:4]
    np.testing.assert_array_equal(observations, whole[0][:5])


@both_roles
def test_actions_can_be_rescaled(name):
    plain = gym.make(name, **SETTINGS)
    env = wrappers.RescaleAction(gym.make(name, **SETTINGS), np.float32(0.0), np.float32(1.0))
    plain.reset(seed=2), env.reset(seed=2)
    for _ in range(3):
        action = seeded(env).action_space.sample()
        mine, theirs = env.step(action), plain.step(2.0 * action - 1.0)
        np.testing.assert_allclose(mine[0], theirs[0], atol=1e-6)
        assert mine[1] == pytest.approx(theirs[1], abs=1e-6)


# --- around many worlds


def made(name: str, mode: AutoresetMode, n: int = 3) -> gym.vector.VectorEnv:
    native = {"vectorization_mode": "vector_entry_point", "autoreset_mode": mode}
    return seeded(gym.make_vec(name, n, **native, **SETTINGS))


@both_roles
@episodic_modes
@old_gymnasium
def test_returns_of_many_worlds_are_recorded(name, mode):
    envs = vector_wrappers.RecordEpisodeStatistics(made(name, mode))
    config = envs.unwrapped.episodes.config
    infos, earned, ended, ends = envs.reset(seed=5)[1], np.zeros(3), False, 0
    start = infos
    for _ in range(20):
        if ended:  # what was told of the step that started this episode
            start, earned = infos, np.zeros(3)
            if mode == AutoresetMode.NEXT_STEP:
                start = envs.step(envs.action_space.sample())[4]
        _, reward, _, truncated, infos = envs.step(envs.action_space.sample())
        earned, ended = earned + reward, truncated.all()
        assert ended == truncated.any() == ("episode" in infos)
        if ended:
            ends += 1
            last = infos["final_info"] if mode == AutoresetMode.SAME_STEP else infos
            if name == STAKER:
                wanted = np.log(last["wealth"] / start["wealth"])
            else:
                wanted = (last["consumed"] - start["consumed"]) / config.consumption_scale_tao
            np.testing.assert_allclose(infos["episode"]["r"], earned, atol=1e-12)
            np.testing.assert_allclose(infos["episode"]["r"], wanted, atol=1e-9)
            assert infos["episode"]["l"].tolist() == [6, 6, 6]
    assert ends == 3
    assert len(envs.return_queue) == 9


@both_roles
@old_gymnasium
def test_observations_of_many_worlds_are_normalised(name):
    plain, envs = made(name, AutoresetMode.NEXT_STEP), made(name, AutoresetMode.NEXT_STEP)
    envs = vector_wrappers.NormalizeObservation(envs)
    seen, normal = [plain.reset(seed=1)[0]], [envs.reset(seed=1)[0]]
    for _ in range(9):  # beyond the end of an episode
        action = plain.action_space.sample()
        seen.append(plain.step(action)[0])
        normal.append(envs.step(action)[0])
    assert {(o.shape, o.dtype) for o in normal} == {(seen[0].shape, np.dtype(np.float32))}
    assert envs.observation_space.contains(normal[-1])
    mean, variance = running(np.concatenate(seen).astype(float))
    np.testing.assert_allclose(envs.obs_rms.mean, mean, atol=1e-5)
    np.testing.assert_allclose(envs.obs_rms.var, variance, rtol=1e-3, atol=1e-5)


@both_roles
@episodic_modes
def test_rewards_of_many_worlds_are_normalised(name, mode):
    """By the standard deviation of discounted returns: signs stay, and so do ratios within a step."""
    plain, envs = made(name, mode), vector_wrappers.NormalizeReward(made(name, mode), gamma=0.9)
    plain.reset(seed=1), envs.reset(seed=1)
    for _ in range(9):
        action = plain.action_space.sample()
        raw, scaled = plain.step(action)[1], envs.step(action)[1]
        factor = 1.0 / np.sqrt(envs.return_rms.var + envs.epsilon)
        np.testing.assert_allclose(scaled, raw * factor, rtol=1e-6)
    assert factor != pytest.approx(1.0)


@both_roles
@episodic_modes
def test_infos_become_a_list_of_what_single_environments_say(name, mode):
    envs = vector_wrappers.DictInfoToList(made(name, mode))
    singles = [gym.make(name, **SETTINGS) for _ in range(3)]
    infos = envs.reset(seed=7)[1]
    assert all(same(infos[k], env.reset(seed=7 + k)[1]) for k, env in enumerate(singles))
    for _ in range(6):
        action = envs.action_space.sample()
        infos = envs.step(action)[4]
        told = [env.step(action[k])[4] for k, env in enumerate(singles)]
    if mode == AutoresetMode.SAME_STEP:
        infos = [info["final_info"] for info in infos]
    assert all(same(mine, theirs) for mine, theirs in zip(infos, told, strict=True))


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
