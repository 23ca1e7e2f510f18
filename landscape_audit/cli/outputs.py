"""The files of an audit in its output folder, and which of them a new audit may take the place of."""

from __future__ import annotations

import os
from pathlib import Path

from landscape_audit.errors import OutputError, ResultsError
from landscape_audit.results import read_results

OUTPUTS = ("results.json", "report.html", "report.pdf", "summary.md", "baseline-results.json")
_IN_THE_WAY = "Move it away, or choose another --out."


def clear(folder: Path) -> None:
    """Remove the files of an earlier audit; an error where they are none's, and nothing is removed."""
    _refuse_what_is_no_audits(folder)
    for name in reversed(OUTPUTS):  # results.json last: it is what shows that the others are an audit's
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{folder / name}: is in the way: {error.strerror}.", remedy=_IN_THE_WAY) from None


def _refuse_what_is_no_audits(folder: Path) -> None:
    there = [folder / name for name in OUTPUTS if os.path.lexists(folder / name)]
    results = folder / "results.json"
    if not there:
        return
    if results not in there:
        raise OutputError(f"{there[0]}: is in the way: no audit's results.json is beside it.", remedy=_IN_THE_WAY)
    try:
        read_results(results)
    except ResultsError as error:
        raise OutputError(f"{results}: is in the way.", details=[error.what], remedy=_IN_THE_WAY) from None
