"""Reports on disk."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landscape_audit.files import write_atomically
from landscape_audit.report.render import html, markdown
from landscape_audit.report.templates import OURS, Templates
from landscape_audit.report.view import view
from landscape_audit.results import AuditResults

NAMES = {"html": "report.html", "md": "summary.md", "pdf": "report.pdf"}


def write_reports(
    results: AuditResults, out: Path, *, pdf: bool = True, templates: Templates = OURS
) -> dict[str, Path]:
    """report.html, summary.md and report.pdf in `out`, each written whole or not at all; their paths by format."""
    with uncollected():
        contents = rendered(results, pdf=pdf, templates=templates)
    for kind, content in contents.items():
        write_atomically(out / NAMES[kind], content)
    return {kind: out / NAMES[kind] for kind in contents}


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
