"""Which part of what the model gives the loss is held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from landscape_audit.errors import LossError
from landscape_audit.text import did_you_mean

USUAL = ("logits", "out")
"""Names of the output in a dict or a `ModelOutput`: as transformers and torchvision call it."""


def chosen(outputs: Any, asked: str | int | None) -> Any:
    """The part of `outputs` that `[loss] output` names; without a name the usual one of a dict, or all of it."""
    if asked is None:
        name = next((name for name in USUAL if isinstance(outputs, Mapping) and name in outputs), None)
        return outputs if name is None else outputs[name]
    if isinstance(asked, int):
        return _numbered(outputs, asked)
    if isinstance(outputs, Mapping):
        if asked in outputs:
            return outputs[asked]
        raise LossError(f"[loss] output: the model gives no '{asked}'.", remedy=did_you_mean(asked, map(str, outputs)))
    if isinstance(outputs, Tensor) or not hasattr(outputs, asked):
        raise _without(outputs, repr(asked))
    return getattr(outputs, asked)


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
