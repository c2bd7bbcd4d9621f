"""A critic that is linear in its features and is solved for, not descended to.

What a builder's stocks are worth is linear in them, and its policy follows their relative worth. Gradient descent
finds that slowly: the stocks of able builders are all large, so that any of them explains most of the value. Least
squares temporal differences (Boyan 2002, "Technical Update: Least-Squares Temporal Difference Learning") solve
for it.
"""

from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from torch import Tensor, nn

FORGET = 0.9
"""Weight of what was learned until the rollout before."""
RIDGE = 1e-7
"""On each weight, over the second moment of its feature: it only breaks ties."""


class LinearCritic(nn.Module):
    """Value as a linear function of some entries of an observation.

    It has no parameters for gradients, and its sums are buffers: checkpoints hold them with the weights.
    """

    weight: Tensor
    left: Tensor
    right: Tensor
    moment: Tensor

    def __init__(self, entries: list[int]):
        super().__init__()
        self.entries = entries
        n = len(entries) + 1  # the last is constant
        self.register_buffer("weight", torch.zeros(n))
        self.register_buffer("left", torch.zeros(n, n, dtype=torch.float64))
        self.register_buffer("right", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("moment", torch.zeros(n, dtype=torch.float64))

    def forward(self, observation: Tensor) -> Tensor:
        return (observation[:, self.entries] @ self.weight[:-1] + self.weight[-1])[:, None]

    def learn(
        self,
        observations: Tensor,
        rewards: Tensor,
        going_on: Tensor,
        cut: Tensor,
        discount: float,
        decay: float,
    ) -> None:
        """Solve for the weights again, with one more rollout of T steps in N worlds.

        Args:
            observations: `(T + 1, N, size)`, the last being that after the rollout.
            rewards: `(T, N)`.
            going_on: `(T, N)`, whether the episode went on after the step.
            cut: `(T, N)`, whether the step ended an episode that would have had a value; such steps are left out.
            discount: of a step.
            decay: lambda of the eligibility traces.
        """
        features = observations[..., self.entries].double()
        features = torch.cat([features, torch.ones_like(features[..., :1])], -1)
        left, right = torch.zeros_like(self.left), torch.zeros_like(self.right)
        trace = torch.zeros_like(features[0])
        for step in range(len(rewards)):
            trace = discount * decay * trace + features[step]
            following = features[step + 1] * going_on[step, :, None]
            used = trace * ~cut[step, :, None]
            left += used.T @ (features[step] - discount * following)
            right += used.T @ rewards[step].double()
            trace = trace * going_on[step, :, None]
        self.left.mul_(FORGET).add_(left)
        self.right.mul_(FORGET).add_(right)
        self.moment.mul_(FORGET).add_(features[:-1].square().sum((0, 1)))
        ridge = torch.diag(RIDGE * (self.moment + self.moment[-1] * 1e-6))
        self.weight.copy_(torch.linalg.solve(self.left + ridge, self.right))


class LinearCriticPPO(PPO):
    """PPO that solves for a linear critic after each rollout, before it learns from it; else plain PPO."""

    cuts: list[np.ndarray]

    def train(self) -> None:
        critic = self.policy.mlp_extractor.critic
        if isinstance(critic, LinearCritic):
            self._solve(critic, self.rollout_buffer)
        super().train()

    def _solve(self, critic: LinearCritic, buffer: Any) -> None:
        after = self._last_obs
        # copies, in torch's own memory: where arrays of numpy begin varies between processes
        observations = torch.tensor(np.concatenate([buffer.observations, after[None]]))
        ended = np.concatenate([buffer.episode_starts[1:], self._last_episode_starts[None]]) > 0
        cut = np.stack(self.env.cuts)  # a reward before a cut holds the value of what comes after
        self.env.cuts.clear()
        with torch.no_grad():
            critic.learn(
                observations,
                torch.tensor(buffer.rewards),
                torch.tensor(~ended),
                torch.tensor(cut),
                self.gamma,
                self.gae_lambda,
            )
            values = critic(observations.flatten(0, 1)).view(len(observations), -1)
            buffer.values = values[:-1].numpy()
            buffer.compute_returns_and_advantage(values[-1], self._last_episode_starts)
