"""The vector environment: autoreset modes, seeds, copies, wrappers, and errors."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from dtao_gym.envs.staker.role import target_action
from dtao_gym.envs.vector import MarketVectorEnv
from dtao_gym.world.config import ConfigError
from tests.envs.vector_worlds import ID, MODES, PLAYED, SETTINGS, actions, both_roles

# --- autoreset modes and masked resets


def test_next_step_ignores_the_action_after_an_end(rng, same):
    one, two = (MarketVectorEnv(2, **SETTINGS) for _ in range(2))
    one.reset(seed=0), two.reset(seed=0)
    for step in range(12):
        drawn = actions(rng, one)
        other = drawn.copy()
        if step % 6 == 5:
            other[:] = -drawn
        results = one.step(drawn), two.step(other)
        assert same(*results)
        assert (results[0][1] == 0.0).all() == (step % 6 == 5)
        assert results[0][3].all() == (step % 6 == 4)
        assert (results[0][4]["day"] == (step + 1) % 6).all()


def test_same_step_returns_the_last_observation_and_the_next_first_one(rng, same):
    envs, plain = (
        MarketVectorEnv(3, autoreset_mode="SameStep", **SETTINGS),
        MarketVectorEnv(3, **SETTINGS),
    )
    envs.reset(seed=0), plain.reset(seed=0)
    for step in range(5):
        drawn = actions(rng, envs)
        mine, wanted = envs.step(drawn), plain.step(drawn)
        assert ("final_obs" in mine[4]) == (step == 4)
    assert same(np.stack(mine[4]["final_obs"]), wanted[0])
    assert mine[4]["_final_obs"].all()
    assert same(mine[4]["final_info"], wanted[4])
    assert (mine[4]["day"] == 0).all()
    assert same(mine[0], plain.step(drawn)[0])


def test_disabled_refuses_to_step_a_finished_world(state_bytes):
    envs = MarketVectorEnv(3, autoreset_mode="Disabled", **SETTINGS)
    envs.reset(seed=0)
    for _ in range(5):
        envs.step(np.zeros((3, 6)))
    before = state_bytes(envs.episodes)
    with pytest.raises(ValueError, match="world 0 has finished its episode: reset it with"):
        envs.step(np.zeros((3, 6)))
    assert state_bytes(envs.episodes) == before
    envs.reset(options={"reset_mask": np.array([True, True, False])})
    with pytest.raises(ValueError, match="world 2 has finished"):
        envs.step(np.zeros((3, 6)))
    envs.reset(options={"reset_mask": np.array([False, False, True])})
    envs.step(np.zeros((3, 6)))


def test_a_masked_reset_leaves_the_other_worlds_alone(rng):
    envs, plain = MarketVectorEnv(4, **SETTINGS), MarketVectorEnv(4, **SETTINGS)
    envs.reset(seed=0), plain.reset(seed=0)
    drawn = actions(rng, envs)
    before = envs.step(drawn)[0]
    plain.step(drawn)
    mask = np.array([False, True, False, True])
    obs, infos = envs.reset(seed=50, options={"reset_mask": mask})
    assert (obs[~mask] == before[~mask]).all()
    assert (obs[mask] != before[mask]).any(axis=1).all()
    assert (infos["_day"] == mask).all()
    mine, wanted = envs.step(drawn), plain.step(drawn)
    assert (mine[0][~mask] == wanted[0][~mask]).all()
    assert (mine[1][~mask] == wanted[1][~mask]).all()
    assert mine[4]["day"].tolist() == [2, 1, 2, 1]


def test_the_mask_that_was_passed_is_not_changed():
    envs = MarketVectorEnv(2, **SETTINGS)
    envs.reset(seed=0)
    options = {"reset_mask": np.array([True, False])}
    envs.reset(options=options)
    assert options["reset_mask"].tolist() == [True, False]


# --- seeds, copies, arrays


def test_one_seed_gives_the_worlds_consecutive_seeds():
    envs, single = MarketVectorEnv(3, **SETTINGS), gym.make(ID, **SETTINGS)
    obs = envs.reset(seed=20)[0]
    obs = envs.step(np.zeros((3, 6)))[0]
    for k in range(3):
        single.reset(seed=20 + k)
        assert (single.step(np.zeros(6, np.float32))[0] == obs[k]).all()


def test_the_seed_of_one_world_may_be_omitted(rng):
    envs, again = MarketVectorEnv(3, **SETTINGS), MarketVectorEnv(3, **SETTINGS)
    for e in (envs, again):
        e.reset(seed=0)
        e.reset(seed=[5, None, 6])
    assert envs.episodes.numbers == [0, 1, 0]
    assert envs.episodes.seeds == [5, 1, 6]
    drawn = actions(rng, envs)
    assert (envs.step(drawn)[0] == again.step(drawn)[0]).all()


def test_a_refused_seed_changes_no_world(state_bytes):
    envs = MarketVectorEnv(3, **SETTINGS)
    envs.reset(seed=4)
    before = state_bytes(envs.episodes)
    with pytest.raises(ConfigError, match="seed: got -1, allowed are whole numbers from 0, None"):
        envs.reset(seed=[7, -1, 8])
    assert state_bytes(envs.episodes) == before
    envs.reset()


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@both_roles
def test_a_copy_made_during_an_episode_continues_identically(mode, role, copied, rng, same):
    envs = MarketVectorEnv(3, role, autoreset_mode=mode, **PLAYED[role][1])
    envs.reset(seed=0)
    for _ in range(4):
        envs.step(actions(rng, envs))
    twin = copied(envs)
    for _ in range(12):
        drawn = actions(rng, envs)
        assert same(envs.step(drawn), twin.step(drawn))


def arrays_of(result) -> list[np.ndarray]:
    if isinstance(result, dict):
        result = tuple(result.values())
    if isinstance(result, np.ndarray) and result.dtype == object:
        result = tuple(x for x in result if x is not None)
    if isinstance(result, tuple):
        return [array for part in result for array in arrays_of(part)]
    return [result] if isinstance(result, np.ndarray) else []


@both_roles
@pytest.mark.parametrize("mode", MODES)
def test_results_are_fresh_arrays(mode, role, rng):
    envs = MarketVectorEnv(2, role, autoreset_mode=mode, **SETTINGS | {"horizon_days": 2})
    kept = arrays_of(envs.reset(seed=0))
    for _ in range(2):
        kept += arrays_of(envs.step(actions(rng, envs)))
    kept += arrays_of(envs.reset(options={"reset_mask": np.array([True, True])}))
    kept += [envs._done] + [
        getattr(envs.episodes.batch.state, name) for name in envs.episodes.batch.state.ARRAYS
    ]
    for k, one in enumerate(kept):
        for other in kept[:k]:
            assert one is not other
            assert not np.shares_memory(one, other)


# --- types, wrappers, independence of worlds


def test_observations_and_rewards_have_gymnasiums_types(rng):
    envs = MarketVectorEnv(3, **SETTINGS)
    obs, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(obs)
    obs, reward, terminated, truncated, _ = envs.step(actions(rng, envs))
    assert envs.observation_space.contains(obs)
    assert [a.dtype for a in (reward, terminated, truncated)] == [np.float64, np.bool_, np.bool_]
    assert [a.shape for a in (reward, terminated, truncated)] == [(3,)] * 3


@pytest.mark.parametrize(
    "wrap",
    [
        gym.wrappers.vector.RecordEpisodeStatistics,
        gym.wrappers.vector.NormalizeObservation,
        gym.wrappers.vector.NormalizeReward,
        gym.wrappers.vector.ClipAction,
        gym.wrappers.vector.DictInfoToList,
    ],
    ids=["statistics", "normalise", "reward", "clip", "list"],
)
def test_vector_wrappers_of_gymnasium_work(wrap, rng):
    envs = wrap(MarketVectorEnv(3, **SETTINGS))
    envs.reset(seed=0)
    for _ in range(12):
        *_, infos = envs.step(actions(rng, envs))
        if "episode" in infos:
            assert infos["episode"]["l"].tolist() == [5, 5, 5]


def test_ruin_in_one_world_ends_no_other_episode():
    envs = MarketVectorEnv(3, n_subnets=1, wealth_tao=100_000.0, ruin_fraction=0.9999)
    envs.reset(seed=0)
    all_in, stay = target_action([0.0, 1.0]), target_action([1.0, 0.0])
    _, _, terminated, truncated, _ = envs.step(np.stack([stay, all_in, stay]))
    assert terminated.tolist() == [False, True, False]
    assert not truncated.any()


# --- errors


def test_a_bad_action_names_its_world(state_bytes, rng):
    envs = MarketVectorEnv(3, **SETTINGS)
    envs.reset(seed=0)
    envs.step(actions(rng, envs))
    before = state_bytes(envs.episodes)
    for value, shown in ((np.nan, "nan"), (1.5, "1.5"), (-np.inf, "-inf")):
        bad = np.zeros((3, 6))
        bad[2, 4] = value
        with pytest.raises(
            ValueError,
            match=f"action: got {shown} at world 2, entry 4, allowed are numbers from -1 to 1",
        ):
            envs.step(bad)
    for shape in ((3, 5), (2, 6), (6,), (3, 6, 1)):
        with pytest.raises(ValueError, match=r"action: got shape \(.*\), allowed is \(3, 6\)"):
            envs.step(np.zeros(shape))
    assert state_bytes(envs.episodes) == before


def test_the_action_that_next_step_ignores_may_be_anything():
    envs = MarketVectorEnv(1, n_subnets=4, horizon_days=1)
    envs.reset(seed=0)
    envs.step(np.zeros((1, 6)))
    envs.step(np.full((1, 6), np.nan))


@pytest.mark.parametrize(
    "mask",
    [
        [True, False],
        np.array([1, 0, 0]),
        np.array([False] * 3),
        np.array([True]),
        np.array([[True] * 3]),
    ],
)
def test_a_bad_mask_is_refused(mask, state_bytes):
    envs = MarketVectorEnv(3, **SETTINGS)
    envs.reset(seed=0)
    before = state_bytes(envs.episodes)
    with pytest.raises(
        ValueError, match=r"options\['reset_mask'\]: got .*allowed is bool of shape \(3,\)"
    ):
        envs.reset(options={"reset_mask": mask})
    assert state_bytes(envs.episodes) == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"autoreset_mode": "same"},
            "autoreset_mode: got 'same', allowed are NextStep, SameStep, Disabled",
        ),
        (
            {"render_mode": "human"},
            "render_mode: got 'human', allowed are 'ansi', 'rgb_array', None",
        ),
        (
            {"render_mode": "ansi", "render_worlds": 3},
            "render_worlds: got 3, allowed are 1 to 2, None",
        ),
        (
            {"render_mode": "ansi", "render_worlds": True},
            "render_worlds: got True, allowed are 1 to",
        ),
        ({"num_envs": 0}, "n_worlds: got 0, allowed is 1 or more"),
        ({"role": "x"}, "role: got 'x', allowed are staker, builder"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        MarketVectorEnv(**({"num_envs": 2, "n_subnets": 3} | wrong))


def test_the_number_of_seeds_must_equal_the_number_of_worlds():
    with pytest.raises(ValueError, match="seed: got 2 seeds, allowed are 3"):
        MarketVectorEnv(3, **SETTINGS).reset(seed=[1, 2])
