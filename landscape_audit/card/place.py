"""What an audit is to a card: where its files are from there, and whether they are there at all."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from landscape_audit.errors import ResultsError
from landscape_audit.reading import read_bytes

_REPORTS = (("Report as PDF", "report.pdf"), ("as HTML", "report.html"))


@dataclass(frozen=True)
class Place:
    """Links from a card, percent-encoded: no character in them means anything to Markdown, HTML or YAML."""

    results: str
    sha256: str
    links: tuple[tuple[str, str], ...]

    @property
    def report(self) -> str | None:
        """The report that is the source of the numbers: the PDF where there is one."""
        return self.links[0][1] if self.links else None


def place_of(results: Path, card: Path) -> Place:
    """Where the results and the reports beside them are from the card; a report that is not there gets no link."""
    try:
        digest = hashlib.sha256(read_bytes(results)).hexdigest()
    except OSError as error:
        told = f"{results}: cannot be read: {error.strerror or error}."
        raise ResultsError(told, remedy="Name a results.json.") from None
    reports = ((name, results.with_name(file)) for name, file in _REPORTS)
    links = tuple((name, _link(report, card)) for name, report in reports if os.path.isfile(report))  # noqa: PTH113 - where it may not be looked at, no reader can
    return Place(_link(results, card), digest, links)


def _link(target: Path, card: Path) -> str:
    return quote(os.fsencode(Path(os.path.relpath(target, card.parent)).as_posix()))
