"""Named values on one axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from landscape_audit.detail import Bar, Bars
from landscape_audit.figures.svg import MEASURED, REFERENCE, legible, new_canvas, told_apart, worded
from landscape_audit.text import number, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 30
"""Bars that a figure can carry; the table beside it has the rest."""


def draw(bars: Bars) -> bytes:
    """Horizontal bars, the first on top, with intervals where there are any."""
    shown = bars.bars[:MOST]
    if bars.reference is not None:
        return _against(bars, bars.reference)
    with new_canvas(height=0.7 + 0.24 * max(3, len(shown))) as canvas:
        axes = canvas.axes
        names = [legible(bar.label) for bar in shown]
        values = [bar.value or 0.0 for bar in shown]
        places = list(range(len(shown)))
        if bars.axis.scale == "log" and any(value > 0 for value in values):
            axes.set_xscale("log")
        axes.barh(places, values, color=MEASURED[0], height=0.62)
        for place, bar in zip(places, shown, strict=True):
            if bar.low is not None and bar.high is not None:
                axes.hlines(place, bar.low, bar.high, color=REFERENCE, linewidth=2)
        axes.set_yticks(places, names, parse_math=False)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(worded(bars.axis))
        return canvas.svg()


def _against(bars: Bars, reference: float) -> bytes:
    """Each value a dot with its interval around a line at the reference; an arrow where it goes on beyond."""
    shown = bars.bars[:MOST]
    known = [bar for bar in shown if bar.value is not None]
    log = bars.axis.scale == "log" and reference > 0 and all((bar.value or 0.0) > 0 for bar in known)
    with new_canvas(height=0.8 + 0.3 * max(3, len(shown))) as canvas:
        axes = canvas.axes
        if log:
            axes.set_xscale("log")
        ends = _ends(known, reference, log=log)
        axes.axvline(reference, color=REFERENCE, linewidth=1, linestyle="--")
        groups = list(dict.fromkeys(bar.group for bar in known))
        for place, bar in enumerate(shown):
            if bar.value is None:
                axes.annotate("not finite", (reference, place), xytext=(6, -3), textcoords="offset points", fontsize=8)
            else:
                look = told_apart(bar.group, groups)
                _whisker(axes, (bar.value, place), _reach(bar, bar.value), ends, look)
        axes.set_xlim(ends)
        axes.set_yticks(range(len(shown)), [legible(bar.label) for bar in shown], parse_math=False)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(worded(bars.axis))
        return canvas.svg()


def _whisker(
    axes: Axes, at: tuple[float, int], reach: tuple[float, float], ends: tuple[float, float], look: tuple[str, str]
) -> None:
    (value, place), (low, high), (left, right), (colour, marker) = at, reach, ends, look
    axes.hlines(place, max(low, left), min(high, right), color=colour, linewidth=2)
    for end, arrow, beyond in ((left, "<", low < left), (right, ">", high > right)):
        if beyond:
            axes.plot([end], [place], arrow, color=colour, markersize=6, clip_on=False)
    axes.plot([value], [place], marker, color=colour, markersize=6.5, markeredgecolor="white")


def _reach(bar: Bar, value: float) -> tuple[float, float]:
    """An end that is not known is infinitely far; without either there is no interval."""
    if bar.low is bar.high is None:
        return value, value
    return -math.inf if bar.low is None else bar.low, math.inf if bar.high is None else bar.high


def _ends(shown: list[Bar], reference: float, *, log: bool) -> tuple[float, float]:
    """Room for every value and, within reason, for its interval: one that says nothing must not crush the others."""
    values = [reference, *(bar.value for bar in shown if bar.value is not None)]
    ends = [end for bar in shown for end in (bar.low, bar.high) if end is not None]
    if log:
        most = 4 * max(max(values) / reference, reference / min(values), 1.25)
        kept = [each for each in (*values, *ends) if reference / most <= each <= reference * most]
        room = max(max(kept) / min(kept), 1.1) ** 0.08
        return min(kept) / room, max(kept) * room
    most = 4 * (max(abs(value - reference) for value in values) or 1.0)
    kept = [each for each in (*values, *ends) if abs(each - reference) <= most]
    gap = 0.08 * (max(kept) - min(kept)) or 1.0
    return min(kept) - gap, max(kept) + gap


def alt(bars: Bars) -> str:
    """The bars in words, the first five of them."""
    first = ", ".join(f"{_named(bar)} {_with_ends(bar, bars)}" for bar in bars.bars[:5])
    more = f", and {len(bars.bars) - 5} more" if len(bars.bars) > 5 else ""
    against = "" if bars.reference is None else f" Against {number(bars.reference, 3)}."
    return f"{bars.title}. {first}{more}.{against}"


def _named(bar: Bar) -> str:
    return printable(bar.label, 60)


def _with_ends(bar: Bar, bars: Bars) -> str:
    """Where there is a reference the interval says more than the value."""
    value = number(bar.value, 3)
    if bars.reference is None or bar.value is None or bar.low is bar.high is None:
        return value
    low, high = ("no bound" if end is None else number(end, 3) for end in (bar.low, bar.high))
    return f"{value} ({low} to {high})"
