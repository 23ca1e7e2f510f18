"""A number with its interval, or a word with its reason: what a check says of one question.

A number that is not finite is `null` with a word in `nonfinite`.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from landscape_audit.record import Record

IntervalKind = Literal["residual", "sampling", "probe", "rounding", "bound"]
"""Where an interval comes from.

residual: what the solver leaves open.  sampling: other examples of the same distribution.
probe: random vectors or directions.  rounding: the arithmetic.  bound: one side only, by construction.
"""

Direction = Literal["lower", "higher", "neither"]
Nonfinite = Literal["nan", "inf", "-inf"]


class Bounds(Record):
    """What a part of an interval would be at another level."""

    level: float
    low: float | None
    high: float | None


class IntervalPart(Record):
    """One source of uncertainty by itself; `None` is a side on which nothing is known."""

    kind: IntervalKind
    low: float | None
    high: float | None
    pieces: tuple[float, ...] = Field(
        default=(),
        description="What each batch, probe or draw says by itself: the estimate is their mean, its standard error "
        "theirs. Two audits of the same pieces are compared piece by piece.",
    )
    grain: float = Field(
        default=0.0, ge=0, description="Of a proportion: what one example that comes out otherwise would move it by."
    )
    at: tuple[Bounds, ...] = Field(
        default=(),
        description="The same at other levels, lowest first, for gates that ask for another confidence; empty where "
        "it holds at any.",
    )


_FINITE: JsonDict = {"properties": {"value": {"type": "number"}, "nonfinite": {"type": "null"}}}
_NOT_FINITE: JsonDict = {
    "properties": {"value": {"type": "null"}, "nonfinite": {"type": "string"}},
    "required": ["nonfinite"],
}


class Estimate(Record):
    """A number, the interval around it, and what the interval means.

    `low` and `high` combine all `parts`. `None` means unbounded: a lower bound has `high=None`. An exact number has
    no parts and `low = value = high`. `level` is the confidence of the sampling and probe parts, and of the residual
    part at an end of a spectrum; other residual parts, and bounds, hold always.
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": [_FINITE, _NOT_FINITE]})

    value: float | None
    low: float | None
    high: float | None
    parts: tuple[IntervalPart, ...] = ()
    level: float | None = Field(default=None, gt=0, lt=1)
    unit: str = ""
    direction: Direction = Field(default="neither", description="Which way is better, where that has a meaning.")
    n: int | None = Field(default=None, description="How many examples, probes or draws it rests on.")
    nonfinite: Nonfinite | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if (self.value is None) != (self.nonfinite is not None):
            message = "an estimate has a value, or a word saying why it has none"
            raise ValueError(message)
        known = [bound for bound in (self.low, self.value, self.high) if bound is not None]
        if known != sorted(known):
            message = f"interval out of order: {self.low} <= {self.value} <= {self.high}"
            raise ValueError(message)
        return self

    @classmethod
    def exact(cls, value: float, *, unit: str = "", direction: Direction = "neither", n: int | None = None) -> Estimate:
        """A number without uncertainty: a count, or something true by construction."""
        word = nonfinite_word(value)
        kept = None if word else value
        return cls(value=kept, low=kept, high=kept, unit=unit, direction=direction, n=n, nonfinite=word)

    @classmethod
    def within(
        cls,
        value: float,
        parts: tuple[IntervalPart, ...],
        *,
        level: float | None = None,
        unit: str = "",
        direction: Direction = "neither",
        n: int | None = None,
    ) -> Estimate:
        """A number with several independent uncertainties; their distances from the value are added, never hidden.

        Adding is conservative: systematic parts (residual, rounding) do not average out against random ones.
        """
        word = nonfinite_word(value)
        if word:
            return cls(value=None, low=None, high=None, unit=unit, direction=direction, n=n, nonfinite=word)
        below = [None if part.low is None else value - part.low for part in parts]
        above = [None if part.high is None else part.high - value for part in parts]
        return cls(
            value=value,
            low=None if None in below else value - math.fsum(max(gap, 0.0) for gap in below if gap is not None),
            high=None if None in above else value + math.fsum(max(gap, 0.0) for gap in above if gap is not None),
            parts=parts,
            level=level,
            unit=unit,
            direction=direction,
            n=n,
        )


def spread(kind: IntervalKind, value: float, half_width: float, pieces: tuple[float, ...] = ()) -> IntervalPart:
    """The symmetric part `value ± half_width`; unbounded on both sides where the width is not finite."""
    return reaching(kind, value, (half_width, half_width), pieces)


def reaching(
    kind: IntervalKind, value: float, reach: tuple[float, float], pieces: tuple[float, ...] = ()
) -> IntervalPart:
    """The part from `reach[0]` below to `reach[1]` above; unbounded on both sides where one of them is not finite."""
    below, above = reach
    if not all(map(math.isfinite, (value, below, above))):
        return IntervalPart(kind=kind, low=None, high=None)
    return IntervalPart(kind=kind, low=value - below, high=value + above, pieces=about(value, pieces))


def about(value: float, pieces: tuple[float, ...]) -> tuple[float, ...]:
    """Pieces moved so that `value` is their mean; none where one of them is not finite, or there is only one."""
    if len(pieces) < 2 or not all(map(math.isfinite, (value, *pieces))):
        return ()
    off = value - math.fsum(pieces) / len(pieces)
    return tuple(piece + off for piece in pieces)


def nonfinite_word(value: float) -> Nonfinite | None:
    """The word for a number that JSON cannot carry, or None for one it can."""
    if math.isnan(value):
        return "nan"
    return ("inf" if value > 0 else "-inf") if math.isinf(value) else None


def finite_or_none(value: float) -> float | None:
    """A cell of a figure or a table: the number, or `None` where there is none to draw."""
    return value if math.isfinite(value) else None


UNDECIDED = "undecided"
"""The word of a label whose check could not settle its own question."""


class Label(Record):
    """A word out of a closed list, and the sentence that led to it."""

    value: str
    reason: str
    direction: Literal["neither"] = "neither"
    open: IntervalKind | None = Field(
        default=None, description="Where the word is `undecided`: which uncertainty would have to be smaller."
    )
