"""What changed since the baseline, as a reader sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from landscape_audit.comparison.changes import Change, Tone, changes
from landscape_audit.ids import HEADLINES, name_of, word_of
from landscape_audit.intervals import with_interval
from landscape_audit.report.tables import TableView, capped
from landscape_audit.results import AuditResults, Baseline, Difference
from landscape_audit.text import count, printable

FIRST = 5
"""Changes on the first page; all of them stand under "Since the baseline"."""
_WORST_FIRST: tuple[Tone, ...] = ("bad", "open", "plain", "good")


@dataclass(frozen=True)
class BaselineView:
    """The baseline in a sentence, what cannot be compared and why, and the numbers that can be."""

    sentence: str
    obstacles: tuple[str, ...]
    certain: tuple[str, ...]
    """What changed whatever the uncertainty, and how much; what became worse first."""
    numbers: TableView
    labels: TableView

    @property
    def in_short(self) -> str:
        """The first of what changed for certain, and how much more there is; empty where nothing did."""
        left = len(self.certain) - FIRST
        more = [f"and {left} more under Since the baseline"] if left > 0 else []
        return f"Changed for certain: {'; '.join([*self.certain[:FIRST], *more])}." if self.certain else ""


def baseline_of(results: AuditResults) -> BaselineView | None:
    """The first page's block: the headline numbers, and every label that changed; None without a baseline."""
    baseline = results.baseline
    if baseline is None:
        return None
    found = changes(results, HEADLINES)
    return BaselineView(
        sentence=f"{_measured(baseline)} {changed_in_all(found, 'headline number')}".strip(),
        obstacles=obstacles_of(baseline),
        certain=certain_of(sorted(found, key=lambda each: _WORST_FIRST.index(each.tone)), results.data.metric),
        numbers=numbers_of(found, results.data.metric),
        labels=labels_of(results),
    )


def changed_in_all(found: Collection[Change], noun: str) -> str:
    """How many changed, of those that can be compared."""
    can = [each for each in found if each.word != "not comparable"]
    if not found:
        return ""
    if not can:
        return f"None of the {noun}s can be compared."
    left_out = f"; {len(found) - len(can)} more cannot be compared" if len(can) < len(found) else ""
    certain = sum(each.is_certain for each in can)
    return f"{certain} of {count(len(can), noun)} changed for certain{left_out}."


def certain_of(found: Iterable[Change], metric: str | None) -> tuple[str, ...]:
    """`the loss +8 % (+5 % to +11 %), higher`: every number that changed whatever the uncertainty."""
    return tuple(f"{_name(each.key, metric)} {each.shown}, {each.word}" for each in found if each.is_certain)


def numbers_of(
    found: Collection[Change], metric: str | None, *, before: str = "Baseline", now: str = "Now"
) -> TableView:
    """Each number there, here, and how much it changed."""
    rows = [
        [
            _name(each.key, metric),
            with_interval(each.there),
            with_interval(each.here),
            each.shown or "—",
            each.word,
            "piece by piece" if each.paired and not each.obstacles else "by their intervals",
        ]
        for each in found
    ]
    heads = ["Number", before, now, "Change", "So it is", "Compared"]
    return capped("Numbers", "", heads, rows, numeric=[False, True, True, True, False, False])


def labels_of(results: AuditResults, *, before: str = "Baseline", now: str = "Now") -> TableView:
    """The words that are others now."""
    there = {} if results.baseline is None else results.baseline.labels
    rows = [
        [_name(key, results.data.metric), *(printable(word_of(key, each.value)) for each in (there[key], label))]
        for key, label in results.labels().items()
        if key in there and there[key].value != label.value
    ]
    return capped("Labels that changed", "", ["Label", before, now], rows, numeric=[False] * 3)


def obstacles_of(baseline: Baseline, *, before: str = "there", now: str = "here") -> tuple[str, ...]:
    """Every hard difference in a line, with what it concerns."""
    return tuple(
        f"{key}: {there} {before}, {here} {now}. {'Nothing can be compared.' if None in of else _concerns(of)}"
        for (key, there, here), of in together(each for each in baseline.differences if each.hard).items()
    )


def together(differences: Iterable[Difference]) -> dict[tuple[str, str, str], list[str | None]]:
    """What each difference concerns, by its key and both values; one that concerns many checks is told once."""
    found: dict[tuple[str, str, str], list[str | None]] = {}
    for each in differences:
        told = (printable(each.key), printable(each.there), printable(each.here))
        found.setdefault(told, []).append(each.check)
    return found


def _concerns(of: Iterable[str | None]) -> str:
    return f"It concerns {', '.join(printable(check) for check in of if check)}."


def _measured(baseline: Baseline) -> str:
    how = {
        "stored": f"audited on {printable(baseline.finished[:10])}",
        "together": "measured beside this checkpoint, on the same batches and directions",
    }
    return f"Compared with {printable(baseline.name, 80)}, {how[baseline.measured]}."


def _name(key: str, metric: str | None) -> str:
    return printable(name_of(key, metric))
