"""What other programs read: one file a format, all of them listed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from landscape_audit.formats.bom import bom
from landscape_audit.formats.statement import statement
from landscape_audit.results import AuditResults


@dataclass(frozen=True)
class Format:
    """How a judged audit is written for another program; without a file it goes to stdout."""

    file: str | None
    text: Callable[[AuditResults], str]


FORMATS: dict[str, Format] = {
    "in-toto": Format("statement.json", statement),
    "cyclonedx": Format("bom.json", bom),
}
