"""The summary for a merge request, by itself: nothing is drawn for it."""

from __future__ import annotations

from landscape_audit.report.render import markdown
from landscape_audit.report.view import view
from landscape_audit.results import AuditResults, CheckResult, Measured


def summary(results: AuditResults) -> str:
    """The Markdown of `summary.md`, without the time that the report's figures take."""
    return markdown(view(results.model_copy(update={"checks": tuple(map(_without_figures, results.checks))})))


def _without_figures(check: CheckResult) -> CheckResult:
    if not isinstance(check.outcome, Measured):
        return check
    return check.model_copy(update={"outcome": check.outcome.model_copy(update={"details": ()})})
