"""The loss that the model itself returns: a mean, weighted by what it is the mean of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from landscape_audit.errors import LossError
from landscape_audit.subject.data.nested import Nested, tensors
from landscape_audit.subject.losses.loss import ACCUMULATE, BatchLoss, Loss

MODEL = "model"
IGNORED = -100
"""What torch and transformers take for a target that does not count."""

Weight = Literal["examples", "targets", "shifted"]
"""What a model's loss may be the mean of: examples; targets that count; those behind the first of every row."""


def model(weight: Weight = "examples") -> Loss:
    """What the model returns: a scalar, the first of a tuple, or `loss` of a dict or `ModelOutput`.

    It must be a mean over the batch. Its weight is the number of examples, of targets that are not -100, or of those
    behind the first of every row, which is what a causal language model predicts; `weighing` finds out which.
    """

    def measure(outputs: Any, targets: Nested) -> BatchLoss:
        loss = _found(outputs).to(ACCUMULATE)
        count = by_example(weight, targets)
        if count is None:
            raise LossError(
                f'[loss] weight = "{weight}": the targets are not one tensor of classes or tokens.',
                remedy='[loss] kwargs = { weight = "examples" }',
            )
        total = count.sum().to(loss.device)
        return BatchLoss(loss * total, total)

    return Loss(MODEL, None, measure, lambda _outputs, _targets: None, usual=("loss",), returned=True)


def by_example(weight: Weight, targets: Nested) -> Tensor | None:
    """How many there are in each example, (n,) float64; None where these targets cannot be counted so."""
    if weight == "examples":
        first = tensors(targets)[0]
        return torch.ones(len(first), dtype=ACCUMULATE, device=first.device)
    if not isinstance(targets, Tensor) or (weight == "shifted" and targets.ndim < 2):
        return None
    counted = (targets if weight == "targets" else targets[:, 1:]) != IGNORED
    return counted.reshape(len(targets), -1).sum(1, dtype=ACCUMULATE) if counted.numel() else None


def _found(outputs: Any) -> Tensor:
    found = outputs[0] if isinstance(outputs, (tuple, list)) and outputs else outputs
    if isinstance(found, Tensor) and found.numel() == 1 and found.is_floating_point():
        return found.reshape(())
    if isinstance(found, Tensor):
        what = f"a tensor {tuple(found.shape)} of {found.dtype}"
    else:
        named = f" of {', '.join(map(repr, found))}" if isinstance(found, Mapping) else ""
        what = f"a {type(found).__name__}{named}"
    raise LossError(
        f"[loss] model: the model returned {what}, and no loss: a scalar, the first of a tuple, or 'loss' of a dict.",
        remedy="Does it get the labels? Give them under the name of the argument of its forward, such as 'labels'. "
        'Or name the part that is the loss:  [loss] output = "…"',
    )
