"""Named values around a reference: what lies on which side of it, and how far the interval reaches."""

from __future__ import annotations

import math

from landscape_audit.detail import Bar, Bars
from landscape_audit.figures.lettering import fitted
from landscape_audit.figures.svg import LOOKS, PAPER, REFERENCE, Canvas, drawable, legible, new_canvas, told_apart

MOST = 24
"""Values that a figure can carry; the table beside it has the rest."""
_NAME = 110.0
"""Points that names may take."""


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
        line = LOOKS["reference"]
        canvas.axes.axvline(reference, color=line.colour, linewidth=1, linestyle="--")
        groups = list(dict.fromkeys(bar.group for bar in shown))
        for place, bar in enumerate(shown):
            _whisker(canvas, place, bar, ends, told_apart(bar.group, groups))
        canvas.names = [fitted(legible(bar.label, 60), _NAME) for bar in shown] or [""]
        canvas.axes.set_ylim(max(1.5, len(shown) - 0.5), -0.5)
        canvas.axes.grid(visible=False, axis="y")
        canvas.label(bars.axis)
        if len(bars.bars) > MOST:
            canvas.note(f"the first {MOST} of {len(bars.bars):,}")
        return canvas.svg()


def _whisker(canvas: Canvas, place: int, bar: Bar, ends: tuple[float, float], look: tuple[str, str]) -> None:
    axes, (left, right), (colour, marker) = canvas.axes, ends, look
    if bar.value is None:
        axes.text(left, place, " no finite value", va="center", color=REFERENCE, style="italic")
        return
    low, high = _reach(bar, bar.value)
    axes.hlines(place, max(low, left), min(high, right), color=colour, linewidth=1.6)
    for end, arrow, beyond in ((left, "<", low < left), (right, ">", high > right)):
        if beyond:
            axes.plot([end], [place], arrow, color=colour, markersize=5, clip_on=False)
    axes.plot([drawable(bar.value)], [place], marker, color=colour, markersize=5.5, markeredgecolor=PAPER)


def _reach(bar: Bar, value: float) -> tuple[float, float]:
    """An end that is not known is infinitely far; without either there is no interval."""
    if bar.low is bar.high is None:
        return value, value
    return -math.inf if bar.low is None else bar.low, math.inf if bar.high is None else bar.high


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
