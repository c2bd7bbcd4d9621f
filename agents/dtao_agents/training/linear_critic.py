"""A critic that is linear in its features and solved for by least squares.

The value of a builder's stocks is linear in them, and its policy follows their relative value. Gradient descent
learns that slowly: the stocks of able builders are all large, so that any of them explains most of the value. Least
squares temporal differences (Boyan 2002, "Technical Update: Least-Squares Temporal Difference Learning") give the
solution directly.
"""

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from torch import Tensor, nn

RIDGE = 1e-7
"""Ridge penalty on each weight, over the second moment of its feature; breaks ties between collinear features."""


class LinearCritic(nn.Module):
    """Value as a linear function of entries of an observation; gradients do not change its weights.

    Parameters
    ----------
    entries : list of int
        Positions of the features in an observation.
    """

    weight: Tensor

    def __init__(self, entries: list[int]):
        super().__init__()
        self.entries = entries
        self.register_buffer("weight", torch.zeros(len(entries) + 1))  # the last is the constant

    def forward(self, observation: Tensor) -> Tensor:
        """Return values `(batch, 1)` of observations."""
        return (observation[:, self.entries] @ self.weight[:-1] + self.weight[-1])[:, None]

    def learn(
        self,
        observations: Tensor,
        rewards: Tensor,
        continues: Tensor,
        truncated: Tensor,
        discount: float,
        decay: float,
    ) -> None:
        """Solve for the weights, from one rollout of T steps in N worlds.

        Earlier rollouts are of other policies: with them, stocks that drift with the policy would be proxies for it.

        Parameters
        ----------
        observations : `(T + 1, N, size)`
            The last one is that after the rollout.
        rewards : `(T, N)`
        continues : `(T, N)` bool
            Whether the episode continued after the step.
        truncated : `(T, N)` bool
            Whether the step truncated an episode: its reward includes the bootstrap value, and is left out.
        discount : float
            Discount factor of one step.
        decay : float
            Lambda of the eligibility traces.
        """
        features = observations[..., self.entries].double()
        features = torch.cat([features, torch.ones_like(features[..., :1])], -1)
        size = features.shape[-1]
        left, right = features.new_zeros(size, size), features.new_zeros(size)
        trace = torch.zeros_like(features[0])
        for step in range(len(rewards)):
            trace = discount * decay * trace + features[step]
            following = features[step + 1] * continues[step, :, None]
            used = trace * ~truncated[step, :, None]
            left += used.T @ (features[step] - discount * following)
            right += used.T @ rewards[step].double()
            trace = trace * continues[step, :, None]
        moment = features[:-1].square().sum((0, 1))
        ridge = torch.diag(RIDGE * (moment + 1e-6 * moment[-1]))
        self.weight.copy_(torch.linalg.solve(left + ridge, right))


class LinearCriticPPO(PPO):
    """PPO that solves for a linear critic before each update; plain PPO with other critics.

    Its environment has a list `truncations` of `(N,)` bool: whether the steps since the last update were truncations.
    """

    def train(self) -> None:
        """Update as PPO does."""
        critic, env = self.policy.mlp_extractor.critic, self.get_env()
        truncations = np.stack(env.truncations)  # type: ignore[union-attr]
        env.truncations.clear()  # type: ignore[union-attr]
        if isinstance(critic, LinearCritic):
            self._solve(critic, truncations, self.rollout_buffer)
        super().train()

    def _solve(self, critic: LinearCritic, truncations: np.ndarray, buffer: RolloutBuffer) -> None:
        after, starts = self._last_obs, self._last_episode_starts
        assert isinstance(after, np.ndarray)
        assert starts is not None
        solve_critic(critic, buffer, after, starts, truncations)


def solve_critic(
    critic: LinearCritic,
    buffer: RolloutBuffer,
    after: np.ndarray,
    starts: np.ndarray,
    truncations: np.ndarray,
) -> None:
    """Solve for a critic from a full buffer, and write its values and advantages into the buffer.

    Parameters
    ----------
    critic : LinearCritic
    buffer : RolloutBuffer
        Of T steps in N environments.
    after : `(N, size)`
        Observations after the rollout.
    starts : `(N,)` bool
        Whether episodes begin with them.
    truncations : `(T, N)` bool
        Whether steps were truncations.
    """
    # copies, in torch's own memory: the alignment of numpy's arrays varies between processes
    observations = torch.tensor(np.concatenate([buffer.observations, after[None]]))
    ended = np.concatenate([buffer.episode_starts[1:], starts[None]]) > 0
    with torch.no_grad():
        critic.learn(
            observations,
            torch.tensor(buffer.rewards),
            torch.tensor(~ended),
            torch.tensor(truncations),
            buffer.gamma,
            buffer.gae_lambda,
        )
        values = critic(observations.flatten(0, 1)).view(len(observations), -1)
        buffer.values = values[:-1].numpy()
        buffer.compute_returns_and_advantage(values[-1], starts)
