"""The loss around θ: heights, slopes and products, on as many processes and in as large pieces as there is room for."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape_audit.curvature.differences import Differences
from landscape_audit.curvature.gauss_newton import GaussNewton
from landscape_audit.curvature.hessian import Hessian, Matvec, Products, Share, gradient, mean, summed
from landscape_audit.curvature.vectors import unit_gaussian
from landscape_audit.probes.evaluation import (
    Evaluation,
    Pass,
    by_batch,
    gathered,
    losses_at,
    output_terms,
    passes,
    terms,
)
from landscape_audit.probes.ranks import Ranks
from landscape_audit.subject.code import is_out_of_memory
from landscape_audit.subject.loss import BatchLoss
from landscape_audit.subject.subject import Subject
from landscape_audit.text import count, printable

Found = TypeVar("Found")
Floats = NDArray[np.float64]

_NO_SECOND_DERIVATIVE = re.compile(r"not implemented|once_differentiable|double backward|differentiat\w+ twice")
_BUILT = ("joined", "single", "hessian", "hessian_by_batch", "gauss_newton", "gauss_newton_by_batch")


@dataclass(frozen=True)
class ByBatch:
    """Numbers read off every batch's own product, shape (B, k), the batches' weights, and the product of the whole."""

    read: Floats
    weights: Floats
    product: Tensor


class Landscape:
    """L(θ), ∇L and products with ∇²L, each exact for the whole sample whatever the batches, pieces and processes.

    Where memory runs out the work goes on without kept graphs, then with half as many examples at once, down to one;
    no example is ever left out. Where the model has no second derivative, products are differences of gradients. What
    was done differently is told in `adjustments`.
    """

    def __init__(self, subject: Subject, ranks: Ranks, graph_memory: int, autocast: torch.dtype | None = None) -> None:
        self.subject = subject
        self.ranks = ranks
        self._told: dict[str, str] = {}
        self._graph_memory = graph_memory
        self._autocast = autocast
        sample = subject.sample
        self._most = max(sample.pass_size, *(batch.size for batch in sample.batches))

    @property
    def adjustments(self) -> tuple[str, ...]:
        """Whatever was done differently from what was asked."""
        return tuple(self._told.values())

    # ------------------------------------------------------------------------------------------------ loss, gradient

    def evaluate(self, theta: Tensor) -> Evaluation:
        """The loss at any point of shape (P,). Cost: one forward."""
        return gathered(self.subject, self._with_room(lambda: losses_at(self.subject, theta, self.joined)), self.ranks)

    def losses(self) -> list[tuple[int, BatchLoss]]:
        """The losses at θ of this process's batches, each with its index. Cost: one forward."""
        return self._with_room(lambda: losses_at(self.subject, self.subject.theta, self.single))

    def gradient(self, theta: Tensor) -> tuple[Tensor, float]:
        """The gradient and the loss at any point. Cost: one gradient."""

        def here() -> tuple[Tensor, Tensor]:
            total, sums = torch.zeros_like(theta), torch.zeros(2, dtype=torch.float64, device=theta.device)
            for term in terms(self.subject, self.joined):
                slope = gradient(theta, self.subject.layout, term)
                total += slope.vector
                sums[0] += slope.loss
                sums[1] += slope.weight
            return total, sums

        total, sums = (self.ranks.sum(part) for part in self._with_room(here))
        loss, weight = sums.tolist()
        return total.div_(weight), loss / weight

    def gradients_by_group(self, groups: int) -> tuple[Tensor, Floats]:
        """The summed gradients of `groups` runs of neighbouring batches, (G, P), and their weights, (G,).

        Cost: one gradient.
        """
        theta, batches = self.subject.theta, len(self.subject.sample.batches)

        def here() -> tuple[Tensor, Tensor]:
            rows = theta.new_zeros(groups, theta.numel())
            weights = torch.zeros(groups, dtype=torch.float64, device=theta.device)
            for term, each in zip(terms(self.subject, self.single), self.single, strict=True):
                slope = gradient(theta, self.subject.layout, term)
                rows[each.owners[0] * groups // batches] += slope.vector
                weights[each.owners[0] * groups // batches] += slope.weight
            return rows, weights

        rows, weights = (self.ranks.sum(part) for part in self._with_room(here))
        return rows, weights.cpu().numpy()

    # ------------------------------------------------------------------------------------------------------ products

    @property
    def engine(self) -> str:
        """How second derivatives are taken, in words."""
        return f"{self.hessian.engine}; the model in {self._autocast}" if self._autocast else self.hessian.engine

    @property
    def exact(self) -> bool:
        """Whether second derivatives are exact but for rounding: only then may they claim negative curvature."""
        return self.hessian.exact

    @property
    def error(self) -> float:
        """How far a difference of gradients is from the product, relative to its size, as measured; zero if exact."""
        return self.hessian.error if isinstance(self.hessian, Differences) else 0.0

    def hvp(self, v: Tensor) -> Tensor:
        """H v at θ, shape (P,)."""
        return self._mean(lambda: summed(self.hessian.by_term(v), v))

    def ggn(self, v: Tensor) -> Tensor:
        """G v at θ, shape (P,), with G the Gauss-Newton part of the Hessian."""
        return self._mean(lambda: summed(self.gauss_newton.by_term(v), v))

    def block(self, members: range) -> Matvec:
        """The diagonal block of the Hessian that belongs to neighbouring parameters, on vectors of their size alone."""
        part = self.subject.layout.span(members)

        def here(v: Tensor) -> Share:
            if isinstance(self.hessian, Hessian):
                return summed(self.hessian.block_by_term(members, v), v)
            padded = torch.zeros_like(self.subject.theta)
            padded[part] = v
            whole = summed(self.hessian.by_term(padded), padded)
            return Share((whole.parts[0][part],), whole.weight)

        return lambda v: self._mean(lambda: here(v))

    @functools.cached_property
    def has_output_tensor(self) -> bool:
        """Whether the model gives one tensor, so that it has a Gauss-Newton part."""
        with torch.no_grad():
            views = self.subject.layout.views(self.subject.theta)
            return isinstance(self.subject.outputs(views, self.subject.sample.batches[0].first(1)), Tensor)

    def by_batch(
        self, products: Callable[[], Products], v: Tensor, read: Callable[[Tensor], Sequence[float]]
    ) -> ByBatch:
        """What `read` says of every batch's own product with v. Cost: one product."""
        batches = len(self.subject.sample.batches)

        def here() -> tuple[Tensor, Tensor]:
            columns = torch.zeros(batches, 1 + len(read(v)), dtype=torch.float64, device=v.device)
            total = torch.zeros_like(v)
            for each, share in zip(self.single, products().by_term(v), strict=True):
                vector = share.vector
                found = [share.weight, *read(vector)]
                columns[each.owners[0]] += torch.tensor(found, dtype=torch.float64, device=v.device)
                total += vector
            return columns, total

        columns, total = (self.ranks.sum(part) for part in self._with_room(here))
        table = columns.cpu().numpy()
        weights = table[:, 0]
        return ByBatch(table[:, 1:] / np.maximum(weights, 1e-300)[:, None], weights, total / float(weights.sum()))

    def on_first_batch(self, subject: Subject) -> Products:
        """The engine on the first batch alone, at the θ and in the dtype of `subject`."""
        first = terms(subject, by_batch(subject.sample.batches, (0,), self._most))
        if self.exact:
            return Hessian(subject.theta, subject.layout, first)
        return Differences(subject.theta, subject.layout, first, self._probe(subject.theta))

    def first_gradient(self, subject: Subject) -> Matvec:
        """The gradient of the first batch alone, as a function of θ in the dtype of `subject`."""
        first = terms(subject, by_batch(subject.sample.batches, (0,), self._most))

        def grad(theta: Tensor) -> Tensor:
            slopes = (gradient(theta, subject.layout, term) for term in first)
            return mean((Share((slope.vector,), slope.weight) for slope in slopes), theta)

        return grad

    # ------------------------------------------------------------------------------------------------------- engines

    @functools.cached_property
    def joined(self) -> tuple[Pass, ...]:
        """This process's batches in as few calls of the model as fit; one by one where a batch is more than its sum."""
        batches = self.subject.sample.batches
        found = passes(batches, self.ranks.share(len(batches)), self._most)
        return found if all(map(self._adds_up, found[:1])) else self.single

    def _adds_up(self, joined: Pass) -> bool:
        """Whether the loss of joined batches is the sum of theirs: not where examples see each other."""
        if len(joined.pieces) == 1:
            return True
        theta = self.subject.theta
        alone = tuple(Pass(piece, (piece,), (0,)) for piece in joined.pieces)
        together, apart = (
            sum(float(loss.total) for _, loss in losses_at(self.subject, theta, over)) for over in ((joined,), alone)
        )
        same = abs(together - apart) <= 1e3 * torch.finfo(theta.dtype).eps * max(abs(together), abs(apart))
        if not (same or math.isnan(together)):
            self._told["batches"] = "The loss of a batch depends on what else is in it: batches are never joined."
        return same

    @functools.cached_property
    def single(self) -> tuple[Pass, ...]:
        """The same, every call with one owner: for what the spread over batches tells."""
        batches = self.subject.sample.batches
        return by_batch(batches, self.ranks.share(len(batches)), self._most)

    @functools.cached_property
    def hessian(self) -> Hessian | Differences:
        """The Hessian for long runs of products: graphs kept where they fit; differences where nothing else works."""
        subject = self.subject
        if not all(math.isfinite(float(loss.total)) for _, loss in losses_at(subject, subject.theta, self.joined)):
            message = "the loss is not finite here, so that it has no curvature"
            raise FloatingPointError(message)
        mine = terms(subject, self.joined, self._autocast)
        try:
            found = Hessian(subject.theta, subject.layout, mine, self._graph_memory)
            next(found.by_term(subject.theta), None)
        except RuntimeError as error:
            if is_out_of_memory(error) or not _NO_SECOND_DERIVATIVE.search(str(error)):
                raise
            differences = Differences(subject.theta, subject.layout, mine, self._probe(subject.theta))
            self._told["differences"] = (
                f"The model has no second derivative ({printable(error)}): products are {differences.engine}."
            )
            return differences
        return found

    @functools.cached_property
    def hessian_by_batch(self) -> Products:
        """The same as a sum over the sample's own batches, in full precision."""
        subject = self.subject
        if isinstance(self.hessian, Differences):
            return self.hessian.on(terms(subject, self.single))
        if len(self.joined) == len(self.single) and self._autocast is None:
            return self.hessian
        return Hessian(subject.theta, subject.layout, terms(subject, self.single), self._left())

    @functools.cached_property
    def gauss_newton(self) -> GaussNewton:
        """The Gauss-Newton part, graphs kept in the memory that the Hessian's leave."""
        subject = self.subject
        return GaussNewton(subject.theta, subject.layout, output_terms(subject, self.joined), self._left())

    @functools.cached_property
    def gauss_newton_by_batch(self) -> GaussNewton:
        """The same as a sum over the sample's own batches; graphs are rebuilt, as few products need it."""
        subject = self.subject
        if len(self.joined) == len(self.single):
            return self.gauss_newton
        return GaussNewton(subject.theta, subject.layout, output_terms(subject, self.single))

    @property
    def kept_bytes(self) -> int:
        """The memory that kept graphs take."""
        built = {id(found): found for name in _BUILT if (found := self.__dict__.get(name)) is not None}
        return sum(found.graphs.kept_bytes for found in built.values() if isinstance(found, Hessian | GaussNewton))

    def _left(self) -> int:
        return max(0, self._graph_memory - self.kept_bytes)

    def _probe(self, theta: Tensor) -> Tensor:
        return unit_gaussian(theta.numel(), torch.Generator().manual_seed(0), theta)

    def _mean(self, here: Callable[[], Share]) -> Tensor:
        share = self._with_room(here)
        total = share.parts[0]
        weight = self.ranks.sum(torch.tensor([share.weight], dtype=torch.float64, device=total.device))
        return self.ranks.sum(total).div_(float(weight))

    # ---------------------------------------------------------------------------------------------------------- room

    def _with_room(self, work: Callable[[], Found]) -> Found:
        """The result of `work`, begun again with less at once as long as memory runs out."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self._can_make_room():
                    raise
            self._make_room()

    def _can_make_room(self) -> bool:
        return self._graph_memory > 0 or self._most > 1

    def _make_room(self) -> None:
        if self._graph_memory > 0:
            self._graph_memory = 0
            self._told["graphs"] = "Out of memory: gradient graphs are rebuilt for every product."
        else:
            self._most = -(-self._most // 2)
            self._told["pieces"] = f"Out of memory: the model was given {count(self._most, 'example')} at once."
        for name in _BUILT:
            self.__dict__.pop(name, None)
        if self.subject.theta.device.type == "cuda":
            torch.cuda.empty_cache()
