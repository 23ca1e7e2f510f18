"""The output folder of an audit, claimed while it runs, and how an interrupted one goes on in it."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from landscape_audit.cli.outputs import OUTPUTS, clear
from landscape_audit.cli.progress import tell
from landscape_audit.files import room_held, sweep
from landscape_audit.lock import locked
from landscape_audit.resume import forget, kept_probes
from landscape_audit.text import count, printable


@contextlib.contextmanager
def claimed(folder: Path, formats: Iterable[str]) -> Iterator[Callable[[], None]]:
    """The output folder, this run's alone, and without the files of an older audit: one that fails leaves none behind.

    What was measured before it failed stays, for `--resume`. Gives what frees the room that was held for its results.
    """
    try:
        with locked(folder, lambda message: tell(f"note: {message}")):
            sweep(folder, (*OUTPUTS, "sam-seed-*.json"))
            with room_held(folder) as give_room_back:
                clear(folder, formats)
                yield give_room_back
    except BaseException:
        if not how_to_go_on(folder):
            forget(folder)
        with contextlib.suppress(OSError):
            folder.rmdir()  # nothing was measured: an empty folder would look like an audit
        raise


def how_to_go_on(folder: Path) -> bool:
    """Tell how to go on with the finished probes in `folder`; False where there are none."""
    kept = kept_probes(folder)
    if kept:
        again = [argument for argument in sys.argv[1:] if argument != "--resume"]
        command = printable(shlex.join(["landscape-audit", *again, "--resume"]), limit=4000)
        tell(f"{count(kept, 'finished probe')} kept. Go on with:  {command}")
    return bool(kept)
