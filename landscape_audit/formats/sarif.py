"""SARIF 2.1.0: a rule a gate, and a result for each that did not pass, at its line in the policy's file."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from landscape_audit import __version__
from landscape_audit.formats.finding import RESULTS, Finding, findings
from landscape_audit.policy import Origin
from landscape_audit.results import AuditResults
from landscape_audit.text import printable

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(results: AuditResults) -> str:
    """One run. Level error is what stops a merge; what a waiver lets through is a suppressed note."""
    found = findings(results)
    rules = {finding.id: _rule(finding) for finding in found}
    places = {rule: index for index, rule in enumerate(rules)}
    run = {
        "tool": {"driver": {"name": "landscape-audit", "version": __version__, "rules": list(rules.values())}},
        "automationDetails": {"id": "landscape-audit/"},
        "invocations": [
            {
                "executionSuccessful": not any(each.severity == "error" and each.gate is None for each in found),
                "exitCode": results.verdict.exit_code,
                "exitCodeDescription": results.verdict.word,
            }
        ],
        "results": [_result(finding, places[finding.id]) for finding in found if finding.severity != "passed"],
        "columnKind": "unicodeCodePoints",
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    title = finding.id if finding.gate else finding.demand
    return {
        "id": finding.id,
        "shortDescription": _text(title),
        "fullDescription": _text(finding.why),
        "help": _text(finding.why),
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": _text(f"{finding.title}. {finding.message}"),
        "locations": [{"physicalLocation": _location(finding.place or RESULTS)}],
        "partialFingerprints": {"landscapeAuditDemand/v1": finding.fingerprint},
    }
    if finding.gate is not None and finding.gate.waiver is not None:
        waiver = finding.gate.waiver
        told = printable(f"{waiver.reason} ({waiver.approver}, until {waiver.expires})", 1000)
        found["suppressions"] = [{"kind": "external", "status": "accepted", "justification": told}]
    return found


def _location(place: Origin) -> dict[str, Any]:
    return {"artifactLocation": {"uri": _uri(place.file)}, "region": {"startLine": place.line}}


def _uri(path: str) -> str:
    """A path as a reference that names no scheme and no host; one from the root is a file's."""
    quoted = quote(re.sub(r"^(\./)+", "", path), errors="replace")
    return f"file:///{quoted.lstrip('/')}" if path.startswith("/") else quoted


def _text(text: str) -> dict[str, str]:
    """Plain text, in which brackets would be a link and braces a placeholder (sections 3.11.5 and 3.11.6)."""
    plain = re.sub(r"([\\\[\]])", r"\\\1", text)
    return {"text": plain.replace("{", "{{").replace("}", "}}")}
