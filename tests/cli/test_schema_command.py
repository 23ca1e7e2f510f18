from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from landscape_audit.cli.schema import schema
from landscape_audit.errors import OutputError, UsageError
from landscape_audit.schema import schema_text, schemas


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(schema)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_schema_is_printed_by_its_name() -> None:
    assert run("policy").stdout == schema_text("policy")


def test_all_three_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "schemas"
    assert run("--write", folder).exit_code == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == schemas()


def test_a_folder_that_cannot_be_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert isinstance(run("--write", tmp_path / "file").exception, OutputError)


def test_an_unknown_name_is_told_the_nearest() -> None:
    error = run("result").exception
    assert isinstance(error, UsageError)
    assert "Did you mean 'results'?" in str(error)


def test_nothing_asked_for_is_an_error() -> None:
    assert isinstance(run().exception, UsageError)
