"""Inner products of long vectors without the bias of float32 accumulation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_CHUNK = 1 << 22
"""Elements converted to float64 at once: 32 MiB of scratch, whatever the length of the vectors."""


def dot(a: Tensor, b: Tensor) -> float:
    """⟨a, b⟩ of two flat vectors, accumulated in float64.

    A float32 accumulation over 10⁶ elements is off by about 3e-4 of the norms' product, which is the size of the
    residuals that certify an eigenvalue.
    """
    if a.dtype == torch.float64:
        return float(torch.dot(a, b))
    total = torch.zeros((), dtype=torch.float64, device=a.device)
    for first in range(0, a.numel(), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        total += torch.dot(a[chunk].double(), b[chunk].double())
    return float(total)


def norm(a: Tensor) -> float:
    """|a|₂ of a flat vector, accumulated in float64."""
    return math.sqrt(dot(a, a))


def gram(rows: Tensor) -> Tensor:
    """All inner products of the rows of a (B, P) matrix, accumulated in float64: shape (B, B), on the host."""
    total = torch.zeros(rows.shape[0], rows.shape[0], dtype=torch.float64, device=rows.device)
    width = max(1, _CHUNK // max(1, rows.shape[0]))
    for first in range(0, rows.shape[1], width):
        chunk = rows[:, first : first + width].double()
        total.addmm_(chunk, chunk.T)
    return total.cpu()


def unit_gaussian(size: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """A direction drawn uniformly from the unit sphere, shape (size,), drawn on the host so that devices agree."""
    drawn = torch.randn(size, generator=generator, dtype=torch.float64)
    drawn /= torch.linalg.vector_norm(drawn)
    return drawn.to(like)
