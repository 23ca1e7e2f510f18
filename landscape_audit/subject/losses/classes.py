"""Losses of one class among several at each position: of an example, a pixel or a token."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from landscape_audit.errors import LossError
from landscape_audit.subject.losses.loss import ACCUMULATE, BatchLoss, Loss, Positions, check_tensor, summed

ClassAxis = Literal[1, -1]


def cross_entropy(
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    weight: list[float] | None = None,
    class_axis: ClassAxis = 1,
) -> Loss:
    """Softmax cross-entropy in nats, averaged over the targets that count.

    Outputs (n, C) or (n, C, d1, …), with class_axis = -1 (n, d1, …, C); targets either classes (n, d1, …) or
    probabilities of the outputs' shape. With a weight for each class the mean is torch's: Σ w_y ℓ / Σ w_y.
    """
    if not 0 <= label_smoothing <= 1:
        raise LossError(
            f"[loss] cross_entropy: label_smoothing = {label_smoothing:g} is not from 0 to 1.",
            remedy="0.1 is usual, 0.0 is none.",
        )
    if label_smoothing and weight and 0.0 in weight:
        raise LossError(
            "[loss] cross_entropy: with label_smoothing, a class of weight 0 has losses that count and weigh nothing, "
            "and the mean over the whole is no mean over examples.",
            remedy="Leave out what does not count by ignore_index, or give the class a small weight.",
        )

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs,
            targets,
            weight=None if weight is None else outputs.new_tensor(weight),
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction="none",
        )

    return _Classes("cross_entropy", losses, ignore_index, weight, class_axis).as_loss()


def nll(ignore_index: int = -100, weight: list[float] | None = None, class_axis: ClassAxis = 1) -> Loss:
    """Minus the log-probability the model gives to the target class; shapes and mean as in cross_entropy."""

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        weights = None if weight is None else outputs.new_tensor(weight)
        return functional.nll_loss(outputs, targets, weight=weights, ignore_index=ignore_index, reduction="none")

    return _Classes("nll", losses, ignore_index, weight, class_axis, probabilities=False).as_loss()


def causal_lm(ignore_index: int = -100) -> Loss:
    """Cross-entropy in nats of each token given those before it, averaged over the tokens that count.

    Outputs (n, T, V); targets are the tokens themselves (n, T), not shifted: outputs at t are held against tokens at
    t + 1, and nothing predicts the first. Where a loader gives no targets they are `input_ids` without the padding.
    """

    def ahead(targets: Tensor) -> Tensor:
        return functional.pad(targets[:, 1:], (0, 1), value=ignore_index)

    return _Classes("causal_lm", _tokens(ignore_index), ignore_index, None, -1, ahead, probabilities=False).as_loss()


def masked_lm(ignore_index: int = -100) -> Loss:
    """Cross-entropy in nats, averaged over the tokens that count: outputs (n, T, V), targets (n, T), -100 elsewhere."""
    return _Classes("masked_lm", _tokens(ignore_index), ignore_index, None, -1, probabilities=False).as_loss()


def _tokens(ignore_index: int) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda outputs, targets: functional.cross_entropy(
        outputs, targets, ignore_index=ignore_index, reduction="none"
    )


@dataclass(frozen=True)
class _Classes:
    name: str
    losses: Callable[[Tensor, Tensor], Tensor]
    """Of outputs (m, C, …) and targets (m, …): (m, …), already weighted."""
    ignore_index: int
    weight: list[float] | None = None
    class_axis: ClassAxis = 1
    meant: Callable[[Tensor], Tensor] = lambda targets: targets
    """Targets as given -> the class that each position is held against."""
    probabilities: bool = True

    def as_loss(self) -> Loss:
        if self.weight is not None and not (all(0 <= w < math.inf for w in self.weight) and sum(self.weight) > 0):
            raise LossError(
                f"[loss] {self.name}: weight = {self.weight} has a weight below zero, or none above it.",
                remedy="Give one weight a class, zero or more.",
            )
        positions = Positions("classes", self.rows, self.by_position, self.class_axis)
        return Loss(self.name, "accuracy", self.measure, self.check, positions=positions)

    def measure(self, outputs: Tensor, targets: Tensor) -> BatchLoss:
        meant = self.meant(targets)
        if self.class_axis == 1:
            return self.by_position(outputs, meant)
        # Flat, so that classes are next to each other in memory: what torch's kernels are fast at.
        shape = outputs.shape[:-1]
        flat = meant.flatten(0, -2) if targets.is_floating_point() else meant.flatten()
        return summed(*(part.view(shape) for part in self._parts(outputs.flatten(0, -2), flat)))

    def by_position(self, outputs: Tensor, targets: Tensor) -> BatchLoss:
        return summed(*self._parts(outputs, targets))

    def _parts(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Losses, their weights, where the prediction is right, and which positions count: all (m, …)."""
        if targets.is_floating_point():
            losses = self.losses(outputs, targets)
            ones = torch.ones_like(losses, dtype=ACCUMULATE)
            return losses, ones, outputs.argmax(1) == targets.argmax(1), ones
        targets = targets.long()
        counted = targets != self.ignore_index
        weights = counted.to(ACCUMULATE)
        if self.weight is not None:
            weights = weights * weights.new_tensor(self.weight)[targets.masked_fill(~counted, 0)]
        return self.losses(outputs, targets), weights, (outputs.argmax(1) == targets) & counted, counted

    def rows(self, targets: Tensor) -> Tensor:
        if not targets.is_floating_point():
            return self.meant(targets).flatten()
        return targets.movedim(self.class_axis, -1).flatten(0, -2)

    # --------------------------------------------------------------------------------------------------------- checks

    def check(self, outputs: Any, targets: Any) -> None:
        check_tensor(self.name, outputs)
        self._check_one(targets)
        self._check_shapes(outputs, targets)
        classes = outputs.shape[self.class_axis]
        if self.weight is not None and len(self.weight) != classes:
            raise LossError(
                f"[loss] {self.name}: weight has {len(self.weight)} numbers for {classes} classes.",
                remedy="Give one weight a class.",
            )
        if not targets.is_floating_point():
            self._check_range(classes, self.meant(targets.long()))

    def _check_one(self, targets: Any) -> None:
        if not isinstance(targets, Tensor):
            raise LossError(
                f"{self.name}: the targets are a {type(targets).__name__} of tensors, and it takes one tensor.",
                remedy="Name one with [data] targets, or give your own loss:  [loss] name = 'file.py:function'",
            )

    def _check_shapes(self, outputs: Tensor, targets: Tensor) -> None:
        if targets.is_floating_point() and self.probabilities:
            if outputs.shape != targets.shape:
                raise LossError(
                    f"{self.name}: outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)} differ in shape.",
                    remedy="Probabilities have the shape of the outputs; classes are integers, one a position.",
                )
            return
        first, last = (*outputs.shape[:1], *outputs.shape[2:]), tuple(outputs.shape[:-1])
        wanted = first if self.class_axis == 1 else last
        if not targets.is_floating_point() and outputs.ndim > 1 and tuple(targets.shape) == wanted:
            return
        found = f"{targets.dtype} targets {tuple(targets.shape)}"
        raise LossError(
            f"{self.name}: outputs {tuple(outputs.shape)} do not go with {found}.",
            remedy=self._remedy(targets, first, last),
        )

    def _remedy(self, targets: Tensor, first: tuple[int, ...], last: tuple[int, ...]) -> str:
        if self.name.endswith("_lm"):
            return "Outputs are (n, tokens, vocabulary) and targets integer tokens (n, tokens)."
        other = last if self.class_axis == 1 else first
        if len(first) > 1 and tuple(targets.shape) == other and not targets.is_floating_point():
            return f"Are the classes on the other axis?  [loss] kwargs = {{ class_axis = {-self.class_axis} }}"
        shape = "(n, classes, …)" if self.class_axis == 1 else "(n, …, classes)"
        return f"Outputs are {shape} and targets integer classes (n, …)."

    def _check_range(self, classes: int, targets: Tensor) -> None:
        """Before the loss is looked at: on a GPU a class out of range ends the process."""
        counted = targets[targets != self.ignore_index]
        if counted.numel() and not (counted.min() >= 0 and counted.max() < classes):
            bad = counted.min() if counted.min() < 0 else counted.max()
            raise LossError(
                f"{self.name}: a target is {bad.item()}, but the model has {classes} classes, 0 to {classes - 1}.",
                remedy="If it marks targets that do not count:  [loss] kwargs = { ignore_index = … }",
            )
