"""Training of one role: PPO of Stable-Baselines3 over a batch of worlds."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Space
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from dtao_agents.evaluation.policy_files import Card, config_hash, save_policy
from dtao_agents.roles.registry import agent_role
from dtao_agents.training import fused_networks
from dtao_agents.training.checkpoints import (
    capture,
    read_latest,
    restore,
    write_checkpoint,
)
from dtao_agents.training.curves import LEARNING_CURVE, plot_runs
from dtao_agents.training.devices import device_name
from dtao_agents.training.linear_critic import LinearCriticPPO
from dtao_agents.training.rollout_buffer import ContiguousRolloutBuffer
from dtao_agents.training.run_folder import (
    METRICS,
    RunLog,
    true_manifest,
    write_manifest,
)
from dtao_agents.training.sb3_policy import SubnetPolicy
from dtao_agents.training.settings import LearnerSettings, TrainConfig
from dtao_gym.envs.sb3 import MarketVecEnv
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.parameters import DAYS_PER_YEAR

POLICY_STATISTICS = {
    "policy_loss": "train/policy_gradient_loss",
    "value_loss": "train/value_loss",
    "approx_kl": "train/approx_kl",
    "clip_fraction": "train/clip_fraction",
    "explained_variance": "train/explained_variance",
    "exploration_std": "train/std",
}
"""Columns of the metrics, and their names in Stable-Baselines3's logger."""


NEVER = 2**62
"""Rollouts between two logs of Stable-Baselines3: `Recorder` logs instead."""


class TrainingEnv(MarketVecEnv):
    """Worlds for training: rewards times a factor, first episodes of staggered length.

    Staggering makes worlds end at different steps; otherwise a batch would see all worlds on the same day.
    """

    def __init__(self, settings: TrainConfig):
        self.agent_role = agent_role(settings.role)
        super().__init__(
            settings.num_envs, self.agent_role.name, config=settings.env, threads=settings.threads
        )
        self.reward_scale, self.observe_signal = settings.reward_scale, settings.observe_signal
        self.reward = 0.0  # sum over steps of the mean reward, since it was last read
        self.truncations: list[np.ndarray] = []  # of each step since a critic read them
        self.seed(settings.first_world_seed())

    def reset(self) -> np.ndarray:
        """Start again; return the first observations."""
        observation = super().reset()
        self.episodes.stagger()
        return self._seen(observation)

    def _seen(self, observation: np.ndarray) -> np.ndarray:
        if self.observe_signal:
            return observation
        return self.agent_role.without_signal(observation)

    def step_wait(self):
        """Advance all environments; return observations, rewards, dones, infos."""
        observation, reward, done, infos = super().step_wait()
        self.reward += float(reward.mean(dtype=np.float64))
        truncated = np.zeros(self.num_envs, bool)
        for world in np.flatnonzero(done):
            truncated[world] = infos[world]["TimeLimit.truncated"]
            last = infos[world]["terminal_observation"]
            infos[world]["terminal_observation"] = self._seen(last[None])[0]
        self.truncations.append(truncated)
        return self._seen(observation), reward * np.float32(self.reward_scale), done, infos


def policy_options(settings: LearnerSettings, role: str, config: Any) -> dict[str, Any]:
    """Return the arguments of `SubnetPolicy` for the settings of a run, with the options of its role."""
    its = agent_role(role)
    return {
        "role": its.card_name,
        "network": settings.network,
        "hidden": settings.hidden,
        "log_std_init": settings.log_std_init,
        "optimizer_kwargs": {"eps": 1e-5, "fused": True},
        **its.policy_options(settings, config),
    }


def ppo_arguments(
    settings: LearnerSettings, n_rows: int, rollout_steps: int, device: str = "cpu"
) -> dict[str, Any]:
    """Return the arguments of PPO for rollouts of `rollout_steps` steps in `n_rows` environments."""
    rate = settings.learning_rate
    return {
        "learning_rate": (lambda left: rate * max(left, 0.0)) if settings.anneal else rate,
        "n_steps": rollout_steps,
        "batch_size": min(settings.batch_size, rollout_steps * n_rows),
        "n_epochs": settings.epochs,
        "gamma": settings.gamma,
        "gae_lambda": settings.gae_lambda,
        "clip_range": settings.clip_range,
        "ent_coef": settings.entropy_coef,
        "vf_coef": settings.value_coef,
        "max_grad_norm": settings.max_grad_norm,
        "rollout_buffer_class": ContiguousRolloutBuffer,
        "device": device,
    }


