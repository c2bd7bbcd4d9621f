"""Studies over the settings of one training, with Optuna: `dtao tune`.

A trial trains with the settings that Optuna suggests and is scored on worlds of the evaluation split that no training
and no evaluation uses: seeds from `FIRST_SEED` on, where evaluation has 0 to 65,535 at most. The best trial can therefore
be evaluated afterwards on seeds that played no part in its choice.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.box import SIMPLE_HEAD

from dtao_agents.evaluation.evaluate import WORLDS_PER_BATCH, play
from dtao_agents.evaluation.policy_files import load_policy
from dtao_agents.files import write_atomically
from dtao_agents.roles.registry import agent_role
from dtao_agents.training.ppo import train
from dtao_agents.training.settings import LearnerSettings, TrainConfig, line_of
from dtao_gym.command_line import did_you_mean
from dtao_gym.tables import Column, print_table
from dtao_gym.world.config import ConfigError, read_yaml

if TYPE_CHECKING:
    import optuna
    from rich.console import Console

FIRST_SEED = 2**32
"""World seed of the first world that trials are scored in, in the evaluation split."""
TUNABLE = (*LearnerSettings.model_fields, "num_envs", "rollout_steps")
"""Settings that a study may vary: those of the learner, not of the world or of the budget."""
WARM_UP_TRIALS, WARM_UP_PART = 5, 0.3
"""Trials, and the part of a training, before which nothing is pruned."""
BEST_NAME = "best.yaml"
MOST_ROWS = 20
"""Trials in the table."""


class Range(BaseModel):
    """Numbers between two bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    log: bool = Field(False, description="Draw the logarithm evenly.")

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high or (self.log and self.low <= 0.0):
            raise ValueError("low must be less than high, and above 0 with log")
        return self


Space = dict[str, Range | list[Any]]
"""Ranges and lists of values by name of the setting."""


def make_space(content: Any) -> Space:
    """Return a search space from a mapping of names to ``[values]`` or ``{low: , high: , log: }``. Raises ConfigError."""
    if not isinstance(content, dict) or not content:
        raise ConfigError(
            f"space: got {content!r:.80}, allowed is a mapping of settings to a list or to low and high"
        )
    space: Space = {}
    for name, given in content.items():
        if name not in TUNABLE:
            hint = did_you_mean(str(name), TUNABLE)
            raise ConfigError(f"space: got {name!r}, allowed are {', '.join(TUNABLE)}{hint}")
        if isinstance(given, list):
            if len(given) < 2 or not all(
                isinstance(value, bool | int | float | str) for value in given
            ):
                raise ConfigError(f"space.{name}: got {given}, allowed are two or more values")
            space[name] = given
            continue
        try:
            space[name] = its = Range.model_validate(given)
        except ValidationError as error:
            problem = line_of(error.errors()[0], Range.model_fields)
            raise ConfigError(f"space.{name}: {problem}") from None
        kind = TrainConfig.model_fields[name].annotation
        if kind not in (int, float):
            raise ConfigError(f"space.{name}: got a range, allowed is a list of values")
        ends = (its.low, its.high)
        if kind is int and not all(end.is_integer() for end in ends):
            raise ConfigError(
                f"space.{name}: got {ends[0]:g} to {ends[1]:g}, allowed are whole numbers"
            )
    return space


