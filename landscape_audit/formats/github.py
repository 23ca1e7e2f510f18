"""GitHub Actions: annotations on stdout, and what a step leaves for its job: a summary, and outputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from landscape_audit.errors import OutputError
from landscape_audit.formats.finding import Finding, Severity, findings
from landscape_audit.results import AuditResults

_SHOWN = 10
"""How many annotations of a type GitHub shows for a step."""
_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}


def github(results: AuditResults) -> str:
    """A workflow command for each finding that did not pass; past ten of a type, the tenth says how many more."""
    found = findings(results)
    return "".join(line for severity in _COMMANDS for line in _of_type(severity, found))


def leave_for_the_job(results: AuditResults, report: Path | None, code: int) -> Iterator[OutputError]:
    """Append to $GITHUB_STEP_SUMMARY and $GITHUB_OUTPUT where they are set; an error for each that cannot be."""
    from landscape_audit.report.summary import summary

    yield from _appended("GITHUB_STEP_SUMMARY", lambda: summary(results))
    yield from _appended("GITHUB_OUTPUT", lambda: _outputs(results, report, code))


def _of_type(severity: Severity, found: tuple[Finding, ...]) -> Iterator[str]:
    alike = [finding for finding in found if finding.severity == severity]
    single = len(alike) if len(alike) <= _SHOWN else _SHOWN - 1
    for finding in alike[:single]:
        told = {"title": finding.title}
        if finding.place is not None:
            told |= {"file": finding.place.file, "line": str(finding.place.line)}
        yield _command(_COMMANDS[severity], told, f"{finding.message} Why: {finding.why}")
    if alike[single:]:
        more = f"{len(alike) - single:,} more like this: the summary has them."
        yield _command(_COMMANDS[severity], {"title": "landscape-audit"}, more)


def _command(name: str, properties: dict[str, str], message: str) -> str:
    told = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    return f"::{name} {told}::{_escaped(message)}\n"


def _escaped(text: str, also: str = "") -> str:
    """The runner's own escapes, which it takes back."""
    for character in f"%\r\n{also}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _outputs(results: AuditResults, report: Path | None, code: int) -> str:
    """Each in the form that ends at a word nobody can know, so that no value can begin another output."""
    import secrets

    verdict = results.verdict
    values = {"verdict": verdict.word, "exit-code": code, "report": report or ""}
    values |= {"passed": verdict.passed, "failed": verdict.failed, "undecided": verdict.undecided}
    end = f"end-{secrets.token_hex(16)}"
    return "".join(f"{name}<<{end}\n{value}\n{end}\n" for name, value in values.items())


def _unblocked(path: str, flags: int) -> int:
    """A pipe that nobody reads is an error, and not waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def _appended(variable: str, text: Callable[[], str]) -> Iterator[OutputError]:
    path = os.environ.get(variable)
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8", errors="surrogateescape", opener=_unblocked) as file:
            file.write(text())
    except OSError as error:
        what = f"${variable}: {path}: cannot be written: {error.strerror or error}."
        yield OutputError(what, remedy="The annotations are on stdout all the same.")
