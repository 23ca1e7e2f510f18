"""A density of eigenvalues."""

from __future__ import annotations

import math

from landscape_audit.detail import Axis, Bar, Spectrum
from landscape_audit.figures.looks import INK, LOOKS
from landscape_audit.figures.scales import decades, drawable
from landscape_audit.figures.svg import Canvas, new_canvas
from landscape_audit.text import count, number

DENSITY = Axis(label="Density", unit="share of eigenvalues per log unit", scale="log")
DEPTH = 1e-6
"""Of its peak down to which a density is drawn: what lies lower is the tail of the smoothing."""
STEPS = 8
"""Heights at which intervals hang."""
TOP = 24
"""Eigenvalues that are drawn with their intervals; the table beside the figure has the rest."""


def draw(spectrum: Spectrum) -> bytes:
    """The density on a log axis as an area, and every eigenvalue that stands out as a stem with its interval.

    The intervals hang at heights of their own, one below the other, as they may lie over each other.
    """
    with new_canvas() as canvas:
        axes, look = canvas.axes, LOOKS["measured"]
        peak = max([0.0, *map(drawable, spectrum.density)]) or 1.0
        floor = peak * DEPTH
        axes.set_yscale("log")
        axes.set_ylim(floor, peak * 30 if spectrum.outliers else peak * 3)
        _across(canvas, spectrum)
        grid = [drawable(x) for x in spectrum.grid]
        shown = [drawable(value) if value >= floor else math.nan for value in spectrum.density]
        axes.fill_between(grid, floor, shown, color=look.colour, alpha=0.3, linewidth=0)
        axes.plot(
            grid, shown, color=look.colour, linewidth=1.2, label="density" if any(spectrum.density) else "no density"
        )
        _outliers(canvas, spectrum, floor, peak)
        axes.axvline(0, color=LOOKS["reference"].colour, linewidth=0.9, linestyle=":", zorder=1)
        if any(spectrum.density) and min(spectrum.density) < floor:
            canvas.note("left out: density below a millionth of its peak")
        canvas.label(spectrum.x, DENSITY)
        return canvas.svg()


def alt(spectrum: Spectrum) -> str:
    """The density in words: where its peak is and which eigenvalues stand out, with their intervals."""
    if not spectrum.grid:
        return f"{spectrum.title}: no density was found. {_told(spectrum.outliers)}"
    if not any(spectrum.density):
        return f"{spectrum.title}: zero everywhere. {_told(spectrum.outliers)}"
    peak = max(zip(spectrum.density, spectrum.grid, strict=True))
    unit = f" {spectrum.x.unit}" if spectrum.x.unit else ""
    between = f"from {number(min(spectrum.grid), 3)} to {number(max(spectrum.grid), 3)}{unit}"
    return f"{spectrum.title}, {between}, highest at {number(peak[1], 2)}. {_told(spectrum.outliers)}"


def _told(outliers: tuple[Bar, ...]) -> str:
    if not outliers:
        return "No eigenvalue is resolved."
    first = sorted(outliers, key=lambda outlier: -abs(outlier.value or 0.0))[:5]
    values = ", ".join(map(_with_interval, first))
    more = f", and {len(outliers) - len(first):,} more" if len(outliers) > len(first) else ""
    return f"{count(len(outliers), 'resolved eigenvalue')}: {values}{more}."


def _with_interval(outlier: Bar) -> str:
    if outlier.low is None or outlier.high is None:
        return number(outlier.value, 3)
    low, high = number(outlier.low), number(outlier.high)
    return number(outlier.value) if low == high else f"{number(outlier.value)} ({low} to {high})"


def _across(canvas: Canvas, spectrum: Spectrum) -> None:
    ends = [end for bar in spectrum.outliers for end in (bar.value, bar.low, bar.high) if end is not None]
    places = [drawable(x) for x in (*spectrum.grid, *ends)] or [-1.0, 1.0]
    low, high = min(0.0, *places), max(0.0, *places)
    widest = max(-low, high) or 1.0
    if spectrum.x.scale == "symlog":
        linthresh = widest * 1e-3
        canvas.axes.set_xscale("symlog", linthresh=linthresh)
        canvas.axes.set_xlim(1.6 * low - linthresh, 1.6 * high + linthresh)
        canvas.axes.set_xticks(decades(2 * linthresh, low, high))
    else:
        canvas.axes.set_xlim(low - 0.05 * widest, high + 0.05 * widest)


def _outliers(canvas: Canvas, spectrum: Spectrum, floor: float, peak: float) -> None:
    look = LOOKS["resolved"]
    known = [outlier for outlier in spectrum.outliers if outlier.value is not None]
    if not known:
        return
    top = sorted(known, key=lambda outlier: -abs(outlier.value or 0.0))[:TOP]
    values = [drawable(outlier.value) for outlier in top]
    heights = [peak * 12 / 2.2 ** (rank % STEPS) for rank in range(len(top))]
    below = [max(0.0, value - _end(bar.low, value)) for value, bar in zip(values, top, strict=True)]
    above = [max(0.0, _end(bar.high, value) - value) for value, bar in zip(values, top, strict=True)]
    canvas.axes.vlines(values, floor, heights, color=look.colour, linewidth=0.8)
    rest = [drawable(outlier.value) for outlier in known if outlier not in top]
    canvas.axes.vlines(rest, floor, floor * 4, color=look.colour, linewidth=0.5)
    canvas.axes.errorbar(
        values,
        heights,
        xerr=[below, above],
        fmt=look.marker,
        markersize=2.6,
        color=look.colour,
        ecolor=INK,
        elinewidth=0.9,
        capsize=3.2,
        capthick=0.9,
        label=_legend(len(known), len(top), with_intervals=any(above) or any(below)),
    )


def _legend(known: int, top: int, *, with_intervals: bool) -> str:
    said = count(known, "resolved eigenvalue")
    if not with_intervals:
        return said
    return f"{said}, with intervals" if known == top else f"{said}, the top {top} with intervals"


def _end(known: float | None, value: float) -> float:
    return value if known is None else drawable(known)
