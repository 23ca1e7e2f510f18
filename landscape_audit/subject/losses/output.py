"""Which part of what the model gives the loss is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from landscape_audit.errors import LossError
from landscape_audit.text import did_you_mean

USUAL = ("logits", "out")
"""Names of the output in a dict or a `ModelOutput`: as transformers and torchvision call it."""


def chosen(outputs: Any, asked: str | int | None, usual: tuple[str, ...] = USUAL) -> Any:
    """The part of `outputs` that `[loss] output` names; without a name the first `usual` one there, or all of it."""
    if isinstance(asked, int):
        return _numbered(outputs, asked)
    named = _named(outputs)
    if asked is None:
        name = next((name for name in usual if named.get(name) is not None), None)
        return outputs if name is None else named[name]
    if asked in named:
        return named[asked]
    if not named:
        raise _without(outputs, repr(asked))
    raise LossError(f"[loss] output: the model gives no '{asked}'.", remedy=did_you_mean(asked, map(str, named)))


def _named(outputs: Any) -> Mapping[str, Any]:
    """The parts by name: of a dict or `ModelOutput`, a dataclass or a named tuple."""
    if isinstance(outputs, Mapping):
        return outputs
    if is_dataclass(outputs):
        return {field.name: getattr(outputs, field.name) for field in fields(outputs)}
    return outputs._asdict() if isinstance(outputs, tuple) and hasattr(outputs, "_asdict") else {}


def _numbered(outputs: Any, asked: int) -> Any:
    if not isinstance(outputs, (tuple, list)) or not -len(outputs) <= asked < len(outputs):
        raise _without(outputs, f"number {asked}")
    return outputs[asked]


def _without(outputs: Any, asked: str) -> LossError:
    length = f" of {len(outputs)}" if isinstance(outputs, (tuple, list)) else ""
    return LossError(
        f"[loss] output: the model gives {type(outputs).__name__}{length}, which has no {asked}.",
        remedy="Leave it out where the model gives one tensor; a number picks from a tuple, a name from a dict.",
    )
