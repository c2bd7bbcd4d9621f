"""PPO in one file, readable from top to bottom: `python -m dtao_agents.training.clean_ppo --help`.

It uses only the registered environments of this package: a starting point for algorithms of your own.
The style is that of CleanRL (Huang et al. 2022, JMLR 23(274)); the algorithm is Schulman
et al. 2017 (arXiv:1707.06347) with the advantages of Schulman et al. 2016 (arXiv:1506.02438). `train.py` is the
trainer with checkpoints, manifests and the better networks.
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
import tyro
from gymnasium.spaces import flatdim
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from safetensors.torch import save_file
from torch import nn

import dtao_gym  # noqa: F401  registers the environments
from dtao_gym.world.config import ConfigError

LINES = 10
"""Lines of progress that a run prints."""


@dataclass(frozen=True)
class Options:
    """Train a staker or a builder with PPO."""

    env_id: str = "dtao_gym/Staker-v0"
    """Environment: dtao_gym/Staker-v0 or dtao_gym/Builder-v0."""
    n_subnets: int = 16
    """Subnets of the world."""
    world: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Other parameters of the world, as in gym.make: horizon_days 90 era launch."""
    num_envs: int = 128
    """Worlds that run together."""
    threads: int = 1
    """Threads that share the worlds."""
    seed: int = 0
    """Seed of networks, exploration and the first world; the other worlds have the next ones."""
    total_timesteps: int = 500_000
    """Steps of training, all worlds together."""
    rollout_steps: int = 32
    """Steps of each world between two updates."""
    minibatches: int = 4
    """Parts of a rollout; Adam makes one step for each."""
    epochs: int = 4
    """Passes over a rollout."""
    learning_rate: float = 3e-3
    """Step of Adam at the start; it falls to zero over the run."""
    gamma: float = 0.95
    """Discount per step."""
    gae_lambda: float = 0.9
    """Lambda of generalised advantage estimation."""
    clip: float = 0.2
    """Clipping of the probability ratio."""
    value_coef: float = 0.5
    """Weight of the squared error of values in the loss."""
    max_grad_norm: float = 0.5
    """Gradients are scaled down to this norm."""
    reward_scale: float = 20.0
    """Factor on rewards in training; printed rewards are without it."""
    hidden: int = 64
    """Width of the two hidden layers of actor and critic."""
    log_std: float = -1.5
    """Log of the standard deviation of exploration, at the start."""
    save: Path | None = None
    """File for the weights, in safetensors; nothing is written if not given."""

    def __post_init__(self):
        counts = "num_envs", "total_timesteps", "rollout_steps", "minibatches", "epochs", "hidden"
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, allowed are numbers from 1")
        if self.save and not self.save.parent.is_dir():
            raise ConfigError(f"save: got {self.save}, allowed are files in a folder that exists")


