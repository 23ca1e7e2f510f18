"""Where a link into the report leads: a name that is the same in every report."""

from __future__ import annotations

import re


def anchor(*names: str) -> str:
    """`surface.plane` for a figure, `gate.sharpness.lambda_max` for a gate.

    Names are foreign, and an id with a space in it is none: whatever is not a letter, a digit, `.`, `-` or `_` is `_`.
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", ".".join(names))[:200]
