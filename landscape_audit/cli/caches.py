"""matplotlib, kept to itself: no folders of its own in the user's home, no settings from where it is started."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from landscape_audit.cli.font_list import write_font_list

_NAME = "MPLCONFIGDIR"
# A matplotlibrc in the current folder may be a stranger's: its text.usetex would start LaTeX.
_SETTINGS: dict[str, str | None] = {"MATPLOTLIBRC": os.devnull, "MPLBACKEND": None}


@contextlib.contextmanager
def caches_apart() -> Iterator[None]:
    """While reports are drawn, matplotlib keeps its list of fonts in a folder that is then removed.

    Where MPLCONFIGDIR names a folder, it is used and kept.
    """
    with contextlib.ExitStack() as stack:
        changed = dict(_SETTINGS)
        if _NAME not in os.environ:
            fresh = tempfile.TemporaryDirectory(prefix="landscape-audit-", ignore_cleanup_errors=True)
            changed[_NAME] = stack.enter_context(fresh)
            write_font_list(Path(fresh.name))
        before = {name: os.environ.get(name) for name in changed}
        stack.callback(_set, before)
        _set(changed)
        yield


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
