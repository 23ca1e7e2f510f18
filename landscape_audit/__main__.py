"""The program, as `landscape-audit` and `python -m landscape_audit` start it."""

from __future__ import annotations

from typing import NoReturn

from landscape_audit.interruption import listen


def main() -> NoReturn:
    """Run the command line. Signals are heard from here on, so that one that comes while it loads waits for it."""
    listen()
    from landscape_audit.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
