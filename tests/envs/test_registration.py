"""Every registered id, through `gym.make` and `make_vec`, also in other processes; and what an import costs."""

import json
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec, registry
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

import dtao_gym
from dtao_gym.envs.vector import MarketVectorEnv

REPOSITORY = Path(dtao_gym.__file__).resolve().parents[1]
IDS = sorted(name for name in registry if name.startswith("dtao_gym/"))
SMALL = {
    "dtao_gym/BuilderDiscrete-v0": 8,
    "dtao_gym/BuilderSmall-v0": 8,
    "dtao_gym/StakerSmall-v0": 16,
}
"""Subnets of the ids for scripts that take no more than an id."""
VECTOR_IDS = [name for name in IDS if registry[name].vector_entry_point]
SETTINGS = {"n_subnets": 4, "horizon_days": 5}
WAYS = ["sync", "async", "vector_entry_point"]


def test_there_is_something_to_test():
    usual = ["dtao_gym/Builder-v0", "dtao_gym/Replay-v0", "dtao_gym/Staker-v0"]
    assert sorted([*usual, *SMALL]) == IDS
    assert [name for name in IDS if name != "dtao_gym/BuilderDiscrete-v0"] == VECTOR_IDS


@pytest.mark.parametrize("name", SMALL)
def test_small_ids_have_few_subnets(name, same):
    plain = name.split("Small")[0].split("Discrete")[0].removesuffix("-v0") + "-v0"
    small, whole = gym.make(name), gym.make(plain, n_subnets=SMALL[name])
    assert small.unwrapped.config.n_subnets == SMALL[name]
    assert same(small.reset(seed=1), whole.reset(seed=1))
    assert gym.make(name, n_subnets=3).unwrapped.config.n_subnets == 3


def test_episodes_end_by_themselves_so_that_no_time_limit_is_registered():
    env, envs = gym.make(IDS[-1], **SETTINGS), gym.make_vec(VECTOR_IDS[-1], 2, **SETTINGS)
    for made in (env, envs):
        assert made.spec.max_episode_steps is None
        assert made.unwrapped.max_episode_steps == SETTINGS["horizon_days"]
    assert gym.make(IDS[-1], days_per_step=2, **SETTINGS).unwrapped.max_episode_steps == 3


@pytest.mark.parametrize("name", IDS)
def test_every_id_makes_an_environment_that_plays_an_episode(name):
    env = gym.make(name, **SETTINGS)
    assert env.spec.id == name
    env.action_space.seed(0)
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(5)]
    assert ends[-1] == (False, True)
    env.close()
    env.close()


@pytest.mark.parametrize("name", IDS)
def test_defaults_make_an_environment(name):
    env = gym.make(name)
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert env.observation_space.contains(env.step(env.action_space.sample())[0])


@pytest.mark.parametrize("name", IDS)
def test_a_specification_makes_the_environment_again(name, same):
    env = gym.make(name, **SETTINGS)
    texts = env.spec.to_json()
    for spec in (env.spec, pickle.loads(pickle.dumps(env.spec)), EnvSpec.from_json(texts)):
        again = gym.make(spec)
        assert same(again.reset(seed=3), env.reset(seed=3))
    assert json.loads(texts)["kwargs"]["n_subnets"] == 4


def test_an_id_may_name_its_module():
    program = (
        "import gymnasium as gym; env = gym.make('dtao_gym:dtao_gym/Staker-v0', n_subnets=3);"
        "print(env.reset(seed=0)[0].shape)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
    )
    size = gym.make("dtao_gym/Staker-v0", n_subnets=3).observation_space.shape[0]
    assert run.stdout.strip() == f"({size},)"


# --- vector environments, in one process and in several


def make(
    way: str, n: int = 2, name: str = "dtao_gym/Staker-v0", **settings
) -> gym.vector.VectorEnv:
    return gym.make_vec(name, n, vectorization_mode=way, **(SETTINGS | settings))


