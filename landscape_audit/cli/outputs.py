"""The files of an audit in its output folder, and which of them a new audit may take the place of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from landscape_audit.errors import OutputError, ResultsError
from landscape_audit.formats import FILES, MARKS
from landscape_audit.reading import regular_file
from landscape_audit.results import read_results

BASELINE = "baseline-results.json"
"""What is written of a checkpoint that was measured beside another: results, which `--baseline` reads again."""
REPORTS = ("results.json", "report.html", "report.pdf", "summary.md", BASELINE)
OUTPUTS = (*REPORTS, *FILES)
_LONGEST = 60  # characters of a checkpoint's name, of up to four bytes each, where a name may have 255
_POLICY = b"default-src 'none'; style-src 'sha256-"
_IN_THE_WAY = "Move it away, or choose another --out."


def named_after(checkpoint: Path, kind: str) -> Path:
    """`audit-NAME` in the current folder, or `calibration-NAME`."""
    return Path(f"{kind}-{checkpoint.absolute().stem[:_LONGEST]}")


def clear(folder: Path, formats: Iterable[str] = ()) -> None:
    """Remove the files of an earlier audit; an error where they are none's, and nothing is removed.

    `formats` are the files of formats that will be written. Of these names others write files too, such as junit.xml:
    another program's is in the way where it would be replaced, and stays as it is where it would not.
    """
    _refuse_what_is_no_audits(folder)
    refuse_strangers(folder, formats)
    ours = [name for name in FILES if _is_ours(folder / name)]
    for name in (*ours, *reversed(REPORTS)):  # results.json last: it is what shows that the others are an audit's
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{folder / name}: is in the way: {error.strerror}.", remedy=_IN_THE_WAY) from None


def refuse_strangers(folder: Path, formats: Iterable[str]) -> None:
    """An error where one of these files is there and another program wrote it."""
    for path in (folder / name for name in formats):
        if os.path.lexists(path) and not _is_ours(path):
            raise OutputError(f"{path}: is in the way: no audit wrote it.", remedy=_IN_THE_WAY)


def refuse_other_pages(folder: Path, names: Mapping[str, str], *, pdf: bool) -> None:
    """An error where a page would take the place of a file that is none of ours; `names` are by format.

    Pages are written together, and a team's templates may make anything of them but the policy that HTML begins with:
    that marks all of them, as an audit's results do beside them.
    """
    there = [folder / name for kind, name in names.items() if (kind != "pdf" or pdf) and os.path.lexists(folder / name)]
    if there and not _begins_with_policy(folder / names["html"]) and not _has_an_audit(folder):
        raise OutputError(f"{there[0]}: is in the way: landscape-audit did not write it.", remedy=_IN_THE_WAY)


def _begins_with_policy(page: Path) -> bool:
    try:
        with regular_file(page) as file:
            return _POLICY in file.read(4096)
    except OSError:
        return False


def _has_an_audit(folder: Path) -> bool:
    try:
        read_results(folder / "results.json")
    except ResultsError:
        return False
    return True


def _is_ours(path: Path) -> bool:
    """Whether an audit wrote it: each of its files has a mark near the top, but for an empty list of issues.

    The tool's name is none: another program's list of what is installed has that too.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            top = file.read(1 << 20)
    except OSError:
        return False
    return MARKS.get(path.name, b"landscape") in top or top == b"[]\n"


def _refuse_what_is_no_audits(folder: Path) -> None:
    there = [folder / name for name in REPORTS if os.path.lexists(folder / name)]
    results = folder / "results.json"
    if not there:
        return
    if results not in there:
        raise OutputError(f"{there[0]}: is in the way: no audit's results.json is beside it.", remedy=_IN_THE_WAY)
    try:
        read_results(results)
    except ResultsError as error:
        raise OutputError(f"{results}: is in the way.", details=[error.what], remedy=_IN_THE_WAY) from None
