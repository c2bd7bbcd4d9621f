"""Many worlds as one environment: the same, bit for bit, as Gymnasium's own loop over single ones."""

import copy
import functools
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker.role import target_action
from dtao_gym.envs.vector import MarketVectorEnv
from dtao_gym.world.config import ConfigError

ID = "dtao_gym/Staker-v0"
N = 5
SETTINGS = {"n_subnets": 4, "horizon_days": 5}
RISKY = SETTINGS | {"wealth_tao": 60_000.0, "ruin_fraction": 0.95}
"""Episodes of five days, many of which end earlier in ruin."""
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}
DANGEROUS = SETTINGS | CROWDED | {"prune_lottery_sd": 2.0, "horizon_days": 9}
"""Episodes of nine days for a builder, many of which end earlier with its subnet."""
PLAYED = {"staker": (ID, RISKY), "builder": ("dtao_gym/Builder-v0", DANGEROUS)}
both_roles = pytest.mark.parametrize("role", PLAYED)
MODES = list(AutoresetMode)


def pair(
    mode: AutoresetMode, n: int = N, role: str = "staker", **overrides
) -> tuple[MarketVectorEnv, SyncVectorEnv]:
    name, risky = PLAYED[role]
    settings = risky | overrides
    ours = MarketVectorEnv(n, role, autoreset_mode=mode, **settings)
    # gym.make would wrap TimeLimit around, which calls a ruin on the last step a truncation as well
    one = functools.partial(gym.make, name)
    if "max_episode_steps" in settings:
        one = functools.partial(SingleEnv, role)
    theirs = SyncVectorEnv([lambda: one(**settings)] * n, autoreset_mode=mode)
    return ours, theirs


def actions(rng: np.random.Generator, envs: gym.vector.VectorEnv) -> np.ndarray:
    """Mostly small moves, now and then a ruinous one."""
    drawn = rng.uniform(-1, 1, envs.action_space.shape).astype(np.float32)
    drawn[:, -1] = np.where(rng.random(envs.num_envs) < 0.3, 1.0, -0.98)
    return drawn


# --- equal to a loop over single environments


