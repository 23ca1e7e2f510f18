"""GitLab's code-quality report: an issue for each gate that did not pass, at its line in the policy's file."""

from __future__ import annotations

import json
import posixpath
from typing import Any

from landscape_audit.formats.finding import RESULTS, Finding, findings
from landscape_audit.results import AuditResults


def gitlab(results: AuditResults) -> str:
    """A list of issues. What stops a merge is major (undecided), critical (failed) or a blocker (the audit broke)."""
    issues = [_issue(finding) for finding in findings(results) if finding.severity != "passed"]
    return json.dumps(issues, indent=1, ensure_ascii=False) + "\n"


def _issue(finding: Finding) -> dict[str, Any]:
    place = finding.place or RESULTS
    return {
        "engine_name": "landscape-audit",
        "description": f"{finding.title}. {finding.message}",
        "check_name": finding.id,
        "fingerprint": finding.fingerprint,
        "severity": _severity(finding),
        "location": {"path": posixpath.normpath(place.file), "lines": {"begin": place.line}},
    }


def _severity(finding: Finding) -> str:
    if finding.severity != "error":
        return "minor" if finding.severity == "warning" else "info"
    if finding.gate is None:
        return "blocker"
    return "critical" if finding.gate.status == "fail" else "major"
