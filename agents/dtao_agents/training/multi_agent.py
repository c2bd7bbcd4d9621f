"""Multi-agent training: one policy for all members of each role, in the same worlds.

Each role has a PPO of Stable-Baselines3, which holds its network, its rollout buffer and its optimiser; the loop that
steps the worlds is here, since all roles learn from the same steps. In some of the worlds a role meets past versions of
the other one, so that it does not forget how to respond to them.
"""

import copy
from collections import deque
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from dtao_agents.training.checkpoints import (
    learner_arrays,
    must_fit,
    restore_learner,
    restore_worlds,
    worlds_arrays,
)
from dtao_agents.training.linear_critic import LinearCritic, solve_critic
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.networks import Actor
from dtao_agents.training.ppo import new_ppo
from dtao_agents.training.sb3_policy import SubnetPolicy
from dtao_gym.envs.multi_agent import MultiAgentWorlds, Transition
from dtao_gym.world.parameters import DAYS_PER_YEAR

STATISTICS = {
    "policy_loss": "train/policy_gradient_loss",
    "value_loss": "train/value_loss",
    "approx_kl": "train/approx_kl",
    "explained_variance": "train/explained_variance",
    "exploration_std": "train/std",
}


class Learner:
    """A role that learns: its PPO, the rows that it learns from, and its past versions.

    Rows are worlds times members of the role, world by world.
    """

    def __init__(self, role: str, settings: MultiAgentConfig, worlds: MultiAgentWorlds):
        self.role, self.settings = role, settings.roles[role]
        self.rows, self.past_rows = _rows(role, settings, worlds)
        environment_role = worlds.roles[role]
        self.n_actions = environment_role.action_space.shape[0]
        self.ppo: PPO = new_ppo(
            self.settings,
            role,
            settings.env,
            (environment_role.observation_space, environment_role.action_space),
            self.rows.size,
            settings.rollout_steps,
            settings.seed,
        )
        self.ppo.set_logger(Logger(None, []))
        self.past: deque[dict[str, torch.Tensor]] = deque(maxlen=settings.past_kept)
        self._past_actor = copy.deepcopy(self.actor)
        self.starts = np.ones(self.rows.size, bool)
        self.reward, self.returns = 0.0, np.zeros(self.rows.size)
        self.episodes: deque[float] = deque(maxlen=max(100, self.rows.size))
        self._decided: tuple = ()
        self._truncations: list[np.ndarray] = []

    @property
    def actor(self) -> Actor:
        """The network of the policy's file."""
        policy = self.ppo.policy
        assert isinstance(policy, SubnetPolicy)
        return policy.actor

    def remember(self) -> None:
        """Keep the present version."""
        parameters = self.actor.state_dict()
        self.past.append({name: t.detach().clone() for name, t in parameters.items()})

    def meet_past(self, draw: np.random.Generator) -> None:
        """Draw the past version that acts in `past_rows`; the present one if there is none."""
        chosen = self.past[int(draw.integers(len(self.past)))] if self.past else None
        self._past_actor.load_state_dict(chosen or self.actor.state_dict())

    def decide(self, seen: np.ndarray, learning: bool) -> np.ndarray:
        """Return actions of all rows.

        With exploration in rows that it learns from, else means of the present or a past version.
        """
        observation = torch.tensor(seen)
        actions = np.empty((len(seen), self.n_actions), np.float32)
        with torch.no_grad():
            own = observation[self.rows]
            if learning:
                drawn, values, log_prob = self.ppo.policy(own)
                self._decided = (seen[self.rows], drawn.numpy(), values, log_prob)
            else:
                drawn = self.actor(own)
            actions[self.rows] = drawn.clamp(-1.0, 1.0).numpy()
            if self.past_rows.size:
                past = self._past_actor(observation[self.past_rows])
                actions[self.past_rows] = past.clamp(-1.0, 1.0).numpy()
        return actions

    def record(self, transition: Transition, last: np.ndarray | None) -> None:
        """Add the last step to the rollout.

        Parameters
        ----------
        transition : Transition
            Rewards and ends of all rows.
        last : `(rows, size)`, optional
            Observations before new episodes began; needed where an episode was truncated.
        """
        reward, terminated, truncated = (values[self.rows] for values in transition)
        self.reward += float(reward.mean())
        self.returns += reward
        done = terminated | truncated
        self.episodes.extend(self.returns[done].tolist())
        self.returns[done] = 0.0
        seen, drawn, values, log_prob = self._decided
        scaled = (reward * self.settings.reward_scale).astype(np.float32)
        if truncated.any():  # bootstrap
            assert last is not None
            with torch.no_grad():
                after = self.ppo.policy.predict_values(torch.tensor(last[self.rows[truncated]]))
            scaled[truncated] += self.ppo.gamma * after.numpy().ravel()
        self.ppo.rollout_buffer.add(seen, drawn, scaled, self.starts, values, log_prob)
        self._truncations.append(truncated)
        self.starts = done

    def learn(self, seen: np.ndarray, left: float) -> None:
        """Update by PPO from the rollout.

        `seen` are the observations after it, `left` is the remaining part of the run.
        """
        after, buffer = seen[self.rows], self.ppo.rollout_buffer
        critic = self.ppo.policy.mlp_extractor.critic
        if isinstance(critic, LinearCritic):
            solve_critic(critic, buffer, after, self.starts, np.stack(self._truncations))
        else:
            with torch.no_grad():
                values = self.ppo.policy.predict_values(torch.tensor(after))
            buffer.compute_returns_and_advantage(values, self.starts)
        self._truncations.clear()
        self.ppo._current_progress_remaining = left
        self.ppo.num_timesteps += self.ppo.rollout_buffer.actions[..., 0].size
        self.ppo.train()

    def metrics(self, steps: int, per_year: float) -> dict[str, float]:
        """Return columns of a row of metrics, prefixed by the role; losses are those of its last update."""
        values = self.ppo.logger.name_to_value
        metrics = {
            "reward_per_year": self.reward / steps * per_year,
            "episode_reward": float(np.mean(self.episodes)) if self.episodes else np.nan,
            **{name: float(values.get(key, np.nan)) for name, key in STATISTICS.items()},
        }
        self.reward = 0.0
        return {f"{self.role}_{name}": value for name, value in metrics.items()}


