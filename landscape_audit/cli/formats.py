"""`--format`: which formats were asked for, and writing them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from landscape_audit.cli.outputs import refuse_strangers
from landscape_audit.cli.progress import tell
from landscape_audit.errors import UsageError
from landscape_audit.files import writable_folder, write_atomically
from landscape_audit.formats import FORMATS, require_library
from landscape_audit.results import AuditResults
from landscape_audit.text import did_you_mean, printable

FormatOption = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="FORMAT", help=f"Also write it for a program: {', '.join(FORMATS)}; repeatable."),
]


def chosen_formats(asked: Sequence[str] | None, *, json: bool) -> tuple[str, ...]:
    """Each format once, or an error before anything is measured."""
    names = tuple(dict.fromkeys(asked or ()))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {name}: no such format.", remedy=did_you_mean(name, FORMATS))
    if json and "github" in names:
        raise UsageError("--json and --format github: both want stdout.", remedy="Give one of them.")
    for name in names:
        require_library(name)
    return names


def files_of(names: Sequence[str]) -> tuple[str, ...]:
    """What these formats write."""
    return tuple(file for name in names if (file := FORMATS[name].file) is not None)


def write_formats(results: AuditResults, folder: Path, names: Sequence[str], *, quiet: bool) -> None:
    """The files of these formats, each whole or not at all; where they are is told on stderr."""
    files = files_of(names)
    if not files:
        return
    refuse_strangers(writable_folder(folder), files)
    for name in names:
        if file := FORMATS[name].file:
            write_atomically(folder / file, FORMATS[name].text(results).encode())
    if not quiet:
        tell(f"Written: {', '.join(printable(folder / file) for file in files)}")


def tell_github(results: AuditResults, names: Sequence[str], report: Path | None, code: int) -> None:
    """Where it was asked for, what GitHub reads from a step. What cannot be left for the job changes no exit code."""
    if "github" not in names:
        return
    from landscape_audit.formats.github import leave_for_the_job

    typer.echo(FORMATS["github"].text(results).encode(), nl=False)  # the runner reads UTF-8, whatever the locale is
    for problem in leave_for_the_job(results, report, code):
        tell(f"landscape-audit: {problem}")
