"""What ends an audit from outside: which signals, and which exit codes they have by shell convention."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landscape_audit.results import Signal

EXIT_CODES: dict[Signal, int] = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
_WAITS_FOR = {"landscape_audit", "torch"}
"""What is imported whole before a signal counts. Half of torch, which imports parts of itself late, is worse than none:
Python makes other errors of what is raised there, some of them are caught, and what is missing then breaks later."""
_PAUSE = 0.05  # seconds until a signal that came too early comes again


def listen() -> None:
    """Ctrl-C, SIGTERM and a terminal that closes end things alike; what `nohup` has ignored stays ignored."""
    interrupt = _interruption([stream for stream in (1, 2) if os.isatty(stream)])
    for name in EXIT_CODES:
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def signal_of(stop: KeyboardInterrupt) -> Signal:
    """Which signal it was."""
    return next((name for name in EXIT_CODES if stop.args == (name,)), "SIGINT")


def _interruption(terminals: list[int]) -> Callable[[int, FrameType | None], None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            again = threading.Timer(_PAUSE, _send, [number])
            again.daemon = True
            again.start()
            return
        name = signal.Signals(number).name
        if name == "SIGHUP":  # what is written to a terminal that is gone would be an error each time
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in terminals:
                os.dup2(nowhere, stream)
        raise KeyboardInterrupt(name)

    return interrupt


def _send(number: int) -> None:
    """To the main thread, so that it wakes from whatever it waits for."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether the body of such a module is being run."""
    while frame is not None:
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and package in _WAITS_FOR:
            return True
        frame = frame.f_back
    return False
