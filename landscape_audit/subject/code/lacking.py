"""Arguments that the audit did not give to the user's code, and the setting that would give them."""

from __future__ import annotations

import re

from landscape_audit.errors import AuditError, DataError, ModelError
from landscape_audit.text import words

_LACKING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.+)")
_TARGETS = re.compile(r"y|t|gt|labels?|targets?|y_true|(\w+_)?(labels?|targets?)")


def setting_for(what: str, raised: BaseException, error: type[AuditError]) -> str:
    """What to write into audit.toml where a call of the audit's own lacked an argument; empty where none did."""
    found = _LACKING.search(words(raised)) if isinstance(raised, TypeError) else None
    names = re.findall(r"'(\w+)'", found[1]) if found else []
    if not names:
        return ""
    if what.endswith(": forward"):
        return _of_forward(names)
    table = "data" if error is DataError else "model" if error is ModelError else ""
    arguments = ", ".join(f"{name} = …" for name in names)
    return f"Give what it lacks:  [{table}] kwargs = {{ {arguments} }}" if table else ""


def _of_forward(names: list[str]) -> str:
    if all(_TARGETS.fullmatch(name) for name in names):
        return 'If the model takes its targets and returns its loss:  [loss] name = "model"'
    order = ", ".join(names)
    return f"Have the loader give it too: dicts with the key '{names[0]}', or (inputs, {order}, targets)."