def new_ppo(
    settings: LearnerSettings,
    role: str,
    config: TaskConfig,
    spaces: tuple[Space, Space],
    n_rows: int,
    rollout_steps: int,
    seed: int,
) -> PPO:
    """Return an untrained PPO without an environment, whose rollout buffer the caller fills.

    Parameters
    ----------
    settings : LearnerSettings
    role : str
        Agent role of the learner.
    config : TaskConfig
    spaces : (Space, Space)
        Spaces of observations and actions.
    n_rows : int
        Environments whose steps the buffer holds.
    rollout_steps : int
        Steps of each of them.
    seed : int
    """
    model = PPO(
        SubnetPolicy,
        None,  # type: ignore[arg-type]
        **ppo_arguments(settings, n_rows, rollout_steps),
        policy_kwargs=policy_options(settings, role, config),
        seed=seed % 2**32,
        _init_setup_model=False,
    )
    model.observation_space, model.action_space = spaces
    model.n_envs = n_rows
    model._setup_model()
    return model


OnUpdate = Callable[[dict[str, float]], None]
"""Called with the metrics of each update; an exception of it ends the training."""


class Recorder(BaseCallback):
    """Callback that writes metrics and progress after every update, and a checkpoint every few updates."""

    def __init__(
        self,
        settings: TrainConfig,
        ppo: PPO,
        env: TrainingEnv,
        log: RunLog,
        seconds_before: float,
        on_update: OnUpdate | None = None,
    ):
        super().__init__()
        self.on_update = on_update
        self.settings, self.ppo, self.env, self.log = settings, ppo, env, log
        self.seconds_before, self.started = seconds_before, time.perf_counter()
        self.recorded = -1

    @property
    def seconds(self) -> float:
        """Training time so far, seconds, including that before a resumption."""
        return self.seconds_before + time.perf_counter() - self.started

    def _on_training_start(self) -> None:
        self.recorded = self.ppo.num_timesteps
        self.started = time.perf_counter()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # the update from the rollout before has just ended: the only moment without half-used buffers
        self._after_update()

    def _on_training_end(self) -> None:
        self._after_update()

    def _after_update(self) -> None:
        done = self.ppo.num_timesteps
        if done == self.recorded:
            return
        row = self._row(done)
        self.recorded = done
        self.log.add(row)
        rollout = self.settings.num_envs * self.settings.rollout_steps
        if (
            done // rollout
        ) % self.settings.checkpoint_every == 0 or done >= self.settings.total_timesteps:
            self.log.flush()
            arrays, own = capture(self.ppo)
            facts = {"seconds": self.seconds}
            write_checkpoint(self.log.checkpoints, arrays, own, done, facts)
        if self.on_update is not None:
            self.on_update(row)

    def _row(self, done: int) -> dict[str, float]:
        env = self.env
        per_year = DAYS_PER_YEAR / self.settings.env.days_per_step
        ended = self.ppo.ep_info_buffer or ()
        steps = sum(info["l"] for info in ended)
        values = self.ppo.logger.name_to_value
        row = {
            "timesteps": done,
            "seconds": self.seconds,
            "steps_per_second": done / self.seconds,
            "reward_per_year": env.reward / self.settings.rollout_steps * per_year,
            "episodes": sum(env.episodes.numbers),
            "episode_reward_per_year": sum(info["r"] for info in ended) / steps * per_year
            if steps
            else np.nan,
            "learning_rate": self.ppo.policy.optimizer.param_groups[0]["lr"],
        }
        env.reward = 0.0
        row |= {column: float(values[name]) for column, name in POLICY_STATISTICS.items()}
        assert tuple(row) == METRICS
        return row


