"""The curves of two audits over one variable."""

from __future__ import annotations

from landscape_audit.detail import Line, Mark, Series
from landscape_audit.figures.lettering import legible
from landscape_audit.figures.line import alt as described
from landscape_audit.figures.line import scales
from landscape_audit.figures.looks import COMPARED, REFERENCE
from landscape_audit.figures.scales import drawable
from landscape_audit.figures.svg import Canvas, new_canvas


def overlaid(a: Line, b: Line) -> Line:
    """Both as one, its series named `A: …` and `B: …`; a mark that both have at one place is there once."""
    sides = (("A", a), ("B", b))
    series = tuple(
        each.model_copy(update={"name": f"{side}: {each.name}"}) for side, line in sides for each in line.series
    )
    shared = tuple(mark for mark in a.marks if mark in b.marks)
    own = tuple(
        mark.model_copy(update={"label": f"{side}: {mark.label}"})
        for side, line in sides
        for mark in line.marks
        if mark not in shared
    )
    return b.model_copy(update={"series": series, "marks": (*shared, *own)})


def draw(a: Line, b: Line) -> bytes:
    """What was measured with markers and bands, what was predicted faint and dotted, marks as thin grey lines."""
    both = overlaid(a, b)
    with new_canvas() as canvas:
        for letter, side in (("A", a), ("B", b)):
            for series in side.series:
                _curve(canvas, series, letter)
        scales(canvas, both)
        for mark in both.marks:
            _mark(canvas, mark)
        canvas.label(both.x, both.y)
        return canvas.svg()


def alt(a: Line, b: Line) -> str:
    """The curves of both in words."""
    return described(overlaid(a, b))


def _curve(canvas: Canvas, series: Series, letter: str) -> None:
    look, measured = COMPARED[letter], series.role == "measured"
    canvas.axes.plot(
        series.x,
        _drawable(series.y),
        color=look.colour,
        alpha=1.0 if measured else 0.55,
        linewidth=1.6 if measured else 1.0,
        linestyle=look.dash if measured else ":",
        marker=look.marker if measured else "",
        markersize=3.6,
        markerfacecolor=look.filling,
        label=legible(f"{letter}: {series.name}"),
        zorder=3 if measured else 2,
    )
    if series.low and series.high:
        low, high = _drawable(series.low), _drawable(series.high)
        canvas.axes.fill_between(series.x, low, high, color=look.colour, alpha=0.16, linewidth=0)


def _mark(canvas: Canvas, mark: Mark) -> None:
    if mark.x is not None and mark.y is not None:
        canvas.axes.plot([mark.x], [mark.y], "+", color=REFERENCE, markersize=9, label=legible(mark.label), zorder=5)
        return
    style = (0, (6, 3)) if mark.label.startswith("B: ") else ":"
    if mark.y is not None:
        canvas.axes.axhline(mark.y, color=REFERENCE, linewidth=1, linestyle=style, label=legible(mark.label))
    elif mark.x is not None:
        canvas.axes.axvline(mark.x, color=REFERENCE, linewidth=1, linestyle=style, label=legible(mark.label))


def _drawable(values: tuple[float | None, ...]) -> list[float]:
    return [drawable(value) for value in values]
