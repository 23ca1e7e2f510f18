"""What is minimised: sums and weights over a batch, so that ragged and masked batches add up exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from landscape_audit.errors import LossError
from landscape_audit.spec import LossSpec
from landscape_audit.subject.code import UserCode
from landscape_audit.text import did_you_mean

_EXAMPLES = {"ignore_index": "-100", "label_smoothing": "0.1"}
_ACCUMULATE = torch.float64  # a sum in float32 over a million terms is off by up to 3e-4


@dataclass(frozen=True)
class BatchLoss:
    """One batch's share of the loss: L = sum of totals / sum of weights, over the batches.

    `total` is a float64 scalar that gradients flow through; everything else is detached. Where the loss has them,
    `examples` (n,) are the examples' own mean losses and `example_weights` (n,) their weights, so that
    `total = sum(examples * example_weights)`. `metric / metric_weight`, summed likewise, is the metric.
    """

    total: Tensor
    weight: Tensor
    examples: Tensor | None = None
    example_weights: Tensor | None = None
    metric: Tensor | None = None
    metric_weight: Tensor | None = None


@dataclass(frozen=True)
class Loss:
    """A loss by name. `measure(outputs, targets)` is called many times; `check` once a batch, to explain misuse."""

    name: str
    metric: str | None
    measure: Callable[[Any, Any], BatchLoss]
    check: Callable[[Any, Any], None]


def resolve_loss(spec: LossSpec, code: UserCode) -> Loss:
    """The loss that `spec` names: built in, or the user's `file.py:function`."""
    if ":" in spec.name:
        return _from_code(spec, code)
    if spec.name not in _BUILT_IN:
        remedy = f"{did_you_mean(spec.name, _BUILT_IN)} Your own: 'file.py:function'."
        raise LossError(f"[loss] name '{spec.name}' is unknown.", remedy=remedy)
    make, known = _BUILT_IN[spec.name]
    unknown = sorted(set(spec.kwargs) - set(known))
    if unknown:
        remedy = did_you_mean(unknown[0], known) if known else "It takes none."
        raise LossError(f"[loss] {spec.name} has no argument '{unknown[0]}'.", remedy=remedy)
    for name, value in spec.kwargs.items():
        if isinstance(value, bool) or not isinstance(value, known[name]):
            raise LossError(
                f"[loss] {spec.name}: {name} = {value!r} is not a number of the kind it takes.",
                remedy=f"Write it without quotes:  [loss] kwargs = {{ {name} = {_EXAMPLES[name]} }}",
            )
    return make(**spec.kwargs)


# ------------------------------------------------------------------------------------------------------------ built in


def cross_entropy(ignore_index: int = -100, label_smoothing: float = 0.0) -> Loss:
    """Softmax cross-entropy in nats, averaged over the targets that count.

    Outputs (n, C) or (n, C, d1, …); targets either classes (n, d1, …) or probabilities of the outputs' shape.
    """
    if not 0 <= label_smoothing <= 1:
        raise LossError(
            f"[loss] cross_entropy: label_smoothing = {label_smoothing:g} is not from 0 to 1.",
            remedy="0.1 is usual, 0.0 is none.",
        )

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs, targets, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="none"
        )

    return _classification("cross_entropy", losses, ignore_index)


def nll(ignore_index: int = -100) -> Loss:
    """Minus the log-probability the model gives to the target class; shapes and mean as in cross_entropy."""

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.nll_loss(outputs, targets, ignore_index=ignore_index, reduction="none")

    return _classification("nll", losses, ignore_index, probabilities=False)


def mse() -> Loss:
    """The squared error averaged over every element, as torch's own default; the weight is the number of elements."""

    def measure(outputs: Tensor, targets: Tensor) -> BatchLoss:
        losses = (outputs - targets).square()
        return _summed(losses, torch.ones_like(losses, dtype=_ACCUMULATE))

    return Loss("mse", None, measure, lambda outputs, targets: _check_same_shape("mse", outputs, targets))


def bce_with_logits() -> Loss:
    """Binary cross-entropy of logits in nats, averaged over every element; a positive logit predicts the class."""

    def measure(outputs: Tensor, targets: Tensor) -> BatchLoss:
        losses = functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), reduction="none")
        right = (outputs > 0) == (targets > 0.5)  # half: a label is 0 or 1
        return _summed(losses, torch.ones_like(losses, dtype=_ACCUMULATE), right)

    return Loss("bce_with_logits", "accuracy", measure, _check_binary)


_BUILT_IN: dict[str, tuple[Callable[..., Loss], dict[str, Any]]] = {
    "cross_entropy": (cross_entropy, {"ignore_index": int, "label_smoothing": (int, float)}),
    "nll": (nll, {"ignore_index": int}),
    "mse": (mse, {}),
    "bce_with_logits": (bce_with_logits, {}),
}


def _classification(
    name: str, losses: Callable[[Tensor, Tensor], Tensor], ignore_index: int, *, probabilities: bool = True
) -> Loss:
    def measure(outputs: Tensor, targets: Tensor) -> BatchLoss:
        if targets.is_floating_point():
            each = losses(outputs, targets)
            return _summed(each, torch.ones_like(each, dtype=_ACCUMULATE), outputs.argmax(1) == targets.argmax(1))
        counted = targets != ignore_index
        right = (outputs.argmax(1) == targets) & counted
        return _summed(losses(outputs, targets.long()), counted.to(_ACCUMULATE), right)

    def check(outputs: Any, targets: Tensor) -> None:
        _check_tensor(name, outputs)
        if targets.is_floating_point() and probabilities:
            _check_same_shape(name, outputs, targets)
        else:
            _check_classes(name, outputs, targets, ignore_index)

    return Loss(name, "accuracy", measure, check)


