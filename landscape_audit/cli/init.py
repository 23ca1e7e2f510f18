"""`landscape-audit init`: an `audit.toml` to start from."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from landscape_audit.errors import ConfigError, OutputError
from landscape_audit.files import write_atomically
from landscape_audit.spec import CONFIG_NAME
from landscape_audit.text import printable


def init(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A .safetensors file, the index of a sharded one, or their folder."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write; by default audit.toml beside the checkpoint.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
) -> None:
    """Write a commented audit.toml from what lies beside a checkpoint, and say what is still missing.

    Looks at the names and shapes of the tensors, a `config.json` or `adapter_config.json`, the functions in Python
    files and the arrays in data files beside the checkpoint. All of that is read; none of it is run or loaded. What
    could not be found stands in the file as a commented line with an example, and what was guessed is marked so.

    **Examples**

        landscape-audit init model.safetensors

        landscape-audit init model.safetensors --out other.toml

    **Exit codes:** 0 the file is complete; 2 something has to be filled in first, or the file is there already;
    4 the checkpoint cannot be read.

    **Next:** `landscape-audit doctor --config audit.toml` tries whether an audit would start.
    """
    from landscape_audit.proposal.proposal import propose
    from landscape_audit.subject.checkpoint.folder import checkpoint_file

    checkpoint = checkpoint_file(checkpoint)
    target = _target(checkpoint, out)
    if os.path.lexists(target) and not force:
        raise OutputError(
            f"{target}: is there already.", remedy="Replace it with --force, or choose another with --out."
        )
    proposal = propose(checkpoint, target)
    write_atomically(target, proposal.text.encode())
    _tell(f"{target}: written.")
    _list("guessed, please confirm", proposal.guessed)
    _list("still missing", proposal.missing)
    _tell(f"{'Then' if proposal.missing else 'Next'}:  landscape-audit doctor --config {shlex.quote(str(target))}")
    if proposal.missing:
        raise typer.Exit(ConfigError.exit_code)


def _target(checkpoint: Path, out: Path | None) -> Path:
    target = out or checkpoint.parent / CONFIG_NAME
    return target / CONFIG_NAME if target.is_dir() else target


def _list(title: str, lines: tuple[str, ...]) -> None:
    if lines:
        _tell(f"{title}:")
    for line in lines:
        _tell(f"  {line}")


def _tell(line: str) -> None:
    typer.echo(printable(line, limit=1000), err=True)
