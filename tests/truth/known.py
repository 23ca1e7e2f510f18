"""What is known of a landscape, and what an audit found of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from subjects import measured

from landscape_audit.checks import BATTERY, OPT_IN
from landscape_audit.checks.stationarity import stationarity
from landscape_audit.estimate import Estimate
from landscape_audit.ids import ANY, declared
from landscape_audit.outcome import outcome_of
from landscape_audit.probes.bench import Bench
from landscape_audit.results import Measured

CHECKS = {check.id: check for check in (*BATTERY, *OPT_IN)}
Reader = Callable[[Bench], Estimate]


@dataclass(frozen=True)
class Number:
    """A number of the report and where it must lie.

    Where `low` is `high` it is an exact truth of this sample: the report's interval must hold it, without the part
    that speaks of other samples. Anything else is a range that the reported value must lie in.
    """

    name: str
    read: Reader
    low: float
    high: float

    def error(self, on: Bench) -> float:
        """How far off, as a share of what is allowed: more than 1 is wrong."""
        found = self.read(on)
        if found.value is None:
            return math.inf
        if self.low == self.high:
            off = abs(found.value - self.low)
            return off and off / max(_reach(found, self.low), math.ulp(0.0))
        if math.isinf(self.high):
            return self.low / found.value
        return abs(found.value - (self.low + self.high) / 2) / ((self.high - self.low) / 2)


def exactly(name: str, key: str, truth: float) -> Number:
    """The estimate of that id holds this truth."""
    return Number(name, reported(key), truth, truth)


def between(name: str, key: str, low: float, high: float = math.inf) -> Number:
    """The estimate of that id lies in there."""
    return Number(name, reported(key), low, high)


def reported(key: str) -> Reader:
    """`check.estimate` of the report."""
    check, _, estimate = key.partition(".")
    return lambda on: measured(on, CHECKS[check]).estimates[estimate]


def highest(curve: str) -> Reader:
    """The highest point of a curve in what `stationarity` draws: the most that a kind of step promises, or is worth."""

    def read(on: Bench) -> Estimate:
        figure = next(detail for detail in measured(on, stationarity).details if detail.name == "descents")
        points = next(series.y for series in figure.series if series.name == curve)
        return Estimate.exact(max(y for y in points if y is not None))

    return read


def _reach(found: Estimate, truth: float) -> float:
    """How far the interval reaches from its value towards the truth, on this sample: not at all where it is open."""
    parts = [part for part in found.parts if part.kind != "sampling"]
    sides = [part.low if truth < found.value else part.high for part in parts]
    return 0.0 if None in sides else math.fsum(max(0.0, abs(side - found.value)) for side in sides)


@dataclass(frozen=True)
class Placed:
    """A landscape on the bench, with what is true of this one."""

    on: Bench
    numbers: tuple[Number, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """A family of landscapes: in words, the classes that are right, and how one is made from a seed."""

    name: str
    truth: str
    place: Callable[[int], Placed]
    classes: tuple[str, ...] = ()
    """Empty where the truth is in numbers or other words only."""


@dataclass(frozen=True)
class Verdict:
    """What one audit says of one landscape."""

    named: str | None
    """The class, where one is demanded."""
    errors: Mapping[str, float]
    """By number: how far off, as a share of what is allowed."""
    wrong: tuple[str, ...]
    gradients: float


def verdict(known: Known, seed: int) -> Verdict:
    """The landscape of one seed, audited."""
    placed = known.place(seed)
    named = measured(placed.on, stationarity).labels["class"].value if known.classes else None
    errors = {number.name: number.error(placed.on) for number in placed.numbers}
    wrong = [f"class {named}"] if known.classes and named not in known.classes else []
    wrong += [f"{name} off by {error:.3g} of the allowed" for name, error in errors.items() if not error <= 1]
    for key, expected in placed.labels.items():
        check, _, label = key.partition(".")
        found = measured(placed.on, CHECKS[check]).labels[label].value
        wrong += [f"{key} is {found}"] if found != expected else []
    for check in CHECKS.values():
        outcome = outcome_of(placed.on, check) if all(map(placed.on.has, check.probes)) else None
        if isinstance(outcome, Measured):
            wrong += [f"the interval of {check.id}.{name} is not what its parts make" for name in loose(outcome)]
            wrong += [f"{check.id}.{name} is not declared so" for name in undeclared(outcome, check.id)]
    spent = sum(ledger.cost.in_gradients() for ledger in placed.on.ledgers.values())
    return Verdict(named, errors, tuple(wrong), spent)


def loose(outcome: Measured) -> Iterator[str]:
    """Estimates whose interval is not put together of its parts."""
    for name, found in outcome.estimates.items():
        if found.value is not None:
            again = Estimate.within(found.value, found.parts)
            if (again.low, again.high) != (found.low, found.high):
                yield name


def undeclared(outcome: Measured, check: str) -> Iterator[str]:
    """What a check gives and `ids` does not have, or has otherwise."""
    for name, found in outcome.estimates.items():
        what = declared(f"{check}.{name}")
        if what is None or what.words or what.direction != found.direction:
            yield name
    for name, label in outcome.labels.items():
        what = declared(f"{check}.{name}")
        if what is None or not {label.value, *ANY} & {*what.words}:
            yield name
