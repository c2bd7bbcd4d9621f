"""Command-line flags for every setting, with the descriptions of the settings' models as help."""

import dataclasses
from collections.abc import Collection
from typing import Annotated, Any

import tyro
from pydantic import BaseModel

from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.settings import TrainConfig

_LEARNER = (
    "network", "hidden", "learning_rate", "batch_size", "epochs", "gamma", "gae_lambda", "entropy_coef",
)  # fmt: skip
_WORLD = ("genesis", "era", "n_subnets", "horizon_days", "days_per_step", "wealth_tao")
_PRICES = ("prices", "split_date")  # of a replay, which has neither genesis nor era
_OF_ROLES = ("hidden", "learning_rate", "batch_size", "gamma")
MAIN_SETTINGS: dict[type[BaseModel], tuple[str, ...]] = {
    TrainConfig: (
        "role", "seed", "total_timesteps", "num_envs", "rollout_steps", "threads",
        *_LEARNER,
        *(f"env.{name}" for name in _WORLD + _PRICES),
    ),
    MultiAgentConfig: (
        "stakers", "builders", "seed", "total_timesteps", "num_envs", "rollout_steps", "threads",
        *(f"{role}.{name}" for role in ("staker", "builder") for name in _OF_ROLES),
        *(f"env.{name}" for name in _WORLD[:-1]),
    ),
}  # fmt: skip
"""Dotted names of the 20 settings that `--help` shows, for both kinds of training; `--help-all` shows the others too."""


def flags_of(model: BaseModel, shown: Collection[str] | None = None) -> type:
    """Make a dataclass with the fields of a model, its values as defaults and its descriptions as help.

    Values are checked afterwards by the model itself (`to_settings`), whose errors are one line each.

    Parameters
    ----------
    model : BaseModel
    shown : collection of str, optional
        Dotted names of the fields to keep, for a short help; by default all of them.
    """
    fields, its_fields = [], type(model).model_fields
    for name in its_fields if shown is None else _in_order(its_fields, shown):
        field, value = its_fields[name], getattr(model, name)
        if isinstance(value, BaseModel):
            nested = flags_of(value, None if shown is None else _below(name, shown))
            fields.append((name, nested, dataclasses.field(default_factory=nested)))
        else:
            annotation = Annotated[field.annotation, tyro.conf.arg(help=field.description)]
            fields.append((name, annotation, dataclasses.field(default=value)))
    flags = dataclasses.make_dataclass(type(model).__name__ + "Flags", fields, frozen=True)
    flags.__doc__ = (type(model).__doc__ or "").partition("\n\n")[0]
    return flags


def _in_order(fields: Collection[str], shown: Collection[str]) -> list[str]:
    """Names of the fields that are shown themselves or have such fields, in the order of `shown`."""
    names = dict.fromkeys(name.partition(".")[0] for name in shown)
    return [name for name in names if name in fields]


def _below(name: str, shown: Collection[str]) -> list[str]:
    """Names of the fields of a nested model, of those shown."""
    return [each.removeprefix(f"{name}.") for each in shown if each.startswith(f"{name}.")]


def to_settings(
    flags: Any, model: type[TrainConfig] | type[MultiAgentConfig]
) -> TrainConfig | MultiAgentConfig:
    """Settings from parsed flags.

    Raises
    ------
    ConfigError
        A value is out of range.
    """
    return model.make(dataclasses.asdict(flags))


def changed_fields(before: BaseModel, after: BaseModel) -> list[str]:
    """Dotted names of the settings that differ."""
    changed = []
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(old, BaseModel):
            changed += [
                f"{name}.{part}"
                for part in type(old).model_fields
                if getattr(old, part) != getattr(new, part)
            ]
        elif old != new:
            changed.append(name)
    return changed
