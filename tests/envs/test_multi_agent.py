"""Many learners in one world: equal to the single environment, ordered by nobody, and balanced."""

import gymnasium as gym
import numpy as np
import pytest

from dtao_gym.envs.builder.observation import observation_size as builder_size
from dtao_gym.envs.builder.rivals import Rivals
from dtao_gym.envs.multi_agent import MultiAgentWorlds, multi_agent_config
from dtao_gym.world.config import ConfigError

SETTINGS = {"n_subnets": 4, "horizon_days": 6}
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}


def start(stakers=1, builders=(), n_worlds=1, seed=3, **settings) -> MultiAgentWorlds:
    """Worlds that have been reset to seeds from `seed` on."""
    respawn = settings.pop("respawn", False)
    members = {"staker": stakers, "builder": builders}
    config = multi_agent_config(None, SETTINGS | settings, members)
    worlds = MultiAgentWorlds(config, n_worlds, members, respawn=respawn)
    worlds.start(range(seed, seed + n_worlds))
    return worlds


def drawn(worlds: MultiAgentWorlds, rng: np.random.Generator) -> dict:
    found = {}
    for name, role in worlds.roles.items():
        shape = (worlds.rows(name), *role.action_space.shape)
        found[name] = rng.uniform(-1, 1, shape).astype(np.float32)
    return found


@pytest.mark.parametrize(
    ("name", "members", "settings"),
    [
        ("Staker", {"stakers": 1}, {}),
        ("Staker", {"stakers": 1}, {"wealth_tao": 60_000.0, "ruin_fraction": 0.95}),
        ("Staker", {"stakers": 1}, {"days_per_step": 3}),
        ("Builder", {"stakers": 0, "builders": [2]}, {"builder_slot": 2}),
        (
            "Builder",
            {"stakers": 0, "builders": [1]},
            {"builder_slot": 1, "days_per_step": 2, **CROWDED},
        ),
        (
            "Builder",
            {"stakers": 0, "builders": [0]},
            {"horizon": "geometric", "horizon_cap_days": 9},
        ),
    ],
)
def test_alone_it_equals_the_single_environment(name, members, settings, rng, same):
    env = gym.make(f"dtao_gym/{name}-v0", **SETTINGS | settings)
    worlds = start(seed=5, **members, **settings)
    role = name.lower()
    seen, _ = env.reset(seed=5)
    assert same(worlds.observe()[role][0], seen)
    for _ in range(12):
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        seen, reward, terminated, truncated, _ = env.step(action)
        found = worlds.step({role: action[None]})[role]
        assert same(worlds.observe()[role][0], seen)
        assert [x[0] for x in found] == [reward, terminated, truncated]
        if terminated or truncated:
            break
    assert terminated or truncated


def test_builders_equal_one_builder_whose_rivals_follow_the_same_policy(rng, same):
    directions = rng.normal(size=(builder_size(4), 4))

    def policy(observation, batch, rngs):
        return np.tanh(observation @ directions).astype(np.float32)

    env = gym.make("dtao_gym/Builder-v0", builder_slot=1, **SETTINGS)
    env.unwrapped.episodes.rivals = Rivals(policy)
    worlds = start(0, "all")
    seen, _ = env.reset(seed=3)
    for _ in range(5):
        mine = worlds.observe()["builder"]
        assert same(mine[1], seen)
        found = worlds.step({"builder": policy(mine, None, None)})["builder"]
        seen, reward, *_ = env.step(policy(seen[None], None, None)[0])
        assert found.reward[1] == reward


def test_stakers_alike_are_paid_alike_and_the_sum_is_theirs():
    worlds = start(3, n_worlds=2)
    before = worlds.batch.state.stakers["wealth"].copy()
    total = 0.0
    for _ in range(4):
        action = np.zeros((6, 6), np.float32)
        action[:, -1] = -0.9
        total = total + worlds.step({"staker": action})["staker"].reward
    grown = np.log(worlds.batch.state.stakers["wealth"] / before)
    np.testing.assert_allclose(total, grown.ravel(), rtol=1e-9, atol=1e-15)
    assert np.ptp(grown[0]) < 1e-4  # who trades first changes by the day


def test_worlds_are_those_of_a_batch_of_one(rng, same):
    many, lone = start(2, [0, 3], n_worlds=3), start(2, [0, 3], seed=5)
    for _ in range(5):
        actions = drawn(many, rng)
        found = many.step(actions)
        own = {name: rows[-2:] for name, rows in actions.items()}
        for name, outcome in lone.step(own).items():
            assert same(outcome, type(outcome)(*(rows[-2:] for rows in found[name])))
    for name, seen in lone.observe().items():
        assert same(seen, many.observe()[name][-2:])


