"""Execution of a configuration: every case by every learner from every start."""

import importlib.metadata
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import dtao_gym
from dtao_agents.files import write_atomically
from dtao_agents.oracles.learned import builders, learners, project
from dtao_agents.oracles.learned.settings import FOLDER, PROBLEMS, Case, OracleSettings
from dtao_agents.oracles.table import (
    NUMBER_TOLERANCE,
    NUMBERS,
    OracleCheck,
    number_check,
    share_check,
)

PACKAGES = ("numpy", "stable-baselines3", "torch")
"""Packages whose versions are recorded with the results."""
PORTFOLIO_TOLERANCE = 0.05
"""Tolerance of a part of wealth, absolute."""
VALUE_TOLERANCE = 0.01
"""Tolerance of the value of a project, relative."""


@dataclass(frozen=True)
class LearnedNumber:
    """A learned number, compared with the expected one.

    Attributes
    ----------
    check : OracleCheck
        The comparison.
    algorithm : {"ppo", "cem"}
        Learner.
    start : float or tuple of float
        Initial decision.
    seed : int
        Seed of the learner: the index of `start` in the configuration.
    seconds : float
        Duration of the run, which may have learned other numbers too.
    """

    check: OracleCheck
    algorithm: str
    start: Any
    seed: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """Entry of the results file."""
        return {
            **asdict(self.check),
            "got": float(f"{self.check.got:.9g}"),
            "holds": self.check.ok,
            "algorithm": self.algorithm,
            "start": self.start,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
        }


def check_learned(id: str, setting: str, expected: float, got: float) -> OracleCheck:
    """Compare a learned number with the expected one by the tolerance of its quantity.

    Research shares are compared in log-odds; parts of wealth absolutely; the value of a project by 1 %, and the states
    in which it is started exactly; all other numbers by 2 %, and a zero by 2 % of the number before it in the table.
    """
    is_research_share = id in ("calibration", "O6", "O7") or (id == "O24" and ", r:" in setting)
    if is_research_share:
        return share_check(id, setting, "L", expected, got)
    if id in ("O14", "O14b") and "growth" not in setting:
        return OracleCheck(id, setting, "L", expected, float(got), PORTFOLIO_TOLERANCE)
    if id == "O17":
        if "starts" in setting:
            return OracleCheck(id, setting, "L", expected, float(got), 0.0)
        return number_check(id, setting, "L", expected, got, VALUE_TOLERANCE)
    if expected == 0.0:
        settings = [each.setting for each in NUMBERS[id]]
        before = NUMBERS[id][settings.index(setting) - 1].number
        return OracleCheck(id, setting, "L", expected, float(got), NUMBER_TOLERANCE["L"] * before)
    return number_check(id, setting, "L", expected, got)


def learn(
    settings: OracleSettings, case: Case, algorithm: str, start: Any, seed: int
) -> list[float]:
    """Run one learner on one case.

    Parameters
    ----------
    settings : OracleSettings
        The configuration.
    case : Case
        One of its cases.
    algorithm : {"ppo", "cem"}
        Learner.
    start : float or sequence of float
        Initial decision.
    seed : int
        Seed of the learner.

    Returns
    -------
    list of float
        Measurements of the problem, in the order of ``case.numbers``.
    """
    parameters = {**settings.parameters, **case.parameters}
    learner = {**(getattr(settings, algorithm) or {}), **(case.ppo if algorithm == "ppo" else {})}
    if settings.problem == "builder":
        return _learn_builder(parameters, learner, algorithm, start, seed, settings.episodes)
    if settings.problem == "project":
        return _learn_project(parameters, learner, algorithm, start, seed)
    game = PROBLEMS[settings.problem](**parameters)
    first = np.broadcast_to(np.asarray(start, float), (game.actions,)).tolist()
    if algorithm == "ppo":
        actions = learners.learn_by_ppo(game, learners.GamePpoSettings(**learner), first, seed)
    else:
        actions = learners.learn_by_cem(game, learners.GameCemSettings(**learner), first, seed)
    return game.measurements(actions)


def _learn_builder(
    world: dict[str, Any],
    learner: dict[str, Any],
    algorithm: str,
    start: float,
    seed: int,
    episodes: int,
) -> list[float]:
    if algorithm == "ppo":
        shares = builders.learn_by_ppo(world, learner, start, seed, episodes)
    else:
        search = builders.BuilderCemSettings(**learner)
        shares = builders.learn_by_cem(world, search, start, seed, episodes)
    return [shares["research"], shares["influence"]]


def _learn_project(
    parameters: dict[str, Any], learner: dict[str, Any], algorithm: str, start: float, seed: int
) -> list[float]:
    problem, first = project.Project(**parameters), [float(start)]
    if algorithm == "ppo":
        policy = project.learn_by_ppo(problem, project.ProjectPpoSettings(**learner), first, seed)
    else:
        policy = project.learn_by_cem(problem, project.ProjectCemSettings(**learner), first, seed)
    return problem.measurements(policy)


def run(settings: OracleSettings, progress: Callable[[str], Any]) -> Iterator[LearnedNumber]:
    """Learn all numbers of a configuration.

    Parameters
    ----------
    settings : OracleSettings
        The configuration. The index of a start is also the seed of its runs.
    progress : callable
        Called with case, learner and start of each run when it begins.

    Yields
    ------
    LearnedNumber
        One for each number of each run.
    """
    for case in settings.cases:
        for algorithm in ("ppo", "cem"):
            if getattr(settings, algorithm) is None:
                continue
            for seed, start in enumerate(settings.starts):
                progress(f"{case.id}, {algorithm}, start {start}")
                began = time.perf_counter()
                measurements = learn(settings, case, algorithm, start, seed)
                seconds = time.perf_counter() - began
                for named, got in zip(case.expected_numbers(), measurements, strict=False):
                    if named is not None:
                        check = check_learned(case.id, *named, got)
                        yield LearnedNumber(check, algorithm, start, seed, seconds)


def results_path(name: str) -> Path:
    """File of the committed results of a configuration."""
    return FOLDER / "results" / f"{name}.json"


def write_results(name: str, settings: OracleSettings, learned: list[LearnedNumber]) -> None:
    """Write the results file of a configuration: learned numbers, hash of the settings, versions."""
    content = {
        "config": f"{name}.yaml",
        "config_hash": settings.hash(),
        "python": platform.python_version(),
        "dtao_gym": dtao_gym.__version__,
        "packages": {package: importlib.metadata.version(package) for package in PACKAGES},
        "holds": sum(each.check.ok for each in learned),
        "of": len(learned),
        "numbers": [each.record() for each in learned],
    }
    results_path(name).parent.mkdir(exist_ok=True)
    write_atomically(results_path(name), (json.dumps(content, indent=1) + "\n").encode())
