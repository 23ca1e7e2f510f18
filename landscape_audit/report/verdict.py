"""What stands around the verdict: what to know before it, and what it rests on."""

from __future__ import annotations

from landscape_audit.ids import name_of, word_of
from landscape_audit.results import SCHEMA_VERSION, AuditResults, Failed, Verdict
from landscape_audit.text import printable


def banners_of(results: AuditResults) -> tuple[str, ...]:
    """Why a reader should not trust the verdict, where there is a reason; the gravest first."""
    banners = [
        f"What was audited lies there no more, so this verdict is of no file that is there now: {printable(told, 400)}."
        for told in results.subject.replaced
    ]
    if results.is_newer():
        banners.append(
            f"A newer release wrote these results, in schema version {printable(results.schema_version, 20)}, and this "
            f"one reads {SCHEMA_VERSION}: what that added is left out here."
        )
    if not results.instrument.agrees:
        told = printable("; ".join(results.instrument.disagreements), 600)
        banners.append(f"The instrument disagrees with itself, so no number here should be trusted: {told}.")
    if results.partial is not None:
        banners.append(f"This audit is not whole: {printable(results.partial, 400)}.")
    return (*banners, *_failures(results))


def _failures(results: AuditResults) -> list[str]:
    """Why checks failed; once for all that failed alike, as those do that rest on one probe."""
    alike: dict[str, list[str]] = {}
    for check in results.checks:
        if isinstance(check.outcome, Failed):
            alike.setdefault(check.outcome.error, []).append(printable(check.id))
    return [
        f"The {'checks' if len(ids) > 1 else 'check'} {', '.join(ids)} failed: {printable(error, 400)}"
        for error, ids in alike.items()
    ]


def counts_of(verdict: Verdict) -> str:
    """How many gates passed, failed and stayed open; warnings and waivers only where there are any."""
    always = (f"{verdict.passed} passed", f"{verdict.failed} failed", f"{verdict.undecided} undecided")
    rare = [f"{number_of} {word}" for word in ("warned", "waived") if (number_of := getattr(verdict, word))]
    return ", ".join([*always, *rare])


def class_of_point(results: AuditResults) -> tuple[tuple[str, str, str], ...]:
    """The class of the stationary point with its reason; nothing where it was not asked for."""
    key = "stationarity.class"
    label = results.labels().get(key)
    if label is None:
        return ()
    return ((name_of(key), printable(word_of(key, label.value)), printable(label.reason, 600)),)