def read_space(path: Path) -> Space:
    """Return a search space from a YAML file. Raises ConfigError that names the file."""
    try:
        return make_space(read_yaml(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def default_space(settings: TrainConfig) -> Space:
    """Return a space around the settings of a training, which holds these settings themselves."""
    rollout = settings.num_envs * settings.rollout_steps
    batches = {size for part in (2, 4, 8) if rollout % part == 0 and (size := rollout // part) >= 2}
    rate = settings.learning_rate

    def values(name: str, *others: float) -> list[Any]:
        return sorted({getattr(settings, name), *others})

    return {
        "learning_rate": Range(low=rate / 10.0, high=min(rate * 5.0, 1.0), log=True),
        "gamma": values("gamma", 0.9, 0.95, 0.98, 0.99, 0.995),
        "gae_lambda": values("gae_lambda", 0.8, 0.9, 0.95, 1.0),
        "batch_size": values("batch_size", *batches),
        "hidden": values("hidden", 8, 16, 32),
        "entropy_coef": values("entropy_coef", 0.0, 0.001, 0.01),
    }


class Plan(NamedTuple):
    """All that the scores of a study depend on.

    Attributes
    ----------
    settings : TrainConfig
        Those that trials have in common.
    space : dict
        Settings that they vary.
    episodes : int
        Worlds that each is scored in.
    """

    settings: TrainConfig
    space: Space
    episodes: int

    def to_record(self) -> dict[str, Any]:
        """Return the plan as JSON, without settings on which no result depends."""
        settings = self.settings.model_dump(mode="json", exclude={"threads", "torch_threads"})
        del settings["evaluation_episodes"], settings["checkpoint_every"]
        space = {
            name: each.model_dump() if isinstance(each, Range) else each
            for name, each in self.space.items()
        }
        return {**settings, "space": space, "episodes": self.episodes}


def check_plan(plan: Plan) -> None:
    """Raise ConfigError for a role that is not scored in simulated worlds, and for episodes out of range."""
    role = agent_role(plan.settings.role)
    if role.trains_on_prices:
        raise ConfigError(
            f"role: got {plan.settings.role!r}, allowed are roles in simulated markets: real prices have too few days to "
            "set some aside for a choice"
        )
    if not 2 <= plan.episodes <= 65_536:
        raise ConfigError(f"--episodes: got {plan.episodes}, allowed are 2 to 65536")


def score(plan: Plan, settings: TrainConfig, run: Path) -> float:
    """Return the mean score of a trained policy in the worlds of the study."""
    role = agent_role(settings.role)
    task, policy = role.evaluation_task(settings.env), load_policy(run)
    values = []
    for first in range(FIRST_SEED, FIRST_SEED + plan.episodes, WORLDS_PER_BATCH):
        seeds = range(first, min(first + WORLDS_PER_BATCH, FIRST_SEED + plan.episodes))
        played = play(policy, task, seeds, settings.threads, role.name)
        values.append(played.values[role.score])
    return float(np.concatenate(values).mean())


def open_study(plan: Plan, storage: str, name: str, seed: int = 0) -> "optuna.Study":
    """Return a study, a new one or one that goes on, with the trials that it has to repeat waiting.

    Raises
    ------
    ConfigError
        The storage cannot be used, or its study of that name is of another plan.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # `tune` says how trials end
    pruner = optuna.pruners.MedianPruner(WARM_UP_TRIALS, int(100 * WARM_UP_PART))
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            pruner=pruner,
            load_if_exists=True,
        )
    except (SQLAlchemyError, ValueError, ImportError, OSError, RuntimeError) as error:
        told = " ".join(str(error).split())[:200]
        raise ConfigError(f"--storage: got {storage!r}, which cannot be used: {told}") from None
    record = json.loads(json.dumps(plan.to_record()))
    before = study.user_attrs.get("plan")
    if before is None:
        study.set_user_attr("plan", record)
        own = {setting: getattr(plan.settings, setting) for setting in plan.space}
        if all(_holds(plan.space[setting], value) for setting, value in own.items()):
            study.enqueue_trial(own)
    elif before != record:
        changed = [key for key in {**before, **record} if before.get(key) != record.get(key)]
        raise ConfigError(
            f"--study: got {name!r}, which is of another {', '.join(changed)} in {storage}; allowed is the plan that it "
            "was begun with, or another name"
        )
    # a sampler that began with the same seed again would repeat its first draws
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    _repeat_interrupted(study)
    return study


def _holds(values: Range | list[Any], value: Any) -> bool:
    if isinstance(values, list):
        return value in values
    return values.low <= value <= values.high


def _repeat_interrupted(study: "optuna.Study") -> None:
    """Put trials that a kill or Ctrl-C has ended in the queue again, with their settings."""
    from optuna.trial import TrialState

    repeated = {trial.user_attrs.get("repeats") for trial in study.trials}
    for trial in study.trials:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        if trial.state in (TrialState.RUNNING, TrialState.FAIL) and trial.number not in repeated:
            study.enqueue_trial(trial.params, user_attrs={"repeats": trial.number})


def finished_trials(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """Return the trials that have a score, were pruned or were refused."""
    from optuna.trial import TrialState

    return [t for t in study.trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def tune(
    plan: Plan,
    folder: Path,
    study: "optuna.Study",
    n_trials: int,
    say: Callable[[str], None] = print,
) -> None:
    """Run trials until the study has so many, and keep the settings of the best in best.yaml of the folder.

    Parameters
    ----------
    plan : Plan
        One that `check_plan` accepts.
    folder : Path
        An existing folder; each trial has a run in it.
    study : optuna.Study
        Of `open_study`.
    n_trials : int
        Trials in all, with those that it has.
    say : callable
        Called with a line for each trial.
    """
    form = agent_role(plan.settings.role).page_score_form

    def objective(trial: "optuna.Trial") -> float:
        return _objective(trial, plan, folder)

    def report(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        say(f"trial {trial.number}: {_outcome(trial, form)}  {_listed(trial.params)}")
        write_best(plan, folder, study)

    while len(finished_trials(study)) < n_trials:
        study.optimize(objective, n_trials=1, callbacks=[report])
    write_best(plan, folder, study)


def _objective(trial: "optuna.Trial", plan: Plan, folder: Path) -> float:
    """Train with the suggested settings; return the score."""
    import optuna

    chosen = {name: _suggest(trial, name, values) for name, values in plan.space.items()}
    try:
        settings = TrainConfig.make(plan.settings.model_dump() | chosen)
    except ConfigError as error:
        trial.set_user_attr("refused", str(error))
        raise optuna.TrialPruned from None
    run = folder / f"trial_{trial.number}"
    if run.exists():
        shutil.rmtree(run)
    run.mkdir()
    write_atomically(run / "config.yaml", settings.to_yaml().encode())
    told = -1

    def on_update(row: Mapping[str, float]) -> None:
        nonlocal told
        percent = int(100 * row["timesteps"] / settings.total_timesteps)
        if percent > told and np.isfinite(row["reward_per_year"]):
            trial.report(row["reward_per_year"], percent)
            told = percent
            if percent < 100 and trial.should_prune():
                raise optuna.TrialPruned

    started = time.perf_counter()
    try:
        with (run / "log.txt").open("w") as log, contextlib.redirect_stdout(log):
            train(settings, run, on_update=on_update)
            return score(plan, settings, run)
    finally:
        trial.set_user_attr("seconds", time.perf_counter() - started)
        shutil.rmtree(run / "checkpoints", ignore_errors=True)  # nothing continues a trial


def _suggest(trial: "optuna.Trial", name: str, values: Range | list[Any]) -> Any:
    if isinstance(values, list):
        return trial.suggest_categorical(name, values)
    if TrainConfig.model_fields[name].annotation is int:
        return trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _outcome(trial: "optuna.trial.FrozenTrial", form: str) -> str:
    """Score of a trial, or why it has none."""
    if trial.value is not None and trial.state.name == "COMPLETE":
        return f"{trial.value:{form}}"
    if "refused" in trial.user_attrs:
        return f"refused ({trial.user_attrs['refused']})"
    return trial.state.name.lower()


def _listed(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {short(value)}" for name, value in params.items())


def short(value: Any) -> str:
    """Return a value of a setting in few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write_best(plan: Plan, folder: Path, study: "optuna.Study") -> TrainConfig | None:
    """Write best.yaml, which `dtao train` takes, and return its settings; None where no trial has a score."""
    scored = [trial for trial in finished_trials(study) if trial.state.name == "COMPLETE"]
    if not scored:
        return None
    best = max(scored, key=_value)
    settings = TrainConfig.make(plan.settings.model_dump() | best.params)
    head = (
        f"# Best of {len(finished_trials(study))} trials of the study {study.study_name}: trial {best.number}, "
        f"score {best.value:.6g} in {plan.episodes} worlds set aside for the choice.\n"
    )
    write_atomically(folder / BEST_NAME, (head + settings.to_yaml()).encode())
    return settings


def _value(trial: "optuna.trial.FrozenTrial") -> float:
    """Score of a trial; of one without a score less than any."""
    is_scored = trial.state.name == "COMPLETE" and trial.value is not None
    return float(trial.value) if is_scored else float("-inf")  # type: ignore[arg-type]


def print_trials(plan: Plan, study: "optuna.Study", console: "Console") -> None:
    """Print the best trials, settings that the width has no room for left out."""
    trials = sorted(finished_trials(study), key=_value, reverse=True)
    columns = [
        Column("trial"),
        Column("score"),
        Column("seconds", rank=len(plan.space) + 1),
        *(Column(name, rank=k + 1) for k, name in enumerate(plan.space)),
    ]
    form = agent_role(plan.settings.role).page_score_form
    rows = [
        [
            str(trial.number),
            _outcome(trial, form).partition(" ")[0],
            f"{trial.user_attrs.get('seconds', 0.0):,.0f}",
            *(short(trial.params[name]) for name in plan.space),
        ]
        for trial in trials[:MOST_ROWS]
    ]
    print_table(console, columns, rows, ["bold"], box=SIMPLE_HEAD, padding=0, show_edge=False)
    unit = agent_role(plan.settings.role).score_unit
    more = f" The best {MOST_ROWS} of {len(trials)} trials." if len(trials) > MOST_ROWS else ""
    console.print(
        f"score: {unit}, mean of {plan.episodes} worlds with seeds from {FIRST_SEED} of the evaluation split, which "
        f"no training and no evaluation uses.{more}",
        highlight=False,
    )
