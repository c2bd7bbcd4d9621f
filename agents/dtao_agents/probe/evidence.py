"""The evidence of a probe, gathered from the records in its folder: the content of its page."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from dtao_agents.claims.finding import Finding
from dtao_agents.probe.analysis import Analysis, analyse
from dtao_agents.probe.cell_measures import cell_measures
from dtao_agents.probe.cells import all_cells, identity
from dtao_agents.probe.checks import Check
from dtao_agents.probe.checks import to_records as checks_to_records
from dtao_agents.probe.gates import failed_of
from dtao_agents.probe.measures import findings_of, measures_of
from dtao_agents.probe.plan import Plan, read_plan
from dtao_agents.probe.solutions import (
    NO_RECORD,
    Solution,
    from_record,
    inputs_of,
    load_record,
)
from dtao_gym.world.config import ConfigError

RESULTS = "results.json"
"""File of the evidence in the folder of a run."""
RECORDS = "cells"
"""Folder of the records, in that of a run."""
PLAN = "plan.yaml"
"""File of the plan, in that folder."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that the page of a probe shows.

    Attributes
    ----------
    plan : Plan
        Settings.
    analysis : Analysis
        Solutions and contrasts.
    findings : mapping of str to sequence of Finding
        By claim; those without a record are missing.
    checks : mapping of str to sequence of Check
        By gate.
    facts : mapping of str to str
        Circumstances of the run.
    """

    plan: Plan
    analysis: Analysis
    findings: Mapping[str, Sequence[Finding]]
    checks: Mapping[str, Sequence[Check]]
    facts: Mapping[str, str]

    def to_json(self) -> str:
        """Content of results.json: contrasts, summaries of cells, checks, facts; findings are in the records."""
        analysis = self.analysis
        content = {
            "facts": dict(self.facts),
            "plan": self.plan.model_dump(mode="json"),
            "contrasts": [asdict(c) for c in analysis.contrasts],
            "cells": {
                cell.name: _summary(solution)
                for cell in analysis.cells
                if (solution := analysis.solution(cell)) is not None
            },
            "missing": [cell.name for cell in analysis.missing],
            "checks": {gate: checks_to_records(found) for gate, found in self.checks.items()},
        }
        return json.dumps(content, indent=1, allow_nan=False) + "\n"


class _Results(BaseModel):
    """The part of results.json that is not in the records."""

    model_config = ConfigDict(allow_inf_nan=False)

    facts: dict[str, str]
    checks: dict[str, list[Check]]


def _summary(solution: Solution) -> dict[str, Any]:
    return {
        "verdict": solution.verdict,
        "stopped": solution.stopped,
        "parameters": {p.name: list(p.estimate) for p in solution.parameters},
        "at_bound": list(solution.at_bound),
        "capitalisation": solution.capitalisation,
        "blocks": solution.blocks,
        "worlds": solution.worlds,
        "seconds": solution.seconds,
    }


def read_solutions(plan: Plan, records: Path) -> dict[tuple[Any, ...], Solution]:
    """Read the solutions of the cells of a plan, by `identity`; those without a record are missing."""
    solutions = {}
    for cell in all_cells(plan):
        record = load_record(records, cell.name, inputs_of(cell, plan))
        if record is not None:
            with contextlib.suppress(*NO_RECORD):
                solutions[identity(cell)] = from_record(record)
    return solutions


def gather(
    plan: Plan,
    records: Path,
    checks: Mapping[str, Sequence[Check]],
    facts: Mapping[str, str],
) -> Evidence:
    """Gather the evidence from a folder of records.

    Parameters
    ----------
    plan : Plan
        What was planned; cells and claims without a whole record are missing.
    records : Path
        The folder.
    checks : mapping
        Checks by gate.
    facts : mapping
        Circumstances of the run.
    """
    solutions = read_solutions(plan, records)
    findings: dict[str, list[Finding]] = {}
    for measure in (*measures_of(plan), *cell_measures(plan, solutions)):
        record = load_record(records, measure.name, measure.inputs)
        if record is not None:
            with contextlib.suppress(*NO_RECORD):
                found = findings_of(record)
                findings.setdefault(measure.claim, []).extend(found)
    findings = dict(sorted(findings.items()))
    analysis = analyse(plan, solutions, failed_of(checks))
    return Evidence(plan, analysis, findings, checks, facts)


def read_evidence(folder: Path) -> Evidence:
    """Read the evidence of a run from its folder, without computing anything.

    Raises
    ------
    ConfigError
        The folder has no finished run.
    """
    try:
        results = _Results.model_validate_json((folder / RESULTS).read_bytes(), strict=True)
    except (OSError, ValueError) as error:
        cause = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{folder}: got no results of a probe ({cause}), allowed is the folder of a finished run"
        ) from None
    plan = read_plan(folder / PLAN)
    return gather(plan, folder / RECORDS, results.checks, results.facts)
