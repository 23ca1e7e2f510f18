"""Ratios with their intervals, around 1: a forest plot."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from landscape_audit.detail import Axis
from landscape_audit.estimate import Estimate
from landscape_audit.figures.lettering import breadth, fitted, legible
from landscape_audit.figures.looks import LOOKS, PAPER
from landscape_audit.figures.svg import WIDTH, Canvas, new_canvas
from landscape_audit.figures.whiskers import Reach, reference_line, whisker
from landscape_audit.intervals import with_interval
from landscape_audit.text import count

MOST = 20
"""Rows that a figure can carry; the table behind it has the rest."""
FARTHEST = 100.0
"""Ratios beyond it, and beyond its reciprocal, end in an arrow: they would crush every other."""
_MARK, _LETTERS, _AROUND = 0.27, 0.15, 0.75
"""Inches that a row has for its interval and for a line of its name; and all rows, for what stands around them."""
_ABOVE = 0.09
"""Inches from an interval to the words above it."""
_APART = 36.0
"""Points around and between the name and the ratio of a row."""

Standing = Literal["worse", "better", "changed", "not settled", "the same"]


@dataclass(frozen=True)
class Row:
    """One number: what it is called, how many times as large it became, and what that means."""

    name: str
    ratio: Estimate
    standing: Standing


def draw(rows: Sequence[Row]) -> bytes:
    """A row a number, the first on top, with its ratio in words and a line where nothing changes."""
    shown = rows[:MOST]
    names = [_on_two_lines(row) for row in shown]
    feet = list(itertools.accumulate(_MARK + _LETTERS * (name.count("\n") + 1) for name in names))
    tall = max([2 * _MARK, *feet])
    with new_canvas(height=_AROUND + tall) as canvas:
        canvas.axes.set_xscale("log")
        ends = _span(shown)
        canvas.axes.set_xlim(ends)
        reference_line(canvas, 1.0)
        for row, name, foot in zip(shown, names, feet, strict=True):
            whisker(canvas, foot - _MARK / 2, Reach.of(row.ratio), ends, LOOKS[row.standing])
            _write(canvas, foot - _MARK / 2 - _ABOVE, name, with_interval(row.ratio, 3))
        canvas.axes.set_ylim(tall, 0)  # in inches
        canvas.names = [""]
        canvas.axes.spines["left"].set_visible(False)
        canvas.axes.grid(visible=False, axis="y")
        canvas.label(Axis(label="B / A", scale="log"))
        _legend(canvas, shown)
        return canvas.svg()


def alt(rows: Sequence[Row]) -> str:
    """The ratios in words, the first six of them."""
    first = "; ".join(f"{row.name} {with_interval(row.ratio, 3)}, {row.standing}" for row in rows[:6])
    more = f"; and {count(len(rows) - 6, 'more row')}" if len(rows) > 6 else ""
    return f"Each number of B divided by that of A. {first}{more}."


def _on_two_lines(row: Row) -> str:
    """What a row is called, as wide as its ratio leaves room for."""
    room = WIDTH * 72 - breadth(with_interval(row.ratio, 3)) - _APART
    name = legible(row.name, 80)
    if breadth(name) <= room:
        return name
    words = name.split(" ")
    first = max((n for n in range(1, len(words)) if breadth(" ".join(words[:n])) <= room), default=0)
    lines = (" ".join(words[:first]), " ".join(words[first:]))
    return "\n".join(fitted(line, room) for line in lines if line)


def _write(canvas: Canvas, y: float, name: str, told: str) -> None:
    """The name and, flush right, the ratio: above the interval both have the figure's width."""
    # On paper, as the line at 1 would go through the words.
    looks: dict[str, Any] = {"va": "bottom", "bbox": {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}}
    where = canvas.axes.get_yaxis_transform()
    canvas.axes.text(0, y, name, ha="left", transform=where, zorder=3, **looks)
    canvas.axes.text(1, y, told, ha="right", transform=where, zorder=3, **looks)


def _span(rows: Sequence[Row]) -> tuple[float, float]:
    """The same room on both sides of 1, so that twice and half are equally far; 1.05 at least, FARTHEST at most."""
    ends = [end for row in rows for end in (row.ratio.low, row.ratio.value, row.ratio.high) if end]
    most = max((abs(math.log(end)) for end in ends), default=0.0)
    reach = min(max(most * 1.08, math.log(1.05)), math.log(FARTHEST))
    return math.exp(-reach), math.exp(reach)


def _legend(canvas: Canvas, rows: Sequence[Row]) -> None:
    for standing in get_args(Standing):
        if any(row.standing == standing for row in rows):
            look = LOOKS[standing]
            canvas.axes.plot(
                [], [], look.marker, color=look.colour, markerfacecolor=look.filling, markersize=5.5, label=standing
            )
