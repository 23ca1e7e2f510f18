"""The only file that knows matplotlib: one style, stable bytes, nothing global touched."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from landscape_audit.text import number, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import XAxis, YAxis
    from matplotlib.figure import Figure

    from landscape_audit.detail import Axis

# Okabe & Ito's colours: told apart with any colour vision, and of different lightness, so also in grey.
MEASURED = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PREDICTED = "#D55E00"
BASE, SAM, ASAM = "#0072B2", "#E69F00", "#CC79A7"
TWINS = {"base": (BASE, "o"), "SAM": (SAM, "s"), "ASAM": (ASAM, "D")}
"""Colour and point of the groups that have their own wherever they are drawn."""
REFERENCE = "#6b7280"
INK = "#1f2937"
FAINT = "#d1d5db"

_FAMILIES = b"font-family: Audit, 'DejaVu Sans', Verdana, sans-serif"
"""What letters are drawn in: the PDF's own font, and on a screen whatever of these there is; their widths are alike."""

_NO_METADATA: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "landscape-audit",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.parse_math": False,  # names are foreign: a dollar sign is a dollar sign, never a formula to parse
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#eef0f3",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.pad": 5.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
}


class Canvas:
    """One figure in the house style; made by `new_canvas`, which gives matplotlib its own settings back."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        self.figure: Figure = Figure(figsize=(width, height), layout="constrained")
        self._page: Any = FigureCanvasSVG(self.figure)
        self.axes: Axes = self.figure.add_subplot()
        self.axes.set_axisbelow(True)

    def label(self, x: Axis, y: Axis) -> None:
        """Both axes named, with units, on their scales."""
        self.axes.set_xlabel(worded(x))
        self.axes.set_ylabel(worded(y))

    def svg(self) -> bytes:
        """The bytes of the picture: the same for the same drawing."""
        for axis in (self.axes.xaxis, self.axes.yaxis):
            _plain_ticks(axis)
        stream = io.BytesIO()
        # Not `savefig`, which draws everything once more to find a bounding box that the layout fills anyway.
        self._page.print_svg(stream, metadata=_NO_METADATA)
        return stream.getvalue().replace(b"font-family: 'DejaVu Sans'", _FAMILIES)


@contextmanager
def new_canvas(width: float = 5.6, height: float = 3.1) -> Iterator[Canvas]:
    """A figure to draw on and to read as SVG before it is left; matplotlib's settings are its own again after it."""
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()  # the user's own code may have chosen a style
        rcParams.update(_STYLE)
        yield Canvas(width, height)


def _plain_ticks(axis: XAxis | YAxis) -> None:
    """Ticks of a logarithmic axis in plain numbers: matplotlib writes formulas there, which names must not be."""
    scale = axis.get_scale()
    if scale not in {"log", "symlog"}:
        return
    axis.set_major_formatter(lambda value, _: number(value, 4))
    axis.minorticks_off()
    low, high = axis.get_view_interval()
    if scale == "log" and high < 1000 * low:
        from matplotlib.ticker import AutoLocator, LogLocator

        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if high > 10 * low else AutoLocator())


def told_apart(group: str, groups: list[str]) -> tuple[str, str]:
    """The colour of a group and the shape of its points: its own where it has one, else by its place."""
    place = groups.index(group)
    return TWINS.get(group, (MEASURED[place % len(MEASURED)], "osD^v"[place % 5]))


def worded(axis: Axis) -> str:
    """`Rise of the loss [loss]`."""
    named = axis.unit and axis.unit.lower() != axis.label.lower()
    return legible(f"{axis.label} [{axis.unit}]" if named else axis.label, 80)


def legible(text: str, most: int = 34) -> str:
    """Foreign text as a figure can carry it: printable, on one line, its middle left out where it is long."""
    shown = " ".join(printable(text, 500).split())
    return shown if len(shown) <= most else f"{shown[: most // 2 - 1]}…{shown[-most // 2 :]}"


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
    """Where a symmetric log axis turns linear: at the smallest tenth of what is drawn, not at a single tiny value."""
    sizes = sorted(abs(value) for value in values if value)
    return sizes[len(sizes) // 10] if sizes else 1.0
