"""Text in the 80 columns that every terminal has, whatever the width of this one: logs are read elsewhere."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from landscape_audit.text import printable

WIDTH = 80
_LEAST = 30
"""Characters that a last column is given, also where the others leave less."""


def folded(text: str, margin: int) -> tuple[str, ...]:
    """`text` in lines of at most WIDTH where its words allow it, all but the first indented by `margin`.

    Each line is made harmless again: what a build server takes for a command counts where a line begins.
    """
    lines = textwrap.wrap(text, WIDTH, subsequent_indent=" " * margin, break_long_words=False, break_on_hyphens=False)
    return tuple(printable(line, limit=1000) for line in lines)


def columns(rows: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Cells set flush left, two blanks before each; the last one folded under itself."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    before = ["".join(f"  {cell:<{width}}" for cell, width in zip(row, widths, strict=False)) for row in rows]
    margin = min(max(map(len, before)) + 2, WIDTH - _LEAST)
    return tuple(
        line for told, row in zip(before, rows, strict=True) for line in folded(f"{told}  {row[-1]}".rstrip(), margin)
    )
