"""Flags for every setting: what the models of the settings say about a field is its flag's help."""

import dataclasses
from typing import Annotated, Any, TypeVar

import tyro
from pydantic import BaseModel

from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.settings import TrainConfig

Settings = TypeVar("Settings", TrainConfig, MultiAgentConfig)


def flags_of(model: BaseModel) -> type:
    """A dataclass with the fields of a model, its values as defaults, its descriptions as help.

    Values are checked afterwards by the model itself (`to_settings`), whose errors are one line each.
    """
    fields = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            nested = flags_of(value)
            fields.append((name, nested, dataclasses.field(default_factory=nested)))
        else:
            kind = Annotated[field.annotation, tyro.conf.arg(help=field.description)]
            fields.append((name, kind, dataclasses.field(default=value)))
    flags = dataclasses.make_dataclass(type(model).__name__ + "Flags", fields, frozen=True)
    flags.__doc__ = type(model).__doc__
    return flags


def to_settings(flags: Any, kind: type[Settings]) -> Settings:
    """Settings of a kind from parsed flags. Raises `ConfigError`."""
    return kind.make(dataclasses.asdict(flags))


def changed_fields(before: BaseModel, after: BaseModel) -> list[str]:
    """Dotted names of the settings that differ."""
    found = []
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(old, BaseModel):
            parts = [
                part for part in type(old).model_fields if getattr(old, part) != getattr(new, part)
            ]
            found += [f"{name}.{part}" for part in parts]
        elif old != new:
            found.append(name)
    return found
