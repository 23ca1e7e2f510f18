"""How far axes reach, and what they can carry."""

from __future__ import annotations

import math
from collections.abc import Sequence

LARGEST, SMALLEST = 1e300, 1e-300
"""What lies beyond is drawn there, and what is less as zero: matplotlib's differences and quotients must be finite."""


def drawable(value: float | None) -> float:
    """A value as an axis can carry it: 1e300 at most, zero below 1e-300, nothing for one that is not finite."""
    if value is None:
        return math.nan
    return max(-LARGEST, min(LARGEST, value)) if abs(value) >= SMALLEST else 0.0


def room_on_log(values: Sequence[float]) -> tuple[float, float]:
    """The ends of a logarithmic axis around positive values, with a little room; they stay finite up to 1e300."""
    low, high = min(values), max(values)
    room = 10 ** min(5.0, max(0.18, 0.04 * (math.log10(high) - math.log10(low))))
    return max(low / room, 1e-305), high * room


def decades(linthresh: float, low: float, high: float, most: int = 9) -> list[float]:
    """Ticks of a symmetric log axis: zero, and on both sides powers of ten that the linear middle does not crush."""
    sides = [(sign, end) for sign, end in ((-1.0, -low), (1.0, high)) if end >= linthresh]
    first = math.ceil(math.log10(linthresh))
    last = max((math.floor(math.log10(end)) for _, end in sides), default=first)
    step = max(1, math.ceil((last - first + 1) * len(sides) / most))
    powers = [10.0**power for power in range(last, first - 1, -step)]
    ticks = [sign * power for sign, end in sides for power in powers if power <= end]
    return sorted({0.0, *(ticks if len(ticks) > 1 else (low, high))})


def threshold(values: list[float]) -> float:
    """Where a symmetric log axis turns linear: at the smallest tenth of what is drawn, not at a single tiny value.

    And not more than fifteen powers of ten below the largest, which is all that a number of the computer's has.
    """
    sizes = sorted(abs(value) for value in values if value)
    return max(sizes[len(sizes) // 10], 1e-15 * sizes[-1]) if sizes else 1.0