def _summed(losses: Tensor, weights: Tensor, right: Tensor | None = None) -> BatchLoss:
    """Sums over losses (n, …) with weights of 0 or 1; a loss of weight 0 is already 0."""
    each = losses.detach().to(_ACCUMULATE).flatten(1).sum(1) if losses.ndim > 1 else losses.detach().to(_ACCUMULATE)
    own = weights.flatten(1).sum(1) if weights.ndim > 1 else weights
    weight = weights.sum()
    return BatchLoss(
        total=losses.sum(dtype=_ACCUMULATE),
        weight=weight,
        examples=each / own.clamp(min=1),
        example_weights=own,
        metric=None if right is None else right.sum(dtype=_ACCUMULATE),
        metric_weight=None if right is None else weight,
    )


def _check_tensor(name: str, outputs: object) -> None:
    if not isinstance(outputs, Tensor):
        raise LossError(
            f"{name}: the model's output is of type {type(outputs).__name__}, not a tensor.",
            remedy="Return the logits from the model, or give your own loss:  [loss] name = 'file.py:function'",
        )


def _check_same_shape(name: str, outputs: Any, targets: Tensor) -> None:
    _check_tensor(name, outputs)
    if outputs.shape != targets.shape:
        # torch would broadcast (n, 1) against (n,) to (n, n) and average over that.
        raise LossError(
            f"{name}: outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)} differ in shape.",
            remedy="Give the targets the shape of the model's outputs.",
        )


def _check_binary(outputs: Any, targets: Tensor) -> None:
    _check_same_shape("bce_with_logits", outputs, targets)
    if targets.numel() and not (targets.min() >= 0 and targets.max() <= 1):
        raise LossError(
            f"bce_with_logits: targets from {targets.min().item():g} to {targets.max().item():g}; they are 0 to 1.",
            remedy="Give labels 0 and 1, or probabilities.",
        )


def _check_classes(name: str, outputs: Tensor, targets: Tensor, ignore_index: int) -> None:
    if targets.is_floating_point() or outputs.ndim < 2 or targets.shape != outputs.shape[:1] + outputs.shape[2:]:
        raise LossError(
            f"{name}: outputs {tuple(outputs.shape)} do not go with {targets.dtype} targets {tuple(targets.shape)}.",
            remedy="Outputs are (n, classes, …) and targets integer classes (n, …).",
        )
    # Looked at before the loss is: on a GPU a class out of range ends the process.
    classes, counted = outputs.shape[1], targets[targets != ignore_index]
    if counted.numel() and not (counted.min() >= 0 and counted.max() < classes):
        bad = counted.min() if counted.min() < 0 else counted.max()
        raise LossError(
            f"{name}: a target is {bad.item()}, but the model has {classes} classes, 0 to {classes - 1}.",
            remedy="If it marks targets that do not count:  [loss] kwargs = { ignore_index = … }",
        )


# ---------------------------------------------------------------------------------------------------------- user's own


def _from_code(spec: LossSpec, code: UserCode) -> Loss:
    """The user's `function(outputs, targets, **kwargs)`.

    It returns (sum, weight), a vector of one loss an example, or a scalar: the mean over the batch's examples.
    """
    function = code.resolve(spec.name, LossError)

    def measure(outputs: Any, targets: Tensor) -> BatchLoss:
        with code.lent(spec.name, LossError):
            returned = function(outputs, targets.clone(), **spec.kwargs)  # a loss may overwrite what it is given
        return _understood(spec.name, returned, targets)

    return Loss(spec.name, None, measure, lambda _outputs, _targets: None)


def _understood(name: str, returned: object, targets: Tensor) -> BatchLoss:
    n = targets.shape[0]
    if isinstance(returned, Tensor) and returned.is_meta:
        raise LossError(f"{name}: returned a tensor on the meta device.", remedy="Compute it where the outputs are.")
    if isinstance(returned, tuple) and len(returned) == 2:
        total, weight = returned
        return BatchLoss(_scalar(name, total, "sum"), _weight(name, weight, targets))
    if isinstance(returned, Tensor) and returned.ndim == 0:
        return BatchLoss(_scalar(name, returned, "loss") * n, _weight(name, n, targets))
    if isinstance(returned, Tensor) and returned.shape == (n,) and returned.is_floating_point():
        return _summed(returned, torch.ones_like(returned, dtype=_ACCUMULATE))
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
    return value.to(_ACCUMULATE)


def _weight(name: str, value: object, targets: Tensor) -> Tensor:
    weight = torch.as_tensor(value, dtype=_ACCUMULATE, device=targets.device).detach() if _is_number(value) else None
    if weight is None or not (weight.isfinite() and weight >= 0):
        raise LossError(
            f"{name}: its weight is {value!r}, not a number of examples or tokens.",
            remedy="Return (sum, weight): the sum of the losses and how many there are.",
        )
    return weight


def _is_number(value: object) -> bool:
    return (isinstance(value, Tensor) and value.ndim == 0) or isinstance(value, (int, float))
