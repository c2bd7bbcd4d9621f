"""The policy for Stable-Baselines3: any number of subnets, any order of them, nothing of our training settings."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from dtao_agents.evaluation.policy_files import Card, PolicyError, load_policy, save_policy
from dtao_agents.roles.staker import STAKER
from dtao_agents.training.architecture import Architecture
from dtao_agents.training.sb3_policy import SubnetPolicy, architecture_of
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env

from dtao_gym.envs.builder.observation import observation_size as builder_size
from dtao_gym.envs.sb3 import MarketVecEnv
from dtao_gym.envs.staker.observation import observation_size as staker_size

NUMBERS = (8, 16, 64, 128)
WORLD = {"spans_per_day": 1, "horizon_days": 40}


def box(size):
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


def staker(n, **options):
    """An untrained policy of a staker."""
    return SubnetPolicy(box(staker_size(n)), box(n + 2), lambda _: 1e-3, **options)


def randomised(policy, seed=0):
    """The policy with weights as large as trained ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            scale = 1.5 / max(parameter.shape[-1], 1) ** 0.5
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return policy


def seen(n, steps=5):
    """Observations `(3 (steps + 1), 12 n + 7)` of three worlds under random actions."""
    env = MarketVecEnv(3, n_subnets=n, **WORLD)
    env.seed(n)
    rng = np.random.default_rng(n)
    found = [env.reset()]
    for _ in range(steps):
        env.step_async(rng.uniform(-1.0, 1.0, (3, n + 2)).astype(np.float32))
        found.append(env.step_wait()[0])
    return torch.tensor(np.concatenate(found))


def outputs(policy, observation):
    """Mean actions, standard deviations and values."""
    with torch.no_grad():
        normal = policy.get_distribution(observation).distribution
        return normal.mean, normal.stddev, policy.predict_values(observation)


@pytest.mark.parametrize("n", NUMBERS)
@pytest.mark.parametrize("source", ["drawn", "environment"])
def test_relabelling_subnets_relabels_actions(n, source):
    """Within 1e-5; root, speed and the value stay. One set of weights, that of 8 subnets, for all numbers."""
    policy = randomised(staker(8)).for_subnets(n)
    generator = torch.Generator().manual_seed(n)
    local, common = len(STAKER.subnet_features), len(STAKER.global_features)
    if source == "environment":
        observation = seen(n)
    else:
        observation = 2.0 * torch.rand(18, n * local + common, generator=generator) - 1.0
    order = torch.randperm(n, generator=generator)
    subnets = observation[:, :-common].reshape(-1, n, local)[:, order].flatten(1)
    moved = torch.cat([subnets, observation[:, -common:]], 1)
    (mean, spread, value), (mean_moved, spread_moved, value_moved) = (
        outputs(policy, observation),
        outputs(policy, moved),
    )
    near = {"atol": 1e-5, "rtol": 0.0}
    assert mean.shape == (18, n + 2)
    assert mean[:, 1:-1].std(1).min() > 0.01  # there is something to permute
    torch.testing.assert_close(mean_moved[:, 1:-1], mean[:, 1:-1][:, order], **near)
    torch.testing.assert_close(mean_moved[:, [0, -1]], mean[:, [0, -1]], **near)
    torch.testing.assert_close(value_moved, value, **near)
    torch.testing.assert_close(spread_moved, spread, atol=0.0, rtol=0.0)
    assert len(spread[0].unique()) == 3  # root, subnets, speed


@pytest.mark.parametrize("n", NUMBERS)
def test_the_same_weights_load_for_any_number_of_subnets(n):
    trained = randomised(staker(8))
    other = staker(n)
    other.load_state_dict(trained.state_dict())
    wider = trained.for_subnets(n)
    assert wider.observation_space == box(staker_size(n))
    assert wider.action_space == box(n + 2)
    for policy in (other, wider):
        for name, weight in policy.state_dict().items():
            assert torch.equal(weight, trained.state_dict()[name]), name
    observation = seen(n, steps=1).numpy()
    actions, _ = wider.predict(observation, deterministic=True)
    assert actions.shape == (6, n + 2)
    np.testing.assert_array_equal(other.predict(observation, deterministic=True)[0], actions)


def test_policies_of_other_numbers_share_no_memory():
    trained = staker(8)
    wider = randomised(trained.for_subnets(16))
    assert not torch.equal(wider.log_std, trained.log_std)


def test_weights_of_a_plain_network_fit_one_number_of_subnets():
    with pytest.raises(PolicyError, match=r"n_subnets: got 16, allowed is 8: .* 'mlp'"):
        staker(8, network="mlp").for_subnets(16)
    assert staker(8, network="mlp").log_std.shape == (10,)


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_it_learns_at_8_subnets_and_acts_at_16(algorithm):
    env = make_vec_env("dtao_gym/Staker-v0", 4, seed=0, env_kwargs={"n_subnets": 8} | WORLD)
    options = {"n_steps": 32, "seed": 0, "device": "cpu"}
    if algorithm is PPO:
        options["batch_size"] = 64
    model = algorithm(SubnetPolicy, env, **options)
    before = {name: weight.clone() for name, weight in model.policy.state_dict().items()}
    model.learn(384)
    learned = model.policy.state_dict()
    assert all(torch.isfinite(weight).all() for weight in learned.values())
    unchanged = [name for name, weight in learned.items() if torch.equal(weight, before[name])]
    assert unchanged == []

    wider = model.policy.for_subnets(16)
    world = gym.make("dtao_gym/Staker-v0", n_subnets=16, **WORLD)
    observation, _ = world.reset(seed=1)
    for _ in range(5):
        action, _ = wider.predict(observation, deterministic=True)
        assert world.action_space.contains(action)
        observation, reward, *_ = world.step(action)
        assert np.isfinite(reward)


