"""From a plan to RESULTS.md and the pretrained policies."""

import functools
import hashlib
import importlib.metadata
import itertools
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import dtao_gym
from dtao_agents.cache import Store, key_of, source_of_rule
from dtao_agents.evaluation.arena import Scenario, Score, play_entry, tidy
from dtao_agents.evaluation.policy_files import WEIGHTS_NAME
from dtao_agents.evaluation.registry import Entry, fits, learned, policies_of, registered
from dtao_agents.files import write_atomically
from dtao_agents.package_data import find_config
from dtao_agents.results.kinds import kind_of
from dtao_agents.results.page import write_page
from dtao_agents.results.plan import ResultsPlan, TrainingRow
from dtao_agents.results.pretrained import publish
from dtao_agents.results.summary import PLAN_HASH, Results
from dtao_agents.results.tasks import Task, TaskResult, run_tasks
from dtao_agents.roles.registry import agent_role, role_fingerprint
from dtao_agents.training.run_folder import PACKAGES, cpu_model, git_commit
from dtao_gym.sources import fingerprint


class Player(NamedTuple):
    """A policy without a file, or the learned one of a row and training seed, in a folder."""

    name: str
    role: str
    training_seed: int | None = None
    folder: Path | None = None

    def entry(self) -> Entry:
        """Return the policy."""
        if self.folder is None:
            return registered(self.role, self.name)
        return learned(self.folder, self.name)


def training_task(plan: ResultsPlan, row: TrainingRow, seed: int, folder: Path) -> Task:
    """Return the training of one row with one seed.

    Its folder has the hash of its inputs in the name: no other settings share it.
    """
    kind = kind_of(row)
    key = key_of({"kind": row.kind, **kind.inputs(plan, row, seed)})
    place = folder / "trainings" / f"{row.name}-seed{seed}-{key[:16]}"
    files = tuple(place / name for name in kind.files)
    return Task(f"train {row.name} seed {seed}", key, kind.train, (plan, row, seed, place), files)


def evaluation_task(scenario: Scenario, player: Player, threads: int) -> Task:
    """Return the evaluation of one policy on all seeds of a scenario."""
    weights = ""
    if player.folder is not None:
        weights = hashlib.sha256((player.folder / WEIGHTS_NAME).read_bytes()).hexdigest()
    parts = {
        "sources": fingerprint("dtao_agents.evaluation.arena"),
        "config": scenario.config.model_dump(mode="json"),
        "rule": source_of_rule(scenario.config.era_part("allocation")),
        "role": scenario.role,
        "rivals": scenario.rivals,
        "seeds": scenario.seeds,
        "policy": weights or player.name,
    }
    if sources := role_fingerprint(scenario.role):
        parts["role_sources"] = sources
    seed = "" if player.training_seed is None else f" seed {player.training_seed}"
    name = f"play {scenario.name} {player.name}{seed}"
    return Task(name, key_of(parts), evaluate_player, (scenario, player, threads))


