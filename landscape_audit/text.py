"""Foreign text made harmless, and the two sentences every message needs: `did you mean` and a plural."""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

_COMMAND = re.compile(r"^\s*::|##(?=[A-Za-z]*\[)")
"""Where GitHub's runner, and those made from the same agent, take what is printed for a command to them."""
_INVISIBLE = ("C", "Zl", "Zp")
"""Unicode categories: control, format and surrogate characters, line and paragraph separators."""


def printable(text: object, limit: int = 200) -> str:
    """`text` on one line, with control, format and surrogate characters shown as escapes, cut at `limit` characters.

    Tensor names, metadata and exception messages of user code are hostile: an escape sequence must not reach a
    terminal, a right-to-left mark turn a line round, or a line break begin a line that looks like a verdict. Nor may
    what a build server would obey: `::` where a line begins, and `##[` or `##vso[` anywhere in it.
    """
    shown = str(text)[: limit + 1]
    if not shown.isprintable():
        shown = "".join(
            escaped(character) if unicodedata.category(character).startswith(_INVISIBLE) else character
            for character in shown
        )
    shown = _COMMAND.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):02x}", shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def escaped(character: str) -> str:
    r"""`\u7f16`: a character as its number."""
    if character == "\n":
        return "\\n"
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def words(raised: BaseException) -> str:
    """What an exception says; nothing where it cannot: a stranger's `__str__` may raise anything, even SystemExit."""
    try:
        return str(raised)
    except BaseException:  # noqa: BLE001 - SystemExit(0) out of here would read as a passed audit
        return ""


def described(raised: BaseException, limit: int = 500) -> str:
    """`ValueError: no weights today`: the type and the first line of what it says, which is the last for a worker's."""
    said = raised.msg if isinstance(raised, SyntaxError) else words(raised)
    lines = said.strip().splitlines()
    name = type(raised).__name__
    if not lines:
        return printable(name, limit)
    if "Original Traceback" in said:  # what DataLoader makes of an error in a worker
        return printable(f"{lines[-1]} in a DataLoader worker", limit)
    return printable(f"{name}: {lines[0].rstrip('.')}", limit)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'x'?`, or the known words where nothing is close, for the end of a message."""
    choices = sorted(known)
    if not choices:
        return "There are none."
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(choices)}."


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 batch`, `3 batches`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Collection[str], most: int = 4) -> str:
    """`'a', 'b', …`: the first of them, for one sentence."""
    first = ", ".join(f"'{name}'" for name in itertools.islice(names, most))
    return f"{first}, …" if len(names) > most else first


def number(value: float | None, digits: int = 4) -> str:
    """`value` to `digits` significant digits for a person: `31.42`, `−0.0012`, `1.2e−07`; `not finite` for None."""
    if value is None:
        return "not finite"
    return f"{value:.{digits}g}".replace("-", "−").replace("+", "")


def percent(share: float, digits: int = 4) -> str:
    """`8 %` for 0.08, and `2204 %` however few the digits: nobody reads per cent in powers of ten."""
    hundredths = 100 * share
    if 10**digits <= abs(hundredths) < _POWERS_OF_TEN:
        return f"{number(round(hundredths), 6)} %"
    return f"{number(hundredths, digits)} %"


_POWERS_OF_TEN = 1e6
"""Per cent from which even those are read more easily."""


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line a row, every column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def mebibytes(size: float) -> str:
    """`123 MiB`, `4.2 GiB`."""
    return f"{size / 2**20:,.0f} MiB" if size < 2**30 else f"{size / 2**30:,.1f} GiB"
