"""The loss at a point: in as few passes over the data as there is room for, told by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from landscape_audit.curvature.gauss_newton import OutputTerm
    from landscape_audit.curvature.hessian import Term
    from landscape_audit.probes.ranks import Ranks
    from landscape_audit.subject.data.batch import Batch
    from landscape_audit.subject.losses.loss import BatchLoss
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
    """Pieces of batches that one call of the model does together, and the batch that each belongs to."""

    whole: Batch
    pieces: tuple[Batch, ...]
    owners: tuple[int, ...]


def passes(batches: Sequence[Batch], own: Iterable[int], most: int) -> tuple[Pass, ...]:
    """The batches `own` in calls of at most `most` examples: small ones are joined, large ones are cut.

    Standard errors want many batches and speed wants few; on small models a call costs about the same at any size.
    """
    groups: list[list[tuple[int, Batch]]] = []
    for owner, piece in _pieces(batches, own, most):
        if groups and _fits([member for _, member in groups[-1]], piece, most):
            groups[-1].append((owner, piece))
        else:
            groups.append([(owner, piece)])
    return tuple(_join(group) for group in groups)


def by_batch(batches: Sequence[Batch], own: Iterable[int], most: int) -> tuple[Pass, ...]:
    """The same without joining: every call has one owner."""
    return tuple(Pass(piece, (piece,), (owner,)) for owner, piece in _pieces(batches, own, most))


def _pieces(batches: Sequence[Batch], own: Iterable[int], most: int) -> Iterator[tuple[int, Batch]]:
    for index in own:
        batch = batches[index]
        for piece in batch.split(-(-batch.size // most)) if batch.size > most else (batch,):
            yield index, piece


def _fits(group: list[Batch], batch: Batch, most: int) -> bool:
    return group[0].shape == batch.shape and sum(member.size for member in group) + batch.size <= most


def _join(group: list[tuple[int, Batch]]) -> Pass:
    from landscape_audit.subject.data.batch import joined

    owners, pieces = zip(*group, strict=True)
    return Pass(pieces[0] if len(pieces) == 1 else joined(pieces), pieces, owners)


class BatchTerm:
    """A batch as the curvature side sees it: parameters -> (summed loss, weight).

    The weight does not depend on the parameters: it is read off the device once. Under `autocast`, the model computes
    in that dtype where torch deems it safe.
    """

    def __init__(self, subject: Subject, batch: Batch, autocast: torch.dtype | None = None) -> None:
        self.subject, self.batch = subject, batch
        self._autocast = autocast
        self._weight: float | None = None

    def __call__(self, parameters: Sequence[Tensor]) -> tuple[Tensor, float]:
        """The loss at these parameters."""
        return self._told(self.subject.batch_loss(parameters, self.batch, autocast=self._autocast))

    def in_two_steps(self, parameters: Sequence[Tensor]) -> tuple[Tensor, OutputLoss]:
        """The outputs, and the loss as a function of them, which is what a Gauss-Newton product needs."""
        import torch

        outputs = self.subject.outputs(parameters, self.batch)
        if not isinstance(outputs, torch.Tensor):
            message = f"the model gives {type(outputs).__name__}, and a Gauss-Newton matrix needs one tensor of outputs"
            raise TypeError(message)
        return outputs, OutputLoss(self)

    def _told(self, loss: BatchLoss) -> tuple[Tensor, float]:
        if self._weight is None:
            self._weight = float(loss.weight)
        return loss.total, self._weight


@dataclass(frozen=True)
class OutputLoss:
    """Outputs of one batch -> (summed loss, weight)."""

    term: BatchTerm

    def __call__(self, outputs: Tensor) -> tuple[Tensor, float]:
        """The loss against the batch's targets."""
        term = self.term
        subject = term.subject
        return term._told(subject.loss.of(outputs, subject.placed(term.batch)))  # noqa: SLF001 - one concept in two steps


def terms(subject: Subject, over: Sequence[Pass], autocast: torch.dtype | None = None) -> list[Term]:
    """Each pass as a term of the loss."""
    return [BatchTerm(subject, each.whole, autocast) for each in over]


def output_terms(subject: Subject, over: Sequence[Pass]) -> list[OutputTerm]:
    """Each pass as a term in two steps."""
    return [BatchTerm(subject, each.whole).in_two_steps for each in over]


def losses_at(subject: Subject, theta: Tensor, over: Sequence[Pass]) -> list[tuple[int, BatchLoss]]:
    """The loss of each piece at any point of shape (P,), with the batch it belongs to, without gradients."""
    import torch

    views = subject.layout.views(theta)
    with torch.no_grad():
        return [found for each in over for found in zip(each.owners, _told_apart(subject, views, each), strict=True)]


def _told_apart(subject: Subject, views: Sequence[Tensor], each: Pass) -> list[BatchLoss]:
    """A pass by pieces. A loss that gives no value an example cannot be told apart: every piece is evaluated alone."""
    loss = subject.batch_loss(views, each.whole)
    if len(each.pieces) == 1:
        return [loss]
    if loss.examples is None or loss.example_weights is None:
        return [subject.batch_loss(views, piece) for piece in each.pieces]
    return _split(loss, loss.examples, loss.example_weights, [piece.size for piece in each.pieces])


def evaluate(subject: Subject, theta: Tensor, over: Sequence[Pass], ranks: Ranks | None = None) -> Evaluation:
    """The loss at any point of shape (P,), one call of the model a pass, summed by batch and over the processes."""
    return gathered(subject, losses_at(subject, theta, over), ranks)


def gathered(subject: Subject, losses: Iterable[tuple[int, BatchLoss]], ranks: Ranks | None = None) -> Evaluation:
    """Losses by batch on the host, in one transfer; the metric is the mean over all of them."""
    import torch

    count = len(subject.sample.batches)
    table = torch.zeros(2 * count + 2, dtype=torch.float64, device=subject.theta.device)
    for owner, loss in losses:
        table[owner] += loss.total
        table[count + owner] += loss.weight
        if loss.metric is not None and loss.metric_weight is not None:
            table[-2] += loss.metric
            table[-1] += loss.metric_weight
    found = (ranks.sum(table) if ranks else table).tolist()
    metric = found[-2] / found[-1] if found[-1] else None
    return Evaluation(tuple(found[:count]), tuple(found[count : 2 * count]), metric)


def _split(loss: BatchLoss, examples: Tensor, weights: Tensor, sizes: list[int]) -> list[BatchLoss]:
    """One loss by pieces. A metric's sums stay with the first: they are only ever summed over all of them."""
    import torch

    parts = zip(torch.split(examples, sizes), torch.split(weights.double(), sizes), strict=True)
    pieces = [type(loss)((mine.double() * weight).sum(), weight.sum(), mine, weight) for mine, weight in parts]
    if loss.hits is not None and loss.counted is not None:
        scores = zip(pieces, torch.split(loss.hits, sizes), torch.split(loss.counted, sizes), strict=True)
        pieces = [replace(piece, hits=hits, counted=counted) for piece, hits, counted in scores]
    return [replace(pieces[0], metric=loss.metric, metric_weight=loss.metric_weight), *pieces[1:]]
