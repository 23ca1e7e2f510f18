"""An audit as a reader sees it: every number formatted, every foreign word made printable, nothing left to compute."""

from __future__ import annotations

from dataclasses import dataclass, replace

from landscape_audit.ids import HEADLINES
from landscape_audit.limits import known_limit
from landscape_audit.report.advice import AdviceListView, advice_of
from landscape_audit.report.anchor import SECTIONS, free
from landscape_audit.report.baseline import BaselineView, baseline_of
from landscape_audit.report.check import CheckView, check_of
from landscape_audit.report.cost import CostView, cost_of
from landscape_audit.report.estimate import EstimateView, estimate_of, values_table
from landscape_audit.report.figure import FigureView
from landscape_audit.report.gate import GateView, gates_of
from landscape_audit.report.policy import PolicyView, policy_of
from landscape_audit.report.provenance import identity_of, method_of, provenance_of
from landscape_audit.report.reproduce import how_of
from landscape_audit.report.sheet import Sheet, sheet_of
from landscape_audit.report.tables import TableView
from landscape_audit.report.verdict import banners_of, class_of_point, counts_of
from landscape_audit.report.words import GLOSSARY, INTERVALS, LET_BE, WORDS
from landscape_audit.results import AuditResults
from landscape_audit.text import printable

PANELS = (
    (("surface", "slice_v_max"),),
    (("surface", "eigenplane"), ("surface", "plane")),
    (("spectral_density", "density"),),
    (("flatness", "rise"),),
)
"""The figures at a glance: of each row the first that there is."""


@dataclass(frozen=True)
class FirstPage:
    """What a reader has to know: the verdict, what it rests on, and of what it is. It draws nothing."""

    title: str
    word: str
    glyph: str
    tone: str
    meaning: str
    sentence: str
    banners: tuple[str, ...]
    gates: tuple[GateView, ...]
    counts: str
    headlines: tuple[EstimateView, ...]
    labels: tuple[tuple[str, str, str], ...]
    baseline: BaselineView | None
    advice: AdviceListView
    identity: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    finished: str


@dataclass(frozen=True)
class ReportView(FirstPage):
    """The whole report."""

    sheet: Sheet
    panels: tuple[FigureView, ...]
    checks: tuple[CheckView, ...]
    method: tuple[tuple[str, str], ...]
    intervals: tuple[tuple[str, str], ...]
    cost: CostView
    policy: PolicyView
    provenance: tuple[tuple[str, str], ...]
    values: TableView
    glossary: tuple[tuple[str, str], ...]
    how: tuple[tuple[str, str, str], ...]
    known_limits: tuple[tuple[str, str, int | None], ...]
    """What the numbers do not say, with the id and the version of each sentence that this release knows."""


def first_page(results: AuditResults) -> FirstPage:
    """The first page of an audit, which is also what a summary or a model card has of it."""
    verdict, estimates = results.verdict, results.estimates()
    glyph, tone, meaning = WORDS[verdict.word]
    return FirstPage(
        title=f"Loss landscape audit of {printable(results.subject.name, 80)}",
        word=verdict.word,
        glyph=glyph,
        tone=tone,
        meaning=f"{meaning} {LET_BE}" if verdict.word == "UNDECIDED" and verdict.exit_code == 0 else meaning,
        sentence=printable(verdict.sentence, 600),
        banners=banners_of(results),
        gates=gates_of(results.gates, results.data.metric),
        counts=counts_of(verdict),
        headlines=tuple(estimate_of(key, estimates[key], results.data.metric) for key in HEADLINES if key in estimates),
        labels=class_of_point(results),
        baseline=baseline_of(results),
        advice=advice_of(results),
        identity=identity_of(results),
        limits=tuple(printable(limit, 600) for limit in results.limits),
        finished=results.run.finished,
    )


def view(results: AuditResults) -> ReportView:
    """The report of an audit; the same for equal results."""
    first = first_page(results)
    taken = {*SECTIONS, *(gate.anchor for gate in first.gates)}
    checks = tuple(_set_apart(check_of(check, results), taken) for check in results.checks)
    pictures = {(check.id, figure.id): figure for check in checks for figure in check.figures}
    return ReportView(
        **vars(first),
        sheet=sheet_of(first),
        panels=tuple(
            panel for row in PANELS if (panel := next((pictures[place] for place in row if place in pictures), None))
        ),
        checks=checks,
        method=method_of(results),
        intervals=INTERVALS,
        cost=cost_of(results),
        policy=policy_of(results),
        provenance=provenance_of(results),
        values=values_table(results.estimates()),
        glossary=GLOSSARY,
        how=how_of(results),
        known_limits=tuple(map(_limit, results.limits)),
    )


def _set_apart(check: CheckView, taken: set[str]) -> CheckView:
    """With anchors that nothing else on the page has."""
    own = free(check.anchor, taken)
    return replace(
        check,
        anchor=own,
        figures=tuple(replace(figure, anchor=free(figure.anchor, taken)) for figure in check.figures),
    )


def _limit(sentence: str) -> tuple[str, str, int | None]:
    known = known_limit(sentence)
    return printable(sentence, 600), known.id if known else "", known.version if known else None
