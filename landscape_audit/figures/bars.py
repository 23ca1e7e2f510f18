"""Named values on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from landscape_audit.detail import Bar, Bars
from landscape_audit.figures import whiskers
from landscape_audit.figures.lettering import fitted, legible, within_a_sentence, worded
from landscape_audit.figures.looks import FAINT, INK, LOOKS, REFERENCE
from landscape_audit.figures.scales import decades, drawable, room_on_log, threshold
from landscape_audit.figures.svg import Canvas, new_canvas
from landscape_audit.figures.whiskers import MOST, NAME
from landscape_audit.text import count, number, printable

_ROW = 0.2
_AROUND = 0.75
"""Inches that a bar is given, and all of them together for what stands around."""


def draw(bars: Bars) -> bytes:
    """Horizontal bars, the first on top, with their intervals; points on a scale where a length would mean nothing.

    What is to be seen against a reference has none either.
    """
    if bars.reference is not None:
        return whiskers.draw(bars, bars.reference)
    shown = bars.bars[:MOST]
    with new_canvas(height=_AROUND + _ROW * max(2, len(shown))) as canvas:
        _scale(canvas, bars)
        for place, bar in enumerate(shown):
            _bar(canvas, place, bar, long=bars.axis.scale == "linear")
        canvas.rows([fitted(legible(bar.label, 60), NAME) for bar in shown], of=len(bars.bars))
        canvas.label(bars.axis)
        if not shown:
            canvas.note("nothing to draw")
        return canvas.svg()


def alt(bars: Bars) -> str:
    """The bars in words: what they measure, and the first five of them, with intervals where there is a reference."""
    first = ", ".join(f"{printable(bar.label, 60)}: {_told(bar, bars)}" for bar in bars.bars[:5]) or "Nothing"
    more = f", and {len(bars.bars) - 5:,} more" if len(bars.bars) > 5 else ""
    against = "" if bars.reference is None else f" Against {number(bars.reference, 3)}."
    size = f"{within_a_sentence(worded(bars.axis))}, {count(len(bars.bars), 'bar')}"
    return f"{bars.title}: {size}. {first}{more}.{against}"


def _told(bar: Bar, bars: Bars) -> str:
    value = number(bar.value, 3)
    if bars.reference is None or bar.value is None or bar.low is bar.high is None:
        return value
    low, high = ("no bound" if end is None else number(end, 3) for end in (bar.low, bar.high))
    return f"{value} ({low} to {high})"


def _scale(canvas: Canvas, bars: Bars) -> None:
    values = _ends(bars.bars[:MOST])
    if bars.axis.scale == "linear":
        low, high = min([0.0, *values]), max([0.0, *values])
        room = 0.04 * (high - low) or 1.0
        canvas.axes.set_xlim(low - room * (low < 0), high + room)
    elif values and min(values) > 0:
        canvas.axes.set_xscale("log")
        canvas.axes.set_xlim(*room_on_log(values))
    else:
        linthresh, low, high = threshold(values), min(values, default=0.0), max(values, default=1.0)
        canvas.axes.set_xscale("symlog", linthresh=linthresh)
        canvas.axes.set_xlim(min(0.0, 2 * low) - linthresh / 2, max(0.0, 2 * high) + linthresh / 2)
        canvas.axes.set_xticks(decades(linthresh, low, high))


def _ends(bars: Sequence[Bar]) -> list[float]:
    return [drawable(end) for bar in bars for end in (bar.value, bar.low, bar.high) if end is not None]


def _bar(canvas: Canvas, place: int, bar: Bar, *, long: bool) -> None:
    axes, look = canvas.axes, LOOKS["measured"]
    if bar.value is None:
        here: Any = axes.get_yaxis_transform()
        axes.text(0.02, place, "no finite value", transform=here, va="center", color=REFERENCE, style="italic")
        return
    value = drawable(bar.value)
    if long:
        axes.barh(place, value, color=look.colour, height=0.62)
    else:
        axes.axhline(place, color=FAINT, linewidth=0.6, zorder=1)
        axes.plot([value], [place], look.marker, color=look.colour, markersize=5)
    if bar.low is not None and bar.high is not None:
        ends = [[max(0.0, value - drawable(bar.low))], [max(0.0, drawable(bar.high) - value)]]
        axes.errorbar([value], [place], xerr=ends, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5, capthick=1.1)
