"""A figure: one style, one place for everything, stable bytes, nothing global touched."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from landscape_audit.figures.dark import dark_style
from landscape_audit.figures.lettering import SIZE, breadth, columns_of, fitted, lines_of, worded
from landscape_audit.figures.looks import FAINT, GRID, INK
from landscape_audit.figures.ticks import numbers, shown_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet
    from matplotlib.figure import Figure

    from landscape_audit.detail import Axis

WIDTH, HEIGHT = 3.6, 2.6
"""Inches, of everything that may stand beside another figure: letters of 8 points then print at 7.5 in pairs on A4, and
are 11 pixels high across a telephone of 360."""

_FAMILIES = b"font-family: Audit, 'DejaVu Sans', Verdana, sans-serif"
"""What letters are drawn in: the PDF's own font, and on a screen whatever of these there is; their widths are alike."""

_NO_METADATA: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))

EDGE = 4.0
LINE = 11.5
_BESIDE = 36.0
"""Points: around a figure, from line to line of words, and of a legend's entry that is not its words."""
_BAR = (10.0, 8.0, 4.0)
"""Points before a colour bar, of it, and between it and its numbers."""

_LEAST = 86.0
"""Points that the axes are tall at least, however much stands above them."""

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "landscape-audit",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": SIZE,
    "text.parse_math": False,  # names are foreign: a dollar sign is a dollar sign, never a formula to parse
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": SIZE,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "xtick.major.pad": 4.0,
    "ytick.major.pad": 4.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": SIZE,
    "legend.labelcolor": INK,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.0,
    "legend.handlelength": 2.6,
    "legend.handletextpad": 0.6,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.25,
    "lines.linewidth": 1.5,
    "lines.markersize": 3.0,
    "hatch.linewidth": 0.6,
}


