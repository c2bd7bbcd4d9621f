"""Pages of the reference on settings: each field of the configurations, from their models."""

import inspect
import typing
from collections.abc import Iterator
from typing import Any, Literal

from dtao_agents.probe.plan import Plan
from dtao_agents.results.plan import ResultsPlan
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.settings import LearnerSettings, TrainConfig
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dtao_gym.envs.task import TaskConfig
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.config import Config
from dtao_gym.world.config_law import Law
from dtao_gym.world.config_people import People
from scripts.markdown import escaped, overview, table

PAGES: dict[type[BaseModel], tuple[str, str]] = {
    TaskConfig: (
        "Parameters of a world",
        "Keywords of `gym.make`, `make_vec`, `parallel_env` and `Config.make`, and lines of a YAML file that is passed as "
        "`config=`; `env` in the settings of a training.",
    ),
    ReplayConfig: ("Parameters of a replay", "Keywords of `dtao_gym/Replay-v0` and of `backtest`."),
    TrainConfig: (
        "Settings of a training",
        "A YAML file for `dtao train`; each setting is a flag too, and the flag wins. What decides the result is here; "
        "folders are arguments of [the command](commands.md).",
    ),
    MultiAgentConfig: (
        "Settings of a training of many agents",
        "A file that names `stakers` or `builders` is of this kind.",
    ),
    Plan: ("Plan of a probe", "A YAML file for `dtao probe`, such as `configs/probe_quick.yaml`."),
    ResultsPlan: ("Plan of results", "A YAML file for `dtao results`: `configs/results.yaml`."),
}  # fmt: skip
"""Models with a page of their own: title and first paragraph."""
GROUPS = {
    TaskConfig: "The task of an agent",
    Config: "The world",
    Law: "Rules of the chain",
    People: "Behaviour of people",
    LearnerSettings: "Network and PPO",
}
"""Headings for the fields that a class of a model declares."""
UNITS = {
    "days_per_step": "days",
    "_tao": "TAO",
    "_alpha": "alpha",
    "_days": "days",
    "_blocks": "blocks",
    "_per_year": "per year",
    "_per_slot_year": "per slot and year",
    "_hazard": "per day",
    "spend_rate": "per day",
    "_share": "part",
    "_fraction": "part",
    "_sd": "sd of ln",
    "_timesteps": "steps",
}
"""Units by the end of a name."""


def unit_of(name: str, field: FieldInfo) -> str:
    """Return the unit of a field, which its name tells; "-" where it tells none."""
    if list(nested_models(field.annotation)):
        return "-"
    return next((unit for end, unit in UNITS.items() if f"_{name}".endswith(end)), "-")


def type_of(annotation: Any) -> str:
    """Return the type of a field as text."""
    if typing.get_origin(annotation) is Literal:
        return "choice"
    if typing.get_args(annotation):
        arguments = [type_of(a) for a in typing.get_args(annotation)]
        if typing.get_origin(annotation) in (tuple, list, dict, frozenset):
            return f"{typing.get_origin(annotation).__name__}[{', '.join(arguments)}]"
        return " or ".join(arguments)
    if annotation is type(None):
        return "None"
    if annotation is Ellipsis:
        return "..."
    return getattr(annotation, "__name__", str(annotation))


def range_of(field: FieldInfo) -> str:
    """Return the allowed range of a field: bounds, or the values of a choice; "-" for neither."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = {
        bound: getattr(limit, bound)
        for limit in field.metadata
        for bound in (*signs, "max_length", "min_length")
        if hasattr(limit, bound)
    }
    if "ge" in bounds and "le" in bounds:
        return f"{shown(bounds['ge'])} to {shown(bounds['le'])}"
    parts = [f"{signs[b]}\N{NO-BREAK SPACE}{shown(v)}" for b, v in bounds.items() if b in signs]
    parts += [f"at most {v} entries" for b, v in bounds.items() if b == "max_length"]
    parts += [f"at least {v} entries" for b, v in bounds.items() if b == "min_length"]
    choices = [
        str(value)
        for part in (field.annotation, *typing.get_args(field.annotation))
        if typing.get_origin(part) is Literal
        for value in typing.get_args(part)
    ]
    return ", ".join(parts or [f"`{choice}`" for choice in choices]) or "-"


def shown(value: Any) -> str:
    """Return a value for a table."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, int) and value > 1e9 and value & (value - 1) == 0:
        return f"2**{value.bit_length() - 1}"
    if isinstance(value, int | float):
        text = f"{value:,.10g}" if abs(value) < 1e9 else f"{value:.3g}"
        return text.replace("e+0", "e").replace("e-0", "e-")
    if isinstance(value, tuple | list):
        return f"({', '.join(map(shown, value))})"
    return str(value)