def make_model(settings: TrainConfig, env: TrainingEnv, device: str = "cpu") -> PPO:
    """Return an untrained PPO over an environment, with its network on a torch device."""
    model = LinearCriticPPO(
        SubnetPolicy,
        env,
        **ppo_arguments(settings, settings.num_envs, settings.rollout_steps, device),
        stats_window_size=max(100, settings.num_envs),
        policy_kwargs=policy_options(settings, settings.role, settings.env),
        seed=settings.seed % 2**32,
    )
    env.seed(settings.first_world_seed())  # PPO has just seeded it with the plain training seed
    return model


def compile_passes(model: PPO) -> None:
    """Run the networks once forward and backward, so that compiling them counts as setup, not as training."""
    policy = model.policy
    spaces = (policy.observation_space, policy.action_space)
    observation, action = (torch.zeros(1, *space.shape, device=model.device) for space in spaces)  # type: ignore[misc]
    values, log_density, _ = policy.evaluate_actions(observation, action)
    (values.sum() + log_density.sum()).backward()
    policy.optimizer.zero_grad()


def train(
    settings: TrainConfig,
    run: Path,
    resume: bool = False,
    device: str = "cpu",
    on_update: OnUpdate | None = None,
) -> None:
    """Train in a run's folder until `total_timesteps`, from the start or from its latest checkpoint.

    Writes config.yaml, manifest.json, metrics.csv, policy.safetensors, policy.json, learning_curve.png, checkpoints/ and tensorboard/
    into the folder.

    Parameters
    ----------
    settings : TrainConfig
    run : Path
        An existing folder.
    resume : bool
        Continue from the latest checkpoint.
    device : {"cpu", "cuda"}
        Torch device of the network, as `dtao_agents.training.devices.torch_device` returns it.
    on_update : callable, optional
        ``on_update(row)`` is called after each update with its row of metrics.csv; an exception ends the training.

    Raises
    ------
    CheckpointError
        With `resume`, where the checkpoint is missing or does not fit the settings.
    """
    torch.set_num_threads(settings.torch_threads)
    fused_networks.set_threads(settings.threads)
    if device != "cpu":  # cuBLAS reads it at its first use, and is deterministic with it alone
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    with true_manifest(run, settings) as manifest:
        manifest["device"] = device_name(device)
        started = time.perf_counter()
        env = TrainingEnv(settings)
        model = make_model(settings, env, device)
        compile_passes(model)
        # compiling the kernels, on a fresh machine
        manifest["setup_seconds"] = time.perf_counter() - started
        facts: dict[str, Any] = {"seconds": 0.0}
        if resume:
            arrays, own, facts = read_latest(run / "checkpoints")
            restore(model, arrays, own)
        write_manifest(run, settings, **manifest)
        seconds = _learn(settings, run, model, env, facts["seconds"], on_update)
        _save(settings, run, model)
        write_manifest(
            run,
            settings,
            status="finished",
            device=manifest["device"],
            setup_seconds=manifest["setup_seconds"],
            train_seconds=seconds,
            timesteps=model.num_timesteps,
            steps_per_second=model.num_timesteps / seconds,
        )


def _learn(
    settings: TrainConfig,
    run: Path,
    model: PPO,
    env: TrainingEnv,
    seconds_before: float,
    on_update: OnUpdate | None,
) -> float:
    """Train what is left; return the training time so far, seconds."""
    with RunLog(run, settings.total_timesteps, model.num_timesteps) as log:
        recorder = Recorder(settings, model, env, log, seconds_before, on_update)
        left = settings.total_timesteps - model.num_timesteps
        if left <= 0:
            return seconds_before
        is_new = model.num_timesteps == 0
        model.learn(left, recorder, log_interval=NEVER, reset_num_timesteps=is_new)
    return recorder.seconds


def _save(settings: TrainConfig, run: Path, model: PPO) -> None:
    """Write the policy and the picture of a finished training."""
    learned = model.policy
    assert isinstance(learned, SubnetPolicy)
    shape = replace(learned.architecture, n_extra=0)  # extra features are the critic's
    world = config_hash(settings.env)
    card = Card(shape, world, model.num_timesteps, settings.observe_signal)
    save_policy(run, learned.actor, card)
    plot_runs([run], out=run / LEARNING_CURVE)
