"""Several processes that `torchrun` started: the first speaks and writes, the others only compute."""

from __future__ import annotations

import os

from landscape_audit.errors import UsageError

_NUMBERS = ("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK")
_PLACES = ("MASTER_ADDR", "MASTER_PORT")


def is_several() -> bool:
    """Whether this process is one of several. Batch systems may set some of the variables for a process alone too."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def leads() -> bool:
    """Whether this process is the first, or alone: one that nobody else speaks for must not be silent."""
    return not is_several() or os.environ.get("RANK", "0") == "0"


def local(name: str, alone: int) -> int:
    """`LOCAL_RANK` or `LOCAL_WORLD_SIZE` on this machine; what it is for a process alone."""
    return int(os.environ[name]) if is_several() and name in os.environ else alone


def require_torchrun() -> None:
    """That several processes can find each other, or an error that says what is missing."""
    unusable = [name for name in _NUMBERS if not os.environ.get(name, "").isdecimal()]
    unusable += [name for name in _PLACES if not os.environ.get(name)]
    if is_several() and unusable:
        raise UsageError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {unusable[0]} is {os.environ.get(unusable[0], 'not set')}.",
            remedy="Start the processes with torchrun, or unset WORLD_SIZE for one alone.",
        )
