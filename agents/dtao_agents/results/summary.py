"""Summary of all scores: learned policies against others, by training seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.evaluation.arena import Scenario, Score
from dtao_agents.evaluation.statistics import Estimate, bootstrap
from dtao_agents.results.plan import Comparison, ResultsPlan
from dtao_agents.roles.episodes import EpisodeMetrics
from dtao_agents.roles.registry import agent_role

PLAN_HASH = "plan with all files it names, SHA-256"
"""Name of a fact."""


class Verdict(NamedTuple):
    """Learned policies of a row against the others of a scenario.

    Attributes
    ----------
    row : str
        Name of the row.
    learned : Estimate
        Mean over training seeds.
    best : str
        Name of the best policy that is neither learned nor a ceiling.
    minus_best : Estimate
        Learned less that policy.
    not_beaten : list of str
        All such policies whose paired lower bound is not above 0.
    """

    row: str
    learned: Estimate
    best: str
    minus_best: Estimate
    not_beaten: list[str]


class Paired(NamedTuple):
    """Two rows compared at home, in the score of their role, paired by training seed."""

    first: Estimate
    second: Estimate
    difference: Estimate
    better: str


@dataclass(frozen=True)
class Results:
    """The content of RESULTS.md.

    Attributes
    ----------
    plan : ResultsPlan
    homes : mapping of Scenario
        Scenario of each row in which its policies are evaluated first: the world of training.
    arena : sequence of Scenario
        The other scenarios.
    scores : sequence of Score
        Scores of every policy in every scenario that it fits.
    records : mapping of list
        Records of the trainings of each row, in the order of the training seeds.
    facts : mapping of str
        Command, versions, hashes.
    """

    plan: ResultsPlan
    homes: Mapping[str, Scenario]
    arena: Sequence[Scenario]
    scores: Sequence[Score]
    records: Mapping[str, list[dict[str, Any]]]
    facts: Mapping[str, str]

    def of(self, scenario: Scenario) -> list[Score]:
        """Return the scores of one scenario."""
        return [score for score in self.scores if score.scenario == scenario.name]

    def others(self, scenario: Scenario) -> dict[str, Score]:
        """Return the policies that did not learn, by name, best first."""
        metric = agent_role(scenario.role).score
        scores = [score for score in self.of(scenario) if score.kind != "learned"]
        scores.sort(key=lambda score: -score.values[metric].mean())
        return {score.policy: score for score in scores}

    def learned_rows(self, scenario: Scenario) -> list[str]:
        """Return the rows whose policies played in a scenario."""
        rows = [score.policy for score in self.of(scenario) if score.kind == "learned"]
        return list(dict.fromkeys(rows))

    def by_training_seed(self, scenario: Scenario, row: str, metric: str = "") -> np.ndarray:
        """Return means over evaluation seeds, one for each training seed in the order of the plan.

        By default of the score of the role.
        """
        metric = metric or agent_role(scenario.role).score
        means = {
            score.training_seed: float(score.values[metric].mean())
            for score in self.of(scenario)
            if score.policy == row
        }
        return np.array([means[seed] for seed in self.plan.training_seeds])

    def minus(self, scenario: Scenario, row: str, other: str) -> Estimate:
        """Return learned less another policy on the same evaluation seeds, over training seeds."""
        reference = self.others(scenario)[other].values[agent_role(scenario.role).score].mean()
        return bootstrap(self.by_training_seed(scenario, row) - reference)

    def verdict(self, scenario: Scenario, row: str) -> Verdict:
        """Compare the learned policies of a row with the others; ceilings need not be beaten."""
        to_beat = [n for n, score in self.others(scenario).items() if score.kind != "ceiling"]
        differences = {name: self.minus(scenario, row, name) for name in to_beat}
        return Verdict(
            row,
            bootstrap(self.by_training_seed(scenario, row)),
            to_beat[0],
            differences[to_beat[0]],
            [name for name, estimate in differences.items() if not estimate.low > 0.0],
        )

    def paired(self, pair: Comparison) -> Paired:
        """Compare the rows of a pair."""
        first, second = (
            self.by_training_seed(self.homes[row], row) for row in (pair.first, pair.second)
        )
        difference = bootstrap(first - second)
        better = "no difference shown"
        if difference.low > 0.0:
            better = pair.first
        if difference.high < 0.0:
            better = pair.second
        return Paired(bootstrap(first), bootstrap(second), difference, better)

    def analyses(self, row: str) -> list[dict[str, Any]]:
        """Return `AgentRole.analyse` of the learned policy of each training seed, at home."""
        home = self.homes[row]
        role = agent_role(home.role)
        return [
            role.analyse(EpisodeMetrics(score.values, np.zeros(1)), home.config)
            for score in self.of(home)
            if score.policy == row
        ]

    def to_record(self) -> dict[str, Any]:
        """Return the content of results.json."""
        verdicts = {
            scenario.name: [
                self.verdict(scenario, row)._asdict() for row in self.learned_rows(scenario)
            ]
            for scenario in (*self.homes.values(), *self.arena)
        }
        means = [
            {
                **{name: getattr(score, name) for name in Score._fields[:-1]},
                **{name: float(values.mean()) for name, values in score.values.items()},
            }
            for score in self.scores
        ]
        return {
            "facts": dict(self.facts),
            "plan": self.plan.model_dump(mode="json"),
            "trainings": dict(self.records),
            "scores": means,
            "verdicts": verdicts,
            "comparisons": {
                pair.name: self.paired(pair)._asdict() for pair in self.plan.comparisons
            },
        }
