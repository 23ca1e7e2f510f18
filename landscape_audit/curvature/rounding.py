"""Weights rounded to the grids of narrower number formats, as they would be stored."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape_audit.curvature.layout import Block, Layout


@dataclass(frozen=True)
class Format:
    """A number format: its grid, and what the largest weight of each output channel is scaled to.

    Without `largest` every weight is cast as it stands, biases and normalisation included. With it only tensors of
    two and more dimensions outside normalisation layers are rounded, each output channel (filter) on a grid of its own:
    s · grid, s = max|w| / largest. The rest stays in full, as is the practice.
    """

    name: str
    title: str
    to_grid: Callable[[Tensor], Tensor]
    """The nearest number of the grid, ties to even; float64 in and out where there is a scale."""
    largest: float | None = None

    def rounds(self, block: Block) -> bool:
        """Whether this parameter is rounded at all."""
        return block.size > 0 and (self.largest is None or (block.filter_dim is not None and len(block.shape) > 1))


def formats() -> tuple[Format, ...]:
    """bfloat16, float16, float8 (e4m3fn), int8 and int4, as far as this torch has them; widest first."""
    narrow = getattr(torch, "float8_e4m3fn", None)
    float8 = () if narrow is None else (Format("fp8", "float8 e4m3, by channel", _cast(narrow), 448.0),)
    return (
        Format("bf16", "bfloat16", _cast(torch.bfloat16)),
        Format("fp16", "float16", _cast(torch.float16)),
        *float8,
        Format("int8", "int8, by channel", torch.round, 127.0),
        Format("int4", "int4, by channel", torch.round, 7.0),
    )


def rounded(theta: Tensor, layout: Layout, to: Format) -> Tensor:
    """θ, shape (P,), as `to` would store it. A new vector.

    By channel an element moves by at most s / 2 on an integer grid. A zero channel stays zero; a channel with a NaN or
    an infinity, or a number beyond a cast's range, comes out not finite.
    """
    if to.largest is None:
        return to.to_grid(theta)
    found = theta.clone()
    for block, weights in zip(layout.blocks, layout.views(found), strict=True):
        if to.rounds(block):
            scale = block.filter_norms(weights, math.inf) / to.largest
            scale = torch.where(scale > 0, scale, torch.ones_like(scale))
            weights.copy_(to.to_grid(weights.double() / scale) * scale)
    return found


def relative_size(delta: Tensor, theta: Tensor, layout: Layout) -> float | None:
    """The root mean square over the filters of |Δ_f| / |θ_f|; zero filters do not count, and None is where all are.

    In the unit of a filter-normalised perturbation: σ d, |d_f| = |θ_f|, has the relative size σ.
    """
    total, filters = 0.0, 0
    for block, moved, weights in zip(layout.blocks, layout.views(delta), layout.views(theta), strict=True):
        if block.filter_dim is None or not block.size:
            continue
        lengths, moves = block.filter_norms(weights), block.filter_norms(moved)
        there = lengths != 0
        repeats = block.shape[0] // block.groups if block.filter_dim == 1 else 1  # transposed: one a row of the group
        total += float((moves[there] / lengths[there]).square().sum()) / repeats
        filters += int(there.sum()) // repeats
    return math.sqrt(total / filters) if filters else None


def _cast(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    return lambda weights: weights.to(dtype).to(weights.dtype)
