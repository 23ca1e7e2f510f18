"""A number with its interval on a strip, and on the same strip what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A number, and how far from below to above it may be; an end of which nothing is known is None."""

    low: float | None
    value: float
    high: float | None


@dataclass(frozen=True)
class Allowed:
    """From where to where a number is allowed; None where a side has no limit."""

    floor: float | None = None
    ceiling: float | None = None


@dataclass(frozen=True)
class Strip:
    """Where all of it lies from left to right, in per cent; a side that is open reaches to the end."""

    low: float
    high: float
    value: float
    allowed_from: float
    allowed_to: float


def strip_of(found: Interval, limits: Allowed) -> Strip:
    """The strip with room on both sides of what there is to see."""
    start, end = ends_of(found, limits)

    def place(value: float | None, otherwise: float) -> float:
        return otherwise if value is None else round(100 * (value - start) / (end - start), 2)

    return Strip(
        low=place(found.low, 0.0),
        high=place(found.high, 100.0),
        value=place(found.value, 50.0),
        allowed_from=place(limits.floor, 0.0),
        allowed_to=place(limits.ceiling, 100.0),
    )


def ends_of(found: Interval, limits: Allowed) -> tuple[float, float]:
    """From where to where there is something to see."""
    every = (found.low, found.value, found.high, limits.floor, limits.ceiling)
    known = [each for each in every if each is not None]
    low, high = min(known), max(known)
    room = 0.15 * (high - low) or abs(high) or 1.0
    return low - room, high + room
