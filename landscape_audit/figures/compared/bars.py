"""The named values that two audits share."""

from __future__ import annotations

from landscape_audit.detail import Bar, Bars
from landscape_audit.figures.lettering import fitted, legible
from landscape_audit.figures.looks import COMPARED, INK
from landscape_audit.figures.svg import new_canvas
from landscape_audit.figures.whiskers import NAME
from landscape_audit.text import number, printable

MOST = 20
"""Names that a figure can carry with two bars each; the table behind it has the rest."""
_HEIGHT = 0.36


def shared(a: Bars, b: Bars) -> tuple[tuple[Bar, Bar], ...]:
    """The bars that both have under one name, in A's order."""
    of_b = {bar.label: bar for bar in b.bars}
    return tuple((bar, of_b[bar.label]) for bar in a.bars if bar.label in of_b)


def draw(a: Bars, b: Bars) -> bytes:
    """A filled above B hollow, each with its interval."""
    pairs = shared(a, b)[:MOST]
    with new_canvas(height=0.9 + 0.34 * max(3, len(pairs))) as canvas:
        axes = canvas.axes
        if b.axis.scale == "log" and any((bar.value or 0) > 0 for pair in pairs for bar in pair):
            axes.set_xscale("log")
        for side, (letter, look) in enumerate(COMPARED.items()):
            bars = [pair[side] for pair in pairs]
            places = [row + (side - 0.5) * (_HEIGHT + 0.04) for row in range(len(pairs))]
            values = [bar.value or 0.0 for bar in bars]
            axes.barh(places, values, _HEIGHT, color=look.filling, edgecolor=look.colour, label=letter)
            for place, bar in zip(places, bars, strict=True):
                if bar.low is not None and bar.high is not None:
                    axes.hlines(place, bar.low, bar.high, color=INK, linewidth=1.4)
        canvas.rows([fitted(legible(bar.label, 60), NAME) for bar, _ in pairs], of=len(shared(a, b)))
        canvas.label(b.axis)
        return canvas.svg()


def alt(a: Bars, b: Bars) -> str:
    """The bars of both in words, the first five of them."""
    pairs = shared(a, b)
    first = ", ".join(
        f"{printable(one.label, 60)} {number(one.value, 3)} in A and {number(other.value, 3)} in B"
        for one, other in pairs[:5]
    )
    more = f", and {len(pairs) - 5} more" if len(pairs) > 5 else ""
    return f"{b.title}. {first}{more}."
