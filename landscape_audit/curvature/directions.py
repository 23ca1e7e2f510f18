"""Directions and distances in units of the filters they move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from landscape_audit.curvature.layout import Block, Layout
from landscape_audit.curvature.vectors import norm


@dataclass(frozen=True)
class FilterScale:
    """The norm of every filter of θ, spread over its elements: what one unit of relative perturbation is.

    Biases and normalisation parameters belong to no filter and have scale zero: they are not perturbed (as in the
    code of Li et al. 2018). A filter of norm zero takes the norm that fan-in initialisation would give it, 1, so that a
    network at the origin has a landscape too.
    """

    norms: Tensor
    """Shape (P,): the norm of the filter that an element belongs to, zero outside filters."""
    radius: float
    """The root of the sum of the squared filter norms: what a distance of 100 % is in plain Euclidean terms."""

    @classmethod
    def at(cls, theta: Tensor, layout: Layout) -> FilterScale:
        """The scale at θ of shape (P,)."""
        norms = torch.zeros_like(theta)
        squares = 0.0
        for block, weights, scales in _filtered(layout, theta, norms):
            lengths = block.filter_norms(weights)
            lengths = torch.where(lengths > 0, lengths, torch.ones_like(lengths))
            squares += float((lengths.expand(block.shape).square() / _elements(block, weights)).sum())
            scales.copy_(lengths.expand(block.shape))
        return cls(norms, math.sqrt(squares))

    def direction(self, layout: Layout, generator: Generator) -> Tensor:
        """A random direction d of shape (P,) with |d_f| = |θ_f| for every filter f, and zero outside filters.

        Source: Li et al. 2018, filter-wise normalisation.
        """
        drawn = torch.randn(self.norms.numel(), generator=generator, dtype=torch.float64).to(self.norms)
        for block, values, scales in _filtered(layout, drawn, self.norms):
            values.mul_(scales / block.filter_norms(values).to(values))
        return drawn.mul_(self.norms != 0)

    def variances(self, layout: Layout) -> Tensor:
        """E d_i² of `direction` in every element, shape (P,): |θ_f|² over the size of the filter, zero outside filters.

        Each filter's part is uniform on its sphere and independent of the others', so that E d_i d_j = 0 for i ≠ j and
        E dᵀAd = Σ_i E d_i² A_ii for every A.
        """
        found = torch.zeros_like(self.norms)
        for block, variances, scales in _filtered(layout, found, self.norms):
            variances.copy_(scales.square() / _elements(block, scales))
        return found

    def pair(self, layout: Layout, generator: Generator) -> tuple[Tensor, Tensor]:
        """Two filter-normalised directions, orthogonal within every filter that has room for two.

        Made orthogonal filter by filter *before* the second is normalised, so that both keep the filters' norms.
        """
        first, second = self.direction(layout, generator), self.direction(layout, generator)
        for (block, a, scales), (_, b, _) in zip(
            _filtered(layout, first, self.norms), _filtered(layout, second, self.norms), strict=True
        ):
            inner = (block.filter_norms(a + b) ** 2 - block.filter_norms(a - b) ** 2) / 4
            rest = b - (inner / block.filter_norms(a) ** 2).to(b) * a
            lengths = block.filter_norms(rest).expand(block.shape).to(b)
            room = lengths > 1e-3 * scales  # a filter of one element has no second direction and keeps the first draw
            b.copy_(torch.where(room, rest * scales / lengths, b))
        return first, second

    def stretched(self, v: Tensor) -> Tensor:
        """`v` along itself, as long as 100 % of the filters: |v| = radius. An eigenvector stays one."""
        return v * (self.radius / norm(v))


def _filtered(layout: Layout, *flats: Tensor) -> list[tuple[Block, Tensor, Tensor]]:
    """The blocks that have filters, each with its views into two flat vectors."""
    views = [layout.views(flat) for flat in flats]
    return [(block, a, b) for block, a, b in zip(layout.blocks, *views, strict=True) if block.filter_dim is not None]


def _elements(block: Block, like: Tensor) -> Tensor:
    """How many elements share the filter of each element, broadcastable against the block."""
    return block.filter_norms(torch.ones_like(like)) ** 2
