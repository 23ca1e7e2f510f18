"""The command line: which commands there are, and how anything that goes wrong becomes a message and an exit code."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from landscape_audit import __version__
from landscape_audit.cli.calibrate import calibrate
from landscape_audit.cli.card import card
from landscape_audit.cli.checks import checks
from landscape_audit.cli.compare import compare
from landscape_audit.cli.demo import demo
from landscape_audit.cli.doctor import doctor
from landscape_audit.cli.gate import gate
from landscape_audit.cli.init import init
from landscape_audit.cli.plan import plan
from landscape_audit.cli.policy import policy
from landscape_audit.cli.progress import tell
from landscape_audit.cli.report import report
from landscape_audit.cli.run import run
from landscape_audit.cli.schema import schema
from landscape_audit.cli.streams import all_was_said, open_streams
from landscape_audit.cli.verify import verify
from landscape_audit.errors import AuditError
from landscape_audit.interruption import EXIT_CODES, signal_of
from landscape_audit.text import described, printable
from landscape_audit.torchrun import leads

USAGE = 2
INTERNAL = 5

app = typer.Typer(
    name="landscape-audit",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with:  landscape-audit demo  — or with your own:  landscape-audit init model.safetensors",
)


def ending_in_a_code(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, with every way out of it made a message and an exit code of its own.

    Done inside the command because Typer itself would turn SIGTERM into 130 and a closed pipe into 1, a failed gate.
    """

    @functools.wraps(command)
    def ended(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except AuditError as error:
            _trace(error.__cause__)
            raise typer.Exit(_say(str(error), error.exit_code)) from None
        except KeyboardInterrupt as stop:
            raise typer.Exit(_interrupted(stop)) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except BaseException as error:  # noqa: BLE001 - SystemExit too: the code of an audit is its own, 5 for a crash
            raise typer.Exit(_crashed(error)) from None

    return ended


COMMANDS: dict[str, Callable[..., None]] = {
    "init": init,
    "run": run,
    "plan": plan,
    "gate": gate,
    "calibrate": calibrate,
    "report": report,
    "card": card,
    "verify": verify,
    "compare": compare,
    "checks": checks,
    "policy": policy,
    "schema": schema,
    "doctor": doctor,
    "demo": demo,
}
for name, command in COMMANDS.items():
    app.command(name)(ending_in_a_code(command))


@app.callback()
def landscape_audit(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", show_default=False)] = False,
) -> None:
    """Is this checkpoint in a good place? Audit the loss landscape around a trained PyTorch model.

    `run` measures, judges and reports. `gate` and `report` work again from its `results.json`, without PyTorch.
    """
    if version:
        typer.echo(f"landscape-audit {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
        raise typer.Exit(USAGE)


def main() -> NoReturn:
    """Run a command. A crash, a wrong flag or a signal never reads as a failed gate, which alone is exit code 1."""
    open_streams()
    try:
        code = app(prog_name="landscape-audit", standalone_mode=False)
    except TyperException as error:
        what = printable(error.format_message(), limit=1000)
        code = _say(f"{what}\n  `landscape-audit COMMAND --help` shows what there is.", USAGE)
    except KeyboardInterrupt as stop:  # before the command itself has begun
        code = _interrupted(stop)
    except (OSError, ValueError, AttributeError):
        os._exit(INTERNAL)  # stderr itself is closed: nobody is told, and Python's own code for it would be 1, or 120
    code = code if isinstance(code, int) else 0
    sys.exit(code if all_was_said() else code or INTERNAL)


def _say(message: str, code: int) -> int:
    """A message that is printable already, then the last line; what goes wrong everywhere is said once."""
    if not leads() and code != INTERNAL:
        return code
    short = message.splitlines()[0].rstrip(".")
    tell(f"landscape-audit: error: {message}")
    tell(f"landscape-audit: ERROR  {printable(short, limit=100)}  (exit {code})")
    return code


def _interrupted(stop: KeyboardInterrupt) -> int:
    return _say("interrupted.", EXIT_CODES[signal_of(stop)])


def _crashed(error: BaseException) -> int:
    _trace(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        remedy = "Ask for less:  [data] batch_size = 8, or n_samples, or [protocol] max_memory; or --no-pdf."
        return _say(f"out of memory: {described(error)}.\n  {remedy}", INTERNAL)
    remedy = "This is a bug of landscape-audit. LANDSCAPE_AUDIT_TRACEBACK=1 shows where; please report it with that."
    return _say(f"internal error: {described(error)}\n  {remedy}", INTERNAL)


def _trace(error: BaseException | None) -> None:
    if error is not None and os.environ.get("LANDSCAPE_AUDIT_TRACEBACK"):
        traceback.print_exception(error)
