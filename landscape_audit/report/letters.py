"""Letters that the paper's fonts lack, written so that they can be told apart: a missing glyph is the same empty box.

A font of the machine is never asked for them: the bytes would be another machine's on another machine, and PDF/A
allows no missing glyph.
"""

from __future__ import annotations

import base64
import functools
import itertools
import re
import unicodedata

from landscape_audit.figures.lettering import is_drawn
from landscape_audit.text import escaped

_PICTURE = re.compile(r"(?<=data:image/svg\+xml;base64,)[A-Za-z0-9+/=]+")
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_R = "[\u0590-\u08ff]"
_TO_THE_LEFT = re.compile(rf"{_R}(?:[^\w<>&;]|[_\u0590-\u08ff])*{_R}")
"""Hebrew, Arabic and what stands between them, but no word or number that is read to the right, and no markup."""
BLANK = "□"
"""In a picture, where words have the room that their letters take and no more; its table has the name."""


def on_paper(page: str) -> str:
    r"""The page with `\u7f16` for a letter without a glyph; its head, which is told and not drawn, as it was."""
    head, end, body = page.rpartition("</head>")
    return head + end + _PICTURE.sub(_pictured, _FOREIGN.sub(_written, body))


def _written(found: re.Match[str]) -> str:
    return found[0] if is_drawn(found[0]) else escaped(found[0])


def _pictured(found: re.Match[str]) -> str:
    drawn = base64.b64decode(found[0]).decode()
    plain = _FOREIGN.sub(lambda letter: letter[0] if is_drawn(letter[0]) else BLANK, drawn)
    plain = _TO_THE_LEFT.sub(lambda run: joined(run[0])[::-1], plain)
    return found[0] if plain == drawn else base64.b64encode(plain.encode()).decode()


def joined(run: str) -> str:
    """Arabic letters in the forms that they have beside each other.

    WeasyPrint draws the letters of a picture one by one from left to right, and so joins none and turns no line round.
    """
    forms = [_forms().get(letter, {}) for letter in run]
    before = [False, *("initial" in one and "final" in next_one for one, next_one in itertools.pairwise(forms))]
    after = [*before[1:], False]
    return "".join(
        own.get(_FORMS[left, right], letter) for letter, own, left, right in zip(run, forms, before, after, strict=True)
    )


_FORMS = {(False, False): "isolated", (True, False): "final", (False, True): "initial", (True, True): "medial"}


@functools.cache
def _forms() -> dict[str, dict[str, str]]:
    """By letter, its forms: Unicode's Arabic Presentation Forms-B."""
    forms: dict[str, dict[str, str]] = {}
    for form in map(chr, range(0xFE80, 0xFEF5)):
        kind, letter = unicodedata.decomposition(form).split()
        forms.setdefault(chr(int(letter, 16)), {})[kind.strip("<>")] = form
    return forms
