"""The bench: where probes are taken, once each, with their own random streams and their cost written down."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from landscape_audit.plan import Progress
from landscape_audit.probes.evaluation import Evaluation, Pass, evaluate, passes, terms
from landscape_audit.results import Cost
from landscape_audit.spec import Budgets, ProtocolSpec

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from landscape_audit.curvature.directions import FilterScale
    from landscape_audit.curvature.hessian import Hessian
    from landscape_audit.subject.subject import Subject

Taken_co = TypeVar("Taken_co", covariant=True)


class Probe(Protocol[Taken_co]):
    """An expensive measurement, named by a frozen dataclass: equal probes are taken once."""

    @property
    def name(self) -> str:
        """What results, progress and the random stream call it."""

    @property
    def needs(self) -> tuple[Probe[Any], ...]:
        """The probes whose results it starts from."""

    def cost(self, size: Size) -> Cost:
        """What it will spend, its needs not counted. A forecast; what was spent is counted as it happens."""

    def take(self, bench: Bench) -> Taken_co:
        """Measure."""


@dataclass(frozen=True)
class Size:
    """What a cost depends on."""

    parameters: int
    n_batches: int
    budgets: Budgets


def with_needs(probes: Iterable[Probe[Any]]) -> tuple[Probe[Any], ...]:
    """The probes and everything they start from, each once, needs first."""
    found: dict[Probe[Any], None] = {}
    for probe in probes:
        found |= dict.fromkeys(with_needs(probe.needs))
        found.setdefault(probe)
    return tuple(found)


class ProbeFailedError(Exception):
    """A probe failed, now or when it was first taken. Every check that rests on it fails with the same words."""


@dataclass
class Ledger:
    """What one probe spent, itself and not its needs."""

    cost: Cost = field(default_factory=Cost)
    seconds: float = 0.0


class Bench:
    """A subject on the bench: losses, gradients and products at θ and around it, shared by all probes."""

    def __init__(self, subject: Subject, protocol: ProtocolSpec, progress: Progress, memory: int) -> None:
        self.subject = subject
        self.protocol = protocol
        self.budgets = protocol.budget()
        self.ledgers: dict[str, Ledger] = {}
        self.adjustments: list[str] = []
        self._memory = memory
        self._progress = progress
        self._taken: dict[Probe[Any], Any] = {}
        self._open: list[str] = []

    @property
    def size(self) -> Size:
        """What costs depend on."""
        return Size(self.subject.layout.size, len(self.subject.sample.batches), self.budgets)

    def take(self, probe: Probe[Taken_co]) -> Taken_co:
        """The result of a probe: measured the first time, remembered after, failure included."""
        if probe not in self._taken:
            self._taken[probe] = self._measure(probe)
        result = self._taken[probe]
        if isinstance(result, ProbeFailedError):
            raise result
        return result  # type: ignore[no-any-return] # the key is the probe that made it

    def has(self, probe: Probe[Any]) -> bool:
        """Whether a probe was taken, well or not."""
        return probe in self._taken

    def _measure(self, probe: Probe[Any]) -> Any:
        try:
            for need in probe.needs:
                self.take(need)
        except ProbeFailedError as error:
            return error
        ledger = self.ledgers[probe.name] = Ledger()
        self._open.append(probe.name)
        self._progress.started(probe.name)
        start = time.perf_counter()
        try:
            return probe.take(self)
        except Exception as error:  # noqa: BLE001 - a probe runs the user's model, which may raise anything
            return ProbeFailedError(f"{probe.name}: {type(error).__name__}: {error}")
        finally:
            ledger.seconds = time.perf_counter() - start
            self._open.pop()

    def spend(self, cost: Cost) -> None:
        """Write a cost down under the probe that is being taken."""
        ledger = self.ledgers[self._open[-1]]
        ledger.cost = ledger.cost + cost
        self._progress.spent(cost)

    @contextlib.contextmanager
    def outside_the_ledger(self, reason: str) -> Iterator[None]:
        """Work that no probe asked for: timed and counted nowhere."""
        self.ledgers[reason] = Ledger()
        self._open.append(reason)
        try:
            yield
        finally:
            self._open.pop()
            del self.ledgers[reason]

    def seed(self, stream: str) -> int:
        """The seed of a named random stream: independent of every other stream, and of which probes were taken."""
        words = f"{self.protocol.seed}:{stream}".encode()
        return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1

    def generator(self, stream: str) -> Generator:
        """A random stream of its own for each name."""
        import torch

        return torch.Generator().manual_seed(self.seed(stream))

    # ------------------------------------------------------------------------------------------- around the subject

    @functools.cached_property
    def hessian(self) -> Hessian:
        """The Hessian at θ, on graphs that are kept where they fit beside the Krylov basis."""
        from landscape_audit.curvature.hessian import Hessian

        subject = self.subject
        steps = min((self.budgets.lanczos_steps or 0) + 2, subject.layout.size)
        basis = steps * subject.layout.size * subject.theta.element_size()
        joined = terms(subject, [each.whole for each in self.passes])
        return Hessian(subject.theta, subject.layout, joined, max(0, self._memory - 2 * basis))

    @functools.cached_property
    def hessian_by_batch(self) -> Hessian:
        """The same Hessian as a sum over the sample's own batches, for what their spread tells; graphs are rebuilt."""
        from landscape_audit.curvature.hessian import Hessian

        subject = self.subject
        if len(self.passes) == len(subject.sample.batches):
            return self.hessian
        return Hessian(subject.theta, subject.layout, terms(subject, subject.sample.batches), 0)

    @functools.cached_property
    def passes(self) -> tuple[Pass, ...]:
        """The sample in as few calls of the model as its loader's batch size allows."""
        return passes(self.subject.sample)

    @functools.cached_property
    def double(self) -> Subject | None:
        """The subject in float64, to measure what rounding does; None, and said so, where the model refuses."""
        import torch

        try:
            double = self.subject.in_dtype(torch.float64)
            double.batch_loss(double.layout.views(double.theta), double.sample.batches[0])
        except Exception as error:  # noqa: BLE001 - the model's own code runs here
            self.adjustments.append(f"The model does not run in float64, so rounding is bounded, not measured: {error}")
            return None
        return double

    @functools.cached_property
    def scale(self) -> FilterScale:
        """The filter norms at θ."""
        from landscape_audit.curvature.directions import FilterScale

        return FilterScale.at(self.subject.theta, self.subject.layout)

    def hvp(self, v: Tensor) -> Tensor:
        """H v at θ, shape (P,)."""
        product = self.hessian(v)
        self.spend(Cost(hvps=1))
        return product

    def evaluate(self, displacement: Tensor | None = None) -> Evaluation:
        """The loss at θ + displacement."""
        theta = self.subject.theta if displacement is None else self.subject.theta + displacement
        evaluation = evaluate(self.subject, theta, self.passes)
        self.spend(Cost(forwards=1))
        return evaluation

    def gradient(self, displacement: Tensor | None = None) -> tuple[Tensor, float]:
        """The gradient and the loss at θ + displacement."""
        import torch

        from landscape_audit.curvature.hessian import gradient

        theta = self.subject.theta if displacement is None else self.subject.theta + displacement
        total, loss, weight = torch.zeros_like(theta), 0.0, 0.0
        for term in terms(self.subject, [each.whole for each in self.passes]):
            slope = gradient(theta, self.subject.layout, term)
            total += slope.vector
            loss += slope.loss
            weight += slope.weight
        self.spend(Cost(gradients=1))
        return total / weight, loss / weight
