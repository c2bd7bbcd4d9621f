"""Kinds of training: one `Kind` for each value of `TrainingRow.kind`.

A new kind is a new entry of `KINDS`; no other code depends on it.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import yaml

from dtao_agents.evaluation.arena import Scenario
from dtao_agents.evaluation.policy_files import CARD_NAME, WEIGHTS_NAME
from dtao_agents.files import write_atomically
from dtao_agents.package_data import find_config
from dtao_agents.results.page import prose, table
from dtao_agents.results.plan import ResultsPlan, TrainingRow
from dtao_agents.roles.registry import agent_role, role_fingerprint
from dtao_agents.training.checkpoints import PATTERN
from dtao_agents.training.multi_agent_run import train_multi_agent
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.ppo import train
from dtao_agents.training.settings import TrainConfig, read_mapping
from dtao_gym.sources import fingerprint
from dtao_gym.world.config import ConfigError

Trained = tuple[dict[str, Any], Mapping[str, np.ndarray]]


class Kind(NamedTuple):
    """A kind of training.

    Attributes
    ----------
    inputs : callable
        ``inputs(plan, row, seed)`` returns JSON values: all inputs of the result of a training.
    train : callable
        ``train(plan, row, seed, folder)`` trains in a folder, or continues there; returns a JSON record and arrays.
    files : tuple of str
        Files of the folder that must exist for the result to count.
    home : callable, optional
        ``home(plan, row)`` returns the scenario in which its policies are evaluated first; None: there is none.
    section : callable, optional
        ``section(row, records)`` returns lines of RESULTS.md on the records of all seeds; None: the tables suffice.
    publish : callable, optional
        ``publish(row, records, folders, policies)`` copies the policies of one training seed into a folder of
        `policies`, where rows without a home are published.
    """

    inputs: Callable[[ResultsPlan, TrainingRow, int], dict[str, Any]]
    train: Callable[[ResultsPlan, TrainingRow, int, Path], Trained]
    files: tuple[str, ...]
    home: Callable[[ResultsPlan, TrainingRow], Scenario] | None = None
    section: Callable[[TrainingRow, list[dict[str, Any]]], list[str]] | None = None
    publish: Callable[[TrainingRow, list[dict[str, Any]], Sequence[Path], Path], None] | None = None


Settings = TypeVar("Settings", TrainConfig, MultiAgentConfig)


def _settings(kind: type[Settings], plan: ResultsPlan, row: TrainingRow, seed: int) -> Settings:
    """Settings of a training: the row's file and overrides. Raises ConfigError that names the row."""
    content = read_mapping(find_config(row.config))
    env = content.get("env", {}) | row.overrides.get("env", {})
    own = {"seed": seed, "threads": plan.threads, "torch_threads": 1}
    try:
        return kind.make(content | row.overrides | own | {"env": env})
    except ConfigError as error:
        raise ConfigError(f"row {row.name}: {error}") from None


def settings_of(plan: ResultsPlan, row: TrainingRow, seed: int) -> TrainConfig:
    """Return the settings of a training of one role. Raises ConfigError that names the row."""
    return _settings(TrainConfig, plan, row, seed)


def multi_agent_settings(plan: ResultsPlan, row: TrainingRow, seed: int) -> MultiAgentConfig:
    """Return the settings of a multi-agent training. Raises ConfigError that names the row."""
    return _settings(MultiAgentConfig, plan, row, seed)