@pytest.mark.parametrize("name", VECTOR_IDS)
def test_all_ways_to_make_many_worlds_agree(name, same, rng):
    kinds = {"sync": SyncVectorEnv, "async": AsyncVectorEnv, "vector_entry_point": MarketVectorEnv}
    all_envs = [make(way, name=name) for way in WAYS]
    try:
        for way, envs in zip(WAYS, all_envs, strict=True):
            assert type(envs) is kinds[way]
            assert envs.spec.id == name
            assert isinstance(envs.metadata["autoreset_mode"], gym.vector.AutoresetMode)
        first = [envs.reset(seed=3) for envs in all_envs]
        assert same(first[0], first[1])
        assert same(first[0], first[2])
        for _ in range(8):
            drawn = rng.uniform(-1, 1, all_envs[0].action_space.shape).astype(np.float32)
            steps = [envs.step(drawn) for envs in all_envs]
            assert same(steps[0], steps[1])
            assert same(steps[0], steps[2])
    finally:
        for envs in all_envs:
            envs.close()


def test_the_native_environment_is_the_default():
    assert type(gym.make_vec("dtao_gym/Staker-v0", 2, **SETTINGS)) is MarketVectorEnv


@pytest.mark.parametrize("mode", gym.vector.AutoresetMode)
@pytest.mark.parametrize("way", ["sync", "vector_entry_point"])
def test_reset_mode_is_passed_through(way, mode):
    kwargs = (
        {"vector_kwargs": {"autoreset_mode": mode}} if way == "sync" else {"autoreset_mode": mode}
    )
    envs = make(way, **kwargs)
    assert envs.metadata["autoreset_mode"] == mode


@pytest.mark.parametrize("way", WAYS)
def test_time_limit_is_passed_through(way):
    envs = make(way, max_episode_steps=3)
    try:
        envs.reset(seed=0)
        ends = [envs.step(np.zeros((2, 6), np.float32))[3].tolist() for _ in range(4)]
        assert ends == [[False, False]] * 2 + [[True, True], [False, False]]
    finally:
        envs.close()


def test_no_time_limit_means_the_same_everywhere():
    for way in ("sync", "vector_entry_point"):
        envs = make(way, max_episode_steps=-1)
        envs.reset(seed=0)
        assert not envs.step(np.zeros((2, 6), np.float32))[3].any(), way


def threaded_steps() -> MarketVectorEnv:
    envs = make("vector_entry_point", 32, threads=2)
    envs.reset(seed=0)
    for _ in range(3):
        envs.step(np.zeros((32, 6), np.float32))
    return envs


def test_processes_can_be_made_after_a_threaded_step(same):
    """A forked child inherits the pool of threads without its threads, and must not wait for them."""
    threads = threaded_steps()
    envs = make("async", 2)
    try:
        obs = envs.reset(seed=0)[0]
        assert same(obs, threads.reset(seed=0)[0][:2])
        for _ in range(3):
            envs.step_async(np.zeros((2, 6), np.float32))
            obs = envs.step_wait(timeout=60)[0]
            assert same(obs, threads.step(np.zeros((32, 6), np.float32))[0][:2])
    finally:
        envs.close(timeout=60)


def _steps_of_a_child(pipe) -> None:
    pipe.send(threaded_steps().episodes.observe())
    pipe.close()


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_child_uses_threads_of_its_own(method, same):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    envs = threaded_steps()
    context = multiprocessing.get_context(method)
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_steps_of_a_child, args=(theirs,))
    child.start()
    theirs.close()
    try:
        assert mine.poll(60), "the child is stuck"
        assert same(mine.recv(), envs.episodes.observe())
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()


# --- the cost of an import


def test_importing_is_light():
    program = """
import sys, time
began = time.perf_counter()
import dtao_gym
took = time.perf_counter() - began
heavy = ("torch", "stable_baselines3", "numba", "pydantic", "matplotlib", "pandas", "scipy", "dtao_gym.world")
print(took, *[name for name in heavy if name in sys.modules])
import dtao_gym.envs.vector, dtao_gym.envs.single
late = ("torch", "stable_baselines3", "matplotlib", "pandas")
print(*[name for name in late if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
    )
    (seconds, *heavy), late = (line.split() for line in run.stdout.split("\n")[:2])
    print(f"import dtao_gym: {float(seconds):.2f} s")
    assert heavy == []
    assert late == []
