"""The command line: which commands there are, and how anything that goes wrong becomes a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated, NoReturn

import click
import typer

from landscape_audit import __version__
from landscape_audit.cli.checks import checks
from landscape_audit.cli.demo import demo
from landscape_audit.cli.doctor import doctor
from landscape_audit.cli.gate import gate
from landscape_audit.cli.plan import plan
from landscape_audit.cli.report import report
from landscape_audit.cli.run import EXIT_BY_SIGNAL, run
from landscape_audit.cli.schema import schema
from landscape_audit.errors import AuditError
from landscape_audit.text import printable

INTERNAL = 5

app = typer.Typer(
    name="landscape-audit",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with:  landscape-audit demo  — or audit your own:  landscape-audit run model.safetensors",
)
for name, command in {
    "run": run,
    "plan": plan,
    "gate": gate,
    "report": report,
    "checks": checks,
    "schema": schema,
    "doctor": doctor,
    "demo": demo,
}.items():
    app.command(name)(command)


@app.callback()
def landscape_audit(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, show_default=False)
    ] = False,
) -> None:
    """Is this checkpoint in a good place? Audit the loss landscape around a trained PyTorch model.

    `run` measures, judges and reports. `gate` and `report` work again from its `results.json`, without PyTorch.
    """
    if version:
        typer.echo(f"landscape-audit {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Run a command; every way out of it has its own exit code, and a crash never reads as a failed gate."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = app(standalone_mode=False)
    except AuditError as error:
        code = _say(str(error), "ERROR", error.exit_code)
    except click.ClickException as error:
        error.show()
        code = _say("", "ERROR", 2)
    except (KeyboardInterrupt, click.Abort) as stop:
        code = _say("interrupted.", "ERROR", EXIT_BY_SIGNAL["SIGTERM" if stop.args == ("SIGTERM",) else "SIGINT"])
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:  # noqa: BLE001 - this is where a crash becomes exit code 5
        code = _crashed(error)
    sys.exit(code if isinstance(code, int) else 0)


def _terminated(signal_number: int, frame: FrameType | None) -> NoReturn:
    del signal_number, frame
    raise KeyboardInterrupt("SIGTERM")


def _say(message: str, word: str, code: int) -> int:
    if message:
        typer.echo(f"landscape-audit: error: {message}", err=True)
    typer.echo(f"landscape-audit: {word}  0 passed, 0 failed, 0 undecided  (exit {code})", err=True)
    return code


def _crashed(error: Exception) -> int:
    if os.environ.get("LANDSCAPE_AUDIT_TRACEBACK"):
        traceback.print_exc()
    what = printable(f"{type(error).__name__}: {error}", limit=500)
    remedy = "This is a bug of landscape-audit. LANDSCAPE_AUDIT_TRACEBACK=1 shows where; please report it with that."
    return _say(f"internal error: {what}\n  {remedy}", "ERROR", INTERNAL)
