"""The only file that knows matplotlib: one style, one place for everything, stable bytes, nothing global touched."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from landscape_audit.figures.dark import dark_style
from landscape_audit.figures.lettering import SIZE, breadth, columns_of, fitted, lines_of
from landscape_audit.figures.ticks import numbers, shown_on, write_powers
from landscape_audit.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet
    from matplotlib.figure import Figure

    from landscape_audit.detail import Axis

INK = "#1f2937"
PAPER = "#ffffff"
FAINT = "#d1d5db"
GRID = "#eef0f3"
REFERENCE = "#6b7280"


class Look(NamedTuple):
    """How one meaning is drawn: colour, dash and marker, so that the last two do where the first does not."""

    colour: str
    dash: str
    marker: str


# One meaning, one look, in every figure. The hues are Okabe & Ito's, which are told apart with any colour vision.
LOOKS = {
    "measured": Look("#0072B2", "-", "o"),  # of the checkpoint that the report is about
    "predicted": Look("#D55E00", "--", ""),  # by a model of the loss, not measured
    "resolved": Look("#009E73", "-", "D"),  # an eigenvalue with an interval of its own
    "reference": Look(REFERENCE, ":", ""),  # limits, thresholds, zero
    "checkpoint": Look(INK, "", "o"),  # filled with paper
    "A": Look("#0072B2", "-", "o"),  # before; filled
    "B": Look("#CC79A7", "--", "s"),  # after; hollow. Neither has a colour of better or worse
    "base": Look("#0072B2", "-", "o"),
    "SAM": Look("#E69F00", "-.", "s"),
    "ASAM": Look("#CC79A7", "--", "D"),
}
A, B, BASE, SAM, ASAM = (LOOKS[name] for name in ("A", "B", "base", "SAM", "ASAM"))
COMPARED = (A.colour, B.colour)
TWINS = {name: LOOKS[name] for name in ("base", "SAM", "ASAM")}

SERIES = (
    LOOKS["measured"],
    Look("#E69F00", "-", "^"),
    Look("#56B4E9", "-.", "D"),
    Look("#CC79A7", "-", "s"),
    Look("#0072B2", ":", "v"),
    Look("#E69F00", "-.", "P"),
    Look("#56B4E9", ":", "X"),
    Look("#CC79A7", ":", "h"),
)
"""Curves of one figure that are all measured, in order; the first is the one that the figure is about."""
MEASURED = tuple(look.colour for look in SERIES)
PREDICTED = LOOKS["predicted"].colour
RESOLVED = LOOKS["resolved"].colour

WIDTH, HEIGHT = 3.6, 2.6
"""Inches, of everything that may stand beside another figure: letters of 8 points then print at 7.5 in pairs on A4, and
are 11 pixels high across a telephone of 360."""

_FAMILIES = b"font-family: Audit, 'DejaVu Sans', Verdana, sans-serif"
"""What letters are drawn in: the PDF's own font, and on a screen whatever of these there is; their widths are alike."""

_NO_METADATA: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))

_EDGE = 4.0
_LINE = 11.5
_BESIDE = 36.0
"""Points: around a figure, from line to line of words, and of a legend's entry that is not its words."""
_BAR = (10.0, 8.0, 4.0)
"""Points before a colour bar, of it, and between it and its numbers."""

