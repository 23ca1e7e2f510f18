"""What stands around the verdict: what to know before it, and what it rests on."""

from __future__ import annotations

from landscape_audit.names import name_of
from landscape_audit.results import AuditResults, Verdict
from landscape_audit.text import printable


def banners_of(results: AuditResults) -> tuple[str, ...]:
    """Why a reader should not trust the verdict, where there is a reason."""
    banners = []
    if results.partial is not None:
        banners.append(f"This audit is not whole: {printable(results.partial, 400)}.")
    if not results.instrument.agrees:
        told = printable("; ".join(results.instrument.disagreements), 600)
        banners.append(f"The instrument disagrees with itself, so no number here should be trusted: {told}.")
    return tuple(banners)


def counts_of(verdict: Verdict) -> str:
    """How many gates passed, failed and stayed open; warnings and waivers only where there are any."""
    always = (f"{verdict.passed} passed", f"{verdict.failed} failed", f"{verdict.undecided} undecided")
    rare = [f"{number_of} {word}" for word in ("warned", "waived") if (number_of := getattr(verdict, word))]
    return ", ".join([*always, *rare])


def class_of_point(results: AuditResults) -> tuple[tuple[str, str, str], ...]:
    """The class of the stationary point with its reason; nothing where it was not asked for."""
    key = "stationarity.class"
    label = results.labels().get(key)
    return () if label is None else ((name_of(key), printable(label.value), printable(label.reason, 600)),)
