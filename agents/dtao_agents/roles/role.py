"""The interface of an agent role.

An agent role is the learning side of a role of the environment (`dtao_gym.envs.role.Role`): the policies it is compared
with, how it is evaluated and reported, its networks, and how deviations from it are searched for. Code outside of
`dtao_agents.roles` asks the object and never looks at its name. A new role is a subclass in a module of its own, made
known by `dtao_agents.roles.registry.register_agent_role`, or named in settings by its import path,
``role: "package.module:OBJECT"``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from dtao_agents.roles.episodes import EpisodeMetrics, play_for_reward, started_episodes
from dtao_agents.roles.policies import NamedPolicy, Policy
from dtao_agents.training.networks import MlpActor, PooledActor
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.config import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from dtao_agents.training.architecture import Architecture
    from dtao_agents.training.networks import Actor


class Column(NamedTuple):
    """A column of a table of policies.

    Attributes
    ----------
    metric : str
        The metric whose mean is shown.
    form : str
        Format specification of the number.
    heading, short : str
        Headings on the terminal, and on the results page, which is narrower.
    """

    metric: str
    form: str
    heading: str
    short: str


def evaluation_split(config: Any) -> TaskConfig:
    """Return a task with the worlds of evaluation: the seeds 0, 1, ... of the evaluation split."""
    return TaskConfig.make(config, split="evaluation", world_seed=0)


class AgentRole:
    """All that agents' code needs to know of a role. Class attributes and methods here are defaults.

    Attributes
    ----------
    name : str
        Name of the environment role.
    card_name : str
        Role that a policy's file states; roles with the same networks share it. By default `name`.
    members_setting : str, optional
        Field of `MultiAgentConfig` that says which members learn together; None: the role learns alone.
    owns_slot : bool
        Whether the learner takes the place of a subnet owner of the world.
    plays_prices : bool
        Whether policies can be back-tested on real prices.
    trains_on_prices : bool
        Whether the training environment is a replay of real prices.

    scripted : mapping
        Baselines by name, which `evaluate` compares a learned policy with.
    exploits : mapping
        Policies that try to earn without contributing anything, for the arena.
    ceilings : frozenset
        Names of scripted policies that use hidden information: upper bounds.
    needs_all_decisions : frozenset
        Names of policies that are played only where the role takes all of its decisions.
    to_beat : tuple of str
        Scripted policies that a report compares the learned one with, in words.
    tried_deviations : tuple of str
        Scripted policies tried as best responses.

    subnet_features, global_features : tuple of str
        Features of an observation: of each observed subnet, and the rest.
    critic_features : tuple of str
        Features behind them that the critic alone observes, in training with `twin=True`.
    action_sizes : tuple of int
        Possible sizes of an action; empty where the size follows from the number of subnets.
    has_linear_critic : bool
        Whether the value is linear in `valued_entries`, so that `LinearCriticPPO` can solve for it.
    signal_can_be_hidden : bool
        Whether the role can learn without the public signal (`observe_signal: false`).
    spaces : str
        Shapes of its spaces, for error messages.

    metrics : tuple of str
        Recorded of each episode; the first one is the score by which policies are compared.
    columns : tuple of Column
        The further metrics in tables.
    score_form, page_score_form : str
        Formats of the score on the terminal and on the results page.
    score_unit, path_label, report_note : str
        Words for the score, for the path of a figure, and below the table of a report.
    reward_description : str
        Label of learning curves.

    payoff_unit, payoff_caption : str
        Words for payoffs of best responses, on the terminal and on the results page.
    """

    name: ClassVar[str]
    card_name: ClassVar[str]
    members_setting: ClassVar[str | None] = None
    owns_slot: ClassVar[bool] = False
    plays_prices: ClassVar[bool] = False
    trains_on_prices: ClassVar[bool] = False

    scripted: Mapping[str, Policy] = {}
    exploits: Mapping[str, Policy] = {}
    ceilings: ClassVar[frozenset[str]] = frozenset()
    needs_all_decisions: ClassVar[frozenset[str]] = frozenset()
    to_beat: ClassVar[tuple[str, ...]] = ()
    tried_deviations: ClassVar[tuple[str, ...]] = ()

    subnet_features: ClassVar[tuple[str, ...]] = ()
    global_features: ClassVar[tuple[str, ...]] = ()
    critic_features: ClassVar[tuple[str, ...]] = ()
    action_sizes: ClassVar[tuple[int, ...]] = ()
    has_linear_critic: ClassVar[bool] = False
    signal_can_be_hidden: ClassVar[bool] = False
    spaces: ClassVar[str] = ""

    metrics: ClassVar[tuple[str, ...]] = ("total_reward", "days")
    columns: ClassVar[tuple[Column, ...]] = (Column("days", ",.0f", "days", "days"),)
    score_form: ClassVar[str] = "+.3f"
    page_score_form: ClassVar[str] = "+.3f"
    score_unit: ClassVar[str] = "sum of rewards in an episode"
    path_label: ClassVar[str] = "sum of rewards so far, mean"
    report_note: ClassVar[str] = "learned minus: paired by seed."
    reward_description: ClassVar[str] = "reward per year"

    payoff_unit: ClassVar[str] = "sum of rewards"
    payoff_caption: ClassVar[str] = "paid: sum of rewards; epsilon: the difference of it"

    def __init_subclass__(cls, **arguments: Any):
        super().__init_subclass__(**arguments)
        if "name" in cls.__dict__ and "card_name" not in cls.__dict__:
            cls.card_name = cls.name

    @property
    def score(self) -> str:
        """The metric by which policies are compared."""
        return self.metrics[0]

    # ------------------------------------------------------------ policies

    def arena_policies(self) -> dict[str, NamedPolicy]:
        """Return the policies that need no file and play the arena, by name."""
        scripted = {
            name: NamedPolicy("ceiling" if name in self.ceilings else "scripted", policy)
            for name, policy in self.scripted.items()
        }
        exploits = {name: NamedPolicy("exploit", it) for name, it in self.exploits.items()}
        return scripted | exploits

    def takes_all_decisions(self, config: Any) -> bool:
        """Return whether a task asks for all decisions that the role can take."""
        return True

    # ------------------------------------------------------------ networks

    def observed_subnets(self, n_subnets: int) -> int:
        """Return the number of subnets that an observation describes one by one."""
        return n_subnets

    def action_size(self, n_subnets: int, n_actions: int) -> int:
        """Return the size of an action; `n_actions` is the one that an architecture states."""
        return n_actions

    def task_action_size(self, config: Any, n_subnets: int) -> int:
        """Return the size of an action in a task."""
        return self.action_sizes[0]

    def subnets_of_spaces(self, n_features: int, n_actions: int, twin: bool) -> int | None:
        """Return the number of subnets of spaces with these lengths; None where they are not of this role.

        `twin`: observations end with `critic_features`. Callers check that the lengths fit the number.
        """
        if n_actions not in self.action_sizes or (twin and not self.critic_features):
            return None
        n_local = len(self.subnet_features)
        fixed = self.observed_subnets(1) * n_local + len(self.global_features)
        fixed += len(self.critic_features) if twin else 0
        return 1 + (n_features - fixed) // max(n_local, 1)

    def actor(self, architecture: Architecture) -> Actor:
        """Return the module from observations to mean actions."""
        if architecture.network == "mlp":
            sizes = architecture.observation_size, architecture.hidden, architecture.action_size
            return MlpActor(*sizes)
        return PooledActor(architecture)

    def valued_entries(self, architecture: Architecture) -> list[int]:
        """Return the entries of an observation that a linear critic takes, where the role has one."""
        raise NotImplementedError(f"{self.name}: has no linear critic")

    def exploration(self, architecture: Architecture) -> tuple[int, ...]:
        """Return how many actions, in their order, share one standard deviation of exploration each."""
        return (1,) * architecture.action_size

    def start_actions(self, bias: Tensor, options: Mapping[str, Any]) -> None:
        """Write the first actions of an untrained policy into the bias of its last layer.

        `options` are the arguments of `SubnetPolicy`; called without gradients.
        """
        if options["action_init"] is not None:
            bias[:] = bias.new_tensor(options["action_init"])

    # ------------------------------------------------------------ training

    def task(self, config: Any) -> Any:
        """Return the checked configuration of training. Raises ConfigError."""
        return role_named(self.name).task(config)

    def check_settings(self, settings: Any) -> None:
        """Raise ConfigError where settings of a training run do not fit the role."""
        if not settings.observe_signal and not self.signal_can_be_hidden:
            raise ConfigError(f"observe_signal: got False, allowed is True for {self.name}s")

    def policy_options(self, settings: Any, config: Any) -> dict[str, Any]:
        """Return the arguments of `SubnetPolicy` that depend on the role, from `LearnerSettings` and the task."""
        return {}

    def without_signal(self, observation: np.ndarray) -> np.ndarray:
        """Return a copy of observations `(rows, size)` in which the features of the public signal are 0."""
        raise NotImplementedError(f"{self.name}: cannot learn without the signal")

    def members(self, wanted: Any) -> Any:
        """Return members of each world, as the environment role takes them, from `members_setting`'s value."""
        return wanted

    # ------------------------------------------------------------ evaluation

    def evaluation_task(self, config: Any) -> Any:
        """Return the task of evaluation: the same world on the seeds 0, 1, ... of the evaluation split."""
        return self.task(evaluation_split(config))

    def play(self, policy: Policy, config: Any, seeds: range, threads: int = 1) -> EpisodeMetrics:
        """Play one episode on each seed, all in one batch, in a world of `evaluation_task`."""
        episodes = started_episodes(self.name, config, seeds, threads)
        return self.play_episodes(policy, episodes)

    def play_episodes(self, policy: Policy, episodes: Any) -> EpisodeMetrics:
        """Play started episodes to their end and return the `metrics`."""
        return play_for_reward(policy, episodes)

    def analyse(self, metrics: EpisodeMetrics, config: Any) -> dict[str, Any]:
        """Return further results on a learned policy, JSON values by the key of evaluation.json they go to."""
        return {}

    def has_closed_form(self, config: Any) -> bool:
        """Return whether the optimal decision in a task is known in closed form."""
        return False

    # ------------------------------------------------------------ reports

    def days(self, config: Any) -> int:
        """Return the longest episode, days."""
        return config.horizon_days if config.horizon == "fixed" else config.horizon_cap_days

    def report_title(self, verdict: Mapping[str, Any]) -> str:
        """Return the title of the table of a report, of the content of evaluation.json."""
        first, last = verdict["evaluation_seeds"]
        return f"{self.score_unit[:1].upper()}{self.score_unit[1:]}, evaluation seeds {first} to {last}, 95 % intervals"

    def score_label(self, verdict: Mapping[str, Any]) -> str:
        """Return the axis label of the score in a figure."""
        return self.score_unit

    def path_days(self, verdict: Mapping[str, Any], size: int) -> np.ndarray:
        """Return the days of a path of `size` points."""
        return verdict["days_per_step"] * np.arange(size)

    def analysis_lines(self, verdict: Mapping[str, Any]) -> list[str]:
        """Return lines of a report on the results of `analyse`."""
        return []

    def closed_form_sentence(self, name: str, analyses: Sequence[Mapping[str, Any]]) -> str:
        """Return the comparison of a row of the results page with the closed form.

        `analyses` are results of `analyse`, by training seed.
        """
        raise NotImplementedError(f"{self.name}: has no closed form")

    # ------------------------------------------------------------ best responses

    def response_task(self, config: TaskConfig) -> TaskConfig:
        """Return the task in which deviations are compared."""
        return self.evaluation_task(config)

    def response_members(self, config: TaskConfig) -> Any:
        """Return the members of each world whose policies are frozen, one of whom deviates."""
        return role_named(self.name).default_members

    def response_settings(self, start: int) -> dict[str, Any]:
        """Return the `LearnerSettings` that the `start`-th fresh best response changes."""
        return {}

    def deviation_size(self, n_actions: int) -> int:
        """Return the number of parameters of a `linear_deviation`."""
        return n_actions

    def linear_deviation(
        self, parameters: np.ndarray, observation: np.ndarray, n_subnets: int, n_actions: int
    ) -> np.ndarray:
        """Return actions `(rows, n_actions)` of parameters `(rows, k)`.

        By default constants; roles may add linear feedback.
        """
        return np.clip(parameters, -1.0, 1.0)

    def payoff(self, rewards: np.ndarray, config: TaskConfig, max_steps: int) -> np.ndarray:
        """Return payoffs in `payoff_unit` from sums of rewards `(n_seeds,)`."""
        return rewards

    def payoff_scale(self, usual: np.ndarray) -> float:
        """Return the payoff that gains are divided by, from the payoffs without a deviation."""
        return 1.0

    def tracked(self, batch: Any) -> np.ndarray | None:
        """Return a statistic `(n_worlds,)` of the present decisions, averaged over an episode; None: none."""
        return None

    def analyse_response(
        self,
        settings: Any,
        statistic: float,
        epsilon: Mapping[str, float],
        progress: Callable[[str], Any],
    ) -> dict[str, Any]:
        """Return further entries of exploitability.json, from the mean of `tracked` and the exploitability."""
        return {}

    def response_sentence(self, record: Mapping[str, Any]) -> str:
        """Return the verdict on `analyse_response` in words, from an entry of exploitability.json."""
        return ""

    def response_cell(self, record: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return heading and content of a further cell of the exploitability table; None: none."""
        return None

    def response_lines(self, record: Mapping[str, Any]) -> str:
        """Return a closing paragraph of the exploitability section; empty: none."""
        return ""