class Agent(nn.Module):
    """Actor and critic: Gaussian actions around a network's output, with one deviation for each entry."""

    def __init__(self, observation_size: int, action_size: int, options: Options):
        super().__init__()
        generator = torch.Generator().manual_seed(options.seed)

        def layer(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
            made = nn.Linear(inputs, outputs)
            nn.init.orthogonal_(made.weight, gain, generator)
            nn.init.zeros_(made.bias)
            return made

        def network(outputs: int, gain: float) -> nn.Sequential:
            width = options.hidden
            hidden = layer(observation_size, width), nn.Tanh(), layer(width, width), nn.Tanh()
            return nn.Sequential(*hidden, layer(width, outputs, gain))

        self.actor = network(action_size, 0.01)
        self.critic = network(1, 1.0)
        self.log_std = nn.Parameter(torch.full((action_size,), options.log_std))

    def distribution(self, observations: torch.Tensor) -> torch.distributions.Normal:
        """Return the distribution of actions, before they are clipped to [-1, 1]."""
        return torch.distributions.Normal(self.actor(observations), self.log_std.exp())

    def values(self, observations: torch.Tensor) -> torch.Tensor:
        """Return values `(...)` of observations `(..., observation_size)`."""
        return self.critic(observations).squeeze(-1)

    @torch.no_grad()
    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return mean actions `(batch, action_size)` float32, clipped to [-1, 1]."""
        return self.actor(torch.tensor(observations)).clamp(-1.0, 1.0).numpy()


class Rollout(NamedTuple):
    """Experience of a policy, `(steps, worlds)` each.

    Observations and values have one more row, after the last step.

    Attributes
    ----------
    ignored
        Calls of `step` that only started an episode: the action had no effect, the reward is 0.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    log_probs: torch.Tensor
    rewards: torch.Tensor
    terminated: torch.Tensor
    ignored: torch.Tensor
    values: torch.Tensor


def advantages(rollout: Rollout, gamma: float, gae_lambda: float) -> torch.Tensor:
    """Return generalised advantage estimates `(steps, worlds)`; 0 for ignored steps.

    The observation after an end is the episode's own last one, as the next episode starts a step later. So its value
    is the bootstrap of a truncation; after a termination there is none. Sums over later steps stop at the ignored step
    that follows either.
    """
    estimates = torch.zeros_like(rollout.rewards)
    after = torch.zeros(rollout.rewards.shape[1])
    for step in reversed(range(len(estimates))):
        continues = ~rollout.terminated[step]
        surprise = rollout.rewards[step] - rollout.values[step]
        surprise = surprise + gamma * rollout.values[step + 1] * continues
        after = (surprise + gamma * gae_lambda * after) * ~rollout.ignored[step]
        estimates[step] = after
    return estimates


class Collector:
    """The worlds, their present observations, and the noise of exploration."""

    def __init__(self, options: Options):
        self.options = options
        world: dict[str, Any] = {"n_subnets": options.n_subnets, **options.world}
        mode, worlds = "vector_entry_point", options.num_envs
        made = gym.make_vec(options.env_id, worlds, mode, threads=options.threads, **world)
        assert made.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
        self.envs = RecordEpisodeStatistics(made, buffer_length=options.num_envs)
        self.generator = torch.Generator().manual_seed(options.seed + 1)
        self.observation = torch.tensor(self.envs.reset(seed=options.seed)[0])
        self.ended = torch.zeros(options.num_envs, dtype=torch.bool)

    @torch.no_grad()
    def rollout(self, agent: Agent) -> Rollout:
        """Play the next `rollout_steps` steps of all worlds."""
        observations, rows = [self.observation], []
        for _ in range(self.options.rollout_steps):
            ignored = self.ended  # this call starts the next episode of these worlds
            policy = agent.distribution(self.observation)
            noise = torch.randn(policy.mean.shape, generator=self.generator)
            action = policy.mean + policy.stddev * noise
            *results, _ = self.envs.step(action.clamp(-1.0, 1.0).numpy())
            self.observation, reward, terminated, truncated = map(torch.tensor, results)
            self.ended = terminated | truncated
            reward = reward.float() * self.options.reward_scale
            log_prob = policy.log_prob(action).sum(-1)
            rows.append((action, log_prob, reward, terminated, ignored))
            observations.append(self.observation)
        seen = torch.stack(observations)
        columns = [torch.stack(column) for column in zip(*rows, strict=True)]
        return Rollout._make((seen, *columns, agent.values(seen)))


def update(
    agent: Agent,
    adam: torch.optim.Adam,
    rollout: Rollout,
    options: Options,
    shuffle: torch.Generator,
) -> None:
    """Update by epochs of clipped policy gradients over the steps of a rollout that are not ignored."""
    counts = ~rollout.ignored
    advantage = advantages(rollout, options.gamma, options.gae_lambda)
    returns = (advantage + rollout.values[:-1])[counts]
    advantage = advantage[counts]
    observations, actions = rollout.observations[:-1][counts], rollout.actions[counts]
    log_probs = rollout.log_probs[counts]
    for _ in range(options.epochs):
        order = torch.randperm(len(advantage), generator=shuffle)
        for rows in order.tensor_split(options.minibatches):
            if len(rows) < 2:  # advantages are standardised
                continue
            policy = agent.distribution(observations[rows])
            ratio = (policy.log_prob(actions[rows]).sum(-1) - log_probs[rows]).exp()
            gain = (advantage[rows] - advantage[rows].mean()) / (advantage[rows].std() + 1e-8)
            clipped = ratio.clamp(1.0 - options.clip, 1.0 + options.clip)
            policy_loss = -torch.min(ratio * gain, clipped * gain).mean()
            value_loss = 0.5 * (agent.values(observations[rows]) - returns[rows]).square().mean()
            adam.zero_grad()
            (policy_loss + options.value_coef * value_loss).backward()
            nn.utils.clip_grad_norm_(agent.parameters(), options.max_grad_norm)
            adam.step()


def train(options: Options) -> Agent:
    """Train and print a line for each tenth of the run. The same options give the same agent."""
    collector = Collector(options)
    envs = collector.envs
    sizes = flatdim(envs.single_observation_space), flatdim(envs.single_action_space)
    agent = Agent(*sizes, options)
    adam = torch.optim.Adam(agent.parameters(), options.learning_rate, eps=1e-5)
    shuffle = torch.Generator().manual_seed(options.seed + 2)
    per_rollout = options.num_envs * options.rollout_steps
    updates = -(-options.total_timesteps // per_rollout)
    started, lines, earned, counted = time.perf_counter(), 0, 0.0, 0
    for k in range(updates):
        adam.param_groups[0]["lr"] = options.learning_rate * (1.0 - k / updates)
        rollout = collector.rollout(agent)
        update(agent, adam, rollout, options, shuffle)
        earned += rollout.rewards.sum().item() / options.reward_scale
        counted += int((~rollout.ignored).sum())
        if (k + 1) * LINES // updates > lines:
            lines, steps = (k + 1) * LINES // updates, (k + 1) * per_rollout
            episodes = np.mean(envs.return_queue) if envs.return_queue else np.nan
            print(
                f"{steps:>10,} steps  reward per step {earned / counted:+.5f}  "
                f"return of the last episodes {episodes:+.3f}  "
                f"{steps / (time.perf_counter() - started):,.0f} steps/s"
            )
            earned, counted = 0.0, 0
    envs.close()
    if options.save:
        save_file(agent.state_dict(), options.save)
    return agent


if __name__ == "__main__":
    try:
        train(tyro.cli(Options, prog="python -m dtao_agents.training.clean_ppo"))
    except ConfigError as error:
        sys.exit(f"error: {error}")
