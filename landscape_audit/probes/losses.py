"""The loss at the checkpoint, example by example where the loss gives examples."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.evaluation import Evaluation, gathered
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size
    from landscape_audit.subject.losses.loss import BatchLoss


@dataclass(frozen=True)
class LossSample:
    """The loss at θ by batch, and by example where known."""

    evaluation: Evaluation
    examples: tuple[float, ...]
    """Each example's own mean loss; empty where the loss gives none."""
    example_weights: tuple[float, ...]
    metric_weight: float | None
    loss_name: str


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
        examples, weights, scored = by_example(bench, losses)
        return LossSample(
            evaluation=gathered(bench.subject, losses, bench.ranks),
            examples=examples,
            example_weights=weights,
            metric_weight=scored,
            loss_name=bench.subject.data.loss,
        )


def by_example(
    bench: Bench, losses: list[tuple[int, BatchLoss]]
) -> tuple[tuple[float, ...], tuple[float, ...], float | None]:
    """Every example's loss and weight, in the sample's order and of all processes, and the metric's weight."""
    import torch

    batches = bench.subject.sample.batches
    first = [0, *itertools.accumulate(batch.size for batch in batches)]
    table = torch.zeros(2, first[-1], dtype=torch.float64, device=bench.subject.theta.device)
    told = torch.zeros(2, dtype=torch.float64, device=table.device)
    for owner, loss in losses:
        if loss.examples is not None and loss.example_weights is not None:
            span = slice(first[owner], first[owner] + loss.examples.numel())
            table[:, span] = torch.stack([loss.examples.flatten().double(), loss.example_weights.flatten().double()])
            first[owner] = span.stop  # the next piece of the same batch goes behind it
            told[0] += loss.examples.numel()
        told[1] += 0.0 if loss.metric_weight is None else loss.metric_weight
    (count, scored), (examples, weights) = (bench.ranks.sum(part).tolist() for part in (told, table))
    if count < len(examples):  # a loss that gives none
        return (), (), scored or None
    return tuple(examples), tuple(weights), scored or None
