"""`landscape-audit schema`: the published JSON Schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landscape_audit.errors import OutputError, UsageError
from landscape_audit.text import did_you_mean


def schema(
    name: Annotated[str, typer.Argument(help="results, config, policy or calibration.", show_default=False)] = "",
    write: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write all of them into this folder.", show_default=False)
    ] = None,
) -> None:
    """Print a JSON Schema, or write all of them.

    `results` describes results.json, `config` audit.toml, `policy` policy.toml and
    `calibration` calibration.json. An editor that knows the schema
    completes settings and marks mistakes while you type.

    Example:  landscape-audit schema policy > policy.schema.json
    """
    from landscape_audit.schema import NAMES, schema_text

    if bool(name) == (write is not None):
        raise UsageError("schema: it needs a name, or --write DIR.", remedy=f"Names: {', '.join(NAMES)}.")
    if write is not None:
        _write(write)
    elif name in NAMES:
        typer.echo(schema_text(name), nl=False)
    else:
        raise UsageError(f"schema: there is no schema '{name}'.", remedy=did_you_mean(name, NAMES))


def _write(folder: Path) -> None:
    from landscape_audit.schema import schemas

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in schemas().items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error}.", remedy="Name a folder of your own.") from None
