"""Reports on disk."""

from __future__ import annotations

from pathlib import Path

from landscape_audit.files import write_atomically
from landscape_audit.report.render import html, markdown
from landscape_audit.report.view import view
from landscape_audit.results import AuditResults


def write_reports(results: AuditResults, out: Path, *, pdf: bool = True) -> dict[str, Path]:
    """report.html, summary.md and report.pdf in `out`, each written whole or not at all; their paths by format."""
    seen = view(results)
    contents = {"html": html(seen).encode(), "md": markdown(seen).encode()}
    if pdf:
        from landscape_audit.report.pdf import pdf as rendered

        contents["pdf"] = rendered(seen, results)
    names = {"html": "report.html", "md": "summary.md", "pdf": "report.pdf"}
    for kind, content in contents.items():
        write_atomically(out / names[kind], content)
    return {kind: out / names[kind] for kind in contents}
