"""Curves over one variable."""

from __future__ import annotations

from landscape_audit.detail import Line, Series
from landscape_audit.figures.svg import MEASURED, PREDICTED, REFERENCE, Canvas, decades, legible, new_canvas, threshold
from landscape_audit.text import number


def draw(line: Line) -> bytes:
    """Measured points joined, with their intervals as bands; predictions dashed; marks as thin grey lines."""
    with new_canvas() as canvas:
        axes = canvas.axes
        measured = [series for series in line.series if series.role == "measured"]
        for series in line.series:
            colour = MEASURED[measured.index(series) % len(MEASURED)] if series.role == "measured" else PREDICTED
            _curve(canvas, series, colour if series.role != "reference" else REFERENCE)
        scales(canvas, line)
        for mark in line.marks:
            if mark.x is not None and mark.y is not None:
                axes.plot([mark.x], [mark.y], "o", color=REFERENCE, markersize=5, label=legible(mark.label), zorder=5)
            elif mark.y is not None:
                axes.axhline(mark.y, color=REFERENCE, linewidth=1, linestyle=":", label=legible(mark.label))
            elif mark.x is not None:
                axes.axvline(mark.x, color=REFERENCE, linewidth=1, linestyle=":", label=legible(mark.label))
        canvas.label(line.x, line.y)
        if len(line.series) + len(line.marks) > 1:
            axes.legend(loc="best")
        return canvas.svg()


def alt(line: Line) -> str:
    """The curves in words: where each begins, where it ends, its lowest and highest points."""
    return f"{line.title}. " + " ".join(_described(series) for series in line.series)


def _curve(canvas: Canvas, series: Series, colour: str) -> None:
    y = [float("nan") if value is None else value for value in series.y]
    dashed = series.role == "predicted"
    canvas.axes.plot(
        series.x,
        y,
        color=colour,
        linestyle="--" if dashed else "-",
        marker="" if dashed else "o",
        markersize=2.8,
        label=legible(series.name),
    )
    if series.low and series.high:
        low, high = ([float("nan") if value is None else value for value in side] for side in (series.low, series.high))
        canvas.axes.fill_between(series.x, low, high, color=colour, alpha=0.18, linewidth=0)


def scales(canvas: Canvas, line: Line) -> None:
    """Both axes on their scales, as far as what was measured reaches."""
    values = [value for series in line.series for value in (*series.y, *series.low, *series.high) if value is not None]
    measured = [value for series in line.series if series.role == "measured" for value in series.y if value is not None]
    if line.x.scale == "log":
        canvas.axes.set_xscale("log")
    if line.y.scale == "log":
        canvas.axes.set_yscale("log")
    if line.y.scale == "symlog" and measured and min(measured) > 0:
        canvas.axes.set_yscale("log")
        canvas.axes.set_ylim(0.5 * min(measured), 2 * max(values))
    elif line.y.scale == "symlog":
        linthresh = threshold(values)
        canvas.axes.set_yscale("symlog", linthresh=linthresh)
        canvas.axes.set_yticks(decades(linthresh, min(values, default=0.0), max(values, default=0.0)))
    elif measured and line.y.scale == "linear":
        low, high = min(measured), max(measured)
        room = 0.08 * (high - low) or abs(high) or 1.0
        canvas.axes.set_ylim(low - room, high + room)  # a prediction far off must not flatten what was measured


def _described(series: Series) -> str:
    points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None]
    missing = len(series.y) - len(points)
    gap = f" {missing} points are not finite." if missing else ""
    if not points:
        return f"{series.name}: no finite point.{gap}"
    low, high = min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])
    return (
        f"{series.name}: lowest {number(low[1], 3)} at {number(low[0], 3)}, "
        f"highest {number(high[1], 3)} at {number(high[0], 3)}.{gap}"
    )
