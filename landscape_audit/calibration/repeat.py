"""One of the audits that a calibration rests on."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_audit.results import AuditResults


@dataclass(frozen=True)
class Repeat:
    """Its seed, and what it found; or the error that it ended with."""

    seed: int
    results: AuditResults | None
    error: str = ""
