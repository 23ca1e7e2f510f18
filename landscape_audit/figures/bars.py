"""Named values on one axis."""

from __future__ import annotations

from landscape_audit.detail import Bars
from landscape_audit.figures.svg import MEASURED, REFERENCE, legible, new_canvas, worded
from landscape_audit.text import number, printable

MOST = 30
"""Bars that a figure can carry; the table beside it has the rest."""


def draw(bars: Bars) -> bytes:
    """Horizontal bars, the first on top, with intervals where there are any."""
    shown = bars.bars[:MOST]
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


def alt(bars: Bars) -> str:
    """The bars in words, the first five of them."""
    first = ", ".join(f"{printable(bar.label, 60)} {number(bar.value, 3)}" for bar in bars.bars[:5])
    more = f", and {len(bars.bars) - 5} more" if len(bars.bars) > 5 else ""
    return f"{bars.title}. {first}{more}."
