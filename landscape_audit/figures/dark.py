"""What a figure's colours become on a dark page."""

from __future__ import annotations

DARK_PAPER = "#14181d"
DARK = {
    "#1f2937": "#e7eaee",  # ink
    "#ffffff": DARK_PAPER,
    "#d1d5db": "#4b5563",  # lines
    "#eef0f3": "#262d36",  # grid
    "#f3f4f6": "#20262e",  # where a surface has no value
    "#6b7280": "#8d97a5",  # reference
    "#0072b2": "#4fa9e6",
    "#d55e00": "#ff8b4a",
    "#009e73": "#35c796",
    "#cc79a7": "#ff9fd8",
    "#e69f00": "#f2b735",
    "#56b4e9": "#a9dcff",
    "#00664b": "#58d1ac",  # better, worse and changed: the colours of the page
    "#a63c00": "#ff9d66",
    "#0b5a8f": "#7cc0f2",
}
"""Of every colour that svg.py names, the one that does its work on a dark page; a surface's own colours stay."""


def dark_style() -> bytes:
    """Rules for the inside of a figure. On paper there is no dark page, and WeasyPrint leaves such rules out.

    The figure paints its own dark paper, should the page around it have none.
    """
    rules = "".join(
        f'[style*="{part}: {light}"]{{{part}:{dark}!important}}'
        for light, dark in DARK.items()
        for part in ("fill", "stroke")
        if (part, light) != ("stroke", "#ffffff")  # the lines between a surface's bands
    )
    return f"@media (prefers-color-scheme:dark){{svg{{background:{DARK_PAPER}}}{rules}}}".encode()
