"""What is minimised: sums and weights over a batch, so that ragged and masked batches add up exactly."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
