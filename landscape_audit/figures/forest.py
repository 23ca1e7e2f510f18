"""Ratios with their intervals, around 1: a forest plot."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from landscape_audit.detail import Axis
from landscape_audit.estimate import Estimate
from landscape_audit.figures.lettering import breadth, fitted
from landscape_audit.figures.svg import INK, PAPER, REFERENCE, WIDTH, Canvas, legible, new_canvas
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
STANDINGS: dict[Standing, tuple[str, str, str]] = {
    "worse": ("s", "#a63c00", "#a63c00"),
    "better": ("o", "#00664b", "#00664b"),
    "changed": ("D", "#0b5a8f", "#0b5a8f"),
    "not settled": ("o", REFERENCE, "white"),
    "the same": ("x", REFERENCE, REFERENCE),
}
"""Marker, colour and filling. The shapes alone tell them apart, also in grey."""


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
    ends = list(itertools.accumulate(_MARK + _LETTERS * (name.count("\n") + 1) for name in names))
    with new_canvas(height=_AROUND + max([2 * _MARK, *ends])) as canvas:
        axes = canvas.axes
        axes.set_xscale("log")
        low, high = _span(shown)
        axes.set_xlim(low, high)
        axes.axvline(1.0, color=INK, linewidth=1)
        for row, name, end in zip(shown, names, ends, strict=True):
            _drawn(canvas, end - _MARK / 2, row, (low, high))
            _write(canvas, end - _MARK / 2 - _ABOVE, name, with_interval(row.ratio, 3))
        axes.set_ylim(max([2 * _MARK, *ends]), 0)  # in inches
        canvas.names = [""]
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        canvas.label(Axis(label="B / A"))
        _legend(canvas, shown)
        return canvas.svg()


def alt(rows: Sequence[Row]) -> str:
    """The ratios in words, the first six of them."""
    first = "; ".join(f"{row.name} {with_interval(row.ratio, 3)}, {row.standing}" for row in rows[:6])
    more = f"; and {count(len(rows) - 6, 'more row')}" if len(rows) > 6 else ""
    return f"Each number of B divided by that of A. {first}{more}."


def _drawn(canvas: Canvas, place: float, row: Row, span: tuple[float, float]) -> None:
    marker, colour, filling = STANDINGS[row.standing]
    low, high = span
    left = low if row.ratio.low is None else max(row.ratio.low, low)
    right = high if row.ratio.high is None else min(row.ratio.high, high)
    canvas.axes.hlines(place, left, right, color=colour, linewidth=1.8)
    for cut, end, arrow in (
        (_beyond(row.ratio.low, low, -1), left, "<"),
        (_beyond(row.ratio.high, high, 1), right, ">"),
    ):
        if cut:
            canvas.axes.plot([end], [place], arrow, color=colour, markersize=5, clip_on=False)
    value = row.ratio.value or 1.0
    if low <= value <= high:
        canvas.axes.plot([value], [place], marker, color=colour, markerfacecolor=filling, markersize=6, zorder=4)


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


def _beyond(end: float | None, edge: float, side: int) -> bool:
    return end is None or side * end > side * edge


def _span(rows: Sequence[Row]) -> tuple[float, float]:
    """The same room on both sides of 1, so that twice and half are equally far; 1.05 at least, FARTHEST at most."""
    ends = [end for row in rows for end in (row.ratio.low, row.ratio.value, row.ratio.high) if end]
    most = max((abs(math.log(end)) for end in ends), default=0.0)
    reach = min(max(most * 1.08, math.log(1.05)), math.log(FARTHEST))
    return math.exp(-reach), math.exp(reach)


def _legend(canvas: Canvas, rows: Sequence[Row]) -> None:
    for standing, (marker, colour, filling) in STANDINGS.items():
        if any(row.standing == standing for row in rows):
            canvas.axes.plot([], [], marker, color=colour, markerfacecolor=filling, markersize=6, label=standing)
