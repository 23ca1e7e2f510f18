"""What a check is: a pure function of probes, with its name, its version and where its definition comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from landscape_audit.estimate import IntervalKind
from landscape_audit.probes.probe import Probe
from landscape_audit.results import Measured, NotApplicable


@dataclass(frozen=True)
class Check:
    """One check of the battery."""

    id: str
    version: int
    title: str
    question: str
    source: str
    probes: tuple[Probe[Any], ...]
    measure: Callable[..., Measured | NotApplicable]

    @property
    def explanation(self) -> str:
        """The definition, the interval and the caveats, as `landscape-audit checks NAME` prints them."""
        return inspect.getdoc(self.measure) or ""

    @property
    def grows(self) -> tuple[IntervalKind, ...]:
        """The kinds of interval that one of its probes makes narrower with a larger budget."""
        growths = (getattr(probe, "GROWTH", None) for probe in self.probes)
        return tuple(dict.fromkeys(growth.kind for growth in growths if growth))


def check(
    name: str, *probes: Probe[Any], version: int, title: str, question: str, source: str
) -> Callable[[Callable[..., Measured | NotApplicable]], Check]:
    """Make a check of a function that takes what the `probes` took, in their order."""

    def make(measure: Callable[..., Measured | NotApplicable]) -> Check:
        return Check(name, version, title, question, source, probes, measure)

    return make
