"""The gradient of every batch, known by its inner products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.probes.bench import Bench, Probe, Size

MOST_GROUPS = 32
"""Gradients held at once: no more memory than the Krylov basis of a standard audit takes."""
LEAST_GROUPS = 8
"""Fewer only where there are fewer batches: a standard error from fewer is hardly one."""


@dataclass(frozen=True)
class BlockGradient:
    """One parameter tensor: its name, its size, |θ_l|, |g_l|, and how many of its gradient's elements are zero."""

    name: str
    elements: int
    weight_norm: float
    gradient_norm: float
    zeros: int
    underflows: int


@dataclass(frozen=True)
class GradientSample:
    """Gradients g_b of the mean loss of B groups of batches."""

    weights: NDArray[np.float64]
    """Shape (B,)."""
    gram: NDArray[np.float64]
    """Shape (B, B): ⟨g_a, g_b⟩."""
    blocks: tuple[BlockGradient, ...]
    examples: int
    mean: Tensor
    """The full gradient ḡ, shape (P,)."""
    seed: int

    @property
    def norm(self) -> float:
        """|ḡ|."""
        share = self.weights / self.weights.sum()
        return float(np.sqrt(np.maximum(0.0, share @ self.gram @ share)))


@dataclass(frozen=True)
class BatchGradients:
    """One gradient of the sample, batch by batch (at most 32 groups of consecutive batches)."""

    name: str = "batch_gradients"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """One gradient."""
        del size
        return Cost(gradients=1)

    def take(self, bench: Bench) -> GradientSample:
        """All batches once."""
        import torch

        from landscape_audit.curvature.vectors import gram

        subject = bench.subject
        affordable = max(LEAST_GROUPS, bench.room.graphs // subject.theta.nbytes)
        groups = min(MOST_GROUPS, len(subject.sample.batches), affordable)
        rows, weights = bench.landscape.gradients_by_group(groups)
        rows /= torch.from_numpy(np.maximum(weights, 1e-300)).to(rows)[:, None]
        bench.spend(Cost(gradients=1))
        mean = torch.from_numpy(weights / weights.sum()).to(rows) @ rows
        return GradientSample(
            weights=weights,
            gram=gram(rows).numpy(),
            blocks=_blocks(bench, mean),
            examples=sum(batch.size for batch in subject.sample.batches),
            mean=mean,
            seed=bench.seed(self.name),
        )


def _blocks(bench: Bench, mean: Tensor) -> tuple[BlockGradient, ...]:
    import torch

    from landscape_audit.curvature.vectors import norm

    smallest = torch.finfo(torch.float16).smallest_normal
    return tuple(
        BlockGradient(
            name=block.name,
            elements=block.size,
            weight_norm=norm(bench.subject.theta[block.slice]),
            gradient_norm=norm(mean[block.slice]),
            zeros=int((mean[block.slice] == 0).sum()),
            underflows=int(((mean[block.slice].abs() < smallest) & (mean[block.slice] != 0)).sum()),
        )
        for block in bench.subject.layout.blocks
    )
