"""Somebody who reads along and leaves: the audit goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from landscape_audit.cli.progress import Lines
from landscape_audit.plan import Plan, PlannedProbe
from landscape_audit.results import Cost

PLAN = Plan((PlannedProbe("facts", Cost(gradients=4.0), ("loss",)),), 10, 10, 1.0, 0.3, 2.0, 0)


def test_progress_that_nobody_reads_any_more_ends_nothing(monkeypatch):
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(typer, "echo", closed)
    lines = Lines()
    lines.planned(PLAN)
    lines.spent(Cost(gradients=1.0))
    lines.started("hessian_krylov")
    lines.note("told to nobody")
    with pytest.raises(BrokenPipeError):
        typer.echo("the pipe is closed indeed")


def test_what_does_not_fit_on_a_full_disk_is_no_success():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "landscape_audit", "checks", "sharpness"]
        assert (
            subprocess.run(command, check=False, env=environment, stdout=full, stderr=subprocess.PIPE).returncode == 5
        )
