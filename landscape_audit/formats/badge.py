"""A badge: the JSON that an endpoint of shields.io takes."""

from __future__ import annotations

import json

from landscape_audit.results import AuditResults, Verdict

_COLOURS = {"PASS": "brightgreen", "OBSERVED": "blue", "UNDECIDED": "yellow"}


def badge(results: AuditResults) -> str:
    """Red where the exit code is not 0."""
    verdict = results.verdict
    colour = "red" if verdict.exit_code else _COLOURS[verdict.word]
    shown = {"schemaVersion": 1, "label": "loss landscape", "message": _message(verdict), "color": colour}
    return json.dumps(shown | {"isError": verdict.exit_code != 0}, indent=1) + "\n"


def _message(verdict: Verdict) -> str:
    """`pass`, `fail: 2 gates`, `undecided: 1 gate`: the word, and how many gates are behind it."""
    behind = {"FAIL": verdict.failed, "UNDECIDED": verdict.undecided}.get(verdict.word, 0)
    plural = "gate" if behind == 1 else "gates"
    return verdict.word.lower() + (f": {behind} {plural}" if behind else "")
