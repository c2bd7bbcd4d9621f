"""The two learners of one-shot games: PPO of Stable-Baselines3, and the cross-entropy method.

Both see payoffs alone. In a game of several players each player learns independently: PPO updates all players at once,
the cross-entropy method takes damped simultaneous best responses.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from pydantic import BaseModel, ConfigDict, Field
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from dtao_agents.equilibrium.cem import CemSettings, maximise
from dtao_agents.oracles.learned.games import OneShotGame


class GamePpoSettings(BaseModel):
    """Settings of PPO in a one-shot game.

    Exploration decays geometrically, and the learning rate in proportion to it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    updates: int = Field(150, ge=1, description="Rollouts.")
    games: int = Field(4096, ge=1, description="Plays per rollout.")
    epochs: int = Field(6, ge=1, description="Passes over a rollout, each one step of Adam.")
    first_sd: float = Field(0.2, gt=0.0, description="Initial exploration, standard deviation.")
    last_sd: float = Field(0.005, gt=0.0, description="Final exploration.")
    step: float = Field(0.05, gt=0.0, description="Learning rate over exploration.")


class GameCemSettings(CemSettings):
    """Settings of the cross-entropy method in a one-shot game."""

    games: int = Field(1, ge=1, description="Plays that evaluate a candidate.")
    rounds: int = Field(1, ge=1, description="Best responses of all players.")
    damping: float = Field(
        1.0, gt=0.0, le=1.0, description="Part of the step to a best response taken in a round."
    )


class SimpleVecEnv(VecEnv):
    """Base class that implements the rest of `VecEnv` besides `reset`, `step_async` and `step_wait`."""

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for each index."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: environments share their attributes."""
        raise NotImplementedError(f"{attr_name}: worlds share their attributes")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any):
        """Refuse: environments have no methods of their own."""
        raise NotImplementedError(f"{method_name}: worlds have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return False for each index."""
        return [False for _ in self._get_indices(indices)]


class GameVecEnv(SimpleVecEnv):
    """A batch of plays; each player is a world that observes its own index and ends after one action.

    Parameters
    ----------
    game : OneShotGame
        The game.
    games : int
        Plays in the batch; there are ``games * game.players`` worlds.
    seed : int
        Seed of the shocks.
    """

    def __init__(self, game: OneShotGame, games: int, seed: int):
        self.game, self.games = game, games
        self.rng = np.random.default_rng(seed)
        self.render_mode = None
        one = spaces.Box(0.0, 1.0, (game.players,), np.float32)
        super().__init__(
            games * game.players, one, spaces.Box(-1.0, 1.0, (game.actions,), np.float32)
        )
        self.observation = np.tile(np.eye(game.players, dtype=np.float32), (games, 1))
        self.infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]

    def reset(self) -> np.ndarray:
        """Start again; return the first observations."""
        return self.observation.copy()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self.actions = actions

    def step_wait(self):
        """Advance all environments; return observations, rewards, dones, infos."""
        played = self.actions.astype(float).reshape(self.games, self.game.players, -1)
        payoffs = self.game.payoffs(played, self.game.draw(self.rng, self.games))
        done = np.ones(self.num_envs, bool)
        return self.observation.copy(), payoffs.reshape(-1).astype(np.float32), done, self.infos


class ExplorationDecay(BaseCallback):
    """Sets the standard deviation of actions before each rollout, from the remaining progress."""

    def __init__(self, sd_at: Callable[[float], float]):
        super().__init__()
        self.sd_at = sd_at

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        sd = self.sd_at(self.model._current_progress_remaining)
        with torch.no_grad():
            self.model.policy.log_std.fill_(float(np.log(sd)))  # type: ignore[union-attr, operator]


def learn_by_ppo(
    game: OneShotGame, settings: GamePpoSettings, start: Sequence[float], seed: int
) -> np.ndarray:
    """Learn a game by PPO with a linear policy.

    Parameters
    ----------
    game : OneShotGame
        The game.
    settings : GamePpoSettings
        Settings of PPO.
    start : sequence of float (actions,)
        Initial mean action of all players.
    seed : int
        Seed of the shocks, of exploration and of the critic.

    Returns
    -------
    ndarray (players, actions)
        Learned mean actions.
    """

    def sd_at(left: float) -> float:
        return settings.last_sd * (settings.first_sd / settings.last_sd) ** left

    env = GameVecEnv(game, settings.games, seed)
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=lambda left: settings.step * sd_at(left),
        n_steps=1,
        batch_size=env.num_envs,
        n_epochs=settings.epochs,
        gamma=1.0,
        gae_lambda=1.0,
        policy_kwargs={"net_arch": []},
        device="cpu",
        seed=seed,
    )
    policy: Any = model.policy
    policy.log_std.requires_grad_(False)
    with torch.no_grad():
        policy.action_net.weight.zero_()
        policy.action_net.bias.copy_(torch.tensor(np.asarray(start, np.float32)))
    model.learn(settings.updates * env.num_envs, ExplorationDecay(sd_at), log_interval=2**62)
    actions, _ = model.predict(np.eye(game.players, dtype=np.float32), deterministic=True)
    return np.asarray(actions, float)


def learn_by_cem(
    game: OneShotGame, settings: GameCemSettings, start: Sequence[float], seed: int
) -> np.ndarray:
    """Learn a game by damped best responses, each found by the cross-entropy method.

    In a round every player searches against the actions of the others in the last round. Candidates of a generation
    meet the same shocks; each generation draws new ones. Parameters and return value are those of `learn_by_ppo`.
    """
    rng = np.random.default_rng(seed)
    chosen = np.tile(np.asarray(start, float), (game.players, 1))

    def response(player: int) -> np.ndarray:
        def objective(candidates: np.ndarray, generation: int) -> np.ndarray:
            shocks = game.draw(rng, settings.games)
            played = np.broadcast_to(chosen, (len(candidates), 1, *chosen.shape)).copy()
            played[:, 0, player] = np.clip(candidates, -1.0, 1.0)
            return game.payoffs(played, shocks)[..., player].mean(axis=-1)

        search = maximise(objective, chosen[player], settings, rng)
        return np.clip(search.parameters, -1.0, 1.0)

    for _ in range(settings.rounds):
        responses = np.stack([response(player) for player in range(game.players)])
        chosen = chosen + settings.damping * (responses - chosen)
    return chosen