def test_a_learned_policy_goes_through_a_file_to_other_subnets(tmp_path):
    policy = randomised(staker(8))
    save_policy(tmp_path, policy.actor, Card(policy.architecture, "", 0))
    observation = seen(64)
    expected, _ = policy.for_subnets(64).predict(observation.numpy(), deterministic=True)
    np.testing.assert_array_equal(
        load_policy(tmp_path, n_subnets=64).act(observation.numpy()), expected
    )


def test_it_survives_the_files_of_stable_baselines(tmp_path):
    env = MarketVecEnv(2, n_subnets=8, **WORLD)
    kwargs = {"hidden": 8, "speed_init": 0.3}
    model = PPO(SubnetPolicy, env, n_steps=8, batch_size=16, policy_kwargs=kwargs, device="cpu")
    model.learn(16)
    model.save(tmp_path / "model")
    model.policy.save(tmp_path / "policy")
    observation = env.reset()
    expected, _ = model.predict(observation, deterministic=True)
    for loaded in (PPO.load(tmp_path / "model"), SubnetPolicy.load(tmp_path / "policy")):
        np.testing.assert_array_equal(loaded.predict(observation, deterministic=True)[0], expected)
    model = PPO.load(tmp_path / "model", env)
    assert model.policy.architecture == Architecture("shared", 8, 8)


@pytest.mark.parametrize("network", ["shared", "mlp"])
def test_the_untrained_staker_moves_slowly_towards_nearly_equal_weights(network):
    torch.manual_seed(0)
    actions, _ = staker(8, network=network, speed_init=0.2).predict(
        seen(8).numpy(), deterministic=True
    )
    np.testing.assert_allclose(0.5 * (actions[:, -1] + 1.0), 0.2, atol=0.03)
    np.testing.assert_allclose(actions[:, :-1], 0.0, atol=0.05)


@pytest.mark.parametrize("twin", [False, True])
def test_builders_learn_with_plain_ppo(twin):
    """The critic learns by gradient descent, and sees the lead over the twin; the actor does not."""
    world = {
        "n_subnets": 4,
        "days_per_step": 7,
        "horizon_days": 140,
        "twin_world": twin,
        "pruning": not twin,
    }
    env = MarketVecEnv(2, "builder", spans_per_day=1, **world)
    kwargs = {"twin": twin, "action_init": [0.1, -0.2, 0.3, 0.0]}
    model = PPO(
        SubnetPolicy, env, n_steps=16, batch_size=32, policy_kwargs=kwargs, seed=0, device="cpu"
    )
    policy = model.policy
    assert policy.architecture.role == "builder"
    assert policy.architecture.n_subnets == 4
    observation = env.reset()
    actions, _ = model.predict(observation, deterministic=True)
    np.testing.assert_allclose(actions, np.tile(kwargs["action_init"], (2, 1)), atol=0.05)
    before = [weight.clone() for weight in policy.mlp_extractor.critic.parameters()]
    model.learn(64)
    assert not any(map(torch.equal, policy.mlp_extractor.critic.parameters(), before))
    assert policy.for_subnets(9).observation_space.shape == (builder_size(9) + 6 * twin,)
    if twin:
        changed = torch.tensor(observation)
        changed[:, -6:] += 0.5
        (mean, _, value), (mean_changed, _, value_changed) = (
            outputs(policy, torch.tensor(observation)),
            outputs(policy, changed),
        )
        assert torch.equal(mean, mean_changed)
        assert not torch.equal(value, value_changed)


def test_role_and_subnets_follow_from_the_spaces():
    for n in (1, 2, 8, 128):
        assert architecture_of(box(staker_size(n)), box(n + 2)) == Architecture("shared", n, 16)
        for n_actions in (1, 2, 4):
            made = architecture_of(box(builder_size(n)), box(n_actions), "mlp", 8)
            assert made == Architecture("mlp", n, 8, "builder", n_actions)
            made = architecture_of(box(builder_size(n) + 6), box(n_actions), twin=True)
            assert (made.n_subnets, made.n_extra) == (n, 6)


@pytest.mark.parametrize(
    "pair",
    [
        (box(102), box(9)),
        (box(101), box(10)),
        (box(10), box(102)),
        (box(6), box(2)),
        (box(26), box(1)),
        (box(50), box(3)),
        (spaces.Box(-1.0, 1.0, (2, 51), np.float32), box(10)),
        (box(102), spaces.Box(-2.0, 2.0, (10,), np.float32)),
        (box(102), spaces.Discrete(10)),
        (spaces.Discrete(102), box(10)),
        (spaces.Dict({"a": box(102)}), box(10)),
    ],
)
def test_other_spaces_are_refused(pair):
    with pytest.raises(ValueError, match=r"observation_space, action_space: got .*Staker-v0"):
        SubnetPolicy(*pair, lambda _: 1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "cnn"}, "network: got 'cnn', allowed is one of"),
        ({"hidden": 0}, "hidden: got 0"),
        ({"speed_init": 1.5}, "speed_init: got 1.5, allowed are 0 to 1"),
        ({"use_sde": True}, "use_sde: got True, allowed is False"),
        ({"linear_critic": True}, "linear_critic: got True, allowed is False for a staker"),
        ({"action_init": [0.0] * 10}, "action_init: got .*allowed is one number for each"),
        ({"twin": True}, "observation_space, action_space: got"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        staker(8, **options)


def test_optimizers_take_their_own_settings():
    kwargs = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {"momentum": 0.5}}
    made = staker(8, **kwargs).optimizer
    assert isinstance(made, torch.optim.SGD)
    assert (made.param_groups[0]["momentum"], made.param_groups[0]["lr"]) == (0.5, 1e-3)
