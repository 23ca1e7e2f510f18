"""What other programs read: one file a format, all of them listed here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from landscape_audit.errors import CapabilityError
from landscape_audit.formats.badge import badge
from landscape_audit.formats.bom import bom
from landscape_audit.formats.github import github
from landscape_audit.formats.gitlab import gitlab
from landscape_audit.formats.junit import junit
from landscape_audit.formats.openmetrics import openmetrics
from landscape_audit.formats.sarif import sarif
from landscape_audit.formats.statement import statement
from landscape_audit.results import AuditResults


@dataclass(frozen=True)
class Format:
    """How a judged audit is written for another program; without a file it goes to stdout."""

    file: str | None
    text: Callable[[AuditResults], str]
    mark: bytes
    """What is near the top of every file of this format that an audit wrote, and of no other's."""
    library: str | None = None
    """What it imports to write it, and what to give to pip for that."""
    install: str = ""


FORMATS: dict[str, Format] = {
    "junit": Format("junit.xml", junit, b'<testsuites name="landscape-audit"', "junitparser", "junitparser"),
    "sarif": Format("audit.sarif", sarif, b'"name": "landscape-audit"'),
    "github": Format(None, github, b""),
    "gitlab": Format("gl-code-quality.json", gitlab, b'"engine_name": "landscape-audit"'),
    "openmetrics": Format(
        "metrics.txt", openmetrics, b"landscape_audit_verdict", "prometheus_client", "prometheus-client"
    ),
    "badge": Format("badge.json", badge, b'"label": "loss landscape"'),
    "in-toto": Format("statement.json", statement, b"landscapeAudit_verdict"),
    "cyclonedx": Format("bom.json", bom, b"landscape-audit:exit_code", "cyclonedx.output.json", "'.[bom]'"),
}
MARKS = {each.file: each.mark for each in FORMATS.values() if each.file is not None}
FILES = tuple(MARKS)


def require_library(name: str) -> None:
    """An error where what writes this format is not there: told before an audit is paid for."""
    needed = FORMATS[name]
    if needed.library is None:
        return
    try:
        importlib.import_module(needed.library)
    except ImportError as error:
        remedy = f"Install what writes it:  pip install {needed.install}"
        raise CapabilityError(f"--format {name}: {error}.", remedy=remedy) from None
