"""Values over a plane."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from landscape_audit.detail import Ring, Surface
from landscape_audit.figures.lettering import SIZE, legible, within_a_sentence, worded
from landscape_audit.figures.looks import INK, PAPER, REFERENCE
from landscape_audit.figures.scales import drawable
from landscape_audit.figures.svg import Canvas, new_canvas
from landscape_audit.figures.ticks import numbers
from landscape_audit.text import number

BANDS = 18
"""Colours of a surface: steps that the eye still tells apart beside the bar that names them."""
SMOOTH = 61
"""Points along a side on which a model is drawn, which costs nothing to evaluate."""
MARKED = 0.05
"""Share of a plane's half width that the mark of the checkpoint covers."""


EMPTY = "#f3f4f6"


@dataclass(frozen=True)
class Shades:
    """Bands of colour from the lowest to the highest value, equally wide on a linear or on a logarithmic scale."""

    low: float
    high: float
    log: bool

    @property
    def levels(self) -> list[float]:
        """Where one band ends and the next begins."""
        steps = [index / BANDS for index in range(BANDS + 1)]
        if self.log:
            return [self.low * (self.high / self.low) ** step for step in steps]
        return [self.low + (self.high - self.low) * step for step in steps]

    def share(self, value: float) -> float:
        """How far up a value lies on that scale: 0 for the lowest, 1 for the highest."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def shades_of(*surfaces: Surface) -> Shades | None:
    """The bands of surfaces; None where values do not differ, or by less or by more than the ends of bands can say."""
    finite = [value for surface in surfaces for row in surface.z for value in row if value is not None]
    if not finite or min(finite) == max(finite):
        return None
    low, high = min(finite), max(finite)
    log = surfaces[0].z_axis.scale == "log" and low > 0
    if not math.isfinite(high / low if log else high - low):
        return None
    shades = Shades(low, high, log)
    return shades if all(a < b for a, b in itertools.pairwise(shades.levels)) else None


def colours() -> tuple[str, ...]:
    """The colour of each band, dark where the value is low: cividis, the same to every kind of colour vision."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return tuple(to_hex(colormaps["cividis"]((band + 0.5) / BANDS)) for band in range(BANDS))


def draw(surface: Surface, shades: Shades | None = None) -> bytes:
    """Filled contours, light where the value is high; the checkpoint marked; cells without a value crossed out.

    In the bands of `shades` where it is one of several surfaces, else in its own.
    """
    import numpy as np

    with new_canvas() as canvas:
        axes = canvas.axes
        values = [math.nan if value is None else value for row in surface.z for value in row]
        z = np.array(values, dtype=float).reshape(len(surface.ys), len(surface.xs))
        axes.set_facecolor(EMPTY)
        axes.grid(visible=False)
        canvas.square = surface.aspect == "equal"
        axes.set_xlim(*_sides(surface.xs))
        axes.set_ylim(*_sides(surface.ys))
        if (shades := shades or shades_of(surface)) is not None and min(z.shape) > 1:
            _fill(canvas, surface, z, shades)
            _foretold(canvas, surface, shades.levels)
        else:
            _fill_flat(canvas, surface, z)
            canvas.note(_why_no_colour(surface))
        _rings(canvas, surface)
        for mark in surface.marks:
            if mark.x is not None and mark.y is not None:
                axes.plot(
                    [drawable(mark.x)],
                    [drawable(mark.y)],
                    "o",
                    markerfacecolor=PAPER,
                    markeredgecolor=INK,
                    markersize=5.5,
                    label=legible(mark.label),
                )
        rows, columns = np.nonzero(~np.isfinite(z))
        if rows.size:
            xs, ys = np.array(_places(surface.xs))[columns], np.array(_places(surface.ys))[rows]
            axes.plot(xs, ys, "x", color=REFERENCE, markersize=4, clip_on=False, label="no finite value")
        canvas.label(surface.x, surface.y)
        return canvas.svg()


def _fill(canvas: Canvas, surface: Surface, z: Any, shades: Shades) -> None:
    import numpy as np
    from matplotlib.colors import LogNorm, Normalize

    levels = shades.levels
    norm = LogNorm(levels[0], levels[-1]) if shades.log else Normalize(levels[0], levels[-1])
    masked, xs, ys = np.ma.masked_invalid(z), _places(surface.xs), _places(surface.ys)
    filled = canvas.axes.contourf(xs, ys, masked, levels=levels, norm=norm, cmap="cividis")
    canvas.axes.contour(xs, ys, masked, levels=levels, colors="white", linewidths=0.4, alpha=0.6)
    canvas.colour_bar(filled, levels[::3], worded(surface.z_axis))


