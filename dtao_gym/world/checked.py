"""The base of all configurations: numbers are given as numbers."""

import functools
from types import EllipsisType, NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError


@functools.cache
def _kinds(annotation: Any) -> frozenset[Any]:
    """The types of single values in an annotation; str for those of a Literal."""
    if get_origin(annotation) is Literal:
        return frozenset({str})
    parts = get_args(annotation)
    if not parts:
        return frozenset({annotation}) - {NoneType, Ellipsis, EllipsisType}
    return frozenset().union(*map(_kinds, parts))


def _has_no_number(value: Any, depth: int = 4) -> bool:
    """Whether a value is or holds a truth value or a text, which pydantic would turn into a number."""
    if isinstance(value, list | tuple | dict) and depth > 0:
        values = [*value, *value.values()] if isinstance(value, dict) else value
        return any(_has_no_number(part, depth - 1) for part in values)
    if isinstance(value, bool | str | bytes | bytearray):
        return True
    return getattr(getattr(value, "dtype", None), "kind", "f") in "bSU"


class Checked(BaseModel, frozen=True):
    """A model whose numbers are given as numbers: True, "1" and b"1" are none."""

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_only(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        if kinds and kinds <= {int, float} and _has_no_number(value):
            noun = "integer" if kinds == {int} else "number"
            raise PydanticCustomError("number", f"Input should be a valid {noun}")  # type: ignore[arg-type]
        return value
