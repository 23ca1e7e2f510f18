"""A decision as a ladder: every answer a rung in the order it was tried, down to the one that was given.

Not a picture but words with a small bar each, which a page sets: so they can be read on a phone, aloud and in the dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from landscape_audit.detail import Answer, Condition, Decision, Step
from landscape_audit.ids import in_words
from landscape_audit.report.strip import Allowed, Interval, Strip, strip_of
from landscape_audit.text import number, printable

DIGITS = 3
"""Of a number on a rung; the table behind has more."""

MARKS: dict[Answer, tuple[str, str, str]] = {
    "yes": ("✓", "good", "holds"),
    "no": ("✗", "bad", "does not hold"),
    "open": ("?", "open", "is open"),
}
"""A condition's glyph, its colour, and what both say."""


@dataclass(frozen=True)
class Asked:
    """One condition."""

    glyph: str
    tone: str
    word: str
    says: str
    found: str
    strip: Strip | None


@dataclass(frozen=True)
class Rung:
    """One answer: it was passed by, it is the one that was given, or that had been given before."""

    place: Literal["passed", "taken", "after"]
    glyph: str
    name: str
    outcome: str
    conditions: tuple[Asked, ...]


@dataclass(frozen=True)
class Ladder:
    """The whole decision."""

    rungs: tuple[Rung, ...]
    tone: str


def ladder(decision: Decision) -> Ladder:
    """The rungs from top to bottom; behind the answer nothing is asked, so only names are left."""
    taken = decision.steps.index(decision.taken)
    rungs = tuple(_rung(step, index - taken) for index, step in enumerate(decision.steps))
    return Ladder(rungs, "plain" if decision.taken.outcome == "yes" else "open")


def alt(decision: Decision) -> str:
    """The path in words: what was tried, what stood against it, and the answer with its reason."""
    before = decision.steps[: decision.steps.index(decision.taken)]
    tried = "; ".join(f"{_name(step)}: {_against(step)}" for step in before)
    passed = f" Passed by: {tried}." if tried else ""
    return f"{decision.title}. The answer is {_name(decision.taken)}: {printable(decision.taken.reason, 600)}{passed}"


def _rung(step: Step, beyond: int) -> Rung:
    if beyond > 0:
        return Rung("after", "", _name(step), "not asked", ())
    conditions = tuple(_asked(condition) for condition in step.conditions)
    if beyond == 0:
        glyph, outcome = ("✓", "yes") if step.outcome == "yes" else ("?", "no class holds")
        return Rung("taken", glyph, _name(step), outcome, conditions)
    return Rung("passed", MARKS[step.outcome][0], _name(step), step.outcome, conditions)


def _asked(condition: Condition) -> Asked:
    glyph, tone, word = MARKS[condition.outcome]
    return Asked(glyph, tone, word, _says(condition), _found(condition), _strip(condition))


def _says(condition: Condition) -> str:
    return f"{printable(condition.says, 80)} {condition.asks} {number(condition.limit, DIGITS)}"


def _found(condition: Condition) -> str:
    value, low, high = condition.value, condition.low, condition.high
    shown = number(value, DIGITS)
    if low is high is None or low == value == high:
        return shown
    if low is None or high is None:
        return f"{shown} ({'from ' if high is None else 'to '}{number(low if high is None else high, DIGITS)})"
    return f"{shown} ({number(low, DIGITS)} to {number(high, DIGITS)})"


def _strip(condition: Condition) -> Strip | None:
    value, low, high = condition.value, condition.low, condition.high
    if value is None:
        return None
    below = condition.asks in {"<", "≤"}
    limits = Allowed(ceiling=condition.limit) if below else Allowed(floor=condition.limit)
    is_exact = low is high is None
    return strip_of(Interval(value, value, value) if is_exact else Interval(low, value, high), limits)


def _against(step: Step) -> str:
    """The conditions that keep it from being the answer."""
    told = [(_says(each), _found(each), each.outcome) for each in step.conditions if not each.holds]
    return ", ".join(f"{says} {MARKS[outcome][2]} ({found})" for says, found, outcome in told) or step.outcome


def _name(step: Step) -> str:
    return printable(in_words(step.name), 60)
