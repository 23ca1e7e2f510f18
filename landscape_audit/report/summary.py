"""The summary for a merge request: the first page alone, for which nothing is drawn."""

from __future__ import annotations

from landscape_audit.report.render import markdown
from landscape_audit.report.view import first_page
from landscape_audit.results import AuditResults


def summary(results: AuditResults) -> str:
    """The Markdown of `summary.md`."""
    return markdown(first_page(results))
