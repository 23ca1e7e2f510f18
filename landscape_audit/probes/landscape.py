"""The loss around θ: heights, slopes and products, on as many processes and in as large pieces as there is room for."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape_audit.curvature.differences import Differences
from landscape_audit.curvature.hessian import Hessian, Matvec, Products, Share, gradient, mean, summed
from landscape_audit.curvature.vectors import norm
from landscape_audit.probes.engines import BUILT, Engines
from landscape_audit.probes.evaluation import Evaluation, Pass, by_batch, gathered, losses_at, terms
from landscape_audit.probes.ranks import Ranks
from landscape_audit.subject.code.user_code import is_out_of_memory
from landscape_audit.subject.losses.loss import BatchLoss
from landscape_audit.subject.subject import Subject
from landscape_audit.subject.trial import not_finite
from landscape_audit.text import count

Found = TypeVar("Found")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ByBatch:
    """Numbers read off every batch's own product, shape (B, k), the batches' weights, and the product of the whole."""

    read: Floats
    weights: Floats
    product: Tensor


@dataclass(frozen=True)
class Footing:
    """What work on a landscape has taught it: what was told, how much fits at once, and which products were built."""

    told: tuple[tuple[str, str], ...]
    most: int
    graph_memory: int
    built: tuple[str, ...]


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
        batches = subject.sample.batches
        most = max(subject.sample.pass_size, *(batch.size for batch in batches))
        own = ranks.share(len(batches))
        self._engines = Engines(subject, own, most, graph_memory, autocast, self._told.__setitem__)

    @property
    def adjustments(self) -> tuple[str, ...]:
        """Whatever was done differently from what was asked."""
        return tuple(self._told.values())

    @property
    def footing(self) -> Footing:
        """Where it stands: what another landscape needs to go on as this one would."""
        engines = self._engines
        built = tuple(name for name in vars(engines) if name in BUILT)
        return Footing(tuple(self._told.items()), engines.most, engines.graph_memory, built)

    def stand_on(self, footing: Footing) -> None:
        """Go on as the landscape that had this footing would."""
        engines = self._engines
        if (engines.most, engines.graph_memory) != (footing.most, footing.graph_memory):
            self._engines = replace(engines, most=footing.most, graph_memory=footing.graph_memory)
        for name in footing.built:  # in the order of old, as each takes the graph memory that those before it leave
            self._with_room(lambda name=name: getattr(self._engines, name))  # type: ignore[misc]
        self._told = {**dict(footing.told), **self._told}

    # ------------------------------------------------------------------------------------------------ loss, gradient

    def evaluate(self, theta: Tensor) -> Evaluation:
        """The loss at any point of shape (P,). Cost: one forward."""
        return gathered(self.subject, self.losses_at(theta), self.ranks)

    def losses_at(self, theta: Tensor) -> list[tuple[int, BatchLoss]]:
        """The same told apart: of each of this process's batches, with its index. Cost: one forward."""
        return self._with_room(lambda: losses_at(self.subject, theta, self._engines.joined))

    def losses(self) -> list[tuple[int, BatchLoss]]:
        """The losses at θ of this process's batches, each with its index. Cost: one forward."""
        return self._with_room(lambda: losses_at(self.subject, self.subject.theta, self._engines.single))

    def by_calls(self, look: Callable[[Subject, Sequence[Pass]], Found]) -> Found:
        """What `look` sees in this process's calls of the model; where memory runs out it begins again with less."""
        return self._with_room(lambda: look(self.subject, self._engines.joined))

    def gradient(self, theta: Tensor) -> tuple[Tensor, float]:
        """The gradient and the loss at any point. Cost: one gradient."""

        def here() -> tuple[Tensor, Tensor]:
            total, sums = torch.zeros_like(theta), torch.zeros(2, dtype=torch.float64, device=theta.device)
            for term in terms(self.subject, self._engines.joined):
                slope = gradient(theta, self.subject.layout, term)
                total += slope.vector
                sums[0] += slope.loss
                sums[1] += slope.weight
            return total, sums

        total, sums = (self.ranks.sum(part) for part in self._with_room(here))
        loss, weight = sums.tolist()
        if theta is self.subject.theta:
            self._check_finite(total)
        return total.div_(weight), loss / weight

    def gradients_by_group(self, groups: int) -> tuple[Tensor, Floats]:
        """The summed gradients of `groups` runs of neighbouring batches, (G, P), and their weights, (G,).

        Cost: one gradient.
        """
        theta, batches = self.subject.theta, len(self.subject.sample.batches)

        def here() -> tuple[Tensor, Tensor]:
            rows = theta.new_zeros(groups, theta.numel())
            weights = torch.zeros(groups, dtype=torch.float64, device=theta.device)
            for term, each in zip(terms(self.subject, self._engines.single), self._engines.single, strict=True):
                slope = gradient(theta, self.subject.layout, term)
                rows[each.owners[0] * groups // batches] += slope.vector
                weights[each.owners[0] * groups // batches] += slope.weight
            return rows, weights

        rows, weights = (self.ranks.sum(part) for part in self._with_room(here))
        for row in rows:
            self._check_finite(row)
        return rows, weights.cpu().numpy()

    def one_step_by_batch(self, radius: float) -> Floats:
        """Every batch's summed loss at θ, the same `radius` up its own gradient, and its weight: shape (B, 3).

        A batch without a slope stays where it is. Cost: one gradient and one forward.
        """
        subject, theta = self.subject, self.subject.theta

        def here() -> Tensor:
            table = torch.zeros(len(subject.sample.batches), 3, dtype=torch.float64, device=theta.device)
            for owner, pieces in itertools.groupby(self._engines.single, key=lambda each: each.owners[0]):
                over, slope = list(pieces), torch.zeros_like(theta)
                for term in terms(subject, over):
                    found = gradient(theta, subject.layout, term)
                    slope += found.vector
                    table[owner, 0] += found.loss
                    table[owner, 2] += found.weight
                length = norm(slope)
                moved = theta + slope * (radius / length if length > 0 else 1.0)
                table[owner, 1] += sum(loss.total for _, loss in losses_at(subject, moved, over))
            return table

        return self.ranks.sum(self._with_room(here)).cpu().numpy()

    # ------------------------------------------------------------------------------------------------------ products

    @property
    def engine(self) -> str:
        """How second derivatives are taken, in words."""
        autocast = self._engines.autocast
        return f"{self._hessian.engine}; the model in {autocast}" if autocast else self._hessian.engine

    @property
    def exact(self) -> bool:
        """Whether second derivatives are exact but for rounding: only then may they claim negative curvature."""
        return self._hessian.exact

    @property
    def error(self) -> float:
        """How far a difference of gradients is from the product, relative to its size, as measured; zero if exact."""
        return self._hessian.error if isinstance(self._hessian, Differences) else 0.0

    @property
    def kept_bytes(self) -> int:
        """The memory that kept graphs take."""
        return self._engines.kept_bytes

    def hvp(self, v: Tensor) -> Tensor:
        """H v at θ, shape (P,)."""
        return self._mean(lambda: summed(self._engines.hessian.by_term(v), v))

    def ggn(self, v: Tensor) -> Tensor:
        """G v at θ, shape (P,), with G the Gauss-Newton part of the Hessian."""
        return self._mean(lambda: summed(self._engines.gauss_newton.by_term(v), v))

    def block(self, members: range) -> Matvec:
        """The diagonal block of the Hessian that belongs to neighbouring parameters, on vectors of their size alone."""
        part = self.subject.layout.span(members)

        def here(v: Tensor) -> Share:
            hessian = self._engines.hessian
            if isinstance(hessian, Hessian):
                return summed(hessian.block_by_term(members, v), v)
            padded = torch.zeros_like(self.subject.theta)
            padded[part] = v
            whole = summed(hessian.by_term(padded), padded)
            return Share((whole.parts[0][part],), whole.weight)

        return lambda v: self._mean(lambda: here(v))

    @functools.cached_property
    def no_gauss_newton(self) -> str:
        """Why there is no Gauss-Newton part here; empty where there is one."""
        if self.subject.loss.returned:
            return "The model returns its own loss: of which outputs it is a function is not known."
        if not isinstance(self.first_outputs(), Tensor):
            return "The model's outputs are not one tensor: it has no Gauss-Newton part."
        if not self.exact:
            return (
                "Second derivatives are differences of gradients here, and the Gauss-Newton part has no such form: "
                "it needs the model's backward pass differentiated."
            )
        return ""

    @torch.no_grad()
    def first_outputs(self) -> Any:
        """What the model gives at θ for one of its calls: a single example is too few for some models."""
        subject = self.subject
        views = subject.layout.views(subject.theta)
        return self._with_room(lambda: subject.outputs(views, self._engines.single[0].whole))

    def hessian_by_batch(self, v: Tensor, read: Callable[[Tensor], Sequence[float]]) -> ByBatch:
        """What `read` says of every batch's own H_b v, in full precision. Cost: one product."""
        return self._by_batch(lambda: self._engines.hessian_by_batch, v, read)

    def gauss_newton_by_batch(self, v: Tensor, read: Callable[[Tensor], Sequence[float]]) -> ByBatch:
        """What `read` says of every batch's own G_b v. Cost: one product."""
        return self._by_batch(lambda: self._engines.gauss_newton_by_batch, v, read)

    def _by_batch(
        self, products: Callable[[], Products], v: Tensor, read: Callable[[Tensor], Sequence[float]]
    ) -> ByBatch:
        batches = len(self.subject.sample.batches)

        def here() -> tuple[Tensor, Tensor]:
            columns = torch.zeros(batches, 1 + len(read(v)), dtype=torch.float64, device=v.device)
            total = torch.zeros_like(v)
            for each, share in zip(self._engines.single, products().by_term(v), strict=True):
                vector = share.vector
                found = [share.weight, *read(vector)]
                columns[each.owners[0]] += torch.tensor(found, dtype=torch.float64, device=v.device)
                total += vector
            return columns, total

        columns, total = (self.ranks.sum(part) for part in self._with_room(here))
        table = columns.cpu().numpy()
        weights = table[:, 0]
        return ByBatch(table[:, 1:] / np.maximum(weights, 1e-300)[:, None], weights, total / float(weights.sum()))

    def on_first_batch(self, subject: Subject) -> Matvec:
        """H v of the first batch alone, at the θ and in the dtype of `subject`."""
        return lambda v: self._with_room(lambda: mean(self._engines.on_first_batch(subject).by_term(v), v))

    def first_gradient(self, subject: Subject) -> Matvec:
        """The gradient of the first batch alone, as a function of θ in the dtype of `subject`."""

        def grad(theta: Tensor) -> Tensor:
            first = terms(subject, by_batch(subject.sample.batches, (0,), self._engines.most))
            slopes = (gradient(theta, subject.layout, term) for term in first)
            return mean((Share((slope.vector,), slope.weight) for slope in slopes), theta)

        return lambda theta: self._with_room(lambda: grad(theta))

    def _mean(self, here: Callable[[], Share]) -> Tensor:
        share = self._with_room(here)
        total = share.parts[0]
        weight = self.ranks.sum(torch.tensor([share.weight], dtype=torch.float64, device=total.device))
        return self.ranks.sum(total).div_(float(weight))

    def _check_finite(self, found: Tensor) -> None:
        """An error that names the first parameter, where the gradient at θ is not a number."""
        if not found.isfinite().all():
            layout = self.subject.layout
            for name, part in zip(layout.names, layout.views(~found.isfinite()), strict=True):
                if part.any():
                    raise not_finite(self.subject, name, int(part.sum()), part.numel())

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

    @property
    def _hessian(self) -> Hessian | Differences:
        return self._with_room(lambda: self._engines.hessian)

    def _can_make_room(self) -> bool:
        engines, largest = self._engines, max(batch.size for batch in self.subject.sample.batches)
        return engines.graph_memory > 0 or (engines.most > 1 and (engines.most >= 2 * largest or engines.divisible))

    def _make_room(self) -> None:
        if self._engines.graph_memory > 0:
            self._engines = replace(self._engines, graph_memory=0)
            self._told["graphs"] = "Out of memory: gradient graphs are rebuilt for every product."
        else:
            self._engines = replace(self._engines, most=-(-self._engines.most // 2))
            examples = count(self._engines.most, "example")
            self._told["pieces"] = f"Out of memory: the model was given {examples} at once."
        if self.subject.theta.device.type == "cuda":
            torch.cuda.empty_cache()
