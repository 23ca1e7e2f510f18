"""Products with the Hessian of a loss that is a weighted mean over batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from landscape_audit.curvature.layout import Layout
from landscape_audit.curvature.vectors import dot

Term = Callable[[Sequence[Tensor]], tuple[Tensor, float]]
"""One batch: parameters in layout order -> (summed loss, weight). The loss is `Σ sums / Σ weights`."""

Matvec = Callable[[Tensor], Tensor]
"""A symmetric matrix as v -> A v on flat vectors of shape (P,)."""


class Hessian:
    """H = ∇²L(θ) for L(θ) = Σ_b sum_b(θ) / Σ_b weight_b, as products; exact for ragged batches and masked tokens.

    Double backward (Pearlmutter 1994). The gradient graphs of as many batches as fit into `graph_memory` bytes are
    kept, and a product then pays only the second backward; the others are rebuilt for every product. What a graph
    takes is measured on the first batch.

    Error: that of the arithmetic of θ's dtype. Cost: about two gradients a product with kept graphs, about three and
    a half without.
    """

    def __init__(self, theta: Tensor, layout: Layout, terms: Sequence[Term], graph_memory: int) -> None:
        self.layout = layout
        self.terms = tuple(terms)
        self._leaves = [view.detach().requires_grad_() for view in layout.views(theta)]
        self._graph_bytes = self._measure_graph() if graph_memory > 0 else 0
        self._kept_terms = min(len(self.terms), graph_memory // max(1, self._graph_bytes))

    @property
    def engine(self) -> str:
        """How products are taken, in words."""
        kept = self._kept_terms
        share = "every batch" if kept == len(self.terms) else f"{kept} of {len(self.terms)} batches"
        return f"double backward; gradient graphs kept for {share}" if kept else "double backward; graphs rebuilt"

    @property
    def kept_bytes(self) -> int:
        """The memory that kept graphs take, by what the first one took."""
        return self._kept_terms * self._graph_bytes

    def __call__(self, v: Tensor) -> Tensor:
        """H v, shape (P,)."""
        out = torch.zeros_like(v)
        directions = self.layout.views(v)
        weight = 0.0
        for index in range(len(self.terms)):
            gradients, term_weight = self._gradients(index)
            weight += term_weight
            self._add_product(out, gradients, directions)
        return out.div_(weight)

    def by_term(self, v: Tensor) -> tuple[list[float], list[float]]:
        """The quadratic forms vᵀH_b v of each batch's own mean loss, and the batches' weights.

        Their weighted mean is vᵀH v; their spread is what another sample would do to it. Cost: one product.
        """
        forms, weights = [], []
        directions = self.layout.views(v)
        for index in range(len(self.terms)):
            gradients, weight = self._gradients(index)
            product = torch.zeros_like(v)
            self._add_product(product, gradients, directions)
            forms.append(dot(v, product) / weight)
            weights.append(weight)
        return forms, weights

    def _gradients(self, index: int) -> tuple[list[Tensor], float]:
        return self._kept[index] if index < self._kept_terms else self._build(self.terms[index])

    @functools.cached_property
    def _kept(self) -> list[tuple[list[Tensor], float]]:
        return [self._build(term) for term in self.terms[: self._kept_terms]]

    def _build(self, term: Term) -> tuple[list[Tensor], float]:
        total, weight = term(self._leaves)
        gradients = torch.autograd.grad(total, self._leaves, create_graph=True, materialize_grads=True)
        return list(gradients), weight

    def _add_product(self, out: Tensor, gradients: Sequence[Tensor], directions: Sequence[Tensor]) -> None:
        curved = [pair for pair in zip(gradients, directions, strict=True) if pair[0].requires_grad]
        if not curved:
            return  # linear in every parameter; the instrument check holds a difference of gradients against this
        products = torch.autograd.grad(
            [gradient for gradient, _ in curved],
            self._leaves,
            grad_outputs=[direction for _, direction in curved],
            retain_graph=True,
            materialize_grads=True,
        )
        torch._foreach_add_(self.layout.views(out), list(products))

    def _measure_graph(self) -> int:
        storages: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            self._build(self.terms[0])
        return sum(storages.values())


@dataclass(frozen=True)
class Slope:
    """One batch's summed gradient of shape (P,), summed loss, and weight."""

    vector: Tensor
    loss: float
    weight: float


def gradient(theta: Tensor, layout: Layout, term: Term) -> Slope:
    """One forward and backward pass."""
    leaves = [view.detach().requires_grad_() for view in layout.views(theta)]
    total, weight = term(leaves)
    return Slope(layout.flatten(torch.autograd.grad(total, leaves, materialize_grads=True)), total.item(), weight)


def difference_product(grad: Matvec, theta: Tensor, v: Tensor, step: float) -> Tensor:
    """H v as the central difference of gradients (g(θ + h v) − g(θ − h v)) / 2h.

    Error: O(h²) from the third derivative plus O(ε/h) from rounding; ε^(1/3)·|θ|/|v| balances the two.
    Cost: two gradients. It agrees with the exact product only where the loss is smooth between the two points.
    """
    return (grad(theta + step * v) - grad(theta - step * v)) / (2 * step)