def default_of(field: FieldInfo) -> str:
    """Return the default of a field."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    parts = value if isinstance(value, tuple | list) else (value,)
    if any(isinstance(part, BaseModel) for part in parts):
        return "its own defaults"
    return f"`{shown(value)}`"


def nested_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from nested_models(part)


def declared_by(model: type[BaseModel], name: str) -> type[BaseModel]:
    """Return the class of a model that declares a field."""
    return next(cls for cls in model.__mro__ if name in inspect.get_annotations(cls))


def field_rows(model: type[BaseModel], names: list[str]) -> list[tuple[str, ...]]:
    """Return the rows of a table of fields. Raises ValueError for a field without a description."""
    rows = []
    for name in names:
        field = model.model_fields[name]
        description = field.description or ""
        if not description:
            raise ValueError(f"{model.__name__}.{name}: has no description")
        links = [m for m in nested_models(field.annotation) if m in PAGES]
        kind = " or ".join(f"[{m.__name__}]({page_of(m)})" for m in links)
        kind = kind or escaped(type_of(field.annotation))
        text = escaped(description).replace("|", "\\|")
        unit = unit_of(name, field)
        allowed = " ".join(p for p in (range_of(field), unit) if p != "-") or "-"
        rows.append((f"`{name}`", kind, default_of(field), allowed, text))
    return rows


def page_of(model: type[BaseModel]) -> str:
    """Return the file name of a model's page."""
    return f"settings-{model.__name__.lower()}.md"


HEADER = ("field", "type", "default", "allowed, unit", "meaning")


def settings_page(model: type[BaseModel]) -> str:
    """Return the page of a model: its fields by the class that declares them, then nested models."""
    title, introduction = PAGES[model]
    lines = [f"# {title}", "", introduction]
    groups: dict[type[BaseModel], list[str]] = {}
    for name in model.model_fields:
        groups.setdefault(declared_by(model, name), []).append(name)
    for cls in sorted(groups, key=model.__mro__.index):
        if len(groups) > 1:
            lines += ["", f"## {GROUPS.get(cls, title)}"]
        lines += ["", *table(HEADER, field_rows(model, groups[cls]))]
    waiting = [m for f in model.model_fields.values() for m in nested_models(f.annotation)]
    done: set[type[BaseModel]] = set(PAGES)
    while waiting:
        other = waiting.pop(0)
        if other in done:
            continue
        done.add(other)
        summary = " ".join((inspect.getdoc(other) or "").split("\n\n")[0].split())
        rows = field_rows(other, list(other.model_fields))
        lines += ["", f"## {other.__name__}", "", escaped(summary), "", *table(HEADER, rows)]
        waiting += [m for f in other.model_fields.values() for m in nested_models(f.annotation)]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return the text of each page by file name, and an overview."""
    texts = {page_of(model): settings_page(model) for model in PAGES}
    rows = [
        (f"[{title}]({page_of(model)})", f"`{model.__name__}`", str(len(model.model_fields)))
        for model, (title, _) in PAGES.items()
    ]
    text = (
        "Unknown names, bad types and values out of range are one line of error before anything runs. A default of "
        "`none` means that the era, the snapshot or the kind of world decides. Rates are per day unless the name "
        "says otherwise; amounts are TAO."
    )
    texts["settings.md"] = overview("Settings", text, ("page", "model", "fields"), rows, texts)
    return texts
