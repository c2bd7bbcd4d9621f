"""The leaderboard: one table for each of a few arenas, and the measurement of a policy that is to be entered.

`leaderboard.json`, beside this file, is its record: of every arena the world, the number of evaluation seeds and the mean
score of each policy by training seed, from results.json of `make results`, and entries of others. The page is made from
the record alone.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtao_agents.evaluation.arena import Scenario, play_entry
from dtao_agents.evaluation.contenders import check_finished
from dtao_agents.evaluation.entrants import find_entrant, names_of_folders
from dtao_agents.evaluation.policy_files import LearnedPolicy, PolicyError, load_policy
from dtao_agents.evaluation.registry import Entry
from dtao_agents.evaluation.statistics import bootstrap, span
from dtao_agents.results.kinds import kind_of
from dtao_agents.results.page import prose, score_forms, table
from dtao_agents.results.plan import ResultsPlan
from dtao_agents.roles.registry import agent_role
from dtao_agents.seed_folders import runs_of_seeds
from dtao_agents.training.settings import line_of
from dtao_gym.world.config import ConfigError
from dtao_gym.world.genesis import layout_of

RECORD = Path(__file__).resolve().with_name("leaderboard.json")
COMMAND = "dtao leaderboard --results runs/results/results.json --out docs/leaderboard.md"
ARENAS = {
    "staker_quickstart": "Staker: the market of June 2026",
    "root_reborn": "Staker: the rules of September 2026",
    "momentum_stakers": "Staker: a crowd that follows the price",
    "builder_market": "Builder: paid by the market",
    "builder_fee": "Builder: paid by a fee, the optimum known",
}
"""Titles of the tables by scenario: homes of rows of the plan of results, and scenarios of its arena."""


class Row(BaseModel):
    """A policy in one arena."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    policy: str = Field(
        pattern=r"^[\w./-]{1,48}$", description="Unique among the policies of the arena."
    )
    kind: str = Field(
        "learned", pattern=r"^(learned|scripted|exploit|ceiling)$", description="Its kind."
    )
    scores: tuple[float, ...] = Field(
        min_length=1, description="Mean over evaluation seeds, one for each training seed."
    )


class Arena(BaseModel):
    """A world, its evaluation seeds, and the policies that played there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(description="Heading of the table.")
    scenario: Scenario = Field(description="World, rivals and number of evaluation seeds.")
    rows: tuple[Row, ...] = Field(description="Policies of the project.")
    entries: tuple[Row, ...] = Field((), description="Policies of others.")


class Leaderboard(BaseModel):
    """The content of leaderboard.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    facts: dict[str, str] = Field(description="Command, versions and hashes of the results.")
    arenas: tuple[Arena, ...] = Field(description="In the order of the page.")

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(self.model_dump(mode="json"), indent=1) + "\n"


def read_leaderboard(path: Path = RECORD) -> Leaderboard:
    """Return the record. Raises ConfigError that names the file, and for policies that are there twice."""
    try:
        board = Leaderboard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigError(f"{path}: {line_of(problem, Leaderboard.model_fields)}") from None
    for arena in board.arenas:
        names = [row.policy for row in (*arena.rows, *arena.entries)]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"{path}: {arena.scenario.name}: got a policy twice, allowed is each once"
            )
    return board


