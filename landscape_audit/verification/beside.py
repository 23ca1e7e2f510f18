"""The page and the summary in an audit's folder, held against the same results rendered again."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from landscape_audit.errors import ResultsError
from landscape_audit.reading import read_bytes
from landscape_audit.report.templates import MARK
from landscape_audit.report.write import NAMES, rendered
from landscape_audit.results import AuditResults
from landscape_audit.text import printable
from landscape_audit.verification.finding import Finding, made_with, unless_of_another_release

_GENERATOR = re.compile(r'<meta name="generator" content="([^"]*)">')
_PICTURE = re.compile(r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]*")


def pages_beside(results: AuditResults, folder: Path, creator: str, *, same_software: bool) -> Iterator[Finding]:
    """report.html and summary.md, where they are there; `same_software`: what made them draws here as it did there.

    `creator` is what made the PDF beside them, empty where there is none.
    """
    there = [kind for kind in ("html", "md") if os.path.lexists(folder / NAMES[kind])]
    contents = rendered(results, pdf=False) if there else {}
    for kind in there:
        path = folder / NAMES[kind]
        found, again = _read(path), contents[kind].decode()
        creator = creator if MARK in creator else _generator(found)
        if found == again:
            yield Finding(path.name, "verified", "rendered again, the same bytes")
        elif MARK in creator:
            yield made_with(path.name, creator)
        elif not same_software and _PICTURE.sub("", found) == _PICTURE.sub("", again):
            says = "the text is the same, the pictures are not: other software drew them, or they were altered"
            yield Finding(path.name, "open", says)
        else:
            yield unless_of_another_release(results, path.name, _first_difference(found, again))


def _generator(page: str) -> str:
    found = _GENERATOR.search(page)
    return found[1] if found else ""


def _read(path: Path) -> str:
    try:
        return read_bytes(path).decode(errors="replace")
    except OSError as error:
        told = f"{path}: cannot be read: {error.strerror or error}."
        raise ResultsError(told, remedy="Name report.pdf or results.json.") from None


def _first_difference(found: str, again: str) -> str:
    lines, others = found.split("\n"), again.split("\n")
    pairs = enumerate(itertools.zip_longest(lines, others, fillvalue=""), 1)
    number, line, other = next((number, *pair) for number, pair in pairs if pair[0] != pair[1])
    here, there = _where_they_part(line, other)
    return f"line {number}: '{printable(here)}' where its results give '{printable(there)}'"


def _where_they_part(line: str, other: str) -> tuple[str, str]:
    """Both lines from a few letters before they differ: that of a figure is long."""
    shorter = min(len(line), len(other))
    parting = next((at for at in range(shorter) if line[at] != other[at]), shorter)
    begin = max(0, parting - 20)
    return line[begin:].strip(), other[begin:].strip()
