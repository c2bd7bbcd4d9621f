"""The linear critic: what it solves for is the value; and with it the fee arm is learned."""

from pathlib import Path

import numpy as np
import pytest
import torch
from dtao_agents.evaluation.evaluate import evaluate
from dtao_agents.training.linear_critic import LinearCritic
from dtao_agents.training.ppo import train
from dtao_agents.training.settings import TrainConfig, read

REPOSITORY = Path(__file__).resolve().parents[3]
GAMMA = 0.95


def rollout(steps: int, worlds: int, noise: float, ends: float = 0.0, seed: int = 0):
    """Two stocks that decay and are filled at random, pay in proportion, and the true value of one unit of each."""
    rng = np.random.default_rng(seed)
    kept, pay = np.array([0.5, 0.98]), np.array([1.0, 0.2])
    stocks, rewards, ended = [rng.random((worlds, 2)) - 0.5], [], []
    for _ in range(steps):
        after = kept * stocks[-1] + rng.random((worlds, 2)) - 0.5
        rewards.append(after @ pay + noise * rng.standard_normal(worlds))
        ended.append(rng.random(worlds) < ends)
        stocks.append(np.where(ended[-1][:, None], rng.random((worlds, 2)) - 0.5, after))
    observations = np.concatenate([np.ones((steps + 1, worlds, 1)), np.stack(stocks)], -1)
    arrays = observations, np.stack(rewards), ~np.stack(ended)
    left = GAMMA * (1.0 - ends)  # after an end nothing comes
    return [torch.tensor(x) for x in arrays], pay * kept / (1.0 - left * kept)


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("ends", [0.0, 0.05])
def test_weights_are_the_worth_of_stocks(decay, ends):
    (observations, rewards, going_on), worth = rollout(200, 4000, 0.5, ends)
    critic = LinearCritic([1, 2])
    critic.learn(observations, rewards, going_on, torch.zeros_like(going_on), GAMMA, decay)
    np.testing.assert_allclose(critic.weight[:2], worth, rtol=0.05)
    values = critic(observations[0].float())
    assert values.shape == (4000, 1)


def test_a_cut_is_not_the_end_of_value():
    """Truncations are left out; taken for ends, they would make stocks look cheap."""
    (observations, rewards, going_on), _ = rollout(200, 4000, 0.0, ends=0.2)
    worth = rollout(1, 1, 0.0)[1]
    critic = LinearCritic([1, 2])
    critic.learn(observations, rewards, going_on, ~going_on, GAMMA, 0.9)
    np.testing.assert_allclose(critic.weight[:2], worth, rtol=0.05)
    critic.learn(observations, rewards, going_on, torch.zeros_like(going_on), GAMMA, 0.9)
    assert (critic.weight[:2].numpy() < 0.95 * worth).all()


def test_features_that_say_nothing_break_nothing():
    (observations, rewards, going_on), worth = rollout(200, 4000, 0.0)
    extra = torch.cat([observations, observations[..., 1:2], 0.0 * observations[..., :1]], -1)
    critic = LinearCritic([0, 1, 2, 3, 4])  # a constant, a copy and nothing
    critic.learn(extra, rewards, going_on, torch.zeros_like(going_on), GAMMA, 0.5)
    assert torch.isfinite(critic.weight).all()
    assert float(critic.weight[1] + critic.weight[3]) == pytest.approx(worth[0], rel=0.05)


def test_gradients_do_not_reach_it():
    critic = LinearCritic([0, 1])
    assert list(critic.parameters()) == []
    assert "weight" in critic.state_dict()  # which checkpoints hold


@pytest.mark.slow
def test_the_quickstart_learns_the_closed_form(tmp_path):
    """Another training seed, another delay and another start than those of the page."""
    made = read(REPOSITORY / "configs" / "builder_quickstart.yaml")
    content = made.model_dump() | {
        "seed": 11,
        "research_share_init": 0.9,
        "evaluation_episodes": 64,
    }
    content["env"] |= {"delay_days": 360.0}
    settings = TrainConfig.make(content)
    (tmp_path / "config.yaml").write_text(settings.to_yaml())
    train(settings, tmp_path)
    found = evaluate(tmp_path)["research"]
    assert found["closed_form_share"] == pytest.approx(0.448, abs=1e-3)
    assert found["within_tolerance"]
