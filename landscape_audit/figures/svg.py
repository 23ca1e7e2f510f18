"""The only file that knows matplotlib: one style, stable bytes, nothing global touched."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Self

from landscape_audit.text import number, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from landscape_audit.results import Axis

# Okabe & Ito's colours: told apart with any colour vision, and of different lightness, so also in grey.
MEASURED = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PREDICTED = "#D55E00"
REFERENCE = "#6b7280"
INK = "#1f2937"
FAINT = "#d1d5db"

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "landscape-audit",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.parse_math": False,  # names are foreign: a dollar sign is a dollar sign, never a formula to parse
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
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
}


class Canvas:
    """One figure in the house style, drawn inside a `with` and read as SVG after it."""

    def __init__(self, width: float = 5.6, height: float = 3.1) -> None:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        self._context = rc_context(_STYLE)
        self._context.__enter__()
        self.figure: Figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(self.figure)
        self.axes: Axes = self.figure.add_subplot()
        self.axes.set_axisbelow(True)

    def __enter__(self) -> Self:
        """Draw on `axes`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give matplotlib its own settings back."""
        self._context.__exit__(None, None, None)

    def label(self, x: Axis, y: Axis) -> None:
        """Both axes named, with units, on their scales."""
        self.axes.set_xlabel(worded(x))
        self.axes.set_ylabel(worded(y))

    def svg(self) -> bytes:
        """The bytes of the picture: the same for the same drawing."""
        for axis in (self.axes.xaxis, self.axes.yaxis):
            if axis.get_scale() in {"log", "symlog"}:  # their own labels are mathtext, which foreign names must not be
                axis.set_major_formatter(lambda value, _: number(value, 2))
                axis.set_minor_formatter(lambda *_: "")
        stream = io.BytesIO()
        self.figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
        return stream.getvalue()


def worded(axis: Axis) -> str:
    """`Rise of the loss [loss]`."""
    named = axis.unit and axis.unit.lower() != axis.label.lower()
    return legible(f"{axis.label} [{axis.unit}]" if named else axis.label, 80)


def legible(text: str, most: int = 34) -> str:
    """Foreign text as a figure can carry it: printable, on one line, its middle left out where it is long."""
    shown = " ".join(printable(text, 500).split())
    return shown if len(shown) <= most else f"{shown[: most // 2 - 1]}…{shown[-most // 2 :]}"


def threshold(values: list[float]) -> float:
    """Where a symmetric log axis turns linear: at the smallest tenth of what is drawn, not at a single tiny value."""
    sizes = sorted(abs(value) for value in values if value)
    return sizes[len(sizes) // 10] if sizes else 1.0
