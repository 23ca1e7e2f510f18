"""The loss at the checkpoint, example by example where the loss gives examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.evaluation import Evaluation, losses_at, summarise
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.probes.bench import Bench, Probe, Size


@dataclass(frozen=True)
class LossSample:
    """The loss at θ by batch, and by example where known."""

    evaluation: Evaluation
    examples: tuple[float, ...]
    """Each example's own mean loss; empty where the loss gives none."""
    example_weights: tuple[float, ...]
    metric_name: str | None
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
        losses = losses_at(bench.subject, bench.subject.theta, bench.subject.sample.batches)
        bench.spend(Cost(forwards=1))
        counted = [float(loss.metric_weight) for loss in losses if loss.metric_weight is not None]
        return LossSample(
            evaluation=summarise(losses),
            examples=_joined([loss.examples for loss in losses]),
            example_weights=_joined([loss.example_weights for loss in losses]),
            metric_name=bench.subject.data.metric,
            metric_weight=sum(counted) if counted else None,
            loss_name=bench.subject.data.loss,
        )


def _joined(vectors: list[Tensor | None]) -> tuple[float, ...]:
    import torch

    known = [vector.flatten().double() for vector in vectors if vector is not None]
    return tuple(torch.cat(known).tolist()) if known and len(known) == len(vectors) else ()
