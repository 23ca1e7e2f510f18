"""How one step of a verification went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from landscape_audit import __version__
from landscape_audit.report.templates import MARK
from landscape_audit.results import AuditResults
from landscape_audit.text import printable

Word = Literal["verified", "altered", "open", "not compared"]


@dataclass(frozen=True)
class Finding:
    """One step: `open` is what cannot be decided here."""

    step: str
    word: Word
    says: str


def made_with(step: str, creator: str) -> Finding:
    """Open, of what says that a team's templates made it: they are not here, and need not say what ours say."""
    mark = printable(creator[creator.index(MARK) :])
    return Finding(step, "open", f"it was made with {mark} ('report --template-dir'), so it cannot be compared")


def unless_of_another_release(results: AuditResults, step: str, change: str) -> Finding:
    """Altered; open where another release wrote it, which may word or judge otherwise."""
    version = results.environment.landscape_audit
    if version == __version__:
        return Finding(step, "altered", change)
    return Finding(step, "open", f"{change}: by this release, {__version__}; written by {printable(version)}")
