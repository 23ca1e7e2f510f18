"""A loss of the user's own: `file.py:function`."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from landscape_audit.errors import LossError
from landscape_audit.spec import LossSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.nested import Nested, mapped, tensors
from landscape_audit.subject.losses.loss import ACCUMULATE, BatchLoss, Loss, summed


def from_code(spec: LossSpec, code: UserCode) -> Loss:
    """The user's `function(outputs, targets, **kwargs)`, or `function(outputs, targets, inputs, **kwargs)`.

    Outputs are all that the model gives unless `[loss] output` names a part; targets and inputs are as the loader
    gives them: a tensor, a tuple or a dict. It returns (sum, weight), a vector of one loss an example, or a scalar:
    the mean over the batch's examples.
    """
    function = code.resolve(spec.name, LossError)

    def measure(outputs: Any, targets: Nested, **inputs: Nested) -> BatchLoss:
        with code.lent(spec.name, LossError):
            returned = function(outputs, mapped(torch.clone, targets), **inputs, **spec.kwargs)  # it may overwrite them
        return _understood(spec.name, returned, targets)

    takes = _takes_inputs(function) and "inputs" not in spec.kwargs
    check = lambda _outputs, _targets: None  # noqa: E731 - there is nothing to explain
    return Loss(spec.name, None, measure, check, usual=(), takes_inputs=takes, code=_source(function))


def _source(function: Callable[..., Any]) -> str:
    """SHA-256 of the source of a function, or of the class of an object that is called; empty where there is none."""
    try:
        text = inspect.getsource(
            function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
        )
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _takes_inputs(function: Callable[..., Any]) -> bool:
    """Whether it has an argument `inputs` behind its first two, whatever those are called."""
    try:
        return "inputs" in list(inspect.signature(function).parameters)[2:]
    except (TypeError, ValueError):  # made in C, without a signature
        return False


def _understood(name: str, returned: object, targets: Nested) -> BatchLoss:
    first = tensors(targets)[0]
    n = first.shape[0]
    if isinstance(returned, Tensor) and returned.is_meta:
        raise LossError(f"{name}: returned a tensor on the meta device.", remedy="Compute it where the outputs are.")
    if isinstance(returned, tuple) and len(returned) == 2:
        total, weight = returned
        return BatchLoss(_scalar(name, total, "sum"), _weight(name, weight, first))
    if isinstance(returned, Tensor) and returned.ndim == 0:
        return BatchLoss(_scalar(name, returned, "loss") * n, _weight(name, n, first))
    if isinstance(returned, Tensor) and returned.shape == (n,) and returned.is_floating_point():
        return summed(returned, torch.ones_like(returned, dtype=ACCUMULATE))
    shape = f" {tuple(returned.shape)} of {returned.dtype}" if isinstance(returned, Tensor) else ""
    raise LossError(
        f"{name}: returned {type(returned).__name__}{shape} for a batch of {n}.",
        remedy="Return (sum, weight), a vector with one loss an example, or a scalar tensor: the mean over the batch.",
    )


def _scalar(name: str, value: object, role: str) -> Tensor:
    if not (isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()):
        found = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise LossError(
            f"{name}: its {role} is {found}, not a scalar tensor that gradients flow through.",
            remedy="Return a real tensor of no dimension, such as losses.sum(), without detach() or item().",
        )
    return value.to(ACCUMULATE)


def _weight(name: str, value: object, beside: Tensor) -> Tensor:
    weight = torch.as_tensor(value, dtype=ACCUMULATE, device=beside.device).detach() if _is_number(value) else None
    if weight is None or not (weight.isfinite() and weight >= 0):
        raise LossError(
            f"{name}: its weight is {value!r}, not a number of examples or tokens.",
            remedy="Return (sum, weight): the sum of the losses and how many there are.",
        )
    return weight


def _is_number(value: object) -> bool:
    return (isinstance(value, Tensor) and value.ndim == 0) or isinstance(value, (int, float))
