"""Stable-Baselines3's VecEnv: equal to its own loop over single environments, and usable by its tools."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from dtao_gym.envs.sb3 import MarketVecEnv
from dtao_gym.envs.staker.role import target_action

ID = "dtao_gym/Staker-v0"
N = 5
SETTINGS = {"n_subnets": 4, "horizon_days": 5}
RISKY = SETTINGS | {"wealth_tao": 60_000.0, "ruin_fraction": 0.95}
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}
DANGEROUS = SETTINGS | CROWDED | {"role": "builder", "prune_lottery_sd": 2.0, "horizon_days": 9}


class Constant:
    """A policy that always does the same."""

    def __init__(self, action: np.ndarray):
        self.action = action

    def predict(self, observation, **_):
        return np.tile(self.action, (len(observation), 1)), None


def actions(rng: np.random.Generator, n: int = N, size: int = 6) -> np.ndarray:
    drawn = rng.uniform(-1, 1, (n, size)).astype(np.float32)
    drawn[:, -1] = np.where(rng.random(n) < 0.3, 1.0, -0.98)
    return drawn


@pytest.mark.parametrize("era", ["price_burn", "root_reborn"])
@pytest.mark.parametrize("name", [ID, "dtao_gym/Builder-v0"])
def test_checker_has_nothing_to_say(name, era):
    check_env(gym.make(name, n_subnets=3, era=era).unwrapped, warn=True)


@pytest.mark.parametrize(
    "settings",
    [
        RISKY,
        RISKY | {"days_per_step": 2},
        RISKY | {"execution": "twap"},
        RISKY | {"max_episode_steps": 3},
        DANGEROUS,
        DANGEROUS | {"selection": "sample", "days_per_step": 2},
    ],
)
def test_equal_to_a_loop_over_single_environments(settings, same, rng):
    ours = MarketVecEnv(N, **settings)
    role = settings.get("role", "staker")
    name = {"staker": ID, "builder": "dtao_gym/Builder-v0"}[role]
    told = {"staker": "wealth", "builder": "consumed"}[role]
    theirs = DummyVecEnv([lambda: gym.make(name, **settings)] * N)
    ours.seed(7), theirs.seed(7)
    assert same(ours.reset(), theirs.reset())
    ended = {True: 0, False: 0}
    for _ in range(25 if role == "staker" else 40):
        drawn = actions(rng, size=ours.action_space.shape[0])
        obs, reward, done, infos = ours.step(drawn)
        wanted = theirs.step(drawn)
        assert same((obs, reward, done), wanted[:3])
        for mine, other in zip(infos, wanted[3], strict=True):
            assert mine.get("TimeLimit.truncated", False) == other["TimeLimit.truncated"]
            assert same(mine.get("terminal_observation"), other.get("terminal_observation"))
            if "terminal_observation" in mine:
                ended[mine["TimeLimit.truncated"]] += 1
                assert mine["episode"][told] == other[told]
    assert min(ended.values()) >= 3


def test_an_end_tells_return_length_and_wealth(rng):
    with pytest.warns(UserWarning, match="already wrapped"):  # it does what a monitor does
        envs = VecMonitor(MarketVecEnv(2, **SETTINGS))
    single = MarketVecEnv(2, **SETTINGS)
    single.seed(3), envs.seed(3)
    single.reset(), envs.reset()
    total = np.zeros(2)
    for _ in range(5):
        drawn = actions(rng, 2)
        _, reward, _, infos = single.step(drawn)
        theirs = envs.step(drawn)[3]
        total += reward
    for k in range(2):
        episode = infos[k]["episode"]
        assert episode["l"] == theirs[k]["episode"]["l"] == 5
        assert episode["r"] == pytest.approx(total[k], abs=1e-6)
        assert episode["r"] == pytest.approx(theirs[k]["episode"]["r"], abs=1e-6)
        assert episode["r"] == pytest.approx(np.log(episode["wealth"] / 1000.0), abs=1e-12)


def test_without_seeds_environments_differ_and_a_configured_seed_is_used(same):
    def first(envs) -> np.ndarray:
        envs.reset()
        return envs.step(np.zeros((2, 6), np.float32))[0]

    made = [MarketVecEnv(2, **SETTINGS) for _ in range(2)]
    made += [DummyVecEnv([lambda: gym.make(ID, **SETTINGS)] * 2) for _ in range(2)]
    rows = [row.tobytes() for envs in made for row in first(envs)]
    assert len(set(rows)) == 8
    configured = [MarketVecEnv(2, world_seed=7, **SETTINGS) for _ in range(2)]
    configured[1].seed(7)
    assert same(*map(first, configured))


def test_large_seeds_are_folded(same):
    ours, theirs = MarketVecEnv(2, **SETTINGS), DummyVecEnv([lambda: gym.make(ID, **SETTINGS)] * 2)
    for envs in (ours, theirs):
        envs.seed(2**64)
    assert same(ours.reset(), theirs.reset())


def test_seed_counts_for_one_reset():
    envs = MarketVecEnv(3, **SETTINGS)
    assert list(envs.seed(10)) == [10, 11, 12]
    nothing = np.zeros((3, 6))

    def first() -> np.ndarray:
        envs.reset()
        return envs.step(nothing)[0]

    one, two = first(), first()
    envs.seed(10)
    assert (first() == one).all()
    assert (first() == two).all()
    assert (one != two).any(axis=1).all()
    envs.seed(0)
    zero = first()
    assert (zero != one).any()
    envs.seed(0)
    assert (first() == zero).all()


def test_attributes_and_methods_by_world():
    envs = MarketVecEnv(3, **SETTINGS)
    envs.seed(0)
    envs.reset()
    assert envs.get_attr("config") == [envs.episodes.config] * 3
    assert envs.get_attr("n_worlds", indices=[0, 2]) == [3, 3]
    assert envs.get_attr("render_mode", indices=1) == [None]
    envs.step(np.zeros((3, 6)))
    assert envs.env_method("reset", 5, indices=[1]) == [None]
    assert envs.episodes.batch.state.worlds["day"].tolist() == [1, 0, 1]
    assert envs.episodes.seeds == [0, 5, 2]
    with pytest.raises(AttributeError):
        envs.env_method("no_such_method")
    with pytest.raises(NotImplementedError, match="set_parameters"):
        envs.set_attr("x", 1)
    assert envs.get_images() == [None] * 3


def test_unknown_attributes_are_unknown():
    envs = MarketVecEnv(2, **SETTINGS)
    assert not envs.has_attr("action_masks")
    with pytest.raises(AttributeError):
        envs.get_attr("no_such_attribute")


def test_methods_without_a_world_can_be_called():
    envs = MarketVecEnv(2, **SETTINGS)
    envs.reset()
    assert len(envs.env_method("observe")) == 2


def test_evaluation_needs_no_monitor():
    mean, _ = evaluate_policy(Constant(target_action(np.eye(5)[0])), MarketVecEnv(3, **SETTINGS), 6)
    assert mean > 0


def test_evaluation_with_a_monitor():
    envs = MarketVecEnv(3, world_seed=0, **SETTINGS)
    rewards, lengths = evaluate_policy(
        Constant(target_action(np.eye(5)[0])), envs, 6, return_episode_rewards=True
    )
    assert lengths == [5] * 6
    one = Monitor(gym.make(ID, world_seed=0, **SETTINGS))
    wanted, _ = evaluate_policy(
        Constant(target_action(np.eye(5)[0])), one, 1, return_episode_rewards=True
    )
    assert rewards[0] == pytest.approx(wanted[0], abs=1e-6)


def test_normalisation_wraps_it(rng):
    envs = VecNormalize(MarketVecEnv(3, **SETTINGS))
    envs.reset()
    for _ in range(12):
        obs, reward, _, _ = envs.step(actions(rng, 3))
        assert np.isfinite(obs).all()
        assert np.isfinite(reward).all()


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
def test_a_copy_made_in_an_episode_goes_on_identically(copied, rng, same):
    envs = MarketVecEnv(3, **RISKY)
    envs.seed(1)
    envs.reset()
    for _ in range(4):
        envs.step(actions(rng, 3))
    twin = copied(envs)
    for _ in range(12):
        drawn = actions(rng, 3)
        assert same(list(envs.step(drawn)), list(twin.step(drawn)))


def test_results_are_fresh_arrays(rng):
    envs = MarketVecEnv(2, **SETTINGS | {"horizon_days": 2})
    kept = [envs.reset()]
    for _ in range(5):
        obs, reward, done, infos = envs.step(actions(rng, 2))
        kept += [
            obs,
            reward,
            done,
            *(info.get("terminal_observation", np.empty(0)) for info in infos),
        ]
    for k, one in enumerate(kept):
        for other in kept[:k]:
            assert not np.shares_memory(one, other)


def test_a_bad_action_names_its_world(state_bytes):
    envs = MarketVecEnv(3, **SETTINGS)
    envs.reset()
    before = state_bytes(envs.episodes)
    bad = np.zeros((3, 6))
    bad[1, 2] = np.nan
    with pytest.raises(ValueError, match="action: got nan at world 1, entry 2"):
        envs.step(bad)
    with pytest.raises(ValueError, match=r"got shape \(3, 5\), allowed is \(3, 6\)"):
        envs.step(np.zeros((3, 5)))
    assert state_bytes(envs.episodes) == before


@pytest.mark.slow
def test_an_algorithm_learns_with_it():
    from stable_baselines3 import PPO

    envs = MarketVecEnv(4, **SETTINGS)
    model = PPO("MlpPolicy", envs, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")
    model.learn(64)
    assert model.num_timesteps == 64
    assert model.ep_info_buffer is not None
    assert {info["l"] for info in model.ep_info_buffer} == {5}
