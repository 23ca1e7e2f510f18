"""One demand against one number or label: inside, outside, or not settled by the interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from landscape_audit.comparison.comparison import absolute_change, change_from, relative_change
from landscape_audit.confidence import Judging
from landscape_audit.estimate import UNDECIDED, Direction, Estimate, Label
from landscape_audit.ids import word_of
from landscape_audit.intervals import with_interval
from landscape_audit.policy import Allowance, Gate
from landscape_audit.results import Baseline, GateStatus
from landscape_audit.text import number, percent


@dataclass(frozen=True)
class Ruling:
    """How a demand came out, in words a person reads, and how far outside its limits it is (negative: inside)."""

    status: GateStatus
    found: str
    reason: str
    excess: float


def in_words(gate: Gate, key: str) -> str:
    """`at most 50`, `at least 0.9 and at most 1`, `a finite number`, `minimum`, `one of minimum, not critical`."""
    if gate.one_of is not None:
        words = [word_of(key, word) for word in gate.one_of]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    limits = (("at least", gate.floor), ("at most", gate.ceiling))
    told = " and ".join(f"{side} {number(limit, 12)}" for side, limit in limits if limit is not None)
    return told or "a finite number"


def demanded(gate: Gate, key: str, direction: Direction) -> str:
    """Everything that a gate demands, where its number is better in that direction."""
    own = [in_words(gate, key)] if gate.has_limits or gate.one_of else []
    return "; ".join([*own, *([no_worse(gate, direction)[0]] if gate.no_worse_than_baseline else [])])


def no_worse(gate: Gate, direction: Direction) -> tuple[str, Gate]:
    """What `no_worse_than_baseline` demands in words, and as a limit on how much the number changed."""
    allowed = gate.no_worse_than_baseline or Allowance(relative=0.0)
    most = allowed.absolute if allowed.relative is None else allowed.relative
    room = percent(most or 0.0, 12) if allowed.relative is not None else number(most, 12)
    side = "above" if direction == "lower" else "below"
    demand = f"at most {room} {side} the baseline" if most else f"not {side} the baseline"
    worst = most or 0.0
    return demand, Gate(at_most=worst, why=gate.why) if side == "above" else Gate(at_least=-worst, why=gate.why)


def changed(gate: Gate, baseline: Baseline, key: str, here: Estimate, how: Judging) -> Estimate:
    """How much a number differs from the baseline's, in the unit in which the gate allows it."""
    allowed = gate.no_worse_than_baseline
    change = relative_change if allowed and allowed.relative is not None else absolute_change
    return change_from(baseline, key, here, change, how)


def why_incomparable(baseline: Baseline | None, key: str) -> str:
    """Why a number cannot be held against the baseline's; empty where it can."""
    if baseline is None:
        return "There is no baseline: give one with --baseline or --against."
    if obstacles := baseline.obstacles(key):
        told = "; ".join(f"{each.key} ({each.there} → {each.here})" for each in obstacles)
        return f"The baseline is of something else: {told}."
    return "" if key in baseline.estimates else f"The baseline has no {key}."


def on_label(gate: Gate, key: str, label: Label) -> Ruling:
    """In the list or not; a label that says `undecided` fails nothing."""
    found = word_of(key, label.value)
    if label.value in (gate.one_of or ()):
        return Ruling("pass", found, label.reason, -math.inf)
    status: GateStatus = "undecided" if label.value == UNDECIDED else "fail"
    return Ruling(status, found, label.reason, math.inf)


def on_number(gate: Gate, estimate: Estimate) -> Ruling:
    """The whole interval inside passes, the whole interval outside fails, anything else is undecided.

    A side on which nothing is known counts as infinite, so a lower bound can fail `at_most` and never pass it.
    A limit itself is inside.
    """
    if estimate.value is None:
        return Ruling("fail", with_interval(estimate), "It is not a finite number.", math.inf)
    status = settled(gate, estimate)
    found = with_interval(estimate, digits=_telling_digits(gate, estimate))
    return Ruling(status, found, _reason(gate, estimate, status), _excess(gate, estimate.value))


def settled(gate: Gate, estimate: Estimate) -> GateStatus:
    """What an interval says of limits; one side on which nothing is known is infinite."""
    low = -math.inf if estimate.low is None else estimate.low
    high = math.inf if estimate.high is None else estimate.high
    floor = -math.inf if gate.floor is None else gate.floor
    ceiling = math.inf if gate.ceiling is None else gate.ceiling
    if low > ceiling or high < floor:
        return "fail"
    return "pass" if floor <= low and high <= ceiling else "undecided"


def _telling_digits(gate: Gate, estimate: Estimate) -> int:
    """Four digits, or as many as keep a number from looking equal to a limit that it is not."""
    limits = [limit for limit in (gate.floor, gate.ceiling) if limit is not None]
    bounds = [bound for bound in (estimate.value, estimate.low, estimate.high) if bound is not None]
    pairs = [(bound, limit) for bound in bounds for limit in limits if bound != limit]
    for digits in range(4, 17):
        if all(number(bound, digits) != number(limit, digits) for bound, limit in pairs):
            return digits
    return 17


def _reason(gate: Gate, estimate: Estimate, status: GateStatus) -> str:
    exact = estimate.low == estimate.value == estimate.high
    whole = "It" if exact else "The whole interval"
    if gate.floor is None and gate.ceiling is None:
        return "It is a finite number."
    if status == "pass":
        return f"{whole} is inside the limit."
    if status == "fail":
        return f"{whole} is outside the limit."
    if gate.ceiling is not None and estimate.high is None:
        return "Nothing bounds it from above: a lower bound can fail at_most but never pass it."
    if gate.floor is not None and estimate.low is None:
        return "Nothing bounds it from below: an upper bound can fail at_least but never pass it."
    return "The limit lies inside the interval."


def _excess(gate: Gate, value: float) -> float:
    """How far the value is beyond its nearest limit, as a share of the larger of the two; negative inside."""
    gaps = []
    if gate.ceiling is not None:
        gaps.append((value - gate.ceiling, gate.ceiling))
    if gate.floor is not None:
        gaps.append((gate.floor - value, gate.floor))
    shares = (gap / scale if (scale := max(abs(value), abs(limit))) else 0.0 for gap, limit in gaps)
    return max(shares, default=-math.inf)
