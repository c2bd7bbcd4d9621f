"""A research project as a Markov decision process of eight states, learned from sampled days."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from pydantic import BaseModel, ConfigDict, Field
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from dtao_agents.equilibrium.cem import CemSettings, maximise
from dtao_agents.oracles.learned.learners import SimpleVecEnv

SHORT, LONG = 0, 1
N_STATES = 8
"""Knowledge 0 to 3, without and with a project under way."""


class Project:
    """Decision process of a builder who divides days between short-term work and research.

    Knowledge K earns K per day, short-term work one more. Research starts a project if none runs; a running project
    succeeds with the daily probability `success` and raises K by one. K loses one with the daily probability `loss`.
    The state is 2 K + z, with z = 1 while a project runs.

    Parameters
    ----------
    discount : float
        Discount factor per day.
    success, loss : float
        Probabilities per day.

    Attributes
    ----------
    rewards : ndarray (2, 8)
        By action and state.
    moves : ndarray (2, 8, 8)
        Probabilities of the next state, by action and state.
    """

    def __init__(self, discount: float, success: float = 0.1, loss: float = 0.01):
        self.discount = discount
        top = N_STATES // 2 - 1
        self.rewards = np.zeros((2, N_STATES))
        self.moves = np.zeros((2, N_STATES, N_STATES))
        for state in range(N_STATES):
            knowledge, running = divmod(state, 2)
            for action in (SHORT, LONG):
                self.rewards[action, state] = knowledge + (action == SHORT)
                row = self.moves[action, state]
                for chance, left in ((1.0 - loss, knowledge), (loss, max(knowledge - 1, 0))):
                    if running:
                        row[2 * min(left + 1, top)] += chance * success
                        row[2 * left + 1] += chance * (1.0 - success)
                    else:
                        row[2 * left + (action == LONG)] += chance
        self.cumulative = self.moves.cumsum(-1)

    def step(self, states: np.ndarray, actions: np.ndarray, u: np.ndarray):
        """Rewards and next states for uniform draws `u`; all arrays have one shape."""
        following = (u[..., None] > self.cumulative[actions, states]).sum(-1)
        return self.rewards[actions, states], np.minimum(following, N_STATES - 1)

    def value(self, policy: np.ndarray) -> np.ndarray:
        """Exact values `(8,)` of a policy `(8,)` of actions."""
        states = np.arange(N_STATES)
        moves = self.moves[policy, states]
        return np.linalg.solve(
            np.eye(N_STATES) - self.discount * moves, self.rewards[policy, states]
        )

    def measurements(self, policy: np.ndarray) -> list[float]:
        """Value of the first state, and one decimal digit for each K = 0 to 3: 1 if a project is started."""
        starts = policy[::2] == LONG
        return [float(self.value(policy)[0]), float(starts @ 10 ** np.arange(3, -1, -1))]


class ProjectPpoSettings(BaseModel):
    """Settings of PPO with a tabular policy (linear in the one-hot state)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    timesteps: int = Field(400_000, ge=1, description="Days of training, summed over worlds.")
    worlds: int = Field(256, ge=1, description="Worlds that run together.")
    rollout_days: int = Field(64, ge=1, description="Days between two updates.")
    epochs: int = Field(4, ge=1, description="Passes over a rollout.")
    gae_lambda: float = Field(
        0.8, ge=0.0, le=1.0, description="Lambda of generalised advantage estimation."
    )
    learning_rate: float = Field(0.05, gt=0.0, description="Step of Adam.")
    entropy: float = Field(
        0.2,
        ge=0.0,
        description="Initial weight of the entropy bonus; falls linearly to zero.",
    )


class ProjectCemSettings(CemSettings):
    """Settings of the cross-entropy method over one preference per state."""

    sampled_days: int = Field(
        32_768,
        ge=1,
        description="Days that evaluate a candidate, divided into worlds of one horizon each.",
    )


