"""How sure a gate asks to be: an estimate's interval at another level, and the error that several looks share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from landscape_audit.estimate import Bounds, Estimate, IntervalKind, IntervalPart
from landscape_audit.policy import Gate, Policy

LOOKS = 3
"""How often a gate is looked at, at most, where it may buy a narrower interval: at what there was, and twice more."""
BOUGHT: tuple[IntervalKind, ...] = ("residual", "probe")
"""What more products or draws make narrower; more examples and more digits are not for sale here."""
LADDER = (0.8, 0.9, 0.95, 0.99, 0.999)
"""Confidences that any later policy may ask for."""
_AT_A_LEVEL: tuple[IntervalKind, ...] = ("sampling", "probe")
"""Parts that hold at their level only; the others, where they are the same at every level, hold always."""


@dataclass(frozen=True)
class Judging:
    """At which confidence an estimate is held against a gate, and over how many looks its error is split.

    Where a gate may buy, it is judged by the last of up to `LOOKS` intervals, and when to stop depends on what they
    say. Each is at 1 − (1 − confidence) / LOOKS: that any of them misses has at most the chances together, whatever
    they have in common (Bonferroni's inequality: Dunn 1961), so the one that decides misses no more often than the
    confidence allows. It is so at every look, also where nothing is bought in the end: a split only for those who need
    it is none. The examples are the same at every look, so what they leave open is one event, and is not split.
    """

    confidence: float | None
    looks: int = 1

    def of(self, part: IntervalPart) -> float:
        """The level that a part is needed at."""
        sure = self.confidence or 0.0
        return over_looks(sure) if self.looks > 1 and part.kind != "sampling" else sure


def over_looks(confidence: float) -> float:
    """The level of each look, so that all of them together hold with `confidence`."""
    return 1 - (1 - confidence) / LOOKS


def asked_levels(policy: Policy, own: float) -> tuple[float, ...]:
    """The audit's own level, the ladder, and what the gates ask for."""
    asked = {own, policy.confidence, *(gate.confidence for gate in policy.gates.values()), *LADDER}
    return tuple(sorted(level for level in asked if level is not None))


def judging(
    policy: Policy, gate: Gate, estimate: Estimate, grows: Collection[IntervalKind], *, bought: bool = False
) -> Judging:
    """How an estimate is judged whose check can narrow the kinds in `grows`; `bought`: whether one of them was."""
    confidence = gate.confidence or policy.confidence or estimate.level
    buys = (policy.max_extra_budget > 0 or bought) and bool(grows)
    drawn = any(part.at or part.kind in _AT_A_LEVEL for part in estimate.parts if part.kind != "sampling")
    return Judging(confidence, LOOKS if buys and drawn else 1)


def as_judged(estimate: Estimate, how: Judging) -> Estimate:
    """The estimate with the interval that decides: each part at the smallest stored level that is high enough.

    A part of which no such level is stored is unbounded: what is not known settles nothing.
    """
    if estimate.value is None or estimate.level is None:
        return estimate
    return Estimate.within(
        estimate.value,
        tuple(_part(part, how.of(part), estimate.level) for part in estimate.parts),
        level=how.confidence,
        unit=estimate.unit,
        direction=estimate.direction,
        n=estimate.n,
    )


def is_known(estimate: Estimate, how: Judging) -> bool:
    """Whether the audit has the interval that is asked for."""
    own = estimate.level
    return own is None or all(any(_stored(part, how.of(part), own)) for part in estimate.parts)


def with_bounds(estimate: Estimate, others: Mapping[float, Estimate], asked: Collection[float]) -> Estimate:
    """An estimate whose parts also say what they are at the levels of `others`.

    What other examples leave open is never split over looks, so only the levels in `asked` are kept of it.
    """
    same = {level: each.parts for level, each in others.items() if len(each.parts) == len(estimate.parts)}
    parts = []
    for index, part in enumerate(estimate.parts):
        wanted = [level for level in sorted(same) if part.kind != "sampling" or level in asked]
        at = tuple(Bounds(level=each, low=same[each][index].low, high=same[each][index].high) for each in wanted)
        varies = any((each.low, each.high) != (part.low, part.high) for each in at) or _is_of_its_level(part)
        parts.append(part.model_copy(update={"at": at}) if varies else part)
    return estimate.model_copy(update={"parts": tuple(parts)})


def _part(part: IntervalPart, level: float, own: float) -> IntervalPart:
    nearest = min(_stored(part, level, own), key=lambda each: each.level, default=None)
    low, high = (nearest.low, nearest.high) if nearest else (None, None)
    return IntervalPart(kind=part.kind, low=low, high=high)


def _stored(part: IntervalPart, level: float, own: float) -> Iterator[Bounds]:
    """What is known of a part at that level or above."""
    if own >= level or not (part.at or _is_of_its_level(part)):
        yield Bounds(level=max(own, level), low=part.low, high=part.high)
    yield from (each for each in part.at if each.level >= level)


def _is_of_its_level(part: IntervalPart) -> bool:
    return part.kind in _AT_A_LEVEL and part.low != part.high
