"""How rows are trained: one `Kind` for each value of `Row.kind`.

Another kind of training is another entry of `KINDS`; nothing else has to know it.
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
from dtao_agents.results.plan import ResultsPlan, Row
from dtao_agents.training.checkpoints import PATTERN
from dtao_agents.training.multi_agent_run import train_multi_agent
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.ppo import train
from dtao_agents.training.settings import TrainConfig, read_mapping
from dtao_gym.sources import fingerprint
from dtao_gym.world.config import ConfigError

Trained = tuple[dict[str, Any], Mapping[str, np.ndarray]]


class Kind(NamedTuple):
    """A way to train.

    Attributes:
        inputs: `inputs(plan, row, seed)`, JSON: all that the result of a training depends on.
        train: `train(plan, row, seed, folder)` trains in a folder, or goes on there; returns a JSON record and arrays.
        files: of the folder, which must be there for the result to count.
        home: `home(plan, row)`, the scenario in which its policies are judged; None if it has none.
        section: `section(row, records)`, lines of RESULTS.md on the records of all seeds; None if all is in the
            tables already.
        publish: `publish(row, records, folders, policies)` copies the policies of one training seed into a folder of
            `policies`, where rows without a home are to be kept.
    """

    inputs: Callable[[ResultsPlan, Row, int], dict[str, Any]]
    train: Callable[[ResultsPlan, Row, int, Path], Trained]
    files: tuple[str, ...]
    home: Callable[[ResultsPlan, Row], Scenario] | None = None
    section: Callable[[Row, list[dict[str, Any]]], list[str]] | None = None
    publish: Callable[[Row, list[dict[str, Any]], Sequence[Path], Path], None] | None = None


Settings = TypeVar("Settings", TrainConfig, MultiAgentConfig)


def _settings(kind: type[Settings], plan: ResultsPlan, row: Row, seed: int) -> Settings:
    """Settings of a training: the row's file and overrides. Raises `ConfigError` that names the row."""
    content = read_mapping(find_config(row.config))
    env = content.get("env", {}) | row.overrides.get("env", {})
    own = {"seed": seed, "threads": plan.threads, "torch_threads": 1}
    try:
        return kind.make(content | row.overrides | own | {"env": env})
    except ConfigError as error:
        raise ConfigError(f"row {row.name}: {error}") from None


def settings_of(plan: ResultsPlan, row: Row, seed: int) -> TrainConfig:
    """Settings of a training of one learner. Raises `ConfigError` that names the row."""
    return _settings(TrainConfig, plan, row, seed)


def multi_agent_settings(plan: ResultsPlan, row: Row, seed: int) -> MultiAgentConfig:
    """Settings of a training of many learners. Raises `ConfigError` that names the row."""
    return _settings(MultiAgentConfig, plan, row, seed)


