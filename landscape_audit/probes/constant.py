"""What a prediction that ignores its input would get: by chance, and at best."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size
    from landscape_audit.subject.data.batch import Batch
    from landscape_audit.subject.losses.loss import Kind, Positions

_ELEMENTS = 1 << 22
"""Outputs written out at once: 32 MiB in float64, however many classes there are."""


@dataclass(frozen=True)
class ConstantSample:
    """The loss of the best constant, and the targets behind it."""

    kind: Kind
    examples: tuple[float, ...]
    """Each example's mean loss under the best constant; its weight is that of `LossSample`."""
    loss: float
    chance: float | None
    """The loss of equal probabilities; None where the outputs are no probabilities."""
    shares: tuple[float, ...]
    """By output: the share of the targets that are this class, or that are positive; the mean of the values."""


@dataclass(frozen=True)
class ConstantPrediction:
    """The best constant prediction under the audited loss: one number an output, the same for all examples.

    The loss itself is asked, with every target as an example of its own, so that targets that do not count, and
    smoothed labels, are treated as it treats them. The slope in the outputs at zero tells the mean target, and the
    mean target tells the constant of least loss, as these losses are those of exponential families. All positions of
    an example share the constant. None for a loss of the user's own, and where examples differ in their outputs.
    """

    name: str = "constant_prediction"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """Nothing: one batch passes the model, so that its outputs can be counted."""
        del size
        return Cost()

    def take(self, bench: Bench) -> ConstantSample | None:
        """The targets twice: for their mean, then for the loss of the constant."""
        import torch

        from landscape_audit.subject.losses.loss import mean_of

        subject = bench.subject
        positions = subject.loss.positions
        outputs = _outputs(bench, positions) if positions else None
        if positions is None or outputs is None:
            return None
        kind, targets = positions.kind, _Targets(bench, positions, outputs)
        slope, sums, weights = targets.measured(torch.zeros(outputs, dtype=torch.float64, device=subject.theta.device))
        chance, weight = float(sums.sum() / weights.sum()), float(weights.sum())
        mean = _mean_target(kind, slope, weight, float(sums.sum()))
        _, sums, weights = targets.measured(_best(kind, mean))
        return ConstantSample(
            kind=kind,
            examples=tuple(mean_of(sums, weights).tolist()),
            loss=float(sums.sum() / weights.sum()),
            chance=None if kind == "values" else chance,
            shares=tuple((targets.class_shares() if kind == "classes" else mean).tolist()),
        )


def _outputs(bench: Bench, positions: Positions) -> int | None:
    """How many numbers the model gives at one position: classes, or channels; None where batches differ."""
    batches = bench.subject.sample.batches
    if positions.kind == "classes":
        return int(bench.landscape.first_outputs().shape[positions.class_axis])
    channels = {targets.shape[1] if targets.ndim > 1 else 1 for targets in map(_tensor, batches)}
    return channels.pop() if len(channels) == 1 else None


def _tensor(batch: Batch) -> Tensor:
    """The targets: losses that have positions have seen to it that they are one tensor."""
    from landscape_audit.subject.data.nested import tensors

    return tensors(batch.targets)[0]


def _mean_target(kind: Kind, slope: Tensor, weight: float, height: float) -> Tensor:
    """The mean target from the slope and the height of the summed loss at a constant output of zero."""
    outputs = slope.numel()
    if kind == "classes":  # with weights of classes and smoothing, targets have another mass than the loss's weight
        return 1 / outputs - slope * math.log(outputs) / height if outputs > 1 else slope + 1
    if kind == "binary":
        return 0.5 - slope * outputs / weight
    return -0.5 * slope * outputs / weight


def _best(kind: Kind, mean: Tensor) -> Tensor:
    """The output of least loss. Classes never seen get the least probability there is: zero times log 0 is none."""
    import torch

    if kind == "classes":
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log().log_softmax(0)
    return mean.logit(eps=torch.finfo(mean.dtype).eps) if kind == "binary" else mean


@dataclass(frozen=True)
class _Targets:
    """The sample's targets one by one: classes (m,), or values (m, outputs)."""

    bench: Bench
    positions: Positions
    outputs: int

    def measured(self, constant: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The slope of the summed loss in a constant output, and by example the summed losses and the weights."""
        import torch

        subject, ranks = self.bench.subject, self.bench.ranks
        constant = constant.requires_grad_()
        slope = torch.zeros_like(constant)
        table = torch.zeros(2, subject.sample.size, dtype=torch.float64, device=constant.device)
        for examples, rows in self._own():
            # The log-probabilities that nll wants are also logits.
            outputs = constant.log_softmax(0) if self.positions.kind == "classes" else constant
            loss = self.positions.measure(outputs.expand(len(rows), -1), rows)
            slope += torch.autograd.grad(loss.total, constant)[0]
            assert loss.examples is not None  # noqa: S101 - those that have positions give them
            assert loss.example_weights is not None  # noqa: S101 - likewise
            each = torch.stack([loss.examples * loss.example_weights, loss.example_weights])
            table[:, examples] = each.view(2, examples.stop - examples.start, -1).sum(2)
        slope, (sums, weights) = ranks.sum(slope), ranks.sum(table)
        return slope, sums, weights

    def class_shares(self) -> Tensor:
        """The share of each class among the targets that count, before any smoothing."""
        import torch

        found = torch.zeros(self.outputs, dtype=torch.float64, device=self.bench.subject.theta.device)
        for _, rows in self._own():
            if rows.is_floating_point():
                found += rows.sum(0)
            else:
                outputs = found.expand(len(rows), -1)
                weights = self.positions.measure(outputs, rows).example_weights
                assert weights is not None  # noqa: S101 - those that have positions give them
                found += rows[weights > 0].long().bincount(minlength=self.outputs)
        found = self.bench.ranks.sum(found)
        return found / found.sum()

    def _own(self) -> Iterator[tuple[slice, Tensor]]:
        """Targets of this process's batches in pieces, each with the examples that they belong to."""
        batches = self.bench.subject.sample.batches
        own = self.bench.ranks.share(len(batches))
        first = sum(batch.size for batch in batches[: own.start])
        for batch in batches[own.start : own.stop]:
            most = max(1, _ELEMENTS * batch.size // max(1, self._rows(_tensor(batch)).shape[0] * self.outputs))
            for piece in batch.split(math.ceil(batch.size / most)):
                yield slice(first, first + piece.size), self._rows(_tensor(piece))
                first += piece.size

    def _rows(self, targets: Tensor) -> Tensor:
        rows = self.positions.rows(targets.to(self.bench.subject.theta.device))
        return rows if self.positions.kind == "classes" and not rows.is_floating_point() else rows.double()
