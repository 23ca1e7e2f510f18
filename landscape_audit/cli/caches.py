"""matplotlib, kept from making folders of its own in the user's home."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

_NAME = "MPLCONFIGDIR"


@contextlib.contextmanager
def caches_apart() -> Iterator[None]:
    """While reports are drawn, matplotlib keeps its settings and its list of fonts in a folder that is then removed.

    Costs the half second in which it looks for fonts; where MPLCONFIGDIR names a folder, it is used and kept.
    """
    if _NAME in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="landscape-audit-", ignore_cleanup_errors=True) as folder:
        os.environ[_NAME] = folder
        try:
            yield
        finally:
            os.environ.pop(_NAME, None)
