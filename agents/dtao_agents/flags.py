"""Command-line flags for every setting, with the descriptions of the settings' models as help."""

import dataclasses
from typing import Annotated, Any

import tyro
from pydantic import BaseModel

from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.settings import TrainConfig


def flags_of(model: BaseModel) -> type:
    """Make a dataclass with the fields of a model, its values as defaults and its descriptions as help.

    Values are checked afterwards by the model itself (`to_settings`), whose errors are one line each.
    """
    fields = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            nested = flags_of(value)
            fields.append((name, nested, dataclasses.field(default_factory=nested)))
        else:
            annotation = Annotated[field.annotation, tyro.conf.arg(help=field.description)]
            fields.append((name, annotation, dataclasses.field(default=value)))
    flags = dataclasses.make_dataclass(type(model).__name__ + "Flags", fields, frozen=True)
    flags.__doc__ = type(model).__doc__
    return flags


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
