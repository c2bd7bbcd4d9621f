"""The two learners of the small problems: PPO of Stable-Baselines3, and the cross-entropy method.

Both see payoffs alone. In a game of several players each learns for itself: PPO in all roles at once, the
cross-entropy method by damped best responses of all at once.
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
from dtao_agents.oracles.learned.games import Game


class GamePpoSettings(BaseModel):
    """PPO in a game of one decision: exploration shrinks by a plan, and steps in proportion to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    updates: int = Field(150, ge=1, description="Rollouts.")
    games: int = Field(4096, ge=1, description="Games of a rollout.")
    epochs: int = Field(6, ge=1, description="Passes over a rollout, each one step of Adam.")
    first_sd: float = Field(0.2, gt=0.0, description="Exploration at first, standard deviation.")
    last_sd: float = Field(0.005, gt=0.0, description="Exploration at the end.")
    step: float = Field(0.05, gt=0.0, description="Learning rate over exploration.")


class GameCemSettings(CemSettings):
    """The cross-entropy method in a game."""

    games: int = Field(1, ge=1, description="Drawn games that a candidate is judged by.")
    rounds: int = Field(1, ge=1, description="Best responses of all players.")
    damping: float = Field(
        1.0, gt=0.0, le=1.0, description="Part of the way to a best response that a round goes."
    )


class SimpleVecEnv(VecEnv):
    """What Stable-Baselines3 asks of many worlds beside `reset`, `step_async` and `step_wait`."""

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for each index."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError(f"{attr_name}: worlds share their attributes")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any):
        raise NotImplementedError(f"{method_name}: worlds have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]


class GameVecEnv(SimpleVecEnv):
    """Many games at once; a player is a world that sees which player it is, and ends after its action."""

    def __init__(self, game: Game, games: int, seed: int):
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
        return self.observation.copy()

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self):
        played = self.actions.astype(float).reshape(self.games, self.game.players, -1)
        payoffs = self.game.payoffs(played, self.game.draw(self.rng, self.games))
        done = np.ones(self.num_envs, bool)
        return self.observation.copy(), payoffs.reshape(-1).astype(np.float32), done, self.infos


class Annealing(BaseCallback):
    """Sets the exploration of each rollout."""

    def __init__(self, sd_at: Callable[[float], float]):
        super().__init__()
        self.sd_at = sd_at

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        sd = self.sd_at(self.model._current_progress_remaining)
        with torch.no_grad():
            self.model.policy.log_std.fill_(float(np.log(sd)))  # type: ignore[union-attr, operator]


def learn_by_ppo(game: Game, settings: GamePpoSettings, start: Sequence[float], seed: int):
    """Mean actions `(players, actions)` learned from `start` `(actions,)`."""

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
    model.learn(settings.updates * env.num_envs, Annealing(sd_at), log_interval=2**62)
    actions, _ = model.predict(np.eye(game.players, dtype=np.float32), deterministic=True)
    return np.asarray(actions, float)


def learn_by_cem(game: Game, settings: GameCemSettings, start: Sequence[float], seed: int):
    """The same by best responses: in each round every player searches while the others stay, and goes part of the way.

    Candidates of a generation play the same drawn games; each generation draws its own.
    """
    rng = np.random.default_rng(seed)
    chosen = np.tile(np.asarray(start, float), (game.players, 1))

    def response(player: int) -> np.ndarray:
        def objective(candidates: np.ndarray, generation: int) -> np.ndarray:
            shocks = game.draw(rng, settings.games)
            played = np.broadcast_to(chosen, (len(candidates), 1, *chosen.shape)).copy()
            played[:, 0, player] = np.clip(candidates, -1.0, 1.0)
            return game.payoffs(played, shocks)[..., player].mean(axis=-1)

        found = maximise(objective, chosen[player], settings, rng)
        return np.clip(found.parameters, -1.0, 1.0)

    for _ in range(settings.rounds):
        answers = np.stack([response(player) for player in range(game.players)])
        chosen = chosen + settings.damping * (answers - chosen)
    return chosen
