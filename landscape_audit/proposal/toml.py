"""Lines of TOML that stay TOML whatever is put into them: names of tensors, files and models are foreign text."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping

from landscape_audit.text import printable

_WIDTH = 110


def setting(key: str, value: object, why: str = "") -> str:
    """`key = value`, with the reason beside it; `key` is ours, the rest need not be."""
    line = f"{key} = {literal(value)}"
    return f"{line}  # {printable(why)}" if why else line


def comment(text: str) -> str:
    """One line that is not read, whatever is in `text`."""
    return f"# {printable(text, limit=_WIDTH * 4)}"


def literal(value: object) -> str:
    """A string, a finite number, a truth, a list or a table of them, as TOML writes it."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(key))} = {literal(each)}" for key, each in value.items())
        return f"{{ {pairs} }}"
    assert isinstance(value, list | tuple), value  # noqa: S101 - nothing else is proposed
    return f"[{', '.join(literal(each) for each in value)}]"


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else quoted(text)


def quoted(text: str) -> str:
    """A basic string: as JSON writes it, with everything that could not be seen escaped as well."""
    return "".join(_escaped(each) for each in json.dumps(text, ensure_ascii=False))


def _escaped(character: str) -> str:
    # JSON leaves DEL and the marks that turn text round as they are; TOML forbids the one and people the others.
    if unicodedata.category(character).startswith(("C", "Zl", "Zp")):
        code = ord(character)
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character
