"""The list of fonts that matplotlib would otherwise make, from every font of the machine, wherever it draws anew."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
from pathlib import Path

_STYLES = {
    "": ("normal", 400),
    "-Bold": ("normal", 700),
    "-Oblique": ("oblique", 400),
    "-BoldOblique": ("oblique", 700),
}


def write_font_list(folder: Path) -> None:
    """Put a list into matplotlib's folder that has its own DejaVu Sans only, which is what every figure is set in.

    So no figure depends on a machine's fonts, and none of them is opened: a tenth of a second for forty, and seconds
    for a desktop's. The list's form is matplotlib's own business: where it takes another, it makes one as ever.
    """
    version = _version()
    if version is None:
        return
    fonts = [
        {
            "__class__": "FontEntry",
            "fname": f"fonts/ttf/DejaVuSans{ending}.ttf",
            "name": "DejaVu Sans",
            "style": style,
            "weight": weight,
            "size": "scalable",
        }
        for ending, (style, weight) in _STYLES.items()
    ]
    manager = {
        "__class__": "FontManager",
        "_version": version,
        "_FontManager__default_weight": "normal",
        "default_size": None,
        "defaultFamily": {"ttf": "DejaVu Sans", "afm": "Helvetica"},
        "afmlist": [],
        "ttflist": fonts,
    }
    with contextlib.suppress(OSError):
        (folder / f"fontlist-v{version}.json").write_text(json.dumps(manager), encoding="utf-8")


def _version() -> str | None:
    """Of the list's form, as matplotlib's source has it: to import that would make the list."""
    spec = importlib.util.find_spec("matplotlib")
    try:
        source = Path(str(spec and spec.origin)).with_name("font_manager.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"^    __version__ = ['\"]([\w.]+)['\"]", source, re.MULTILINE)
    return found[1] if found else None
