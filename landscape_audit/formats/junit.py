"""JUnit XML: a test case a gate, for whatever shows test results."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from landscape_audit.formats.finding import Finding, findings
from landscape_audit.results import AuditResults, GateResult
from landscape_audit.text import printable

if TYPE_CHECKING:
    from junitparser import TestCase
    from junitparser.junitparser import FinalResult


def junit(results: AuditResults) -> str:
    """A failure for each gate that stops a merge, an error for what stops it besides; skipped is what need not pass.

    JUnit knows no warnings. An audit without gates is one passed case: consumers refuse a file without any.
    """
    from junitparser import JUnitXml, TestCase, TestSuite

    suite = TestSuite("landscape-audit")
    suite.timestamp = printable(results.run.started[:19], 80)  # the schema's dates have no time zone
    for file in results.subject.files:
        suite.add_property(printable(file.name), file.sha256)
    found = findings(results)
    nothing = TestCase(name=printable(results.verdict.sentence, 500), classname="audit")
    suite.add_testcases([_case(finding) for finding in found] or [nothing])
    xml = JUnitXml("landscape-audit")
    xml.add_testsuite(suite)
    written = BytesIO()
    xml.write(written)
    return f"{written.getvalue().decode()}\n"


def _case(finding: Finding) -> TestCase:
    from junitparser import SystemOut, TestCase

    name = f"{finding.id} {finding.demand}" if finding.gate else finding.demand
    case = TestCase(name=name, classname=finding.check)
    if finding.severity != "passed":
        case.result = [_outcome(finding)]
    details = _details(finding.gate) if finding.gate else ()
    case.append(SystemOut("\n".join((finding.message, *details, f"why: {finding.why}"))))
    return case


def _outcome(finding: Finding) -> FinalResult:
    from junitparser import Error, Failure, Skipped

    kind = Skipped if finding.severity != "error" else Failure if finding.gate else Error
    word = f"warning: {finding.word}" if finding.severity == "warning" else finding.word
    outcome = kind(f"{word}. {finding.message}", finding.word)
    outcome.text = f"{finding.message}\nwhy: {finding.why}"  # Jenkins shows the message, GitLab the text
    return outcome


def _details(gate: GateResult) -> tuple[str, ...]:
    """What was held against what, unrounded."""
    lines = []
    if gate.estimate is not None:
        ends = (gate.estimate.low, gate.estimate.high)
        low, high = ("unknown" if end is None else repr(end) for end in ends)
        value = gate.estimate.nonfinite or repr(gate.estimate.value)
        lines += [f"value: {value}", f"interval: {low} to {high}"]
    limits = (("at least", gate.limit_low), ("at most", gate.limit_high))
    lines += [f"{side}: {limit!r}" for side, limit in limits if limit is not None]
    if gate.waiver is not None:
        lines.append(f"waived by {printable(gate.waiver.approver)} until {printable(gate.waiver.expires)}")
    return tuple(lines)
