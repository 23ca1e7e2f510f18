"""What is minimised: sums and weights over a batch, so that ragged and masked batches add up exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from landscape_audit.errors import LossError
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.losses.output import USUAL

ACCUMULATE = torch.float64  # a sum in float32 over a million terms is off by up to 3e-4

Kind = Literal["classes", "binary", "values"]
"""One of several classes; yes or no for each output; numbers."""


@dataclass(frozen=True)
class BatchLoss:
    """One batch's share of the loss: L = sum of totals / sum of weights, over the batches.

    `total` is a float64 scalar that gradients flow through; everything else is detached. Where the loss has them,
    `examples` (n,) are the examples' own mean losses and `example_weights` (n,) their weights, so that
    `total = sum(examples * example_weights)`. `metric / metric_weight`, summed likewise, is the metric, of which
    `hits` and `counted` (n,) are the examples' shares.
    """

    total: Tensor
    weight: Tensor
    examples: Tensor | None = None
    example_weights: Tensor | None = None
    metric: Tensor | None = None
    metric_weight: Tensor | None = None
    hits: Tensor | None = None
    counted: Tensor | None = None


@dataclass(frozen=True)
class Positions:
    """The loss position by position, for what is the same at all of them: a constant prediction.

    `rows(targets)` are the targets of the positions, (m,) classes or (m, k) numbers, those of an example behind each
    other; `measure` holds outputs (m, k) against them. k is the size of `class_axis` of the outputs, for classes.
    """

    kind: Kind
    rows: Callable[[Tensor], Tensor]
    measure: Callable[[Tensor, Tensor], BatchLoss]
    class_axis: int = 1


@dataclass(frozen=True)
class Loss:
    """A loss by name. It is measured many times; `check(outputs, targets)` once a batch, to explain misuse.

    `code` is the SHA-256 of the source of a function of the user's own; empty for others.
    """

    name: str
    metric: str | None
    measure: Callable[..., BatchLoss]
    """Of outputs and targets, and of the inputs if `takes_inputs`."""
    check: Callable[[Any, Any], None]
    usual: tuple[str, ...] = USUAL
    """Names of the output that is meant, unless the user names another; empty: all of them."""
    positions: Positions | None = None
    """None where a constant prediction has no least loss that is known."""
    takes_inputs: bool = False
    code: str = ""
    returned: bool = False
    """Whether the model returns it: there are then no outputs that it is known to be a function of."""
    told: dict[str, None] = field(default_factory=dict)
    """What a reader should know of how it was understood, in order; `check` may add to it."""

    def of(self, outputs: Any, batch: Batch) -> BatchLoss:
        """The loss of one batch for which the model gave `outputs`."""
        more = {"inputs": batch.inputs} if self.takes_inputs else {}
        return self.measure(outputs, batch.targets, **more)


def summed(losses: Tensor, weights: Tensor, right: Tensor | None = None, counted: Tensor | None = None) -> BatchLoss:
    """Sums over losses (n, …), which are weighted already, so that one of weight 0 is 0; the weights may be any others.

    `right` says where the prediction is, among the positions that are `counted`; without that among those of weight 1.
    """
    each, own = (_by_example(part) for part in (losses, weights))
    weight = own.sum()
    hits = None if right is None else _by_example(right)
    scored = own if counted is None else _by_example(counted)
    return BatchLoss(
        total=losses.sum(dtype=ACCUMULATE),
        weight=weight,
        examples=mean_of(each, own),
        example_weights=own,
        metric=None if hits is None else hits.sum(),
        metric_weight=None if hits is None else scored.sum(),
        hits=hits,
        counted=None if hits is None else scored,
    )


def _by_example(part: Tensor) -> Tensor:
    return part.detach().to(ACCUMULATE).reshape(len(part), -1).sum(1)


def mean_of(sums: Tensor, weights: Tensor) -> Tensor:
    """Sums by weights; zero where nothing counts."""
    return torch.where(weights > 0, sums / weights, torch.zeros_like(sums))


def check_tensor(name: str, outputs: object) -> None:
    """That the model's output is one tensor, or an error that says how to have one."""
    if not isinstance(outputs, Tensor):
        raise LossError(
            f"{name}: the model's output is of type {type(outputs).__name__}, not a tensor.",
            remedy='Say which part is meant:  [loss] output = 0 or "logits", or give your own loss:  '
            "[loss] name = 'file.py:function'",
        )
