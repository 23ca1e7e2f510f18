"""Foreign words in Markdown, as nothing but words."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from landscape_audit.text import printable

_LIVE = re.compile(r"(?<!\w)@(?=\w)|:(?=//)|\bwww(?=\.)", re.IGNORECASE)
"""Where plain text becomes a mention or a link; escapes alone do not prevent it (cmark-gfm#388, remark-gfm#33)."""


def plain(text: str) -> Markup:
    """Text that Markdown shows as it is: its marks and those of HTML escaped, on one line.

    What would call a person or become a link gets a space of no width, as a forge looks for both in the text it shows.
    """
    shown = _LIVE.sub("\\g<0>\u200b", " ".join(printable(text, limit=5000).split()))
    escaped = "".join(f"\\{character}" if character in r"\`*_{}[]()#+-.!|~" else character for character in shown)
    return escape(escaped)
