"""How products are taken: which passes, which graphs are kept, and differences where there is no other way."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape_audit.curvature.differences import Differences
from landscape_audit.curvature.gauss_newton import GaussNewton
from landscape_audit.curvature.hessian import Hessian, Products
from landscape_audit.curvature.vectors import unit_gaussian
from landscape_audit.errors import AuditError
from landscape_audit.probes.evaluation import Pass, by_batch, losses_at, output_terms, passes, terms
from landscape_audit.subject.code.user_code import is_out_of_memory
from landscape_audit.subject.division import adds_up
from landscape_audit.subject.subject import Subject
from landscape_audit.text import printable

_NO_SECOND_DERIVATIVE = re.compile(r"not implemented|once_differentiable|double backward|differentiat\w+ twice")

BUILT = ("hessian", "hessian_by_batch", "gauss_newton", "gauss_newton_by_batch")
"""The products that keep graphs, by the name of their property."""


@dataclass(frozen=True)
class Engines:
    """The products of one process's batches, in calls of at most `most` examples and graphs of `graph_memory` bytes.

    Each is made when it is first asked for; what had to be done differently is told to `tell`, under a name of its own.
    """

    subject: Subject
    own: range
    most: int
    graph_memory: int
    autocast: torch.dtype | None
    tell: Callable[[str, str], None]

    @functools.cached_property
    def joined(self) -> tuple[Pass, ...]:
        """The batches in as few calls of the model as fit; one by one where a batch is more than its sum."""
        found = passes(self.subject.sample.batches, self.own, self.most)
        several = [each for each in found if len(each.pieces) > 1]
        return found if all(map(self._adds_up, several[:1])) else self.single

    @functools.cached_property
    def single(self) -> tuple[Pass, ...]:
        """The same, every call with one owner: for what the spread over batches tells."""
        return by_batch(self.subject.sample.batches, self.own, self.most)

    @functools.cached_property
    def hessian(self) -> Hessian | Differences:
        """The Hessian for long runs of products."""
        subject = self.subject
        if not all(math.isfinite(float(loss.total)) for _, loss in losses_at(subject, subject.theta, self.joined)):
            message = "the loss is not finite here, so that it has no curvature"
            raise FloatingPointError(message)
        if subject.distrusted:
            return self._differences(subject.distrusted)
        mine = terms(subject, self.joined, self.autocast)
        try:
            found = Hessian(subject.theta, subject.layout, mine, self.graph_memory)
            next(found.by_term(subject.theta), None)
        except RuntimeError as error:
            if is_out_of_memory(error) or not _NO_SECOND_DERIVATIVE.search(str(error)):
                raise
            return self._differences(f"The model has no second derivative ({printable(error)})")
        return found

    @functools.cached_property
    def hessian_by_batch(self) -> Products:
        """The same as a sum over the sample's own batches, in full precision."""
        subject = self.subject
        if isinstance(self.hessian, Differences):
            return self.hessian.on(terms(subject, self.single))
        if len(self.joined) == len(self.single) and self.autocast is None:
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

    def on_first_batch(self, subject: Subject) -> Products:
        """The Hessian of the first batch alone, at the θ and in the dtype of `subject`."""
        first = terms(subject, by_batch(subject.sample.batches, (0,), self.most))
        if self.hessian.exact:
            return Hessian(subject.theta, subject.layout, first)
        return Differences(subject.theta, subject.layout, first, _probe(subject.theta))

    @property
    def kept_bytes(self) -> int:
        """The memory that kept graphs take."""
        built = {id(found): found for found in vars(self).values() if isinstance(found, Hessian | GaussNewton)}
        return sum(found.graphs.kept_bytes for found in built.values())

    @functools.cached_property
    def divisible(self) -> bool:
        """Whether batches may be cut to make room, judged by a few examples: not where these see each other."""
        for size in (8, 2):
            few = self.subject.sample.batches[0].first(size)
            try:
                return adds_up(self.subject, few, tuple(few.split(2))) if few.size > 1 else True
            except AuditError:
                return False
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
        return True

    def _differences(self, why: str) -> Differences:
        subject = self.subject
        mine = terms(subject, self.joined, self.autocast)
        differences = Differences(subject.theta, subject.layout, mine, _probe(subject.theta))
        self.tell("differences", f"{why}: products are {differences.engine}.")
        return differences

    def _left(self) -> int:
        return max(0, self.graph_memory - self.kept_bytes)

    def _adds_up(self, joined: Pass) -> bool:
        same = adds_up(self.subject, joined.whole, joined.pieces)
        if not same:
            self.tell("batches", "The loss of a batch depends on what else is in it: batches are never joined.")
        return same


def _probe(theta: Tensor) -> Tensor:
    return unit_gaussian(theta.numel(), torch.Generator().manual_seed(0), theta)
