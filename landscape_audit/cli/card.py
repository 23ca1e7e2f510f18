"""`landscape-audit card`: an audit put on a model card, and kept fresh there."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated

import typer

from landscape_audit.cli.stored import results_file
from landscape_audit.errors import CapabilityError, CheckpointError, UsageError
from landscape_audit.text import printable

STALE = 1
_MARKDOWN = (".md", ".markdown")
_AUDIT_AGAIN = "Audit this checkpoint, and put that audit on the card."


def card(
    first: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            help="A results.json or its folder; or the card alone, where an audit is on it already.",
            show_default=False,
        ),
    ],
    second: Annotated[
        Path | None,
        typer.Argument(metavar="CARD", help="A README.md.", show_default=False),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where the card is not that of the results.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(help="The checkpoint, which must be the one that was audited.", show_default=False),
    ] = None,
) -> None:
    """Put an audit on a model card: one block in its text, and its headline numbers in the model-index.

    Everything else in the card stays as it is, to the byte. The block stands between two comments,
    `landscape-audit:begin` and `landscape-audit:end`; it is appended where there is none, and replaced from then on
    wherever you move it. It links the reports beside the results by relative path, so keep them with the card.

    Exit codes: 0 written, or fresh; 1 with --check: stale, or the results are of another checkpoint; 2 a mistake in
    the command line; 4 a card, results or checkpoint that cannot be used.

    Example:  landscape-audit card audit-model/results.json README.md

    In CI:  landscape-audit card --check README.md --model model.safetensors
    """
    _check_installed()
    from landscape_audit.card.card import card_with, recorded_results
    from landscape_audit.subject.checkpoint.recognition import other_than_audited

    path = second or first
    _check_name(path)
    source = first if second else recorded_results(path)
    found = card_with(results_file(source), path)
    other = other_than_audited(found.results.subject.files, model) if model else ""
    told = f"the results are not of {model}: {other}" if other else ""
    if check:
        raise typer.Exit(_told(path, found.stale, told))
    if told:
        raise CheckpointError(f"{path}: nothing was written: {told}.", remedy=_AUDIT_AGAIN)
    found.write()
    typer.echo(path)


def _check_installed() -> None:
    try:
        for name in ("huggingface_hub", "markdown_it", "yaml"):
            importlib.import_module(name)
    except ImportError as error:
        raise CapabilityError(
            f"a model card needs {error.name}.", remedy="Install it:  pip install '.[card]'"
        ) from None


def _check_name(path: Path) -> None:
    if path.suffix.lower() not in _MARKDOWN:
        raise UsageError(
            f"{path}: not the name of a model card, which ends in .md.",
            remedy="Name the results first and the card last:  landscape-audit card results.json README.md",
        )
    target = Path(os.path.realpath(path))
    if target.suffix.lower() not in _MARKDOWN:  # a stranger's repository may hold one to any file of yours
        raise UsageError(
            f"{path}: is a link to {target}, which is not the name of a model card.",
            remedy="Name the card itself, or replace the link with a file; nothing was changed.",
        )
    if not os.path.isdir(path.parent):  # noqa: PTH112 - False, and no exception, also where it may not be looked at
        raise UsageError(f"{path.parent}: no such folder.", remedy="Make it first, or name a card in a folder that is.")


def _told(path: Path, stale: tuple[str, ...], other: str) -> int:
    """One line a reason and what to do, then one that sums up; the exit code."""
    name = printable(path)
    for reason in (*stale, *([other] if other else [])):
        typer.echo(f"{name}: {printable(reason, 1000)}.", err=True)
    if stale or other:
        remedy = _AUDIT_AGAIN if other else "Write it anew:  landscape-audit card RESULTS CARD"
        typer.echo(f"  {remedy}\nlandscape-audit: STALE  {name}  (exit {STALE})", err=True)
        return STALE
    typer.echo(f"landscape-audit: FRESH  {name}  (exit 0)", err=True)
    return 0
