"""Results that an audit wrote, by their file or its folder."""

from __future__ import annotations

import os
from pathlib import Path

from landscape_audit.results import AuditResults, read_results


def results_file(path: Path) -> Path:
    """`path`, or the results.json in it where it is a folder."""
    a_folder = os.path.isdir(path)  # noqa: PTH112 - False, and no exception, also where it may not be looked at
    return path / "results.json" if a_folder else path


def read_stored(path: Path) -> AuditResults:
    """The results in `path`, a results.json or the folder of one."""
    return read_results(results_file(path))
