"""What a probe is: an expensive measurement with a name, its needs, its cost, and how its intervals get narrower."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from landscape_audit.budgets import Budgets
from landscape_audit.estimate import IntervalKind
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.training.twins import Course

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
class Growth:
    """What makes a probe's intervals narrower: the kind of interval, the budget that grows, the tolerance that shrinks.

    A probe that can grow has one as `GROWTH`, and goes on from `Bench.before` when it is taken again.
    """

    kind: IntervalKind
    budget: str
    tolerance: str | None = None


@dataclass(frozen=True)
class Size:
    """What a cost depends on."""

    parameters: int
    n_batches: int
    layers: int
    budgets: Budgets
    course: Course | None = None


def with_needs(probes: Iterable[Probe[Any]]) -> tuple[Probe[Any], ...]:
    """The probes and everything they start from, each once, needs first."""
    found: dict[Probe[Any], None] = {}
    for probe in probes:
        found |= dict.fromkeys(with_needs(probe.needs))
        found.setdefault(probe)
    return tuple(found)


class ProbeFailedError(Exception):
    """A probe failed, now or when it was first taken. Every check that rests on it fails with the same words."""
