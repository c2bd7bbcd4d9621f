"""A critic that is linear in its features and is solved for, not descended to.

What a builder's stocks are worth is linear in them, and its policy follows their relative worth. Gradient descent
finds that slowly: the stocks of able builders are all large, so that any of them explains most of the value. Least
squares temporal differences (Boyan 2002, "Technical Update: Least-Squares Temporal Difference Learning") solve
for it.
"""

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from torch import Tensor, nn

RIDGE = 1e-7
"""On each weight, over the second moment of its feature: it only breaks ties."""


class LinearCritic(nn.Module):
    """Value as a linear function of some entries of an observation; gradients do not reach its weights."""

    weight: Tensor

    def __init__(self, entries: list[int]):
        super().__init__()
        self.entries = entries
        self.register_buffer("weight", torch.zeros(len(entries) + 1))  # the last is constant

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
        """Solve for the weights, from a rollout of T steps in N worlds alone.

        Earlier rollouts were of other policies: with them, stocks that drift with the policy would stand for it.

        Args:
            observations: `(T + 1, N, size)`, the last being that after the rollout.
            rewards: `(T, N)`.
            going_on: `(T, N)`, whether the episode went on after the step.
            cut: `(T, N)`, whether the step truncated an episode: its reward holds what came after, and is left out.
            discount: of a step.
            decay: lambda of the eligibility traces.
        """
        features = observations[..., self.entries].double()
        features = torch.cat([features, torch.ones_like(features[..., :1])], -1)
        size = features.shape[-1]
        left, right = features.new_zeros(size, size), features.new_zeros(size)
        trace = torch.zeros_like(features[0])
        for step in range(len(rewards)):
            trace = discount * decay * trace + features[step]
            following = features[step + 1] * going_on[step, :, None]
            used = trace * ~cut[step, :, None]
            left += used.T @ (features[step] - discount * following)
            right += used.T @ rewards[step].double()
            trace = trace * going_on[step, :, None]
        moment = features[:-1].square().sum((0, 1))
        ridge = torch.diag(RIDGE * (moment + 1e-6 * moment[-1]))
        self.weight.copy_(torch.linalg.solve(left + ridge, right))


class LinearCriticPPO(PPO):
    """PPO that solves for a linear critic after each rollout, before it learns from it; else plain PPO.

    Its environment lists in `cuts` where steps were truncations.
    """

    def train(self) -> None:
        """One update, as PPO's."""
        critic, env = self.policy.mlp_extractor.critic, self.get_env()
        cuts = np.stack(env.cuts)  # type: ignore[union-attr]
        env.cuts.clear()  # type: ignore[union-attr]
        if isinstance(critic, LinearCritic):
            self._solve(critic, cuts, self.rollout_buffer)
        super().train()

    def _solve(self, critic: LinearCritic, cuts: np.ndarray, buffer: RolloutBuffer) -> None:
        after, starts = self._last_obs, self._last_episode_starts
        assert isinstance(after, np.ndarray)
        assert starts is not None
        solve_critic(critic, buffer, after, starts, cuts)


def solve_critic(
    critic: LinearCritic,
    buffer: RolloutBuffer,
    after: np.ndarray,
    starts: np.ndarray,
    cuts: np.ndarray,
) -> None:
    """Solve for a critic from a full buffer, and put its values and the advantages they imply into the buffer.

    Args:
        after: `(N, size)` observations after the rollout.
        starts: `(N,)` whether episodes begin with them.
        cuts: `(T, N)` whether steps were truncations.
    """
    # copies, in torch's own memory: where arrays of numpy begin varies between processes
    observations = torch.tensor(np.concatenate([buffer.observations, after[None]]))
    ended = np.concatenate([buffer.episode_starts[1:], starts[None]]) > 0
    with torch.no_grad():
        critic.learn(
            observations,
            torch.tensor(buffer.rewards),
            torch.tensor(~ended),
            torch.tensor(cuts),
            buffer.gamma,
            buffer.gae_lambda,
        )
        values = critic(observations.flatten(0, 1)).view(len(observations), -1)
        buffer.values = values[:-1].numpy()
        buffer.compute_returns_and_advantage(values[-1], starts)