def evaluate_player(
    scenario: Scenario, player: Player, threads: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Play a policy; return means, and values by evaluation seed, of all metrics."""
    torch.set_num_threads(1)
    agent_role(scenario.role)  # makes a role known whose policy's file is read next
    values = play_entry(scenario, player.entry(), threads).values
    return {name: float(rows.mean()) for name, rows in values.items()}, values


def make_results(
    plan: ResultsPlan,
    folder: Path,
    out: Path,
    policies: Path,
    say: Callable[[str], None] = print,
    command: str = "make results",
    backend: str = "processes",
    workers: int | None = None,
    ray_address: str | None = None,
) -> Results:
    """Train, evaluate, and write RESULTS.md, the pretrained policies, results.json and arena.csv.

    Trainings and evaluations are cached, each by the hash of its inputs: a run that was killed continues, and a changed
    plan computes only its changes.

    Parameters
    ----------
    plan : ResultsPlan
    folder : Path
        Trainings, the cache, results.json and arena.csv.
    out : Path
        The page.
    policies : Path
        Folder of the pretrained policies.
    say : callable
        Called with lines of progress.
    command : str
        The command that the page names.
    backend : str
        What runs trainings and evaluations, one of `dtao_agents.backends.BACKENDS`.
    workers : int, optional
        Tasks side by side. Default: those of the plan; with `ray` as many as the cluster has room for.
    ray_address : str, optional
        Address of the Ray cluster, see `dtao_agents.backends.run_tasks`.

    Raises
    ------
    ConfigError
        For a bad plan, before anything is trained.
    BackendError
        For a backend that cannot be used, before anything is trained.
    """
    plan.checked()
    workers = plan.workers if workers is None and backend != "ray" else workers
    arena, facts = plan.scenarios(), _facts(plan, command, _machine(plan, backend, workers))
    homes = {
        row.name: kind.home(plan, row)
        for row in plan.rows
        if (kind := kind_of(row)).home is not None
    }
    turns = [(row, seed) for row in plan.rows for seed in plan.training_seeds]
    tasks = [training_task(plan, row, seed, folder) for row, seed in turns]
    folder.mkdir(parents=True, exist_ok=True)
    compute = functools.partial(
        run_tasks,
        store=Store(folder / "cache"),
        workers=workers,
        backend=backend,
        threads=plan.threads,
        address=ray_address,
    )
    trained = compute(tasks, progress=_progress(len(tasks), say))
    records: dict[str, list[dict[str, Any]]] = {row.name: [] for row in plan.rows}
    players = []
    for (row, seed), task, (record, _) in zip(turns, tasks, trained, strict=True):
        records[row.name].append(record)
        if row.name in homes:
            players.append(Player(row.name, homes[row.name].role, seed, task.arguments[-1]))
    scores = _play_all(plan, homes, arena, players, compute, say)
    commits = {str(record.get("git_commit")) for each in records.values() for record in each}
    facts["commit of the trainings"] = ", ".join(sorted(commits))
    results = Results(plan, homes, arena, scores, records, facts)
    record = json.dumps(results.to_record(), indent=1) + "\n"
    write_atomically(folder / "results.json", record.encode())
    write_atomically(folder / "arena.csv", tidy(scores).encode())
    folders = {(player.name, player.training_seed): player.folder for player in players}
    published = [
        publish(results, row.name, lambda seed, row=row: folders[row.name, seed], policies)
        for row in plan.rows
        if row.publish and row.name in homes
    ]
    for row in plan.rows:
        if row.publish and (copy := kind_of(row).publish) is not None:
            mine = [
                task.arguments[-1]
                for (of, _), task in zip(turns, tasks, strict=True)
                if of.name == row.name
            ]
            copy(row, records[row.name], mine, policies)
    sections = [
        line
        for row in plan.rows
        if (section := kind_of(row).section) is not None
        for line in section(row, records[row.name])
    ]
    write_page(out, results, published, sections)
    say(f"Written: {out}, {policies}/, {folder}/results.json, {folder}/arena.csv")
    return results


def _play_all(
    plan: ResultsPlan,
    homes: Mapping[str, Scenario],
    arena: Sequence[Scenario],
    players: Sequence[Player],
    compute: Callable[..., list[TaskResult]],
    say: Callable[[str], None],
) -> list[Score]:
    """Play learned policies at home, those of arena rows in the arena, all others in both."""
    in_arena = {row.name for row in plan.rows if row.arena}
    entries = {player: player.entry() for player in players}
    meetings: list[tuple[Scenario, Player, str]] = []
    for scenario in (*homes.values(), *arena):
        role, config = scenario.role, scenario.config
        for name, entry in policies_of(role).items():
            if fits(entry, role, config):
                meetings.append((scenario, Player(name, role), entry.kind))
        for player, entry in entries.items():
            wanted = (
                player.name == scenario.name if scenario.name in homes else player.name in in_arena
            )
            if wanted and fits(entry, role, config):
                meetings.append((scenario, player, entry.kind))
    tasks = [evaluation_task(scenario, player, plan.threads) for scenario, player, _ in meetings]
    played = compute(tasks, progress=_progress(len(tasks), say))
    return [
        Score(scenario.name, player.name, kind, player.training_seed, values)
        for (scenario, player, kind), (_, values) in zip(meetings, played, strict=True)
    ]


def _progress(total: int, say: Callable[[str], None]) -> Callable[[Task, bool], None]:
    """A callback that prints a line for every task that was computed; cached ones only count."""
    started, finished = time.perf_counter(), itertools.count(1)

    def progress(task: Task, computed: bool) -> None:
        number = next(finished)
        if computed:
            say(f"{number:>4}/{total}  {time.perf_counter() - started:6.0f} s  {task.name}")

    return progress


def _machine(plan: ResultsPlan, backend: str, workers: int | None) -> str:
    place = {
        "local": f"1 process of {plan.threads} thread",
        "processes": f"{workers} processes of {plan.threads} thread",
        "ray": f"tasks of {plan.threads} thread on a Ray cluster",
    }
    return f"{cpu_model()}, {place.get(backend, backend)}"


def _facts(plan: ResultsPlan, command: str, machine: str) -> dict[str, str]:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    seeds = ", ".join(map(str, plan.training_seeds))
    named = [row.config for row in plan.rows]
    if plan.arena is not None:
        populations = (scenario.population for scenario in plan.scenarios())
        named += [plan.arena, *(path for path in populations if path is not None)]
    text = plan.to_yaml() + "".join(find_config(path).read_text() for path in named)
    return {
        "command": command,
        "training seeds": seeds,
        "evaluation seeds": f"0 to {plan.evaluation_seeds - 1} at home; in the arena as many from 0 as "
        "its file says; training sees none of them",
        PLAN_HASH: hashlib.sha256(text.encode()).hexdigest(),
        "sources, SHA-256": fingerprint(__name__),
        "commit": git_commit() or "unknown",
        "versions": f"dtao_gym {dtao_gym.__version__}, Python {platform.python_version()}, {versions}",
        "machine": machine,
    }
