"""Reports on disk."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from landscape_audit.files import write_atomically
from landscape_audit.report.compare_report import comparison_report
from landscape_audit.report.render import comparison_html, comparison_markdown, html, markdown
from landscape_audit.report.templates import OURS, Templates
from landscape_audit.report.view import view
from landscape_audit.results import AuditResults

NAMES = {"html": "report.html", "md": "summary.md", "pdf": "report.pdf"}
COMPARED = {"html": "compare.html", "md": "compare.md", "pdf": "compare.pdf"}


def write_reports(
    results: AuditResults, out: Path, *, pdf: bool = True, templates: Templates = OURS
) -> dict[str, Path]:
    """report.html, summary.md and report.pdf in `out`, each written whole or not at all; their paths by format."""
    with uncollected():
        contents = rendered(results, pdf=pdf, templates=templates)
    return _written(contents, out, NAMES)


def write_comparison(
    a: AuditResults, b: AuditResults, out: Path, *, every: bool = False, pdf: bool = True
) -> dict[str, Path]:
    """compare.html, compare.md and compare.pdf in `out`, like those of a report."""
    with uncollected():
        contents = compared(a, b, every=every, pdf=pdf)
    return _written(contents, out, COMPARED)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection, a fifth of the time: pages are trees that live whole until they are written.

    Costs a few MB; whatever the caller had set is set again afterwards.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def rendered(results: AuditResults, *, pdf: bool, templates: Templates = OURS) -> dict[str, bytes]:
    """The bytes of each report by its format, the same for equal results and templates."""
    seen = view(results)
    contents = {"html": html(seen, templates=templates).encode(), "md": markdown(seen, templates).encode()}
    if pdf:
        from landscape_audit.report.pdf import pdf as printed

        contents["pdf"] = printed(seen, results, templates)
    return contents


def compared(a: AuditResults, b: AuditResults, *, every: bool, pdf: bool) -> dict[str, bytes]:
    """The bytes of each report on two audits by its format, the same for equal results."""
    seen = comparison_report(a, b, every=every)
    contents = {"html": comparison_html(seen).encode(), "md": comparison_markdown(seen).encode()}
    if pdf:
        from landscape_audit.report.pdf import comparison_pdf

        contents["pdf"] = comparison_pdf(seen, a, b)
    return contents


def _written(contents: Mapping[str, bytes], out: Path, names: Mapping[str, str]) -> dict[str, Path]:
    for kind, content in contents.items():
        write_atomically(out / names[kind], content)
    return {kind: out / names[kind] for kind in contents}
