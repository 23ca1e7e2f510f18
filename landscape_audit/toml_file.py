"""TOML as tables, or one message that says what is wrong with it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from landscape_audit.errors import ConfigError
from landscape_audit.reading import read_text

MOST_BYTES = 1_000_000
"""Of a TOML file: a policy of a thousand gates has a fifth of that, and the parser is slow."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, or an error naming the line."""
    try:
        return tomllib.loads(read_text(path, MOST_BYTES))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file.",
            remedy="Check the path; `landscape-audit demo DIR` writes an audit.toml to start from.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}.", remedy="Name a TOML file in UTF-8.") from None
    except RecursionError:
        raise ConfigError(
            f"{path}: its brackets are nested too deeply to read.", remedy="Four levels are enough."
        ) from None
    except ValueError as error:  # of a number of too many digits Python itself says so
        raise ConfigError(
            f"{path}: not TOML: {error}.", remedy="Strings stand in quotes, tables in [brackets]."
        ) from None
