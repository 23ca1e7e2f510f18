"""The loss at a point: in as few passes over the data as the loader's batch size allows, told by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.curvature.hessian import Term
    from landscape_audit.subject.data import Batch, Sample
    from landscape_audit.subject.loss import BatchLoss
    from landscape_audit.subject.subject import Subject


@dataclass(frozen=True)
class Evaluation:
    """The loss at one point: sums and weights by batch, and the metric's mean where the loss has one."""

    sums: tuple[float, ...]
    weights: tuple[float, ...]
    metric: float | None

    @property
    def loss(self) -> float:
        """Σ sums / Σ weights; not finite where the network is not."""
        return sum(self.sums) / sum(self.weights)

    def means(self) -> list[float]:
        """The mean loss of each batch."""
        return [total / weight for total, weight in zip(self.sums, self.weights, strict=True)]


@dataclass(frozen=True)
class Pass:
    """Consecutive batches joined, so that one call of the model does them all."""

    whole: Batch
    batches: tuple[Batch, ...]


def passes(sample: Sample) -> tuple[Pass, ...]:
    """The sample's batches joined up to the largest batch that its loader gave.

    Standard errors want many batches and speed wants few; on small models a pass costs about the same at any size.
    """
    groups: list[list[Batch]] = []
    for batch in sample.batches:
        if groups and _fits(groups[-1], batch, sample.pass_size):
            groups[-1].append(batch)
        else:
            groups.append([batch])
    return tuple(Pass(_join(group), tuple(group)) for group in groups)


def _fits(group: list[Batch], batch: Batch, most: int) -> bool:
    alike = (
        group[0].inputs.shape[1:] == batch.inputs.shape[1:] and group[0].targets.shape[1:] == batch.targets.shape[1:]
    )
    return alike and sum(member.size for member in group) + batch.size <= most


def _join(group: list[Batch]) -> Batch:
    import torch

    first = group[0]
    if len(group) == 1:
        return first
    parts = [torch.cat([getattr(batch, side) for batch in group]) for side in ("inputs", "targets")]
    return type(first)(*parts)


def terms(subject: Subject, batches: Sequence[Batch]) -> list[Term]:
    """Each batch as the curvature side sees it: parameters -> (summed loss, weight)."""

    def term(batch: Batch) -> Term:
        def loss(parameters: Sequence[Tensor]) -> tuple[Tensor, float]:
            result = subject.batch_loss(parameters, batch)
            return result.total, float(result.weight)

        return loss

    return [term(batch) for batch in batches]


def losses_at(subject: Subject, theta: Tensor, batches: Sequence[Batch]) -> list[BatchLoss]:
    """The loss of each batch at any point of shape (P,), without gradients."""
    import torch

    views = subject.layout.views(theta)
    with torch.no_grad():
        return [subject.batch_loss(views, batch) for batch in batches]


def evaluate(subject: Subject, theta: Tensor, over: Sequence[Pass]) -> Evaluation:
    """The loss at any point of shape (P,), one call of the model a pass, summed by batch.

    A loss that gives no value an example cannot be told apart within a pass: there every batch is its own.
    """
    found = losses_at(subject, theta, [each.whole for each in over])
    parts: list[BatchLoss] = []
    for each, loss in zip(over, found, strict=True):
        if loss.examples is None and len(each.batches) > 1:
            parts += losses_at(subject, theta, each.batches)
        else:
            parts += _split(loss, [batch.size for batch in each.batches])
    return summarise(parts)


def _split(loss: BatchLoss, sizes: list[int]) -> list[BatchLoss]:
    if len(sizes) == 1 or loss.examples is None or loss.example_weights is None:
        return [loss]
    import torch

    weights = loss.example_weights.double()
    totals = loss.examples.double() * weights
    parts = zip(torch.split(totals, sizes), torch.split(weights, sizes), strict=True)
    pieces = [type(loss)(total.sum(), weight.sum()) for total, weight in parts]
    head = type(loss)(pieces[0].total, pieces[0].weight, metric=loss.metric, metric_weight=loss.metric_weight)
    return [head, *pieces[1:]]


def summarise(losses: Sequence[BatchLoss]) -> Evaluation:
    """Batch losses on the host, in one transfer; the metric is the mean over all of them."""
    import torch

    columns = [torch.stack([getattr(loss, part).double() for loss in losses]) for part in ("total", "weight")]
    totals, weights = (tuple(column.tolist()) for column in columns)
    kept = [loss.metric for loss in losses if loss.metric is not None]
    scored = [loss.metric_weight for loss in losses if loss.metric_weight is not None]
    metric = float(torch.stack(kept).double().sum() / torch.stack(scored).double().sum()) if kept else None
    return Evaluation(totals, weights, metric)