@both_roles
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_equal_to_single_environments_over_ends_of_episodes(mode, threads, role, same, rng):
    n = 20 if threads > 1 else N  # small batches use one thread
    ours, theirs = pair(mode, n, role)
    ours.episodes.batch.threads = threads
    assert ours.metadata["autoreset_mode"] == mode
    assert same(ours.reset(seed=7), theirs.reset(seed=7))
    terminations = truncations = 0
    for _ in range(30):
        drawn = actions(rng, ours)
        mine, wanted = ours.step(drawn), theirs.step(drawn)
        for name, a, b in zip(
            ("obs", "reward", "terminated", "truncated"), mine, wanted, strict=False
        ):
            assert same(a, b), name
        assert mine[4].keys() == wanted[4].keys()
        for key in mine[4]:
            assert same(mine[4][key], wanted[4][key]), key
        ended = mine[2] | mine[3]
        terminations, truncations = terminations + mine[2].sum(), truncations + mine[3].sum()
        if mode == AutoresetMode.DISABLED and ended.any():
            seeds = [None if k % 2 else 100 + k for k in range(n)]
            again = [
                e.reset(seed=seeds, options={"reset_mask": ended.copy()}) for e in (ours, theirs)
            ]
            assert same(*again)
    assert terminations >= (n if role == "staker" else n // 3)
    assert truncations >= n


@both_roles
@pytest.mark.parametrize("mode", MODES)
def test_a_masked_reset_in_the_middle_equals_that_of_single_environments(mode, role, same, rng):
    ours, theirs = pair(mode, role=role)
    ours.reset(seed=1), theirs.reset(seed=1)
    for step in range(12):
        drawn = actions(rng, ours)
        mine = ours.step(drawn)
        assert same(mine, theirs.step(drawn))
        if step % 3 == 2 or mode == AutoresetMode.DISABLED:
            mask = rng.random(N) < 0.5
            if mode == AutoresetMode.DISABLED:
                mask |= mine[2] | mine[3]
            mask[step % N] = True
            assert same(*(e.reset(options={"reset_mask": mask.copy()}) for e in (ours, theirs)))


@pytest.mark.parametrize(
    "overrides",
    [
        {"days_per_step": 2},
        {"execution": "twap"},
        {"era": "launch"},
        {"selection": "sample"},
        {"max_episode_steps": 3},
        {"split": "evaluation"},
        {"role": "builder", "selection": "sample", "days_per_step": 2},
        {"role": "builder", "horizon": "geometric", "social_discount_per_year": 0.999},
        {"role": "builder", "pruning": False, "payment": "fee", "twin_world": True},
        {"role": "builder", "payment": "fee", "reward_noise": True, "influence": True},
        {"role": "builder", "payment": "fee", "finance": False, "terminal_value": True},
        {"role": "builder", "builder_decides": "composition", "max_episode_steps": 3},
    ],
)
def test_equal_to_single_environments_whatever_the_settings(overrides, same, rng):
    ours, theirs = pair(AutoresetMode.NEXT_STEP, **overrides)
    assert same(ours.reset(seed=[3, 0, 9, 9, 1]), theirs.reset(seed=[3, 0, 9, 9, 1]))
    for _ in range(14):
        drawn = actions(rng, ours)
        assert same(ours.step(drawn), theirs.step(drawn))
    assert same(ours.reset(), theirs.reset())


@both_roles
def test_batch_size_and_place_do_not_matter(same, rng, role):
    many = MarketVectorEnv(40, role, **SETTINGS, threads=2)
    one = MarketVectorEnv(1, role, **SETTINGS)
    assert same(many.reset(seed=list(range(40)))[0][33:34], one.reset(seed=33)[0])
    for _ in range(8):
        drawn = actions(rng, many)
        assert same(
            [part[33:34] for part in many.step(drawn)[:4]], list(one.step(drawn[33:34])[:4])
        )


# --- the three ways to go on


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


def test_same_step_gives_the_last_observation_and_the_next_first_one(rng, same):
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


def test_worlds_of_one_seed_are_numbered_on():
    envs, single = MarketVectorEnv(3, **SETTINGS), gym.make(ID, **SETTINGS)
    obs = envs.reset(seed=20)[0]
    obs = envs.step(np.zeros((3, 6)))[0]
    for k in range(3):
        single.reset(seed=20 + k)
        assert (single.step(np.zeros(6, np.float32))[0] == obs[k]).all()


def test_seed_of_a_world_may_be_left_open(rng):
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
    with pytest.raises(ConfigError, match="seed: got -1, allowed are whole numbers from 0 to"):
        envs.reset(seed=[7, -1, 8])
    assert state_bytes(envs.episodes) == before
    envs.reset()


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@both_roles
def test_a_copy_made_in_an_episode_goes_on_identically(mode, role, copied, rng, same):
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


def test_worlds_that_left_are_not_needed_for_ends(rng):
    """Ruin in one world ends nothing in another."""
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
    for value, said in ((np.nan, "nan"), (1.5, "1.5"), (-np.inf, "-inf")):
        bad = np.zeros((3, 6))
        bad[2, 4] = value
        with pytest.raises(
            ValueError,
            match=f"action: got {said} at world 2, entry 4, allowed are numbers from -1 to 1",
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
        ({"render_mode": "ansi"}, "render_mode: got 'ansi', allowed is None"),
        ({"num_envs": 0}, "n_worlds: got 0, allowed is 1 or more"),
        ({"role": "x"}, "role: got 'x', allowed are staker, builder"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        MarketVectorEnv(**({"num_envs": 2, "n_subnets": 3} | wrong))


def test_seeds_must_be_as_many_as_worlds():
    with pytest.raises(ValueError, match="seed: got 2 seeds, allowed are 3"):
        MarketVectorEnv(3, **SETTINGS).reset(seed=[1, 2])