class Canvas:
    """One figure in the house style; made by `new_canvas`, which gives matplotlib its own settings back.

    Words and numbers are placed here, by their widths, and the axes get what is left: matplotlib's own layout takes as
    long as the drawing, and gives figures that stand side by side different axes.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        self.figure: Figure = Figure(figsize=(width, height))
        self._page: Any = FigureCanvasSVG(self.figure)
        self.width, self.height = 72 * width, 72 * height
        self.axes: Axes = self.figure.add_subplot()
        self.axes.set_axisbelow(True)
        self.square = False
        self.names: list[str] = []
        self._x = self._y = ""
        self._notes: list[str] = []
        self._bar: tuple[QuadContourSet, list[float], str] | None = None

    def label(self, x: Axis, y: Axis | None = None) -> None:
        """The axes named, with units, on their scales."""
        self._x = worded(x)
        self._y = worded(y) if y else ""

    def rows(self, names: list[str], *, of: int) -> None:
        """A named row for each, the first on top; a note says of how many these are the first."""
        self.names = names or [""]
        self.axes.set_ylim(max(1.5, len(names) - 0.5), -0.5)
        self.axes.grid(visible=False, axis="y")
        if of > len(names):
            self.note(f"the first {len(names)} of {of:,}")

    def note(self, text: str) -> None:
        """A line above the figure that says what it leaves out."""
        self._notes.append(text)

    def colour_bar(self, filled: QuadContourSet, ticks: list[float], name: str) -> None:
        """The colours of a surface, beside it."""
        self._bar = (filled, ticks, name)

    def svg(self) -> bytes:
        """The bytes of the picture: the same for the same drawing."""
        if self._x:
            self._lay_out()
        stream = io.BytesIO()
        with warnings.catch_warnings():
            # Names may be in any script: the reader's own fonts draw what this one lacks.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            # Not `savefig`, which draws everything once more to find a bounding box that the layout fills anyway.
            self._page.print_svg(stream, metadata=_NO_METADATA)
        picture = stream.getvalue().replace(b"font-family: 'DejaVu Sans'", _FAMILIES)
        return picture.replace(b"</style>", dark_style() + b"</style>", 1)

    def _lay_out(self) -> None:
        whole = self.width - 2 * EDGE
        titles = [lines_of(text, whole) for text in (self._y, *self._notes) if text]
        handles, labels = self.axes.get_legend_handles_labels()
        if (own := self.axes.get_legend()) is not None:
            own.remove()
        columns = columns_of(labels, _BESIDE, whole)
        head = LINE * (sum(title.count("\n") + 1 for title in titles) + -(-len(labels) // columns)) + 2 * EDGE
        below = lines_of(self._x, whole)
        foot = LINE * (below.count("\n") + 2) + 2 * EDGE
        self._resize(max(self.height, head + foot + _LEAST))
        self._place(head, foot)
        self.write(self.width / 2, EDGE, below, ha="center", va="bottom")
        top = self.height - EDGE
        for title in titles:
            self.write(EDGE, top, title, ha="left", va="top")
            top -= LINE * (title.count("\n") + 1)
        if labels:
            corner = (EDGE / self.width, top / self.height)
            self.figure.legend(handles, labels, loc="upper left", bbox_to_anchor=corner, ncols=columns)

    def _resize(self, height: float) -> None:
        self.height = height
        self.figure.set_size_inches(self.width / 72, height / 72)

    def _place(self, head: float, foot: float) -> None:
        """The axes where words leave room, and numbers along them."""
        tall = self.height - head - foot
        if self.names:
            self.axes.set_yticks([])
            names = self.names
        else:
            ticks, names = shown_on(self.axes.yaxis, tall)
            self.axes.set_yticks(ticks, names)
        self.axes.minorticks_off()
        left = EDGE + max(map(breadth, names), default=0.0) + 6
        right = EDGE + self._right()
        wide = self.width - left - right
        if self.square:
            (x0, x1), (y0, y1) = self.axes.get_xlim(), self.axes.get_ylim()
            scale = min(wide / (x1 - x0), tall / (y1 - y0))
            wide, tall = scale * (x1 - x0), scale * (y1 - y0)
        self.axes.set_position(self.box(left, foot, wide, tall))
        self.axes.set_xticks(*shown_on(self.axes.xaxis, wide))
        self.axes.minorticks_off()
        for row, name in enumerate(self.names):
            middle = foot + tall * self._height_of(row)
            lines = name.split("\n")  # each by itself, as matplotlib has other widths for letters that it lacks
            for line, text in enumerate(lines):
                self.write(left - 4, middle + LINE * ((len(lines) - 1) / 2 - line), text, ha="right", va="center")
        if self._bar:
            self._draw_bar(left + wide + _BAR[0], foot, tall)

    def _height_of(self, row: int) -> float:
        """Where a row is, as a share of the axes."""
        foot, top = self.axes.get_ylim()
        return (row - foot) / (top - foot)

    def _right(self) -> float:
        """Points beside the axes: for a colour bar, its numbers and its name, or for half of the last number."""
        if self._bar is None:
            return 10
        return sum(_BAR) + max(map(breadth, numbers(self._bar[1])), default=0.0) + LINE

    def _draw_bar(self, left: float, foot: float, tall: float) -> None:
        if self._bar is None:
            return
        filled, ticks, name = self._bar
        place = self.figure.add_axes(self.box(left, foot, _BAR[1], tall))
        bar = self.figure.colorbar(filled, cax=place)
        bar.set_ticks(ticks, labels=numbers(ticks))
        bar.minorticks_off()
        bar.outline.set_visible(False)
        right = left - _BAR[0] + self._right() - LINE + 3
        self.write(right, foot + tall / 2, fitted(name, self.height - foot), rotation=90, ha="left", va="center")

    def box(self, left: float, foot: float, wide: float, tall: float) -> tuple[float, float, float, float]:
        """Points as shares of the figure, which is how axes are placed."""
        return left / self.width, foot / self.height, wide / self.width, tall / self.height

    def write(self, x: float, y: float, text: str, **placed: Any) -> None:
        """Words at a place, in points from the lower left."""
        self.figure.text(x / self.width, y / self.height, text, **placed)


@contextmanager
def new_canvas(width: float = WIDTH, height: float = HEIGHT) -> Iterator[Canvas]:
    """A figure to draw on and to read as SVG before it is left; matplotlib's settings are its own again after it."""
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()  # the user's own code may have chosen a style
        rcParams.update(_STYLE)
        yield Canvas(width, height)
