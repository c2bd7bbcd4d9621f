"""Running a configuration: every case by every learner from every start, judged by the tolerances of the oracles."""

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
from dtao_agents.oracles.table import NUMBER_TOLERANCE, NUMBERS, Row, number_row, share_row

PACKAGES = ("numpy", "stable-baselines3", "torch")
PORTFOLIO_TOLERANCE = 0.05
"""Of a part of wealth, absolute."""
VALUE_TOLERANCE = 0.01
"""Of the value of a project."""


@dataclass(frozen=True)
class Learned:
    """One learned number beside the expected one."""

    row: Row
    algorithm: str
    start: Any
    seed: int
    seconds: float
    """Of the whole run, which may have learned other numbers too."""

    def record(self) -> dict[str, Any]:
        """As the results have it."""
        return {
            **asdict(self.row),
            "got": float(f"{self.row.got:.9g}"),
            "holds": self.row.ok,
            "algorithm": self.algorithm,
            "start": self.start,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
        }


def judge(id: str, setting: str, expected: float, got: float) -> Row:
    """The learned number beside the expected one, with the tolerance of its kind.

    Research shares in log-odds; parts of wealth absolutely; values of a project by 1 %, and when it starts one
    exactly; all others by 2 %, and a zero by 2 % of the number before it in the table.
    """
    research = id in ("calibration", "O6", "O7") or (id == "O24" and ", r:" in setting)
    if research:
        return share_row(id, setting, "L", expected, got)
    if id in ("O14", "O14b") and "growth" not in setting:
        return Row(id, setting, "L", expected, float(got), PORTFOLIO_TOLERANCE)
    if id == "O17":
        if "starts" in setting:
            return Row(id, setting, "L", expected, float(got), 0.0)
        return number_row(id, setting, "L", expected, got, VALUE_TOLERANCE)
    if expected == 0.0:
        names = [each.setting for each in NUMBERS[id]]
        before = NUMBERS[id][names.index(setting) - 1].number
        return Row(id, setting, "L", expected, float(got), NUMBER_TOLERANCE["L"] * before)
    return number_row(id, setting, "L", expected, got)


def learn(settings: OracleSettings, case: Case, algorithm: str, start: Any, seed: int):
    """What a learner comes to, as the problem measures it: numbers in the order of the case."""
    parameters = {**settings.parameters, **case.parameters}
    given = {**(getattr(settings, algorithm) or {}), **(case.ppo if algorithm == "ppo" else {})}
    if settings.problem == "builder":
        found = _builder(parameters, given, algorithm, start, seed, settings.episodes)
        return [found["research"], found["influence"]]
    if settings.problem == "project":
        puzzle, first = project.Project(**parameters), [float(start)]
        if algorithm == "ppo":
            chosen = project.learn_by_ppo(puzzle, project.ProjectPpoSettings(**given), first, seed)
        else:
            chosen = project.learn_by_cem(puzzle, project.ProjectCemSettings(**given), first, seed)
        return puzzle.measured(chosen)
    game = PROBLEMS[settings.problem](**parameters)
    first = np.broadcast_to(np.asarray(start, float), (game.actions,)).tolist()
    if algorithm == "ppo":
        made = learners.GamePpoSettings(**given)
        return game.measured(learners.learn_by_ppo(game, made, first, seed))
    return game.measured(
        learners.learn_by_cem(game, learners.GameCemSettings(**given), first, seed)
    )


def _builder(
    world: dict[str, Any],
    given: dict[str, Any],
    algorithm: str,
    start: float,
    seed: int,
    episodes: int,
) -> dict[str, float]:
    if algorithm == "ppo":
        return builders.learn_by_ppo(world, given, start, seed, episodes)
    return builders.learn_by_cem(world, builders.BuilderCemSettings(**given), start, seed, episodes)


def run(settings: OracleSettings, progress: Callable[[str], Any]) -> Iterator[Learned]:
    """All numbers of a configuration; the place of a start is the seed as well. `progress` is told what is learned."""
    for case in settings.cases:
        for algorithm in ("ppo", "cem"):
            if getattr(settings, algorithm) is None:
                continue
            for seed, start in enumerate(settings.starts):
                progress(f"{case.id}, {algorithm}, start {start}")
                began = time.perf_counter()
                found = learn(settings, case, algorithm, start, seed)
                seconds = time.perf_counter() - began
                for answer, got in zip(case.answers(), found, strict=False):
                    if answer is not None:
                        row = judge(case.id, *answer, got)
                        yield Learned(row, algorithm, start, seed, seconds)


def results_path(name: str) -> Path:
    """File of the committed results of a configuration."""
    return FOLDER / "results" / f"{name}.json"


def write_results(name: str, settings: OracleSettings, found: list[Learned]) -> None:
    """The results beside the configurations: what was learned, of which settings, with which versions."""
    content = {
        "config": f"{name}.yaml",
        "config_hash": settings.hash(),
        "python": platform.python_version(),
        "dtao_gym": dtao_gym.__version__,
        "packages": {package: importlib.metadata.version(package) for package in PACKAGES},
        "holds": sum(each.row.ok for each in found),
        "of": len(found),
        "numbers": [each.record() for each in found],
    }
    results_path(name).parent.mkdir(exist_ok=True)
    write_atomically(results_path(name), (json.dumps(content, indent=1) + "\n").encode())
