"""The trace of a symmetric matrix, and of its diagonal blocks, from products that a Krylov space makes nearly exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from landscape_audit.curvature.hessian import Matvec
from landscape_audit.curvature.lanczos import Floats, KrylovSpace
from landscape_audit.curvature.vectors import dot


@dataclass(frozen=True)
class TraceSample:
    """One number for the whole matrix, and one for each block of its diagonal; the blocks' sum is the whole's.

    `weighted` is Σ w_i A_ii for given weights: E dᵀAd for a random d of uncorrelated elements with E d_i² = w_i.
    """

    whole: float
    blocks: tuple[float, ...] = ()
    weighted: float = 0.0


def inside(space: KrylovSpace, blocks: Sequence[slice] = (), weights: Tensor | None = None) -> TraceSample:
    """What the space knows exactly: the trace of VᵀT V, and in each block also of its coupling to the rest.

    A = VᵀT V + (r v_mᵀ + v_m rᵀ) + B, with r the `rest` of the last step, orthogonal to V, and B the part outside.
    The coupling has no trace as a whole, but its blocks do. Costs no product.
    """

    def read(a: Tensor, b: Tensor) -> Floats:
        weighted = 0.0 if weights is None else dot(weights * a, b)
        return np.array([*(dot(a[block], b[block]) for block in blocks), weighted])

    sums = 2 * read(space.rest, space.basis[space.steps - 1])
    before: Tensor | None = None
    for index, row in enumerate(space.basis):  # two rows at a time: together they may be kept in less than full
        sums += space.alpha[index] * read(row, row)
        if before is not None:
            sums += 2 * space.beta[index - 1] * read(before, row)
        before = row
    *found, weighted = sums.tolist()
    return TraceSample(float(space.alpha.sum()), tuple(found), weighted)


def form(space: KrylovSpace, d: Tensor) -> float:
    """dᵀAd as far as the space knows it: of the same part of A whose traces `inside` gives. Costs no product."""
    c = space.basis.coefficients(d).double().cpu().numpy()
    inner = float(space.alpha @ c**2 + 2 * space.beta[:-1] @ (c[:-1] * c[1:]))
    return inner + 2 * float(c[-1]) * dot(space.rest, d)


@dataclass(frozen=True)
class Outside:
    """Random signs z and B z, with B = (I − VᵀV) A (I − VᵀV) the part of A outside a Krylov space.

    zᵀ B z is an unbiased sample of tr B. With V holding the largest eigenvectors, its variance 2(|B|_F² − Σ B_ii²) is
    small, so that a few samples do where plain signs need hundreds. A block's share is Σ z_i (B z)_i over its
    elements, with the variance of B's rows there.

    Source: Hutchinson 1989; deflation: Meyer, Musco, Musco & Woodruff 2021; variance: Avron & Toledo 2011; the
    diagonal: Baston & Nakatsukasa 2022.
    """

    signs: Tensor
    product: Tensor

    def sample(self, blocks: Sequence[slice] = (), weights: Tensor | None = None) -> TraceSample:
        """zᵀ B z, whole, by block and weighted."""
        signs = self.signs.to(self.product)
        weighted = 0.0 if weights is None else dot(weights * signs, self.product)
        by_block = tuple(dot(signs[block], self.product[block]) for block in blocks)
        return TraceSample(dot(signs, self.product), by_block, weighted)

    @property
    def size(self) -> float:
        """|B z|², an unbiased sample of |B|_F²."""
        return dot(self.product, self.product)

    def after(self, space: KrylovSpace) -> Outside:
        """The same signs outside a space that has one row v more, without a product.

        A v is known but for its part outside the new space, r: B' z = (I − v vᵀ) B z − ⟨v, z⟩ r.
        """
        row = space.basis[space.steps - 1]
        product = self.product - dot(self.product, row) * row
        return Outside(self.signs, product.sub_(space.rest, alpha=dot(self.signs.to(row), row)))


def outside(matvec: Matvec, space: KrylovSpace, generator: Generator) -> Outside:
    """One random sample of what `inside` leaves out. Cost: one product."""
    signs = torch.randint(0, 2, (space.basis.size,), generator=generator, dtype=torch.int8) * 2 - 1
    signs = signs.to(space.rest.device)
    product = matvec(space.basis.project_out(signs.to(space.rest)))
    return Outside(signs, space.basis.project_out(product))


def taken_in(space: KrylovSpace, recent: int) -> float:
    """By how much a step made |B|_F² smaller, the mean of the last few.

    Exactly α² + 2β² each, as |A|_F² = |T|_F² + 2β² + |B|_F² at every step.
    """
    return float((space.alpha[-recent:] ** 2 + 2 * space.beta[-recent:] ** 2).mean())
