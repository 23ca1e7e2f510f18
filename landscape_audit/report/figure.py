"""A figure as a reader sees it: the picture, its words, and the numbers behind it."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from landscape_audit.detail import Decision, Detail, Known, Panels, Surface, Unknown
from landscape_audit.figures import drawn
from landscape_audit.report.anchor import anchor
from landscape_audit.report.decision import Ladder, alt, ladder
from landscape_audit.report.scene import SceneView, scene_of
from landscape_audit.report.tables import TableView, numbers_behind
from landscape_audit.text import printable


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """A picture, its words, and the numbers behind it; of a surface also what it takes to turn it.

    A decision has no `source`: its `ladder` is set by the page.
    """

    id: str
    anchor: str
    title: str
    finding: str
    expected: str = ""
    reading: str = ""
    alt: str
    source: str
    numbers: TableView
    scene: SceneView | None = None
    ladder: Ladder | None = None
    wide: bool = False


def figure_of(check: str, detail: Detail) -> FigureView | None:
    """The figure of a detail; None where it is a table, or of a kind that only a newer release can draw."""
    if isinstance(detail, Unknown):
        return None
    if isinstance(detail, Decision):
        return _shown(check, detail, "", alt(detail), rungs=ladder(detail))
    found = drawn(detail)
    if found is None:
        return None
    picture, words = found
    return _shown(check, detail, embedded(picture), words)


def embedded(picture: bytes) -> str:
    """An SVG as an address that holds it whole."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"


def _shown(check: str, detail: Known, source: str, words: str, rungs: Ladder | None = None) -> FigureView:
    return FigureView(
        id=detail.name,
        anchor=anchor(check, detail.name),
        title=printable(detail.title, 200),
        finding=printable(detail.finding, 600),
        alt=printable(words, 1500),
        source=source,
        numbers=numbers_behind(detail),
        expected=printable(detail.expected, 400),
        reading=printable(detail.reading, 600),
        scene=scene_of(detail, words) if isinstance(detail, Surface) else None,
        ladder=rungs,
        wide=isinstance(detail, (Decision, Panels)),
    )
