"""What ends an audit from outside: which signals, and which exit codes they have by shell convention."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, get_args

from landscape_audit.results import Signal

EXIT_CODES: dict[Signal, int] = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


def listen() -> None:
    """SIGTERM and a terminal that closes end things as Ctrl-C does; what `nohup` has ignored stays ignored."""
    interrupt = _interruption([stream for stream in (1, 2) if os.isatty(stream)])
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def signal_of(stop: KeyboardInterrupt) -> Signal:
    """Which signal it was."""
    return next((name for name in get_args(Signal) if stop.args == (name,)), "SIGINT")


def _interruption(terminals: list[int]) -> Callable[[int, FrameType | None], NoReturn]:
    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        name = signal.Signals(number).name
        if name == "SIGHUP":  # what is written to a terminal that is gone would be an error each time
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in terminals:
                os.dup2(nowhere, stream)
        raise KeyboardInterrupt(name)

    return interrupt
