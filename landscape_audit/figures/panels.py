"""Groups by several measures: small pictures side by side, each on its own axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.detail import Panel, Panels
from landscape_audit.figures.lettering import breadth, fitted, legible, lines_of, worded
from landscape_audit.figures.looks import FAINT, PAPER, REFERENCE, told_apart
from landscape_audit.figures.scales import drawable
from landscape_audit.figures.svg import EDGE, LINE, Canvas, new_canvas
from landscape_audit.figures.ticks import shown_on
from landscape_audit.text import number, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 4
"""Panels in a row of a page's width."""
WIDTH, TALL = 7.2, 2.4
"""Inches, of a page, and of a row of panels."""
_BETWEEN = 12.0
"""Points between one panel and the next."""


@dataclass(frozen=True)
class _Cell:
    """Where a panel is with all its words, in points."""

    left: float
    foot: float
    wide: float
    tall: float


def draw(panels: Panels) -> bytes:
    """A dot a repeat, those of one repeat joined, a short bar at each group's mean, and a dotted line at the mark."""
    rows = math.ceil(len(panels.panels) / MOST)
    columns = math.ceil(len(panels.panels) / rows)
    with new_canvas(width=WIDTH, height=TALL * rows) as canvas:
        canvas.axes.remove()
        wide, tall = (canvas.width - 2 * EDGE) / columns, (canvas.height - 2 * EDGE - LINE) / rows
        for place, panel in enumerate(panels.panels):
            row, column = divmod(place, columns)
            axes = canvas.figure.add_subplot()
            _one(axes, panels, panel)
            foot = canvas.height - EDGE - (row + 1) * tall
            _place(canvas, axes, (panels, panel), _Cell(EDGE + column * wide, foot, wide - _BETWEEN, tall))
        key = fitted(_key(panels), canvas.width - 2 * EDGE)
        canvas.write(canvas.width / 2, EDGE, key, ha="center", va="bottom")
        return canvas.svg()


def alt(panels: Panels) -> str:
    """The means of every group by every measure in words."""
    told = "; ".join(f"{printable(panel.axis.label, 60)}: {_means(panels, panel)}" for panel in panels.panels)
    count = len(panels.panels[0].values[0]) if panels.groups else 0
    return f"{panels.title}. Means of {count} by {printable(panels.repeat, 40)}. {told}."


def mean(values: tuple[float | None, ...]) -> float | None:
    """None where one of them is not finite: a mean of those that are left would look better than it was."""
    finite = [value for value in values if value is not None]
    return sum(finite) / len(finite) if finite and len(finite) == len(values) else None


def _key(panels: Panels) -> str:
    marks = dict.fromkeys(legible(panel.mark.label) for panel in panels.panels if panel.mark is not None)
    told = [f"a point a {legible(panels.repeat)}, lines join those of one", "a bar the mean"]
    return "; ".join([*told, *(f"dotted the {mark}" for mark in marks)])


def _one(axes: Axes, panels: Panels, panel: Panel) -> None:
    axes.set_axisbelow(True)
    axes.grid(visible=False, axis="x")
    for repeat in zip(*panel.values, strict=True):
        axes.plot(range(len(repeat)), [drawable(value) for value in repeat], color=FAINT, linewidth=0.9)
    for place, (group, values) in enumerate(zip(panels.groups, panel.values, strict=True)):
        look = told_apart(group, list(panels.groups))
        finite = [drawable(value) for value in values if value is not None]
        axes.plot([place] * len(finite), finite, look.marker, color=look.colour, markersize=4.5, markeredgecolor=PAPER)
        if (middle := mean(values)) is not None:
            axes.hlines(drawable(middle), place - 0.32, place + 0.32, color=look.colour, linewidth=2.6)
    if panel.mark is not None and panel.mark.y is not None:
        axes.axhline(drawable(panel.mark.y), color=REFERENCE, linewidth=1, linestyle=":")
    axes.set_xlim(-0.6, len(panels.groups) - 0.4)
    axes.margins(y=0.12)


def _place(canvas: Canvas, axes: Axes, shown: tuple[Panels, Panel], cell: _Cell) -> None:
    """The axes where two lines of title and three of names leave room, and numbers along them."""
    panels, panel = shown
    head, foot = 2 * LINE + 2 * EDGE, 3 * LINE + 2 * EDGE
    ticks, names = shown_on(axes.yaxis, cell.tall - head - foot)
    axes.set_yticks(ticks, names)
    axes.minorticks_off()
    beside = max(map(breadth, names), default=0.0) + 6
    wide = cell.wide - beside
    room = wide / max(1, len(panels.groups)) - 2
    named = [_named(group, values, room) for group, values in zip(panels.groups, panel.values, strict=True)]
    axes.set_xticks(range(len(named)), named, parse_math=False)
    axes.set_position(canvas.box(cell.left + beside, cell.foot + foot, wide, cell.tall - head - foot))
    canvas.write(cell.left, cell.foot + cell.tall, lines_of(worded(panel.axis), cell.wide), ha="left", va="top")


def _named(group: str, values: tuple[float | None, ...], room: float) -> str:
    """With how many repeats are missing, as a gap is easily overlooked."""
    lost = values.count(None)
    name = fitted(legible(group), room)
    return f"{name}\n{lost} not\nfinite" if lost else name


def _means(panels: Panels, panel: Panel) -> str:
    told = [
        f"{printable(group, 40)} {number(mean(values), 3)}"
        for group, values in zip(panels.groups, panel.values, strict=True)
    ]
    if panel.mark is not None and panel.mark.y is not None:
        told.append(f"{printable(panel.mark.label, 40)} {number(panel.mark.y, 3)}")
    return ", ".join(told)
