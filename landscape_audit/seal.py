"""A SHA-256 of every part of `results.json`, kept inside it, so that a change is named by its place.

A seal shows change, not authorship: whoever can write a report can seal it anew. A signature tells who wrote it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from landscape_audit.reading import read_text
from landscape_audit.results import AuditResults

SEAL, RUN, CHECKS = "seal", "run", "checks"


def sealed(results: AuditResults) -> AuditResults:
    """`results` with what seals their run in the run block, and what seals the rest beside it.

    So two audits that differ in their run only still differ in that block only.
    """
    document = json.loads(results.to_json())
    run = results.run.model_copy(update={SEAL: _digest(_run_of(document))})
    return results.model_copy(update={SEAL: dict(_parts(document)), RUN: run})


def unsealed(results: AuditResults) -> AuditResults:
    """`results` without a seal, as before they are changed."""
    return results.model_copy(update={SEAL: None, RUN: results.run.model_copy(update={SEAL: None})})


def is_sealed(document: Mapping[str, Any]) -> bool:
    """Whether there is a seal, or what is left of one."""
    return document.get(SEAL) is not None or _seal_of_run(document) is not None


def changed_since_sealed(path: Path) -> list[str]:
    """The parts of the results in a file that are no longer what was sealed; empty where there is no seal."""
    document = json.loads(read_text(path))
    return broken(document) if is_sealed(document) else []


def broken(document: Mapping[str, Any]) -> list[str]:
    """The parts of a sealed `results.json`, as it was read, that are no longer what was sealed: `data`, `checks.trace`.

    The document and not the model that reads it, so that no release overlooks what another one wrote.
    """
    seal = document.get(SEAL)
    if not isinstance(seal, dict):
        return [f"{SEAL} (removed)"]
    there = dict(_parts(document))
    changed = [name for name in there if name in seal and seal[name] != there[name]]
    added = [f"{name} (added)" for name in there if name not in seal]
    removed = [f"{name} (removed)" for name in seal if name not in there]
    run = [] if _seal_of_run(document) == _digest(_run_of(document)) else [RUN]
    return [*changed, *added, *removed, *run]


def differing(document: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The parts in which two `results.json` differ."""
    here, there = dict(_parts(document)), dict(_parts(other))
    run = [RUN] if _digest(document.get(RUN)) != _digest(other.get(RUN)) else []
    return [*(name for name in here | there if here.get(name) != there.get(name)), *run]


def _parts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The digest of each section but the run, of the names of the checks in their order, and of each check."""
    for name, section in document.items():
        if name == CHECKS and isinstance(section, list):
            yield CHECKS, _digest([_name(check) for check in section])
            yield from ((f"{CHECKS}.{_name(check)}", _digest(check)) for check in section)
        elif name not in {SEAL, RUN}:
            yield name, _digest(section)


def _name(check: object) -> str:
    return str(check.get("id")) if isinstance(check, dict) else ""


def _run_of(document: Mapping[str, Any]) -> object:
    run = document.get(RUN)
    return {name: value for name, value in run.items() if name != SEAL} if isinstance(run, dict) else run


def _seal_of_run(document: Mapping[str, Any]) -> object:
    run = document.get(RUN)
    return run.get(SEAL) if isinstance(run, dict) else None


def _digest(part: object) -> str:
    """SHA-256 of JSON with sorted keys and no white space, in UTF-8; numbers as Python writes them."""
    text = json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
