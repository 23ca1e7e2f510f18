"""Drawings: one file a detail kind, all on the canvas of svg.py. matplotlib is imported when one is drawn."""

from __future__ import annotations

from landscape_audit.detail import Bars, Detail, Line, Panels, Spectrum, Surface
from landscape_audit.figures import bars, line, panels, spectrum, surface


def drawn(detail: Detail) -> tuple[bytes, str] | None:
    """A detail's picture as SVG and in words; None for what a page sets itself: a table, a decision."""
    match detail:
        case Line():
            return line.draw(detail), line.alt(detail)
        case Surface():
            return surface.draw(detail), surface.alt(detail)
        case Spectrum():
            return spectrum.draw(detail), spectrum.alt(detail)
        case Bars():
            return bars.draw(detail), bars.alt(detail)
        case Panels():
            return panels.draw(detail), panels.alt(detail)
        case _:
            return None
