"""Ratios with their intervals, around 1: a forest plot."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from landscape_audit.estimate import Estimate
from landscape_audit.figures.lettering import legible
from landscape_audit.figures.looks import INK, REFERENCE
from landscape_audit.figures.svg import Canvas, new_canvas
from landscape_audit.intervals import with_interval
from landscape_audit.text import count

MOST = 20
"""Rows that a figure can carry; the table behind it has the rest."""
FARTHEST = 100.0
"""Ratios beyond it, and beyond its reciprocal, end in an arrow: they would crush every other."""
_LINE = 30

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
    """A row a number, the first on top, with its ratio in words beside it and a line where nothing changes."""
    shown = rows[:MOST]
    with new_canvas(width=6.3, height=1.1 + 0.3 * max(3, len(shown))) as canvas:
        axes = canvas.axes
        axes.set_xscale("log")
        low, high = _span(shown)
        axes.set_xlim(low, high)
        axes.axvline(1.0, color=INK, linewidth=1)
        for place, row in enumerate(shown):
            _drawn(canvas, place, row, (low, high))
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_yticks(range(len(shown)), [_wrapped(row.name) for row in shown], parse_math=False)
        words = axes.secondary_yaxis("right")
        words.set_yticks(range(len(shown)), [with_interval(row.ratio, 3) for row in shown])
        words.tick_params(pad=11)  # room for an arrow
        words.spines["right"].set_visible(False)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("B / A")
        _legend(canvas, shown)
        return canvas.svg()


def alt(rows: Sequence[Row]) -> str:
    """The ratios in words, the first six of them."""
    first = "; ".join(f"{row.name} {with_interval(row.ratio, 3)}, {row.standing}" for row in rows[:6])
    more = f"; and {count(len(rows) - 6, 'more row')}" if len(rows) > 6 else ""
    return f"Each number of B divided by that of A. {first}{more}."


def _drawn(canvas: Canvas, place: int, row: Row, span: tuple[float, float]) -> None:
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


def _wrapped(name: str) -> str:
    """A name on two lines at most."""
    return textwrap.fill(legible(name, 2 * _LINE), _LINE, break_on_hyphens=False)


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
    canvas.figure.legend(loc="outside upper right", ncols=len(STANDINGS))
