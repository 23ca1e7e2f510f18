"""A report verified step by step: its seal, the checkpoint, the verdict, the policy and the pages."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape_audit.errors import CapabilityError, PolicyError, ResultsError
from landscape_audit.gates.judge import UNJUDGED, day_of, judged
from landscape_audit.policy import Waiver
from landscape_audit.reading import read_bytes, unrepeated
from landscape_audit.report.templates import MARK
from landscape_audit.results import AuditResults, parsed_results
from landscape_audit.seal import broken, differing, is_sealed
from landscape_audit.subject.checkpoint.recognition import other_than_audited
from landscape_audit.text import count, listed, printable
from landscape_audit.verification.beside import pages_beside
from landscape_audit.verification.finding import Finding, made_with, unless_of_another_release
from landscape_audit.verification.pages import first_difference, first_other_words
from landscape_audit.verification.paper import REMEDY, Paper


@dataclass(frozen=True)
class _Report:
    path: Path
    text: str
    document: dict[str, Any]
    results: AuditResults
    paper: Paper | None
    folder: Path | None
    """Where the other files of the audit are, where their folder was named."""


def verify(path: Path, model: Path | None, today: dt.date) -> Iterator[Finding]:
    """Each step as it is done. A `ResultsError` where there is no report; no torch, and nothing in it is executed."""
    report = _opened(path)
    yield Finding("report", "verified", _origin(report))
    yield Finding("schema", "verified", f"results of schema version {report.results.schema_version}")
    yield _seal(report)
    yield _checkpoint(report.results, model)
    yield _verdict(report.results, today)
    pages = None
    if report.paper is not None:
        yield _policy(report, report.paper)
        yield (pages := _pages(report, report.paper))
    if report.folder is not None:
        yield from _beside(report, report.folder, same_software=pages is not None and pages.word == "verified")


# --------------------------------------------------------------------------------------------------------------- report


def _opened(path: Path) -> _Report:
    a_folder = os.path.isdir(path)  # noqa: PTH112 - False, and no exception, also where it may not be looked at
    file = _in_folder(path) if a_folder else path
    content = _bytes_of(file)
    folder = path if a_folder else None
    if file.suffix == ".json" or content.lstrip()[:1] == b"{":
        return _read(file, _text(file, content), None, folder)
    paper = Paper(file, content)
    return _read(file, paper.attachment("results.json"), paper, folder)


def _in_folder(folder: Path) -> Path:
    report = folder / "report.pdf"
    return report if os.path.lexists(report) else folder / "results.json"


def _bytes_of(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise ResultsError(f"{path}: cannot be read: {why}.", remedy=REMEDY) from None


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ResultsError(f"{path}: not a report: it is no text.", remedy=REMEDY) from None


def _read(file: Path, text: str, paper: Paper | None, folder: Path | None) -> _Report:
    results = parsed_results(text, str(file))
    try:
        document = json.loads(text, object_pairs_hook=unrepeated)
    except ValueError as error:
        raise ResultsError(f"{file}: not the results of an audit: {error}.", remedy=REMEDY) from None
    return _Report(file, text, document, results, paper, folder)


def _origin(report: _Report) -> str:
    name = printable(report.path)
    return name if report.paper is None else f"{name}, with results.json attached"


# ------------------------------------------------------------------------------------------------- seal and checkpoint


def _seal(report: _Report) -> Finding:
    if not is_sealed(report.document):
        return Finding("seal", "open", "there is none: no `run` wrote this, or one from before there were seals")
    if changed := broken(report.document):
        return Finding("seal", "altered", f"changed since they were written: {printable(', '.join(changed), 2000)}")
    parts = count(len(report.document["seal"]) + 1, "part")
    return Finding("seal", "verified", f"{parts} of the results are as they were written")


def _checkpoint(results: AuditResults, model: Path | None) -> Finding:
    if model is None:
        return Finding("checkpoint", "not compared", "name it with --model")
    if changed := other_than_audited(results.subject.files, model):
        return Finding("checkpoint", "altered", changed)
    base = " (its base is not compared)" if results.subject.base_digest else ""
    files = count(len(results.subject.files), "file")
    return Finding("checkpoint", "verified", f"{files} with the SHA-256 that was audited{base}")


# -------------------------------------------------------------------------------------------------- verdict and policy


def _verdict(results: AuditResults, today: dt.date) -> Finding:
    if results.verdict == UNJUDGED and not results.gates:
        return Finding("verdict", "open", "it was measured and never judged")
    day = day_of(results)
    try:
        again = judged(results, results.policy, day)
    except PolicyError as error:
        return Finding("verdict", "altered", f"its policy cannot be applied to its numbers: {error.what}")
    if change := _other_verdict(results, again):
        return unless_of_another_release(results, "verdict", change)
    return Finding("verdict", "verified", f"{_shown(results)} again on {day}{_expired(results, today)}")


def _shown(results: AuditResults) -> str:
    return f"{results.verdict.word} (exit {results.verdict.exit_code}), {count(len(results.gates), 'gate')}:"


def _other_verdict(results: AuditResults, again: AuditResults) -> str:
    """The first thing that its own numbers and policy give otherwise than it says."""
    keys, others = [gate.key for gate in results.gates], [gate.key for gate in again.gates]
    if keys != others:
        return f"gates: it has {listed(keys) or 'none'}; its numbers and policy give {listed(others) or 'none'}"
    pairs = [(f"gate {gate.key}: ", gate, other) for gate, other in zip(results.gates, again.gates, strict=True)]
    for name, stored, given in (*pairs, ("", results.verdict, again.verdict)):
        for field in type(stored).model_fields:
            if getattr(stored, field) != getattr(given, field):
                here, there = printable(getattr(stored, field)), printable(getattr(given, field))
                return f"{name}{field} is '{here}'; its numbers and policy give '{there}'"
    return ""


def _expired(results: AuditResults, today: dt.date) -> str:
    used = {gate.key for gate in results.gates if gate.waiver is not None}
    gone = [
        f"; since then the waiver of {waiver.gate} expired, on {waiver.expires}"
        for waiver in results.policy.waivers
        if isinstance(waiver, Waiver) and waiver.gate in used and waiver.has_expired(today)
    ]
    return printable("".join(dict.fromkeys(gone)), 2000)


def _policy(report: _Report, paper: Paper) -> Finding:
    from landscape_audit.report.pdf import attachments

    if "policy.json" not in paper.attached():
        return unless_of_another_release(report.results, "attachments", "policy.json is missing")
    if paper.attachment("policy.json") != attachments(report.results)["policy.json"]:
        change = "policy.json is not the policy that its results were judged by"
        return unless_of_another_release(report.results, "attachments", change)
    return Finding("attachments", "verified", "policy.json is the policy that its results were judged by")


# --------------------------------------------------------------------------------------------------------------- pages


def _pages(report: _Report, paper: Paper) -> Finding:
    from landscape_audit.report.pdf import pdf, renderer
    from landscape_audit.report.view import view

    try:
        again = Paper(Path("rendered again"), pdf(view(report.results), report.results))
        here = renderer()
    except CapabilityError as error:
        return Finding("pages", "open", f"they cannot be rendered here: {error.what}")
    if again.content == paper.content:
        return Finding("pages", "verified", f"{count(len(again.pages()), 'page')}: rendered again, the same bytes")
    there = paper.metadata().get("/Creator", "")
    if MARK in there:
        return made_with("pages", there)
    if there == here:
        return Finding("pages", "altered", first_difference(paper, again))
    return _by_other_software(paper, again, there, here)


def _beside(report: _Report, folder: Path, *, same_software: bool) -> Iterator[Finding]:
    """The other files of the audit, by the results that its PDF holds."""
    results = folder / "results.json"
    if report.paper is not None and os.path.lexists(results):
        beside = _read(results, _text(results, _bytes_of(results)), None, None)
        if places := differing(report.document, beside.document):
            says = f"not the one that is attached to the PDF: {printable(', '.join(places), 2000)}"
            yield Finding("results.json", "altered", says)
    creator = "" if report.paper is None else report.paper.metadata().get("/Creator", "")
    yield from pages_beside(report.results, folder, creator, same_software=same_software)


def _by_other_software(paper: Paper, again: Paper, there: str, here: str) -> Finding:
    known = set(here.split(", "))
    other = ", ".join(each for each in there.split(", ") if each not in known)
    told = f"it was rendered by other software than there is here ({printable(other) or 'less of it'})"
    place = first_other_words(paper, again)
    if not place:
        return Finding("pages", "open", f"{told}; the text is the same, pictures were not compared")
    # A release words its reports as it likes, and other line breaks can repeat the head of a table.
    comparable = there.partition(", ")[0] == here.partition(", ")[0] and len(paper.pages()) == len(again.pages())
    return Finding("pages", "altered" if comparable else "open", f"{place} differs from what its results give; {told}")
