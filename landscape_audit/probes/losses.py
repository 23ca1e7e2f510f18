"""The loss at the checkpoint, example by example where the loss gives examples."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from landscape_audit.probes.evaluation import Evaluation, gathered
from landscape_audit.results import Cost
from landscape_audit.statistics import Mean, weighted_mean

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size
    from landscape_audit.subject.losses.loss import BatchLoss


@dataclass(frozen=True)
class ByExample:
    """One pass told example by example, in the sample's order; empty where the loss does not tell."""

    losses: tuple[float, ...] = ()
    """Each example's own mean loss."""
    weights: tuple[float, ...] = ()
    hits: tuple[float, ...] = ()
    """Each example's share of the metric's sum, of so many positions that are `counted`."""
    counted: tuple[float, ...] = ()
    metric_weight: float | None = None

    @property
    def metric(self) -> Mean | None:
        """The metric with the standard error over examples; None where it is not told by example, or of none."""
        scored = [(hits / counted, counted) for hits, counted in zip(self.hits, self.counted, strict=True) if counted]
        return weighted_mean(*zip(*scored, strict=True)) if scored else None


@dataclass(frozen=True)
class LossSample:
    """The loss at θ by batch, and by example where known."""

    evaluation: Evaluation
    by_example: ByExample
    loss_name: str

    @property
    def examples(self) -> tuple[float, ...]:
        """Each example's own mean loss; empty where the loss gives none."""
        return self.by_example.losses

    @property
    def example_weights(self) -> tuple[float, ...]:
        """What each of them weighs."""
        return self.by_example.weights

    @property
    def metric_weight(self) -> float | None:
        """How many positions the metric is the mean of."""
        return self.by_example.metric_weight


@dataclass(frozen=True)
class CheckpointLoss:
    """One forward pass at the checkpoint."""

    name: str = "checkpoint_loss"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """One forward."""
        del size
        return Cost(forwards=1)

    def take(self, bench: Bench) -> LossSample:
        """All batches once."""
        losses = bench.landscape.losses()
        bench.spend(Cost(forwards=1))
        evaluation = gathered(bench.subject, losses, bench.ranks)
        return LossSample(evaluation, by_example(bench, losses), bench.subject.data.loss)


def by_example(bench: Bench, losses: list[tuple[int, BatchLoss]]) -> ByExample:
    """Every example's loss, weight and share of the metric, in the sample's order and of all processes."""
    import torch

    batches = bench.subject.sample.batches
    first = [0, *itertools.accumulate(batch.size for batch in batches)]
    table = torch.zeros(4, first[-1], dtype=torch.float64, device=bench.subject.theta.device)
    told = torch.zeros(3, dtype=torch.float64, device=table.device)
    for owner, loss in losses:
        if loss.examples is not None and loss.example_weights is not None:
            span = slice(first[owner], first[owner] + loss.examples.numel())
            table[:2, span] = torch.stack([loss.examples.flatten().double(), loss.example_weights.flatten().double()])
            if loss.hits is not None and loss.counted is not None:
                table[2:, span] = torch.stack([loss.hits, loss.counted])
                told[1] += loss.hits.numel()
            first[owner] = span.stop  # the next piece of the same batch goes behind it
            told[0] += loss.examples.numel()
        told[2] += 0.0 if loss.metric_weight is None else loss.metric_weight
    (count, hit, scored), (examples, weights, hits, counted) = (
        bench.ranks.sum(part).tolist() for part in (told, table)
    )
    found = ByExample(metric_weight=scored or None)
    if count == len(examples):
        found = replace(found, losses=tuple(examples), weights=tuple(weights))
    return replace(found, hits=tuple(hits), counted=tuple(counted)) if hit == len(hits) else found