class ProjectVecEnv(SimpleVecEnv):
    """Worlds that start in a uniformly drawn state and are truncated after the days of a rollout."""

    def __init__(self, project: Project, worlds: int, days: int, seed: int):
        self.project, self.days, self.rng = project, days, np.random.default_rng(seed)
        self.render_mode = None
        super().__init__(worlds, spaces.Box(0.0, 1.0, (N_STATES,), np.float32), spaces.Discrete(2))

    def _observed(self) -> np.ndarray:
        return np.eye(N_STATES, dtype=np.float32)[self.states]

    def reset(self) -> np.ndarray:
        """Start again; return the first observations."""
        self.states = self.rng.integers(0, N_STATES, self.num_envs)
        self.day = 0
        return self._observed()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self.actions = actions

    def step_wait(self):
        """Advance all environments; return observations, rewards, dones, infos."""
        u = self.rng.random(self.num_envs)
        rewards, self.states = self.project.step(self.states, self.actions, u)
        rewards = (1.0 - self.project.discount) * rewards
        self.day += 1
        truncated = self.day == self.days
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        observed = self._observed()
        if truncated:
            infos = [{"terminal_observation": row, "TimeLimit.truncated": True} for row in observed]
            observed = self.reset()
        return observed, rewards.astype(np.float32), np.full(self.num_envs, truncated), infos


class EntropyDecay(BaseCallback):
    """Lowers the entropy bonus linearly to zero.

    A large bonus at first keeps actions that look bad only because later choices are not learned yet.
    """

    def __init__(self, first: float):
        super().__init__()
        self.first = first

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.model.ent_coef = self.first * self.model._current_progress_remaining  # type: ignore[attr-defined]


def learn_by_ppo(
    project: Project, settings: ProjectPpoSettings, start: Sequence[float], seed: int
) -> np.ndarray:
    """Learn a project by PPO.

    Parameters
    ----------
    project : Project
        The decision process.
    settings : ProjectPpoSettings
        Settings of PPO.
    start : sequence of float (1,)
        Initial log-odds of research in every state.
    seed : int
        Seed of the process and of exploration.

    Returns
    -------
    ndarray (8,)
        Learned actions by state.
    """
    env = ProjectVecEnv(project, settings.worlds, settings.rollout_days, seed)
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=settings.learning_rate,
        n_steps=settings.rollout_days,
        batch_size=settings.worlds * settings.rollout_days // 4,
        n_epochs=settings.epochs,
        gamma=project.discount,
        gae_lambda=settings.gae_lambda,
        vf_coef=1.0,
        max_grad_norm=100.0,
        policy_kwargs={"net_arch": []},
        device="cpu",
        seed=seed,
    )
    policy: Any = model.policy
    with torch.no_grad():
        policy.action_net.weight.zero_()
        policy.action_net.bias.copy_(torch.tensor([0.0, start[0]]))
    model.learn(settings.timesteps, EntropyDecay(settings.entropy), log_interval=2**62)
    actions, _ = model.predict(np.eye(N_STATES, dtype=np.float32), deterministic=True)
    return np.asarray(actions, int)


def learn_by_cem(
    project: Project, settings: ProjectCemSettings, start: Sequence[float], seed: int
) -> np.ndarray:
    """Learn a project by the cross-entropy method over one preference per state.

    Research is chosen where the preference is positive. Candidates of a generation meet the same draws and first states. Parameters and return value are those of
    `learn_by_ppo`.
    """
    rng = np.random.default_rng(seed)
    days = int(np.ceil(np.log(0.01) / np.log(project.discount)))
    worlds = max(1, settings.sampled_days // days)

    def objective(candidates: np.ndarray, generation: int) -> np.ndarray:
        policies = (candidates > 0.0).astype(int)
        rows = np.arange(len(policies))[:, None]
        states = np.broadcast_to(rng.integers(0, N_STATES, worlds), (len(policies), worlds))
        total, factor = np.zeros(states.shape), 1.0
        for _ in range(days):
            u = np.broadcast_to(rng.random(worlds), states.shape)
            rewards, states = project.step(states, policies[rows, states], u)
            total, factor = total + factor * rewards, factor * project.discount
        return total.mean(axis=1)

    first = np.full(N_STATES, float(start[0]))
    return (maximise(objective, first, settings, rng).parameters > 0.0).astype(int)
