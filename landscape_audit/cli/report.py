"""`landscape-audit report`: stored results rendered again."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from landscape_audit.cli.caches import caches_apart
from landscape_audit.cli.outputs import refuse_other_pages
from landscape_audit.files import writable_folder

_TEMPLATES = "A folder of your own templates and style sheets, which take the place of ours of the same names."


def _list_templates(asked: bool) -> None:
    """What `--list-templates` prints."""
    if asked:
        from landscape_audit.report.contract import contract

        typer.echo(contract(), nl=False)
        raise typer.Exit


def report(
    results: Annotated[Path, typer.Argument(help="A results.json that an audit wrote.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to; by default beside the results.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="Also render report.pdf (needs Pango).")] = True,
    template_dir: Annotated[Path | None, typer.Option("--template-dir", help=_TEMPLATES, show_default=False)] = None,
    list_templates: Annotated[  # noqa: ARG001 - its callback ends the command
        bool,
        typer.Option(
            "--list-templates",
            help="Print which templates there are and all that they can use, and exit.",
            callback=_list_templates,
            is_eager=True,
            show_default=False,
        ),
    ] = False,
) -> None:
    """Render report.html, report.pdf and summary.md from stored results, without measuring and without PyTorch.

    The same results give the same bytes. The verdict is the one that is stored; `gate` judges anew.

    With `--template-dir` the pages are yours: copy into a folder those of our files that you want otherwise, and change
    the copies. `--list-templates` names all and says where ours are. A file takes the whole place of ours of its name,
    so a report.css of three lines has no more than these three; what is absent stays ours. Templates are Jinja2 in a
    sandbox. They see the report and nothing else, every word of it is escaped, and no page fetches anything: embed a
    logo as a data: URI. Colours belong into a style sheet: the security policy of report.html blocks every `style="…"`.
    The report says that it was made with other templates, and `verify` does that its pages cannot be compared.

    **Examples**

        landscape-audit report audit-model/results.json --out site

        landscape-audit report audit-model/results.json --out site --template-dir house-style
    """
    from landscape_audit.report.templates import Templates
    from landscape_audit.report.write import NAMES, uncollected, write_reports
    from landscape_audit.results import read_results

    found, templates, folder = read_results(results), Templates(template_dir), out or results.parent
    refuse_other_pages(folder, NAMES, pdf=pdf)
    with caches_apart(), uncollected():
        written = write_reports(found, writable_folder(folder), pdf=pdf, templates=templates)
        gc.freeze()  # the program ends with this: to look for what could be freed takes a tenth of its time
    for path in written.values():
        typer.echo(path)
