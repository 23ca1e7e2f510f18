"""Products with a Hessian from differences of gradients, for models that have no second derivative; error measured."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from landscape_audit.curvature.hessian import Matvec, Share, Term, gradient, mean
from landscape_audit.curvature.layout import Layout
from landscape_audit.curvature.vectors import norm

LADDER = (16.0, 4.0, 1.0, 0.25)
"""The steps that are tried, in units of the one that balances rounding and curvature for a function of size one."""


def difference_product(grad: Matvec, theta: Tensor, v: Tensor, step: float) -> Tensor:
    """H v as the central difference of gradients (g(θ + h v) − g(θ − h v)) / 2h.

    Error: O(h²) from the third derivative plus O(ε/h) from rounding; ε^(1/3)·|θ|/|v| balances the two.
    Cost: two gradients. It agrees with the exact product only where the loss is smooth between the two points.
    """
    return (grad(theta + step * v) - grad(theta - step * v)) / (2 * step)


def rounding_noise(grad: Matvec, theta: Tensor, v: Tensor, step: float) -> float:
    """How far rounding moves a gradient near θ, as a norm: measured, whatever parts of the model compute in.

    A fourth difference over five points `step` apart leaves O(h⁴) of a smooth function, and √70 times the rounding. A
    kink between the points leaves a jump that does not shrink with h, only becomes rarer, so that the least over three
    steps is taken. Cost: fifteen gradients.

    Source: Moré & Wild 2011: noise from a table of differences, with the factor 1/√70 as in its authors' ECNoise.
    """

    def fourth(h: float) -> float:
        total = torch.zeros_like(theta)
        for k, weight in zip(range(-2, 3), (1, -4, 6, -4, 1), strict=True):
            total.add_(grad(theta + k * h * v), alpha=weight)
        return norm(total)

    return min(fourth(h) for h in (step, step / 4, step / 16)) / math.sqrt(70)


class Differences:
    """H v by central differences, at the step of a ladder where two neighbours agree best.

    `error` is how far those two are apart, relative to the product: it holds the larger of the truncation and the
    rounding of either. Such products may support λ_max; they never prove negative curvature, as their error has the
    size of |λ|_max and either sign.

    Cost: two gradients a product, and eight once to choose the step.
    """

    exact = False

    def __init__(self, theta: Tensor, layout: Layout, terms: Sequence[Term], probe: Tensor) -> None:
        self._theta, self._layout, self._terms = theta, layout, tuple(terms)
        self._unit = torch.finfo(theta.dtype).eps ** (1 / 3) * max(norm(theta), 1.0)
        products = [self._at(probe, factor) for factor in LADDER]
        gaps = [norm(a - b) for a, b in itertools.pairwise(products)]
        best = min(range(len(gaps)), key=gaps.__getitem__)
        self.factor = LADDER[best + 1]
        self.error = gaps[best] / max(norm(products[best + 1]), torch.finfo(torch.float64).tiny)

    def on(self, terms: Sequence[Term]) -> Differences:
        """The same at the same step over other batches."""
        other = copy.copy(self)
        other._terms = tuple(terms)  # noqa: SLF001 - its own class
        return other

    @property
    def engine(self) -> str:
        """How products are taken, in words, with the error that was measured."""
        return f"central differences of gradients; a product is off by about {100 * self.error:.2g} %"

    def __call__(self, v: Tensor) -> Tensor:
        """About H v, shape (P,)."""
        return mean(self.by_term(v), v)

    def by_term(self, v: Tensor) -> Iterator[Share]:
        """Every batch's product with v, in order."""
        return self._shares(v, self.factor)

    def _at(self, v: Tensor, factor: float) -> Tensor:
        return mean(self._shares(v, factor), v)

    def _shares(self, v: Tensor, factor: float) -> Iterator[Share]:
        step = factor * self._unit / max(norm(v), torch.finfo(torch.float64).tiny)
        for term in self._terms:
            ahead, behind = (gradient(self._theta + h * v, self._layout, term) for h in (step, -step))
            yield Share(((ahead.vector - behind.vector) / (2 * step),), ahead.weight)