def test_whoever_is_out_orders_and_decides_no_more(rng):
    worlds = start(2, [0, 1, 2, 3], seed=1, horizon_days=400, **CROWDED)
    twin = start(2, [0, 1, 2, 3], seed=1, horizon_days=400, **CROWDED)
    for _ in range(60):
        actions = drawn(worlds, rng)
        worlds.step(actions)
        for name, rows in actions.items():  # in the twin those who are out act otherwise
            rows[~worlds.playing[name]] *= -0.5
        if not worlds.playing["builder"].all():
            break
        twin.step(actions)
    else:
        raise AssertionError("nobody was dissolved")
    twin.step(actions)
    out = np.flatnonzero(~worlds.playing["builder"])
    for _ in range(10):
        actions = drawn(worlds, rng)
        found = worlds.step(actions)["builder"]
        assert not found.reward[out].any()
        assert not found.terminated[out].any()
        research = worlds.batch.state.row("research_share")[0, out]
        np.testing.assert_array_equal(research, worlds.config.research_share)


def test_successors_are_paid_for_their_own_consumption_and_predecessors_for_theirs(rng):
    crowded = CROWDED | {"immunity_days": 3.0}  # so that nobody comes and goes on one day
    worlds = start(0, "all", n_worlds=4, horizon_days=300, respawn=True, **crowded)
    paid, dones = np.zeros(16), 0
    for _ in range(300):
        outcomes = worlds.step(drawn(worlds, rng))
        paid += outcomes["builder"].reward
        dones += int(outcomes["builder"].terminated.sum())
        consumed = worlds.batch.state.row("consumed").ravel().copy()
        if worlds.episode_ends()[1].all():
            break
        worlds.autoreset(outcomes)
    assert dones == worlds.batch.state.worlds["dissolutions"].sum() > 10
    scale = worlds.config.consumption_scale_tao
    np.testing.assert_allclose(paid * scale, consumed, rtol=1e-9)


def test_ruined_stakers_have_successors_and_nothing_is_made_or_lost(rng):
    worlds = start(
        3, n_worlds=4, wealth_tao=60_000.0, ruin_fraction=0.97, respawn=True, horizon_days=99
    )
    ruined = 0
    for _ in range(60):
        outcomes = worlds.step(drawn(worlds, rng))
        ruined += int(outcomes["staker"].terminated.sum())
        worlds.autoreset(outcomes)
        assert worlds.batch.audit().ok
        assert not worlds.batch.state.stakers["ruined"].any()
    assert ruined > 0


def test_at_the_end_worlds_start_again_with_respawn(rng):
    worlds = start(1, [0], n_worlds=2, respawn=True, horizon_days=3)
    for step in range(7):
        outcomes = worlds.step(drawn(worlds, rng))
        ended = (step + 1) % 3 == 0
        for found in outcomes.values():
            assert found.truncated.all() == ended
            assert not found.terminated.any()
        worlds.autoreset(outcomes)
    assert worlds.numbers == [2, 2]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"staker": np.zeros((2, 6))}, "allowed are those of staker, builder"),
        (
            {"staker": np.zeros((2, 5)), "builder": np.zeros((1, 4))},
            "got shape (2, 5), allowed is (2, 6)",
        ),
        ({"staker": np.zeros((2, 6)), "builder": np.full((1, 4), np.nan)}, "builder_3, entry 0"),
        ({"staker": np.full((2, 6), 1.5), "builder": np.zeros((1, 4))}, "staker_0, entry 0"),
    ],
)
def test_bad_actions_change_nothing(actions, message):
    worlds = start(2, [3])
    before = [getattr(worlds.batch.state, name).tobytes() for name in worlds.batch.state.ARRAYS]
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        worlds.step(actions)
    after = [getattr(worlds.batch.state, name).tobytes() for name in worlds.batch.state.ARRAYS]
    assert before == after
    assert worlds.steps[0] == 0


@pytest.mark.parametrize(
    ("stakers", "builders", "message"),
    [
        (0, (), "got none of either"),
        (0, [4], r"builders: got 4, allowed are 0 to 3"),
        (0, [1, 1], "each slot once"),
        (0, "some", "allowed are slots, 'all'"),
        (65, (), "stakers: got 65"),
    ],
)
def test_bad_members_are_refused(stakers, builders, message):
    with pytest.raises(ConfigError, match=message):
        start(stakers, builders)


def test_configurations_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="n_stakers: got 3, allowed is 1"):
        start(1, n_stakers=3)
    with pytest.raises(ConfigError, match="twin_world"):
        start(0, [0], twin_world=True)