def _run(
    run: Callable[..., Any], settings: TrainConfig | MultiAgentConfig, folder: Path
) -> tuple[Any, dict[str, Any]]:
    """Train in a folder, or continue there; return the result, and a record of the training."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(settings.to_yaml())
    begun = any((folder / "checkpoints").glob(PATTERN))
    with (
        (folder / "log.txt").open("a") as log,
        contextlib.redirect_stdout(log),  # two trainings share the terminal
    ):
        result = run(settings, folder, resume=begun)
    manifest = json.loads((folder / "manifest.json").read_text())
    record = {name: manifest[name] for name in ("timesteps", "train_seconds", "git_commit")}
    return result, record | {"resumed": begun}


def _inputs(plan: ResultsPlan, row: TrainingRow, seed: int) -> dict[str, Any]:
    settings = settings_of(plan, row, seed).model_dump(mode="json")
    # the result of training does not depend on these
    del settings["evaluation_episodes"], settings["threads"]
    inputs = {"settings": settings, "sources": fingerprint("dtao_agents.training.ppo")}
    if sources := role_fingerprint(settings["role"]):
        inputs["role_sources"] = sources
    return inputs


def _train(plan: ResultsPlan, row: TrainingRow, seed: int, folder: Path) -> Trained:
    _, record = _run(train, settings_of(plan, row, seed), folder)
    record["weights_sha256"] = hashlib.sha256((folder / WEIGHTS_NAME).read_bytes()).hexdigest()
    return record, {}


def _home(plan: ResultsPlan, row: TrainingRow) -> Scenario:
    """The world of training, on evaluation seeds."""
    settings = settings_of(plan, row, plan.training_seeds[0])
    world = settings.env.model_dump(mode="json", exclude_unset=True)
    role = agent_role(settings.role)
    return Scenario(
        name=row.name,
        group="home",
        role=settings.role if role.name == role.card_name else role.card_name,
        world=yaml.safe_load(yaml.safe_dump(world)),
        population=None,  # is in the settings
        rivals=None,
        seeds=plan.evaluation_seeds,
    ).checked()


def _multi_agent_inputs(plan: ResultsPlan, row: TrainingRow, seed: int) -> dict[str, Any]:
    settings = multi_agent_settings(plan, row, seed).model_dump(mode="json")
    del settings["threads"]
    return {"settings": settings, "sources": fingerprint("dtao_agents.training.multi_agent_run")}


def _train_multi_agent(plan: ResultsPlan, row: TrainingRow, seed: int, folder: Path) -> Trained:
    """The record holds the exploitability of each role."""
    roles, record = _run(train_multi_agent, multi_agent_settings(plan, row, seed), folder)
    return {"roles": roles, "training_seed": seed, **record}, {}


def _multi_agent_section(row: TrainingRow, records: list[dict[str, Any]]) -> list[str]:
    """Exploitability of each role and training seed, and its interpretation."""
    about = prose(
        f"`{row.config}`: all stakers share a policy, all builders another. epsilon is the gain of the best deviation "
        "that was found: by PPO from three fresh starts and from the learned policy, by the cross-entropy method, or "
        "among scripted policies; with its 95 % interval over evaluation seeds. Where its lower end is above 0 the "
        "policies are no equilibrium; where it is 0 no deviation that was tried gains for sure."
    )
    lines = [f"## Many learners: {row.name}", "", *about, ""]
    for name in records[0]["roles"]:
        caption = agent_role(name).payoff_caption
        lines += [*prose(f"Each {name} ({caption}):"), "", *_exploitability(name, records)]
    if row.publish:
        seed = records[median_record(records)]["training_seed"]
        lines += prose(
            f"The policies of training seed {seed}, the median, are in `policies/{row.name}/`."
        )
        lines.append("")
    for name, record in records[0]["roles"].items():
        closing = agent_role(name).response_lines(record)
        lines += [*prose(closing), ""] if closing else []
    return lines


def _exploitability(role: str, records: list[dict[str, Any]]) -> list[str]:
    """A row for each training seed."""
    rows, more = [], None
    for record in records:
        its = record["roles"][role]
        epsilon = its["epsilon"]
        size = f"{epsilon['value']:.3f} [{epsilon['low']:.3f}, {epsilon['high']:.3f}]"
        verdict = "not refuted" if its["is_equilibrium"] else "NO"
        cells = [
            str(record["training_seed"]),
            f"{its['paid']['value']:.4g}",
            size,
            its["best"].removeprefix("scripted: "),
            verdict,
        ]
        more = agent_role(role).response_cell(its)
        rows.append([*cells, *([] if more is None else [more[1]])])
    head = ["seed", "paid", "epsilon", "best deviation", "equilibrium"]
    return table([*head, *([] if more is None else [more[0]])], rows)


def median_record(records: list[dict[str, Any]]) -> int:
    """Return the position of the training seed whose last role is paid the median; the lower one of two."""
    role = list(records[0]["roles"])[-1]
    paid = np.array([record["roles"][role]["paid"]["value"] for record in records])
    return int(paid.argsort(kind="stable")[(paid.size - 1) // 2])


def _publish_multi_agent(
    row: TrainingRow, records: list[dict[str, Any]], folders: Sequence[Path], policies: Path
) -> None:
    """Copy the policies of all roles and their settings, and write their published payoffs."""
    middle = median_record(records)
    folder, record, target = folders[middle], records[middle], policies / row.name
    for role in record["roles"]:
        (target / role).mkdir(parents=True, exist_ok=True)
        for name in (WEIGHTS_NAME, CARD_NAME):
            shutil.copyfile(folder / role / name, target / role / name)
    shutil.copyfile(folder / "config.yaml", target / "config.yaml")
    paid = {role: its["paid"]["value"] for role, its in record["roles"].items()}
    content = {"training_seed": record["training_seed"], "paid": paid}
    write_atomically(target / PAYOFFS_NAME, (json.dumps(content, indent=2) + "\n").encode())


PAYOFFS_NAME = "paid.json"
MULTI_AGENT_FILES = ("config.yaml", "exploitability.json")

KINDS: dict[str, Kind] = {
    "single": Kind(_inputs, _train, (WEIGHTS_NAME, CARD_NAME, "config.yaml"), _home),
    "multi_agent": Kind(
        _multi_agent_inputs,
        _train_multi_agent,
        MULTI_AGENT_FILES,
        section=_multi_agent_section,
        publish=_publish_multi_agent,
    ),
}
"""By name; `single`: one learner in each world; `multi_agent`: a policy shared by all members of each role."""


def kind_of(row: TrainingRow) -> Kind:
    """Return the kind of a row. Raises ConfigError for an unknown one."""
    if row.kind not in KINDS:
        raise ConfigError(f"row {row.name}: kind: got {row.kind!r}, allowed are {', '.join(KINDS)}")
    return KINDS[row.kind]