_LEAST = 86.0
"""Points that the axes are tall at least, however much stands above them."""
LARGEST, SMALLEST = 1e300, 1e-300
"""What lies beyond is drawn there, and what is less as zero: matplotlib's differences and quotients must be finite."""

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
        else:
            self._leave_layout_to_matplotlib()
        stream = io.BytesIO()
        with warnings.catch_warnings():
            # Names may be in any script: the reader's own fonts draw what this one lacks.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            # Not `savefig`, which draws everything once more to find a bounding box that the layout fills anyway.
            self._page.print_svg(stream, metadata=_NO_METADATA)
        picture = stream.getvalue().replace(b"font-family: 'DejaVu Sans'", _FAMILIES)
        return picture.replace(b"</style>", dark_style() + b"</style>", 1)

    def _lay_out(self) -> None:
        whole = self.width - 2 * _EDGE
        titles = [lines_of(text, whole) for text in (self._y, *self._notes) if text]
        handles, labels = self.axes.get_legend_handles_labels()
        if (own := self.axes.get_legend()) is not None:
            own.remove()
        columns = columns_of(labels, _BESIDE, whole)
        head = _LINE * (sum(title.count("\n") + 1 for title in titles) + -(-len(labels) // columns)) + 2 * _EDGE
        below = lines_of(self._x, whole)
        foot = _LINE * (below.count("\n") + 2) + 2 * _EDGE
        self._resize(max(self.height, head + foot + _LEAST))
        self._place(head, foot)
        self._write(self.width / 2, _EDGE, below, ha="center", va="bottom")
        top = self.height - _EDGE
        for title in titles:
            self._write(_EDGE, top, title, ha="left", va="top")
            top -= _LINE * (title.count("\n") + 1)
        if labels:
            corner = (_EDGE / self.width, top / self.height)
            self.figure.legend(handles, labels, loc="upper left", bbox_to_anchor=corner, ncols=columns)

    def _leave_layout_to_matplotlib(self) -> None:
        """For a figure of several axes, or of one whose words are not where they are in all others."""
        self.figure.set_layout_engine("constrained")
        for axes in self.figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                write_powers(axis)

    def _resize(self, height: float) -> None:
        self.height = height
        self.figure.set_size_inches(self.width / 72, height / 72)

    def _place(self, head: float, foot: float) -> None:
        """The axes where words leave room, and numbers along them."""
        tall = self.height - head - foot
        if self.names:
            self.axes.set_yticks(range(len(self.names)), self.names, parse_math=False)
            names = self.names
        else:
            ticks, names = shown_on(self.axes.yaxis, tall)
            self.axes.set_yticks(ticks, names)
        self.axes.minorticks_off()
        left = _EDGE + max(map(breadth, names), default=0.0) + 6
        right = _EDGE + self._beside()
        wide = self.width - left - right
        if self.square:
            (x0, x1), (y0, y1) = self.axes.get_xlim(), self.axes.get_ylim()
            scale = min(wide / (x1 - x0), tall / (y1 - y0))
            wide, tall = scale * (x1 - x0), scale * (y1 - y0)
        self.axes.set_position(self._box(left, foot, wide, tall))
        self.axes.set_xticks(*shown_on(self.axes.xaxis, wide))
        self.axes.minorticks_off()
        if self._bar:
            self._draw_bar(left + wide + _BAR[0], foot, tall)

    def _beside(self) -> float:
        """Points beside the axes: for a colour bar, its numbers and its name, or for half of the last number."""
        if self._bar is None:
            return 10
        return sum(_BAR) + max(map(breadth, numbers(self._bar[1])), default=0.0) + _LINE

    def _draw_bar(self, left: float, foot: float, tall: float) -> None:
        if self._bar is None:
            return
        filled, ticks, name = self._bar
        place = self.figure.add_axes(self._box(left, foot, _BAR[1], tall))
        bar = self.figure.colorbar(filled, cax=place)
        bar.set_ticks(ticks, labels=numbers(ticks))
        bar.minorticks_off()
        bar.outline.set_visible(False)
        right = left - _BAR[0] + self._beside() - _LINE + 3
        self._write(right, foot + tall / 2, fitted(name, self.height - foot), rotation=90, ha="left", va="center")

    def _box(self, left: float, foot: float, wide: float, tall: float) -> tuple[float, float, float, float]:
        return left / self.width, foot / self.height, wide / self.width, tall / self.height

    def _write(self, x: float, y: float, text: str, **placed: Any) -> None:
        self.figure.text(x / self.width, y / self.height, text, **placed)


@contextmanager
def new_canvas(width: float = WIDTH, height: float = HEIGHT) -> Iterator[Canvas]:
    """A figure to draw on and to read as SVG before it is left; matplotlib's settings are its own again after it."""
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()  # the user's own code may have chosen a style
        rcParams.update(_STYLE)
        yield Canvas(width, height)


def told_apart(group: str, groups: list[str]) -> tuple[str, str]:
    """The colour of a group and the shape of its points: its own wherever it has one, else by its place."""
    look = TWINS.get(group, SERIES[groups.index(group) % len(SERIES)])
    return look.colour, look.marker


def worded(axis: Axis) -> str:
    """`Rise of the loss [loss]`."""
    named = axis.unit and axis.unit.lower() != axis.label.lower()
    return legible(f"{axis.label} [{axis.unit}]" if named else axis.label, 80)


def legible(text: str, most: int = 34) -> str:
    """Foreign text as a figure can carry it: printable, on one line, its middle left out where it is long."""
    shown = " ".join(printable(text, 500).split())
    return shown if len(shown) <= most else f"{shown[: most // 2 - 1]}…{shown[-most // 2 :]}"


def drawable(value: float | None) -> float:
    """A value as an axis can carry it: 1e300 at most, zero below 1e-300, nothing for one that is not finite."""
    if value is None:
        return math.nan
    return max(-LARGEST, min(LARGEST, value)) if abs(value) >= SMALLEST else 0.0


def decades(linthresh: float, low: float, high: float, most: int = 9) -> list[float]:
    """Ticks of a symmetric log axis: zero, and on both sides powers of ten that the linear middle does not crush."""
    sides = [(sign, end) for sign, end in ((-1.0, -low), (1.0, high)) if end >= linthresh]
    first = math.ceil(math.log10(linthresh))
    last = max((math.floor(math.log10(end)) for _, end in sides), default=first)
    step = max(1, math.ceil((last - first + 1) * len(sides) / most))
    powers = [10.0**power for power in range(last, first - 1, -step)]
    ticks = [sign * power for sign, end in sides for power in powers if power <= end]
    return sorted({0.0, *(ticks if len(ticks) > 1 else (low, high))})


def threshold(values: list[float]) -> float:
    """Where a symmetric log axis turns linear: at the smallest tenth of what is drawn, not at a single tiny value.

    And not more than fifteen powers of ten below the largest, which is all that a number of the computer's has.
    """
    sizes = sorted(abs(value) for value in values if value)
    return max(sizes[len(sizes) // 10], 1e-15 * sizes[-1]) if sizes else 1.0