def _fill_flat(canvas: Canvas, surface: Surface, z: Any) -> None:
    """One colour where every value is the same, or the one paper of a cell without a value would say there is none."""
    import numpy as np

    if min(z.shape, default=0) > 1 and np.isfinite(z).any():
        known = np.ma.masked_where(~np.isfinite(z), np.zeros(z.shape))
        canvas.axes.contourf(
            _places(surface.xs), _places(surface.ys), known, levels=[-1, 1], colors=[colours()[BANDS // 2]]
        )


def _places(values: tuple[float, ...]) -> list[float]:
    return [drawable(value) for value in values]


def _sides(values: tuple[float, ...]) -> tuple[float, float]:
    low, high = min(_places(values), default=0.0), max(_places(values), default=0.0)
    half = max(1.0, abs(low)) / 2
    return (low, high) if low < high else (low - half, high + half)


def _why_no_colour(surface: Surface) -> str:
    finite = [value for row in surface.z for value in row if value is not None]
    if not finite:
        return "no cell has a finite value"
    if min(finite) == max(finite):
        return f"every cell is {number(finite[0])}"
    if number(min(finite)) == number(max(finite)):
        return f"every cell is {number(finite[0])}, but for rounding"
    return f"from {number(min(finite))} to {number(max(finite))}: too far for colours"


def _foretold(canvas: Canvas, surface: Surface, levels: list[float]) -> None:
    """Where a model has the borders of every third band, dashed."""
    import numpy as np

    if surface.predicted is None:
        return
    # As Python's own numbers, which grow beyond all bounds without a word of warning.
    xs, ys = (np.linspace(*_sides(side), SMOOTH).tolist() for side in (surface.xs, surface.ys))
    said = np.array([[surface.predicted.at(x, y) for x in xs] for y in ys])
    inside = [level for level in levels[::3] if said.min() < level < said.max()]
    if inside:
        canvas.axes.contour(xs, ys, said, levels=inside, colors="white", linestyles="--", linewidths=1)


def _rings(canvas: Canvas, surface: Surface) -> None:
    """Circles around the origin: dotted with their radius on them, or whole with their name at the end of a line.

    A ring that the checkpoint's own mark would hide is left out, and so is a number that another one would cover.
    """
    from matplotlib.patches import Circle

    reach = max(map(abs, surface.xs), default=0.0)
    last = 0.0
    for ring in surface.rings:
        if not MARKED * reach <= ring.radius <= reach:
            continue
        dash, width = ("-", 1.6) if ring.label else ((0, (1.5, 2)), 1.0)
        around = Circle((0.0, 0.0), ring.radius, fill=False, edgecolor="white", linewidth=width, linestyle=dash)
        canvas.axes.add_patch(around)
        if ring.label:
            _named(canvas, ring, reach)
        elif ring.radius - last > 2 * MARKED * reach:
            last = ring.radius
            here = (0.0, ring.radius)
            canvas.axes.annotate(number(ring.radius, 2), here, color="white", ha="center", va="bottom", fontsize=SIZE)


def _named(canvas: Canvas, ring: Ring, reach: float) -> None:
    """The name of a ring outside of the crowd in the middle, with a line to it."""
    canvas.axes.annotate(
        legible(ring.label),
        (-0.7071 * ring.radius, -0.7071 * ring.radius),
        xytext=(-0.92 * reach, -0.9 * reach),
        fontsize=SIZE,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        arrowprops={"arrowstyle": "-", "color": "white", "linewidth": 0.8},
    )


def alt(surface: Surface) -> str:
    """The surface in words: its centre, its lowest and highest cells, and how many have no value."""
    rows = zip(surface.ys, surface.z, strict=True)
    cells = [(value, x, y) for y, row in rows for x, value in zip(surface.xs, row, strict=True)]
    finite = [(value, x, y) for value, x, y in cells if value is not None]
    lost = len(cells) - len(finite)
    missing = f" {lost} of {len(cells)} cells have no finite value." if lost else ""
    around = [ring.label or number(ring.radius, 2) for ring in surface.rings]
    rings = f" Rings around the centre: {', '.join(around)}." if around else ""
    if not finite:
        return f"{surface.title}: no cell has a finite value."
    low, high = min(finite), max(finite)
    size = f"{within_a_sentence(worded(surface.z_axis))} on {len(surface.xs)} by {len(surface.ys)} points"
    if low[0] == high[0]:
        return f"{surface.title}: {size}, {number(low[0])} everywhere.{missing}"
    lowest, highest = numbers([low[0], high[0]], fewest=3)
    return (
        f"{surface.title}: {size}. "
        f"Lowest {lowest} at ({number(low[1], 2)}, {number(low[2], 2)}), "
        f"highest {highest} at ({number(high[1], 2)}, {number(high[2], 2)}).{missing}{rings}"
    )
