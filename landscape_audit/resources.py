"""Where templates and schemas are: inside an installed package, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def template_dir() -> Path:
    """The folder of the report's templates."""
    return _folder("templates")


def schema_dir() -> Path:
    """The folder of the published JSON Schemas."""
    return _folder("schemas")


def _folder(name: str) -> Path:
    installed = _PACKAGE / "_data" / name  # an editable install has no _data: only a wheel is given one
    return installed if installed.is_dir() else _PACKAGE.parent / name
