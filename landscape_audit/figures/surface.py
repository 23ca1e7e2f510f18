"""Values over a plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

from landscape_audit.detail import Surface
from landscape_audit.figures.svg import INK, legible, new_canvas, worded
from landscape_audit.text import number

BANDS = 18
"""Colours of a surface: steps that the eye still tells apart beside the bar that names them."""


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
    """The bands of surfaces; None where their values do not differ, or differ by more than a number can say."""
    finite = [value for surface in surfaces for row in surface.z for value in row if value is not None]
    if not finite or min(finite) == max(finite):
        return None
    low, high = min(finite), max(finite)
    log = surfaces[0].z_axis.scale == "log" and low > 0
    return Shades(low, high, log) if math.isfinite(high / low if log else high - low) else None


def colours() -> tuple[str, ...]:
    """The colour of each band, dark where the value is low: cividis, the same to every kind of colour vision."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return tuple(to_hex(colormaps["cividis"]((band + 0.5) / BANDS)) for band in range(BANDS))


def draw(surface: Surface, shades: Shades | None = None) -> bytes:
    """Filled contours, light where the value is high; the checkpoint marked; cells without a value hatched.

    In the bands of `shades` where it is one of several surfaces, else in its own.
    """
    import numpy as np
    from matplotlib.colors import LogNorm, Normalize

    with new_canvas(width=5.0, height=4.0) as canvas:
        axes = canvas.axes
        z = np.array([[math.nan if value is None else value for value in row] for row in surface.z], dtype=float)
        axes.set_facecolor("#f3f4f6")
        axes.grid(visible=False)
        if (shades := shades or shades_of(surface)) is not None:
            levels = shades.levels
            norm = LogNorm(levels[0], levels[-1]) if shades.log else Normalize(levels[0], levels[-1])
            masked = np.ma.masked_invalid(z)
            filled = axes.contourf(surface.xs, surface.ys, masked, levels=levels, norm=norm, cmap="cividis")
            axes.contour(surface.xs, surface.ys, masked, levels=levels, colors="white", linewidths=0.4, alpha=0.6)
            ticks = levels[::3]
            most = _digits(ticks)
            bar = canvas.figure.colorbar(filled, ax=axes, ticks=ticks, format=lambda value, _: number(value, most))
            bar.set_label(worded(surface.z_axis))
            bar.outline.set_visible(False)
        for mark in surface.marks:
            if mark.x is not None and mark.y is not None:
                axes.plot([mark.x], [mark.y], "o", markerfacecolor="white", markeredgecolor=INK, markersize=7)
                axes.annotate(
                    legible(mark.label),
                    (mark.x, mark.y),
                    xytext=(7, 7),
                    textcoords="offset points",
                    fontsize=8,
                    bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
                )
        rows, columns = np.nonzero(~np.isfinite(z))
        if rows.size:
            xs, ys = np.array(surface.xs)[columns], np.array(surface.ys)[rows]
            axes.plot(xs, ys, "x", color="#9ca3af", markersize=5)
        axes.set_aspect("equal", anchor="SW")  # where layout put it, or its labels would leave the page
        canvas.label(surface.x, surface.y)
        return canvas.svg()


def alt(surface: Surface) -> str:
    """The surface in words: its centre, its lowest and highest cells, and how many have no value."""
    rows = zip(surface.ys, surface.z, strict=True)
    cells = [(value, x, y) for y, row in rows for x, value in zip(surface.xs, row, strict=True)]
    finite = [(value, x, y) for value, x, y in cells if value is not None]
    lost = len(cells) - len(finite)
    missing = f" {lost} of {len(cells)} cells have no finite value." if lost else ""
    if not finite:
        return f"{surface.title}. No cell has a finite value."
    low, high = min(finite), max(finite)
    return (
        f"{surface.title}. Lowest {number(low[0], 3)} at ({number(low[1], 2)}, {number(low[2], 2)}), "
        f"highest {number(high[0], 3)} at ({number(high[1], 2)}, {number(high[2], 2)}).{missing}"
    )


def _digits(ticks: list[float]) -> int:
    """As few as tell the ticks apart, and no more than six."""
    return next((digits for digits in range(2, 6) if len({number(each, digits) for each in ticks}) == len(ticks)), 6)
