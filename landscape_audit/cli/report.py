"""`landscape-audit report`: stored results rendered again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landscape_audit.cli.caches import caches_apart
from landscape_audit.files import writable_folder


def report(
    results: Annotated[Path, typer.Argument(help="A results.json that an audit wrote.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to; by default beside the results.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="Also render report.pdf (needs Pango).")] = True,
) -> None:
    """Render report.html, report.pdf and summary.md from stored results, without measuring and without PyTorch.

    The same results give the same bytes. The verdict is the one that is stored; `gate` judges anew.

    Example:  landscape-audit report audit-model/results.json --out site
    """
    from landscape_audit.report.write import write_reports
    from landscape_audit.results import read_results

    found = read_results(results)
    with caches_apart():
        written = write_reports(found, writable_folder(out or results.parent), pdf=pdf)
    for path in written.values():
        typer.echo(path)
