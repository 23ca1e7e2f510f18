"""Curves over one variable."""

from __future__ import annotations

from collections.abc import Iterable

from landscape_audit.detail import Line, Series
from landscape_audit.figures.lettering import legible, within_a_sentence, worded
from landscape_audit.figures.looks import LOOKS, PAPER, SERIES, Look
from landscape_audit.figures.scales import LARGEST, decades, drawable, room_on_log, threshold
from landscape_audit.figures.svg import Canvas, new_canvas
from landscape_audit.figures.ticks import numbers
from landscape_audit.text import count, number

SPARSE = 24
"""Points of a curve from which markers on every one would hide it."""


def draw(line: Line) -> bytes:
    """Measured points joined, with their intervals as bands; predictions dashed; limits as thin dotted lines."""
    with new_canvas() as canvas:
        scales(canvas, line)
        for series, look in zip(line.series, _looks(line.series), strict=True):
            _curve(canvas, series, look)
        _marks(canvas, line)
        _say_what_is_missing(canvas, line)
        canvas.label(line.x, line.y)
        return canvas.svg()


def alt(line: Line) -> str:
    """The curves in words: what is over what, and of each its lowest and highest points."""
    told = " ".join(_described(series) for series in line.series)
    return f"{line.title}: {within_a_sentence(worded(line.y))} over {within_a_sentence(worded(line.x))}. {told}"


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


def scales(canvas: Canvas, line: Line) -> None:
    """The scales of both axes, from what is measured: a prediction far off must not flatten it."""
    axes = canvas.axes
    along = _finite(x for series in line.series for x in series.x)
    if line.x.scale == "log" and min(along, default=0.0) > 0:
        axes.set_xscale("log")
        axes.set_xlim(*room_on_log(along))
    measured = _values(series for series in line.series if series.role == "measured")
    every = _values(line.series)
    points = _finite(value for series in line.series if series.role == "measured" for value in series.y)
    if line.y.scale != "linear" and min(points, default=0.0) > 0:
        axes.set_yscale("log")
        low, high = room_on_log(points)
        axes.set_ylim(low, max(high, room_on_log([max(every)])[1]))
    elif line.y.scale != "linear":
        linthresh = threshold(every)
        low, high = min(every, default=0.0), max(every, default=0.0)
        axes.set_yscale("symlog", linthresh=linthresh)
        axes.set_ylim(min(0.0, 1.6 * low) - 0.4 * linthresh, max(0.0, 1.6 * high) + 0.4 * linthresh)
        axes.set_yticks(decades(linthresh, low, high))
    elif measured:
        low, high = min(measured), max(measured)
        room = 0.08 * (high - low) or abs(high) / 2 or 1.0
        axes.set_ylim(low - room, high + room)


def _values(every: Iterable[Series]) -> list[float]:
    return _finite(value for series in every for value in (*series.y, *series.low, *series.high))


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
    lowest, highest = numbers([low[1], high[1]], fewest=3)
    return f"{series.name}: lowest {lowest} at {number(low[0], 3)}, highest {highest} at {number(high[0], 3)}{gap}."
