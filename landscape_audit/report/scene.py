"""A surface as a reader can turn it: positions, heights and colours, and every word beside them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from landscape_audit.detail import Axis, Surface
from landscape_audit.figures.lettering import legible
from landscape_audit.figures.surface import Shades, colours, shades_of
from landscape_audit.text import number, printable

MOST_CELLS = 10_000
"""Cells that a browser draws anew in every frame while it is turned, and about 70 kB of the page."""


@dataclass(frozen=True)
class SceneAxis:
    """An edge of the scene: what it measures, and from where to where."""

    label: str
    low: str
    high: str


@dataclass(frozen=True)
class ScenePoint:
    """A place on the surface that has a name."""

    label: str
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class SceneView:
    """A surface in a box: heights 0 to 1 as the figure's colours have them, sides within -1 to 1.

    Sides are on one scale where the surface's aspect is equal. A height is None where the value is not finite; the
    notes say how many those are, and on which scale heights are.
    """

    title: str
    alt: str
    notes: tuple[str, ...]
    x: SceneAxis
    y: SceneAxis
    z: SceneAxis
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    heights: tuple[tuple[float | None, ...], ...]
    colours: tuple[str, ...]
    points: tuple[ScenePoint, ...]

    @property
    def data(self) -> dict[str, Any]:
        """The same for the page's script."""
        return asdict(self)


def scene_of(surface: Surface, alt: str) -> SceneView | None:
    """The scene of a surface; None where there is nothing to turn, or too much."""
    shades, spans = shades_of(surface), _spans(surface)
    if shades is None or not spans or len(surface.xs) * len(surface.ys) > MOST_CELLS:
        return None
    return SceneView(
        title=printable(surface.title),
        alt=printable(alt, 1500),
        notes=_notes(surface, shades),
        x=_axis(surface.x, surface.xs[0], surface.xs[-1]),
        y=_axis(surface.y, surface.ys[0], surface.ys[-1]),
        z=_axis(surface.z_axis, shades.low, shades.high),
        xs=tuple(_place(x, surface.xs, spans[0]) for x in surface.xs),
        ys=tuple(_place(y, surface.ys, spans[1]) for y in surface.ys),
        heights=tuple(tuple(_height(value, shades) for value in row) for row in surface.z),
        colours=colours(),
        points=_points(surface, shades, spans),
    )


def _notes(surface: Surface, shades: Shades) -> tuple[str, ...]:
    cells = [value for row in surface.z for value in row]
    lost = cells.count(None)
    scale = ["Heights are on a logarithmic scale, as the colours are."] if shades.log else []
    holes = [f"{lost:,} of {len(cells):,} cells have no finite value and are left out."] if lost else []
    return (*scale, *holes)


def _points(surface: Surface, shades: Shades, spans: tuple[float, float]) -> tuple[ScenePoint, ...]:
    """The marks that lie on a cell with a value: between cells nobody knows how high the surface is."""
    found = []
    for mark in surface.marks:
        if mark.x not in surface.xs or mark.y not in surface.ys:
            continue
        column, row = surface.xs.index(mark.x), surface.ys.index(mark.y)
        height = _height(surface.z[row][column], shades)
        if height is not None:
            x, y = _place(mark.x, surface.xs, spans[0]), _place(mark.y, surface.ys, spans[1])
            found.append(ScenePoint(legible(mark.label), x, y, height))
    return tuple(found)


def _spans(surface: Surface) -> tuple[float, float] | None:
    """What -1 to 1 is of each side: the longer one, or its own; None where the plane is only a line or a point."""
    x, y = (values[-1] - values[0] if len(values) > 1 else 0.0 for values in (surface.xs, surface.ys))
    if not min(x, y) > 0 or not math.isfinite(max(x, y)):
        return None
    return (x, y) if surface.aspect == "free" else (max(x, y), max(x, y))


def _place(value: float, values: tuple[float, ...], span: float) -> float:
    return round(((value - values[0]) + (value - values[-1])) / span, 4)


def _height(value: float | None, shades: Shades) -> float | None:
    return None if value is None else round(shades.share(value), 4)


def _axis(axis: Axis, low: float, high: float) -> SceneAxis:
    """Without the unit, which the figure beside the scene has: on a phone the edges are short."""
    return SceneAxis(legible(axis.label, 24), number(low, 3), number(high, 3))
