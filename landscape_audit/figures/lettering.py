"""How wide words are, so that none leaves its figure and no two lie on each other."""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from landscape_audit.text import printable

if TYPE_CHECKING:
    from landscape_audit.detail import Axis

SIZE = 8.0
"""Points, of every letter in every figure: a figure is drawn as small as this lets it be read."""


def breadth(text: str) -> float:
    """Points that `text` is wide in a figure, which is as wide as its widest line."""
    return SIZE * max(sum(map(_advance, line)) for line in text.split("\n"))


def fitted(text: str, most: float) -> str:
    """`text` with as much of its middle left out as makes it `most` points wide."""
    if breadth(text) <= most:
        return text
    kept = len(text) - 1
    while kept > 1 and breadth(_without_middle(text, kept)) > most:
        kept -= 1
    return _without_middle(text, kept)


def lines_of(text: str, most: float) -> str:
    """`text` on one line, or its unit on a second one where that is too wide."""
    name, bracket, unit = text.rpartition(" [")
    if breadth(text) <= most or not bracket:
        return fitted(text, most)
    return f"{fitted(name, most)}\n{fitted(bracket[1:] + unit, most)}"


def worded(axis: Axis) -> str:
    """`Rise of the loss [loss]`."""
    return legible(f"{axis.label} [{axis.own_unit}]" if axis.own_unit else axis.label, 80)


def legible(text: str, most: int = 34) -> str:
    """Foreign text as a figure can carry it: printable, on one line, its middle left out where it is long."""
    shown = " ".join(printable(text, 500).split())
    return shown if len(shown) <= most else f"{shown[: most // 2 - 1]}…{shown[-most // 2 :]}"


def within_a_sentence(text: str) -> str:
    """`rise of the loss` for `Rise of the loss`, and `SGD` as it is."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def columns_of(labels: Sequence[str], beside: float, most: float) -> int:
    """In how many columns a legend fits, filled one column after another; `beside` is what a label has next to it."""
    for columns in range(len(labels), 1, -1):
        rows, longer = divmod(len(labels), columns)
        starts = [column * rows + min(column, longer) for column in range(columns + 1)]
        widths = [max(map(breadth, labels[low:high])) + beside for low, high in itertools.pairwise(starts)]
        if sum(widths) <= most:
            return columns
    return 1


def _without_middle(text: str, kept: int) -> str:
    head = (kept + 1) // 2
    return f"{text[:head]}…{text[len(text) - (kept - head) :]}"


@functools.cache
def is_drawn(character: str) -> bool:
    """Whether the font of every figure, and of the paper, has this letter."""
    return bool(_font().get_char_index(ord(character)))


@functools.cache
def _advance(character: str) -> float:
    """A letter's width as a share of the size; one that the font lacks is as wide as the widest."""
    if unicodedata.combining(character):
        return 0.0
    if not is_drawn(character):
        return 1.0
    return _font().load_char(ord(character)).linearHoriAdvance / 65536 / _UNIT  # type: ignore[no-any-return]


_UNIT = 100.0


@functools.cache
def _font():  # type: ignore[no-untyped-def] # noqa: ANN202 - matplotlib's type for it has moved between versions
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    font = FT2Font(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf")
    font.set_size(_UNIT, 72)
    return font
