"""Two audits side by side, as a reader sees them."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.comparison.changes import changes
from landscape_audit.ids import HEADLINES
from landscape_audit.report.baseline import certain_of, changed_in_all, labels_of, numbers_of, obstacles_of, together
from landscape_audit.report.provenance import identity_of
from landscape_audit.report.tables import TableView, capped
from landscape_audit.report.words import WORDS
from landscape_audit.results import AuditResults
from landscape_audit.text import printable


@dataclass(frozen=True)
class ComparisonView:
    """From the audit A to the audit B."""

    title: str
    tone: str
    word: str
    sentence: str
    verdict: str
    """Both verdicts in a word each."""
    certain: tuple[str, ...]
    """What changed whatever the uncertainty, and how much."""
    obstacles: tuple[str, ...]
    verdicts: TableView
    numbers: TableView
    labels: TableView
    settings: TableView
    identity: TableView
    finished: str


def compared(a: AuditResults, b: AuditResults) -> AuditResults:
    """B with A as its baseline: everything that a comparison tells follows from that."""
    return b.model_copy(update={"baseline": baseline_of(b, a)})


def comparison(a: AuditResults, b: AuditResults, *, every: bool = False) -> ComparisonView:
    """What changed from A to B: the headline numbers, or every number that both have."""
    both = compared(a, b)
    baseline = both.baseline
    differences = baseline.differences if baseline else ()
    found = changes(both, None if every else HEADLINES)
    incomparable = sum(each.word == "not comparable" for each in found)
    apart = bool(found) and incomparable == len(found)
    return ComparisonView(
        title=" → ".join(printable(each.subject.name, 80) for each in (a, b)),
        tone="open" if incomparable else "plain",
        word="Not comparable" if apart else "Comparable in part" if incomparable else "Comparable",
        sentence=changed_in_all(found, "number"),
        verdict=" → ".join(_word(each) for each in (a, b)),
        certain=certain_of(found, b.data.metric),
        obstacles=obstacles_of(baseline) if baseline else (),
        verdicts=_verdicts(a, b),
        numbers=numbers_of(found, b.data.metric, before="A", now="B"),
        labels=labels_of(both, before="A", now="B"),
        settings=capped(
            "Settings and surroundings that changed",
            "",
            ["Setting", "A", "B"],
            [list(told) for told in together(each for each in differences if not each.hard)],
            numeric=[False] * 3,
        ),
        identity=_identity(a, b),
        finished=b.run.finished,
    )


def _verdicts(a: AuditResults, b: AuditResults) -> TableView:
    rows = [[side, _word(each), printable(each.verdict.sentence, 600)] for side, each in (("A", a), ("B", b))]
    return capped("Verdicts", "", ["Audit", "Verdict", "Why"], rows, numeric=[False] * 3)


def _word(results: AuditResults) -> str:
    return f"{WORDS[results.verdict.word][0]} {results.verdict.word}"


def _identity(a: AuditResults, b: AuditResults) -> TableView:
    there, here = (dict(identity_of(each)) for each in (a, b))
    rows = [[name, there.get(name, "—"), value] for name, value in here.items()]
    return capped("What was audited", "", ["What", "A", "B"], rows, numeric=[False] * 3)
