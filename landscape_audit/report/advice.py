"""Advice as a reader sees it: the first of it on the first page, all of it with its steps and papers further down."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_audit.advice import Advised, Evidence, advice, advised
from landscape_audit.results import AuditResults
from landscape_audit.text import count, printable

FIRST = 3
"""Pieces of advice on the first page; the others, and remarks where there is something to do, stand further down."""
MOST_EVIDENCE = 5
"""Gates or numbers named for one piece of advice; a policy may have hundreds that fail alike."""


@dataclass(frozen=True)
class AdviceView:
    """One piece of advice: what it says, what it rests on, what to try, and who says so."""

    say: str
    because: str
    evidence: tuple[tuple[str, str, str], ...]
    steps: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class AdviceListView:
    """All advice that holds, worst first, and the papers it rests on by their short names."""

    first: tuple[AdviceView, ...]
    more: str
    whole: tuple[AdviceView, ...]
    papers: tuple[tuple[str, str], ...]


def advice_of(results: AuditResults) -> AdviceListView:
    """What follows from an audit; empty where nothing does, which is not the same as nothing to do."""
    found = advised(results)
    acting = [each for each in found if not each.rule.remark]
    first = tuple(map(_view, (acting or found)[:FIRST]))
    left = len(found) - len(first)
    named = {paper for each in found for paper in each.rule.source}
    return AdviceListView(
        first=first,
        more=f"{count(left, 'more piece', 'more pieces')} under Advice." if left > 0 else "",
        whole=tuple(map(_view, found)),
        papers=tuple((short, title) for short, title in sorted(advice().papers.items()) if short in named),
    )


def _view(found: Advised) -> AdviceView:
    evidence = tuple(map(_shown, found.evidence[:MOST_EVIDENCE]))
    left = len(found.evidence) - len(evidence)
    because = [f"{name}: {value}" for name, value, _ in evidence]
    return AdviceView(
        say=found.rule.say,
        because="; ".join([*because, *([f"and {left:,} more"] if left else [])]),
        evidence=evidence,
        steps=found.rule.steps,
        source="; ".join(found.rule.source),
    )


def _shown(evidence: Evidence) -> tuple[str, str, str]:
    return printable(evidence.name), printable(evidence.found), printable(evidence.reason, 600)