def from_results(path: Path, before: Leaderboard | None = None) -> Leaderboard:
    """Return the record of results.json, with the entries of an earlier record.

    Raises ConfigError where the file cannot be read, or lacks an arena.
    """
    try:
        content = json.loads(path.read_bytes())
        plan = ResultsPlan.model_validate(content["plan"])
        scores, facts = content["scores"], dict(content["facts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: is no results.json of `make results`: {told}") from None
    homes = {
        row.name: kind.home(plan, row)
        for row in plan.rows
        if (kind := kind_of(row)).home is not None
    }
    scenarios = homes | {scenario.name: scenario for scenario in plan.scenarios()}
    entries = {arena.scenario.name: arena.entries for arena in before.arenas} if before else {}
    arenas = []
    for name, title in ARENAS.items():
        mine = [each for each in scores if each["scenario"] == name]
        if name not in scenarios or not mine:
            raise ConfigError(f"{path}: got no results of {name}, allowed are those of all arenas")
        rows = _rows(mine, agent_role(scenarios[name].role).score)
        arenas.append(
            Arena(
                title=title,
                scenario=_plain(scenarios[name]),
                rows=rows,
                entries=entries.get(name, ()),
            )
        )
    kept = ("command", "training seeds", "versions", "plan with all files it names, SHA-256")
    return Leaderboard(facts={name: facts[name] for name in kept}, arenas=tuple(arenas))


def _plain(scenario: Scenario) -> Scenario:
    """The scenario as its record gives it back."""
    return Scenario.model_validate_json(scenario.model_dump_json())


def _rows(scores: Iterable[dict[str, Any]], metric: str) -> tuple[Row, ...]:
    """Policies in the order in which they are there, with a score for each training seed."""
    found: dict[tuple[str, str], list[float]] = {}
    for each in scores:
        found.setdefault((each["policy"], each["kind"]), []).append(float(each[metric]))
    return tuple(
        Row(policy=policy, kind=kind, scores=tuple(values))
        for (policy, kind), values in found.items()
    )


# --- the page


def page(board: Leaderboard) -> str:
    """Return docs/leaderboard.md."""
    lines = [
        "# Leaderboard",
        "",
        *prose(
            "Mean scores of learned and scripted policies on evaluation seeds, which no training uses. Intervals are 95 %, "
            "by bootstrap over training seeds; scripted policies, and policies of one training seed, have none. A ceiling "
            "uses hidden information and has no place."
        ),
        "",
        "## Enter a policy",
        "",
        *prose(
            "This plays a policy under the same conditions, in every arena that it fits, and prints its rows. `PATH` is the "
            "folder of a run, of several training seeds (`dtao train --seeds 5`), or of the two files of a policy."
        ),
        "",
        "```",
        "dtao evaluate PATH --leaderboard",
        "```",
        "",
        *prose(
            "To enter it, add the lines of JSON that the command prints to `entries` of their arenas in "
            "`agents/dtao_agents/results/leaderboard.json`, run `dtao leaderboard --out docs/leaderboard.md`, and open a pull "
            "request with the files of the policy and the command that trained it."
        ),
        "",
    ]
    for arena in board.arenas:
        lines += [f"## {arena.title}", "", *prose(describe(arena)), "", *arena_table(arena)]
    lines += ["## Made with", ""]
    for name, fact in (board.facts | {"this page": COMMAND}).items():
        lines += prose(f"{name}: {f'`{fact}`' if name in ('command', 'this page') else fact}", "- ")
    return "\n".join(lines).rstrip() + "\n"


def describe(arena: Arena) -> str:
    """Return the world and the score of an arena in words."""
    scenario, config = arena.scenario, arena.scenario.config
    role = agent_role(scenario.role)
    n_subnets = layout_of(config).n_subnets
    every = "day" if config.days_per_step == 1 else f"{config.days_per_step} days"
    parts = [
        f"Score: {role.score_unit}; higher is better.",
        f"{n_subnets} subnets of `{config.genesis}` under the rules `{config.era}`, a decision every {every}, "
        f"at most {role.days(config):,} days; evaluation seeds 0 to {scenario.seeds - 1}.",
    ]
    if scenario.rivals:
        parts.append(f"All other owners follow `{scenario.rivals}`.")
    return " ".join(parts)


def arena_table(arena: Arena, more: Sequence[Row] = ()) -> list[str]:
    """Return the table of an arena, best first; rows of `more` are bold."""
    form, _ = score_forms(arena.scenario)
    rows = sorted((*arena.rows, *arena.entries, *more), key=lambda row: -float(np.mean(row.scores)))
    cells, places = [], count(1)
    for row in rows:
        place = "-" if row.kind == "ceiling" else str(next(places))
        name = f"**{row.policy}**" if row in more else row.policy
        seeds = str(len(row.scores)) if row.kind == "learned" else "-"
        kind = "scripted" if row.kind == "exploit" else row.kind
        cells.append((name, place, kind, _score(row, form), seeds))
    return table(("policy", "place", "kind", "score", "training seeds"), cells)


def _score(row: Row, form: str) -> str:
    values = np.array(row.scores)
    return span(bootstrap(values), form) if values.size > 1 else f"{values[0]:{form}}"


# --- a policy that is to be entered


def measure(
    given: Path, board: Leaderboard, threads: int = 1, episodes: int | None = None
) -> list[tuple[Arena, Row]]:
    """Play the policy or policies of a folder in every arena that it fits.

    Parameters
    ----------
    given : Path
        Folder of a run, of training seeds or of a policy, or the name of a pretrained policy.
    board : Leaderboard
    threads : int
        Threads that share the worlds.
    episodes : int, optional
        Evaluation seeds, fewer than those of an arena, for a trial.

    Returns
    -------
    list of (Arena, Row)
        Arenas and the row of the policy there.

    Raises
    ------
    PolicyError
        For unusable files, and where no arena fits.
    """
    folder = find_entrant(given)
    (name,) = names_of_folders([folder])
    runs = list(runs_of_seeds(folder).values()) or [folder]
    for run in runs:
        check_finished(run)
    policies = [load_policy(run) for run in runs]
    torch.set_num_threads(1)
    found = []
    for arena in board.arenas:
        scenario = arena.scenario
        if episodes is not None and episodes < scenario.seeds:
            scenario = scenario.model_copy(update={"seeds": episodes})
        fitted = [_fitted(policy, scenario) for policy in policies]
        if None in fitted:
            continue
        taken = {row.policy for row in (*arena.rows, *arena.entries)}
        row = Row(
            kind="learned",
            policy=name if name not in taken else f"{folder.resolve().parent.name}/{name}",
            scores=tuple(_mean_score(policy, scenario, threads) for policy in fitted if policy),
        )
        found.append((arena, row))
    if not found:
        names = ", ".join(arena.scenario.name for arena in board.arenas)
        raise PolicyError(f"{folder}: fits no arena, allowed are policies for one of {names}")
    return found


def _fitted(policy: LearnedPolicy, scenario: Scenario) -> LearnedPolicy | None:
    """The policy for the subnets of a scenario; None where role, network or actions do not fit."""
    role, n_subnets = agent_role(scenario.role), layout_of(scenario.config).n_subnets
    if policy.architecture.role != role.card_name:
        return None
    try:
        moved = policy.for_subnets(n_subnets)
    except PolicyError:
        return None
    fits = moved.architecture.action_size == role.task_action_size(scenario.config, n_subnets)
    return moved if fits else None


def _mean_score(policy: LearnedPolicy, scenario: Scenario, threads: int) -> float:
    role = agent_role(scenario.role)
    entry = Entry("learned", role.card_name, "learned", policy)
    return float(play_entry(scenario, entry, threads).values[role.score].mean())
