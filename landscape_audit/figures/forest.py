"""Ratios with their intervals, around 1: a forest plot."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from landscape_audit.detail import Axis
from landscape_audit.estimate import Estimate
from landscape_audit.figures.lettering import fitted, legible
from landscape_audit.figures.looks import LOOKS
from landscape_audit.figures.svg import Canvas, new_canvas
from landscape_audit.figures.whiskers import Reach, reference_line, whisker
from landscape_audit.intervals import with_interval
from landscape_audit.text import count

MOST = 20
"""Rows that a figure can carry; the table behind it has the rest."""
FARTHEST = 100.0
"""Ratios beyond it, and beyond its reciprocal, end in an arrow: they would crush every other."""
WIDTH = 6.3
"""Inches: it stands alone, with words on both sides."""
_LINE = 30
_WIDEST = 165.0
"""Characters of a name on one of its two lines, and points that these may take."""

Standing = Literal["worse", "better", "changed", "not settled", "the same"]


@dataclass(frozen=True)
class Row:
    """One number: what it is called, how many times as large it became, and what that means."""

    name: str
    ratio: Estimate
    standing: Standing


def draw(rows: Sequence[Row]) -> bytes:
    """A row a number, the first on top, with its ratio in words beside it and a line where nothing changes."""
    shown = rows[:MOST]
    with new_canvas(width=WIDTH, height=0.8 + 0.3 * max(3, len(shown))) as canvas:
        canvas.axes.set_xscale("log")
        ends = _span(shown)
        canvas.axes.set_xlim(ends)
        reference_line(canvas, 1.0)
        for place, row in enumerate(shown):
            whisker(canvas, place, Reach.of(row.ratio), ends, LOOKS[row.standing])
        canvas.rows([_wrapped(row.name) for row in shown], of=len(shown))
        canvas.beside = [with_interval(row.ratio, 3) for row in shown]
        canvas.label(Axis(label="B / A", scale="log"))
        _legend(canvas, shown)
        return canvas.svg()


def alt(rows: Sequence[Row]) -> str:
    """The ratios in words, the first six of them."""
    first = "; ".join(f"{row.name} {with_interval(row.ratio, 3)}, {row.standing}" for row in rows[:6])
    more = f"; and {count(len(rows) - 6, 'more row')}" if len(rows) > 6 else ""
    return f"Each number of B divided by that of A. {first}{more}."


def _wrapped(name: str) -> str:
    lines = textwrap.wrap(legible(name, 2 * _LINE), _LINE, break_on_hyphens=False, max_lines=2, placeholder="…")
    return "\n".join(fitted(line, _WIDEST) for line in lines)


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
