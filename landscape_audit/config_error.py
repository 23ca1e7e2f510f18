"""What pydantic says about a bad setting, as one sentence that names the setting, what was found and the remedy."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from landscape_audit.errors import ConfigError
from landscape_audit.text import did_you_mean, printable

Step = str | int
Model = TypeVar("Model", bound=BaseModel)

_SCHEMA = "`landscape-audit schema config` describes every setting, and `schema policy` those of a policy."

_MUST: Mapping[str, str] = {
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "date_from_datetime_inexact": "it must be a day, such as 2026-12-31, without a time",
    "date_from_datetime_parsing": "it must be a day, such as 2026-12-31",
    "date_type": "it must be a day, such as 2026-12-31",
    "dict_type": "it must be a table",
    "finite_number": "it must be finite",
    "float_parsing": "it must be a number",
    "float_type": "it must be a number",
    "greater_than": "it must be greater than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "int_from_float": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_parsing_size": "it is too large",
    "int_type": "it must be a whole number",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "literal_error": "it must be {expected}",
    "model_type": "it must be a table",
    "path_type": "it must be a path, in quotes",
    "string_pattern_mismatch": "it is not of the form that it must have",
    "string_too_short": "it must not be empty",
    "string_type": "it must be text, in quotes",
    "too_short": "it must not be empty",
    "tuple_type": "it must be a list, in square brackets",
}
"""One sentence for each kind of error that these models can meet; any other keeps pydantic's own words."""


def validated(model: type[Model], values: dict[str, Any], origin: str) -> Model:
    """`values` as `model`, or one ConfigError that names the first wrong setting, what was found and the remedy."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise as_config_error(model, error, origin) from None


def as_config_error(model: type[BaseModel], error: ValidationError, origin: str) -> ConfigError:
    """The first thing to mend. An unknown setting comes first: misspelling one is why another is missing."""
    errors = error.errors(include_url=False)
    first: Mapping[str, Any] = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    path: tuple[Step, ...] = first["loc"]
    if first["type"] == "extra_forbidden":
        return _unknown(model, path, first["input"], origin)
    if first["type"] == "missing":
        return _missing(path, origin)
    if first["type"] == "value_error":
        where = f"{origin}: {dotted(path)}" if path else origin
        return ConfigError(f"{where}: {first['msg'].removeprefix('Value error, ')}.", remedy=_SCHEMA)
    found = printable(repr(first["input"]), limit=80)
    must = _MUST.get(first["type"], first["msg"][:1].lower() + first["msg"][1:]).format(**first.get("ctx", {}))
    return ConfigError(f"{origin}: {dotted(path)} is {found}: {must}.", remedy=_description(model, path) or _SCHEMA)


def dotted(path: Sequence[Step]) -> str:
    """A path as TOML writes it: `gates."sharpness.lambda_max".at_most`, `waivers[0].expires`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            bare = step.replace("_", "").replace("-", "").isalnum() and step.isascii()
            text += ("." if text else "") + (step if bare else f'"{step}"')
    return text


def _unknown(model: type[BaseModel], path: tuple[Step, ...], found: object, origin: str) -> ConfigError:
    where = f"{origin}: unknown setting {dotted(path)}."
    if len(path) == 3 and path[0] == "gates" and isinstance(found, dict):
        return ConfigError(
            f"{where} Without quotes, TOML splits the name of a gate at its dot.",
            remedy=f'Write  [gates."{path[1]}.{path[2]}"]',
        )
    return ConfigError(where, remedy=did_you_mean(str(path[-1]), _fields_at(model, path[:-1])))


def _missing(path: tuple[Step, ...], origin: str) -> ConfigError:
    if len(path) == 3 and path[0] == "gates" and path[2] == "why":
        return ConfigError(
            f"{origin}: {dotted(path)} is missing. A limit without its reason cannot be defended, or changed, later.",
            remedy='Add  why = "where the limit comes from"',
        )
    return ConfigError(f"{origin}: {dotted(path)} is missing.", remedy=_SCHEMA)


def _fields_at(model: type[BaseModel], path: Sequence[Step]) -> list[str]:
    """The settings that exist where `path` leads, through tables, lists and optional parts."""
    annotation: object = model
    for step in path:
        held = _model_in(annotation)
        if held is not None and step in held.model_fields:
            annotation = held.model_fields[str(step)].annotation
    return list((_model_in(annotation) or model).model_fields)


def _description(model: type[BaseModel], path: Sequence[Step]) -> str:
    """What the setting at `path` is for, in its own words."""
    annotation: object = model
    for step in path[:-1]:
        held = _model_in(annotation)
        annotation = held.model_fields[str(step)].annotation if held and step in held.model_fields else annotation
    owner = _model_in(annotation)
    field = owner.model_fields.get(str(path[-1])) if owner else None
    return (field.description or "") if field else ""


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that an annotation is, or holds: `M`, `M | None`, `dict[str, M]`, `tuple[M, ...]`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
