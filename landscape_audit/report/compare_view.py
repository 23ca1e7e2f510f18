"""Two audits side by side, as a reader sees them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.comparison.changes import Change, Tone, changes
from landscape_audit.figures.forest import Row, Standing
from landscape_audit.figures.lettering import legible
from landscape_audit.ids import HEADLINES, name_of
from landscape_audit.intervals import with_interval
from landscape_audit.report.baseline import changed_in_all, labels_of, numbers_of, obstacles_of, together
from landscape_audit.report.provenance import identity_of
from landscape_audit.report.tables import TableView, capped
from landscape_audit.report.verdict import banners_of
from landscape_audit.report.words import WORDS
from landscape_audit.results import AuditResults
from landscape_audit.text import count, printable

STANDINGS: dict[Tone, Standing] = {"bad": "worse", "good": "better", "plain": "changed"}
GLYPHS: dict[Standing, str] = {"worse": "■", "better": "●", "changed": "◆"}
"""As the figure of the ratios marks them."""
COMPARABLE = {"Comparable": "=", "Comparable in part": "≈", "Not comparable": "≠"}
MOST_CERTAIN = 12
"""Changes that the first page can carry; the table of numbers has them all."""


@dataclass(frozen=True)
class SideView:
    """One of the two audits: of what it is, and its verdict."""

    letter: str
    name: str
    short: str
    sha256: str
    finished: str
    glyph: str
    tone: str
    word: str
    sentence: str
    banners: tuple[str, ...]


@dataclass(frozen=True)
class CertainView:
    """A number that changed whatever the uncertainty: how much, and whether that is better or worse."""

    glyph: str
    tone: str
    standing: str
    told: str


@dataclass(frozen=True)
class ComparisonView:
    """From the audit A to the audit B. It draws nothing."""

    title: str
    running: str
    """The title in short, for the head of every page."""
    tone: str
    glyph: str
    word: str
    telling: str
    """The change that a reader has to know of before all others, in a sentence."""
    sentence: str
    sides: tuple[SideView, SideView]
    certain: tuple[CertainView, ...]
    more_certain: str
    """How many more changed than `certain` has."""
    obstacles: tuple[str, ...]
    verdicts: TableView
    ratios: TableView
    """Each number of B divided by that of A, or where that means nothing less it; the most certain first."""
    numbers: TableView
    labels: TableView
    settings: TableView
    identity: TableView


def compared(a: AuditResults, b: AuditResults) -> AuditResults:
    """B with A as its baseline: everything that a comparison tells follows from that."""
    return b.model_copy(update={"baseline": baseline_of(b, a)})


def comparison(a: AuditResults, b: AuditResults, *, every: bool = False) -> ComparisonView:
    """What changed from A to B: the headline numbers, or every number that both have."""
    both, found = compared(a, b), found_between(a, b, every=every)
    baseline = both.baseline
    differences = baseline.differences if baseline else ()
    incomparable = sum(each.word == "not comparable" for each in found)
    apart = bool(found) and incomparable == len(found)
    word = "Not comparable" if apart else "Comparable in part" if incomparable else "Comparable"
    certain = worst_first(found)
    return ComparisonView(
        title=" → ".join(_names(a, b)),
        running=" → ".join(legible(each.subject.name) for each in (a, b)),
        tone="open" if incomparable else "plain",
        glyph=COMPARABLE[word],
        word=word,
        telling=_telling(certain, b.data.metric),
        sentence=changed_in_all(found, "number"),
        sides=(_side("A", a), _side("B", b)),
        certain=tuple(_certain(each, b.data.metric) for each in certain[:MOST_CERTAIN]),
        more_certain=_more(certain),
        obstacles=obstacles_of(baseline, before="in A", now="in B") if baseline else (),
        verdicts=_verdicts(a, b),
        ratios=_ratios(found, b.data.metric),
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
    )


def found_between(a: AuditResults, b: AuditResults, *, every: bool = False) -> tuple[Change, ...]:
    """The headline numbers of both, or every number of both, in the order of the report."""
    return changes(compared(a, b), None if every else HEADLINES)


def worst_first(found: Iterable[Change]) -> tuple[Change, ...]:
    """What changed for certain: what is worse, what is better, the rest.

    Within each what people ask for first comes first, and the largest share.
    """
    order = list(STANDINGS)

    def place(change: Change) -> tuple[int, bool, float]:
        return order.index(change.tone), change.key not in HEADLINES, -abs(change.relative.value or 0.0)

    return tuple(sorted((each for each in found if each.is_certain), key=place))


def standing_of(change: Change) -> Standing:
    """Worse or better only where that has a meaning, and neither where the change is not certain."""
    if change.is_certain:
        return STANDINGS[change.tone]
    return "the same" if change.word == "the same" else "not settled"


def ranked(found: Iterable[Change]) -> tuple[Change, ...]:
    """What can be compared, the most certain change first."""
    return tuple(sorted((each for each in found if each.word != "not comparable"), key=lambda each: -each.certainty))


def rows_of(found: Iterable[Change], metric: str | None) -> tuple[Row, ...]:
    """Every number that has a ratio, the most certain change first."""
    return tuple(
        Row(printable(name_of(each.key, metric)), each.ratio, standing_of(each)) for each in ranked(found) if each.ratio
    )


def _telling(certain: tuple[Change, ...], metric: str | None) -> str:
    asked_for_first = [each for each in certain if each.key in HEADLINES]
    first = next(iter((*asked_for_first, *certain)), None)
    if first is None:
        return ""
    name, standing = printable(name_of(first.key, metric)), standing_of(first)
    judged = "" if standing == "changed" else f", which is {standing}"
    return f"{name[:1].upper()}{name[1:]} is {first.word}{judged}: {first.shown}."


def _certain(change: Change, metric: str | None) -> CertainView:
    standing = standing_of(change)
    told = f"{printable(name_of(change.key, metric))} {change.shown}, {change.word}"
    return CertainView(GLYPHS[standing], change.tone, standing, told)


def _more(certain: tuple[Change, ...]) -> str:
    left = len(certain) - MOST_CERTAIN
    return f"{count(left, 'more number')} changed for certain." if left > 0 else ""


def _side(letter: str, results: AuditResults) -> SideView:
    verdict, files = results.verdict, results.subject.files
    glyph, tone, _ = WORDS[verdict.word]
    return SideView(
        letter=letter,
        name=printable(results.subject.name, 200),
        short=printable(results.subject.name, 80),
        sha256=files[0].sha256[:12] if files else "",
        finished=results.run.finished[:10],
        glyph=glyph,
        tone=tone,
        word=verdict.word,
        sentence=printable(verdict.sentence, 600),
        banners=banners_of(results),
    )


def _ratios(found: Iterable[Change], metric: str | None) -> TableView:
    every = ranked(found)
    rows = [
        [
            printable(name_of(each.key, metric)),
            "B / A" if each.ratio else "B − A",
            *_parted(with_interval(each.ratio or each.absolute)),
            standing_of(each),
        ]
        for each in every
    ]
    without = [printable(name_of(each.key, metric)) for each in every if not each.ratio]
    told = f"Told as a difference, having no ratio: {_named(without)}." if without else ""
    heads = ["Number", "By", "Value", "Interval", "So it is"]
    return capped("Ratios", told, heads, rows, numeric=[False, False, True, False, False])


def _named(names: list[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {count(more, 'more number')}" if more > 0 else "")


def _parted(shown: str) -> tuple[str, str]:
    value, _, interval = shown.partition(" (")
    return value, interval.removesuffix(")") or "exact"


def _verdicts(a: AuditResults, b: AuditResults) -> TableView:
    rows = [[side, _word(each), printable(each.verdict.sentence, 600)] for side, each in (("A", a), ("B", b))]
    return capped("Verdicts", "", ["Audit", "Verdict", "Why"], rows, numeric=[False] * 3)


def _names(a: AuditResults, b: AuditResults) -> tuple[str, str]:
    """Of both checkpoints; where they are called alike with what tells them apart, if anything does."""
    one, other = (printable(each.subject.name, 80) for each in (a, b))
    if one != other or a.subject.tensor_digest == b.subject.tensor_digest:
        return one, other
    return f"{one} ({a.subject.tensor_digest[:8]})", f"{other} ({b.subject.tensor_digest[:8]})"


def _word(results: AuditResults) -> str:
    return f"{WORDS[results.verdict.word][0]} {results.verdict.word}"


def _identity(a: AuditResults, b: AuditResults) -> TableView:
    there, here = (dict(identity_of(each)) for each in (a, b))
    rows = [[name, there.get(name, "—"), value] for name, value in here.items()]
    return capped("What was audited", "", ["What", "A", "B"], rows, numeric=[False] * 3)
