"""Products with the Gauss-Newton part of a Hessian: what is left of it when the network is taken as linear."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape_audit.curvature.graphs import Graphs
from landscape_audit.curvature.hessian import Share, leaves, mean
from landscape_audit.curvature.layout import Layout

OutputTerm = Callable[[Sequence[Tensor]], tuple[Tensor, Callable[[Tensor], tuple[Tensor, float]]]]
"""One batch in two steps: parameters -> (outputs z, a function z -> (summed loss, weight))."""


@dataclass(frozen=True)
class _Linearised:
    outputs: Tensor
    cotangent: Tensor
    pulled: tuple[Tensor, ...]
    """Jᵀu as a function of u: its own gradient is J."""
    copy: Tensor
    slope: Tensor
    """∇ℓ at a copy of the outputs, as a function of it."""
    weight: float


class GaussNewton:
    """G = Σ_b J_bᵀ (∇²_z ℓ_b) J_b / Σ_b weight_b for outputs z = f(θ) and their Jacobian J = ∂z/∂θ.

    H = G + Σ (∂ℓ/∂z_k) ∇²z_k. For a loss that is convex in the outputs G has no negative eigenvalue, and for cross
    entropy it is the Fisher matrix of the model's own predictions (Martens 2020).

    J v by the derivative of Jᵀu with respect to u, so that only backward passes are needed; graphs are kept as in
    `Hessian`. Error: that of the arithmetic. Cost: about two gradients a product with kept graphs.
    """

    exact = True

    def __init__(self, theta: Tensor, layout: Layout, terms: Sequence[OutputTerm], graph_memory: int = 0) -> None:
        self.layout = layout
        self._leaves = leaves(theta, layout)
        self.graphs = Graphs(functools.partial(_linearise, self._leaves, terms), len(terms), graph_memory)

    @property
    def engine(self) -> str:
        """How products are taken, in words."""
        return f"Gauss-Newton by two backward passes; {self.graphs.in_words}"

    def __call__(self, v: Tensor) -> Tensor:
        """G v, shape (P,)."""
        return mean(self.by_term(v), v)

    def by_term(self, v: Tensor) -> Iterator[Share]:
        """Every batch's product with v, in order."""
        directions = self.layout.views(v)
        for at, _ in self.graphs:
            yield Share(self._product(at, directions), at.weight)
            del at  # before the next graph is built

    def _product(self, at: _Linearised, directions: Sequence[Tensor]) -> Sequence[Tensor]:
        reached = [pair for pair in zip(at.pulled, directions, strict=True) if pair[0].requires_grad]
        (moved,) = torch.autograd.grad(
            [pulled for pulled, _ in reached],
            at.cotangent,
            grad_outputs=[direction for _, direction in reached],
            retain_graph=True,
            materialize_grads=True,
        )
        if not at.slope.requires_grad:  # a loss that is linear in the outputs has no Gauss-Newton part
            return [torch.zeros_like(leaf) for leaf in self._leaves]
        (bent,) = torch.autograd.grad(at.slope, at.copy, grad_outputs=moved, retain_graph=True)
        return torch.autograd.grad(
            at.outputs, self._leaves, grad_outputs=bent, retain_graph=True, materialize_grads=True
        )


def _linearise(parameters: Sequence[Tensor], terms: Sequence[OutputTerm], index: int) -> _Linearised:
    outputs, loss = terms[index](parameters)
    cotangent = torch.zeros_like(outputs, requires_grad=True)
    pulled = torch.autograd.grad(outputs, parameters, grad_outputs=cotangent, create_graph=True, materialize_grads=True)
    copy = outputs.detach().requires_grad_()
    total, weight = loss(copy)
    (slope,) = torch.autograd.grad(total, copy, create_graph=True)
    return _Linearised(outputs, cotangent, pulled, copy, slope, weight)
