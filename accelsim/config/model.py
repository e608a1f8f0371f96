"""The base of every model that is read from a file, and its field types."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Frozen(BaseModel):
    """A value: loaded once, checked strictly, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _integral(value: object) -> object:
    """Accept 1e9 where an integer is wanted: YAML 1.2 reads it as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Pattern of names that are shown: no control characters, no line ends.
NAME = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"

Integer = Annotated[int, BeforeValidator(_integral)]


def quantity(unit: str, description: str, **constraints: Any) -> Any:
    """Declare a field that carries a unit; both show in the JSON Schema.

    Parameters
    ----------
    unit
        Unit of the number, "count" for a pure number, "name" and "text" for words, "flag" for true and false.
    description
        What the number means, as a sentence.
    constraints
        Those of `pydantic.Field`: default, gt, ge, le, multiple_of, ...
    """
    return Field(description=f"{description} (unit: {unit})", json_schema_extra={"unit": unit}, **constraints)
