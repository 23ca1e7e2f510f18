"""Where a link into the report leads: a name that is the same in every report."""

from __future__ import annotations

import itertools
import re


def anchor(*names: str) -> str:
    """`surface.plane` for a figure, `gate.sharpness.lambda_max` for a gate.

    Names are foreign, and an id with a space in it is none: whatever is not a letter, a digit, `.`, `-` or `_` is `_`.
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", ".".join(names))[:200]


SECTIONS = frozenset(
    (
        *("verdict", "gates", "numbers", "verdict-in-full", "more-numbers", "more-gates", "contents", "contents-title"),
        *("baseline", "landscape", "advice", "method", "policy", "limits", "provenance", "values", "glossary", "how"),
    )
)
"""The ids that a report has of its own."""


def free(wanted: str, taken: set[str]) -> str:
    """`wanted`, or with the first number behind it that is not taken; taken from then on.

    Two ids that are equal lead to the first, and names of checks are foreign: one may be called `verdict`.
    """
    choices = itertools.chain([wanted], (f"{wanted}-{number}" for number in itertools.count(2)))
    found = next(each for each in choices if each not in taken)
    taken.add(found)
    return found
