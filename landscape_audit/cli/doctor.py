"""`landscape-audit doctor`: would an audit start here?"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Annotated

import typer

from landscape_audit import __version__
from landscape_audit.cli import options
from landscape_audit.cli.caches import caches_apart
from landscape_audit.cli.demands import demanded
from landscape_audit.cli.outputs import named_after
from landscape_audit.cli.steps import Finding, Steps
from landscape_audit.files import writable_folder
from landscape_audit.spec import CONFIG_NAME
from landscape_audit.text import printable

_MARKS = {"ok": "✓", "told": "!", "problem": "✗", "not tried": "–"}


def doctor(
    checkpoint: options.Checkpoint = None,
    config: options.Config = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where the audit is to write; by default audit-NAME here.")
    ] = None,
    device: options.Device = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="The policy that the audit is to be held against.")
    ] = None,
    no_code: options.NoCode = False,
) -> None:
    """Tell whether an audit would start: on this machine, and with a checkpoint or audit.toml also that audit.

    One line a step: ✓ fine, ! fine but worth knowing, ✗ a problem with its remedy in the words of `run`, – not tried
    because of a problem above. Every problem that can be found is listed, not only the first.

    The checkpoint is read whole and the model is built, but only the first two batches of the data are read, and the
    rest is not looked at: a bad example further on is found by `run`. Nothing is written.

    **Examples**

        landscape-audit doctor

        landscape-audit doctor --config audit.toml

    **Exit codes:** 0 an audit would start; else that of the first problem, which is the one that `run` ends with.
    """
    steps = Steps(_start, _show)
    steps.take("versions", _versions, str)
    if not (checkpoint or config or Path(CONFIG_NAME).is_file()):
        steps.take("device", lambda: _device(device), str)
    steps.take("PDF", _pango, str)
    steps.take("fonts", _fonts, str)
    if checkpoint or config or Path(CONFIG_NAME).is_file():
        _audit(steps, checkpoint, config, out, device, policy, no_code=no_code)
    raise typer.Exit(steps.exit_code)


def _audit(
    steps: Steps,
    checkpoint: Path | None,
    config: Path | None,
    out: Path | None,
    device: str | None,
    policy: Path | None,
    *,
    no_code: bool,
) -> None:
    flags = {"protocol": {"device": device}} if device else {}
    asked = steps.take(
        "config", lambda: options.unread_request(checkpoint, config, flags, no_code=no_code), lambda asked: asked.origin
    )
    if asked.result is None:
        return
    found = asked.get()
    steps.take("gates", lambda: _gates(found, policy), str)
    steps.take("output", lambda: _output(out or named_after(found.checkpoint, "audit")), str)
    from landscape_audit.cli.rehearsal import rehearse

    rehearse(found, steps)


def _start(step: str) -> None:
    """On a terminal, the name of what is being tried; what comes of it is written over it."""
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):
            typer.echo(f"… {step}\r", nl=False, err=True)


def _show(finding: Finding) -> None:
    lines = [printable(line, limit=4000) for line in finding.says.split("\n")]
    typer.echo("\n".join([f"{_MARKS[finding.word]} {finding.step:10} {lines[0]}", *lines[1:]]))


def _versions() -> str:
    names = ("torch", "numpy", "safetensors", "pydantic", "weasyprint", "matplotlib")
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return f"landscape-audit {__version__}, Python {platform.python_version()}, {found}"


def _device(name: str | None) -> str:
    from landscape_audit.cli.rehearsal import device_in_words
    from landscape_audit.config_error import validated
    from landscape_audit.machine import device_of
    from landscape_audit.spec import AuditSpec

    flags = {"protocol": {"device": name or "auto"}, "model": {"factory": ""}, "data": {}}
    return device_in_words(device_of(validated(AuditSpec, flags, "command line").protocol))


def _pango() -> str:
    from landscape_audit.report.pdf import require_pango

    require_pango()
    return "WeasyPrint finds Pango"


def _fonts() -> str:
    from landscape_audit.report.pdf import fonts

    with caches_apart():
        return ", ".join(sorted(path.stem for path in fonts()))


def _gates(asked: options.Request, policy: Path | None) -> str:
    """What `run` asks of the gates before it measures."""
    gates = demanded(asked, policy).gates
    return f"{', '.join(gates)}: of checks that will run" if gates else "none: everything is observed, nothing fails"


def _output(folder: Path) -> str:
    """Whether it can be written to; a folder that was made to find out is taken away again."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        writable_folder(folder)
    finally:
        for each in new:
            with contextlib.suppress(OSError):
                each.rmdir()
    return f"{folder} can be written to"
