from __future__ import annotations

import subprocess
import sys

import typer
from typer.testing import CliRunner, Result

from landscape_audit.checks import BATTERY, OPT_IN
from landscape_audit.cli.checks import checks
from landscape_audit.errors import UsageError
from landscape_audit.probes.probe import with_needs


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(checks)
    return CliRunner().invoke(app, list(arguments))


def test_every_check_is_listed_with_its_question_in_the_order_of_the_report() -> None:
    lines = run().stdout.splitlines()
    assert [line.split()[0] for line in lines] == [check.id for check in (*BATTERY, *OPT_IN)]
    assert all(line.endswith(check.question) for line, check in zip(lines, BATTERY, strict=False))
    assert all(line.endswith(f"{check.question} (opt-in)") for line, check in zip(lines[-1:], OPT_IN, strict=True))


def test_every_check_explains_its_definition_and_its_source() -> None:
    for check in (*BATTERY, *OPT_IN):
        text = run(check.id).stdout
        assert check.explanation in text
        assert len(check.explanation) > 100
        assert f"Source: {check.source}" in text
        assert all(probe.name in text and probe.cost.__doc__ in text for probe in with_needs(check.probes))


def test_an_unknown_check_is_told_the_nearest() -> None:
    error = run("sharpnes").exception
    assert isinstance(error, UsageError)
    assert "Did you mean 'sharpness'?" in str(error)


def test_listing_loads_no_torch() -> None:
    script = "import sys; from landscape_audit.cli.checks import checks; checks(''); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 0
