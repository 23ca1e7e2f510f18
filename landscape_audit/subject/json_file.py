"""A JSON file that lies beside a checkpoint: foreign data, read within limits and never interpreted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from landscape_audit.errors import ModelError

_FETCH = "Fetch the file itself."
_MAX_BYTES = 2**24  # the largest config.json names some 20,000 classes, in about 1 MB


def read_json_object(path: Path, remedy: str) -> dict[str, Any]:
    """The one object in `path`, or an error that names the file; `remedy` is for where there is none."""
    if not path.is_file():
        found = "is not a file" if path.exists() else "no such file"
        raise ModelError(f"{path}: {found}.", remedy=remedy)
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ModelError(f"{path}: has more than {_MAX_BYTES:,} bytes, which is no configuration.", remedy=_FETCH)
        values = json.loads(text)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read: {error.strerror}.", remedy="Let the user who audits read it."
        ) from None
    except RecursionError:
        raise ModelError(f"{path}: its brackets are nested too deeply to read.", remedy=_FETCH) from None
    except ValueError as error:
        raise ModelError(f"{path}: is not JSON: {error}.", remedy=_FETCH) from None
    if not isinstance(values, dict):
        raise ModelError(f"{path}: holds {type(values).__name__}, not an object of settings.", remedy=_FETCH)
    return values
