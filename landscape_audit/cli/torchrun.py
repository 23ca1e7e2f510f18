"""One of several processes that `torchrun` started: the first speaks and writes, the others only compute."""

from __future__ import annotations

import os


def leads() -> bool:
    """Whether this process is the first, or alone."""
    return os.environ.get("RANK", "0") == "0"
