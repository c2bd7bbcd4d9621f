"""The vector environment equals Gymnasium's own loop over single environments, bit for bit."""

import functools

import gymnasium as gym
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.vector import MarketVectorEnv
from tests.envs.vector_worlds import MODES, PLAYED, SETTINGS, actions, both_roles

N = 5


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
def test_equal_to_single_environments_under_other_settings(overrides, same, rng):
    ours, theirs = pair(AutoresetMode.NEXT_STEP, **overrides)
    assert same(ours.reset(seed=[3, 0, 9, 9, 1]), theirs.reset(seed=[3, 0, 9, 9, 1]))
    for _ in range(14):
        drawn = actions(rng, ours)
        assert same(ours.step(drawn), theirs.step(drawn))
    assert same(ours.reset(), theirs.reset())


@both_roles
def test_batch_size_and_position_do_not_matter(same, rng, role):
    many = MarketVectorEnv(40, role, **SETTINGS, threads=2)
    one = MarketVectorEnv(1, role, **SETTINGS)
    assert same(many.reset(seed=list(range(40)))[0][33:34], one.reset(seed=33)[0])
    for _ in range(8):
        drawn = actions(rng, many)
        assert same(
            [part[33:34] for part in many.step(drawn)[:4]], list(one.step(drawn[33:34])[:4])
        )
