"""How to read, judge, verify and measure again: the commands, with the names of this audit."""

from __future__ import annotations

import shlex

from landscape_audit.report.provenance import MOST_FILES
from landscape_audit.results import AuditResults
from landscape_audit.text import printable


def how_of(results: AuditResults) -> tuple[tuple[str, str, str], ...]:
    """What a reader may want to do, the command for it, and what to know of it."""
    protocol, machine = results.protocol, results.environment
    model = _argument(results.subject.name)
    again = {"preset": protocol.preset, "seed": protocol.seed, "device": machine.device, "dtype": protocol.dtype}
    options = " ".join(f"--{option} {_argument(str(value))}" for option, value in again.items())
    return (
        (
            "Read the numbers",
            "pdfdetach -saveall report.pdf",
            "results.json stands beside this report, and is attached to the PDF, with policy.json: the command of "
            "poppler-utils takes both out.",
        ),
        (
            "Judge again",
            "landscape-audit gate results.json",
            "By the policy in the results; with --policy and a TOML file by another.",
        ),
        ("Render again", "landscape-audit report results.json", ""),
        (
            "Verify",
            f"landscape-audit verify report.pdf --model {model}",
            "Seal, checkpoint, verdict, policy and pages. It shows change, not authorship.",
        ),
        *_by_hand(results),
        (
            "Measure again",
            f"landscape-audit run {model} {options}",
            "With the same audit.toml or flags, the same data and versions, every number comes out the same.",
        ),
    )


def _by_hand(results: AuditResults) -> tuple[tuple[str, str, str], ...]:
    """One line for each of the files that are named."""
    files = results.subject.files[:MOST_FILES]
    return tuple(
        ("Know the file", f"sha256sum {_argument(file.name)}", f"gives {printable(file.sha256)}") for file in files
    )


def _argument(text: str) -> str:
    """One word of a command line, whatever it says: never an option, a second command, or what a terminal obeys."""
    shown = printable(text, 300)
    return shlex.quote(f"./{shown}" if shown.startswith("-") else shown)
