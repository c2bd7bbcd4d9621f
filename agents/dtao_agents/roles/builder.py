"""The agent role of builders, the owners of subnets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.cem import linear_policy
from dtao_agents.equilibrium.game import log_odds
from dtao_agents.equilibrium.nash import NashSettings, identified_set, solve
from dtao_agents.evaluation.statistics import bootstrap, span
from dtao_agents.roles import builder_policies
from dtao_agents.roles.builder_policies import closed_form_logit
from dtao_agents.roles.episodes import EpisodeMetrics
from dtao_agents.roles.policies import Policy, action_generators
from dtao_agents.roles.role import AgentRole, Column, evaluation_split
from dtao_gym.envs.builder.actions import action_size, builder_action, research_share_of
from dtao_gym.envs.builder.observation import MARKET_FEATURES, OWN_FEATURES, RIVAL_FEATURES
from dtao_gym.envs.builder.twin import TWIN_FEATURES
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.worlds import Episodes

TOLERANCE = 0.2
"""Distance in log-odds below which a learned research share counts as equal to the closed form."""
FEEDBACK = ("short_stock_log", "knowledge_log", "momentum_long", "prune_margin")
"""Own features that linear deviations react to."""
RESPONSE_STARTS = (0.1, 0.5, 0.9, 0.02, 0.98, 0.3)
"""First research shares of fresh best responses."""


class BuilderRole(AgentRole):
    """A subnet owner who divides the budget of its team.

    Metrics: `consumption`, TAO; `research_share`, mean over its decisions; `days` until its end; `dissolved`, 0 or 1.
    """

    name = "builder"
    members_setting = "builders"
    owns_slot = True

    scripted = builder_policies.SCRIPTED
    exploits = builder_policies.EXPLOITS
    ceilings = frozenset({"closed_form"})
    needs_all_decisions = frozenset({"register_to_be_dissolved"})
    to_beat = ("random", "all_short", "all_long", "myopic", "as_configured")
    tried_deviations = ("as_configured", "myopic", "closed_form", "all_long")

    subnet_features = RIVAL_FEATURES
    global_features = (*OWN_FEATURES, *MARKET_FEATURES)
    critic_features = TWIN_FEATURES
    action_sizes = (1, 2, 4)
    has_linear_critic = True
    spaces = "(6 n + 26,) and (1,), (2,) or (4,), those of dtao_gym/Builder-v0 (with its twin, and twin=True: 6 n + 32)"

    metrics = ("consumption", "research_share", "days", "dissolved")
    columns = (
        Column("research_share", ".3f", "research", "research"),
        Column("days", ",.0f", "days", "days"),
        Column("dissolved", ".0%", "dissolved", "died"),
    )
    score_form = page_score_form = ",.0f"
    score_unit = "TAO consumed until a drawn end"
    path_label = "consumed so far, TAO, mean"
    report_note = (
        "research: share of research, mean. learned minus: paired by seed. "
        "closed_form and myopic know the technology."
    )
    reward_description = "consumption over its scale, per year"

    payoff_unit = "TAO, gains relative to it"
    payoff_caption = "paid: TAO consumed; epsilon: relative to it; r: research share, and the set that epsilon leaves open"

    # ------------------------------------------------------------ networks and training

    def takes_all_decisions(self, config: TaskConfig) -> bool:
        """Return whether the builder decides on spending and sales too."""
        return config.builder_decides == "all"

    def observed_subnets(self, n_subnets: int) -> int:
        """Return the number of rivals."""
        return n_subnets - 1

    def task_action_size(self, config: TaskConfig, n_subnets: int) -> int:
        """Return the size of an action in a task."""
        return action_size(config)

    def valued_entries(self, architecture: Any) -> list[int]:
        """Return the entries of an observation that the value is linear in: own and market features.

        With a twin these are the lead of the own stocks, and the ability that more of it will be made with.
        """
        first = architecture.n_seen * architecture.n_local
        size = architecture.observation_size
        if not architecture.n_extra:
            return list(range(first, size))
        ability = first + OWN_FEATURES.index("ability")
        return [ability, *range(size, size + architecture.n_extra)]

    def policy_options(self, settings: Any, config: TaskConfig) -> dict[str, Any]:
        """Return first actions as configured but for research (`research_share_init`), and the linear critic."""
        action = builder_action(config, settings.research_share_init)
        return {"action_init": action, "twin": config.twin_world, "linear_critic": True}

    def members(self, wanted: bool) -> Any:
        """Return all owners, or nobody."""
        return "all" if wanted else ()

    # ------------------------------------------------------------ evaluation and reports

    def evaluation_task(self, config: TaskConfig) -> TaskConfig:
        """Return the task of evaluation: consumption until an end drawn by the social discount.

        Discounts, noise and twins of training rewards do not count.
        """
        changes = {"terminal_value": False, "reward_noise": False, "twin_world": False}
        return self.task(TaskConfig.make(evaluation_split(config), horizon="geometric", **changes))

    def play_episodes(self, policy: Policy, episodes: Episodes) -> EpisodeMetrics:
        """Play until the drawn end or the dissolution of the subnet; the path is mean consumption so far."""
        config, n_seeds = episodes.config, episodes.n_worlds
        rngs = action_generators(episodes.batch)
        consumed, shares, lived, days, dissolved = np.zeros((5, n_seeds))
        alive, path = np.ones(n_seeds, bool), [0.0]
        while alive.any():
            actions = policy(episodes.observe(), episodes.batch, rngs)
            reward, terminated, _ = episodes.step(actions)
            consumed += alive * reward * config.consumption_scale_tao
            shares += alive * research_share_of(config, actions)
            lived += alive
            info = episodes.info()
            days[alive], dissolved[alive] = info["day"][alive], info["pruned"][alive]
            alive &= ~terminated
            path.append(consumed.mean())
        values = (consumed, shares / lived, days, dissolved)
        return EpisodeMetrics(dict(zip(self.metrics, values, strict=True)), np.array(path))

    def days(self, config: TaskConfig) -> int:
        """Return the longest life, days."""
        return config.horizon_cap_days

    def has_closed_form(self, config: TaskConfig) -> bool:
        """Return whether pay is by fees, without treasuries."""
        return config.payment == "fee" and not config.finance

    def analyse(self, metrics: EpisodeMetrics, config: TaskConfig) -> dict[str, Any]:
        """Return the learned research share, mean over all decisions, and where there is one its closed form."""
        values = metrics.values
        share = float(np.average(values["research_share"], weights=values["days"]))
        logit = float(np.log(share / (1.0 - share)))
        research: dict[str, Any] = {"share": share, "logit": logit}
        if self.has_closed_form(config):
            best = closed_form_logit(config)
            research |= {
                "closed_form_share": 1.0 / (1.0 + np.exp(-best)),
                "closed_form_logit": best,
                "difference": logit - best,
                "within_tolerance": abs(logit - best) < TOLERANCE,
            }
        return {"research": research}

    def report_title(self, verdict: Mapping[str, Any]) -> str:
        """Return the title of a report's table."""
        first, last = verdict["evaluation_seeds"]
        return (
            f"Consumption, TAO, until a drawn end, evaluation seeds {first} to {last}, "
            "95 % intervals"
        )

    def score_label(self, verdict: Mapping[str, Any]) -> str:
        """Return the axis label of the score in a figure."""
        return "consumption until a drawn end, TAO"

    def analysis_lines(self, verdict: Mapping[str, Any]) -> list[str]:
        """Return the learned research share and its distance from the closed form."""
        research = verdict["research"]
        text = (
            f"learned research share: {research['share']:.3f} (log-odds {research['logit']:+.3f})"
        )
        if "difference" not in research:
            return [text]
        answer = "yes" if research["within_tolerance"] else "NO"
        best = f"{research['closed_form_share']:.3f} ({research['closed_form_logit']:+.3f})"
        return [
            f"{text}; closed form {best}",
            f"within {TOLERANCE} of the closed form in log-odds: {answer} "
            f"(difference {research['difference']:+.3f})",
        ]

    def closed_form_sentence(self, name: str, analyses: Sequence[Mapping[str, Any]]) -> str:
        """Return the learned research shares of all training seeds and their distance from the closed form."""
        research = [each["research"] for each in analyses]
        gaps = np.array([each["difference"] for each in research])
        shares = ", ".join(f"{each['share']:.3f}" for each in research)
        within = sum(bool(each["within_tolerance"]) for each in research)
        return (
            f"{name}: the best research share is {research[0]['closed_form_share']:.3f} in closed form. Learned: {shares} by "
            f"training seed; in log-odds {span(bootstrap(gaps), '+.3f')} from it on average, "
            f"{within} of {len(research)} within {TOLERANCE}."
        )

    # ------------------------------------------------------------ best responses

    def response_task(self, config: TaskConfig) -> TaskConfig:
        """Return the task in which deviations are compared: a drawn life."""
        return TaskConfig.make(evaluation_split(config), horizon="geometric", terminal_value=False)

    def response_settings(self, start: int) -> dict[str, Any]:
        """Return the first research share of a fresh best response."""
        return {"research_share_init": RESPONSE_STARTS[start % len(RESPONSE_STARTS)]}

    def deviation_size(self, n_actions: int) -> int:
        """Return the number of parameters: for each action a constant and a slope for each of `FEEDBACK`."""
        return n_actions * (1 + len(FEEDBACK))

    def linear_deviation(
        self, parameters: np.ndarray, observation: np.ndarray, n_subnets: int, n_actions: int
    ) -> np.ndarray:
        """Return actions that are linear in `FEEDBACK`."""
        first = len(RIVAL_FEATURES) * (n_subnets - 1)
        seen = observation[:, [first + OWN_FEATURES.index(name) for name in FEEDBACK]]
        return linear_policy(parameters, seen, n_actions)

    def payoff(self, rewards: np.ndarray, config: TaskConfig, max_steps: int) -> np.ndarray:
        """Return consumption, TAO."""
        return rewards * config.consumption_scale_tao

    def payoff_scale(self, usual: np.ndarray) -> float:
        """Return the mean consumption: gains are relative to it."""
        return float(usual.mean())

    def tracked(self, batch: Any) -> np.ndarray:
        """Return the mean research share of all builders."""
        return batch.state.row("research_share").mean(axis=1)

    def analyse_response(
        self,
        settings: Any,
        statistic: float,
        epsilon: Mapping[str, float],
        progress: Callable[[str], Any],
    ) -> dict[str, Any]:
        """Return the research share, its identified set, and the equilibrium in constant shares.

        Entries: `research_share`; `identified_set` at epsilon; `nash`, None where none is solved for.
        """
        record: dict[str, Any] = {
            "research_share": statistic,
            "identified_set": identified_set(statistic, min(epsilon["value"], 1.0)),
        }
        if not settings.response.nash_seeds:
            return record | {"nash": None}
        progress("builder: solving the game of constant shares")
        drawn = {"horizon": "geometric", "terminal_value": False, "n_stakers": 0}
        config = TaskConfig.make(settings.env, **drawn)
        seeds = range(settings.response.nash_seeds)
        solved = solve(BuilderGame(config, seeds, threads=settings.threads), 0.3, NashSettings())
        place = None if solved.interval is None else solved.interval._asdict()
        nash = {"verdict": solved.verdict, "share": solved.research_share, "log_odds": place}
        if solved.research_share is not None:
            nash["difference"] = float(log_odds(statistic) - log_odds(solved.research_share))
        return record | {"nash": nash}

    def response_sentence(self, record: Mapping[str, Any]) -> str:
        """Return the research share, its identified set, and the equilibrium in constant shares."""
        low, high = record["identified_set"]
        text = f" Research share {record['research_share']:.3f}, identified within [{low:.3f}, {high:.3f}]."
        nash = record["nash"]
        if nash is None:
            return text
        if nash["share"] is None:
            return f"{text} Equilibrium in constant shares: {nash['verdict']}."
        return f"{text} Equilibrium in constant shares: {nash['share']:.3f} ({nash['verdict']})."

    def response_cell(self, record: Mapping[str, Any]) -> tuple[str, str]:
        """Return the research share and its identified set."""
        low, high = record["identified_set"]
        return "r", f"{record['research_share']:.3f} [{low:.3f}, {high:.3f}]"

    def response_lines(self, record: Mapping[str, Any]) -> str:
        """Return the equilibrium in constant shares, in words."""
        nash = record["nash"]
        if nash is None or nash["share"] is None:
            return ""
        low, high = (1.0 / (1.0 + np.exp(-nash["log_odds"][end])) for end in ("low", "high"))
        return (
            "The game of constant shares, without learning stakers (`agents/dtao_agents/equilibrium/nash.py`): "
            f"r {nash['share']:.3f} [{low:.3f}, {high:.3f}], {nash['verdict']}."
        )


BUILDER = BuilderRole()
