"""Two audits side by side with what both have drawn: ratios around 1, curves and densities in one picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from landscape_audit.comparison.changes import Change
from landscape_audit.detail import Bar, Bars, Known, Line, Spectrum, Surface, Table, Unknown
from landscape_audit.figures import forest, surface
from landscape_audit.figures.compared import drawn_together
from landscape_audit.figures.compared.bars import shared
from landscape_audit.figures.compared.line import overlaid
from landscape_audit.report.anchor import anchor
from landscape_audit.report.compare_view import ComparisonView, compared, comparison, found_between, rows_of
from landscape_audit.report.figure import FigureView, embedded
from landscape_audit.report.tables import TableView, capped, cell, numbers_behind
from landscape_audit.results import AuditResults, Baseline, Measured
from landscape_audit.text import printable

PLACES = (
    ("surface", "slice_v_max"),
    ("spectral_density", "density"),
    ("surface", "plane"),
    ("flatness", "rise"),
    ("gradient", "layers"),
    ("layer_curvature", "traces"),
)
"""What is drawn together, in this order: checks and what they call their figures."""
OWN = {("surface", "slice_v_max"): "Each is drawn along its own direction of highest curvature."}
RANDOM = {("surface", "plane"), ("flatness", "rise")}
"""What is drawn over random directions, which two audits may share."""
SAME = "The random directions are the same in both, each scaled by its own filters."
OTHER = "The random directions are others in B than in A."

Place = tuple[str, str]


@dataclass(frozen=True)
class ComparisonReport(ComparisonView):
    """The whole comparison, as a page has it."""

    forest: FigureView | None
    panels: tuple[FigureView, ...]
    apart: tuple[str, ...]
    """What is not drawn together, and why."""
    finished: str
    """When the later of the two audits ended."""


def comparison_report(a: AuditResults, b: AuditResults, *, every: bool = False) -> ComparisonReport:
    """What changed from A to B, drawn; the same for equal results."""
    seen = comparison(a, b, every=every)
    baseline = compared(a, b).baseline
    there, here = _details(a), _details(b)
    both = [place for place in PLACES if _why_apart(there.get(place), here.get(place)) is None]
    return ComparisonReport(
        **vars(seen),
        forest=_forest(found_between(a, b, every=every), b.data.metric, seen.ratios),
        panels=tuple(
            panel for place in both for panel in _panels(place, there[place], here[place], _note(place, baseline))
        ),
        apart=_apart(there, here),
        finished=later(a, b).run.finished,
    )


def later(a: AuditResults, b: AuditResults) -> AuditResults:
    """The audit that ended last: a comparison is dated like it."""
    return max(a, b, key=lambda each: each.finished().timestamp())


def _apart(there: Mapping[Place, Known], here: Mapping[Place, Known]) -> tuple[str, ...]:
    """`only A has them: …`: a line for each reason why something is not drawn together."""
    found: dict[str, list[str]] = {}
    for place in PLACES:
        either, why = here.get(place) or there.get(place), _why_apart(there.get(place), here.get(place))
        if either is not None and why is not None:
            found.setdefault(why, []).append(printable(either.title, 200))
    return tuple(f"Not drawn together, as {why}: {'; '.join(titles)}." for why, titles in found.items())


def _details(results: AuditResults) -> Mapping[Place, Known]:
    measured = ((check.id, check.outcome) for check in results.checks if isinstance(check.outcome, Measured))
    return {
        (name, detail.name): detail
        for name, outcome in measured
        for detail in outcome.details
        if not isinstance(detail, Unknown)
    }


def _why_apart(a: Known | None, b: Known | None) -> str | None:
    """Why two are not drawn together; None where they are."""
    if a is None or b is None:
        return f"only {'B' if a is None else 'A'} has them"
    if _axes(a) != _axes(b):
        return "the axes differ"
    if isinstance(a, Bars) and isinstance(b, Bars) and not shared(a, b):
        return "no name is in both"
    return None


def _axes(detail: Known) -> tuple[object, ...]:
    """What a figure measures; of another kind is always another."""
    match detail:
        case Line():
            return detail.kind, detail.x, detail.y
        case Surface():
            return detail.kind, detail.x, detail.y, detail.z_axis
        case Spectrum():
            return detail.kind, detail.x
        case Bars():
            return detail.kind, detail.axis
        case Table():
            return detail.kind, detail.columns
        case _:
            return (detail.kind,)


def _note(place: Place, baseline: Baseline | None) -> str:
    """What to know before the two are held against each other."""
    told = [OWN[place]] if place in OWN else []
    if baseline is None:
        return " ".join(told)
    if place in RANDOM:
        told.append(SAME if "probe" in baseline.paired else OTHER)
    keys = dict.fromkeys(printable(each.key) for each in baseline.obstacles(".".join(place)) if each.check is not None)
    return " ".join([*told, *([f"Not comparable: {', '.join(keys)}."] if keys else [])])


def _forest(found: tuple[Change, ...], metric: str | None, ratios: TableView) -> FigureView | None:
    rows = rows_of(found, metric)
    if not rows:
        return None
    cut = f" The first {forest.MOST} of {len(rows)}." if len(rows) > forest.MOST else ""
    without = f" {ratios.finding}" if ratios.finding else ""
    title = "Each number of B divided by that of A"
    finding = f"The most certain change first. An interval that reaches 1 settles nothing.{cut}{without}"
    return _figure(("ratios",), title, finding, (forest.draw(rows), forest.alt(rows)), ratios)


def _panels(place: Place, a: Known, b: Known, note: str) -> Iterator[FigureView]:
    """One picture of both, or of surfaces two in the same colours."""
    if isinstance(a, Surface) and isinstance(b, Surface):
        shades = surface.shades_of(a, b)
        for letter, each, more in (("A", a, f" Both in the same colours. {note}"), ("B", b, "")):
            drawn = surface.draw(each, shades), f"{letter}: {surface.alt(each)}"
            yield _figure(
                (*place, letter.lower()), f"{letter}: {each.title}", each.finding + more, drawn, numbers_behind(each)
            )
    elif (picture := drawn_together(a, b)) is not None:
        said = b.finding if a.finding == b.finding else f"A: {a.finding} B: {b.finding}"
        yield _figure(place, b.title, f"{said} {note}", picture, _numbers(a, b))


def _figure(
    name: tuple[str, ...], title: str, finding: str, drawn: tuple[bytes, str], numbers: TableView
) -> FigureView:
    picture, alt = drawn
    return FigureView(
        id=name[-1],
        anchor=anchor(*name),
        title=printable(title, 200),
        finding=printable(finding.strip(), 1500),
        alt=printable(alt, 1500),
        source=embedded(picture),
        numbers=numbers,
    )


def _numbers(a: Known, b: Known) -> TableView:
    """The numbers behind a picture of both."""
    match a, b:
        case Line(), Line():
            return numbers_behind(overlaid(a, b))
        case Spectrum(), Spectrum():
            return _by_name(b.title, a.outliers, b.outliers)
        case Bars(), Bars():
            return _by_name(b.title, a.bars, b.bars)
        case _:
            return numbers_behind(b)


def _by_name(title: str, a: tuple[Bar, ...], b: tuple[Bar, ...]) -> TableView:
    there, here = ({bar.label: bar for bar in bars} for bars in (a, b))
    rows = [
        [printable(name), *_ends(there.get(name)), *_ends(here.get(name))] for name in dict.fromkeys((*there, *here))
    ]
    heads = ["Name", *(f"{side}, {what}" for side in "AB" for what in ("value", "low", "high"))]
    return capped(f"Numbers of {printable(title)}", "", heads, rows, numeric=[False] + [True] * 6)


def _ends(bar: Bar | None) -> tuple[str, str, str]:
    return ("—", "—", "—") if bar is None else (cell(bar.value), cell(bar.low), cell(bar.high))
