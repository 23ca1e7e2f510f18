"""Losses element by element: of numbers, and of independent yes-or-no labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from landscape_audit.errors import LossError
from landscape_audit.subject.losses.loss import ACCUMULATE, BatchLoss, Loss, Positions, check_tensor, summed

Elementwise = Callable[[Tensor, Tensor], Tensor]
"""Outputs and targets of one shape -> the losses of their elements."""


def mse() -> Loss:
    """The squared error averaged over every element, as torch's own default; the weight is the number of elements."""
    return _of_values("mse", lambda outputs, targets: (outputs - targets).square(), has_mean=True)


def l1() -> Loss:
    """The absolute error averaged over every element: no curvature in the outputs, and a kink where the error is 0."""
    told = "The l1 loss has no curvature in the outputs: all that the Hessian has is the network's own."
    return _of_values("l1", lambda outputs, targets: (outputs - targets).abs(), told=told)


def huber(delta: float = 1.0) -> Loss:
    """Half the squared error where that is below delta, and linear beyond; averaged over every element."""
    _check_positive("huber", "delta", delta)

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.huber_loss(outputs, targets, reduction="none", delta=delta)

    return _of_values("huber", losses, told=_flat_beyond("huber", delta))


def smooth_l1(beta: float = 1.0) -> Loss:
    """Huber's loss divided by its threshold, as torch's own; averaged over every element."""
    _check_positive("smooth_l1", "beta", beta)

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.smooth_l1_loss(outputs, targets, reduction="none", beta=beta)

    return _of_values("smooth_l1", losses, told=_flat_beyond("smooth_l1", beta))


def bce_with_logits(pos_weight: float | list[float] | None = None) -> Loss:
    """Binary cross-entropy of logits in nats, averaged over every element; a positive logit predicts the class.

    `pos_weight` multiplies the losses of positives: one number, or one for each of the last axis. The mean stays that
    over elements, as torch has it.
    """
    for number in pos_weight if isinstance(pos_weight, list) else [1.0 if pos_weight is None else pos_weight]:
        _check_positive("bce_with_logits", "pos_weight", number)

    def measure(outputs: Tensor, targets: Tensor) -> BatchLoss:
        targets = _like(outputs, targets)
        losses = functional.binary_cross_entropy_with_logits(
            outputs,
            targets.to(outputs.dtype),
            pos_weight=None if pos_weight is None else outputs.new_tensor(pos_weight),
            reduction="none",
        )
        right = (outputs > 0) == (targets > 0.5)  # half: a label is 0 or 1
        return summed(losses, torch.ones_like(losses, dtype=ACCUMULATE), right)

    told: dict[str, None] = {}

    def check(outputs: Any, targets: Any) -> None:
        _check_alike("bce_with_logits", outputs, targets, told)
        _check_binary(targets)
        if isinstance(pos_weight, list) and outputs.shape[-1] != len(pos_weight):
            many = f"{len(pos_weight)} numbers for {outputs.shape[-1]} labels"
            raise LossError(f"[loss] bce_with_logits: pos_weight has {many}.", remedy="Give one weight an output.")

    positions = Positions("binary", _channels, measure) if pos_weight is None else None
    return Loss("bce_with_logits", "accuracy", measure, check, positions=positions, told=told)


def _of_values(name: str, losses: Elementwise, *, told: str = "", has_mean: bool = False) -> Loss:
    """With `has_mean` the best constant is the mean."""

    def measure(outputs: Tensor, targets: Tensor) -> BatchLoss:
        each = losses(outputs, _like(outputs, targets).to(outputs.dtype))
        return summed(each, torch.ones_like(each, dtype=ACCUMULATE))

    lines: dict[str, None] = dict.fromkeys([told] if told else [])
    positions = Positions("values", _channels, measure) if has_mean else None
    return Loss(
        name,
        None,
        measure,
        lambda outputs, targets: _check_alike(name, outputs, targets, lines),
        positions=positions,
        told=lines,
    )


def _flat_beyond(name: str, threshold: float) -> str:
    return f"The {name} loss has no curvature in the outputs where these are off by more than {threshold:g}."


def _like(outputs: Tensor, targets: Tensor) -> Tensor:
    """Targets (n, …) in the shape of outputs (n, …, 1), or the other way round. Nothing else is ever broadcast."""
    if (*outputs.shape, 1) == tuple(targets.shape) or tuple(outputs.shape) == (*targets.shape, 1):
        return targets.reshape(outputs.shape)
    return targets


def _channels(targets: Tensor) -> Tensor:
    """Targets (n, k, …) as (m, k), and (n,) as (n, 1)."""
    return targets.movedim(1, -1).flatten(0, -2) if targets.ndim > 1 else targets[:, None]


def _check_positive(name: str, argument: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise LossError(f"[loss] {name}: {argument} = {value:g} is not above zero and finite.", remedy="1.0 is usual.")


def _check_alike(name: str, outputs: Any, targets: Any, told: dict[str, None]) -> None:
    check_tensor(name, outputs)
    # torch would broadcast (n, 1) against (n,) to (n, n) and average over that.
    if not isinstance(targets, Tensor) or _like(outputs, targets).shape != outputs.shape:
        found = tuple(targets.shape) if isinstance(targets, Tensor) else f"in a {type(targets).__name__}"
        raise LossError(
            f"{name}: outputs {tuple(outputs.shape)} and targets {found} differ in shape.",
            remedy="Give the targets the shape of the model's outputs.",
        )
    if outputs.shape != targets.shape:
        told[f"{name}: outputs {_shape(outputs)} are held against targets {_shape(targets)} one by one."] = None


def _shape(tensor: Tensor) -> str:
    return "(n" + "".join(f", {size}" for size in tensor.shape[1:]) + ("," if tensor.ndim == 1 else "") + ")"


def _check_binary(targets: Tensor) -> None:
    if targets.numel() and not (targets.min() >= 0 and targets.max() <= 1):
        raise LossError(
            f"bce_with_logits: targets from {targets.min().item():g} to {targets.max().item():g}; they are 0 to 1.",
            remedy="Give labels 0 and 1, or probabilities.",
        )
