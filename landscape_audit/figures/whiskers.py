"""Named values around a reference: what lies on which side of it, and how far the interval reaches."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

from landscape_audit.detail import Bar, Bars
from landscape_audit.estimate import Estimate
from landscape_audit.figures.lettering import fitted, legible
from landscape_audit.figures.looks import LOOKS, REFERENCE, Look, told_apart
from landscape_audit.figures.scales import drawable
from landscape_audit.figures.svg import Canvas, new_canvas

MOST = 24
"""Named values that a figure can carry; the table beside it has the rest."""
NAME = 100.0
"""Points that names may take: a third of the figure and a little more."""


class Reach(NamedTuple):
    """A value and the ends of its interval: one that is not known is infinitely far, without either there is none."""

    low: float
    value: float
    high: float

    @classmethod
    def of(cls, found: Bar | Estimate) -> Self:
        """That of something with a value."""
        value = drawable(found.value)
        if found.low is found.high is None:
            return cls(value, value, value)
        return cls(-math.inf if found.low is None else found.low, value, math.inf if found.high is None else found.high)


def draw(bars: Bars, reference: float) -> bytes:
    """Each value a point with its interval, in the look of its group; an arrow where an interval goes on beyond."""
    shown, reference = bars.bars[:MOST], drawable(reference)
    known = [bar for bar in shown if bar.value is not None]
    log = bars.axis.scale == "log" and reference > 0 and all(drawable(bar.value) > 0 for bar in known)
    with new_canvas(height=0.8 + 0.24 * max(3, len(shown))) as canvas:
        if log:
            canvas.axes.set_xscale("log")
        ends = _span(known, reference, log=log)
        canvas.axes.set_xlim(ends)
        reference_line(canvas, reference)
        groups = list(dict.fromkeys(bar.group for bar in shown))
        for place, bar in enumerate(shown):
            if bar.value is None:
                canvas.axes.text(ends[0], place, " no finite value", va="center", color=REFERENCE, style="italic")
            else:
                whisker(canvas, place, Reach.of(bar), ends, told_apart(bar.group, groups))
        canvas.rows([fitted(legible(bar.label, 60), NAME) for bar in shown], of=len(bars.bars))
        canvas.label(bars.axis)
        return canvas.svg()


def reference_line(canvas: Canvas, reference: float) -> None:
    """Where a value is as large as what it is seen against."""
    canvas.axes.axvline(reference, color=LOOKS["reference"].colour, linewidth=1, linestyle="--")


def whisker(canvas: Canvas, place: float, reach: Reach, ends: tuple[float, float], look: Look) -> None:
    """One of them within the ends of the axis, with an arrow where it goes on beyond."""
    axes, (left, right) = canvas.axes, ends
    axes.hlines(place, max(reach.low, left), min(reach.high, right), color=look.colour, linewidth=1.6)
    for end, arrow, beyond in ((left, "<", reach.low < left), (right, ">", reach.high > right)):
        if beyond:
            axes.plot([end], [place], arrow, color=look.colour, markersize=5, clip_on=False)
    if left <= reach.value <= right:
        axes.plot(
            [reach.value],
            [place],
            look.marker,
            color=look.colour,
            markersize=5.5,
            markerfacecolor=look.filling,
            zorder=4,
        )


def _span(shown: list[Bar], reference: float, *, log: bool) -> tuple[float, float]:
    """Room for every value and, within reason, for its interval: one that says nothing must not crush the others."""
    values = [reference, *(drawable(bar.value) for bar in shown)]
    ends = [drawable(end) for bar in shown for end in (bar.low, bar.high) if end is not None]
    if log:
        most = 4 * max(max(values) / reference, reference / min(values), 1.25)
        kept = [each for each in (*values, *ends) if reference / most <= each <= reference * most]
        room = max(max(kept) / min(kept), 1.1) ** 0.08
        return min(kept) / room, max(kept) * room
    most = 4 * (max(abs(value - reference) for value in values) or 1.0)
    kept = [each for each in (*values, *ends) if abs(each - reference) <= most]
    gap = 0.08 * (max(kept) - min(kept)) or 1.0
    return min(kept) - gap, max(kept) + gap
