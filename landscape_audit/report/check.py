"""A check as a reader sees it: what it asks, what it found, its pictures, and what it cost."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from landscape_audit.detail import Decision, Detail, Panels, Surface, Table
from landscape_audit.estimate import Label
from landscape_audit.figures import drawn
from landscape_audit.figures.decision import Ladder, alt, ladder
from landscape_audit.ids import word_of
from landscape_audit.report.anchor import anchor
from landscape_audit.report.cost import in_gradients
from landscape_audit.report.estimate import estimates_table
from landscape_audit.report.scene import SceneView, scene_of
from landscape_audit.report.tables import TableView, numbers_behind, table_of
from landscape_audit.results import AuditResults, CheckResult, Cost, Failed, Measured, NotApplicable, Outcome
from landscape_audit.text import count, printable


@dataclass(frozen=True)
class FigureView:
    """A picture, its words, and the numbers behind it; of a surface also what it takes to turn it.

    A decision has no `source`: its `ladder` is set by the page.
    """

    id: str
    anchor: str
    title: str
    finding: str
    expected: str
    alt: str
    source: str
    numbers: TableView
    scene: SceneView | None
    ladder: Ladder | None = None
    wide: bool = False


@dataclass(frozen=True)
class CheckView:
    """One check: what it asks, what it found, what to keep in mind."""

    id: str
    anchor: str
    title: str
    question: str
    source: str
    version: int
    status: str
    message: str
    labels: tuple[tuple[str, str, str], ...]
    estimates: TableView
    figures: tuple[FigureView, ...]
    tables: tuple[TableView, ...]
    caveats: tuple[str, ...]
    cost: str


def check_of(check: CheckResult, results: AuditResults) -> CheckView:
    """One check; a check without numbers says why it has none."""
    outcome = check.outcome
    measured = outcome if isinstance(outcome, Measured) else Measured()
    spent = sum((probe.cost for probe in results.protocol.probes if probe.name in check.probes), Cost())
    return CheckView(
        id=printable(check.id),
        anchor=anchor(check.id),
        title=printable(check.title, 400),
        question=printable(check.question, 400),
        source=printable(check.source, 400),
        version=check.version,
        status=outcome.status,
        message=_why_not(outcome),
        labels=tuple(
            (printable(name).replace("_", " "), _word(f"{check.id}.{name}", label), printable(label.reason, 600))
            for name, label in measured.labels.items()
        ),
        estimates=estimates_table(
            f"Estimates of {printable(check.title, 400)}",
            {f"{check.id}.{name}": found for name, found in measured.estimates.items()},
            results.data.metric,
        ),
        figures=tuple(figure for detail in measured.details if (figure := _figure(check.id, detail)) is not None),
        tables=tuple(table_of(detail) for detail in measured.details if isinstance(detail, Table)),
        caveats=tuple(printable(caveat, 600) for caveat in measured.caveats),
        cost=f"{_cost(in_gradients(spent, results.run))}, shared with every check on the same measurements",
    )


def _word(key: str, label: Label) -> str:
    return printable(word_of(key, label.value))


def _why_not(outcome: Outcome) -> str:
    match outcome:
        case Failed():
            return f"This check failed, and its numbers are missing: {printable(outcome.error, 1000)}"
        case NotApplicable():
            return f"Not applicable here: {printable(outcome.reason, 1000)}"
        case Measured():
            return ""


def _figure(check: str, detail: Detail) -> FigureView | None:
    if isinstance(detail, Decision):
        return _shown(check, detail, "", alt(detail), rungs=ladder(detail))
    found = drawn(detail)
    if found is None:
        return None
    picture, words = found
    return _shown(check, detail, f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}", words)


def _shown(check: str, detail: Detail, source: str, words: str, rungs: Ladder | None = None) -> FigureView:
    return FigureView(
        id=detail.name,
        anchor=anchor(check, detail.name),
        title=printable(detail.title, 200),
        finding=printable(detail.finding, 600),
        expected=printable(detail.expected, 400),
        alt=printable(words, 1500),
        source=source,
        numbers=numbers_behind(detail),
        scene=scene_of(detail, words) if isinstance(detail, Surface) else None,
        ladder=rungs,
        wide=isinstance(detail, (Decision, Panels)),
    )


def _cost(gradients: float) -> str:
    return count(round(gradients), "gradient") if gradients >= 1 else "less than a gradient"
