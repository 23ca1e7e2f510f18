"""`landscape-audit compare`: two audits side by side, from their results alone."""

from __future__ import annotations

import json as encoder
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_audit.cli.caches import caches_apart
from landscape_audit.cli.columns import columns, folded
from landscape_audit.cli.outputs import refuse_other_pages
from landscape_audit.cli.progress import tell
from landscape_audit.cli.stored import read_stored
from landscape_audit.estimate import Estimate
from landscape_audit.files import writable_folder
from landscape_audit.results import AuditResults

if TYPE_CHECKING:
    from landscape_audit.report.compare_view import ComparisonView
    from landscape_audit.report.tables import TableView

_HELP = "A results.json that an audit wrote, or its folder."


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help=_HELP, show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help=_HELP, show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write compare.html, compare.pdf and compare.md there.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every number, not only those that people ask for first.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="With --out also compare.pdf (needs Pango).")] = True,
    json: Annotated[bool, typer.Option("--json", help="The comparison as JSON on stdout, of every number.")] = False,
) -> None:
    """Tell what changed from A to B: verdicts, numbers with the interval of their change, labels and settings.

    Where both saw the same batches, or drew the same directions, numbers are compared piece by piece, which is far
    tighter than holding two intervals together. What is of other data, another loss or another version of a check is
    not compared, and the keys that differ are named. Nothing is judged: the exit code is 0 where both can be read.

    With `--out` both landscapes are drawn together: slices, densities and layers of A and B in one picture, surfaces
    side by side in the same colours, and every ratio B / A with its interval.

    **Example**

        landscape-audit compare audit-main audit-branch --out site
    """
    there, here = read_stored(a), read_stored(b)
    if out is not None:
        _refuse_others(out, pdf=pdf)
    if json:
        typer.echo(encoder.dumps(_data(there, here), indent=1))
    else:
        from landscape_audit.report.compare_view import comparison

        typer.echo(_text(comparison(there, here, every=every)), nl=False)
    if out is not None:
        for path in _written(there, here, out, every=every, pdf=pdf):
            tell(str(path))


def _refuse_others(out: Path, *, pdf: bool) -> None:
    from landscape_audit.report.write import COMPARED

    refuse_other_pages(out, COMPARED, pdf=pdf)


def _written(a: AuditResults, b: AuditResults, out: Path, *, every: bool, pdf: bool) -> Iterable[Path]:
    from landscape_audit.report.write import write_comparison

    with caches_apart():
        return write_comparison(a, b, writable_folder(out), every=every, pdf=pdf).values()


def _text(view: ComparisonView) -> str:
    head = (view.title, f"{view.word}. {view.sentence}", *(f"  {told}" for told in view.obstacles), "")
    tables = (view.labels, view.verdicts, view.settings)
    return "\n".join((*head, *_numbers(view.numbers), *(line for each in tables if each.rows for line in _lines(each))))


def _numbers(table: TableView) -> Iterator[str]:
    """A few lines a number: what became of it, by how much, and both values. Side by side they fit no terminal."""
    for name, there, here, change, word, how in table.rows:
        told = (f"  {name}: {word}", *([f"    {change}, {how}"] if change != "—" else []), f"    {there} → {here}")
        for each in told:
            yield from folded(each, 6)
    yield from (*([table.more] if table.more else []), "")


def _lines(table: TableView) -> tuple[str, ...]:
    return (table.title, *columns([table.headings, *table.rows]), *([table.more] if table.more else []), "")


def _data(a: AuditResults, b: AuditResults) -> dict[str, Any]:
    from landscape_audit.comparison.changes import changes
    from landscape_audit.report.compare_view import compared

    both = compared(a, b)
    there = a.labels()
    return {
        "verdicts": {"a": a.verdict.model_dump(), "b": b.verdict.model_dump()},
        "differences": [each.model_dump() for each in both.baseline.differences] if both.baseline else [],
        "estimates": {
            each.key: {
                "word": each.word,
                "paired": each.paired,
                "a": _plain(each.there),
                "b": _plain(each.here),
                "absolute": _plain(each.absolute),
                "relative": _plain(each.relative),
            }
            for each in changes(both)
        },
        "labels": {key: {"a": there[key].value, "b": label.value} for key, label in b.labels().items() if key in there},
    }


def _plain(estimate: Estimate) -> dict[str, Any]:
    return estimate.model_dump(include={"value", "low", "high", "unit"})
