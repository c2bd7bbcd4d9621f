"""The agent roles of stakers: in a simulated market, and in a replay of real prices."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dtao_agents.equilibrium.cem import linear_policy
from dtao_agents.roles import staker_policies
from dtao_agents.roles.episodes import EpisodeMetrics
from dtao_agents.roles.policies import NamedPolicy, Policy, action_generators
from dtao_agents.roles.role import AgentRole, Column, evaluation_split
from dtao_agents.training.networks import SharedActor
from dtao_gym.envs.staker.observation import GLOBAL_FEATURES, SUBNET_FEATURES
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.worlds import Episodes
from dtao_gym.world.parameters import DAYS_PER_YEAR

RESPONSE_DAYS = 364
"""Length of the episodes in which deviations are compared: a year."""


class StakerRole(AgentRole):
    """A TAO holder who chooses a portfolio over root and the subnets.

    Metrics: `log_growth`, log of final over first liquidation wealth; `final_wealth`, TAO; `max_drawdown`, largest fall
    from an earlier high as a share of it; `turnover`, TAO exchanged with pools over liquidation wealth, per year.
    """

    name = "staker"
    members_setting = "stakers"
    plays_prices = True

    scripted = staker_policies.SCRIPTED
    exploits = staker_policies.EXPLOITS
    to_beat = ("random", "all_root", "market_weight")
    tried_deviations = ("all_root", "market_weight", "momentum", "value")

    subnet_features = SUBNET_FEATURES
    global_features = GLOBAL_FEATURES
    signal_can_be_hidden = True
    spaces = "(12 n + 7,) and (n + 2,), those of dtao_gym/Staker-v0 with n subnets"

    metrics = ("log_growth", "final_wealth", "max_drawdown", "turnover")
    columns = (
        Column("final_wealth", ",.0f", "wealth", "wealth"),
        Column("max_drawdown", ".0%", "drawdown", "fall"),
        Column("turnover", ",.0f", "turnover", "turnover"),
    )
    score_form, page_score_form = "+.2f", "+.3f"
    score_unit = "log growth of liquidation wealth in an episode"
    path_label = "log wealth over first wealth, mean"
    report_note = "wealth: TAO at the end. turnover: TAO traded over wealth, a year. learned minus: paired by seed."
    reward_description = "growth of log wealth per year"

    payoff_unit = "log growth a year"
    payoff_caption = "paid: log growth a year; epsilon: the difference of it"

    # ------------------------------------------------------------ policies

    def arena_policies(self) -> dict[str, NamedPolicy]:
        """Return the policies of the arena; `all_root` is the exploits' `do_nothing`."""
        policies = super().arena_policies()
        exploits = {name: policies.pop(name) for name in self.exploits}
        del policies["all_root"]
        bought = {"buy_and_hold": NamedPolicy("scripted", staker_policies.buy_and_hold)}
        return policies | bought | exploits

    # ------------------------------------------------------------ networks and training

    def action_size(self, n_subnets: int, n_actions: int) -> int:
        """Return the size of an action: root, each subnet, and the speed of trade."""
        return n_subnets + 2

    def task_action_size(self, config: Any, n_subnets: int) -> int:
        """Return the size of an action."""
        return n_subnets + 2

    def subnets_of_spaces(self, n_features: int, n_actions: int, twin: bool) -> int | None:
        """Return the number of subnets, which follows from the size of an action."""
        return None if twin else n_actions - 2

    def actor(self, architecture: Any) -> Any:
        """Return the module from observations to mean actions."""
        return SharedActor(architecture) if architecture.is_shared else super().actor(architecture)

    def exploration(self, architecture: Any) -> tuple[int, ...]:
        """Return the groups of actions: root, all subnets and speed in a shared network, else each one."""
        if architecture.is_shared:
            return (1, architecture.n_subnets, 1)
        return super().exploration(architecture)

    def start_actions(self, bias: Any, options: Mapping[str, Any]) -> None:
        """Start at nearly equal weights, traded towards by `speed_init` of the gap in a step."""
        bias[-1] = 2.0 * options["speed_init"] - 1.0

    def policy_options(self, settings: Any, config: Any) -> dict[str, Any]:
        """Return the first speed, from the share of the gap that is closed in a day."""
        left = (1.0 - settings.daily_share_init) ** config.days_per_step
        return {"speed_init": 1.0 - left}

    def without_signal(self, observation: np.ndarray) -> np.ndarray:
        """Return a copy of observations `(rows, size)` in which the features of the public signal are 0."""
        return staker_policies.without_signal(observation)

    # ------------------------------------------------------------ evaluation and reports

    def play_episodes(self, policy: Policy, episodes: Episodes) -> EpisodeMetrics:
        """Play until the horizon; the path is mean log wealth over its start.

        A ruined staker keeps its last values.
        """
        n_seeds, rngs = episodes.n_worlds, action_generators(episodes.batch)
        accounts = episodes.batch.state.stakers
        wealth = np.empty((episodes.max_steps + 1, n_seeds))
        wealth[0] = accounts["wealth"][:, 0]
        traded, lived = np.zeros(n_seeds), np.zeros(n_seeds)
        alive = np.ones(n_seeds, bool)
        for step in range(episodes.max_steps):
            terminated = episodes.step(policy(episodes.observe(), episodes.batch, rngs))[1]
            wealth[step + 1] = np.where(alive, accounts["wealth"][:, 0], wealth[step])
            relative = accounts["traded"][:, 0] / np.maximum(wealth[step], 1e-12)
            traded += np.where(alive, relative, 0.0)
            lived += alive
            alive &= ~terminated
        years = lived * episodes.config.days_per_step / DAYS_PER_YEAR
        growth = np.log(np.maximum(wealth, 1e-12) / wealth[0])
        fall = 1.0 - np.exp((growth - np.maximum.accumulate(growth)).min(axis=0))
        values = (growth[-1], wealth[-1], fall, traded / years)
        return EpisodeMetrics(dict(zip(self.metrics, values, strict=True)), growth.mean(axis=1))

    def days(self, config: Any) -> int:
        """Return the horizon, days."""
        return config.horizon_days

    def report_title(self, verdict: Mapping[str, Any]) -> str:
        """Return the title of a report's table."""
        first, last = verdict["evaluation_seeds"]
        return (
            f"Log growth of wealth in {verdict['days']} days, evaluation seeds {first} to {last}, "
            "95 % intervals"
        )

    def score_label(self, verdict: Mapping[str, Any]) -> str:
        """Return the axis label of the score in a figure."""
        return f"log growth in {verdict['days']} days"

    def path_days(self, verdict: Mapping[str, Any], size: int) -> np.ndarray:
        """Return the days of a path, which end at the horizon: the last step may run past it."""
        return np.linspace(0, verdict["days"], size)

    # ------------------------------------------------------------ best responses

    def response_task(self, config: TaskConfig) -> TaskConfig:
        """Return the task in which deviations are compared: growth over a year."""
        return TaskConfig.make(
            evaluation_split(config), horizon="fixed", horizon_days=RESPONSE_DAYS
        )

    def response_members(self, config: TaskConfig) -> int:
        """Return the number of stakers of the world."""
        return config.n_stakers

    def deviation_size(self, n_actions: int) -> int:
        """Return the number of parameters: root, speed, a constant and a slope per feature for subnets."""
        return len(SUBNET_FEATURES) + 3

    def linear_deviation(
        self, parameters: np.ndarray, observation: np.ndarray, n_subnets: int, n_actions: int
    ) -> np.ndarray:
        """Return actions in which the logit of each subnet is the same linear function of its features."""
        subnets = observation[:, : -len(GLOBAL_FEATURES)]
        subnets = subnets.reshape(len(observation), n_subnets, -1)
        root, speed, slopes = parameters[:, :1], parameters[:, 1:2], parameters[:, None, 2:]
        logits = linear_policy(slopes, subnets)[..., 0]
        return np.clip(np.concatenate([root, logits, speed], axis=1), -1, 1)

    def payoff(self, rewards: np.ndarray, config: TaskConfig, max_steps: int) -> np.ndarray:
        """Return log growth per year."""
        return rewards * (DAYS_PER_YEAR / (max_steps * config.days_per_step))


class ReplayRole(StakerRole):
    """A staker on a real price path: networks and files of `StakerRole`, evaluated by a back-test."""

    name = "replay"
    card_name = "staker"
    members_setting = None
    trains_on_prices = True
    reward_description = "growth of log wealth per year, on real prices"


STAKER, REPLAY = StakerRole(), ReplayRole()
