"""Where templates and schemas are: inside an installed wheel, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def template_dir() -> Path:
    """The folder of the Jinja templates and style sheets."""
    return _folder("templates")


def schema_dir() -> Path:
    """The folder of the JSON Schemas."""
    return _folder("schemas")


def _folder(name: str) -> Path:
    """An editable install never sees the files that the wheel is given, so it falls back to the checkout."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
