"""A check as a reader sees it: what it asks, what it found, its pictures, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from landscape_audit.detail import Detail, Table, Unknown
from landscape_audit.estimate import Estimate, Label
from landscape_audit.ids import ANY, HEADLINES, declared, word_of
from landscape_audit.report.anchor import anchor
from landscape_audit.report.cost import in_gradients
from landscape_audit.report.estimate import EstimateView, estimate_of, estimates_table
from landscape_audit.report.figure import FigureView, figure_of
from landscape_audit.report.tables import TableView, table_of
from landscape_audit.results import AuditResults, CheckResult, Cost, Failed, Measured, NotApplicable, Outcome
from landscape_audit.text import count, listed, printable


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
    result: str
    """What it found in a word or a number, for a list of the checks."""
    labels: tuple[tuple[str, str, str], ...]
    answer: EstimateView | None
    """Its first number, of a check that gives no label: what a reader asks for first."""
    estimates: TableView
    figures: tuple[FigureView, ...]
    tables: tuple[TableView, ...]
    caveats: tuple[str, ...]
    cost: str


def check_of(check: CheckResult, results: AuditResults) -> CheckView:
    """One check; a check without numbers says why it has none."""
    outcome = check.outcome
    measured = outcome if isinstance(outcome, Measured) else Measured()
    estimates = {f"{check.id}.{name}": found for name, found in measured.estimates.items()}
    answer = _first(estimates, results.data.metric)
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
        result=_result(check.id, outcome, answer),
        labels=tuple(
            (printable(name).replace("_", " "), _word(f"{check.id}.{name}", label), printable(label.reason, 600))
            for name, label in measured.labels.items()
        ),
        answer=None if measured.labels else answer,
        estimates=estimates_table(f"Estimates of {printable(check.title, 400)}", estimates, results.data.metric),
        figures=tuple(figure for detail in measured.details if (figure := figure_of(check.id, detail)) is not None),
        tables=tuple(table_of(detail) for detail in measured.details if isinstance(detail, Table)),
        caveats=(*(printable(caveat, 600) for caveat in measured.caveats), *_left_out(measured.details)),
        cost=f"{_cost(in_gradients(spent, results.run))}, shared with every check on the same measurements",
    )


def _word(key: str, label: Label) -> str:
    return "nothing found" if label.value == "none" else printable(word_of(key, label.value))


def _first(estimates: Mapping[str, Estimate], metric: str | None) -> EstimateView | None:
    """The number that people ask for first, or else the first there is."""
    key = next((key for key in HEADLINES if key in estimates), next(iter(estimates), None))
    return None if key is None else estimate_of(key, estimates[key], metric)


def _result(check: str, outcome: Outcome, answer: EstimateView | None) -> str:
    if not isinstance(outcome, Measured):
        return outcome.status.replace("_", " ")
    for name, label in outcome.labels.items():
        what = declared(f"{check}.{name}")
        word = _word(f"{check}.{name}", label)
        if label.value == "none" or what is None or what.words != ANY:
            return word
        return printable(f"{name.replace('_', ' ')}: {word}", 40)
    return answer.value if answer and answer.key in HEADLINES else ""


def _why_not(outcome: Outcome) -> str:
    match outcome:
        case Failed():
            return f"This check failed, and its numbers are missing: {printable(outcome.error, 1000)}"
        case NotApplicable():
            return f"Not applicable here: {printable(outcome.reason, 1000)}"
        case Measured():
            return ""


def _left_out(details: tuple[Detail, ...]) -> tuple[str, ...]:
    kinds = [printable(detail.kind) for detail in details if isinstance(detail, Unknown)]
    if not kinds:
        return ()
    what = "A figure or table is" if len(kinds) == 1 else f"{len(kinds)} figures or tables are"
    return (f"{what} left out here, of a kind that only a newer release can show: {listed(dict.fromkeys(kinds))}.",)


def _cost(gradients: float) -> str:
    return count(round(gradients), "gradient") if gradients >= 1 else "less than a gradient"
