"""Curves over one variable."""

from __future__ import annotations

import math
from collections.abc import Iterable

from landscape_audit.detail import Line, Series
from landscape_audit.figures.svg import (
    LARGEST,
    LOOKS,
    PAPER,
    SERIES,
    Canvas,
    Look,
    decades,
    drawable,
    legible,
    new_canvas,
    threshold,
    worded,
)
from landscape_audit.text import count, number

SPARSE = 24
"""Points of a curve from which markers on every one would hide it."""


def draw(line: Line) -> bytes:
    """Measured points joined, with their intervals as bands; predictions dashed; limits as thin dotted lines."""
    with new_canvas() as canvas:
        _scales(canvas, line)
        for series, look in zip(line.series, _looks(line.series), strict=True):
            _curve(canvas, series, look)
        _marks(canvas, line)
        _say_what_is_missing(canvas, line)
        canvas.label(line.x, line.y)
        return canvas.svg()


def alt(line: Line) -> str:
    """The curves in words: what is over what, and of each its lowest and highest points."""
    told = " ".join(_described(series) for series in line.series)
    return f"{line.title}: {worded(line.y)} over {worded(line.x)}. {told}"


def _looks(every: tuple[Series, ...]) -> list[Look]:
    measured = iter(SERIES * len(every))
    return [next(measured) if series.role == "measured" else LOOKS[series.role] for series in every]


def _curve(canvas: Canvas, series: Series, look: Look) -> None:
    x, y = [drawable(value) for value in series.x], [drawable(value) for value in series.y]
    canvas.axes.plot(
        x,
        y,
        color=look.colour,
        linestyle=look.dash,
        marker=look.marker,
        markevery=max(1, len(x) // SPARSE),
        label=legible(series.name),
    )
    if series.low and series.high:
        low, high = ([drawable(value) for value in side] for side in (series.low, series.high))
        canvas.axes.fill_between(x, low, high, color=look.colour, alpha=0.18, linewidth=0)
        if len(x) == 1:
            canvas.axes.vlines(x, low, high, color=look.colour, linewidth=1.2)


def _marks(canvas: Canvas, line: Line) -> None:
    limit, point = LOOKS["reference"], LOOKS["checkpoint"]
    for mark in line.marks:
        name = legible(mark.label)
        if mark.x is not None and mark.y is not None:
            canvas.axes.plot(
                [drawable(mark.x)],
                [drawable(mark.y)],
                point.marker,
                markerfacecolor=PAPER,
                markeredgecolor=point.colour,
                markersize=5.5,
                label=name,
                zorder=5,
            )
        elif mark.y is not None:
            canvas.axes.axhline(drawable(mark.y), color=limit.colour, linewidth=1.2, linestyle=limit.dash, label=name)
        elif mark.x is not None:
            canvas.axes.axvline(drawable(mark.x), color=limit.colour, linewidth=1.2, linestyle=limit.dash, label=name)


def _say_what_is_missing(canvas: Canvas, line: Line) -> None:
    values = [value for series in line.series for value in series.y]
    lost = values.count(None)
    if lost == len(values):
        canvas.note("no point has a finite value")
    elif lost:
        canvas.note(f"{lost} of {count(len(values), 'point')} without a finite value")
    if any(abs(value) > LARGEST for value in values if value is not None):
        canvas.note(f"values beyond {number(LARGEST)} are drawn there")


def _scales(canvas: Canvas, line: Line) -> None:
    """The scales of both axes, from what is measured: a prediction far off must not flatten it."""
    bands = [value for series in line.series for value in (*series.y, *series.low, *series.high)]
    measured = _finite(value for series in line.series if series.role == "measured" for value in series.y)
    values = _finite(bands)
    if line.x.scale == "log":
        canvas.axes.set_xscale("log")
        canvas.axes.set_xlim(*_log_room(_finite(x for series in line.series for x in series.x if x > 0)))
    if line.y.scale == "log" or (line.y.scale == "symlog" and measured and min(measured) > 0):
        canvas.axes.set_yscale("log")
        positive = [value for value in (measured or values) if value > 0]
        canvas.axes.set_ylim(*_log_room(positive, max(values, default=0.0)))
    elif line.y.scale == "symlog":
        linthresh = threshold(values)
        low, high = min(values, default=0.0), max(values, default=0.0)
        canvas.axes.set_yscale("symlog", linthresh=linthresh)
        canvas.axes.set_ylim(min(0.0, 1.6 * low) - 0.4 * linthresh, max(0.0, 1.6 * high) + 0.4 * linthresh)
        canvas.axes.set_yticks(decades(linthresh, low, high))
    elif measured:
        low, high = min(measured), max(measured)
        room = 0.08 * (high - low) or abs(high) / 2 or 1.0
        canvas.axes.set_ylim(low - room, high + room)


def _log_room(values: list[float], highest: float = 0.0) -> tuple[float, float]:
    if not values:
        return 0.1, 10.0
    low, high = min(values), max(*values, highest, min(values))
    room = max(1.5, min(1e10, (high / low) ** 0.04 if math.isfinite(high / low) else 1e10))
    return low / room, high * room


def _finite(values: Iterable[float | None]) -> list[float]:
    return [drawable(value) for value in values if value is not None]


def _described(series: Series) -> str:
    points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None]
    missing = len(series.y) - len(points)
    gap = f"; {count(missing, 'point')} without a finite value" if missing else ""
    if not points:
        return f"{series.name}: no finite point."
    low, high = min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])
    if low[1] == high[1]:
        return f"{series.name}: {number(low[1], 3)} everywhere{gap}."
    return (
        f"{series.name}: from {number(low[1], 3)} at {number(low[0], 3)} "
        f"to {number(high[1], 3)} at {number(high[0], 3)}{gap}."
    )
