"""What two audits have drawn alike, in one picture: A filled and solid, B hollow and dashed, wherever they are."""

from __future__ import annotations

from landscape_audit.detail import Bars, Known, Line, Spectrum
from landscape_audit.figures.compared import bars, line, spectrum


def drawn_together(a: Known, b: Known) -> tuple[bytes, str] | None:
    """Both as one SVG and in words; None where they are of a kind that only goes side by side."""
    match a, b:
        case Line(), Line():
            return line.draw(a, b), line.alt(a, b)
        case Spectrum(), Spectrum():
            return spectrum.draw(a, b), spectrum.alt(a, b)
        case Bars(), Bars():
            return bars.draw(a, b), bars.alt(a, b)
        case _:
            return None
