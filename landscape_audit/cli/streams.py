"""Standard input, output and error where whoever started us had closed them."""

from __future__ import annotations

import os
import sys


def open_streams() -> None:
    """Let the closed ones lead nowhere: the next file that is opened would take their number, and what is printed."""
    for number in range(3):  # in this order, as each takes the lowest number that is free
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
