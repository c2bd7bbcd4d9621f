"""What the scores say: learned against the others, by training seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.evaluation.arena import Scenario, Score, main_metric
from dtao_agents.evaluation.evaluate import Outcome, research_of
from dtao_agents.evaluation.statistics import Estimate, bootstrap
from dtao_agents.results.plan import Comparison, ResultsPlan

PLAN_HASH = "plan with all files it names, SHA-256"
"""Name of a fact."""


class Verdict(NamedTuple):
    """Learned policies of a row against the others of a scenario.

    Attributes:
        row: name of the row.
        learned: mean over training seeds.
        best: name of the best policy that is neither learned nor a ceiling.
        minus_best: learned less that policy.
        not_beaten: all such policies whose paired lower bound is not above 0.
    """

    row: str
    learned: Estimate
    best: str
    minus_best: Estimate
    not_beaten: list[str]


class Paired(NamedTuple):
    """Two rows against each other, paired by training seed: at home, in the metric of their role."""

    first: Estimate
    second: Estimate
    difference: Estimate
    better: str


@dataclass(frozen=True)
class Findings:
    """All that RESULTS.md tells.

    Attributes:
        plan: what was asked for.
        homes: scenario of each row in which its policies are judged.
        arena: the other scenarios.
        scores: of every policy in every scenario that it fits.
        records: of the trainings of each row, in the order of the training seeds.
        facts: about how it was made.
    """

    plan: ResultsPlan
    homes: Mapping[str, Scenario]
    arena: Sequence[Scenario]
    scores: Sequence[Score]
    records: Mapping[str, list[dict[str, Any]]]
    facts: Mapping[str, str]

    def of(self, scenario: Scenario) -> list[Score]:
        """The scores of one scenario."""
        return [score for score in self.scores if score.scenario == scenario.name]

    def others(self, scenario: Scenario) -> dict[str, Score]:
        """Policies that did not learn, by name, best first."""
        main = main_metric(scenario.role)
        found = [score for score in self.of(scenario) if score.kind != "learned"]
        found.sort(key=lambda score: -score.values[main].mean())
        return {score.policy: score for score in found}

    def learned_rows(self, scenario: Scenario) -> list[str]:
        """Rows whose policies played there."""
        found = [score.policy for score in self.of(scenario) if score.kind == "learned"]
        return list(dict.fromkeys(found))

    def by_training_seed(self, scenario: Scenario, row: str, metric: str = "") -> np.ndarray:
        """Means over evaluation seeds, one for each training seed in the order of the plan."""
        metric = metric or main_metric(scenario.role)
        found = {
            score.training_seed: float(score.values[metric].mean())
            for score in self.of(scenario)
            if score.policy == row
        }
        return np.array([found[seed] for seed in self.plan.training_seeds])

    def minus(self, scenario: Scenario, row: str, other: str) -> Estimate:
        """Learned less another policy on the same evaluation seeds; the interval is over training seeds."""
        reference = self.others(scenario)[other].values[main_metric(scenario.role)].mean()
        return bootstrap(self.by_training_seed(scenario, row) - reference)

    def verdict(self, scenario: Scenario, row: str) -> Verdict:
        """Whether the learned policies of a row beat the others; ceilings need not be beaten."""
        to_beat = [n for n, score in self.others(scenario).items() if score.kind != "ceiling"]
        found = {name: self.minus(scenario, row, name) for name in to_beat}
        return Verdict(
            row,
            bootstrap(self.by_training_seed(scenario, row)),
            to_beat[0],
            found[to_beat[0]],
            [name for name, estimate in found.items() if not estimate.low > 0.0],
        )

    def paired(self, pair: Comparison) -> Paired:
        """The rows of a comparison."""
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

    def research(self, row: str) -> list[dict[str, Any]]:
        """The learned research share of each training seed, beside the closed form where there is one."""
        home = self.homes[row]
        return [
            research_of(Outcome(score.values, np.zeros(1)), home.config)
            for score in self.of(home)
            if score.policy == row
        ]

    def to_record(self) -> dict[str, Any]:
        """The same for machines."""
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
