"""What changed between an audit and its baseline, number by number, in no stronger words than the intervals bear."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from landscape_audit.comparison.comparison import SHARE, absolute_change, change_from, is_paired, relative_change
from landscape_audit.estimate import Estimate
from landscape_audit.results import AuditResults, Baseline, Difference
from landscape_audit.text import number, percent

Word = Literal["higher", "lower", "the same", "no difference that can be told", "not comparable"]
Tone = Literal["good", "bad", "plain", "open"]


@dataclass(frozen=True)
class Change:
    """One number of both audits. `obstacles` say why the two are of different things, where they are."""

    key: str
    here: Estimate
    there: Estimate
    absolute: Estimate
    relative: Estimate
    paired: bool
    obstacles: tuple[Difference, ...] = ()

    @property
    def word(self) -> Word:
        """Higher or lower only where the whole interval of the difference is."""
        low, high = self.absolute.low, self.absolute.high
        if self.obstacles or self.absolute.value is None:
            return "not comparable"
        if low == high == 0:
            return "the same"
        return "higher" if low is not None and low > 0 else "lower" if high is not None and high < 0 else _UNTOLD

    @property
    def is_certain(self) -> bool:
        """Whether it changed, whatever the uncertainty."""
        return self.word in {"higher", "lower"}

    @property
    def tone(self) -> Tone:
        """Better or worse, where that has a meaning."""
        if self.word == "not comparable":
            return "open"
        if not self.is_certain or self.here.direction == "neither":
            return "plain"
        return "good" if self.word == self.here.direction else "bad"

    @property
    def certainty(self) -> float:
        """How many times as far from no change as the interval reaches towards it: above 1 where it is certain."""
        value = self.absolute.value
        if self.word == "not comparable" or not value:
            return 0.0
        nearest = self.absolute.low if value > 0 else self.absolute.high
        if nearest is None:
            return 0.0
        return math.inf if nearest == value else value / (value - nearest)

    @property
    def ratio(self) -> Estimate | None:
        """Here / there; None where that means nothing: of zero, across signs, or with an interval that knows no end."""
        by, there = self.relative, self.there.value
        if self.word == "not comparable" or by.value is None or not there:
            return None
        sign = math.copysign(1.0, there)
        ends = (by.low, by.value, by.high) if there > 0 else (by.high, by.value, by.low)
        low, value, high = (None if end is None else 1 + sign * end for end in ends)
        if value is None or value <= 0 or (low is None and high is None) or (low is not None and low <= 0):
            return None
        return Estimate(value=value, low=low, high=high, level=by.level, unit=RATIO, direction=by.direction, n=by.n)

    @property
    def shown(self) -> str:
        """How much: as a share of the baseline where that can be told, else in the number's own unit."""
        if self.word == "not comparable":
            return ""
        ends = (self.relative.low, self.relative.value, self.relative.high)
        telling = all(end is not None and abs(end) < _MOST for end in ends)
        return change_in_words(self.relative if telling else self.absolute, digits=3)


RATIO = "times the baseline"
"""The unit of a ratio."""
_MOST = 100.0
"""A share beyond it tells how near to zero the baseline was, not how much has changed."""
_UNTOLD: Word = "no difference that can be told"


def changes(results: AuditResults, keys: Collection[str] | None = None) -> tuple[Change, ...]:
    """Every number that the audit and its baseline both have, or those of `keys`, in the order of the report."""
    baseline = results.baseline
    if baseline is None:
        return ()
    both = {key: here for key, here in results.estimates().items() if key in baseline.estimates}
    return tuple(_change(baseline, key, both[key]) for key in (both if keys is None else keys) if key in both)


def _change(baseline: Baseline, key: str, here: Estimate) -> Change:
    there = baseline.estimates[key]
    return Change(
        key=key,
        here=here,
        there=there,
        absolute=change_from(baseline, key, here, absolute_change),
        relative=change_from(baseline, key, here, relative_change),
        paired=is_paired(here, there, baseline.paired),
        obstacles=baseline.obstacles(key),
    )


def change_in_words(change: Estimate, digits: int = 4) -> str:
    """`+8 % (+5 % to +11 %)`; in the number's own unit where the change is no share."""

    def shown(by: float) -> str:
        told = percent(by, digits) if change.unit == SHARE else number(by, digits)
        return f"+{told}" if by > 0 else told

    if change.value is None:
        return "no change can be told"
    if change.low == change.value == change.high:
        return shown(change.value)
    if change.low is None and change.high is None:
        return f"{shown(change.value)} (no interval is known)"
    low, high = ("unknown" if end is None else shown(end) for end in (change.low, change.high))
    return f"{shown(change.value)} ({low} to {high})"