def _run(
    run: Callable[..., Any], settings: TrainConfig | MultiAgentConfig, folder: Path
) -> tuple[Any, dict[str, Any]]:
    """Train in a folder, or go on from its latest checkpoint; what that returned, and a record of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(settings.to_yaml())
    begun = any((folder / "checkpoints").glob(PATTERN))
    with (
        (folder / "log.txt").open("a") as log,
        contextlib.redirect_stdout(log),  # two progress bars in one terminal are none
    ):
        found = run(settings, folder, resume=begun)
    manifest = json.loads((folder / "manifest.json").read_text())
    record = {name: manifest[name] for name in ("timesteps", "train_seconds", "git_commit")}
    return found, record | {"resumed": begun}


def _inputs(plan: ResultsPlan, row: Row, seed: int) -> dict[str, Any]:
    settings = settings_of(plan, row, seed).model_dump(mode="json")
    # neither decides what is learned
    del settings["evaluation_episodes"], settings["threads"]
    return {"settings": settings, "sources": fingerprint("dtao_agents.training.ppo")}


def _train(plan: ResultsPlan, row: Row, seed: int, folder: Path) -> Trained:
    _, record = _run(train, settings_of(plan, row, seed), folder)
    record["weights_sha256"] = hashlib.sha256((folder / WEIGHTS_NAME).read_bytes()).hexdigest()
    return record, {}


def _home(plan: ResultsPlan, row: Row) -> Scenario:
    """The world that it was trained in, on evaluation seeds."""
    settings = settings_of(plan, row, plan.training_seeds[0])
    world = settings.env.model_dump(mode="json", exclude_unset=True)
    return Scenario(
        name=row.name,
        group="home",
        role="builder" if settings.role == "builder" else "staker",
        world=yaml.safe_load(yaml.safe_dump(world)),
        population=None,  # is in the settings
        rivals=None,
        seeds=plan.evaluation_seeds,
    ).checked()


def _multi_agent_inputs(plan: ResultsPlan, row: Row, seed: int) -> dict[str, Any]:
    settings = multi_agent_settings(plan, row, seed).model_dump(mode="json")
    del settings["threads"]
    return {"settings": settings, "sources": fingerprint("dtao_agents.training.multi_agent_run")}


def _train_multi_agent(plan: ResultsPlan, row: Row, seed: int, folder: Path) -> Trained:
    """The record holds the exploitability of each role."""
    found, record = _run(train_multi_agent, multi_agent_settings(plan, row, seed), folder)
    return {"roles": found, "training_seed": seed, **record}, {}


def _multi_agent_section(row: Row, records: list[dict[str, Any]]) -> list[str]:
    """Exploitability of each role and training seed, and what it says."""
    about = prose(
        f"`{row.config}`: all stakers share a policy, all builders another. epsilon is the gain of the best deviation "
        "that was found: by PPO from three fresh starts and from the learned policy, by the cross-entropy method, or "
        "among scripted policies; with its 95 % interval over evaluation seeds. Where its lower end is above 0 the "
        "policies are no equilibrium; where it is 0 no deviation that was tried gains for sure."
    )
    lines = [f"## Many learners: {row.name}", "", *about, ""]
    for role, unit in (
        ("staker", "paid: log growth a year; epsilon: the difference of it"),
        (
            "builder",
            "paid: TAO consumed; epsilon: relative to it; r: research share, and what epsilon leaves open",
        ),
    ):
        if role in records[0]["roles"]:
            lines += [*prose(f"Each {role} ({unit}):"), "", *_exploitability(role, records)]
    if row.publish:
        seed = records[median_record(records)]["training_seed"]
        lines += prose(
            f"The policies of training seed {seed}, the median, are in `policies/{row.name}/`."
        )
        lines.append("")
    if "builder" not in records[0]["roles"]:
        return lines
    nash = records[0]["roles"]["builder"]["nash"]
    if nash is not None and nash["share"] is not None:
        low, high = (1.0 / (1.0 + np.exp(-nash["log_odds"][end])) for end in ("low", "high"))
        lines += prose(
            f"The game of constant shares, without learning stakers (`agents/dtao_agents/equilibrium/nash.py`): r {nash['share']:.3f} "
            f"[{low:.3f}, {high:.3f}], {nash['verdict']}."
        )
    return [*lines, ""]


def _exploitability(role: str, records: list[dict[str, Any]]) -> list[str]:
    """A row for each training seed."""
    rows = []
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
        if "research_share" in its:
            low, high = its["identified_set"]
            cells.append(f"{its['research_share']:.3f} [{low:.3f}, {high:.3f}]")
        rows.append(cells)
    head = ["seed", "paid", "epsilon", "best deviation", "equilibrium", "r"]
    return table(head[: len(rows[0])], rows)


def median_record(records: list[dict[str, Any]]) -> int:
    """Which training seed's builders, or stakers where none learn, are paid the median; the lower one of two."""
    role = list(records[0]["roles"])[-1]
    paid = np.array([record["roles"][role]["paid"]["value"] for record in records])
    return int(paid.argsort(kind="stable")[(paid.size - 1) // 2])


def _publish_multi_agent(
    row: Row, records: list[dict[str, Any]], folders: Sequence[Path], policies: Path
) -> None:
    """Policies of all roles, their settings, and what RESULTS.md says they are paid."""
    middle = median_record(records)
    folder, record, target = folders[middle], records[middle], policies / row.name
    for role in record["roles"]:
        (target / role).mkdir(parents=True, exist_ok=True)
        for name in (WEIGHTS_NAME, CARD_NAME):
            shutil.copyfile(folder / role / name, target / role / name)
    shutil.copyfile(folder / "config.yaml", target / "config.yaml")
    paid = {role: its["paid"]["value"] for role, its in record["roles"].items()}
    content = {"training_seed": record["training_seed"], "paid": paid}
    write_atomically(target / SOCIETY_PUBLISHED, (json.dumps(content, indent=2) + "\n").encode())


SOCIETY_PUBLISHED = "paid.json"
SOCIETY_FILES = ("config.yaml", "exploitability.json")

KINDS: dict[str, Kind] = {
    "single": Kind(_inputs, _train, (WEIGHTS_NAME, CARD_NAME, "config.yaml"), _home),
    "many": Kind(
        _multi_agent_inputs,
        _train_multi_agent,
        SOCIETY_FILES,
        section=_multi_agent_section,
        publish=_publish_multi_agent,
    ),
}
"""By name; `single` is one learner in each world, `many` are policies shared by all stakers and all builders."""


def kind_of(row: Row) -> Kind:
    """Raises `ConfigError`."""
    if row.kind not in KINDS:
        raise ConfigError(f"row {row.name}: kind: got {row.kind!r}, allowed are {', '.join(KINDS)}")
    return KINDS[row.kind]
