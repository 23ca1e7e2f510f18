"""What an audit will cost, told before it starts. Plain data: the torch side fills it, the command line shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from landscape_audit.results import Cost


@dataclass(frozen=True)
class PlannedProbe:
    """One measurement that will be taken once, and the checks that rest on it."""

    name: str
    cost: Cost
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Every measurement of an audit, in order. Seconds come from a gradient and a product timed on this machine."""

    probes: Sequence[PlannedProbe]
    parameters: int
    n_samples: int
    gradient_seconds: float
    forward_gradients: float
    hvp_gradients: float
    memory_bytes: int

    @property
    def gradients(self) -> float:
        """The whole cost in gradients of the full sample."""
        return sum(self.gradients_of(probe) for probe in self.probes)

    @property
    def seconds(self) -> float:
        """The whole cost on this machine."""
        return self.gradients * self.gradient_seconds

    def in_gradients(self, cost: Cost) -> float:
        """Any cost in gradients, as timed on this machine."""
        return cost.in_gradients(forward=self.forward_gradients, hvp=self.hvp_gradients)

    def by_check(self) -> dict[str, Cost]:
        """What each check would cost if it ran alone; together they share, and cost less than the sum."""
        names = dict.fromkeys(name for probe in self.probes for name in probe.checks)
        return {name: sum((p.cost for p in self.probes if name in p.checks), Cost()) for name in names}

    def gradients_of(self, probe: PlannedProbe) -> float:
        """One probe's cost in gradients."""
        return self.in_gradients(probe.cost)


class Progress(Protocol):
    """What the torch side tells while it works. Nothing here may slow it down or raise."""

    def planned(self, plan: Plan) -> None:
        """The audit is about to start, and this is what it will cost."""

    def started(self, probe: str) -> None:
        """A probe is being taken."""

    def spent(self, cost: Cost) -> None:
        """Some part of the running probe is done."""

    def note(self, message: str) -> None:
        """Something a person should know now: a fallback, a skipped check."""


class Silent:
    """A Progress that says nothing."""

    def planned(self, plan: Plan) -> None:
        """Say nothing."""

    def started(self, probe: str) -> None:
        """Say nothing."""

    def spent(self, cost: Cost) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """Say nothing."""
