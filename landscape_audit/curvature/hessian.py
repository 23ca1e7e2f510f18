"""Products with the Hessian of a loss that is a weighted mean over batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from landscape_audit.curvature.graphs import Graphs
from landscape_audit.curvature.layout import Layout

Term = Callable[[Sequence[Tensor]], tuple[Tensor, float]]
"""One batch: parameters in layout order -> (summed loss, weight). The loss is `Σ sums / Σ weights`."""

Matvec = Callable[[Tensor], Tensor]
"""A symmetric matrix as v -> A v on flat vectors of shape (P,)."""


@dataclass(frozen=True)
class Share:
    """One batch's part of a sum over batches: a vector by parts, not yet divided by the weight."""

    parts: Sequence[Tensor]
    weight: float

    @property
    def vector(self) -> Tensor:
        """The parts as one vector of shape (P,)."""
        return torch.cat([part.reshape(-1) for part in self.parts])


class Products(Protocol):
    """A symmetric matrix that is a weighted mean over batches, known by its products."""

    exact: bool
    """Whether products are exact but for rounding: only then may they claim negative curvature."""

    @property
    def engine(self) -> str:
        """How products are taken, in words."""

    def by_term(self, v: Tensor) -> Iterator[Share]:
        """Every batch's product with v, one at a time."""


def mean(shares: Iterable[Share], like: Tensor) -> Tensor:
    """Σ vectors / Σ weights."""
    found = summed(shares, like)
    return found.parts[0].div_(found.weight)


def summed(shares: Iterable[Share], like: Tensor) -> Share:
    """The sum over batches, not divided."""
    total, weight = torch.zeros_like(like), 0.0
    for share in shares:
        chunks = torch.split(total, [part.numel() for part in share.parts])  # in place: no copy as long as θ
        views = [chunk.view_as(part) for chunk, part in zip(chunks, share.parts, strict=True)]
        torch._foreach_add_(views, list(share.parts))
        weight += share.weight
    return Share((total,), weight)


def leaves(theta: Tensor, layout: Layout) -> list[Tensor]:
    """The parameters as leaves of a graph: views of `theta`, no copies."""
    return [view.detach().requires_grad_() for view in layout.views(theta)]


class Hessian:
    """H = ∇²L(θ) for L(θ) = Σ_b sum_b(θ) / Σ_b weight_b, as products; exact for ragged batches and masked tokens.

    Double backward (Pearlmutter 1994). The gradient graphs of as many batches as fit into `graph_memory` bytes are
    kept, and a product then pays only the second backward; the others are rebuilt for every product.

    Error: that of the arithmetic of θ's dtype. Cost: about two gradients a product with kept graphs, about three and
    a half without. Nothing waits for the device between batches.
    """

    exact = True

    def __init__(self, theta: Tensor, layout: Layout, terms: Sequence[Term], graph_memory: int = 0) -> None:
        self.layout = layout
        self._leaves = leaves(theta, layout)
        self.graphs = Graphs(_gradients(self._leaves, terms), len(terms), graph_memory)

    @property
    def engine(self) -> str:
        """How products are taken, in words."""
        return f"double backward; {self.graphs.in_words}"

    def __call__(self, v: Tensor) -> Tensor:
        """H v, shape (P,)."""
        return mean(self.by_term(v), v)

    def by_term(self, v: Tensor) -> Iterator[Share]:
        """Every batch's product with v, in order."""
        return self._products(self.layout.views(v), range(len(self._leaves)))

    def block_by_term(self, members: range, v: Tensor) -> Iterator[Share]:
        """Every batch's product of the diagonal block of neighbouring parameters with a v of their size alone.

        Cost: the part of a product that lies behind those parameters.
        """
        return self._products(self.layout.part(members).views(v), members)

    def _products(self, directions: Sequence[Tensor], members: range) -> Iterator[Share]:
        chosen = [self._leaves[index] for index in members]
        for (gradients, weight), kept in self.graphs:
            mine = [gradients[index] for index in members]
            yield Share(_product(mine, chosen, directions, keep=kept), weight)
            del gradients, mine  # before the next graph is built


def _gradients(
    parameters: Sequence[Tensor], terms: Sequence[Term]
) -> Callable[[int], tuple[tuple[Tensor, ...], float]]:
    """How the gradient graph of a batch is built; holds nothing that holds it, so that θ is freed with its owner."""
    looked = False

    def build(index: int) -> tuple[tuple[Tensor, ...], float]:
        nonlocal looked
        total, weight = terms[index](parameters)
        gradients = torch.autograd.grad(total, parameters, create_graph=True, materialize_grads=True)
        if not looked:
            _refuse_severed(gradients)
            looked = True
        return gradients, weight

    return build


def _refuse_severed(gradients: Sequence[Tensor]) -> None:
    """An error where a part of the second derivative would be missing in silence.

    `once_differentiable` cuts the graph and plants an error behind the cut; but autograd.grad visits only what lies on
    the way to its inputs, so that the error is never met and the part beyond it is taken as zero.
    """
    seen, waiting = set(), [gradient.grad_fn for gradient in gradients]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() == "torch::autograd::Error":
            message = "a backward marked with @once_differentiable cannot be differentiated again"
            raise RuntimeError(message)
        seen.add(node)
        waiting += [behind for behind, _ in node.next_functions]


def _product(
    gradients: Sequence[Tensor], chosen: Sequence[Tensor], directions: Sequence[Tensor], *, keep: bool
) -> Sequence[Tensor]:
    curved = [pair for pair in zip(gradients, directions, strict=True) if pair[0].requires_grad]
    if not curved:  # linear in every parameter; the instrument check holds a difference of gradients against this
        return [torch.zeros_like(leaf) for leaf in chosen]
    return torch.autograd.grad(
        [gradient for gradient, _ in curved],
        chosen,
        grad_outputs=[direction for _, direction in curved],
        retain_graph=keep,
        materialize_grads=True,
    )


@dataclass(frozen=True)
class Slope:
    """One batch's summed gradient of shape (P,), summed loss, and weight."""

    vector: Tensor
    loss: Tensor
    weight: float


def gradient(theta: Tensor, layout: Layout, term: Term) -> Slope:
    """One forward and backward pass."""
    parameters = leaves(theta, layout)
    total, weight = term(parameters)
    vector = layout.flatten(torch.autograd.grad(total, parameters, materialize_grads=True))
    return Slope(vector, total.detach(), weight)
