"""Two densities of eigenvalues."""

from __future__ import annotations

import math

from landscape_audit.detail import Spectrum
from landscape_audit.figures.looks import COMPARED, REFERENCE
from landscape_audit.figures.scales import decades, drawable
from landscape_audit.figures.spectrum import DENSITY, DEPTH
from landscape_audit.figures.spectrum import alt as described
from landscape_audit.figures.svg import Canvas, new_canvas

_HEIGHTS = {"A": 0.03, "B": 0.006}
"""Where the eigenvalues that stand out end, as a share of the peak: B's beneath A's, as their values may be alike."""


def draw(a: Spectrum, b: Spectrum) -> bytes:
    """A's density as an area, B's as a dashed line, and the eigenvalues that stand out as stems with intervals."""
    peak = max((*a.density, *b.density), default=1.0) or 1.0
    with new_canvas() as canvas:
        axes, floor = canvas.axes, peak * DEPTH
        axes.set_yscale("log")
        if b.x.scale == "symlog":
            widest = max((abs(x) for x in (*a.grid, *b.grid)), default=1.0) or 1.0
            axes.set_xscale("symlog", linthresh=widest * 1e-3)
            axes.set_xticks(decades(widest * 1e-2, -widest, widest, 5))
        axes.fill_between(a.grid, floor, _above(floor, a), color=COMPARED["A"].colour, alpha=0.25, linewidth=0)
        for letter, side in (("A", a), ("B", b)):
            look, label = COMPARED[letter], f"{letter}: density"
            axes.plot(
                side.grid, _above(floor, side), color=look.colour, linewidth=1.3, linestyle=look.dash, label=label
            )
            _stems(canvas, side, letter, (floor, peak))
        axes.axvline(0, color=REFERENCE, linewidth=0.8, linestyle=":")
        axes.set_ylim(floor, peak * 3)
        if any(value < floor for side in (a, b) for value in side.density):
            canvas.note("left out: density below a millionth of its peak")
        canvas.label(b.x, DENSITY)
        return canvas.svg()


def alt(a: Spectrum, b: Spectrum) -> str:
    """Both densities in words."""
    return f"A: {described(a)} B: {described(b)}"


def _above(floor: float, spectrum: Spectrum) -> list[float]:
    return [drawable(value) if value >= floor else math.nan for value in spectrum.density]


def _stems(canvas: Canvas, spectrum: Spectrum, letter: str, ends: tuple[float, float]) -> None:
    look, (floor, peak) = COMPARED[letter], ends
    height = peak * _HEIGHTS[letter]
    found = [outlier for outlier in spectrum.outliers if outlier.value is not None]
    for outlier in found:
        if outlier.low is not None and outlier.high is not None:
            canvas.axes.hlines(height, outlier.low, outlier.high, color=look.colour, linewidth=1.4)
    values = [outlier.value for outlier in found if outlier.value is not None]
    canvas.axes.vlines(values, floor, height, color=look.colour, linewidth=0.9)
    canvas.axes.plot(
        values,
        [height] * len(values),
        look.marker,
        color=look.colour,
        markersize=3.8,
        markerfacecolor=look.filling,
        label=f"{letter}: resolved eigenvalues",
    )
