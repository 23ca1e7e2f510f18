"""`landscape-audit verify`: is this report what its audit wrote?"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from landscape_audit.cli.caches import caches_apart
from landscape_audit.text import printable

_MARKS = {"verified": "✓", "altered": "✗", "open": "?", "not compared": "–"}


def verify(
    report: Annotated[Path, typer.Argument(help="A report.pdf, a results.json, or their folder.", show_default=False)],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="The checkpoint it is said to be of: a file, an index or a folder.", show_default=False
        ),
    ] = None,
) -> None:
    """Tell whether a report is what its audit wrote, and is of this checkpoint.

    Takes the results out of the PDF and checks their schema and their seal, the SHA-256 of the checkpoint, that the
    numbers and the policy give the verdict again (on the day of the audit), that the attached policy is that one, and
    that the results rendered again give the same PDF; in a folder also report.html and summary.md. A line a step: ✓
    verified, ✗ altered, ? cannot be decided here, – not compared. Nothing is executed, fetched or written, and PyTorch
    is not needed.

    A seal shows change, not authorship: whoever can write a report can seal it. For that, sign `--format in-toto`.

    **Examples**

        landscape-audit verify audit/report.pdf --model model.safetensors

        landscape-audit verify audit/results.json

    **Exit codes:** 0 verified, 1 something was altered, 3 cannot be decided (no seal, or rendered by other versions
    or with a team's own templates), 4 not a report, or a checkpoint that cannot be read.
    """
    from landscape_audit.verification.verification import verify as steps

    words: Counter[str] = Counter()
    with caches_apart():
        for finding in steps(report, model, dt.datetime.now(dt.UTC).date()):
            words[finding.word] += 1
            typer.echo(f"{_MARKS[finding.word]} {finding.step:11} {printable(finding.says, limit=4000)}")
    word, code = ("ALTERED", 1) if words["altered"] else ("UNDECIDED", 3) if words["open"] else ("VERIFIED", 0)
    counts = ", ".join(f"{words[name]} {name}" for name in _MARKS if words[name] or name != "not compared")
    typer.echo(f"landscape-audit: {word}  {counts}  (exit {code})", err=True)
    raise typer.Exit(code)
