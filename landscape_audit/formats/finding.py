"""What an audit has to say to another program: a finding a gate, and one for whatever went wrong besides.

Nothing is decided here: `gates/judge.py` did, and what stops a merge is an `error` here, in every format alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from landscape_audit.ids import name_of
from landscape_audit.policy import Origin
from landscape_audit.report.words import STATUS
from landscape_audit.results import AuditResults, Failed, GateResult
from landscape_audit.text import printable

Severity = Literal["error", "warning", "note", "passed"]
"""error: the exit code is not 0, and this is a reason.  note: not passed, and it need not."""

RESULTS = Origin(file="results.json", line=1)
"""The place of what is written down nowhere else, for consumers that refuse a finding without a place."""

_LONGEST = 2000
_SEVERITY: dict[str, Severity] = {"error": "error", "warn": "warning", "pass": "note"}


@dataclass(frozen=True)
class Finding:
    """How one demand on an audit came out. Every foreign word in it is printable."""

    id: str
    """The gate's key, or `audit.…` for what no gate demands."""
    check: str
    demand: str
    word: str
    severity: Severity
    message: str
    why: str
    place: Origin | None
    gate: GateResult | None = None

    @property
    def title(self) -> str:
        """`sharpness.lambda_max failed`."""
        return f"{self.id if self.gate else self.check} {self.word}"

    @property
    def fingerprint(self) -> str:
        """The same for the same demand in every audit, and for no other."""
        return hashlib.sha256(f"{self.id}\0{self.check}\0{self.demand}".encode()).hexdigest()


def findings(results: AuditResults) -> tuple[Finding, ...]:
    """What went wrong, then the gates, worst first."""
    return (*_troubles(results), *(_of_gate(gate, results) for gate in results.gates))


def _of_gate(gate: GateResult, results: AuditResults) -> Finding:
    told = f"{name_of(gate.key, results.data.metric)}: {gate.found}; demanded: {gate.demand}. {gate.reason}"
    return Finding(
        id=printable(gate.key),
        check=printable(gate.key.partition(".")[0]),
        demand=printable(gate.demand, 500),
        word="waived" if gate.waiver else STATUS[gate.status][2],
        severity="passed" if gate.status == "pass" else _SEVERITY[gate.consequence],
        message=printable(told[0].upper() + told[1:], _LONGEST),
        why=printable(gate.why, _LONGEST),
        place=_shown(gate.origin or _policy_file(results)),
        gate=gate,
    )


def _shown(place: Origin | None) -> Origin | None:
    return place and Origin(file=printable(place.file, 1000), line=place.line)


def _policy_file(results: AuditResults) -> Origin | None:
    """The first line of the file that has the policy's last word; None where it came with the tool, or from nowhere."""
    files = [origin.file for origin in results.policy.origins.values()]
    return Origin(file=files[-1], line=1) if files else None


def _troubles(results: AuditResults) -> Iterator[Finding]:
    """What makes the whole audit doubtful. It stops a merge where the verdict says so, and warns where it does not."""
    stops: Severity = "error" if results.verdict.exit_code else "warning"
    for check in results.checks:
        if isinstance(check.outcome, Failed):
            demand = "the check runs to its end"
            yield _trouble("audit.check_failed", check.id, demand, "failed", check.outcome.error, stops)
    if results.partial is not None:
        severity: Severity = "warning" if results.run.out_of_time else stops
        yield _trouble("audit.partial", "audit", "the audit is whole", "is partial", results.partial, severity)
    if results.subject.replaced:
        told, demand = "; ".join(results.subject.replaced), "the checkpoint is the one that was audited"
        yield _trouble("audit.replaced", "audit", demand, "is of no file that is there now", told, stops)
    if not results.instrument.agrees:
        told, demand = "; ".join(results.instrument.disagreements), "the instrument agrees with itself"
        yield _trouble("audit.instrument", "instrument", demand, "disagrees with itself", told, stops)


def _trouble(name: str, check: str, demand: str, word: str, told: str, severity: Severity) -> Finding:
    return Finding(
        id=name,
        check=printable(check),
        demand=demand,
        word=word,
        severity=severity,
        message=printable(told, _LONGEST) or word,
        why="No number of an audit counts without it.",
        place=None,
    )
