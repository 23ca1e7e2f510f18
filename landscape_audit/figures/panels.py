"""Groups by several measures: small pictures side by side, each on its own axis."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from landscape_audit.detail import Panel, Panels
from landscape_audit.figures.svg import FAINT, REFERENCE, Canvas, drawable, legible, new_canvas, told_apart
from landscape_audit.text import number, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 6
"""Panels in a row of a page's width."""


def draw(panels: Panels) -> bytes:
    """A dot a repeat, those of one repeat joined, a short bar at each group's mean, and a dotted line at the mark."""
    columns = min(len(panels.panels), MOST)
    rows = math.ceil(len(panels.panels) / columns)
    with new_canvas(width=7.2, height=2.6 * rows) as canvas:
        for place, axes in enumerate(_grid(canvas, rows, columns)):
            if place < len(panels.panels):
                _one(axes, panels, panels.panels[place])
            else:
                axes.set_visible(False)
        canvas.figure.supxlabel(_key(panels), fontsize=7.5, parse_math=False)
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


def _grid(canvas: Canvas, rows: int, columns: int) -> list[Axes]:
    canvas.axes.remove()
    return [canvas.figure.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]


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
        colour, marker = told_apart(group, list(panels.groups))
        finite = [drawable(value) for value in values if value is not None]
        axes.plot([place] * len(finite), finite, marker, color=colour, markersize=4.5, markeredgecolor="white")
        if (middle := mean(values)) is not None:
            axes.hlines(drawable(middle), place - 0.32, place + 0.32, color=colour, linewidth=2.6)
    if panel.mark is not None and panel.mark.y is not None:
        axes.axhline(drawable(panel.mark.y), color=REFERENCE, linewidth=1, linestyle=":")
    axes.set_xlim(-0.6, len(panels.groups) - 0.4)
    named = [_named(group, values) for group, values in zip(panels.groups, panel.values, strict=True)]
    axes.set_xticks(range(len(named)), named, parse_math=False)
    axes.margins(y=0.12)
    axes.locator_params(axis="y", nbins=5)
    axes.yaxis.set_major_formatter(lambda value, _: number(value, 3))
    has_unit = panel.axis.unit and panel.axis.unit.lower() != panel.axis.label.lower()
    unit = textwrap.wrap(f"[{legible(panel.axis.unit, 34)}]", 20) if has_unit else []
    lines = [legible(panel.axis.label, 20), *unit, "", ""][:3]
    axes.set_title("\n".join(lines), fontsize=8, loc="left")


def _named(group: str, values: tuple[float | None, ...]) -> str:
    """With how many repeats are missing, as a gap is easily overlooked."""
    lost = values.count(None)
    return f"{legible(group, 12)}\n{lost} not\nfinite" if lost else legible(group, 12)


def _means(panels: Panels, panel: Panel) -> str:
    told = [
        f"{printable(group, 40)} {number(mean(values), 3)}"
        for group, values in zip(panels.groups, panel.values, strict=True)
    ]
    if panel.mark is not None and panel.mark.y is not None:
        told.append(f"{printable(panel.mark.label, 40)} {number(panel.mark.y, 3)}")
    return ", ".join(told)
