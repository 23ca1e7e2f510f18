"""Numbers along an axis: few, told apart, never on each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from landscape_audit.figures.lettering import SIZE, breadth
from landscape_audit.text import number

if TYPE_CHECKING:
    from matplotlib.axis import XAxis, YAxis

_APART = 6.0
"""Points between two numbers."""
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_PLAIN = (-3, 4)
"""Powers of ten that are written out."""


def shown_on(axis: XAxis | YAxis, length: float) -> tuple[list[float], list[str]]:
    """The ticks of an axis of `length` points, and their numbers."""
    low, high = axis.get_view_interval()
    wide = axis.axis_name == "x"
    if axis.get_scale() == "symlog":
        ticks = [float(tick) for tick in axis.get_majorticklocs() if low <= tick <= high]
        return _thinned(ticks, _places(axis, ticks, length), wide=wide)
    for most in range(6, 1, -1):
        ticks = [float(tick) for tick in _candidates(axis, most) if low <= tick <= high]
        names = numbers(ticks, log=axis.get_scale() == "log")
        if _fit(_places(axis, ticks, length), _sizes(names, wide=wide)):
            return ticks, names
    return ticks[:1], names[:1]


def numbers(ticks: Sequence[float], *, log: bool = False, fewest: int = 2) -> list[str]:
    """The numbers of ticks, with as few digits as tell them apart; far powers of ten on a logarithmic axis as such."""
    for digits in range(fewest, 13):
        names = [_power(tick) if log and _is_far_power(tick) else _written(tick, digits) for tick in ticks]
        if len(set(names)) == len(names):
            break
    return names


def _written(tick: float, digits: int) -> str:
    return number(tick, max(digits, 4) if tick == round(tick) else digits)


def _power(tick: float) -> str:
    sign = "−" if tick < 0 else ""
    return f"{sign}10{str(round(math.log10(abs(tick)))).translate(_RAISED)}"


def _is_far_power(tick: float) -> bool:
    if not tick:
        return False
    power = math.log10(abs(tick))
    return abs(power - round(power)) < 1e-9 and not _PLAIN[0] <= round(power) <= _PLAIN[1]


def _candidates(axis: XAxis | YAxis, most: int) -> Sequence[float]:
    from matplotlib.ticker import MaxNLocator

    low, high = axis.get_view_interval()
    if axis.get_scale() == "log" and high > 10 * low:
        return _powers(float(low), float(high), most)
    return MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)


def _powers(low: float, high: float, most: int) -> list[float]:
    """Powers of ten, with twice and five times them where they are few; both ends where none lies between."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if last - first < 2 and most > 4:
        between = [step * 10.0**power for power in range(first - 1, last + 1) for step in (1, 2, 5)]
        return [tick for tick in between if low <= tick <= high]
    step = max(1, math.ceil((last - first + 1) / most))
    found = [10.0**power for power in range(last, first - 1, -step)][::-1]
    return found if len(found) > 1 else sorted({float(f"{low:.1g}"), *found, float(f"{high:.1g}")})


def _places(axis: XAxis | YAxis, ticks: Sequence[float], length: float) -> list[float]:
    along = axis.get_transform()
    if not ticks:
        return []
    low, high = along.transform(list(axis.get_view_interval()))
    return [float(place - low) / float(high - low) * length for place in along.transform(list(ticks))]


def _sizes(names: Sequence[str], *, wide: bool) -> list[float]:
    return [(breadth(name) if wide else SIZE) + _APART for name in names]


def _fit(places: Sequence[float], sizes: Sequence[float]) -> bool:
    order = sorted(zip(places, sizes, strict=True))
    return all(b[0] - a[0] >= (a[1] + b[1]) / 2 for a, b in itertools.pairwise(order))


def _thinned(ticks: list[float], places: list[float], *, wide: bool) -> tuple[list[float], list[str]]:
    """Zero first, then from the outside inwards: what would lie on a number that is already there stays away."""
    names = numbers(ticks, log=True)
    sizes = _sizes(names, wide=wide)
    kept: list[int] = []
    for index in sorted(range(len(ticks)), key=lambda index: (ticks[index] != 0, -abs(ticks[index]))):
        chosen = [*kept, index]
        if _fit([places[each] for each in chosen], [sizes[each] for each in chosen]):
            kept = chosen
    kept.sort()
    return [ticks[index] for index in kept], [names[index] for index in kept]
