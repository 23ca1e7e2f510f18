"""Standard input, output and error where whoever started us had closed them, or has gone away since."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator


def open_streams() -> None:
    """Let the closed ones lead nowhere: the next file that is opened would take their number, and what is printed."""
    for number in range(3):  # in this order, as each takes the lowest number that is free
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def all_was_said() -> bool:
    """Whether what was printed has arrived, or nobody is left to read it; Python is left nothing to fail at.

    Python flushes once more as it ends, and exits with a code of its own, 120, where that fails.
    """
    arrived = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1 if stream is sys.stdout else 2)
            gone = isinstance(error, OSError) and error.errno in {errno.EIO, errno.EPIPE}
            arrived = arrived and (gone or stream is sys.stderr)
    return arrived


@contextlib.contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """While user code runs, what it writes to file descriptor 1 itself goes to stderr: stdout is for results alone.

    Both are there again afterwards, also where user code closed them.
    """
    sys.stdout.flush()
    out, err = os.dup(1), os.dup(2)
    os.dup2(2, 1)
    try:
        yield
    finally:
        for kept, number in ((out, 1), (err, 2)):
            os.dup2(kept, number)
            os.close(kept)