def _rows(
    role: str, settings: MultiAgentConfig, worlds: MultiAgentWorlds
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a role in worlds where its present version acts, and where past ones do."""
    past = {
        world for other in settings.roles if other != role for world in settings.past_worlds(other)
    }
    rows = np.arange(worlds.rows(role)).reshape(worlds.n_worlds, -1)
    here = np.array([world not in past for world in range(worlds.n_worlds)])
    return rows[here].ravel(), rows[~here].ravel()


class MultiAgentTraining:
    """The worlds, and the roles that learn in them.

    Attributes
    ----------
    learners : dict of Learner
        By role.
    rollouts : int
        Number of rollouts so far.
    timesteps : int
        Decisions of all learners so far.
    """

    def __init__(self, settings: MultiAgentConfig):
        self.settings = settings
        self.worlds = MultiAgentWorlds(
            settings.env,
            settings.num_envs,
            settings.members,
            respawn=True,
            threads=settings.threads,
        )
        self.learners = {role: Learner(role, settings, self.worlds) for role in settings.roles}
        self.rollouts = self.timesteps = 0
        self._reset()

    def _reset(self) -> None:
        first, worlds = self.settings.first_world_seed(), self.worlds
        worlds.start(range(first, first + worlds.n_worlds))
        worlds.stagger()
        self._seen = worlds.observe()

    def learning(self) -> list[str]:
        """Return the roles that learn in the next rollout."""
        roles = list(self.learners)
        if not self.settings.turn:
            return roles
        return [roles[self.rollouts // self.settings.turn % len(roles)]]

    def rollout(self) -> dict[str, float]:
        """Play one rollout, learn from it, and return its metrics."""
        settings, learning = self.settings, self.learning()
        draw = np.random.default_rng([settings.seed, self.rollouts])
        for role, learner in self.learners.items():
            learner.meet_past(draw)
            if role in learning:
                learner.ppo.rollout_buffer.reset()
                learner.ppo.policy.set_training_mode(False)
                if settings.turn:  # its last rollout was not the one before
                    learner.starts[:] = True
        for _ in range(settings.rollout_steps):
            self._step(learning)
        left = max(1.0 - self.timesteps / settings.total_timesteps, 0.0)
        for role in learning:
            self.learners[role].learn(self._seen[role], left)
        self.rollouts += 1
        if self.rollouts % settings.past_every == 0:
            for learner in self.learners.values():
                learner.remember()
        per_year = DAYS_PER_YEAR / settings.env.days_per_step
        metrics: dict[str, float] = {}
        for learner in self.learners.values():
            metrics |= learner.metrics(settings.rollout_steps, per_year)
        return metrics

    def _step(self, learning: list[str]) -> None:
        actions = {
            role: learner.decide(self._seen[role], role in learning)
            for role, learner in self.learners.items()
        }
        transitions = self.worlds.step(actions)
        bootstrap = any(transition.truncated.any() for transition in transitions.values())
        last: dict[str, Any] = self.worlds.observe() if bootstrap else {}
        for role in learning:
            self.learners[role].record(transitions[role], last.get(role))
            self.timesteps += self.learners[role].rows.size
        self.worlds.autoreset(transitions)
        self._seen = self.worlds.observe()

    def capture(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays and JSON facts of everything that the continuation depends on, between two rollouts."""
        arrays, facts = worlds_arrays(self.worlds)
        for role, learner in self.learners.items():
            mine, own = learner_arrays(learner.ppo)
            mine |= {"starts": learner.starts, "returns": learner.returns}
            for k, version in enumerate(learner.past):
                mine |= {f"past/{k}/{name}": t.numpy() for name, t in version.items()}
            arrays |= {f"{role}/{name}": array for name, array in mine.items()}
            facts[role] = own | {"episodes": list(learner.episodes), "past": len(learner.past)}
        facts |= {"rollouts": self.rollouts, "timesteps": self.timesteps}
        return {name: np.ascontiguousarray(array) for name, array in arrays.items()}, facts

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Continue where `capture` was called. Raises CheckpointError where it does not fit."""
        with must_fit():
            restore_worlds(self.worlds, arrays, facts)
            for role, learner in self.learners.items():
                mine = {
                    name.removeprefix(f"{role}/"): array
                    for name, array in arrays.items()
                    if name.startswith(f"{role}/")
                }
                own = facts[role]
                restore_learner(learner.ppo, mine, own)
                learner.starts = mine["starts"].astype(bool)
                learner.returns = mine["returns"].copy()
                learner.episodes.extend(own["episodes"])
                for k in range(own["past"]):
                    prefix = f"past/{k}/"
                    learner.past.append(
                        {
                            name.removeprefix(prefix): torch.from_numpy(array)
                            for name, array in mine.items()
                            if name.startswith(prefix)
                        }
                    )
            self.rollouts, self.timesteps = facts["rollouts"], facts["timesteps"]
        self._seen = self.worlds.observe()
