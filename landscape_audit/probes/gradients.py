"""The gradient of every batch, known by its inner products."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landscape_audit.results import Cost, SubjectInfo

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.curvature.layout import Block
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size

MOST_GROUPS = 32
"""Gradients held at once: no more memory than the Krylov basis of a standard audit takes."""
LEAST_GROUPS = 8
"""Fewer only where there are fewer batches: a standard error from fewer is hardly one."""


@dataclass(frozen=True)
class BlockGradient:
    """One parameter tensor: its name, its shape, |θ_l|, |g_l|, and how many of its gradient's elements are zero."""

    name: str
    shape: tuple[int, ...]
    weight_norm: float
    gradient_norm: float
    zeros: int
    underflows: int
    """Elements below float16's normal numbers, and not zero."""
    lost: int = 0
    """Elements that are not zero, and would be in the checkpoint's dtype."""
    subnormal: int = 0
    """Elements that would be subnormal there: of fewer digits than others."""
    lost_norm: float = 0.0
    """|·|₂ of the lost elements."""

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def is_bias_of(self, other: BlockGradient) -> bool:
        """Whether this is a vector along an axis of a weight of its own module."""
        same = self.name.rpartition(".")[0] == other.name.rpartition(".")[0]
        return same and len(self.shape) == 1 < len(other.shape) and self.shape[0] in other.shape


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
    held: str | None = None
    """The dtype of most of the checkpoint's floating-point numbers, where it is of 16 bits or fewer."""

    @property
    def eps(self) -> float:
        """The spacing of numbers at 1 in the dtype of the gradients."""
        import torch

        return torch.finfo(self.mean.dtype).eps

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
        wanted = min(MOST_GROUPS, len(subject.sample.batches))
        groups = min(wanted, affordable)
        if groups < wanted:
            bench.note(f"The spread of the gradient is over {groups} groups of batches, not {wanted}: little memory.")
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
            held=_held(subject.info),
        )


def _held(info: SubjectInfo) -> str | None:
    import torch

    floating = [group for group in info.tensor_groups if getattr(torch, group.dtype).is_floating_point]
    if not floating:
        return None
    most = max(floating, key=lambda group: group.elements).dtype
    return most if getattr(torch, most).itemsize <= 2 else None


def _blocks(bench: Bench, mean: Tensor) -> tuple[BlockGradient, ...]:
    held = _held(bench.subject.info)
    return tuple(
        _block(block, bench.subject.theta[block.slice], mean[block.slice], held)
        for block in bench.subject.layout.blocks
    )


def _block(block: Block, theta: Tensor, grad: Tensor, held: str | None) -> BlockGradient:
    import torch

    from landscape_audit.curvature.vectors import norm

    smallest = torch.finfo(torch.float16).smallest_normal
    found = BlockGradient(
        name=block.name,
        shape=block.shape,
        weight_norm=norm(theta),
        gradient_norm=norm(grad),
        zeros=int((grad == 0).sum()),
        underflows=int(((grad.abs() < smallest) & (grad != 0)).sum()),
    )
    if held is None:
        return found
    dtype = getattr(torch, held)
    there = grad.to(dtype).to(grad)
    lost = (there == 0) & (grad != 0)
    subnormal = (there != 0) & (there.abs() < torch.finfo(dtype).smallest_normal)
    return replace(found, lost=int(lost.sum()), subnormal=int(subnormal.sum()), lost_norm=norm(grad * lost))
