"""Solutions of cells as JSON records, which a folder keeps under the hash of their inputs."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dtao_agents.cache import key_of, source_of_rule
from dtao_agents.equilibrium.feedback_game import FeedbackSlots
from dtao_agents.equilibrium.first_order import solve_slots
from dtao_agents.equilibrium.game import angle
from dtao_agents.equilibrium.slot_design import SlotGame
from dtao_agents.equilibrium.slot_game import Classes, ShareSlots
from dtao_agents.equilibrium.slot_records import Parameter
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.files import write_atomically
from dtao_agents.probe.cells import Cell
from dtao_agents.probe.plan import Plan
from dtao_gym.sources import fingerprint
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

START_INFLUENCE = 0.03
"""Share of influence at which the estimator starts."""
CLASSES: Mapping[str, Classes] = {"thirds by price": "price", "thirds by ability": "ability"}
"""Classes of builders by strategy; all others have one."""
NO_RECORD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Exceptions of a record that has another form."""
CHECKSUM = "sha256"
"""Field of a record's file with the hash of the others, which a damaged one does not have."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The equilibrium of a cell.

    Attributes
    ----------
    name, institution, block : str
        The cell.
    verdict, stopped, at_bound, capitalisation, blocks, slope_blocks, worlds, seconds
        See `SlotEquilibrium`.
    population : ndarray `(classes, decisions)`
        Strategy of each class, angles or coefficients.
    parameters : tuple of Parameter
        Those inside their range.
    columns : int
        Slots x decisions: solutions with equal numbers have the same worlds in equal blocks.
    engine : str
        SHA-256 of the sources that computed it.
    """

    name: str
    institution: str
    block: str
    verdict: str
    stopped: str
    at_bound: tuple[str, ...]
    population: np.ndarray
    parameters: tuple[Parameter, ...]
    capitalisation: float | None
    blocks: int
    slope_blocks: int
    worlds: int
    columns: int
    seconds: float
    engine: str

    @property
    def research(self) -> Parameter | None:
        """The research share of all builders; None where there is none or where classes have their own."""
        return self.named("research share")

    def named(self, name: str) -> Parameter | None:
        """A parameter by its name, None where there is none."""
        return next((p for p in self.parameters if p.name == name), None)


def engine() -> str:
    """SHA-256 of the sources that a solution depends on: the estimator, the games and the engine."""
    return fingerprint("dtao_agents.equilibrium.feedback_game")


def inputs_of(cell: Cell, plan: Plan) -> dict[str, Any]:
    """Everything that the solution of a cell depends on, but the sources."""
    return {
        "strategy": cell.strategy,
        "config": cell.config.model_dump(mode="json"),
        "rule": source_of_rule(cell.config.era_part("allocation")),
        "first_seed": plan.first_seed,
        "start": plan.start,
        "capitalisation": plan.capitalisation if cell.estimated else None,
        "estimator": cell.estimator.model_dump(mode="json"),
    }


def game_of(cell: Cell, threads: int) -> SlotGame:
    """The game of a cell."""
    if cell.strategy == "feedback":
        return FeedbackSlots(cell.config, cell.estimated, threads)
    classes = CLASSES.get(cell.strategy, "all")
    return ShareSlots(cell.config, cell.estimated, classes, threads)


def solve_cell(cell: Cell, plan: Plan, threads: int = 1) -> dict[str, Any]:
    """Solve a cell and return its record."""
    game = game_of(cell, threads)
    start = np.zeros((len(game.classes), len(game.decisions)))
    start[:, 0] = angle(plan.start)
    if cell.strategy == "influence":
        start[:, 1] = angle(START_INFLUENCE)
    found = solve_slots(
        game,
        start,
        plan.capitalisation if cell.estimated else None,
        plan.first_seed,
        cell.estimator,
    )
    return {
        "name": cell.name,
        "institution": cell.institution,
        "block": cell.block,
        "inputs": inputs_of(cell, plan),
        "engine": engine(),
        "verdict": found.verdict,
        "stopped": found.stopped,
        "at_bound": list(found.at_bound),
        "population": _rounded(found.population),
        "parameters": [_parameter_record(p) for p in found.parameters],
        "capitalisation": found.capitalisation,
        "blocks": found.blocks,
        "slope_blocks": found.slope_blocks,
        "worlds": found.worlds,
        "columns": game.slots * len(game.decisions),
        "seconds": round(found.seconds, 1),
    }


def played(
    cell: Cell,
    plan: Plan,
    population: np.ndarray,
    capitalisation: float | None,
    threads: int,
    **changes: Any,
) -> Batch:
    """Play worlds of a cell at a population to their ends, with changes of the world.

    Parameters
    ----------
    cell : Cell
        The institution and its setting.
    plan : Plan
        Seeds and number of worlds.
    population : `(classes, decisions)`
        Strategies; a feedback policy plays its first coefficient.
    capitalisation : float, optional
        c_bar in days.
    threads : int
        Threads that share the worlds.
    **changes
        World parameters.
    """
    changed = cell._replace(config=Config.make(cell.config, **changes))
    if cell.strategy == "feedback":
        changed = changed._replace(strategy="share")
        population = population[:, :1]
    game = game_of(changed, threads)
    assert isinstance(game, ShareSlots)
    seeds = plan.first_seed + np.arange(plan.outcome_worlds)
    order = np.random.default_rng(plan.first_seed).permutation(seeds.size)
    return game.run(population, seeds, (order + 0.5) / seeds.size, capitalisation)


def _rounded(values: Any) -> Any:
    """Nested lists of numbers with six digits, to keep records small."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.6g}")


def _parameter_record(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "estimate": list(parameter.estimate),
        "standard_error": parameter.standard_error,
        "slope": parameter.slope,
        "slope_error": parameter.slope_error,
        "deviations": _rounded(parameter.deviations),
    }


def from_record(record: Mapping[str, Any]) -> Solution:
    """Return the solution of a record; raises one of `NO_RECORD` for what is none."""
    parameters = tuple(
        Parameter(
            p["name"],
            Estimate(*map(float, p["estimate"])),
            float(p["standard_error"]),
            float(p["slope"]),
            float(p["slope_error"]),
            np.array(p["deviations"], float),
        )
        for p in record["parameters"]
    )
    return Solution(
        str(record["name"]),
        str(record["institution"]),
        str(record["block"]),
        str(record["verdict"]),
        str(record["stopped"]),
        tuple(record["at_bound"]),
        np.array(record["population"], float),
        parameters,
        None if record["capitalisation"] is None else float(record["capitalisation"]),
        int(record["blocks"]),
        int(record["slope_blocks"]),
        int(record["worlds"]),
        int(record["columns"]),
        float(record["seconds"]),
        str(record["engine"]),
    )


# --- the folder


def record_path(folder: Path, name: str, inputs: Mapping[str, Any]) -> Path:
    """File of a record: its name, and the hash of its inputs."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:70]
    return folder / f"{slug}-{key_of(inputs)[:12]}.json"


def save_record(
    folder: Path, name: str, inputs: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Write a record, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {**record, CHECKSUM: key_of(record)}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    write_atomically(record_path(folder, name, inputs), (text + "\n").encode())


def load_record(folder: Path, name: str, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a record of these inputs; None where it is missing, damaged, or of other inputs."""
    try:
        record = json.loads(record_path(folder, name, inputs).read_text())
        json.dumps(record, allow_nan=False)  # infinity may be written as a number: 1e999
        whole = record.pop(CHECKSUM) == key_of(record)
        same = whole and key_of(record["inputs"]) == key_of(inputs)
        same = same and isinstance(record["engine"], str)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return record if same else None
